/* train.c: trains a network: open, begin or go on, steps, evaluation, saving, the last word.
 * Read train() first; what it calls stands above it, in the order in which it happens. */
#include "train.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "checkpoint.h"
#include "folder.h"
#include "plan_check.h"
#include "progress.h"
#include "random.h"
#include "rate.h"
#include "session.h"
#include "signals.h"

enum { TIMES = 1 << 14, WARM_UP = 5 };

typedef struct {
  const Plan *plan;
  const RunOptions *options;
  Session session;
  RunFolder folder;
  Metrics metrics;
  Progress progress;
  Signals signals;
  TrainState state;
  Summary summary;          /* of the epoch that was closed last */
  uint64_t steps, epochs;   /* totals, when all is done */
  double begun, seconds;    /* clock at the start; spent in earlier sittings */
  double train_seconds;     /* in training steps, in this sitting */
  uint64_t train_steps;     /* in this sitting */
  float time[TIMES];        /* the last ones, in seconds */
} Train;

/* ---- begin, or go on --------------------------------------------------------------------- */

/* A new run: parameters from the seed. */
static bool begin(Train *t, Fault *f) {
  t->state = (TrainState){.seed = t->options->seed.given ? t->options->seed.n : t->plan->set.seed,
                          .fingerprint = t->session.data.fingerprint, .best_loss = INFINITY};
  return session_init(&t->session, t->state.seed, f);
}

/* A setting that the checkpoint was made with is another one now. */
static bool differs(const Checkpoint *c, const char *what, const char *have, const char *want,
                    Fault *f) {
  return fault_set(f, LCW_DATA, "%s: it was trained with another %s: %.200s there, %.200s here",
                   c->shown, what, have ? have : "none", want);
}

/* Projected weights are W itself; those of all other lowerings are V. */
static bool same_form(const char *then, const char *now) {
  return then && !strcmp(then, "projected") == !strcmp(now, "projected");
}

/* A run goes on only as what it was. */
static bool check_same(const Train *t, const Checkpoint *c, const TrainState *s, Fault *f) {
  char rate[2048], batch[32], seed[32];
  const char *schedule = checkpoint_meta(c, "schedule"), *then = checkpoint_meta(c, "batch");
  const char *lower = checkpoint_meta(c, "lower"), *now = plan_text(t->plan, t->plan->set.lower);
  uint64_t per = t->session.steps_per_epoch;
  rate_text(t->plan, rate, sizeof rate);
  snprintf(seed, sizeof seed, "%llu", (unsigned long long)t->options->seed.n);
  snprintf(batch, sizeof batch, "%llu", (unsigned long long)t->plan->set.batch);
  if (!same_form(lower, now)) return differs(c, "lower", lower, now, f);
  if (!then || strcmp(then, batch)) return differs(c, "batch", then, batch, f);
  if (!schedule || strcmp(schedule, rate)) return differs(c, "lr", schedule, rate, f);
  if (t->options->seed.given && t->options->seed.n != s->seed)
    return differs(c, "seed", checkpoint_meta(c, "seed"), seed, f);
  if (s->fingerprint != t->session.data.fingerprint)
    return fault_set(f, LCW_DATA, "%s: it was trained on other data", c->shown);
  if (s->position >= per || s->step > UINT32_MAX || s->epoch > s->step ||
      s->epoch * per + s->position != s->step)
    return fault_set(f, LCW_DATA, "%s: its step, epoch and position do not agree", c->shown);
  return true;
}

/* Another plan or device goes on: what depends on the weights was summed anew, in its own order. */
static void say_other(Train *t, const Checkpoint *c) {
  char now[WORK_TEXT];
  const char *then = checkpoint_meta(c, "computed");
  work_text(t->plan, t->session.device, now);
  progress_say(&t->progress,
               "note: not bit for bit: sums over weights are made anew (by %s; before: %s)",
               *now ? now : "this lowering: none", then ? then : "none were saved");
}

/* Takes up a checkpoint, if it is of this run. */
static bool load(Train *t, const char *name, Fault *f) {
  Checkpoint c;
  if (!checkpoint_open(&c, t->folder.fd, name, t->folder.path, f)) return false;
  bool same, ok = checkpoint_state(&c, &t->state, f) && check_same(t, &c, &t->state, f) &&
                  session_restore(&t->session, &c, &t->state, &same, f);
  if (ok && !same) say_other(t, &c);
  checkpoint_close(&c);
  if (!ok) return false;
  t->seconds = t->metrics.seconds;
  progress_say(&t->progress, "going on with %s/%s after step %llu", t->folder.path, name,
               (unsigned long long)t->state.step);
  return true;
}

/* The last checkpoint; if it is missing or damaged the one before it, which is said. */
static bool go_on(Train *t, Fault *f) {
  Fault second = {0};
  if (load(t, CHECKPOINT_LAST, f)) return true;
  if (f->code != LCW_DATA || faccessat(t->folder.fd, CHECKPOINT_PREVIOUS, 0, 0)) return false;
  progress_clear(&t->progress);
  fault_note(f);
  return load(t, CHECKPOINT_PREVIOUS, &second);
}

/* Totals are absolute; without --steps they follow from the epochs. */
static void set_totals(Train *t) {
  const RunOptions *o = t->options;
  uint64_t per = t->session.steps_per_epoch;
  t->epochs = o->epochs.given ? o->epochs.n : t->plan->set.epochs;
  t->steps = t->epochs * per;
  if (o->steps.given && (!o->epochs.given || o->steps.n < t->steps)) t->steps = o->steps.n;
  if (o->steps.given) t->epochs = (t->steps + per - 1) / per;
}

/* What --verbose tells at the start; and, always, that there is nothing to test with. */
static void say_start(Train *t) {
  const Session *s = &t->session;
  if (s->data.test.count == 0)
    progress_say(&t->progress, "note: the data set has no test split; the test figures are null");
  if (!t->options->verbose) return;
  if (s->device->about) progress_say(&t->progress, "%s", s->device->about);
  else
    progress_say(&t->progress, "%s %s, %u threads", s->device->name, s->device->isa,
                 s->device->threads);
  progress_say(&t->progress, "network %.1f MiB, data %.1f MiB",
               (double)t->plan->arena / (1 << 20), (double)data_bytes(&s->data) / (1 << 20));
  progress_say(&t->progress, "%u training samples, %u for tests, %llu steps an epoch; into %s",
               s->data.train.count, s->data.test.count, (unsigned long long)s->steps_per_epoch,
               t->folder.path);
}

/* Everything before the first step; a folder is made only when all else is right. */
static bool start(Train *t, const ModelCode *model, Fault *f) {
  const RunOptions *o = t->options;
  if (!session_open(&t->session, model, o, f)) return false;
  t->plan = t->session.plan;
  set_totals(t);
  if (!(o->resume ? folder_resume(&t->folder, t->plan, o, f)
                  : folder_new(&t->folder, t->plan, o, f)))
    return false;
  if (!metrics_open(&t->metrics, t->folder.fd, t->folder.path, f)) return false;
  if (o->resume && !go_on(t, f)) return false;
  if (!o->resume && !begin(t, f)) return false;
  if (!folder_describe(&t->folder, t->plan, o, t->session.device, t->state.seed, f)) return false;
  say_start(t);
  return true;
}

/* ---- saving ------------------------------------------------------------------------------ */

/* Writes the state under a name. */
static bool save_as(Train *t, const char *name, const char *keep, Fault *f) {
  DurableFile file = {t->folder.fd, t->folder.path, name, keep, 0600};
  return checkpoint_save(&io_system, &file, t->plan, t->session.device, &t->state, f);
}

/* The lines of metrics first, so that none before the checkpoint can be missing. */
static bool save(Train *t, Fault *f) {
  return metrics_sync(&t->metrics, f) && save_as(t, CHECKPOINT_LAST, CHECKPOINT_PREVIOUS, f);
}

/* The best is the last one under a second name; where files have one name only, a copy. */
static bool save_best(Train *t, Fault *f) {
  if (durable_alias(&io_system, t->folder.fd, CHECKPOINT_LAST, CHECKPOINT_BEST)) return true;
  return save_as(t, CHECKPOINT_BEST, NULL, f);
}

/* ---- steps ------------------------------------------------------------------------------- */

/* The learning rate of the next step. */
static float rate_now(const Train *t) {
  RateTime now = {(double)t->state.epoch, (double)t->state.step, (double)t->epochs,
                  (double)t->steps};
  return (float)rate_of(t->plan, &now);
}

/* Where the run is, for the progress line. */
static ProgressAt progress_now(const Train *t) {
  double step = t->train_steps ? t->train_seconds / (double)t->train_steps : 0;
  const TrainState *s = &t->state;
  return (ProgressAt){s->epoch, t->epochs, s->position, t->session.steps_per_epoch,
                      figure_mean(s->loss, s->samples), figure_mean(s->hits, s->samples),
                      step > 0 ? (double)t->plan->set.batch / step : 0,
                      step * (double)(t->steps - s->step)};
}

/* One training step and its line of metrics. */
static bool step(Train *t, Fault *f) {
  TrainState *s = &t->state;
  Figures sum = {0};
  float rate = rate_now(t);
  double before = clock_seconds();
  if (!session_step(&t->session, s->seed, s->step, s->position, rate, &sum, f)) return false;
  double now = clock_seconds();
  t->time[t->train_steps++ % TIMES] = (float)(now - before);
  t->train_seconds += now - before;
  s->loss += sum.loss;
  s->hits += sum.hits;
  s->samples += sum.samples;
  if (sum.residual > s->residual) s->residual = sum.residual;
  s->step++;
  s->position++;
  ProgressAt at = progress_now(t);
  progress_step(&t->progress, &at, now);
  return t->options->log != LOG_STEP ||
         metrics_step(&t->metrics, s->step, s->epoch, figure_mean(sum.loss, sum.samples),
                      figure_mean(sum.hits, sum.samples), (double)rate, f);
}

/* Ascending, for the median. */
static int time_order(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The median of the training steps after the first few; NaN if there were none. */
static double median_ms(const Train *t) {
  float sorted[TIMES];
  uint64_t n = t->train_steps < TIMES ? t->train_steps : TIMES;
  uint64_t skip = n > 2 * WARM_UP && t->train_steps <= TIMES ? WARM_UP : 0;
  if (n == 0) return NAN;
  memcpy(sorted, t->time + skip, (n - skip) * sizeof *sorted);
  qsort(sorted, n - skip, sizeof *sorted, time_order);
  return 1e3 * (double)sorted[(n - skip) / 2];
}

/* The figures as they are now; `test` NULL: not evaluated. */
static void summarize(Train *t, const Figures *test) {
  const TrainState *s = &t->state;
  const PlanSettings *set = &t->plan->set;
  double step = t->train_steps ? t->train_seconds / (double)t->train_steps : NAN;
  t->summary = (Summary){
      .net = plan_text(t->plan, set->net), .device = t->session.device->name,
      .lower = plan_text(t->plan, set->lower), .params = plan_params(t->plan),
      .epochs = s->epoch + (s->position == t->session.steps_per_epoch), .steps = s->step,
      .train_loss = figure_mean(s->loss, s->samples), .train_acc = figure_mean(s->hits, s->samples),
      .test_loss = test ? figure_mean(test->loss, test->samples) : NAN,
      .test_acc = test ? figure_mean(test->hits, test->samples) : NAN,
      .residual = test ? fmax(s->residual, test->residual) : s->residual,
      .seconds = t->seconds + clock_seconds() - t->begun, .step_ms = median_ms(t),
      .images_per_second = (double)set->batch / step};
}

/* The end of an epoch, or of the run within one: evaluate, write the line, save what is due. */
static bool close_epoch(Train *t, bool last, Fault *f) {
  const PlanSettings *set = &t->plan->set;
  TrainState *s = &t->state;
  Figures test = {0};
  bool whole = s->position == t->session.steps_per_epoch, best = false;
  uint64_t done = s->epoch + whole;
  bool planned = whole && set->eval_every && done % set->eval_every == 0, due = last || planned;
  bool due_save = last || (set->save_every && done % set->save_every == 0);
  if (due && !session_evaluate(&t->session, s->seed, s->step, &test, f)) return false;
  if (planned && test.residual > s->residual) s->residual = test.residual;
  summarize(t, due && test.samples > 0 ? &test : NULL);
  if (t->summary.test_loss < s->best_loss) {
    s->best_loss = t->summary.test_loss;
    best = true;
  }
  ProgressAt at = progress_now(t);
  progress_epoch(&t->progress, &at, &t->summary);
  if (!metrics_epoch(&t->metrics, &t->summary, f)) return false;
  if (whole) {
    s->loss = s->hits = s->samples = 0;
    s->position = 0;
    s->epoch++;
  }
  return (!(due_save || best) || save(t, f)) && (!best || save_best(t, f));
}

/* To the end, or to a signal; the order of samples is drawn anew for each epoch. */
static bool steps(Train *t, Fault *f) {
  TrainState *s = &t->state;
  while (s->step < t->steps && !atomic_load(&t->signals.stop)) {
    random_permutation(t->session.order, t->session.data.train.count, s->seed, (uint32_t)s->epoch);
    while (s->position < t->session.steps_per_epoch && s->step < t->steps) {
      if (!step(t, f)) return false;
      bool end = s->position == t->session.steps_per_epoch || s->step == t->steps;
      if (end && !close_epoch(t, s->step == t->steps, f)) return false;
      if (atomic_exchange(&t->signals.save, false) && !save(t, f)) return false;
      if (end || atomic_load(&t->signals.stop)) break;
    }
  }
  return true;
}

/* ---- the last word ----------------------------------------------------------------------- */

/* A run that had nothing left to do still says how good the network is. */
static bool nothing_left(Train *t, Fault *f) {
  Figures test = {0};
  if (t->steps && !session_evaluate(&t->session, t->state.seed, t->state.step, &test, f))
    return false;
  summarize(t, test.samples > 0 ? &test : NULL);
  return t->options->resume || save(t, f);
}

/* The last line, for people. */
static void print_words(const Train *t) {
  const Summary *s = &t->summary;
  printf("%s: %llu epochs, %llu steps", s->net, (unsigned long long)s->epochs,
         (unsigned long long)s->steps);
  if (!isnan(s->train_loss)) printf(", train loss %.4f", s->train_loss);
  if (!isnan(s->train_acc)) printf(", train accuracy %.4f", s->train_acc);
  if (!isnan(s->test_loss)) printf(", test loss %.4f", s->test_loss);
  if (!isnan(s->test_acc)) printf(", test accuracy %.4f", s->test_acc);
  if (!isnan(s->step_ms)) printf(", %.3f ms a step", s->step_ms);
  printf(", %.1f s; in %s\n", s->seconds, t->folder.path);
}

/* The last line; one that cannot be written is an error. */
static bool print_summary(const Train *t, Fault *f) {
  Lines l = {0};
  if (t->options->json) {
    summary_json(&l, &t->summary);
    fwrite(l.s, 1, l.n, stdout);
    lines_free(&l);
  } else if (!t->options->quiet) {
    print_words(t);
  }
  if (fflush(stdout) == 0 && !ferror(stdout)) return true;
  return fault_set(f, LCW_DATA, "standard output cannot be written: %s", strerror(errno));
}

/* Asked to stop: the step was finished; save it. */
static bool stopped(Train *t, Fault *f) {
  if (!save(t, f)) return false;
  progress_say(&t->progress, "stopped after step %llu, saved %s/%s\nhelp: --resume=%s goes on",
               (unsigned long long)t->state.step, t->folder.path, CHECKPOINT_LAST, t->folder.path);
  return true;
}

/* The whole run. */
static bool train(Train *t, const ModelCode *model, Fault *f) {
  if (!signals_open(&t->signals, f) || !start(t, model, f)) return false;
  if (t->state.step >= t->steps) return nothing_left(t, f) && print_summary(t, f);
  if (!steps(t, f)) return false;
  if (t->state.step < t->steps) return stopped(t, f);
  return print_summary(t, f);
}

int train_run(const ModelCode *model, const RunOptions *o) {
  Fault f = {0};
  Train *t = memory_new(1, sizeof *t, "the run", &f);
  if (!t) return fault_print(&f);
  t->options = o;
  t->folder.fd = t->metrics.fd = -1;
  t->begun = clock_seconds();
  progress_open(&t->progress, o);
  bool ok = train(t, model, &f);
  int stop = ok && t->state.step < t->steps ? atomic_load(&t->signals.stop) : 0;
  progress_clear(&t->progress);
  metrics_close(&t->metrics);
  folder_close(&t->folder);
  session_close(&t->session);
  signals_close(&t->signals);
  free(t);
  if (stop) signals_raise(stop);
  return ok ? LCW_OK : fault_print(&f);
}
