/* plan.c: the pass `plan`, the last one that knows names. In: a Program with launches set by the
 * target, and the Model's settings. Out: one pointer-free block of bytes, as plan.h describes.
 * The block is written once, front to back: every table is measured before it is allocated. */
#include <string.h>
#include "arrange.h"
#include "plan_make.h"

typedef struct {
  const Program *p;
  const Model *m;
  Sources *sources;
  Arena *arena;
  Plan *plan;
  Text strings;
  uint32_t *string_of;
  size_t nstring_of; /* offset of an interned name, 0: not yet there */
  PlanStep *step;
  uint32_t nstep, capstep;
  uint32_t *arg;
  uint32_t narg, caparg;
} Make;

/* ---- strings ------------------------------------------------------------------------------- */

static uint32_t string_add(Make *k, const char *s, size_t n) {
  uint32_t at = (uint32_t)k->strings.n;
  text_bytes(&k->strings, s, n);
  text_bytes(&k->strings, "", 1);
  return at;
}

static uint32_t string_text(Make *k, const char *s) {
  return s && *s ? string_add(k, s, strlen(s)) : 0;
}

static uint32_t string_name(Make *k, Name name) {
  if (!name) return 0;
  if (name >= k->nstring_of) {
    size_t want = size_max(1024, (size_t)name * 2);
    k->string_of = arena_grow(k->arena, k->string_of, k->nstring_of * sizeof(uint32_t),
                              want * sizeof(uint32_t));
    k->nstring_of = want;
  }
  if (!k->string_of[name]) k->string_of[name] = string_text(k, name_text(k->p->names, name));
  return k->string_of[name];
}

static uint32_t line_of(Make *k, Span at) {
  return at.file ? source_position(k->sources, at).line : 0;
}

/* ---- steps --------------------------------------------------------------------------------- */

static void step_add(Make *k, StepOp op, uint32_t a, uint32_t b, uint32_t c) {
  PUSH(k->arena, k, step, (PlanStep){op, a, b, c});
}

static void launch_add(Make *k, uint32_t call) {
  const Call *c = &k->p->call[call];
  const Launch *l = &k->p->kernel[c->kernel]->launch;
  uint32_t first = k->narg, n = k->p->kernel[c->kernel]->narg;
  for (uint32_t j = 0; j < n; j++) PUSH(k->arena, k, arg, c->buf[j] - 1);
  for (uint32_t j = 0; j < l->nnumber; j++) PUSH(k->arena, k, arg, (uint32_t)l->number[j]);
  step_add(k, STEP_LAUNCH, call, first, n);
}

static void zeroes_add(Make *k, Phase phase) {
  for (uint32_t i = 0; i < k->p->nzeroed; i++)
    if (k->p->zeroed[i].phase == phase) step_add(k, STEP_ZERO, k->p->zeroed[i].buf - 1, 0, 0);
}

/* FEEDs of the inputs that the phase reads, its LAUNCHes, FETCHes of the outputs it writes. */
static void phase_add(Make *k, Phase phase, uint32_t *call, uint8_t *seen) {
  uint32_t first = *call, end = first;
  while (end < k->p->ncall && k->p->call[end].phase == phase) end++;
  memset(seen, 0, k->p->nbuffer);
  for (uint32_t i = first; i < end; i++)
    for (uint32_t j = 0; j < k->p->kernel[k->p->call[i].kernel]->narg; j++)
      seen[k->p->call[i].buf[j]] = 1;
  k->plan->phase[phase] = k->nstep;
  for (uint32_t b = 1; b < k->p->nbuffer; b++)
    if (seen[b] && k->p->buffer[b].role == BUF_INPUT) step_add(k, STEP_FEED, b - 1, 0, 0);
  for (uint32_t i = first; i < end; i++) launch_add(k, i);
  zeroes_add(k, phase);
  for (uint32_t b = 1; b < k->p->nbuffer; b++)
    if (seen[b] && k->p->buffer[b].role == BUF_OUTPUT) step_add(k, STEP_FETCH, b - 1, 0, 0);
  *call = end;
}

/* ---- tables -------------------------------------------------------------------------------- */

static const char *fold_text(const Make *k, Name param) {
  for (uint32_t i = 0; i < k->m->nfold; i++)
    if (k->m->fold[i].param == param) return k->m->fold[i].groups;
  return NULL;
}

static void buffers_write(Make *k, PlanBuf *out, const uint64_t *offset, const uint64_t *data) {
  for (uint32_t b = 1; b < k->p->nbuffer; b++) {
    const Buffer *from = &k->p->buffer[b];
    PlanBuf *to = &out[b - 1];
    *to = (PlanBuf){.name = string_name(k, from->name),
                    .role = from->role,
                    .dtype = from->dtype,
                    .rank = from->rank,
                    .feed = from->feed,
                    .out = from->out,
                    .line = line_of(k, from->span),
                    .layer = string_name(k, from->layer),
                    .computed = from->computed,
                    .bytes = buffer_bytes(from),
                    .offset = offset[b],
                    .data = data[b]};
    for (uint32_t i = 0; i < from->rank; i++) to->dim[i] = (uint32_t)from->dim[i];
    if (from->role == BUF_PARAM && k->m->nfold) to->fold = string_text(k, fold_text(k, from->name));
  }
}

static void kernels_write(Make *k, PlanKernel *out) {
  for (uint32_t i = 0; i < k->p->ncall; i++) {
    const Call *c = &k->p->call[i];
    const Kernel *from = k->p->kernel[c->kernel];
    const Kernel *code = kernel_text(from);
    out[i] = (PlanKernel){.name = string_name(k, c->name),
                          .line = line_of(k, c->span),
                          .code = code->index,
                          .symbol = string_name(k, name_of_text(k->p->names, code->name)),
                          .narg = from->narg,
                          .nnumber = from->launch.nnumber,
                          .chunks = from->launch.chunks,
                          .shared = from->launch.shared,
                          .scratch = from->launch.scratch,
                          .workspace = from->launch.workspace,
                          .flops = from->flops,
                          .bytes = from->bytes};
    memcpy(out[i].grid, from->launch.grid, sizeof out[i].grid);
    memcpy(out[i].block, from->launch.block, sizeof out[i].block);
  }
}

/* The user's file: the prelude comes before it, imports and options after. */
static const char *file_name(const Sources *s) {
  for (size_t i = 1; i < s->nsource; i++)
    if (!s->source[i].prelude) return s->source[i].name;
  return "";
}

static void settings_write(Make *k, const char *source, PlanSettings *out) {
  const ModelSettings *s = &k->m->set;
  const ModelData *d = &k->m->data;
  *out = (PlanSettings){.seed = s->seed,
                        .epochs = s->epochs,
                        .batch = s->batch,
                        .eval_every = s->eval_every,
                        .save_every = s->save_every,
                        .classes = s->classes,
                        .has_labels = s->classes > 0,
                        .params_lo = (uint32_t)k->m->free,
                        .params_hi = (uint32_t)(k->m->free >> 32),
                        .net = string_text(k, s->net),
                        .recipe = string_text(k, s->recipe),
                        .data = string_text(k, s->data),
                        .lower = string_text(k, s->lower),
                        .precision = string_text(k, s->precision),
                        .arguments = string_text(k, s->arguments),
                        .source = string_text(k, source),
                        .source_kind = d->kind,
                        .source_path = string_text(k, d->path),
                        .source_path2 = string_text(k, d->path2),
                        .test_path = string_text(k, d->test),
                        .test_path2 = string_text(k, d->test2),
                        .normalize = d->normalize,
                        .synthetic_samples = d->samples,
                        .synthetic_test = d->test_samples,
                        .synthetic_seed = d->seed};
  out->file = string_text(k, file_name(k->sources));
  out->sample_rank = d->rank;
  memcpy(out->sample_dim, d->dim, sizeof out->sample_dim);
}

/* ---- the block ----------------------------------------------------------------------------- */

typedef struct {
  uint64_t size;
} Layout;

static uint64_t table_place(Layout *l, uint64_t count, uint64_t size) {
  uint64_t at = l->size;
  l->size += (count * size + 7) & ~(uint64_t)7;
  return at;
}

/* Offsets of the bytes of constants, 64-byte aligned so that a device may copy them as they are. */
static uint64_t *constants_place(Make *k, Layout *l) {
  uint64_t *data = NEW_ARRAY(k->arena, uint64_t, k->p->nbuffer);
  for (uint32_t b = 1; b < k->p->nbuffer; b++)
    if (k->p->buffer[b].data) data[b] = table_place(l, 1, buffer_bytes(&k->p->buffer[b]));
  return data;
}

Plan *plan_make(const Program *p, const Model *m, const char *source, Sources *sources,
                Arena *arena) {
  Plan head = {.magic = PLAN_MAGIC, .version = PLAN_VERSION};
  Make k = {.p = p, .m = m, .sources = sources, .arena = arena, .plan = &head};
  text_init(&k.strings, arena);
  string_add(&k, "", 0);
  uint64_t *offset = NEW_ARRAY(arena, uint64_t, p->nbuffer);
  head.arena = arrange_buffers(p, offset, arena);
  uint8_t *seen = NEW_ARRAY(arena, uint8_t, p->nbuffer);
  uint32_t call = 0;
  for (Phase phase = PHASE_INIT; phase < PHASE_COUNT; phase++) phase_add(&k, phase, &call, seen);
  head.phase[PHASE_COUNT] = k.nstep;
  Layout l = {sizeof head};
  head.nbuf = p->nbuffer - 1, head.nkernel = p->ncall, head.nstep = k.nstep, head.narg = k.narg;
  head.nrate = m->nrate, head.ncode = p->nkernel;
  head.buf = table_place(&l, head.nbuf, sizeof(PlanBuf));
  head.kernel = table_place(&l, head.nkernel, sizeof(PlanKernel));
  head.step = table_place(&l, head.nstep, sizeof(PlanStep));
  head.arg = table_place(&l, head.narg, sizeof(uint32_t));
  head.rate = table_place(&l, head.nrate, sizeof(PlanRate));
  uint64_t *data = constants_place(&k, &l);
  PlanBuf *buf = NEW_ARRAY(arena, PlanBuf, head.nbuf + 1);
  PlanKernel *kernel = NEW_ARRAY(arena, PlanKernel, head.nkernel + 1);
  buffers_write(&k, buf, offset, data);
  kernels_write(&k, kernel);
  settings_write(&k, source, &head.set);
  head.nstr = k.strings.n;
  head.str = table_place(&l, head.nstr, 1);
  head.size = l.size;
  char *block = arena_alloc(arena, l.size);
  memcpy(block, &head, sizeof head);
  memcpy(block + head.buf, buf, head.nbuf * sizeof *buf);
  memcpy(block + head.kernel, kernel, head.nkernel * sizeof *kernel);
  if (k.nstep) memcpy(block + head.step, k.step, k.nstep * sizeof *k.step);
  if (k.narg) memcpy(block + head.arg, k.arg, k.narg * sizeof *k.arg);
  if (m->nrate) memcpy(block + head.rate, m->rate, m->nrate * sizeof *m->rate);
  for (uint32_t b = 1; b < p->nbuffer; b++)
    if (data[b]) memcpy(block + data[b], p->buffer[b].data, buffer_bytes(&p->buffer[b]));
  memcpy(block + head.str, k.strings.s, k.strings.n);
  return (Plan *)(void *)block;
}
