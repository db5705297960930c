/* counters.c: what launches did, in all and by kernel. Instructions are counted where they are, by
 * block-running threads each for itself, and added by class when the launch ends. */
#include "part.h"
#include <stdlib.h>
#include <string.h>

static void counters_add(SimCounters *to, const SimCounters *from) {
#define X(name, text) to->name += from->name;
  SIM_COUNTERS(X)
#undef X
}

static uint64_t *class_counter(SimCounters *c, Class class) {
  switch (class) {
  case CLASS_integer: return &c->integer;
  case CLASS_floating: return &c->floating;
  case CLASS_special: return &c->special;
  case CLASS_convert: return &c->convert;
  case CLASS_move: return &c->move;
  case CLASS_control: return &c->control;
  case CLASS_global_access: return &c->global_access;
  case CLASS_shared_access: return &c->shared_access;
  case CLASS_other_access: return &c->other_access;
  case CLASS_async_copy: return &c->async_copy;
  case CLASS_matrix: return &c->matrix;
  case CLASS_warp: return &c->warp;
  default: return &c->atomic;
  }
}

void counters_take(Launch *l, Block *b) {
  for (uint32_t i = 0; i < l->f->ncode; i++) {
    *class_counter(&b->tally, (Class)l->f->code[i].class) += b->count[i];
    b->tally.instructions += b->count[i];
  }
  counters_add(&l->tally, &b->tally);
}

/* The counters of a kernel's name; the last resort without memory is the total alone. */
static struct Counted *counted_find(Sim *sim, const SimFunction *f) {
  for (size_t i = 0; i < sim->ncounted; i++)
    if (!strcmp(sim->counted[i].name, f->info.name)) return &sim->counted[i];
  if (sim->ncounted == sim->room_counted) {
    size_t room = sim->room_counted ? 2 * sim->room_counted : 32;
    struct Counted *c = realloc(sim->counted, room * sizeof *c);
    if (!c) return NULL;
    sim->counted = c, sim->room_counted = room;
  }
  char *name = strdup(f->info.name);
  if (!name) return NULL;
  sim->counted[sim->ncounted] = (struct Counted){.name = name};
  return &sim->counted[sim->ncounted++];
}

void counters_finish(Launch *l) {
  struct Counted *c = counted_find(l->sim, l->f);
  l->tally.launches = 1;
  if (c) counters_add(&c->counters, &l->tally);
  counters_add(&l->sim->total, &l->tally);
}

void counters_release(Sim *sim) {
  for (size_t i = 0; i < sim->ncounted; i++) free(sim->counted[i].name);
  free(sim->counted);
  sim->counted = NULL, sim->ncounted = sim->room_counted = 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Passes of up to 128 bytes over shared memory that these lanes need: lanes of 16 bytes go in
 * quarters of a warp, of 8 in halves; in a pass every bank gives one word, to any lanes. */
static uint64_t wavefronts(const Access *a) {
  uint32_t words = a->bytes > 4 ? a->bytes / 4 : 1, together = LANES / words;
  uint64_t passes = 0;
  for (uint32_t first = 0; first < LANES; first += together) {
    uint64_t seen[LANES * 4];
    uint8_t load[LANES] = {0}, most = 0;
    uint32_t n = 0;
    for (uint32_t lane = first; lane < first + together; lane++)
      for (uint32_t i = 0; (a->mask >> lane & 1) && i < words; i++) {
        uint64_t word = a->address[lane] / 4 + i;
        uint32_t j = 0;
        while (j < n && seen[j] != word) j++;
        if (j < n) continue;
        seen[n++] = word;
        if (++load[word % LANES] > most) most = load[word % LANES];
      }
    passes += most;
  }
  return passes;
}

/* Without conflicts: one pass for each group of lanes that has one. */
static uint64_t wavefronts_ideal(const Access *a) {
  uint32_t words = a->bytes > 4 ? a->bytes / 4 : 1, together = LANES / words;
  uint64_t passes = 0;
  for (uint32_t first = 0; first < LANES; first += together)
    passes += (a->mask >> first & (together == LANES ? ALL_LANES : lane_bit(together) - 1)) != 0;
  return passes;
}

/* Sectors of 32 bytes that lanes touch, each once; and different bytes, in sectors. */
static void sectors_count(const Access *a, uint64_t *sectors, uint64_t *ideal) {
  uint64_t seen[2 * LANES];
  uint32_t n = 0, lane, different = 0;
  EACH_LANE(lane, a->mask) {
    uint64_t first = a->address[lane] / 32, last = (a->address[lane] + a->bytes - 1) / 32;
    for (uint64_t s = first; s <= last; s++) {
      uint32_t j = n;
      while (j > 0 && seen[j - 1] != s) j--;
      if (j == 0) seen[n++] = s;
    }
    uint32_t k = 0;
    while (k < lane && !((a->mask >> k & 1) && a->address[k] == a->address[lane])) k++;
    different += k == lane;
  }
  *sectors = n, *ideal = ((uint64_t)different * a->bytes + 31) / 32;
}

void counters_access(Block *b, const Access *a, bool shared) {
  uint64_t sectors, ideal;
  if (!a->mask) return;
  if (shared) {
    b->tally.shared_wavefronts += wavefronts(a);
    b->tally.shared_ideal += wavefronts_ideal(a);
    return;
  }
  sectors_count(a, &sectors, &ideal);
  b->tally.global_sectors += sectors;
  b->tally.global_ideal += ideal;
  if (a->n->class != CLASS_async_copy) return;
  b->tally.copy_sectors += sectors;
  b->tally.copy_ideal += ideal;
}

/* ---- what the driver sees -------------------------------------------------------------------- */

void sim_count_memory(Sim *sim, bool on) { sim->count_memory = on; }
const SimCounters *sim_counters(const Sim *sim) { return &sim->total; }
size_t sim_counted_functions(const Sim *sim) { return sim->ncounted; }

const SimCounters *sim_function_counters(const Sim *sim, size_t index, const char **name) {
  *name = sim->counted[index].name;
  return &sim->counted[index].counters;
}

void sim_counters_reset(Sim *sim) {
  counters_release(sim);
  sim->total = (SimCounters){0};
}

static void counters_json(const SimCounters *c, SimText *out) {
  const char *comma = "";
#define X(name, text)                                                                            \
  sim_text_add(out, "%s\"" #name "\":%llu", comma, (unsigned long long)c->name), comma = ",";
  SIM_COUNTERS(X)
#undef X
}

void sim_counters_json(const Sim *sim, SimText *out) {
  static const char *const checks[] = {"none", "fast", "all"};
  sim_text_add(out, "{\"schema\":\"lcwc.sim/1\",\"architecture\":%u,", sim->settings.architecture);
  sim_text_add(out, "\"checks\":\"%s\",\"threads\":%u,", checks[sim->settings.checks],
               sim->settings.threads);
  sim_text_add(out, "\"memory_counted\":%s,\"total\":{", sim->count_memory ? "true" : "false");
  counters_json(&sim->total, out);
  sim_text_add(out, "},\"functions\":[");
  for (size_t i = 0; i < sim->ncounted; i++) {
    sim_text_add(out, "%s{\"name\":", i ? "," : "");
    sim_text_json(out, sim->counted[i].name);
    sim_text_add(out, ",");
    counters_json(&sim->counted[i].counters, out);
    sim_text_add(out, "}");
  }
  sim_text_add(out, "]}\n");
}
