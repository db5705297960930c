/* command_bench.c: the lowerings of one network side by side, in one process and one run. In: a
 * file, a net, a list of lowerings. Out: for each the median time of a training step with its
 * spread, the ratio to the first and to the roofline, its launches, and how far its weights are
 * from the first one's after the same steps.
 *
 * Machines have slow moments. So a round holds some steps of every lowering, beginning with another
 * one each time, and a measurement of what the machine could do at best just then; a ratio is the
 * median of the ratios within the rounds. There are as many rounds as it takes to know the ratios
 * of those that are nearly as fast as the first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bench.h"
#include "check.h"
#include "rate.h"

static const char EVERY_LOWERING[] =
    "free,dense,unfused,projected,fused:epilogue,fused:update,fused"; /* on a CUDA device */
static const double ERROR_WANTED = 0.002, ERROR_MATTERS = 0.05; /* of ratios; above 1 */

/* ---- one entry ----------------------------------------------------------------------------- */

/* "W=free" for the first parameter of the net that is a weight set, or NULL. */
static const char *free_define(Bench *b, const Names *names, const Ast *net) {
  for (uint32_t i = 0; net && i < net->nchild; i++) {
    const Ast *list = net->child[i];
    for (uint32_t j = 0; list && j < list->nchild; j++)
      if (list->child[j] && list->child[j]->kind == AST_PARAM &&
          list->child[j]->type == TYPE_WEIGHT)
        return arena_printf(&b->arena, "%s=free", name_text(names, list->child[j]->name));
  }
  return NULL;
}

static bool entry_compile(Bench *b, Entry *e) {
  Arguments a = *b->a;
  bool free_set = !strcmp(e->word, "free");
  a.flag[FLAG_LOWER] = free_set ? "fused" : e->word;
  if (!arguments_compile(&a, &e->c)) return false;
  e->c.request.define = a.define;
  if (free_set && !compile_run(&e->c, a.place[0], PASS_check)) return false;
  if (free_set) {
    const char *define =
        free_define(b, e->c.names, check_pick(&e->c.front, AST_NET, e->c.request.net));
    if (!define)
      return compile_fail(&e->c, LCW_USAGE,
                          "--lower=free: the net has no parameter of kind weight to set to free");
    compile_release(&e->c);
    a.define[a.ndefine++] = define;
    const char **list = NEW_ARRAY(&b->arena, const char *, a.ndefine);
    memcpy(list, a.define, a.ndefine * sizeof *list);
    if (!arguments_compile(&a, &e->c)) return false;
    e->c.request.define = list;
  }
  if (!code_make(b->a, &e->c, a.place[0], &e->code)) return false;
  for (PassId p = 0; p < PASS_COUNT; p++) e->compile_ms += e->c.ms[p];
  return true;
}

static bool entry_open(Bench *b, Entry *e) {
  Fault f = {0};
  if (!entry_compile(b, e)) return false;
  e->plan = e->code.plan;
  if (session_open(&e->s, &e->code.model, &b->a->run, &f)) return true;
  return e->c.exit = fault_print(&f), false;
}

static void entry_close(Entry *e) {
  session_close(&e->s);
  code_close(&e->code);
  compile_release(&e->c);
}

/* ---- steps --------------------------------------------------------------------------------- */

static bool entry_step(Entry *e, uint64_t seed, Fault *f) {
  Figures sum = {0};
  double epochs = (double)e->plan->set.epochs, per = (double)e->s.steps_per_epoch;
  RateTime at = {floor((double)e->step / per), (double)e->step, epochs, epochs * per};
  float rate = (float)rate_of(e->plan, &at);
  bool ok = session_step(&e->s, seed, e->step, e->step % e->s.steps_per_epoch, rate, &sum, f);
  e->step++;
  return ok;
}

static uint64_t seed_of(const Bench *b, const Entry *e) {
  return b->a->run.seed.given ? b->a->run.seed.n : e->plan->set.seed;
}

bool entry_init(Bench *b, Entry *e) {
  Fault f = {0};
  if (session_init(&e->s, seed_of(b, e), &f)) return true;
  return e->c.exit = fault_print(&f), false;
}

/* Milliseconds by the device's own clock, else by that on the wall. */
static double entry_clock(const Entry *e) {
  Reading r = {0};
  Device *d = e->s.device;
  return d->meter ? d->meter(d, &r), r.ms : clock_seconds() * 1e3;
}

bool entry_steps(Bench *b, Entry *e, uint32_t n, bool timed) {
  Fault f = {0};
  for (uint32_t i = 0; i < n; i++) {
    double start = entry_clock(e);
    if (!entry_step(e, seed_of(b, e), &f)) return e->c.exit = fault_print(&f), false;
    if (timed) e->time[e->ntime++] = entry_clock(e) - start;
  }
  return true;
}

/* ---- weights ------------------------------------------------------------------------------- */

/* W of a parameter of n lanes and `rows` rows: v + c (x) s for every sum-to-zero group "a:b". */
static void weight_fold(double *w, uint64_t lanes, uint64_t rows, const char *groups) {
  int first, end, used;
  for (; sscanf(groups, "%d:%d%n", &first, &end, &used) == 2;
       groups += used + (groups[used] == ',')) {
    double m = end - first;
    if (first < 0 || end > (int)lanes || m < 1) return;
    for (uint64_t r = 0; r < rows; r++) {
      double s = 0;
      for (int j = first; j < end; j++) s += w[(uint64_t)j * rows + r];
      for (int j = first; j < end; j++)
        w[(uint64_t)j * rows + r] -= s / (j == first ? sqrt(m) : m + sqrt(m));
    }
  }
}

static double *weight_get(Entry *e, const PlanBuf *p) {
  uint64_t n = p->bytes / sizeof(float);
  float *raw = malloc(p->bytes ? p->bytes : 1);
  double *w = malloc(n * sizeof *w + 1);
  if (!raw || !w) return free(raw), free(w), NULL;
  e->s.device->get(e->s.device, raw, p->offset, p->bytes);
  for (uint64_t i = 0; i < n; i++) w[i] = (double)raw[i];
  free(raw);
  if (p->fold && p->rank == 2) weight_fold(w, p->dim[0], p->dim[1], plan_text(e->plan, p->fold));
  return w;
}

static const PlanBuf *param_find(const Plan *p, const char *name) {
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = PLAN_AT(p, PlanBuf, p->buf) + i;
    if (b->role == BUF_PARAM && !strcmp(plan_text(p, b->name), name)) return b;
  }
  return NULL;
}

/* The largest difference of any weight between two entries, relative to the layer's largest. */
static double weights_differ(Entry *e, Entry *to) {
  double worst = 0;
  for (uint32_t i = 0; i < to->plan->nbuf; i++) {
    const PlanBuf *q = PLAN_AT(to->plan, PlanBuf, to->plan->buf) + i;
    if (q->role != BUF_PARAM) continue;
    const PlanBuf *p = param_find(e->plan, plan_text(to->plan, q->name));
    if (!p || p->bytes != q->bytes) return NAN;
    double *x = weight_get(e, p), *y = weight_get(to, q), most = 0, far = 0;
    for (uint64_t k = 0; x && y && k < p->bytes / sizeof(float); k++) {
      far = fmax(far, fabs(x[k] - y[k]));
      most = fmax(most, fabs(y[k]));
      if (isnan(x[k] - y[k])) far = NAN;
    }
    free(x), free(y);
    if (isnan(far)) return NAN;
    if (most > 0) worst = fmax(worst, far / most);
  }
  return worst;
}

void differences_find(Bench *b) {
  for (uint32_t i = 0; i < b->n; i++)
    b->entry[i]->difference =
        strcmp(b->entry[i]->word, "free") ? weights_differ(b->entry[i], b->entry[b->n - 1]) : NAN;
}

const char *difference_text(Bench *b, const Entry *e) {
  if (isnan(e->difference)) return b->a->run.json ? "null" : "-";
  return arena_printf(&b->arena, "%.2e", e->difference);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static int double_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *x, uint32_t n) {
  qsort(x, n, sizeof *x, double_order);
  return x[n / 2];
}

/* How far the median of n sorted samples may be from that of their distribution: half of what lies
 * between the ranks that are its standard error away. */
static double median_error(const double *x, uint32_t n) {
  uint32_t away = (uint32_t)ceil(sqrt((double)n) / 2), low = n / 2 > away ? n / 2 - away : 0;
  uint32_t high = n / 2 + away < n ? n / 2 + away : n - 1;
  return (x[high] - x[low]) / 2;
}

/* The median over the rounds of e's time to the first entry's, and its error. */
static double ratio_first(const Bench *b, const Entry *e, double *error) {
  double x[ROUNDS], ratio;
  for (uint32_t i = 0; i < b->rounds; i++) x[i] = e->round[i] / b->entry[0]->round[i];
  ratio = median(x, b->rounds);
  *error = median_error(x, b->rounds);
  return ratio;
}

/* True if no ratio of interest needs more rounds. */
static bool ratios_known(const Bench *b) {
  for (uint32_t i = 1; i < b->n; i++) {
    double error, ratio = ratio_first(b, b->entry[i], &error);
    if (fabs(ratio - 1) < ERROR_MATTERS && error > ERROR_WANTED) return false;
  }
  return b->rounds >= ROUNDS_LEAST;
}

static bool round_run(Bench *b, uint32_t round) {
  if (b->entry[0]->code.jit)
    b->roof[round] = roofline_measure(b->entry[0]->code.isa[0], b->entry[0]->s.device->threads);
  for (uint32_t k = 0; k < b->n; k++) {
    Entry *e = b->entry[(k + round) % b->n];
    double *first = e->time + e->ntime, copy[STEPS_ROUND];
    if (!entry_steps(b, e, 1, false) || !entry_steps(b, e, STEPS_ROUND, true)) return false;
    memcpy(copy, first, sizeof copy);
    e->round[round] = median(copy, STEPS_ROUND);
  }
  return true;
}

static bool bench_run(Bench *b) {
  for (uint32_t i = 0; i < b->n; i++)
    if (!entry_init(b, b->entry[i]) || !entry_steps(b, b->entry[i], STEPS_COMPARED, false))
      return false;
  differences_find(b);
  do {
    if (!round_run(b, b->rounds)) return false;
    b->rounds++;
  } while (b->rounds < ROUNDS && !ratios_known(b));
  for (uint32_t i = 0; i < b->n; i++) (void)median(b->entry[i]->time, b->entry[i]->ntime);
  return true;
}

/* Flops of a step at the peak, and the bytes of parameters and their state at memory's. */
static double floor_ms(const Entry *e, const Roofline *r, double *flops) {
  double bytes = 0;
  *flops = 0;
  for (uint32_t i = e->plan->phase[PHASE_TRAIN]; i < e->plan->phase[PHASE_TRAIN + 1]; i++) {
    const PlanStep *s = PLAN_AT(e->plan, PlanStep, e->plan->step) + i;
    if (s->op == STEP_LAUNCH)
      *flops += (double)PLAN_AT(e->plan, PlanKernel, e->plan->kernel)[s->a].flops;
  }
  for (uint32_t i = 0; i < e->plan->nbuf; i++) {
    const PlanBuf *p = PLAN_AT(e->plan, PlanBuf, e->plan->buf) + i;
    if (p->role == BUF_PARAM || p->role == BUF_STATE) bytes += 2 * (double)p->bytes;
  }
  return (*flops / r->flops + bytes / r->bytes) * 1e3;
}

static uint32_t launches(const Entry *e) {
  uint32_t n = 0;
  for (uint32_t i = e->plan->phase[PHASE_TRAIN]; i < e->plan->phase[PHASE_TRAIN + 1]; i++)
    n += (PLAN_AT(e->plan, PlanStep, e->plan->step) + i)->op == STEP_LAUNCH;
  return n;
}

/* The same to the roofline. */
static double ratio_roofline(const Bench *b, const Entry *e) {
  double x[ROUNDS], flops;
  for (uint32_t i = 0; i < b->rounds; i++)
    x[i] = e->round[i] / floor_ms(b->entry[0], &b->roof[i], &flops);
  return median(x, b->rounds);
}

/* The rates of a middling round. */
static Roofline roofline_middle(const Bench *b) {
  double flops[ROUNDS], bytes[ROUNDS];
  for (uint32_t i = 0; i < b->rounds; i++)
    flops[i] = b->roof[i].flops, bytes[i] = b->roof[i].bytes;
  return (Roofline){median(flops, b->rounds), median(bytes, b->rounds)};
}

/* What stands above the table: the machine, and its best time for the step where that is known. */
static void head_print(Bench *b, Text *out) {
  const Device *d = b->entry[0]->s.device;
  bool json = b->a->run.json;
  double flops;
  if (!b->entry[0]->code.jit) {
    text_add(out, json ? "{\"schema\":\"lcwc.bench/1\",\"isa\":\"%s\"" : "%s, %s, by its own clock\n\n",
             d->isa, d->about ? d->about : d->name);
    return;
  }
  Roofline r = roofline_middle(b);
  double floor = floor_ms(b->entry[0], &r, &flops);
  if (json)
    text_add(out,
             "{\"schema\":\"lcwc.bench/1\",\"isa\":\"%s\",\"threads\":%u,\"peak_gflops\":%.1f,"
             "\"bandwidth_gbytes\":%.2f,\"roofline_ms\":%.3f",
             d->isa, d->threads, r.flops * 1e-9, r.bytes * 1e-9, floor);
  else
    text_add(out,
             "%s, %u threads: peak %.1f GFLOP/s, memory %.1f GB/s; %.3f GFLOP a step, roofline "
             "%.2f ms\n\n",
             d->isa, d->threads, r.flops * 1e-9, r.bytes * 1e-9, flops * 1e-9, floor);
}

static void entry_print(Bench *b, Entry *e, Text *out) {
  static const char row[] = "%-15s %9.3f %9.3f %9.3f %9.3f %7.3f %9s %9u %11s\n";
  static const char object[] =
      "{\"lower\":\"%s\",\"step_ms\":%.4f,\"low_ms\":%.4f,\"high_ms\":%.4f,\"ratio\":%.4f,"
      "\"ratio_error\":%.4f,\"to_roofline\":%s,\"launches\":%u,\"difference\":%s}";
  bool json = b->a->run.json;
  double middle = e->time[e->ntime / 2], low = e->time[e->ntime / 20], error,
         high = e->time[e->ntime - 1 - e->ntime / 20], first = ratio_first(b, e, &error);
  const char *roofline = e->code.jit ? arena_printf(&b->arena, "%.3f", ratio_roofline(b, e))
                         : json ? "null" : "-";
  text_add(out, json ? object : row, e->word, middle, low, high, first, error, roofline, launches(e),
           difference_text(b, e));
}

static void report(Bench *b, Text *out) {
  bool json = b->a->run.json;
  head_print(b, out);
  if (json) text_add(out, ",\"lowerings\":[");
  else
    text_add(out, "%-15s %9s %9s %9s %9s %7s %9s %9s %11s\n", "lowering", "ms/step", "5 %", "95 %",
             "to first", "+-", "to roof", "launches", "difference");
  for (uint32_t i = 0; i < b->n; i++) {
    if (json && i) text_add(out, ",");
    entry_print(b, b->entry[i], out);
  }
  if (json) text_add(out, "]}\n");
  else
    text_add(out,
             "\ndifference: largest difference of a weight from `%s` after %d steps, relative to "
             "its layer's largest\n",
             b->entry[b->n - 1]->word, STEPS_COMPARED);
}

static bool entries_open(Bench *b, const char *list) {
  if (!*list)
    return command_fail(LCW_USAGE,
                        "--lower= names no lowering\nhelp: --lower=free,dense,unfused,fused"),
           false;
  while (*list && b->n < MOST_ENTRIES) {
    size_t n = strcspn(list, ",");
    Entry *e = b->entry[b->n] = NEW(&b->arena, Entry);
    e->word = arena_text(&b->arena, list, n);
    b->n++;
    if (!entry_open(b, e)) return false;
    list += n + (list[n] == ',');
  }
  return b->n > 0;
}

int command_bench(int argc, char **argv) {
  Arguments a;
  int code = arguments_parse(&a, "bench", true, 1, 2, argc, argv);
  if (code >= 0) return code;
  Bench b = {.a = &a};
  arena_init(&b.arena, "perm", 0);
  const char *device = a.flag[FLAG_DEVICE], *list = a.flag[FLAG_LOWER];
  bool host = !device || !strcmp(device, "host");
  if (!list) list = host ? "free,dense,unfused,fused" : EVERY_LOWERING;
  Text out;
  text_init(&out, &b.arena);
  bool ok = entries_open(&b, list), counts = ok && bench_counts(&b);
  ok = ok && (counts ? counts_run(&b) : bench_run(&b));
  if (ok) counts ? counts_report(&b, &out) : report(&b, &out);
  code = ok ? text_write(&out) : b.n ? b.entry[b.n - 1]->c.exit : LCW_USAGE;
  for (uint32_t i = 0; i < b.n; i++) entry_close(b.entry[i]);
  arena_release(&b.arena);
  return code;
}
