/* cuda_phase.c: phases as CUDA graphs. What changes from step to step (which samples, rate, keys of
 * the random generator) is a block of memory that is copied to the device at the head of the graph;
 * so a phase is recorded once and replayed unchanged.
 *
 * In: the data set, which is put on the device once, and for each run of a phase the rows of its
 * batch. FEED and FETCH are entries of a table of moves, neighbours among them one launch of
 * lcw_gather (prelude.cu); what was fetched lies in one block, which is copied to the host last. */
#include <stdlib.h>
#include <string.h>
#include "cuda_device.h"
#include "execute.h"
#include "plan_check.h"

enum { ALIGN = 256, MOST_MOVES = 32768 }; /* of one launch: the grid has no more along y */
static const uint64_t RESERVE = 64 << 20; /* left to the driver, for graphs and stacks */

/* As in prelude.cu: `rows` times `bytes` to `to`. From `from`; or, for table 1 samples, 2 labels,
 * the rows of the batch, and zeros behind its last one. */
typedef struct Move { uint64_t to, from; uint32_t bytes, rows, table, pad; } Move;

/* As in prelude.cu: what a run of a phase is fed from. */
typedef struct Feeding {
  uint64_t table[2]; /* samples, labels */
  float rate;
  uint32_t key[2], rows, row[]; /* of the tables */
} Feeding;

/* Where the samples and labels of a split are on the device. */
typedef struct { CUdeviceptr sample, label; } Table;

struct CudaPhases {
  const Executor *e;
  CUdeviceptr block;                     /* of all that follows, in this order */
  CUdeviceptr moves, scale, shift, feeding, output;
  CUdeviceptr data;                      /* samples and labels that train, then those that test */
  Table train, test;
  bool staged;                           /* the data stay on the host: `data` is one batch */
  char *pinned, *pinned_output, *pinned_rows;
  Feeding *feed;
  uint32_t *move_of;                     /* [nstep + 1] moves of the steps before it */
  uint64_t feeding_bytes;
  CUgraphExec exec[PHASE_COUNT];
  bool recording;
  uint64_t fetched[PHASE_COUNT][2];      /* of the output block, by the phase */
};

static Cuda *cuda_of(Device *d) { return (Cuda *)(void *)d; }
static uint64_t aligned(uint64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }
static const PlanStep *step_of(const Plan *p, uint32_t i) {
  return PLAN_AT(p, PlanStep, p->step) + i;
}

/* ---- moves ------------------------------------------------------------------------------- */

static bool is_move(const PlanStep *s) { return s->op == STEP_FEED || s->op == STEP_FETCH; }

/* What a step of FEED or FETCH moves. */
static Move move_make(const Cuda *c, const PlanStep *s) {
  const CudaPhases *q = c->phases;
  const PlanBuf *b = plan_buf(c->plan, s->a);
  const DataSplit *rows = &q->e->data->train;
  uint32_t batch = (uint32_t)c->plan->set.batch;
  CUdeviceptr at = c->arena + b->offset;
  Move m = {.to = at, .bytes = (uint32_t)b->bytes, .rows = 1};
  if (s->op == STEP_FETCH) {
    m.to = q->output + q->e->at[s->a];
    m.from = at;
    return m;
  }
  switch ((Feed)b->feed) {
  case FEED_SAMPLE: return (Move){at, 0, rows->sample_bytes, batch, 1, 0};
  case FEED_LABEL: return (Move){at, 0, rows->label_bytes, batch, 2, 0};
  case FEED_SCALE: m.from = q->scale; break;
  case FEED_SHIFT: m.from = q->shift; break;
  case FEED_RATE: m.from = q->feeding + offsetof(Feeding, rate); break;
  case FEED_STEP: m.from = q->feeding + offsetof(Feeding, key); break;
  case FEED_NONE: case FEED_COUNT: break;
  }
  return m;
}

/* Makes and uploads the table. */
static bool moves_open(Cuda *c, Fault *f) {
  CudaPhases *q = c->phases;
  uint32_t n = q->move_of[c->plan->nstep];
  Move *move = memory_new(n, sizeof *move, "what is fed and fetched", f);
  if (!move) return false;
  for (uint32_t i = 0; i < c->plan->nstep; i++)
    if (is_move(step_of(c->plan, i))) move[q->move_of[i]] = move_make(c, step_of(c->plan, i));
  cuda_upload(c, q->moves, move, n * sizeof *move);
  free(move);
  return device_ok(&c->device, f);
}

static uint32_t phase_of(const Plan *p, uint32_t step) {
  uint32_t phase = 0;
  while (p->phase[phase + 1] <= step) phase++;
  return phase;
}

/* How many steps of one phase and operation begin with step i; 0: it is not their first. */
static uint32_t run_length(const Plan *p, uint32_t i) {
  uint32_t phase = phase_of(p, i), end = i, op = step_of(p, i)->op;
  if (i > p->phase[phase] && step_of(p, i - 1)->op == op) return 0;
  while (end < p->phase[phase + 1] && step_of(p, end)->op == op) end++;
  return end - i;
}

/* The moves of step i and of its neighbours, unless they were done with an earlier one. */
static void moves_launch(Cuda *c, uint32_t i, uint32_t rows) {
  CudaPhases *q = c->phases;
  uint32_t left = run_length(c->plan, i);
  CUdeviceptr move = q->moves + q->move_of[i] * sizeof(Move);
  for (uint32_t n; left; left -= n, move += n * sizeof(Move)) {
    void *parameter[] = {&move, &q->feeding};
    n = left < MOST_MOVES ? left : MOST_MOVES;
    cuda_do(c, cuLaunchKernel, c->gather, rows, n, 1, 256, 1, 1, 0, c->stream, parameter, NULL);
  }
}

static void phase_feed(Device *d, uint32_t step) {
  moves_launch(cuda_of(d), step, (uint32_t)cuda_of(d)->plan->set.batch);
}

static void phase_fetch(Device *d, uint32_t step) {
  Cuda *c = cuda_of(d);
  CudaPhases *q = c->phases;
  uint32_t buf = step_of(c->plan, step)->a;
  uint64_t *range = q->fetched[phase_of(c->plan, step)];
  uint64_t at = q->e->at[buf], end = at + plan_buf(c->plan, buf)->bytes;
  if (range[1] == 0 || at < range[0]) range[0] = at;
  if (end > range[1]) range[1] = end;
  moves_launch(c, step, 1);
}

/* ---- the data set ------------------------------------------------------------------------ */

/* Bytes of the four tables on the device. */
static void table_bytes(const Data *d, uint64_t out[4]) {
  const DataSplit *s[2] = {&d->train, &d->test};
  for (int i = 0; i < 2; i++) {
    out[2 * i] = aligned((uint64_t)s[i]->count * s[i]->sample_bytes);
    out[2 * i + 1] = aligned((uint64_t)s[i]->count * s[i]->label_bytes);
  }
}

/* Too large to lie beside the network: one batch at a time, and said. */
static bool stage_open(Cuda *c, uint64_t wanted, Fault *f) {
  CudaPhases *q = c->phases;
  const DataSplit *s = &q->e->data->train;
  uint64_t batch = c->plan->set.batch, sample = aligned(batch * s->sample_bytes);
  uint64_t bytes = sample + aligned(batch * s->label_bytes);
  void *rows = NULL;
  Fault note = {0};
  fault_set(&note, 0,
            "the data set, %.1f MiB, does not fit on %s beside the network: the samples of each "
            "step are copied from the host",
            (double)wanted / (1 << 20), c->name);
  fault_note(&note);
  c->fault = (Fault){0};
  q->staged = true;
  if (cuda_do(c, cuMemHostAlloc, &rows, bytes, 0)) q->pinned_rows = rows;
  cuda_memory(c, &q->data, bytes, "one batch of the data set");
  q->train = q->test = (Table){q->data, q->data + sample};
  return device_ok(&c->device, f);
}

/* Memory for all of it, if the driver keeps enough for itself. */
static bool data_memory(Cuda *c, uint64_t bytes) {
  size_t have = 0, total;
  if (!cuda_do(c, cuMemGetInfo, &have, &total)) return false;
  return have >= bytes + RESERVE && cuda_memory(c, &c->phases->data, bytes, "the data set");
}

/* The whole data set as it is stored. */
static bool data_open_on(Cuda *c, Fault *f) {
  CudaPhases *q = c->phases;
  const Data *d = q->e->data;
  uint64_t bytes[4], all = 0;
  table_bytes(d, bytes);
  for (int i = 0; i < 4; i++) all += bytes[i];
  if (!data_memory(c, all)) {
    bool full = c->fault.code == 0 || c->fault.code == LCW_LIMIT;
    return full ? stage_open(c, all, f) : device_ok(&c->device, f);
  }
  q->train = (Table){q->data, q->data + bytes[0]};
  q->test.sample = q->train.label + bytes[1];
  q->test.label = q->test.sample + bytes[2];
  const DataSplit *s[2] = {&d->train, &d->test};
  const Table *t[2] = {&q->train, &q->test};
  for (int i = 0; i < 2; i++) {
    cuda_upload(c, t[i]->sample, s[i]->sample, (uint64_t)s[i]->count * s[i]->sample_bytes);
    cuda_upload(c, t[i]->label, s[i]->label, (uint64_t)s[i]->count * s[i]->label_bytes);
  }
  return device_ok(&c->device, f);
}

/* Copies the rows of a batch side by side to the device. */
static void stage_rows(Cuda *c, const Batch *b) {
  CudaPhases *q = c->phases;
  const DataSplit *s = b->split;
  uint64_t label = q->train.label - q->train.sample;
  for (uint32_t i = 0; i < b->rows; i++) {
    memcpy(q->pinned_rows + (uint64_t)i * s->sample_bytes,
           (const char *)s->sample + (uint64_t)b->row[i] * s->sample_bytes, s->sample_bytes);
    memcpy(q->pinned_rows + label + (uint64_t)i * s->label_bytes,
           (const char *)s->label + (uint64_t)b->row[i] * s->label_bytes, s->label_bytes);
    q->feed->row[i] = i;
  }
  if (b->rows)
    cuda_do(c, cuMemcpyHtoDAsync, q->data, q->pinned_rows,
            label + (uint64_t)b->rows * s->label_bytes, c->stream);
}

/* ---- a phase ----------------------------------------------------------------------------- */

/* Writes what this run is fed from into the pinned block that the graph begins with. */
static void feeding_fill(Cuda *c, const Batch *b) {
  CudaPhases *q = c->phases;
  const Table *t = b->split == &q->e->data->test ? &q->test : &q->train;
  Feeding *to = q->feed;
  to->table[0] = t->sample;
  to->table[1] = t->label;
  to->rate = b->rate;
  to->key[0] = b->step;
  to->key[1] = b->seed;
  to->rows = b->rows;
  if (q->staged) stage_rows(c, b);
  else memcpy(to->row, b->row, b->rows * sizeof *b->row);
}

static bool phase_begin(Device *d, Phase phase, const Batch *batch) {
  Cuda *c = cuda_of(d);
  CudaPhases *q = c->phases;
  const uint32_t *steps = &c->plan->phase[phase];
  if (c->fault.code || steps[0] == steps[1]) return false;
  feeding_fill(c, batch);
  if (q->exec[phase]) return false;
  q->recording =
      cuda_do(c, cuStreamBeginCapture, c->stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  cuda_do(c, cuMemcpyHtoDAsync, q->feeding, q->feed, q->feeding_bytes, c->stream);
  return c->fault.code == 0;
}

/* The end of a recording, which has to be ended even if it failed. */
static void record_end(Cuda *c, Phase phase) {
  CudaPhases *q = c->phases;
  const uint64_t *range = q->fetched[phase];
  CUgraph graph = NULL;
  if (range[1] > range[0])
    cuda_do(c, cuMemcpyDtoHAsync, q->pinned_output + range[0], q->output + range[0],
            range[1] - range[0], c->stream);
  CUresult code = c->cu.cuStreamEndCapture(c->stream, &graph);
  q->recording = false;
  if (!cuda_done(c, code, "cuStreamEndCapture", __FILE__, __LINE__)) {
    if (code == CUDA_SUCCESS && graph) cuda_undo(c, cuGraphDestroy, graph);
    return;
  }
  if (!cuda_do(c, cuGraphInstantiateWithFlags, &q->exec[phase], graph, 0)) q->exec[phase] = NULL;
  cuda_undo(c, cuGraphDestroy, graph);
}

static void phase_end(Device *d, Phase phase) {
  Cuda *c = cuda_of(d);
  CudaPhases *q = c->phases;
  const uint64_t *range = q->fetched[phase];
  if (q->recording) record_end(c, phase);
  if (!q->exec[phase]) return;
  cuda_meter_mark(c, 0);
  cuda_do(c, cuGraphLaunch, q->exec[phase], c->stream);
  cuda_meter_mark(c, 1);
  if (!cuda_do(c, cuStreamSynchronize, c->stream)) return;
  cuda_meter_add(c);
  memcpy(q->e->output + range[0], q->pinned_output + range[0], range[1] - range[0]);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Counts the moves before each step. */
static bool moves_count(Cuda *c, Fault *f) {
  CudaPhases *q = c->phases;
  q->move_of = memory_new((size_t)c->plan->nstep + 1, sizeof *q->move_of, "the phases", f);
  for (uint32_t i = 0; q->move_of && i < c->plan->nstep; i++)
    q->move_of[i + 1] = q->move_of[i] + is_move(step_of(c->plan, i));
  return q->move_of != NULL;
}

/* The block on the device, and the pinned one for what goes up and comes down in each phase. */
static bool blocks_open(Cuda *c, Fault *f) {
  CudaPhases *q = c->phases;
  const Executor *e = q->e;
  void *pinned = NULL;
  uint64_t channels = aligned((uint64_t)e->channels * sizeof(float));
  uint64_t moves = aligned((uint64_t)q->move_of[c->plan->nstep] * sizeof(Move));
  q->feeding_bytes = sizeof(Feeding) + c->plan->set.batch * sizeof(uint32_t);
  uint64_t feeding = aligned(q->feeding_bytes), output = aligned(e->output_bytes);
  uint64_t all = moves + 2 * channels + feeding + output;
  if (!cuda_memory(c, &q->block, all, "what is fed and fetched"))
    return device_ok(&c->device, f);
  q->moves = q->block;
  q->scale = q->moves + moves;
  q->shift = q->scale + channels;
  q->feeding = q->shift + channels;
  q->output = q->feeding + feeding;
  if (cuda_do(c, cuMemHostAlloc, &pinned, feeding + output + ALIGN, 0)) {
    q->pinned = pinned;
    q->feed = pinned;
    q->pinned_output = q->pinned + feeding;
    memset(pinned, 0, feeding + output);
  }
  cuda_upload(c, q->scale, e->scale, e->channels * sizeof(float));
  cuda_upload(c, q->shift, e->shift, e->channels * sizeof(float));
  return device_ok(&c->device, f);
}

static bool phases_open(Device *d, const Executor *e, Fault *f) {
  Cuda *c = cuda_of(d);
  c->phases = memory_new(1, sizeof *c->phases, "the phases", f);
  if (!c->phases) return false;
  c->phases->e = e;
  return moves_count(c, f) && blocks_open(c, f) && moves_open(c, f) && data_open_on(c, f);
}

void cuda_phases_close(Cuda *c) {
  CudaPhases *q = c->phases;
  if (!q) return;
  for (int i = 0; i < PHASE_COUNT; i++)
    if (q->exec[i]) cuda_undo(c, cuGraphExecDestroy, q->exec[i]);
  if (q->pinned_rows) cuda_undo(c, cuMemFreeHost, q->pinned_rows);
  if (q->pinned) cuda_undo(c, cuMemFreeHost, q->pinned);
  if (q->data) cuda_undo(c, cuMemFree, q->data);
  if (q->block) cuda_undo(c, cuMemFree, q->block);
  free(q->move_of);
  free(q);
  c->phases = NULL;
}

const Recorder cuda_recorder = {phases_open, phase_begin, phase_feed, phase_fetch, phase_end};
