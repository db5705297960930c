/* access.c: loads and stores. An access is first placed: the addresses of its lanes, the memory
 * they are in, bounds and alignment (a fault ends the block, as it does on a GPU); then checked by
 * the shadow of that memory; then done. */
#include "part.h"
#include <string.h>

/* ---- where lanes go -------------------------------------------------------------------------- */

static const char *const space_name[] = {"memory", "global memory", "shared memory", "local memory",
                                         "the parameters"};

/* What lies nearest to an address of global memory that no allocation holds. */
static void outside_describe(const Block *b, uint64_t at, uint32_t bytes, SimText *out) {
  const Memory *m = &b->launch->sim->memory;
  const Allocation *below = NULL, *above = NULL;
  for (size_t i = 0; i < m->n; i++) {
    if (m->at[i]->begin <= at) below = m->at[i];
    else if (!above) above = m->at[i];
  }
  sim_text_add(out, "%u bytes at 0x%llx", bytes, (unsigned long long)at);
  if (below && (!above || at - below->begin - below->bytes + bytes <= above->begin - at))
    sim_text_add(out, ", byte %llu of the %llu of allocation 0x%llx %s",
                 (unsigned long long)(at - below->begin), (unsigned long long)below->bytes,
                 (unsigned long long)below->begin, below->name);
  else if (above)
    sim_text_add(out, ", %llu bytes before the %llu of allocation 0x%llx %s",
                 (unsigned long long)(above->begin - at), (unsigned long long)above->bytes,
                 (unsigned long long)above->begin, above->name);
}

static bool outside_report(Warp *w, const Access *a, uint64_t limit) {
  uint32_t lane;
  SimText text = {0};
  EACH_LANE(lane, a->mask) {
    uint64_t at = a->address[lane];
    if (at - a->base < limit && limit - (at - a->base) >= a->bytes) continue;
    if (a->space == SPACE_GLOBAL) outside_describe(w->block, at, a->bytes, &text);
    else sim_text_add(&text, "%u bytes at %llu of the %llu of %s", a->bytes, (unsigned long long)at,
                      (unsigned long long)limit, space_name[a->space]);
    fault_report(w, SIM_FAULT_ADDRESS, a->pc, lane, "is out of bounds: %s", text.text);
    sim_text_release(&text);
    return false;
  }
  return true;
}

static bool misaligned_report(Warp *w, const Access *a, uint32_t align) {
  uint32_t lane;
  EACH_LANE(lane, a->mask) if (a->address[lane] % align) {
    fault_report(w, SIM_FAULT_MISALIGNED, a->pc, lane,
                 "is misaligned: address 0x%llx of %s is no multiple of %u",
                 (unsigned long long)a->address[lane], space_name[a->space], align);
    return false;
  }
  return true;
}

/* The window of generic memory that the first lane is in: its space and where it begins. */
static uint64_t window_of(const void *base, int64_t offset, Mask mask, uint8_t *space) {
  uint64_t at = ((const uint64_t *)base)[__builtin_ctz(mask)] + (uint64_t)offset;
  *space = at >= LOCAL_WINDOW ? SPACE_LOCAL : at >= SHARED_WINDOW ? SPACE_SHARED : SPACE_GLOBAL;
  return at >= LOCAL_WINDOW ? LOCAL_WINDOW : at >= SHARED_WINDOW ? SHARED_WINDOW : 0;
}

/* Lanes of the mask that are in the same window. */
static Mask window_lanes(const void *base, int64_t offset, Mask mask, uint8_t space) {
  Mask same = 0;
  uint32_t lane;
  EACH_LANE(lane, mask) {
    uint8_t here;
    window_of(base, offset, lane_bit(lane), &here);
    if (here == space) same |= lane_bit(lane);
  }
  return same;
}

/* The memory behind an access and how much there is from its base on. */
static uint64_t memory_behind(Warp *w, Access *a, uint64_t low) {
  Block *b = w->block;
  switch (a->space) {
  case SPACE_SHARED: a->host = b->shared; return b->shared_bytes;
  case SPACE_LOCAL: a->host = w->local; return b->f->info.local;
  case SPACE_PARAM:
    memcpy(&a->host, &(const void *){b->launch->what->parameters}, sizeof a->host);
    return b->f->info.parameter_bytes;
  default: break;
  }
  Allocation *in = b->hint[a->pc];
  if (!in || low - in->begin >= in->bytes)
    b->hint[a->pc] = in = memory_find(&b->launch->sim->memory, low);
  if (!in) return 0;
  a->in = in, a->host = in->data, a->base = in->begin;
  return in->bytes;
}

Mask access_begin(Warp *w, const Instruction *n, uint32_t pc, Where where, Mask mask, Access *a) {
  const void *base = warp_vector(w, where.base);
  uint64_t range[3], window = 0;
  *a = (Access){.n = n, .pc = pc, .bytes = where.bytes, .space = where.space};
  if (where.space == SPACE_GENERIC) {
    if (!where.wide) a->space = SPACE_GLOBAL;
    else {
      window = window_of(base, where.offset, mask, &a->space);
      mask = window_lanes(base, where.offset, mask, a->space);
    }
  }
  a->mask = mask;
  a->packed = w->block->lanes->addresses(a->address, base, where.wide,
                                         where.offset - (int64_t)window, mask, a->bytes, range);
  uint64_t limit = memory_behind(w, a, range[0]);
  if (range[0] - a->base >= limit || range[1] - a->base >= limit ||
      limit - (range[1] - a->base) < a->bytes)
    if (!outside_report(w, a, limit)) return 0;
  if (range[2] & (a->bytes - 1) && !misaligned_report(w, a, a->bytes)) return 0;
  return mask;
}

/* ---- checks ---------------------------------------------------------------------------------- */

/* Bytes of global memory that nobody wrote. */
static void written_check(Warp *w, const Access *a) {
  const uint8_t *bits = a->in->written;
  uint32_t lane;
  if (a->packed && bits_all(bits, a->address[0] - a->base, LANES * a->bytes)) return;
  EACH_LANE(lane, a->mask) {
    if (bits_all(bits, a->address[lane] - a->base, a->bytes)) continue;
    fault_report(
        w, SIM_FAULT_UNINITIALISED, a->pc, lane,
        "reads global memory that nobody wrote: byte %llu of the %llu of allocation 0x%llx %s",
        (unsigned long long)(a->address[lane] - a->base), (unsigned long long)a->in->bytes,
        (unsigned long long)a->base, a->in->name);
    return;
  }
}

/* Blocks that run at the same time may share a byte of bits. */
static void bits_share(uint8_t *bits, uint64_t first, uint64_t n) {
  for (; n && first % 8; first++, n--)
    __atomic_fetch_or(&bits[first / 8], (uint8_t)(1 << first % 8), __ATOMIC_RELAXED);
  for (; n >= 8; first += 8, n -= 8)
    __atomic_store_n(&bits[first / 8], (uint8_t)255, __ATOMIC_RELAXED);
  for (; n; first++, n--)
    __atomic_fetch_or(&bits[first / 8], (uint8_t)(1 << first % 8), __ATOMIC_RELAXED);
}

static void written_mark(const Access *a) {
  uint8_t *bits = a->in->written;
  uint32_t lane;
  if (a->packed) {
    uint64_t first = a->address[0] - a->base;
    if (!bits_all(bits, first, LANES * a->bytes)) bits_share(bits, first, LANES * a->bytes);
    return;
  }
  EACH_LANE(lane, a->mask) {
    uint64_t first = a->address[lane] - a->base;
    if (!bits_all(bits, first, a->bytes)) bits_share(bits, first, a->bytes);
  }
}

void access_read(Warp *w, const Access *a) {
  Block *b = w->block;
  if (b->counting && a->space <= SPACE_SHARED) counters_access(b, a, a->space == SPACE_SHARED);
  if (b->checks == SIM_CHECKS_NONE) return;
  if (a->space == SPACE_SHARED) shared_read(w, a);
  if (a->space != SPACE_GLOBAL || b->checks != SIM_CHECKS_ALL) return;
  written_check(w, a);
  if (a->n->mode != ACCESS_SYNC) race_read(w, a);
}

void access_write(Warp *w, const Access *a) {
  Block *b = w->block;
  if (b->counting && a->space <= SPACE_SHARED) counters_access(b, a, a->space == SPACE_SHARED);
  if (a->space == SPACE_GLOBAL) written_mark(a);
  if (b->checks == SIM_CHECKS_NONE) return;
  if (a->space == SPACE_SHARED) shared_write(w, a);
  if (a->space == SPACE_GLOBAL && b->checks == SIM_CHECKS_ALL && a->n->mode != ACCESS_SYNC)
    race_write(w, a);
}

/* ---- loads ----------------------------------------------------------------------------------- */

/* The memory of a lane; local memory is each thread's own. */
static inline uint8_t *lane_host(const Warp *w, const Access *a, uint32_t lane) {
  return access_host(a, lane) + (a->space == SPACE_LOCAL ? lane * w->block->f->info.local : 0);
}

static uint64_t value_read(const uint8_t *from, uint32_t size, bool is_signed) {
  uint64_t x = 0;
  memcpy(&x, from, size);
  uint32_t shift = 64 - 8 * size;
  return is_signed ? (uint64_t)((int64_t)(x << shift) >> shift) : x;
}

static void values_load(Warp *w, const Access *a) {
  const Instruction *n = a->n;
  uint32_t lane;
  if (a->packed && n->vector == 1 && n->size == n->register_bytes && a->space != SPACE_LOCAL) {
    memcpy(w->file + n->to[0], access_host(a, 0), LANES * n->size);
    return;
  }
  for (uint32_t v = 0; v < n->vector; v++) {
    uint8_t *to = w->file + n->to[v];
    if (n->size == 4 && n->register_bytes == 4) {
      EACH_LANE(lane, a->mask) memcpy(to + 4 * lane, lane_host(w, a, lane) + 4 * v, 4);
      continue;
    }
    EACH_LANE(lane, a->mask) {
      uint64_t x = value_read(lane_host(w, a, lane) + n->size * v, n->size, n->is_signed);
      memcpy(to + n->register_bytes * lane, &x, n->register_bytes);
    }
  }
}

static Where instruction_where(const Instruction *n) {
  return (Where){n->space, n->wide, n->from[0], n->immediate, (uint32_t)n->size * n->vector};
}

void warp_load(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Access a;
  for (Mask left = mask, done; left; left &= ~done) {
    done = access_begin(w, n, pc, instruction_where(n), left, &a);
    if (!done) return;
    access_read(w, &a);
    values_load(w, &a);
  }
}

void warp_parameter(Warp *w, const Instruction *n, Mask mask) {
  const uint8_t *from = (const uint8_t *)w->block->launch->what->parameters + n->immediate;
  uint32_t lane;
  for (uint32_t v = 0; v < n->vector; v++) {
    uint64_t x = value_read(from + n->size * v, n->size, n->is_signed);
    EACH_LANE(lane, mask)
      memcpy(w->file + n->to[v] + n->register_bytes * lane, &x, n->register_bytes);
  }
}

/* ---- stores ---------------------------------------------------------------------------------- */

static void values_store(Warp *w, const Access *a) {
  const Instruction *n = a->n;
  uint32_t lane;
  if (a->packed && n->vector == 1 && n->size == n->register_bytes && a->space != SPACE_LOCAL) {
    memcpy(access_host(a, 0), warp_vector(w, n->from[1]), LANES * n->size);
    return;
  }
  for (uint32_t v = 0; v < n->vector; v++) {
    const uint8_t *from = warp_vector(w, n->from[1 + v]);
    uint32_t stride = n->from[1 + v] & CONSTANT ? (n->size < 4 ? 4 : n->size) : n->register_bytes;
    EACH_LANE(lane, a->mask)
      memcpy(lane_host(w, a, lane) + n->size * v, from + stride * lane, n->size);
  }
}

void warp_store(Warp *w, const Instruction *n, uint32_t pc, Mask mask) {
  Access a;
  for (Mask left = mask, done; left; left &= ~done) {
    done = access_begin(w, n, pc, instruction_where(n), left, &a);
    if (!done) return;
    access_write(w, &a);
    values_store(w, &a);
    if (a.space == SPACE_GLOBAL) w->dirty |= a.mask;
  }
}
