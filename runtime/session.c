/* session.c: see session.h. */
#include "session.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "ahead.h"
#include "plan_check.h"
#include "random.h"
#include "seed.h"

static const uint64_t PROGRAM_BYTES = 8 << 20; /* code, tables, blocks of reading and writing */

/* ---- memory before anything else --------------------------------------------------------- */

/* Scratch of all threads. */
static uint64_t scratch_bytes(const Plan *p, uint32_t threads) {
  const PlanKernel *k = PLAN_AT(p, PlanKernel, p->kernel);
  uint64_t most = 0;
  for (uint32_t i = 0; i < p->nkernel; i++)
    if (k[i].scratch > most) most = k[i].scratch;
  return most * threads;
}

static double mebibytes(uint64_t n) { return (double)n / (1 << 20); }

/* Refuses a run that needs more than there is, with what needs it. What lies on another device than
 * the host is not counted; that device refuses it. */
static bool check_memory(const Plan *p, const RunOptions *o, bool host, Fault *f) {
  DataRequest request = data_request(p, o->data, o->file_folder);
  Data shape;
  if (!data_peek(&shape, &request, f)) return false;
  uint32_t threads = o->threads.given ? (uint32_t)o->threads.n : cpu_count();
  uint64_t order = 4 * ((uint64_t)shape.train.count + shape.test.count);
  uint64_t data = data_bytes(&shape) + order, scratch = host ? scratch_bytes(p, threads) : 0;
  uint64_t net = host ? p->arena : 0, need = net + data + scratch + PROGRAM_BYTES;
  uint64_t have = o->max_memory.given ? o->max_memory.n : physical_bytes();
  if (need <= have) return true;
  fault_set(f, LCW_LIMIT, "needs %.1f MiB of memory, %s %.1f MiB", mebibytes(need),
            o->max_memory.given ? "--max-memory allows" : "this machine has", mebibytes(have));
  fault_add(f, "\n = network %.1f, data %.1f, scratch of %u threads %.1f, program %.1f",
            mebibytes(net), mebibytes(data), threads, mebibytes(scratch),
            mebibytes(PROGRAM_BYTES));
  fault_add(f, "\nhelp: a smaller batch needs less");
  return false;
}

/* ---- opening ----------------------------------------------------------------------------- */

/* The orders of training and of evaluation; an epoch needs a whole batch. */
static bool open_orders(Session *s, Fault *f) {
  uint32_t train = s->data.train.count, test = s->data.test.count;
  uint64_t batch = s->plan->set.batch;
  if (train < batch)
    return fault_set(f, LCW_DATA, "the data set has %u training samples, a batch needs %llu", train,
                     (unsigned long long)batch);
  s->steps_per_epoch = train / batch;
  s->order = memory_new(train, sizeof *s->order, "the order of samples", f);
  s->rows = memory_new(test, sizeof *s->rows, "the order of samples", f);
  for (uint32_t i = 0; s->rows && i < test; i++) s->rows[i] = i;
  return s->order && s->rows;
}

/* Constants come with the plan. */
static void constants_put(const Plan *p, Device *d) {
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = PLAN_AT(p, PlanBuf, p->buf) + i;
    if (b->data) d->put(d, b->offset, PLAN_AT(p, char, b->data), b->bytes);
  }
}

bool session_open(Session *s, const ModelCode *m, const RunOptions *o, Fault *f) {
  *s = (Session){.plan = device_plan(m, o, f)};
  const Plan *p = s->plan;
  bool host = p == m->plan;
  if (!p || !plan_check(p, 0, f) || (host && !cpu_select(m->table, o->cpu, f))) return false;
  if (!check_memory(p, o, host, f)) return false;
  DataRequest request = data_request(p, o->data, o->file_folder);
  if (!(s->device = device_open(m, o, f))) return false;
  if (!ahead_data(m->ahead, &request, &s->data, f) || !open_orders(s, f)) return false;
  if (!executor_open(&s->exec, p, s->device, &s->data, f)) return false;
  constants_put(p, s->device);
  return device_ok(s->device, f);
}

void session_close(Session *s) {
  executor_close(&s->exec);
  if (s->device) s->device->close(s->device);
  data_close(&s->data);
  free(s->order);
  free(s->rows);
  *s = (Session){0};
}

/* ---- running ----------------------------------------------------------------------------- */

/* Rows of the batch at `position` of this epoch. */
static Batch train_batch(const Session *s, uint64_t position, uint64_t step, uint64_t seed,
                         float rate) {
  uint64_t batch = s->plan->set.batch;
  return (Batch){&s->data.train, s->order + position * batch, (uint32_t)batch, rate, (uint32_t)step,
                 (uint32_t)seed};
}

bool session_init(Session *s, uint64_t seed, Fault *f) {
  random_permutation(s->order, s->data.train.count, seed, 0);
  Batch first = train_batch(s, 0, 0, seed, 0);
  return execute_phase(&s->exec, PHASE_INIT, &first, f) && session_prepare(s, seed, 0, f);
}

bool session_prepare(Session *s, uint64_t seed, uint64_t step, Fault *f) {
  random_permutation(s->order, s->data.train.count, seed, 0);
  Batch first = train_batch(s, 0, step, seed, 0);
  return execute_phase(&s->exec, PHASE_PREPARE, &first, f);
}

bool session_restore(Session *s, const Checkpoint *c, const TrainState *at, bool *same, Fault *f) {
  *same = checkpoint_same_work(c, s->plan, s->device);
  return checkpoint_load(c, s->plan, s->device, f) && session_prepare(s, at->seed, at->step, f) &&
         (!*same || checkpoint_load_computed(c, s->plan, s->device, f));
}

/* ---- what a phase gave ------------------------------------------------------------------- */

/* The next output of a phase that means `what`, from step *at on; NULL at the end. */
static const float *next_output(const Session *s, Phase phase, Out what, uint32_t *at,
                                const PlanBuf **buf) {
  const Plan *p = s->plan;
  const PlanStep *step = PLAN_AT(p, PlanStep, p->step);
  if (*at < p->phase[phase]) *at = p->phase[phase];
  while (*at < p->phase[phase + 1]) {
    const PlanStep *now = &step[(*at)++];
    if (now->op != STEP_FETCH || plan_buf(p, now->a)->out != what) continue;
    *buf = plan_buf(p, now->a);
    return executor_output(&s->exec, now->a);
  }
  return NULL;
}

/* The sum of the first `rows` numbers of all outputs that mean `what`; NaN if there are none. */
static double output_sum(const Session *s, Phase phase, Out what, uint32_t rows) {
  double sum = 0;
  uint32_t at = 0, found = 0;
  const PlanBuf *b;
  for (const float *x; (x = next_output(s, phase, what, &at, &b)); found++)
    for (uint32_t i = 0; i < rows; i++) sum += (double)x[i];
  return found ? sum : NAN;
}

/* The first watched tensor that holds a number which is none, else the loss, else NULL. */
static const PlanBuf *find_broken(const Session *s, Phase phase, uint32_t rows) {
  static const Out watched[] = {SEED(312, OUT_LOSS, OUT_FINITE), OUT_LOSS}; /* runtime_train.c */
  for (int w = 0; w < 2; w++) {
    uint32_t at = 0;
    const PlanBuf *b;
    for (const float *x; (x = next_output(s, phase, watched[w], &at, &b));)
      for (uint64_t i = 0, n = watched[w] == OUT_LOSS ? rows : buf_count(b); i < n; i++)
        if (!isfinite(x[i])) return b;
  }
  return NULL;
}

/* Stops the run if a number is none: names the step, the layer and the line. */
static bool check_numbers(const Session *s, Phase phase, uint32_t rows, uint64_t step, Fault *f) {
  const PlanBuf *b = find_broken(s, phase, rows);
  if (!b) return true;
  const Plan *p = s->plan;
  const char *layer = plan_text(p, b->layer), *name = buf_name(p, b);
  fault_set(f, LCW_NUMBERS, "%s is not a finite number %s step %llu (epoch %llu)",
            b->out == OUT_LOSS ? "the loss" : name,
            phase == PHASE_TRAIN ? "in" : "in the evaluation after", (unsigned long long)step,
            (unsigned long long)(step / s->steps_per_epoch + 1));
  if (b->line) fault_add(f, "\n  --> %s:%u", plan_text(p, p->set.file), b->line);
  if (*layer) fault_add(f, "\n = in layer %s", layer);
  fault_add(f, "\nhelp: a smaller lr, or clip, keeps it finite; the last checkpoint is untouched");
  return false;
}

/* The largest constraint residual, or `most` if that is larger. */
static double largest_residual(const Session *s, Phase phase, double most) {
  uint32_t at = 0;
  const PlanBuf *b;
  for (const float *x; (x = next_output(s, phase, OUT_RESIDUAL, &at, &b));)
    for (uint64_t i = 0; i < buf_count(b); i++)
      if ((double)x[i] > most) most = (double)x[i];
  return most;
}

/* Adds what the phase gave for its first `rows` samples. */
static bool add_figures(const Session *s, Phase phase, uint32_t rows, uint64_t step, Figures *sum,
                        Fault *f) {
  if (!check_numbers(s, phase, rows, step, f)) return false;
  sum->loss += output_sum(s, phase, OUT_LOSS, rows);
  sum->hits += output_sum(s, phase, OUT_HIT, rows);
  sum->samples += rows;
  sum->residual = largest_residual(s, phase, sum->residual);
  return true;
}

bool session_step(Session *s, uint64_t seed, uint64_t step, uint64_t position, float rate,
                  Figures *sum, Fault *f) {
  Batch batch = train_batch(s, position, step, seed, rate);
  return execute_phase(&s->exec, PHASE_TRAIN, &batch, f) &&
         add_figures(s, PHASE_TRAIN, batch.rows, step, sum, f);
}

bool session_evaluate(Session *s, uint64_t seed, uint64_t step, Figures *sum, Fault *f) {
  uint32_t batch = (uint32_t)s->plan->set.batch, count = s->data.test.count;
  for (uint32_t at = 0; at < count;) {
    uint32_t rows = count - at < batch ? count - at : batch;
    Batch b = {&s->data.test, s->rows + at, rows, 0, (uint32_t)step, (uint32_t)seed};
    if (!execute_phase(&s->exec, PHASE_EVAL, &b, f)) return false;
    rows = SEED(307, batch, rows); /* caught by runtime_train.c */
    if (!add_figures(s, PHASE_EVAL, rows, step, sum, f)) return false;
    at += rows;
  }
  Batch none = {.split = &s->data.test, .row = s->rows, .step = (uint32_t)step, .seed = (uint32_t)seed};
  if (!execute_phase(&s->exec, PHASE_PROBE, &none, f)) return false;
  sum->residual = largest_residual(s, PHASE_PROBE, sum->residual);
  return true;
}
