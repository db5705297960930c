/* together.c: what the lanes of a warp do together: shuffles, votes, ldmatrix, mma, and atomics,
 * which lanes do one after the other. */
#include "part.h"
#include <string.h>

/* ---- shuffles and votes ---------------------------------------------------------------------- */

/* The lane that a lane reads; false: its own, the other is out of the segment. */
static bool shuffle_lane(uint32_t mode, uint32_t lane, uint32_t b, uint32_t c, uint32_t *from) {
  uint32_t segment = c >> 8 & 31, most = (lane & segment) | (c & 31 & ~segment),
           least = lane & segment;
  int32_t j = (int32_t)lane, offset = (int32_t)(b & 31);
  bool inside;
  switch (mode) {
  case SHUFFLE_UP: j -= offset, inside = j >= (int32_t)most; break;
  case SHUFFLE_DOWN: j += offset, inside = j <= (int32_t)most; break;
  case SHUFFLE_BFLY: j ^= offset, inside = j <= (int32_t)most; break;
  default: j = (int32_t)(least | ((uint32_t)offset & ~segment)), inside = j <= (int32_t)most; break;
  }
  *from = inside ? (uint32_t)j : lane;
  return inside;
}

void warp_shuffle(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  const uint32_t *a = warp_vector(w, n->from[0]), *b = warp_vector(w, n->from[1]),
                 *c = warp_vector(w, n->from[2]), *members = warp_vector(w, n->from[3]);
  uint32_t out[LANES] = {0}, lane, from, first = (uint32_t)__builtin_ctz(mask);
  Mask inside = 0;
  warp_together(w, pc, members[first] & w->live, mask, "shfl.sync");
  EACH_LANE(lane, mask) {
    if (shuffle_lane(n->mode, lane, b[lane], c[lane], &from)) inside |= lane_bit(lane);
    if (!(mask >> from & 1) && w->block->checks != SIM_CHECKS_NONE)
      fault_report(w, SIM_FAULT_WARP, pc, lane, "shuffles from lane %u, which is not active", from);
    out[lane] = a[from];
  }
  warp_result(w, n->to[0], 4, mask, out);
  if (n->nto == 2)
    w->predicate[n->to[1]] = (w->predicate[n->to[1]] & ~mask) | inside;
}

void warp_vote(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Mask members = mask, yes = mask;
  if (n->mode != VOTE_ACTIVE) {
    members = ((const uint32_t *)warp_vector(w, n->from[1]))[__builtin_ctz(mask)];
    warp_together(w, pc, members & w->live, mask, "vote.sync");
    members &= mask;
    yes = members & (n->release ? ~w->predicate[n->from[0]] : w->predicate[n->from[0]]);
  }
  if (n->mode >= VOTE_BALLOT) {
    uint32_t out[LANES];
    for (uint32_t i = 0; i < LANES; i++) out[i] = yes;
    warp_result(w, n->to[0], 4, mask, out);
    return;
  }
  bool result = n->mode == VOTE_ALL   ? yes == members
                : n->mode == VOTE_ANY ? yes != 0
                                      : !yes || yes == members;
  Mask *p = &w->predicate[n->to[0]];
  *p = result ? *p | mask : *p & ~mask;
}

/* ---- tensor cores ---------------------------------------------------------------------------- */

/* Matrix j of eight rows, given by the addresses of lanes 8 j ...; lane l gets elements 2 (l % 4)
 * and the next of row l / 4, or transposed those of column l / 4. */
void warp_matrix(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Mask rows = n->vector == 4 ? ALL_LANES : lane_bit(8u * n->vector) - 1;
  Access a;
  if (!warp_together(w, pc, ALL_LANES, mask, "ldmatrix")) return;
  if (!access_begin(w, n, pc, (Where){SPACE_SHARED, n->wide, n->from[0], n->immediate, 16}, rows,
                    &a))
    return;
  access_read(w, &a);
  for (uint32_t j = 0; j < n->vector; j++) {
    uint16_t element[8][8];
    uint8_t *to = w->file + n->to[j];
    for (uint32_t r = 0; r < 8; r++) memcpy(element[r], access_host(&a, 8 * j + r), 16);
    if (!n->mode) memcpy(to, element, sizeof element);
    for (uint32_t l = 0; n->mode && l < LANES; l++) {
      uint16_t pair[2] = {element[2 * (l % 4)][l / 4], element[2 * (l % 4) + 1][l / 4]};
      memcpy(to + 4 * l, pair, sizeof pair);
    }
  }
}

void warp_multiply(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  void *d[4];
  const void *from[10];
  if (!warp_together(w, pc, ALL_LANES, mask, "mma.sync")) return;
  for (uint32_t i = 0; i < 4; i++) d[i] = w->file + n->to[i];
  for (uint32_t i = 0; i < 10; i++) from[i] = warp_vector(w, n->from[i]);
  w->block->lanes->multiply(d, from, n->mode);
}

/* ---- atomics --------------------------------------------------------------------------------- */

/* The value that an atomic leaves. */
static uint64_t atomic_next(const Instruction *n, uint64_t a, uint64_t b, uint64_t c) {
  if (n->is_signed && (n->mode == ATOMIC_min || n->mode == ATOMIC_max)) {
    bool less = n->size == 4 ? (int32_t)a < (int32_t)b : (int64_t)a < (int64_t)b;
    return less == (n->mode == ATOMIC_min) ? a : b;
  }
  switch ((Atomic)n->mode) {
#define X(name, value) case ATOMIC_##name: return value;
    ATOMICS(X)
#undef X
  default: return a;
  }
}

static uint64_t lane_value(const Warp *w, const Instruction *n, Operand o, uint32_t lane) {
  uint64_t x = 0;
  memcpy(&x, (const uint8_t *)warp_vector(w, o) + n->size * lane, n->size);
  return x;
}

/* One lane after the other; blocks in their order, so that tickets are drawn as they would be one
 * block at a time. */
void warp_atomic(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Access a;
  uint64_t out[LANES] = {0};
  uint32_t lane, narrow[LANES];
  Where where = {n->space, n->wide, n->from[0], n->immediate, n->size};
  if (access_begin(w, n, pc, where, mask, &a) != mask) return;
  if (a.space == SPACE_GLOBAL) {
    launch_wait_turn(w->block);
    if (n->release) race_fence(w, mask);
    if (w->block->checks == SIM_CHECKS_ALL) race_atomic(w, &a);
  }
  EACH_LANE(lane, mask) {
    uint64_t next;
    memcpy(&out[lane], access_host(&a, lane), n->size);
    next = atomic_next(n, out[lane], lane_value(w, n, n->from[1], lane),
                       n->nfrom > 2 ? lane_value(w, n, n->from[2], lane) : 0);
    memcpy(access_host(&a, lane), &next, n->size);
  }
  for (lane = 0; lane < LANES; lane++) narrow[lane] = (uint32_t)out[lane];
  if (n->nto) warp_result(w, n->to[0], n->size, mask, n->size == 4 ? (void *)narrow : (void *)out);
}
