/* race.c: races in global memory between blocks of one launch. A Cell remembers the last writer and
 * the last reader of four bytes:
 *
 *   launch 20 | block 22 | epoch 16 | warp 6          (a reader's block SEVERAL: many blocks)
 *
 * Two accesses by different blocks of a launch race if one of them is a write and nothing orders
 * them. What orders them is an atomic on the same word: a block that draws a ticket there comes
 * after those that drew before, for what they wrote and had fenced (__threadfence, before a barrier
 * or by the thread that draws, as both are in use). Known of the blocks before: SyncVariable, the
 * tickets drawn on a word in order; Acquired, how many of them a block has seen, when. */
#include "part.h"
#include <stdio.h>
#include <stdlib.h>

enum { LAUNCH_SHIFT = 44, BLOCK_SHIFT = 22, EPOCH_SHIFT = 6 };
enum { EPOCH_MAX = 65535, SEVERAL = 0x3fffff };

typedef struct { uint32_t block, epoch, warp; bool fenced; } Ticket;
struct SyncVariable { uint64_t address; Ticket *ticket; size_t n, room; };
struct Acquired { size_t variable, n; uint32_t epoch, warp; };

static uint32_t block_of(uint64_t mark) { return (uint32_t)(mark >> BLOCK_SHIFT) & SEVERAL; }
static uint32_t epoch_of(uint64_t mark) { return (uint32_t)(mark >> EPOCH_SHIFT) & EPOCH_MAX; }
static uint32_t warp_of(uint64_t mark) { return (uint32_t)mark & 63; }

static uint64_t mark_of(const Warp *w) {
  const Block *b = w->block;
  uint32_t epoch = b->barriers < EPOCH_MAX ? b->barriers : EPOCH_MAX;
  return b->launch->serial << LAUNCH_SHIFT | (uint64_t)b->index << BLOCK_SHIFT |
         (uint64_t)epoch << EPOCH_SHIFT | w->index;
}

/* ---- fences and barriers --------------------------------------------------------------------- */

/* A lane's fence covers what it wrote, and what the block wrote before the last barrier. */
void race_fence(Warp *w, Mask mask) {
  w->dirty &= ~mask;
  w->fenced |= mask;
}

void race_barrier(Block *b) {
  bool fenced = false, dirty = false;
  for (uint32_t i = 0; i < b->nwarp; i++) {
    fenced |= b->warp[i].fenced != 0, dirty |= b->warp[i].dirty != 0;
    b->warp[i].fenced = b->warp[i].dirty = 0;
  }
  b->dirty = (b->dirty && !fenced) || dirty;
  b->barriers++;
}

/* ---- tickets --------------------------------------------------------------------------------- */

static size_t variable_find(Launch *l, uint64_t address) {
  for (size_t i = 0; i < l->nsync; i++)
    if (l->sync[i].address == address) return i;
  if (l->nsync == l->room_sync) {
    l->room_sync = l->room_sync ? 2 * l->room_sync : 16;
    l->sync = realloc(l->sync, l->room_sync * sizeof *l->sync);
    if (!l->sync) abort();
  }
  l->sync[l->nsync] = (struct SyncVariable){.address = address};
  return l->nsync++;
}

static void ticket_draw(Warp *w, uint64_t address, uint32_t lane) {
  Block *b = w->block;
  pthread_mutex_lock(&b->launch->lock);
  size_t which = variable_find(b->launch, address);
  struct SyncVariable *v = &b->launch->sync[which];
  if (b->nacquired == b->room_acquired) {
    b->room_acquired = b->room_acquired ? 2 * b->room_acquired : 16;
    b->acquired = realloc(b->acquired, b->room_acquired * sizeof *b->acquired);
  }
  if (v->n == v->room) {
    v->room = v->room ? 2 * v->room : 64;
    v->ticket = realloc(v->ticket, v->room * sizeof *v->ticket);
  }
  if (!b->acquired || !v->ticket) abort();
  b->acquired[b->nacquired++] = (struct Acquired){which, v->n, b->barriers, w->index};
  bool fenced = (!b->dirty || (w->fenced >> lane & 1)) && !(w->dirty >> lane & 1);
  v->ticket[v->n++] = (Ticket){b->index, b->barriers, w->index, fenced};
  pthread_mutex_unlock(&b->launch->lock);
}

void race_release(Launch *l) {
  for (size_t i = 0; i < l->nsync; i++) free(l->sync[i].ticket);
  free(l->sync);
}

/* Whether what a mark tells of happened before a ticket was drawn. */
static bool ticket_covers(const Ticket *t, uint64_t mark) {
  return t->block == block_of(mark) && t->fenced &&
         (epoch_of(mark) < t->epoch || (epoch_of(mark) == t->epoch && warp_of(mark) == t->warp));
}

/* Whether it comes before this access of the warp. */
static bool ordered(const Warp *w, uint64_t mark) {
  Block *b = w->block;
  Launch *l = b->launch;
  bool found = false;
  if (mark == b->known_write) return true;
  pthread_mutex_lock(&l->lock);
  for (size_t i = b->nacquired; i-- > 0 && !found;) {
    const struct Acquired *a = &b->acquired[i];
    if (a->epoch == b->barriers && a->warp != w->index) continue;
    for (size_t j = a->n; j-- > 0 && !found;)
      found = ticket_covers(&l->sync[a->variable].ticket[j], mark);
  }
  pthread_mutex_unlock(&l->lock);
  if (found) b->known_write = mark;
  return found;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static void race_report(Warp *w, const Access *a, uint64_t word, uint64_t mark, const char *does,
                        const char *other) {
  uint32_t lane = (uint32_t)__builtin_ctz(a->mask), i;
  EACH_LANE(i, a->mask)
    if ((a->address[i] - a->base) / 4 <= word &&
        (a->address[i] - a->base + a->bytes - 1) / 4 >= word) {
      lane = i;
      break;
    }
  char whom[40] = "several blocks";
  if (block_of(mark) != SEVERAL) {
    const uint32_t *grid = w->block->launch->what->grid, n = block_of(mark);
    snprintf(whom, sizeof whom, "block (%u, %u, %u)", n % grid[0], n / grid[0] % grid[1],
             n / grid[0] / grid[1]);
  }
  fault_report(w, SIM_FAULT_RACE, a->pc, lane,
               "%s byte %llu of allocation 0x%llx %s, which %s %s in the same launch, "
               "with nothing to order them",
               does, (unsigned long long)(4 * word), (unsigned long long)a->base, a->in->name, whom,
               other);
}

/* Whether a mark is of another block of this launch. */
static inline bool foreign(uint64_t mark, uint64_t mine) {
  return mark >> LAUNCH_SHIFT == mine >> LAUNCH_SHIFT && (mark ^ mine) >> BLOCK_SHIFT;
}

static inline void word_read(Warp *w, const Access *a, uint64_t word, uint64_t mine) {
  Cell *c = &a->in->cell[word];
  uint64_t write = __atomic_load_n(&c->write, __ATOMIC_RELAXED),
           read = __atomic_load_n(&c->read, __ATOMIC_RELAXED);
  uint64_t next = foreign(read, mine) ? mine | (uint64_t)SEVERAL << BLOCK_SHIFT : mine;
  if (next != read) __atomic_store_n(&c->read, next, __ATOMIC_RELAXED);
  if (foreign(write, mine) && !ordered(w, write)) race_report(w, a, word, write, "reads", "wrote");
}

static inline void word_write(Warp *w, const Access *a, uint64_t word, uint64_t mine) {
  Cell *c = &a->in->cell[word];
  uint64_t write = __atomic_load_n(&c->write, __ATOMIC_RELAXED),
           read = __atomic_load_n(&c->read, __ATOMIC_RELAXED);
  __atomic_store_n(&c->write, mine, __ATOMIC_RELAXED);
  if (foreign(write, mine) && !ordered(w, write)) race_report(w, a, word, write, "writes", "wrote");
  else if (foreign(read, mine) && (block_of(read) != SEVERAL || !w->block->nacquired) &&
           !ordered(w, read))
    race_report(w, a, word, read, "writes", "read");
}

/* First and last word of an access that are wholly its own: halves of a word may be two blocks'. */
static bool words_of(const Access *a, uint64_t at, uint64_t bytes, uint64_t *first,
                     uint64_t *last) {
  *first = (at - a->base + 3) / 4, *last = (at - a->base + bytes) / 4;
  return *first < *last;
}

void race_read(Warp *w, const Access *a) {
  uint64_t mine = mark_of(w), first, last;
  uint32_t lane;
  if (a->packed) {
    if (words_of(a, a->address[0], (uint64_t)LANES * a->bytes, &first, &last))
      for (; first < last; first++) word_read(w, a, first, mine);
    return;
  }
  uint64_t before = UINT64_MAX;
  EACH_LANE(lane, a->mask) {
    if (a->address[lane] == before) continue;
    before = a->address[lane];
    for (first = (before - a->base) / 4; first <= (before - a->base + a->bytes - 1) / 4; first++)
      word_read(w, a, first, mine);
  }
}

void race_write(Warp *w, const Access *a) {
  uint64_t mine = mark_of(w), first, last;
  uint32_t lane;
  if (a->packed) {
    if (words_of(a, a->address[0], (uint64_t)LANES * a->bytes, &first, &last))
      for (; first < last; first++) word_write(w, a, first, mine);
    return;
  }
  EACH_LANE(lane, a->mask)
    if (words_of(a, a->address[lane], a->bytes, &first, &last))
      for (; first < last; first++) word_write(w, a, first, mine);
}

/* An atomic reads what it finds, and draws a ticket. That it writes is no race with atomics. */
void race_atomic(Warp *w, const Access *a) {
  uint32_t lane;
  uint64_t mine = mark_of(w);
  EACH_LANE(lane, a->mask) {
    ticket_draw(w, a->address[lane], lane);
    word_read(w, a, (a->address[lane] - a->base) / 4, mine);
  }
}
