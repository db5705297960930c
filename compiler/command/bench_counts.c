/* bench_counts.c: the lowerings on the simulated CUDA device. In: opened entries. Out: what one
 * training step of each executes: instructions of warps, bytes of global memory, launches. These
 * are counts of what the device was given to do; how long a GPU would take for it they don't say. */
#include <math.h>
#include <string.h>
#include "bench.h"

enum { SECTOR = 32 };

static bool reading_take(const Entry *e, Reading *r) {
  *r = (Reading){0};
  if (e->s.device->meter) e->s.device->meter(e->s.device, r);
  return r->counted;
}

bool bench_counts(const Bench *b) {
  Reading r;
  return reading_take(b->entry[0], &r);
}

bool counts_run(Bench *b) {
  for (uint32_t i = 0; i < b->n; i++) {
    Entry *e = b->entry[i];
    Reading from, to;
    if (!entry_init(b, e) || !reading_take(e, &from)) return false;
    if (!entry_steps(b, e, 1, false) || !reading_take(e, &to)) return false;
#define X(name, text) e->count.name = to.count.name - from.count.name;
    SIM_COUNTERS(X)
#undef X
  }
  differences_find(b);
  return true;
}

/* One object for each lowering, with all that was counted. */
static void counts_json(Bench *b, Text *out) {
  text_add(out, "{\"schema\":\"lcwc.bench.counts/1\",\"isa\":\"%s\",\"simulated\":true,\"lowerings\":[",
           b->entry[0]->s.device->isa);
  for (uint32_t i = 0; i < b->n; i++) {
    const Entry *e = b->entry[i];
    text_add(out, "%s{\"lower\":\"%s\",\"difference\":%s", i ? "," : "", e->word,
             difference_text(b, e));
#define X(name, what) text_add(out, ",\"" #name "\":%llu", (unsigned long long)e->count.name);
    SIM_COUNTERS(X)
#undef X
    text_add(out, "}");
  }
  text_add(out, "]}\n");
}

/* a to b in percent more, as text. */
static const char *more_text(Bench *b, uint64_t of, uint64_t than) {
  return than ? arena_printf(&b->arena, "%+.2f %%", 100 * ((double)of / (double)than - 1)) : "-";
}

void counts_report(Bench *b, Text *out) {
  const SimCounters *first = &b->entry[0]->count;
  if (b->a->run.json) {
    counts_json(b, out);
    return;
  }
  text_add(out,
           "%s, simulated: one training step as counted, not timed\n\n%-15s %13s %10s %14s %10s %9s "
           "%11s\n",
           b->entry[0]->s.device->isa, "lowering", "instructions", "to first", "bytes moved", "to first",
           "launches", "difference");
  for (uint32_t i = 0; i < b->n; i++) {
    const SimCounters *c = &b->entry[i]->count;
    text_add(out, "%-15s %13llu %10s %14llu %10s %9llu %11s\n", b->entry[i]->word,
             (unsigned long long)c->instructions, more_text(b, c->instructions, first->instructions),
             (unsigned long long)c->global_sectors * SECTOR,
             more_text(b, c->global_sectors, first->global_sectors), (unsigned long long)c->launches,
             difference_text(b, b->entry[i]));
  }
  text_add(out,
           "\ninstructions: of warps, of all kinds; bytes: sectors of 32 of global memory\n"
           "difference: largest difference of a weight from `%s` after this step, relative to its "
           "layer's largest\n",
           b->entry[b->n - 1]->word);
}
