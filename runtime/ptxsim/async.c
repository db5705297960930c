/* async.c: asynchronous copies to shared memory. They are done as late as the waits allow: the
 * bytes arrive when the thread waits for their group, and until then nobody may touch them. */
#include "part.h"
#include <stdlib.h>
#include <string.h>

static Copy *copy_new(Warp *w) {
  if (w->ncopy == w->room_copy) {
    size_t room = w->room_copy ? 2 * w->room_copy : 64;
    Copy *c = realloc(w->copy, room * sizeof *c);
    if (!c) abort();
    w->copy = c, w->room_copy = room;
  }
  return &w->copy[w->ncopy++];
}

/* Bytes that a lane really reads; the rest of its copy are zeros. */
static uint32_t bytes_valid(const Warp *w, const Instruction *n, uint32_t lane) {
  if (n->nfrom < 3) return n->size;
  uint32_t valid = ((const uint32_t *)warp_vector(w, n->from[2]))[lane];
  return valid < n->size ? valid : n->size;
}

/* The reads of those lanes that read so many bytes. */
static bool sources_find(Warp *w, const Instruction *n, uint32_t pc, Mask mask, uint32_t valid,
                         Copy *c) {
  Access a;
  uint32_t lane;
  Where where = {SPACE_GLOBAL, n->mode, n->from[1], (int32_t)n->target, n->size};
  /* Alignment is that of the whole, bounds that of the part. */
  if (valid < n->size) where.bytes = 1;
  if (!access_begin(w, n, pc, where, mask, &a)) return false;
  a.bytes = valid;
  EACH_LANE(lane, mask) {
    if (a.address[lane] - a.base + valid > a.in->bytes) {
      fault_report(w, SIM_FAULT_ADDRESS, pc, lane,
                   "copies %u bytes from byte %llu of an allocation of %llu", valid,
                   (unsigned long long)(a.address[lane] - a.base), (unsigned long long)a.in->bytes);
      return false;
    }
    c->from[lane] = access_host(&a, lane);
  }
  Instruction read = *n;
  read.mode = ACCESS_WEAK;
  a.n = &read;
  access_read(w, &a);
  return true;
}

void warp_copy(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Access to;
  uint32_t lane;
  Where where = {SPACE_SHARED, n->wide, n->from[0], n->immediate, n->size};
  if (!access_begin(w, n, pc, where, mask, &to)) return;
  Copy *c = copy_new(w);
  *c = (Copy){.mask = mask, .bytes = n->size, .group = w->copy_group, .pc = pc};
  EACH_LANE(lane, mask)
    c->to[lane] = (uint32_t)to.address[lane], c->valid[lane] = bytes_valid(w, n, lane);
  for (Mask left = mask; left;) {
    uint32_t valid = c->valid[__builtin_ctz(left)];
    Mask same = 0;
    EACH_LANE(lane, left) if (c->valid[lane] == valid) same |= lane_bit(lane);
    if (valid && !sources_find(w, n, pc, same, valid, c)) {
      w->ncopy--;
      return;
    }
    left &= ~same;
  }
  access_write(w, &to);
  if (w->block->checks != SIM_CHECKS_NONE) shared_in_flight(w, &to);
}

static void copy_land(Warp *w, const Copy *c) {
  uint32_t lane;
  EACH_LANE(lane, c->mask) {
    uint8_t *to = w->block->shared + c->to[lane];
    if (c->valid[lane]) memcpy(to, c->from[lane], c->valid[lane]);
    if (c->valid[lane] < c->bytes) memset(to + c->valid[lane], 0, c->bytes - c->valid[lane]);
    if (w->block->checks != SIM_CHECKS_NONE) shared_landed(w, lane, c->to[lane], c->bytes);
  }
}

void warp_copy_wait(Warp *w, uint32_t before) {
  size_t kept = 0;
  for (size_t i = 0; i < w->ncopy; i++) {
    if (w->copy[i].group < before) copy_land(w, &w->copy[i]);
    else if (kept++ != i) w->copy[kept - 1] = w->copy[i];
  }
  w->ncopy = kept;
}
