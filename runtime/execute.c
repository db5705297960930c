/* execute.c: see execute.h. A Plan that reached this file was proved by plan_check(). */
#include "execute.h"
#include <stdlib.h>
#include <time.h>
#include "plan_check.h"

double clock_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Gives every output its place in one block of host memory. */
static bool place_outputs(Executor *e, Fault *f) {
  uint64_t bytes = 0;
  e->at = memory_new(e->plan->nbuf, sizeof *e->at, "the outputs", f);
  for (uint32_t i = 0; e->at && i < e->plan->nbuf; i++) {
    const PlanBuf *b = plan_buf(e->plan, i);
    if (b->role != BUF_OUTPUT) continue;
    e->at[i] = bytes;
    bytes += (b->bytes + 7) / 8 * 8;
  }
  e->output_bytes = bytes;
  e->output = e->at ? memory_new(bytes, 1, "the outputs", f) : NULL;
  return e->output != NULL;
}

/* Why the data cannot be fed to buffer b, or NULL. */
static const char *misfit(const PlanBuf *b, const Data *data, uint64_t batch) {
  uint64_t decoded = buf_count(b);
  switch (b->role == BUF_INPUT ? (Feed)b->feed : FEED_NONE) {
  case FEED_SAMPLE:
    if (b->dtype != data->dtype) return "its samples are of another type";
    return b->bytes == batch * data->train.sample_bytes ? NULL : "its samples have another shape";
  case FEED_LABEL:
    return b->bytes == batch * data->train.label_bytes ? NULL : "its labels have another shape";
  case FEED_SCALE: case FEED_SHIFT:
    return decoded == 1 || decoded == data->channels ? NULL : "it has another number of channels";
  default: return NULL;
  }
}

/* The data may have changed since the network was compiled for it. */
static bool data_fits(const Plan *p, const Data *data, Fault *f) {
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const char *why = misfit(plan_buf(p, i), data, p->set.batch);
    if (why)
      return fault_set(f, LCW_DATA, "the data set is not the one the network was compiled for: %s",
                       why);
  }
  return true;
}

bool executor_open(Executor *e, const Plan *p, Device *d, const Data *data, Fault *f) {
  *e = (Executor){.plan = p, .device = d, .data = data, .scale = data->scale,
                  .shift = data->shift, .channels = data->channels, .fresh = true};
  return data_fits(p, data, f) && place_outputs(e, f) && d->alloc(d, p->arena, f) &&
         (!d->recorder || d->recorder->open(d, e, f));
}

void executor_close(Executor *e) {
  free(e->output);
  free(e->at);
  free(e->seconds);
  *e = (Executor){0};
}

bool executor_measure(Executor *e, Fault *f) {
  e->seconds = memory_new(e->plan->nstep, sizeof *e->seconds, "the timings", f);
  return e->seconds != NULL;
}

const float *executor_output(const Executor *e, uint32_t i) {
  return (const float *)(const void *)(e->output + e->at[i]);
}

/* Rows of the split that the batch names; what is left of the buffer becomes zero. */
static void feed_rows(Executor *e, const PlanBuf *b, const void *from, uint64_t row,
                      const Batch *batch) {
  uint64_t at = b->offset;
  for (uint32_t i = 0; i < batch->rows; i++, at += row)
    e->device->put(e->device, at, (const char *)from + row * batch->row[i], row);
  e->device->zero(e->device, at, b->offset + b->bytes - at);
}

/* Fills an input from the batch, by what it is fed from. */
static void feed(Executor *e, const PlanBuf *b, const Batch *batch) {
  Device *d = e->device;
  const DataSplit *s = batch->split;
  uint32_t keys[2] = {batch->step, batch->seed};
  switch ((Feed)b->feed) {
  case FEED_SAMPLE: feed_rows(e, b, s->sample, s->sample_bytes, batch); break;
  case FEED_LABEL: feed_rows(e, b, s->label, s->label_bytes, batch); break;
  case FEED_SCALE: d->put(d, b->offset, e->scale, b->bytes); break;
  case FEED_SHIFT: d->put(d, b->offset, e->shift, b->bytes); break;
  case FEED_RATE: d->put(d, b->offset, &batch->rate, sizeof batch->rate); break;
  case FEED_STEP: d->put(d, b->offset, keys, sizeof keys); break;
  case FEED_NONE: case FEED_COUNT: break;
  }
}

/* The one switch over what a Plan can do. `r`: who records it, or NULL. */
static void execute_step(Executor *e, const Recorder *r, uint32_t i, const Batch *batch) {
  const Plan *p = e->plan;
  const PlanStep *s = PLAN_AT(p, PlanStep, p->step) + i;
  Device *d = e->device;
  const PlanBuf *b = plan_buf(p, s->op == STEP_LAUNCH ? 0 : s->a);
  switch ((StepOp)s->op) {
  case STEP_LAUNCH: d->launch(d, p, s->a, PLAN_AT(p, uint32_t, p->arg) + s->b, s->c); break;
  case STEP_FEED:
    if (r) r->feed(d, i);
    else feed(e, b, batch);
    break;
  case STEP_ZERO: /* memory that was never touched is left so: it costs nothing yet */
    if (r || !e->fresh || b->role != BUF_STATE) d->zero(d, b->offset, b->bytes);
    break;
  case STEP_COPY: d->copy(d, b->offset, plan_buf(p, s->b)->offset, b->bytes); break;
  case STEP_FETCH:
    if (r) r->fetch(d, i);
    else d->get(d, e->output + e->at[s->a], b->offset, b->bytes);
    break;
  case STEP_COUNT: break;
  }
}

/* A step by itself, with the clock around it. */
static void measure_step(Executor *e, uint32_t i, const Batch *batch) {
  Device *d = e->device;
  double begin = clock_seconds();
  execute_step(e, NULL, i, batch);
  if (d->wait) d->wait(d);
  e->seconds[i] += clock_seconds() - begin;
}

bool execute_phase(Executor *e, Phase phase, const Batch *batch, Fault *f) {
  Device *d = e->device;
  const Recorder *r = e->seconds ? NULL : d->recorder;
  uint32_t i = e->plan->phase[phase], end = e->plan->phase[phase + 1];
  if (r && !r->begin(d, phase, batch)) i = end;
  for (; i < end; i++) {
    if (e->seconds) measure_step(e, i, batch);
    else execute_step(e, r, i, batch);
  }
  if (r) r->end(d, phase);
  e->fresh = false;
  return device_ok(d, f);
}
