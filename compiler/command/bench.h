/* bench.h: what `bench` knows of one lowering of a network, on whatever device it runs. */
#ifndef LCW_BENCH_H
#define LCW_BENCH_H
#include "code.h"
#include "meter.h"
#include "roofline.h"
#include "session.h"

enum {
  MOST_ENTRIES = 8,
  ROUNDS_LEAST = 25,
  ROUNDS = 150,
  STEPS_ROUND = 5,
  STEPS_COMPARED = 20,
  MAX_SAMPLES = ROUNDS * STEPS_ROUND
};

typedef struct {
  const char *word; /* free, fused, ... */
  Compile c;
  Code code;
  const Plan *plan;
  Session s;
  uint64_t step; /* next step of the timed run */
  double time[MAX_SAMPLES]; /* ms of every step; sorted at the end */
  double round[ROUNDS];     /* ms: the median of each round */
  uint32_t ntime;
  double compile_ms, difference;
  SimCounters count; /* of one training step, by the simulated device */
} Entry;

typedef struct {
  Arguments *a;
  Entry *entry[MOST_ENTRIES];
  uint32_t n, rounds;
  Arena arena;
  Roofline roof[ROUNDS]; /* of the host */
} Bench;

/* ---- command_bench.c ------------------------------------------------------------------------- */

bool entry_init(Bench *b, Entry *e);
/* n training steps, their times kept if `timed`. */
bool entry_steps(Bench *b, Entry *e, uint32_t n, bool timed);
/* How far the weights of each entry are from those of the last one. */
void differences_find(Bench *b);
const char *difference_text(Bench *b, const Entry *e);

/* ---- bench_counts.c -------------------------------------------------------------------------- */

/* True if the device counts and its times mean nothing. */
bool bench_counts(const Bench *b);
/* One training step of every entry, counted; the table of it. */
bool counts_run(Bench *b);
void counts_report(Bench *b, Text *out);

#endif
