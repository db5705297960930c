/* plan_check.c: the proof that a Plan is well formed. In: bytes; out: true, or the first fault
 * with the table and row it is in. A false Plan is a bug of the compiler or a damaged file. */
#include "plan_check.h"
#include <stdlib.h>
#include <string.h>
#include "hash.h"
#include "rate.h"

static const uint8_t dtype_size[] = {4, 1, 4, 4, 8, 2};
static const char *const dtype_name[] = {"f32", "u8", "i32", "u32", "f64", "bf16"};

uint32_t plan_dtype_bytes(uint32_t dtype) { return dtype_size[dtype]; }
const char *plan_dtype_text(uint32_t dtype) { return dtype_name[dtype]; }

uint64_t buf_count(const PlanBuf *b) {
  uint64_t n = 1;
  for (uint32_t i = 0; i < b->rank; i++) n *= b->dim[i];
  return n;
}

uint64_t plan_params(const Plan *p) {
  return (uint64_t)p->set.params_hi << 32 | p->set.params_lo;
}

uint64_t plan_hash(const Plan *p) {
  uint64_t h = 0;
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (b->role != BUF_PARAM && b->role != BUF_STATE) continue;
    const char *name = buf_name(p, b);
    h = hash64(name, strlen(name) + 1, h);
    h = hash64(&b->dtype, sizeof b->dtype, h);
    h = hash64(b->dim, b->rank * sizeof *b->dim, h);
  }
  return h;
}

uint64_t plan_work_hash(const Plan *p) {
  const PlanKernel *kernel = PLAN_AT(p, PlanKernel, p->kernel);
  uint64_t h = 0;
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    const uint32_t what[] = {b->role, b->dtype, b->rank, b->computed};
    h = hash64(buf_name(p, b), strlen(buf_name(p, b)) + 1, h);
    h = hash64(what, sizeof what, h);
    h = hash64(b->dim, b->rank * sizeof *b->dim, h);
  }
  for (uint32_t i = 0; i < p->nkernel; i++) {
    const PlanKernel *k = &kernel[i];
    const char *symbol = plan_text(p, k->symbol);
    h = hash64(symbol, strlen(symbol) + 1, h);
    h = hash64(k->grid, sizeof k->grid, h);
    h = hash64(k->block, sizeof k->block, h);
    h = hash64(&k->chunks, sizeof k->chunks, h);
  }
  h = hash64(PLAN_AT(p, PlanStep, p->step), p->nstep * sizeof(PlanStep), h);
  return hash64(PLAN_AT(p, uint32_t, p->arg), p->narg * sizeof(uint32_t), h);
}

/* Every message of this file: the plan is damaged, where, and how. */
static bool bad(Fault *f, const char *table, uint32_t row, const char *what) {
  return fault_set(f, LCW_INTERNAL, "the plan is damaged: %s %u: %s", table, row, what);
}

/* A table of n rows of `row` bytes at `at` lies inside the block. */
static bool table_inside(const Plan *p, uint64_t at, uint64_t n, uint64_t row, uint64_t align) {
  return at % align == 0 && at <= p->size && n <= (p->size - at) / row;
}

/* The block is as long as it says, and its tables lie in it. */
static bool check_header(const Plan *p, uint64_t size, Fault *f) {
  if (size && size < sizeof *p) return bad(f, "header", 0, "shorter than its header");
  if (p->magic != PLAN_MAGIC) return bad(f, "header", 0, "not a plan");
  if (p->version != PLAN_VERSION) return bad(f, "header", p->version, "unknown version");
  if (p->size < sizeof *p || (size && p->size != size)) return bad(f, "header", 0, "wrong size");
  if (!table_inside(p, p->buf, p->nbuf, sizeof(PlanBuf), 8) ||
      !table_inside(p, p->kernel, p->nkernel, sizeof(PlanKernel), 8) ||
      !table_inside(p, p->step, p->nstep, sizeof(PlanStep), 4) ||
      !table_inside(p, p->arg, p->narg, sizeof(uint32_t), 4) ||
      !table_inside(p, p->rate, p->nrate, sizeof(PlanRate), 8) ||
      !table_inside(p, p->str, p->nstr, 1, 1))
    return bad(f, "header", 0, "a table lies outside the block");
  if (p->nstr == 0 || *plan_text(p, 0) || *plan_text(p, (uint32_t)(p->nstr - 1)))
    return bad(f, "strings", 0, "no closing NUL");
  return true;
}

/* The phases follow one another and cover all steps. */
static bool check_phases(const Plan *p, Fault *f) {
  for (uint32_t i = 0; i < PHASE_COUNT; i++)
    if (p->phase[i] > p->phase[i + 1]) return bad(f, "phase", i, "ends before it begins");
  if (p->phase[0] != 0 || p->phase[PHASE_COUNT] != p->nstep)
    return bad(f, "phase", 0, "the phases do not cover the steps");
  return true;
}

/* Bytes of a buffer agree with its dims: exactly for what is fed, saved or fetched, and at
 * least for the others, whose layout may be padded. */
static bool check_bytes(const PlanBuf *b) {
  uint64_t bytes = dtype_size[b->dtype];
  for (uint32_t k = 0; k < b->rank; k++)
    if (__builtin_mul_overflow(bytes, (uint64_t)b->dim[k], &bytes)) return false;
  bool exact = b->role == BUF_INPUT || b->role == BUF_PARAM || b->role == BUF_STATE ||
               b->role == BUF_OUTPUT;
  return exact ? b->bytes == bytes : b->bytes >= bytes;
}

/* Inputs and outputs have the size that the run fills or reads. */
static bool check_meaning(const Plan *p, const PlanBuf *b) {
  const PlanSettings *set = &p->set;
  uint64_t sample = 1;
  for (uint32_t k = 0; k < set->sample_rank; k++) sample *= set->sample_dim[k];
  bool batch = b->rank >= 1 && b->dim[0] == set->batch;
  switch (b->role == BUF_INPUT ? (Feed)b->feed : FEED_NONE) {
  case FEED_SAMPLE: return batch && buf_count(b) == sample * set->batch && b->dtype <= DTYPE_U8;
  case FEED_LABEL: return batch && (b->dtype == DTYPE_I32 || b->dtype == DTYPE_F32);
  case FEED_SCALE: case FEED_SHIFT: return b->dtype == DTYPE_F32;
  case FEED_RATE: return b->dtype == DTYPE_F32 && b->bytes == 4;
  case FEED_STEP: return b->dtype == DTYPE_U32 && b->bytes == 8;
  default: break;
  }
  switch (b->role == BUF_OUTPUT ? (Out)b->out : OUT_NONE) {
  case OUT_LOSS: case OUT_HIT: return batch && b->dtype == DTYPE_F32 && b->bytes == 4 * set->batch;
  case OUT_FINITE: case OUT_RESIDUAL: return b->dtype == DTYPE_F32 && b->bytes >= 4;
  default: return true;
  }
}

/* Names, kinds, places and sizes. */
static bool check_bufs(const Plan *p, Fault *f) {
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (b->name >= p->nstr || b->layer >= p->nstr || b->fold >= p->nstr)
      return bad(f, "buffer", i, "its name is outside the strings");
    if (b->role >= BUF_ROLES || b->dtype >= DTYPE_COUNT || b->rank > PLAN_MAX_RANK ||
        b->feed >= FEED_COUNT || b->out >= OUT_COUNT)
      return bad(f, "buffer", i, "a field has an unknown value");
    if (b->offset % 64 || b->offset > p->arena || b->bytes > p->arena - b->offset)
      return bad(f, "buffer", i, "it is outside the arena, or not aligned");
    if (!check_bytes(b)) return bad(f, "buffer", i, "its bytes do not agree with its dimensions");
    if (!check_meaning(p, b))
      return bad(f, "buffer", i, "its shape is not that of its feed or output");
  }
  return true;
}

/* Every kernel has a name, code and not too many arguments. */
static bool check_kernels(const Plan *p, Fault *f) {
  const PlanKernel *k = PLAN_AT(p, PlanKernel, p->kernel);
  for (uint32_t i = 0; i < p->nkernel; i++) {
    if (k[i].name >= p->nstr || k[i].symbol >= p->nstr)
      return bad(f, "kernel", i, "its name is outside the strings");
    if (k[i].code >= p->ncode) return bad(f, "kernel", i, "it has no code");
    if (k[i].narg > PLAN_MAX_ARGS || k[i].nnumber > PLAN_MAX_NUMBERS) return bad(f, "kernel", i, "it has too many arguments");
    if (k[i].scratch > p->arena + (UINT64_C(1) << 32) ||
        k[i].workspace > p->arena + (UINT64_C(1) << 32))
      return bad(f, "kernel", i, "its scratch is absurd");
  }
  return true;
}

/* What is wrong with one step, or NULL. */
static const char *step_fault(const Plan *p, const PlanStep *s) {
  const PlanKernel *k = PLAN_AT(p, PlanKernel, p->kernel);
  const uint32_t *arg = PLAN_AT(p, uint32_t, p->arg);
  if (s->op >= STEP_COUNT) return "unknown operation";
  if (s->op == STEP_LAUNCH) {
    if (s->a >= p->nkernel) return "no such kernel";
    if (s->b > p->narg || s->c > p->narg - s->b) return "its arguments are outside the table";
    if (s->c != k[s->a].narg) return "wrong number of arguments";
    if (k[s->a].nnumber > p->narg - s->b - s->c) return "its numbers are outside the table";
    for (uint32_t i = 0; i < s->c; i++)
      if (arg[s->b + i] >= p->nbuf) return "an argument is no buffer";
    return NULL;
  }
  if (s->a >= p->nbuf) return "no such buffer";
  const PlanBuf *b = plan_buf(p, s->a);
  if (s->op == STEP_FEED && (b->role != BUF_INPUT || b->feed == FEED_NONE))
    return "it feeds no input";
  if (s->op == STEP_FETCH && (b->role != BUF_OUTPUT || b->out == OUT_NONE))
    return "it fetches no output";
  if (s->op == STEP_COPY && (s->b >= p->nbuf || plan_buf(p, s->b)->bytes != b->bytes))
    return "the buffers differ in size";
  return NULL;
}

/* Every operand of every step exists. */
static bool check_steps(const Plan *p, Fault *f) {
  const PlanStep *step = PLAN_AT(p, PlanStep, p->step);
  for (uint32_t i = 0; i < p->nstep; i++) {
    const char *what = step_fault(p, &step[i]);
    if (what) return bad(f, "step", i, what);
  }
  return true;
}

/* Runs the schedule on depths alone. */
static bool check_rate(const Plan *p, Fault *f) {
  const PlanRate *row = PLAN_AT(p, PlanRate, p->rate);
  uint32_t depth = 0;
  for (uint32_t i = 0; i < p->nrate; i++) {
    if (row[i].op >= RATE_COUNT) return bad(f, "rate", i, "unknown operation");
    if (rate_pops(row[i].op) > depth) return bad(f, "rate", i, "takes more than there is");
    depth = depth - rate_pops(row[i].op) + 1;
    if (depth > RATE_STACK) return bad(f, "rate", i, "too deep");
  }
  return p->nrate == 0 || depth == 1 || bad(f, "rate", p->nrate, "does not leave one value");
}

/* Texts exist; batch and sample have a size. */
static bool check_settings(const Plan *p, Fault *f) {
  const PlanSettings *s = &p->set;
  const uint32_t text[] = {s->file,        s->net,          s->recipe,    s->data,
                           s->lower,       s->precision,    s->source,    s->arguments,
                           s->source_path, s->source_path2, s->test_path, s->test_path2};
  for (uint32_t i = 0; i < sizeof text / sizeof *text; i++)
    if (text[i] >= p->nstr) return bad(f, "settings", i, "a text is outside the strings");
  if (s->batch == 0 || s->batch > INT32_MAX)
    return bad(f, "settings", 0, "the batch is empty or absurd");
  if (s->sample_rank > 3) return bad(f, "settings", 0, "the sample's rank is above 3");
  for (uint32_t i = 0; i < s->sample_rank; i++)
    if (s->sample_dim[i] == 0 || s->sample_dim[i] > 1u << 20)
      return bad(f, "settings", i, "a dimension of the sample is empty or absurd");
  return true;
}

typedef struct { uint64_t begin, end; uint32_t row; } Range;

/* Ranges by where they begin. */
static int range_order(const void *a, const void *b) {
  uint64_t x = ((const Range *)a)->begin, y = ((const Range *)b)->begin;
  return (x > y) - (x < y);
}

/* What outlives a step shares no byte with anything else that does. */
static bool check_disjoint(const Plan *p, Fault *f) {
  Range *r = memory_new(p->nbuf, sizeof *r, "the check of the plan", f);
  uint32_t n = 0, twice = UINT32_MAX;
  if (!r) return false;
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (b->bytes && (b->role == BUF_PARAM || b->role == BUF_STATE || b->role == BUF_DERIVED ||
                     b->role == BUF_CONST))
      r[n++] = (Range){b->offset, b->offset + b->bytes, i};
  }
  qsort(r, n, sizeof *r, range_order);
  for (uint32_t i = 1; i < n && twice == UINT32_MAX; i++)
    if (r[i].begin < r[i - 1].end) twice = r[i].row;
  free(r);
  return twice == UINT32_MAX ||
         bad(f, "buffer", twice, "it shares memory with another that is kept");
}

bool plan_check(const Plan *p, uint64_t size, Fault *f) {
  return check_header(p, size, f) && check_settings(p, f) && check_phases(p, f) &&
         check_bufs(p, f) && check_kernels(p, f) && check_steps(p, f) && check_rate(p, f) &&
         check_disjoint(p, f);
}
