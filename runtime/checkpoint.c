/* checkpoint.c: writes a checkpoint. The data is walked twice, once for the checksum that
 * stands in the header before it and once for the file, through one block of memory. */
#include "checkpoint.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "decimal.h"
#include "hash.h"
#include "json.h"
#include "plan_check.h"
#include "rate.h"
#include "version.h"
#include "seed.h"

static const char *const type_name[] = {"F32", "U8", "I32", "U32", "F64", "BF16"};

const char *tensor_type(uint32_t dtype) { return type_name[dtype]; }

typedef struct {
  const Plan *plan;
  Device *device;
  char *block; /* CHECKPOINT_BLOCK bytes */
  Lines header;
  Fault *fault;
} Save;

/* Caught by runtime_train.c, where a run goes on. */
static bool is_saved(const PlanBuf *b) {
  return b->role == BUF_PARAM || b->role == SEED(303, BUF_PARAM, BUF_STATE) || b->computed;
}

const char *work_text(const Plan *p, const Device *d, char out[WORK_TEXT]) {
  uint32_t computed = 0;
  for (uint32_t i = 0; i < p->nbuf; i++) computed += plan_buf(p, i)->computed;
  *out = 0;
  if (computed)
    snprintf(out, WORK_TEXT, "%s %.20s, %.40s, %.20s, %016llx", d->name, d->isa,
             plan_text(p, p->set.lower), plan_text(p, p->set.precision),
             (unsigned long long)plan_work_hash(p));
  return out;
}

/* A number of the metadata, as the text that reads back equal. */
static void add_double(Lines *l, const char *key, double x) {
  char text[32];
  if (isfinite(x)) decimal_text(text, x);
  else snprintf(text, sizeof text, isnan(x) ? "nan" : "inf");
  lines_pair(l, key, text);
}

/* The same for whole numbers. */
static void add_whole(Lines *l, const char *key, uint64_t x) {
  char text[32];
  snprintf(text, sizeof text, "%llu", (unsigned long long)x);
  lines_pair(l, key, text);
}

/* Where the run stands. */
static void add_state(Lines *l, const TrainState *s) {
  add_whole(l, "step", s->step);
  add_whole(l, "epoch", s->epoch);
  add_whole(l, "position", s->position);
  add_whole(l, "seed", s->seed);
  add_whole(l, "fingerprint", s->fingerprint);
  add_double(l, "epoch_loss", s->loss);
  add_double(l, "epoch_hits", s->hits);
  add_double(l, "epoch_samples", s->samples);
  add_double(l, "best_loss", s->best_loss);
  add_double(l, "residual", s->residual);
}

/* What a checkpoint needs to stand alone: the source, and how it was run. */
static void add_origin(Lines *l, const Plan *p, const Device *d) {
  const PlanSettings *s = &p->set;
  char rate[2048], settings[256], work[WORK_TEXT];
  rate_text(p, rate, sizeof rate);
  snprintf(settings, sizeof settings,
           "batch = %llu, epochs = %llu, eval_every = %llu, save_every = %llu",
           (unsigned long long)s->batch, (unsigned long long)s->epochs,
           (unsigned long long)s->eval_every, (unsigned long long)s->save_every);
  lines_pair(l, "version", LCW_VERSION);
  lines_pair(l, "net", plan_text(p, s->net));
  lines_pair(l, "arguments", plan_text(p, s->arguments));
  lines_pair(l, "recipe", plan_text(p, s->recipe));
  lines_pair(l, "data", plan_text(p, s->data));
  lines_pair(l, "lower", plan_text(p, s->lower));
  lines_pair(l, "precision", plan_text(p, s->precision));
  lines_pair(l, "schedule", rate);
  lines_pair(l, "settings", settings);
  add_whole(l, "batch", s->batch);
  add_whole(l, "plan", plan_hash(p));
  if (*work_text(p, d, work)) lines_pair(l, "computed", work);
  lines_pair(l, "file", plan_text(p, s->file));
  lines_pair(l, "source", plan_text(p, s->source));
}

/* The groups of lanes of the parameters in lcw form, for export. */
static void add_folds(Lines *l, const Plan *p) {
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (b->role != BUF_PARAM || !b->fold || !*plan_text(p, b->fold)) continue;
    lines_add(l, "\"fold.%s\":", buf_name(p, b));
    lines_quoted(l, plan_text(p, b->fold));
    lines_bytes(l, ",", 1);
  }
}

/* The table of tensors, in the order in which their data follows. */
static void add_tensors(Lines *l, const Plan *p) {
  uint64_t at = 0;
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (!is_saved(b)) continue;
    lines_quoted(l, buf_name(p, b));
    lines_add(l, ":{\"dtype\":\"%s\",\"shape\":[", type_name[b->dtype]);
    for (uint32_t k = 0; k < b->rank; k++) lines_add(l, k ? ",%u" : "%u", b->dim[k]);
    lines_add(l, "],\"data_offsets\":[%llu,%llu]},", (unsigned long long)at,
              (unsigned long long)(at + b->bytes));
    at += b->bytes;
  }
}

/* The header with zeros as its checksum, padded with spaces to a multiple of 8. */
static void build_header(Lines *l, const Plan *p, const Device *d, const TrainState *state) {
  lines_add(l, "%s%016x\",", CHECKPOINT_PREFIX, 0u);
  add_state(l, state);
  add_origin(l, p, d);
  add_folds(l, p);
  lines_close(l, "},");
  add_tensors(l, p);
  lines_close(l, "}");
  while (l->n % 8 && !l->bad) lines_bytes(l, " ", 1);
}

/* Calls `each` with the data of the file, block by block. */
static bool walk_data(Save *s, bool (*each)(void *ctx, const char *p, size_t n), void *ctx) {
  for (uint32_t i = 0; i < s->plan->nbuf; i++) {
    const PlanBuf *b = plan_buf(s->plan, i);
    uint64_t end = is_saved(b) ? b->bytes : 0;
    for (uint64_t at = 0, n; at < end; at += n) {
      n = end - at < CHECKPOINT_BLOCK ? end - at : CHECKPOINT_BLOCK;
      s->device->get(s->device, s->block, b->offset + at, n);
      if (!device_ok(s->device, s->fault) || !each(ctx, s->block, n)) return false;
    }
  }
  return true;
}

/* A step of walk_data() for the checksum. */
static bool hash_block(void *ctx, const char *p, size_t n) {
  uint64_t *h = ctx;
  *h = hash64(p, n, *h);
  return true;
}

/* And for the file. */
static bool write_block(void *ctx, const char *p, size_t n) { return sink_write(ctx, p, n); }

/* The bytes of the file: length, header, data. */
static bool save_body(void *ctx, Sink *sink, Fault *f) {
  Save *s = ctx;
  uint64_t n = s->header.n; /* little-endian, as is the machine */
  s->fault = f;
  return sink_write(sink, &n, sizeof n) && sink_write(sink, s->header.s, s->header.n) &&
         walk_data(s, write_block, sink);
}

/* Puts the checksum where the zeros are. */
static bool seal_header(Save *s) {
  char hex[17];
  uint64_t h = hash64(s->header.s, s->header.n, s->header.n);
  if (!walk_data(s, hash_block, &h)) return false;
  snprintf(hex, sizeof hex, "%016llx", (unsigned long long)h);
  memcpy(s->header.s + strlen(CHECKPOINT_PREFIX), hex, 16);
  return true;
}

bool checkpoint_save(const Io *io, const DurableFile *file, const Plan *p, Device *d,
                     const TrainState *state, Fault *f) {
  Save s = {.plan = p, .device = d, .fault = f};
  s.block = memory_new(CHECKPOINT_BLOCK, 1, "the checkpoint", f);
  bool ok = s.block != NULL;
  if (ok) build_header(&s.header, p, d, state);
  if (ok && s.header.bad) ok = fault_set(f, LCW_LIMIT, "no memory for the checkpoint's header");
  if (ok && s.header.n > CHECKPOINT_HEADER)
    ok = fault_set(f, LCW_LIMIT, "the checkpoint's header has %zu bytes, the limit is %d",
                   s.header.n, CHECKPOINT_HEADER);
  ok = ok && seal_header(&s) && durable_write(io, file, save_body, &s, f);
  lines_free(&s.header);
  free(s.block);
  return ok;
}
