/* memory.c: device memory. Every allocation is host memory of its own, found by its address; with
 * it go a bit per byte, set when it is written, and a Cell per word for the races between blocks
 * (race.c). Addresses go up and wrap at the end of the range, so that a freed one is not soon used
 * again; between two allocations lie at least GAP bytes that belong to nobody. */
#include "part.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANGE_BEGIN UINT64_C(0x7f0000000000)
#define RANGE_END UINT64_C(0x7fffff000000)
enum { PLACE = 512, GAP = 4096 };

/* ---- bits of what was written ---------------------------------------------------------------- */

void bits_set(uint8_t *bits, uint64_t first, uint64_t n) {
  for (; n && first % 8; first++, n--) bits[first / 8] |= (uint8_t)(1 << first % 8);
  if (n >= 8) memset(bits + first / 8, 255, n / 8);
  for (first += n / 8 * 8, n %= 8; n; first++, n--) bits[first / 8] |= (uint8_t)(1 << first % 8);
}

bool bits_all(const uint8_t *bits, uint64_t first, uint64_t n) {
  for (; n && first % 8; first++, n--)
    if (!(bits[first / 8] >> first % 8 & 1)) return false;
  for (; n >= 8; first += 8, n -= 8)
    if (bits[first / 8] != 255) return false;
  return !n || (bits[first / 8] & ((1 << n) - 1)) == (1 << n) - 1;
}

/* What is written of `from` is written of `to`. */
static void bits_copy(Allocation *to, uint64_t at, const Allocation *from, uint64_t first,
                      uint64_t n) {
  if (bits_all(from->written, first, n)) {
    bits_set(to->written, at, n);
    return;
  }
  for (uint64_t i = 0; i < n; i++)
    if (bits_all(from->written, first + i, 1)) bits_set(to->written, at + i, 1);
}

/* ---- allocations ----------------------------------------------------------------------------- */

/* Index of the first allocation that begins beyond an address. */
static size_t memory_above(const Memory *m, uint64_t address) {
  size_t low = 0, high = m->n;
  while (low < high) {
    size_t mid = (low + high) / 2;
    if (m->at[mid]->begin > address) high = mid;
    else low = mid + 1;
  }
  return low;
}

Allocation *memory_find(const Memory *m, uint64_t address) {
  size_t i = memory_above(m, address);
  Allocation *a = i ? m->at[i - 1] : NULL;
  return a && address - a->begin < a->bytes ? a : NULL;
}

static void allocation_free(Allocation *a) {
  if (!a) return;
  free(a->data), free(a->written), free(a->cell);
  free(a);
}

static Allocation *allocation_create(uint64_t begin, uint64_t bytes) {
  Allocation *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  *a = (Allocation){
    .begin = begin, .bytes = bytes, .data = calloc(bytes + 16, 1),
    .written = calloc(bytes / 8 + 1, 1), .cell = calloc(bytes / 4 + 4, sizeof(Cell)),
  };
  if (a->data && a->written && a->cell) return a;
  allocation_free(a);
  return NULL;
}

/* An address with room for so many bytes, after the last one given out; 0: none. */
static uint64_t memory_place(Memory *m, uint64_t bytes) {
  uint64_t need = (bytes + GAP + PLACE - 1) / PLACE * PLACE;
  for (int round = 0; round < 2; round++) {
    uint64_t at = m->next ? m->next : RANGE_BEGIN;
    for (size_t i = memory_above(m, at); at + need <= RANGE_END; i++) {
      const Allocation *before = i ? m->at[i - 1] : NULL, *after = i < m->n ? m->at[i] : NULL;
      if (before && before->begin + before->bytes + GAP > at)
        at = (before->begin + before->bytes + GAP + PLACE - 1) / PLACE * PLACE;
      if (!after || at + need <= after->begin) {
        m->next = at + need;
        return at;
      }
    }
    m->next = RANGE_BEGIN;
  }
  return 0;
}

uint64_t memory_alloc(Sim *sim, uint64_t bytes, bool of_module) {
  Memory *m = &sim->memory;
  if (!bytes || bytes > m->total - m->used) return 0;
  if (m->n == m->room) {
    size_t room = m->room ? 2 * m->room : 64;
    Allocation **at = realloc(m->at, room * sizeof *at);
    if (!at) return 0;
    m->at = at, m->room = room;
  }
  uint64_t begin = memory_place(m, bytes);
  Allocation *a = begin ? allocation_create(begin, bytes) : NULL;
  if (!a) return 0;
  a->of_module = of_module;
  size_t i = memory_above(m, begin);
  memmove(m->at + i + 1, m->at + i, (m->n - i) * sizeof *m->at);
  m->at[i] = a, m->n++;
  m->used += bytes;
  return begin;
}

uint64_t sim_alloc(Sim *sim, uint64_t bytes) { return memory_alloc(sim, bytes, false); }

bool sim_free(Sim *sim, uint64_t address) {
  Memory *m = &sim->memory;
  Allocation *a = memory_find(m, address);
  if (!a || a->begin != address) return false;
  size_t i = memory_above(m, address) - 1;
  memmove(m->at + i, m->at + i + 1, (--m->n - i) * sizeof *m->at);
  m->used -= a->bytes;
  allocation_free(a);
  return true;
}

void memory_release(Memory *m) {
  for (size_t i = 0; i < m->n; i++) allocation_free(m->at[i]);
  free(m->at);
}

void sim_memory_info(const Sim *sim, uint64_t *free_bytes, uint64_t *total_bytes) {
  *free_bytes = sim->memory.total - sim->memory.used;
  *total_bytes = sim->memory.total;
}

bool sim_find(const Sim *sim, uint64_t address, uint64_t *begin, uint64_t *bytes) {
  const Allocation *a = memory_find(&sim->memory, address);
  if (!a) return false;
  *begin = a->begin, *bytes = a->bytes;
  return true;
}

void sim_name(Sim *sim, uint64_t address, const char *name) {
  Allocation *a = memory_find(&sim->memory, address);
  if (a) snprintf(a->name, sizeof a->name, "%s", name);
}

size_t sim_leaks(const Sim *sim, SimText *out) {
  size_t n = 0;
  for (size_t i = 0; i < sim->memory.n; i++) {
    const Allocation *a = sim->memory.at[i];
    if (a->of_module) continue;
    n++;
    sim_text_add(out, "not freed: %llu bytes at 0x%llx%s%s\n", (unsigned long long)a->bytes,
                 (unsigned long long)a->begin, *a->name ? " " : "", a->name);
  }
  return n;
}

/* ---- copies ---------------------------------------------------------------------------------- */

/* The allocation of a range of bytes; NULL and the reason: it is not inside one. */
static Allocation *range_find(Sim *sim, uint64_t at, uint64_t bytes, const char *what,
                              SimText *why) {
  Allocation *a = memory_find(&sim->memory, at);
  if (a && bytes <= a->bytes - (at - a->begin)) return a;
  if (!a)
    sim_text_add(why, "%s of %llu bytes at 0x%llx, which is in no allocation", what,
                 (unsigned long long)bytes, (unsigned long long)at);
  else
    sim_text_add(why, "%s of %llu bytes at 0x%llx, byte %llu of an allocation of %llu", what,
                 (unsigned long long)bytes, (unsigned long long)at,
                 (unsigned long long)(at - a->begin), (unsigned long long)a->bytes);
  return NULL;
}

bool sim_write(Sim *sim, uint64_t to, const void *from, uint64_t bytes, SimText *why) {
  if (!bytes) return true;
  Allocation *a = range_find(sim, to, bytes, "a copy to the device", why);
  if (!a) return false;
  memcpy(a->data + (to - a->begin), from, bytes);
  bits_set(a->written, to - a->begin, bytes);
  return true;
}

bool sim_read(Sim *sim, void *to, uint64_t from, uint64_t bytes, SimText *why) {
  if (!bytes) return true;
  const Allocation *a = range_find(sim, from, bytes, "a copy from the device", why);
  if (!a) return false;
  memcpy(to, a->data + (from - a->begin), bytes);
  return true;
}

bool sim_copy(Sim *sim, uint64_t to, uint64_t from, uint64_t bytes, SimText *why) {
  if (!bytes) return true;
  const Allocation *b = range_find(sim, from, bytes, "a copy on the device, from a range", why);
  Allocation *a = b ? range_find(sim, to, bytes, "a copy on the device, to a range", why) : NULL;
  if (!a) return false;
  memmove(a->data + (to - a->begin), b->data + (from - b->begin), bytes);
  bits_copy(a, to - a->begin, b, from - b->begin, bytes);
  return true;
}

bool sim_set(Sim *sim, uint64_t to, uint32_t value, uint32_t width, uint64_t count, SimText *why) {
  uint64_t bytes = count * width;
  if (!bytes) return true;
  Allocation *a = range_find(sim, to, bytes, "a fill", why);
  if (!a) return false;
  uint8_t *at = a->data + (to - a->begin);
  for (uint64_t i = 0; i < bytes; i += width) memcpy(at + i, &value, width);
  bits_set(a->written, to - a->begin, bytes);
  return true;
}
