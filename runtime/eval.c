/* eval.c: evaluates a checkpoint, and measures training steps. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "checkpoint.h"
#include "folder.h"
#include "json.h"
#include "plan_check.h"
#include "random.h"
#include "rate.h"
#include "session.h"
#include "train.h"

/* ---- eval -------------------------------------------------------------------------------- */

bool checkpoint_of_run(Checkpoint *c, const char *path, Fault *f) {
  struct stat st;
  char name[1200];
  if (stat(path, &st)) return fault_set(f, LCW_DATA, "%s: %s", path, strerror(errno));
  if (!S_ISDIR(st.st_mode)) return checkpoint_open(c, AT_FDCWD, path, NULL, f);
  snprintf(name, sizeof name, "%s/%s", path, CHECKPOINT_BEST);
  if (stat(name, &st)) snprintf(name, sizeof name, "%s/%s", path, CHECKPOINT_LAST);
  return checkpoint_open(c, AT_FDCWD, name, NULL, f);
}

/* The result, as words or as JSON. */
static void print_eval(const Session *s, const RunOptions *o, const char *path,
                       const Figures *sum) {
  Lines l = {0};
  double loss = figure_mean(sum->loss, sum->samples), acc = figure_mean(sum->hits, sum->samples);
  const char *net = plan_text(s->plan, s->plan->set.net);
  if (!o->json) {
    printf("%s: test loss %.4f", net, loss);
    if (!isnan(acc)) printf(", test accuracy %.4f", acc);
    printf(" (%.0f samples, %s)\n", sum->samples, path);
    return;
  }
  lines_add(&l, "{\"schema\":\"lcwc.eval/1\",");
  lines_pair(&l, "net", net);
  lines_pair(&l, "checkpoint", path);
  lines_whole(&l, "samples", (uint64_t)sum->samples);
  lines_number(&l, "test_loss", loss);
  lines_number(&l, "test_acc", acc);
  lines_number(&l, "constraint_residual", sum->residual);
  lines_close(&l, "}\n");
  fwrite(l.s, 1, l.n, stdout);
  lines_free(&l);
}

/* Loads the numbers, evaluates the test split and prints. */
static bool eval(Session *s, Checkpoint *c, const RunOptions *o, Fault *f) {
  TrainState state;
  Figures sum = {0};
  bool same;
  if (!checkpoint_state(c, &state, f) || !session_restore(s, c, &state, &same, f)) return false;
  if (s->data.test.count == 0) return fault_set(f, LCW_DATA, "the data set has no test split");
  if (!session_evaluate(s, state.seed, state.step, &sum, f)) return false;
  print_eval(s, o, c->shown, &sum);
  return (fflush(stdout) == 0 && !ferror(stdout)) ||
         fault_set(f, LCW_DATA, "standard output cannot be written: %s", strerror(errno));
}

int eval_run(const ModelCode *m, const RunOptions *o, const char *path) {
  Fault f = {0};
  Session s = {0};
  Checkpoint c = {.fd = -1};
  bool ok = checkpoint_of_run(&c, path, &f) && session_open(&s, m, o, &f) && eval(&s, &c, o, &f);
  checkpoint_close(&c);
  session_close(&s);
  return ok ? LCW_OK : fault_print(&f);
}

/* ---- profile ----------------------------------------------------------------------------- */

/* Ascending, for the median. */
static int double_order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *x, size_t n) {
  qsort(x, n, sizeof *x, double_order);
  return x[n / 2];
}

/* A training step on the next batch, again from the first after the last. */
static bool one_step(Session *s, uint64_t seed, uint32_t i, Fault *f) {
  Figures sum = {0};
  RateTime now = {0, (double)i, (double)s->plan->set.epochs,
                  (double)s->plan->set.epochs * (double)s->steps_per_epoch};
  float rate = (float)rate_of(s->plan, &now);
  return session_step(s, seed, i, i % s->steps_per_epoch, rate, &sum, f);
}

/* First whole steps, then as many with a clock around each of their parts. */
static bool profile(Session *s, uint64_t seed, uint32_t steps, Profile *out, double *time,
                    Fault *f) {
  uint32_t first = s->plan->phase[PHASE_TRAIN];
  for (uint32_t i = 0; i < steps; i++) {
    double before = clock_seconds();
    if (!one_step(s, seed, i, f)) return false;
    time[i] = clock_seconds() - before;
  }
  out->seconds = median(time, steps);
  if (!executor_measure(&s->exec, f)) return false;
  for (uint32_t i = 0; i < steps; i++) {
    memset(s->exec.seconds, 0, s->plan->nstep * sizeof *s->exec.seconds);
    if (!one_step(s, seed, steps + i, f)) return false;
    for (uint32_t k = 0; k < out->nstep; k++)
      time[(size_t)k * steps + i] = s->exec.seconds[first + k];
  }
  for (uint32_t k = 0; k < out->nstep; k++)
    out->step_seconds[k] = median(time + (size_t)k * steps, steps);
  return true;
}

int profile_run(const ModelCode *m, const RunOptions *o, uint32_t steps, Profile *out) {
  Fault f = {0};
  Session s = {0};
  size_t times;
  double *time = NULL;
  *out = (Profile){0};
  if (steps == 0) steps = 1;
  bool ok = session_open(&s, m, o, &f);
  uint64_t seed = o->seed.given ? o->seed.n : ok ? s.plan->set.seed : 0;
  if (ok) {
    const Plan *p = s.plan;
    out->nstep = p->phase[PHASE_TRAIN + 1] - p->phase[PHASE_TRAIN];
    times = (size_t)steps * (out->nstep ? out->nstep : 1);
    out->step_seconds = memory_new(out->nstep, sizeof *out->step_seconds, "the profile", &f);
    time = memory_new(times, sizeof *time, "the profile", &f);
    ok = out->step_seconds && time;
  }
  ok = ok && session_init(&s, seed, &f) && profile(&s, seed, steps, out, time, &f);
  free(time);
  session_close(&s);
  return ok ? LCW_OK : fault_print(&f);
}

void profile_free(Profile *out) {
  free(out->step_seconds);
  *out = (Profile){0};
}
