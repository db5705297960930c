/* shared.c: the shadow of shared memory. A granule (four bytes, fewer in kernels that store fewer)
 * has two words: who wrote it last and who read it last.
 *
 *   write: epoch 12 | warp 6 | syncs 8 | lane 6        read: epoch 12 | warp 6, SEVERAL: many | 0
 *
 * An epoch ends at a barrier of the block, `syncs` counts those of the warp since then. Epoch 0:
 * never written; OLD: before all that matters; FLIGHT: an asynchronous copy is under way. Two
 * accesses of one epoch by different warps race if one is a write; those of lanes of one warp,
 * if a write is read or overwritten by another lane without a synchronisation between.
 *
 * The usual case, nobody of this epoch, is decided for four granules at a time; everything else
 * goes lane by lane through the slow path. */
#include "part.h"
#include <string.h>

enum { EPOCH_SHIFT = 20, WARP_SHIFT = 14, SYNC_SHIFT = 6, SYNC_MAX = 255, SEVERAL = 63 };
enum { OLD = 1, FIRST = 2, FLIGHT = 4095 };
typedef uint32_t Four __attribute__((vector_size(16)));

static uint32_t mark_write(const Warp *w, uint32_t lane) {
  return w->block->epoch << EPOCH_SHIFT | w->index << WARP_SHIFT | w->sync << SYNC_SHIFT | lane;
}
static uint32_t mark_read(const Warp *w) {
  return w->block->epoch << EPOCH_SHIFT | w->index << WARP_SHIFT;
}
static uint32_t epoch_of(uint32_t mark) { return mark >> EPOCH_SHIFT; }
static uint32_t warp_of(uint32_t mark) { return mark >> WARP_SHIFT & 63; }

void shared_clear(Block *b) {
  size_t n = b->shared_bytes >> b->f->granule;
  memset(b->shadow_write, 0, n * sizeof *b->shadow_write);
  memset(b->shadow_read, 0, n * sizeof *b->shadow_read);
  b->epoch = FIRST;
}

/* Epochs begin anew; what is written stays so. */
static void epochs_wrap(Block *b) {
  size_t n = b->shared_bytes >> b->f->granule;
  for (size_t i = 0; i < n; i++) {
    if (b->shadow_write[i] && epoch_of(b->shadow_write[i]) != FLIGHT)
      b->shadow_write[i] = OLD << EPOCH_SHIFT;
    b->shadow_read[i] = 0;
  }
  b->epoch = FIRST;
}

void shared_barrier(Block *b) {
  if (++b->epoch == FLIGHT) epochs_wrap(b);
  for (uint32_t i = 0; i < b->nwarp; i++) b->warp[i].sync = 0;
}

/* When a warp has synchronised too often to count, its own writes become old. */
void shared_warp_sync(Warp *w) {
  Block *b = w->block;
  if (w->sync < SYNC_MAX) {
    w->sync++;
    return;
  }
  size_t n = b->shared_bytes >> b->f->granule;
  for (size_t i = 0; i < n; i++)
    if (epoch_of(b->shadow_write[i]) == b->epoch && warp_of(b->shadow_write[i]) == w->index)
      b->shadow_write[i] =
          mark_write(w, b->shadow_write[i] & 63) & ~((uint32_t)SYNC_MAX << SYNC_SHIFT);
  w->sync = 1;
}

/* ---- words ----------------------------------------------------------------------------------- */

void shared_describe(const Block *b, uint64_t at, SimText *out) {
  for (uint32_t i = 0; i < b->f->npart; i++) {
    const SharedPart *p = &b->f->part[i];
    if (at - p->offset < p->bytes) {
      sim_text_add(out, "byte %llu of %s (shared memory + %llu)",
                   (unsigned long long)(at - p->offset), p->name, (unsigned long long)at);
      return;
    }
  }
  sim_text_add(out, "shared memory + %llu", (unsigned long long)at);
}

/* Tells of a granule that a lane should not have touched; `by` is the mark against it. */
static void shared_report(Warp *w, const Access *a, uint32_t lane, uint64_t i, SimFault fault,
                          const char *does, const char *other, uint32_t by) {
  SimText where = {0};
  shared_describe(w->block, i << w->block->f->granule, &where);
  if (fault == SIM_FAULT_UNINITIALISED)
    fault_report(w, fault, a->pc, lane, "reads %s, which nobody wrote", where.text);
  else if (fault == SIM_FAULT_ASYNC)
    fault_report(w, fault, a->pc, lane,
                 "%s %s while an asynchronous copy of thread %u to it is under way", does,
                 where.text, warp_of(by) * LANES + (by & 63));
  else if (warp_of(by) == SEVERAL)
    fault_report(w, fault, a->pc, lane, "%s %s, which several warps %s, with no barrier between",
                 does, where.text, other);
  else
    fault_report(w, fault, a->pc, lane, "%s %s, which a thread of warp %u%s %s, with no %s between",
                 does, where.text, warp_of(by), warp_of(by) == w->index ? ", its own," : "", other,
                 warp_of(by) == w->index ? "bar.warp.sync" : "barrier");
  sim_text_release(&where);
}

/* Whether the last write is a race with an access of this lane. */
static bool write_races(const Warp *w, uint32_t mark, uint32_t lane) {
  if (epoch_of(mark) != w->block->epoch) return false;
  if (warp_of(mark) != w->index) return true;
  return (mark >> SYNC_SHIFT & SYNC_MAX) == w->sync && (mark & 63) != lane;
}

/* ---- reads ----------------------------------------------------------------------------------- */

static uint32_t read_merge(uint32_t before, uint32_t mine) {
  if (epoch_of(before) != epoch_of(mine) || before == mine) return mine;
  return (mine & ~((uint32_t)63 << WARP_SHIFT)) | (uint32_t)SEVERAL << WARP_SHIFT;
}

static void read_slow(Warp *w, const Access *a) {
  Block *b = w->block;
  uint32_t g = b->f->granule, lane;
  EACH_LANE(lane, a->mask)
    for (uint64_t i = a->address[lane] >> g; i <= (a->address[lane] + a->bytes - 1) >> g; i++) {
      uint32_t mark = b->shadow_write[i];
      b->shadow_read[i] = read_merge(b->shadow_read[i], mark_read(w));
      if (!mark) shared_report(w, a, lane, i, SIM_FAULT_UNINITIALISED, "reads", "", mark);
      else if (epoch_of(mark) == FLIGHT)
        shared_report(w, a, lane, i, SIM_FAULT_ASYNC, "reads", "", mark);
      else if (write_races(w, mark, lane))
        shared_report(w, a, lane, i, SIM_FAULT_RACE, "reads", "wrote", mark);
    }
}

/* Four granules at a time: notes the reader, and says which need a look. */
static inline Four read_four(Block *b, uint64_t i, uint32_t epoch, uint32_t mine) {
  const uint32_t many = (mine & ~((uint32_t)63 << WARP_SHIFT)) | (uint32_t)SEVERAL << WARP_SHIFT;
  Four write, read, several = (Four){0} + many;
  memcpy(&write, b->shadow_write + i, sizeof write);
  memcpy(&read, b->shadow_read + i, sizeof read);
  Four e = write >> EPOCH_SHIFT;
  Four shared = (Four)((read >> EPOCH_SHIFT == epoch) & (read != mine));
  read = (shared & several) | (~shared & mine);
  memcpy(b->shadow_read + i, &read, sizeof read);
  return (Four)((e == epoch) | (e == 0) | (e == FLIGHT));
}

static inline uint32_t read_one(Block *b, uint64_t i, uint32_t epoch, uint32_t mine) {
  uint32_t e = b->shadow_write[i] >> EPOCH_SHIFT;
  b->shadow_read[i] = read_merge(b->shadow_read[i], mine);
  return (e == epoch) | (e == 0) | (e == FLIGHT);
}

void shared_read(Warp *w, const Access *a) {
  Block *b = w->block;
  uint32_t mine = mark_read(w), words = a->bytes / 4, lane, look = 0;
  uint64_t before = UINT64_MAX;
  Four four = {0};
  if (b->f->granule != 2 || a->bytes < 4) {
    read_slow(w, a);
    return;
  }
  if (a->packed)
    for (uint32_t i = 0; i < LANES * words; i += 4)
      four |= read_four(b, a->address[0] / 4 + i, b->epoch, mine);
  else EACH_LANE(lane, a->mask) {
    uint64_t at = a->address[lane] / 4;
    if (at == before) continue;
    before = at;
    if (words == 4) four |= read_four(b, at, b->epoch, mine);
    else for (uint32_t i = 0; i < words; i++) look |= read_one(b, at + i, b->epoch, mine);
  }
  if (look | four[0] | four[1] | four[2] | four[3]) read_slow(w, a);
}

/* ---- writes ---------------------------------------------------------------------------------- */

/* Two lanes of one store at the same place with different values. */
static bool same_value(const Warp *w, const Access *a, uint32_t lane, uint32_t other) {
  const Instruction *n = a->n;
  if (n->kind != KIND_STORE || !(a->mask >> other & 1) || a->address[other] != a->address[lane])
    return false;
  for (uint32_t v = 0; v < n->vector; v++) {
    const uint8_t *x = warp_vector(w, n->from[1 + v]);
    uint32_t each = n->from[1 + v] & CONSTANT ? (n->size < 4 ? 4 : n->size) : n->register_bytes;
    if (memcmp(x + each * lane, x + each * other, n->size)) return false;
  }
  return true;
}

static void write_slow(Warp *w, const Access *a) {
  Block *b = w->block;
  uint32_t g = b->f->granule, lane;
  EACH_LANE(lane, a->mask)
    for (uint64_t i = a->address[lane] >> g; i <= (a->address[lane] + a->bytes - 1) >> g; i++) {
      uint32_t write = b->shadow_write[i], read = b->shadow_read[i];
      b->shadow_write[i] = mark_write(w, lane);
      if (epoch_of(write) == FLIGHT)
        shared_report(w, a, lane, i, SIM_FAULT_ASYNC, "writes", "", write);
      else if (write_races(w, write, lane)) {
        if (warp_of(write) == w->index && same_value(w, a, lane, write & 63)) continue;
        shared_report(w, a, lane, i, SIM_FAULT_RACE, "writes", "wrote", write);
      } else if (epoch_of(read) == b->epoch && warp_of(read) != w->index)
        shared_report(w, a, lane, i, SIM_FAULT_RACE, "writes", "read", read);
    }
}

/* Whether one of the granules was touched in this epoch, or is in flight. */
static inline uint32_t touched(const Block *b, uint64_t i, uint32_t epoch, uint32_t mine) {
  uint32_t e = b->shadow_write[i] >> EPOCH_SHIFT, r = b->shadow_read[i];
  return (e == epoch) | (e == FLIGHT) | (r >> EPOCH_SHIFT == epoch && r != mine);
}

/* The same of four. */
static inline Four touched_four(const Block *b, uint64_t i, uint32_t epoch, uint32_t mine) {
  Four write, read;
  memcpy(&write, b->shadow_write + i, sizeof write);
  memcpy(&read, b->shadow_read + i, sizeof read);
  Four e = write >> EPOCH_SHIFT;
  return (Four)(e == epoch) | (Four)(e == FLIGHT) |
         ((Four)(read >> EPOCH_SHIFT == epoch) & (Four)(read != mine));
}

/* Whether the store may race: then it is looked at lane by lane. */
static uint32_t writes_touch(const Block *b, const Access *a, uint32_t mine) {
  uint32_t words = a->bytes / 4, lane, look = 0;
  Four four = {0};
  EACH_LANE(lane, a->mask) {
    uint64_t first = a->address[lane] / 4;
    if (words == 4) four |= touched_four(b, first, b->epoch, mine);
    else for (uint32_t i = 0; i < words; i++) look |= touched(b, first + i, b->epoch, mine);
  }
  return look | four[0] | four[1] | four[2] | four[3];
}

void shared_write(Warp *w, const Access *a) {
  Block *b = w->block;
  uint32_t words = a->bytes / 4, lane, look = 0;
  if (b->f->granule != 2 || a->bytes < 4 || writes_touch(b, a, mark_read(w))) {
    write_slow(w, a);
    return;
  }
  EACH_LANE(lane, a->mask) {
    const Four mark = (Four){0} + mark_write(w, lane);
    uint32_t *to = b->shadow_write + a->address[lane] / 4;
    if (words == 4) memcpy(to, &mark, sizeof mark);
    else for (uint32_t i = 0; i < words; i++) to[i] = mark[0];
  }
  EACH_LANE(lane, a->mask) look |= b->shadow_write[a->address[lane] / 4] != mark_write(w, lane);
  if (look) write_slow(w, a);
}

/* ---- asynchronous copies --------------------------------------------------------------------- */

void shared_in_flight(Warp *w, const Access *a) {
  uint32_t g = w->block->f->granule, lane;
  EACH_LANE(lane, a->mask)
    for (uint64_t i = a->address[lane] >> g; i <= (a->address[lane] + a->bytes - 1) >> g; i++)
      w->block->shadow_write[i] = (uint32_t)FLIGHT << EPOCH_SHIFT | w->index << WARP_SHIFT | lane;
}

void shared_landed(Warp *w, uint32_t lane, uint32_t at, uint32_t bytes) {
  uint32_t g = w->block->f->granule;
  for (uint32_t i = at >> g; i <= (at + bytes - 1) >> g; i++)
    w->block->shadow_write[i] = mark_write(w, lane);
}
