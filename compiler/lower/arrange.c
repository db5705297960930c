/* arrange.c: offsets in the arena. In: the calls of all phases in order. Out: an offset for every
 * buffer, 64-byte aligned.
 *
 * One sweep over the calls keeps a list of holes: a temporary takes the smallest hole that fits
 * when its life begins and gives it back when it ends, joined with its neighbours. The list stays
 * short, since a training step frees in the reverse of the order in which it allocates. */
#include "arrange.h"
#include <string.h>
#include "seed.h"

typedef struct { uint64_t at, size; } Hole;
typedef struct {
  Arena *arena;
  Hole *hole; uint32_t nhole, caphole; /* ascending, never adjacent */
  uint64_t end;                        /* of the temporaries so far */
} Holes;

uint64_t buffer_bytes(const Buffer *b) {
  static const uint8_t size[DTYPE_COUNT] = {4, 1, 4, 4, 8, 2};
  return b->elements * size[b->dtype];
}

static uint64_t aligned(uint64_t n) { return (n + ARENA_ALIGN - 1) & ~(uint64_t)(ARENA_ALIGN - 1); }

static void hole_remove(Holes *h, uint32_t i) {
  memmove(h->hole + i, h->hole + i + 1, (--h->nhole - i) * sizeof *h->hole);
}

static uint64_t hole_take(Holes *h, uint64_t size) {
  uint32_t best = h->nhole;
  for (uint32_t i = 0; i < h->nhole; i++)
    if (h->hole[i].size >= size && (best == h->nhole || h->hole[i].size < h->hole[best].size)) best = i;
  if (best == h->nhole) return h->end += size, h->end - size;
  uint64_t at = h->hole[best].at;
  h->hole[best].at += size, h->hole[best].size -= size;
  if (!h->hole[best].size) hole_remove(h, best);
  return at;
}

static void hole_give(Holes *h, uint64_t at, uint64_t size) {
  uint32_t i = 0;
  while (i < h->nhole && h->hole[i].at < at) i++;
  PUSH(h->arena, h, hole, (Hole){0});
  memmove(h->hole + i + 1, h->hole + i, (h->nhole - 1 - i) * sizeof *h->hole);
  h->hole[i] = (Hole){at, size};
  if (i + 1 < h->nhole && at + size == h->hole[i + 1].at)
    h->hole[i].size += h->hole[i + 1].size, hole_remove(h, i + 1);
  if (i && h->hole[i - 1].at + h->hole[i - 1].size == at)
    h->hole[i - 1].size += h->hole[i].size, hole_remove(h, i);
}

/* Begins (give false) or ends (give true) the lives that call i begins or ends. */
static void lives_change(const Program *p, Holes *h, uint32_t i, const uint32_t *edge, uint64_t *offset, bool give) {
  const Call *c = &p->call[i];
  for (uint32_t j = 0; j < p->kernel[c->kernel]->narg; j++) {
    uint32_t b = c->buf[j];
    bool again = false;
    for (uint32_t k = 0; k < j; k++) again = again || c->buf[k] == b;
    if (again || p->buffer[b].role != BUF_TEMP || edge[b] != i) continue;
    uint64_t size = aligned(buffer_bytes(&p->buffer[b]));
    if (give) hole_give(h, offset[b], size);
    else offset[b] = hole_take(h, size);
  }
}

uint64_t arrange_buffers(const Program *p, uint64_t *offset, Arena *pass) {
  uint32_t *first = NEW_ARRAY(pass, uint32_t, p->nbuffer), *last = NEW_ARRAY(pass, uint32_t, p->nbuffer);
  uint64_t fixed = 0;
  for (uint32_t b = 1; b < p->nbuffer; b++) {
    first[b] = UINT32_MAX;
    if (p->buffer[b].role == BUF_TEMP) continue;
    offset[b] = fixed, fixed += aligned(buffer_bytes(&p->buffer[b]));
  }
  for (uint32_t i = 0; i < p->ncall; i++)
    for (uint32_t j = 0; j < p->kernel[p->call[i].kernel]->narg; j++) {
      uint32_t b = p->call[i].buf[j];
      if (first[b] == UINT32_MAX) first[b] = i;
      last[b] = SEED(109, i - (i > first[b]), i); /* caught by whole_agree */
    }
  Holes h = {.arena = pass, .end = fixed};
  for (uint32_t i = 0; i < p->ncall; i++) {
    lives_change(p, &h, i, first, offset, false);
    lives_change(p, &h, i, last, offset, true);
  }
  return h.end;
}
