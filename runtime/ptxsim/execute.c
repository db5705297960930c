/* execute.c: a warp. Its lanes are groups, each with a program counter; the group that is furthest
 * behind runs until it meets another one, splits, waits or ends. An instruction is done for all
 * lanes of the group at once, where its predicate lets them. Before an instruction that wants the
 * whole warp a group waits for the others, as paths that join may lie anywhere in the text. */
#include "part.h"
#include <string.h>

enum { MAX_LOOPS = 1 << 20 }; /* steps back of a warp, in all its loops together */

/* ---- results --------------------------------------------------------------------------------- */

void warp_result(Warp *w, Operand to, uint32_t bytes, Mask mask, const void *vector) {
  uint8_t *d = w->file + to;
  w->block->lanes->select(d, vector, d, mask, bytes);
}

static void predicate_set(Warp *w, Operand to, Mask mask, Mask value) {
  Mask *p = &w->predicate[to];
  *p = (*p & ~mask) | (value & mask);
}

/* ---- registers that may be unwritten --------------------------------------------------------- */

static void registers_check(Warp *w, const Instruction *n, uint32_t pc, Mask active, Mask mask) {
  if (w->block->checks != SIM_CHECKS_ALL) return;
  for (uint32_t i = 0; i < (uint32_t)n->nfrom + (n->guard != NONE); i++) {
    bool guard = i == n->nfrom, predicate = guard || operand_is_predicate(n, i, false);
    Operand o = guard ? (Operand)n->guard : n->from[i];
    if (!predicate && (o & CONSTANT)) continue;
    Mask written = predicate ? w->written_predicate[o] : w->written[o / VECTOR];
    Mask missing = (guard ? active : mask) & ~written;
    if (n->kind == KIND_SELECT && i < 2) /* the operand that is not chosen */
      missing &= i ? ~w->predicate[n->from[2]] : w->predicate[n->from[2]];
    if (missing)
      fault_report(w, SIM_FAULT_UNINITIALISED, pc, (uint32_t)__builtin_ctz(missing),
                   "reads a register that it never wrote (%s %u of the instruction)",
                   guard ? "the predicate" : "operand", i + 1);
  }
}

static void registers_track(Warp *w, const Instruction *n, Mask mask) {
  for (uint32_t i = 0; i < n->nto; i++)
    if (operand_is_predicate(n, i, true)) w->written_predicate[n->to[i]] |= mask;
    else w->written[n->to[i] / VECTOR] |= mask;
}

/* ---- simple instructions --------------------------------------------------------------------- */

static void lanes_do(Warp *w, const Instruction *n, Mask mask) {
  const void *from[4];
  for (int i = 0; i < 4; i++) from[i] = warp_vector(w, n->from[i]);
  if (mask == ALL_LANES) {
    n->run.lanes(w->file + n->to[0], from);
    return;
  }
  _Alignas(32) uint8_t vector[8 * LANES];
  n->run.lanes(vector, from);
  warp_result(w, n->to[0], n->size, mask, vector);
}

static void select_do(Warp *w, const Instruction *n, Mask mask) {
  _Alignas(32) uint8_t vector[8 * LANES];
  void *to = mask == ALL_LANES ? w->file + n->to[0] : vector;
  w->block->lanes->select(to, warp_vector(w, n->from[0]), warp_vector(w, n->from[1]),
                          w->predicate[n->from[2]], n->size);
  if (mask != ALL_LANES) warp_result(w, n->to[0], n->size, mask, vector);
}

static void logic_do(Warp *w, const Instruction *n, Mask mask) {
  Mask a = w->predicate[n->from[0]], b = w->predicate[n->from[1]];
  switch (n->mode) {
  case LOGIC_SET: a = (Mask)n->immediate; break;
  case LOGIC_NOT: a = ~a; break;
  case LOGIC_AND: a &= b; break;
  case LOGIC_OR: a |= b; break;
  case LOGIC_XOR: a ^= b; break;
  default: break;
  }
  predicate_set(w, n->to[0], mask, a);
}

static uint32_t special_value(const Warp *w, Special which, uint32_t lane) {
  const Block *b = w->block;
  const SimLaunch *l = b->launch->what;
  uint32_t t = w->index * LANES + lane;
  switch (which) {
  case SPECIAL_TID_X: return t % l->block[0];
  case SPECIAL_TID_Y: return t / l->block[0] % l->block[1];
  case SPECIAL_TID_Z: return t / l->block[0] / l->block[1];
  case SPECIAL_NTID_X:
  case SPECIAL_NTID_Y:
  case SPECIAL_NTID_Z: return l->block[which - SPECIAL_NTID_X];
  case SPECIAL_CTAID_X:
  case SPECIAL_CTAID_Y:
  case SPECIAL_CTAID_Z: return b->id[which - SPECIAL_CTAID_X];
  case SPECIAL_NCTAID_X: case SPECIAL_NCTAID_Y: case SPECIAL_NCTAID_Z:
    return l->grid[which - SPECIAL_NCTAID_X];
  case SPECIAL_LANE: return lane;
  case SPECIAL_WARP: return w->index;
  case SPECIAL_NWARP: return b->nwarp;
  case SPECIAL_MASK_EQ: return lane_bit(lane);
  case SPECIAL_MASK_LT: return lane_bit(lane) - 1;
  case SPECIAL_MASK_LE: return lane_bit(lane) * 2 - 1;
  case SPECIAL_MASK_GT: return ~(lane_bit(lane) * 2 - 1);
  case SPECIAL_MASK_GE: return ~(lane_bit(lane) - 1);
  case SPECIAL_DYNAMIC_SHARED:
    return (b->f->info.shared + b->f->dynamic_align - 1) / b->f->dynamic_align *
           b->f->dynamic_align;
  default: return (uint32_t)w->loops;
  }
}

static void special_do(Warp *w, const Instruction *n, Mask mask) {
  uint32_t narrow[LANES];
  uint64_t wide[LANES];
  for (uint32_t i = 0; i < LANES; i++) wide[i] = narrow[i] = special_value(w, (Special)n->mode, i);
  bool is_wide = n->register_bytes == 8;
  warp_result(w, n->to[0], n->register_bytes, mask, is_wide ? (void *)wide : (void *)narrow);
}

/* One register from several, the first lowest. */
static void pack_do(Warp *w, const Instruction *n, Mask mask) {
  uint64_t wide[LANES] = {0};
  uint32_t narrow[LANES], bits = 8u * n->size / n->vector;
  for (uint32_t p = 0; p < n->vector; p++) {
    const uint32_t *part = warp_vector(w, n->from[p]);
    uint64_t keep = bits == 32 ? UINT32_MAX : UINT16_MAX;
    for (uint32_t i = 0; i < LANES; i++) wide[i] |= (part[i] & keep) << bits * p;
  }
  for (uint32_t i = 0; i < LANES; i++) narrow[i] = (uint32_t)wide[i];
  warp_result(w, n->to[0], n->size, mask, n->size == 8 ? (void *)wide : (void *)narrow);
}

static void unpack_do(Warp *w, const Instruction *n, Mask mask) {
  uint32_t part[MAX_TO][LANES], bits = 8u * n->size / n->vector;
  const void *from = warp_vector(w, n->from[0]);
  for (uint32_t i = 0; i < LANES; i++) {
    uint64_t x = n->size == 8 ? ((const uint64_t *)from)[i] : ((const uint32_t *)from)[i];
    for (uint32_t p = 0; p < n->vector; p++)
      part[p][i] = (uint32_t)(x >> bits * p) & (bits == 32 ? UINT32_MAX : UINT16_MAX);
  }
  for (uint32_t p = 0; p < n->vector; p++) warp_result(w, n->to[p], 4, mask, part[p]);
}

/* ---- together -------------------------------------------------------------------------------- */

bool warp_together(Warp *w, uint32_t pc, Mask wanted, Mask mask, const char *what) {
  Mask missing = wanted & ~mask, strange = mask & ~wanted;
  if (!missing && !strange) return true;
  if (w->block->checks == SIM_CHECKS_NONE) return !missing;
  uint32_t lane = (uint32_t)__builtin_ctz(missing ? missing : strange);
  if (missing)
    fault_report(w, SIM_FAULT_WARP, pc, mask ? (uint32_t)__builtin_ctz(mask) : 0,
                 "is at %s without lane %u of its warp, which %s", what, lane,
                 w->live >> lane & 1 ? "went another way" : "has ended or never was");
  else fault_report(w, SIM_FAULT_WARP, pc, lane, "is at %s, whose mask leaves it out", what);
  return !missing;
}

static void warp_sync_do(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  uint32_t lane = (uint32_t)__builtin_ctz(mask);
  Mask wanted = ((const uint32_t *)warp_vector(w, n->from[0]))[lane];
  warp_together(w, pc, wanted & w->live, mask, "bar.warp.sync");
  shared_warp_sync(w);
}

static void barrier_do(Warp *w, uint32_t pc, Mask mask) {
  w->barrier_pc = pc;
  if (mask == w->began || w->block->checks == SIM_CHECKS_NONE) return;
  Mask missing = w->began & ~mask;
  fault_report(
      w, SIM_FAULT_BARRIER, pc, (uint32_t)__builtin_ctz(mask),
      "is at a barrier that lane %u of its warp is not at: the barrier is in diverged code",
      (uint32_t)__builtin_ctz(missing));
}

static void copy_commit(Warp *w, uint32_t pc, Mask mask) {
  warp_together(w, pc, w->live, mask, "cp.async.commit_group");
  w->copy_group++;
}

static void copy_wait(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  warp_together(w, pc, w->live, mask, "cp.async.wait_group");
  uint32_t open = (uint32_t)n->immediate;
  if (n->mode) w->copy_group++;
  warp_copy_wait(w, w->copy_group > open ? w->copy_group - open : 0);
}

/* ---- control --------------------------------------------------------------------------------- */

/* A branch of some lanes of a group; true: the group goes on without looking around. */
static bool branch_do(Warp *w, Group *g, const Instruction *n, uint32_t pc, Mask taken,
                      bool alone) {
  Block *b = w->block;
  b->tally.branches += n->guard != NONE;
  if (n->target <= pc && ++w->loops == MAX_LOOPS) {
    fault_report(w, SIM_FAULT_DEADLOCK, pc, (uint32_t)__builtin_ctz(g->mask),
                 "goes round a loop for ever: %d times so far", MAX_LOOPS);
    return false;
  }
  if (taken == g->mask) {
    g->pc = n->target;
    return alone;
  }
  g->pc = pc + 1;
  if (!taken) return true;
  b->tally.divergent++;
  g->mask &= ~taken;
  w->group[w->ngroup++] = (Group){.pc = n->target, .mask = taken};
  return false;
}

static void return_do(Warp *w, Group *g, Mask mask) {
  w->live &= ~mask;
  g->mask &= ~mask;
  if (!w->live) warp_copy_wait(w, UINT32_MAX);
}

/* ---- the loop -------------------------------------------------------------------------------- */

/* All that does not change the way; false: the kind is one of control. */
static inline bool plain_do(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  switch ((Kind)n->kind) {
  case KIND_LANES: lanes_do(w, n, mask); return true;
  case KIND_COMPARE:
    predicate_set(w, n->to[0], mask,
                  n->run.compare(warp_vector(w, n->from[0]), warp_vector(w, n->from[1])));
    return true;
  case KIND_MULTIPLY: warp_multiply(w, n, pc, mask); return true;
  case KIND_SELECT: select_do(w, n, mask); return true;
  case KIND_LOGIC: logic_do(w, n, mask); return true;
  case KIND_SPECIAL: special_do(w, n, mask); return true;
  case KIND_PACK: pack_do(w, n, mask); return true;
  case KIND_UNPACK: unpack_do(w, n, mask); return true;
  case KIND_PARAMETER: warp_parameter(w, n, mask); return true;
  case KIND_LOAD: warp_load(w, n, pc, mask); return true;
  case KIND_STORE: warp_store(w, n, pc, mask); return true;
  case KIND_ATOMIC: warp_atomic(w, n, pc, mask); return true;
  case KIND_COPY: warp_copy(w, n, pc, mask); return true;
  case KIND_COMMIT: copy_commit(w, pc, mask); return true;
  case KIND_WAIT: copy_wait(w, n, pc, mask); return true;
  case KIND_MATRIX: warp_matrix(w, n, pc, mask); return true;
  case KIND_SHUFFLE: warp_shuffle(w, n, pc, mask); return true;
  case KIND_VOTE: warp_vote(w, n, pc, mask); return true;
  case KIND_WARP_SYNC: warp_sync_do(w, n, pc, mask); return true;
  case KIND_FENCE: if (n->mode == FENCE_DEVICE) race_fence(w, mask); return true;
  default: return false;
  }
}

/* One instruction of control; true: the group goes on. */
static bool control_do(Warp *w, Group *g, const Instruction *n, uint32_t pc, Mask mask,
                       bool alone) {
  switch ((Kind)n->kind) {
  case KIND_BRANCH: return branch_do(w, g, n, pc, mask, alone);
  case KIND_RETURN:
    return_do(w, g, mask);
    g->pc = pc + 1;
    return g->mask != 0;
  case KIND_BARRIER:
    g->pc = pc + 1;
    if (!mask) return true;
    barrier_do(w, pc, mask);
    g->waiting = true;
    return false;
  default: /* KIND_TRAP */
    g->pc = pc + 1;
    if (mask)
      fault_report(w, SIM_FAULT_TRAP, pc, (uint32_t)__builtin_ctz(mask), "stops the kernel: trap");
    return !mask;
  }
}

/* Instructions that lanes of a warp do together: whoever comes first waits for the others. */
static bool wants_all(const Instruction *n) {
  switch ((Kind)n->kind) {
  case KIND_SHUFFLE: case KIND_MATRIX: case KIND_MULTIPLY: case KIND_WARP_SYNC: case KIND_BARRIER:
  case KIND_COMMIT: case KIND_WAIT: return true;
  case KIND_VOTE: return n->mode != VOTE_ACTIVE;
  default: return false;
  }
}

/* Runs a group until it reaches `meet`, where another one is, or for another reason. */
static void group_run(Warp *w, Group *g, uint32_t meet) {
  Block *b = w->block;
  const Instruction *code = b->f->code;
  const Mask active = g->mask;
  uint32_t pc = g->pc, lanes = (uint32_t)__builtin_popcount(active);
  while (pc != meet && !b->stop) {
    const Instruction *n = &code[pc];
    Mask mask = active;
    if (active != w->live && !g->forced && wants_all(n)) {
      g->held = true;
      break;
    }
    g->forced = false;
    if (n->guard != NONE) mask &= n->guard_not ? ~w->predicate[n->guard] : w->predicate[n->guard];
    if (n->checked) registers_check(w, n, pc, active, mask);
    b->count[pc]++;
    b->tally.active_lanes += n->guard == NONE ? lanes : (uint32_t)__builtin_popcount(mask);
    if (n->kind < KIND_BARRIER || n->kind == KIND_WARP_SYNC || n->kind == KIND_FENCE) {
      if (mask) plain_do(w, n, pc, mask);
      if (n->tracked) registers_track(w, n, mask);
      pc++;
      continue;
    }
    if (!control_do(w, g, n, pc, mask, meet == UINT32_MAX)) return;
    if (g->mask != active) return;
    pc = g->pc;
  }
  g->pc = pc;
}

/* Drops empty groups, joins those at the same place, and finds the one furthest behind and where
 * the next one is; NULL: all wait or have ended. */
static Group *group_next(Warp *w, uint32_t *meet) {
  Group *first = NULL;
  for (uint32_t i = 0; i < w->ngroup; i++) {
    Group *g = &w->group[i];
    if (!g->mask) {
      *g = w->group[--w->ngroup], i--;
      continue;
    }
    for (uint32_t j = i + 1; j < w->ngroup;) {
      if (w->group[j].pc != g->pc || w->group[j].waiting != g->waiting) { j++; continue; }
      g->mask |= w->group[j].mask, g->held = g->forced = false;
      w->group[j] = w->group[--w->ngroup];
    }
    if (g->held && g->mask == w->live) g->held = false;
    if (!g->waiting && !g->held && (!first || g->pc < first->pc)) first = g;
  }
  for (uint32_t i = 0; !first && i < w->ngroup; i++)
    if (!w->group[i].waiting) {
      first = &w->group[i];
      first->held = false, first->forced = true;
    }
  *meet = UINT32_MAX;
  for (uint32_t i = 0; first && i < w->ngroup; i++)
    if (&w->group[i] != first && !w->group[i].waiting && w->group[i].pc < *meet)
      *meet = w->group[i].pc;
  return first;
}

void warp_run(Warp *w) {
  uint32_t meet;
  Group *g;
  while (!w->block->stop && (g = group_next(w, &meet))) group_run(w, g, meet);
}
