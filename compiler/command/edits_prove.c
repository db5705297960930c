/* edits_prove.c: an edited kernel beside its untouched twin. In: a Compile whose device image holds
 * edited texts. Out: a verdict on each, a line about it, what both cost.
 *
 * Three devices stand one behind the other. The session speaks to an Isolate, which knows from
 * float64 what a launch has to leave and how far rounding may lead away from it. Behind it a Pair
 * has each launch of an edited kernel made twice: on the device of the session, by the edited text,
 * and on another one of the same kind, by the emitted text, which is given the same arguments. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "device.h"
#include "edits.h"
#include "hash.h"
#include "isolate.h"
#include "meter.h"
#include "rate.h"
#include "relay.h"

/* STEPS: momentum and bias are 0 in the first. */
enum { STEPS = 3, TIMED = 20, BLOCK = 1 << 20 };

/* What is known of one kernel. apart: the largest difference from the twin, and where. */
typedef struct {
  uint32_t launches, compared, skipped;
  double ratio, apart, ours, theirs;
  const Buffer *where;
  uint64_t at;
  bool strays;    /* writes where none of its arguments is */
  double cost[2]; /* ms or warp instructions of a launch: untouched, edited */
  bool counted;   /* instructions */
} Proof;

typedef struct {
  Relay relay;   /* first, so that a Device of it is a Pair */
  Device *twin;
  const Compile *c;
  Proof *proof;  /* [kernels of the program] */
  const Kernel *failed; /* the edited kernel at which the device gave up, or NULL */
  Fault fault;          /* and why */
} Pair;

/* One launch: what each argument held before, and what it holds after. */
typedef struct {
  Pair *p;
  const Plan *plan;
  const Kernel *k;
  uint32_t call, narg;
  const uint32_t *buf;
  Arena arena;
  void *before[MAX_ARG], *ours[MAX_ARG], *theirs[MAX_ARG];
} Twice;

static Pair *pair_of(Device *d) { return (Pair *)(void *)d; }

static const PlanBuf *buf_of(const Twice *t, uint32_t arg) {
  return PLAN_AT(t->plan, PlanBuf, t->plan->buf) + t->buf[arg];
}
static bool is_written(const Twice *t, uint32_t arg) { return t->k->arg[arg].use & ARG_WRITE; }

/* ---- launching twice ------------------------------------------------------------------------ */

/* Copies of the arguments on a device; only those that are written, or all. */
static void arguments_get(Twice *t, Device *d, bool all, void **out) {
  for (uint32_t j = 0; j < t->narg; j++) {
    const PlanBuf *b = buf_of(t, j);
    if (!all && !is_written(t, j)) continue;
    out[j] = arena_alloc(&t->arena, b->bytes + 1);
    d->get(d, out[j], b->offset, b->bytes);
  }
}

static void arguments_put(Twice *t, Device *d, void *const *from) {
  for (uint32_t j = 0; j < t->narg; j++)
    if (from[j]) d->put(d, buf_of(t, j)->offset, from[j], buf_of(t, j)->bytes);
}

static void launch_on(Twice *t, Device *d) { d->launch(d, t->plan, t->call, t->buf, t->narg); }

/* What the edited text left against what the emitted one did. */
static void argument_compare(Twice *t, uint32_t arg, Proof *r) {
  const Buffer *b = &t->p->c->program->buffer[t->buf[arg] + 1];
  for (uint64_t i = 0; i < b->elements; i++) {
    double ours = isolate_element(t->ours[arg], (DType)b->dtype, i),
           theirs = isolate_element(t->theirs[arg], (DType)b->dtype, i),
           apart = fabs(ours - theirs);
    if (isnan(ours) && isnan(theirs)) continue;
    if (!isfinite(apart)) apart = ours == theirs ? 0 : (double)INFINITY;
    if (apart <= r->apart && r->where) continue;
    r->apart = apart, r->where = b, r->at = i;
    r->ours = ours, r->theirs = theirs;
  }
}

/* A hash of the network's memory without what this launch may write. */
static uint64_t rest_hash(Twice *t, Device *d) {
  char *block = arena_alloc(&t->arena, BLOCK);
  uint64_t h = 0;
  for (uint64_t at = 0, n; at < t->plan->arena; at += n) {
    n = size_min(BLOCK, t->plan->arena - at);
    d->get(d, block, at, n);
    for (uint32_t j = 0; j < t->narg; j++) {
      uint64_t from = size_max(buf_of(t, j)->offset, at),
               to = size_min(buf_of(t, j)->offset + buf_of(t, j)->bytes, at + n);
      if (is_written(t, j) && from < to) memset(block + (from - at), 0, to - from);
    }
    h = hash64(block, n, h);
  }
  return h;
}

/* ---- what it costs -------------------------------------------------------------------------- */

/* Milliseconds of a launch by the clock on the wall; of the simulated device, which has no time, its
 * warp instructions. */
static double launch_cost(Twice *t, Device *d, bool *counted) {
  Reading from = {0}, to = {0};
  d->meter(d, &from);
  double begin = clock_seconds();
  launch_on(t, d);
  d->wait(d);
  double ms = 1e3 * (clock_seconds() - begin);
  d->meter(d, &to);
  *counted = to.counted;
  return to.counted ? (double)(to.count.instructions - from.count.instructions) : ms;
}

/* Times both in turn and keeps the least of each, or counts once; puts back what was there. */
static void pair_measure(Twice *t, Proof *r) {
  Device *d[2] = {t->p->twin, t->p->relay.real};
  r->cost[0] = r->cost[1] = (double)INFINITY;
  for (uint32_t i = 0; i < TIMED && !(i && r->counted); i++)
    for (int k = 0; k < 2; k++) r->cost[k] = fmin(r->cost[k], launch_cost(t, d[k], &r->counted));
  arguments_put(t, t->p->relay.real, t->ours);
}

static void pair_launch(Device *d, const Plan *plan, uint32_t call, const uint32_t *buf,
                        uint32_t narg) {
  Pair *p = pair_of(d);
  Device *real = p->relay.real;
  const Program *program = p->c->program;
  Twice t = {.p = p, .plan = plan, .k = program->kernel[program->call[call].kernel], .call = call,
             .narg = narg, .buf = buf};
  uint32_t code = kernel_text(t.k)->index;
  Proof *r = &p->proof[code];
  if (!p->c->cuda.edited[code]) {
    launch_on(&t, real);
    return;
  }
  arena_init(&t.arena, "pass", (size_t)8 << 30);
  arguments_get(&t, real, true, t.before);
  arguments_put(&t, p->twin, t.before);
  launch_on(&t, p->twin);
  arguments_get(&t, p->twin, false, t.theirs);
  uint64_t rest = r->launches ? 0 : rest_hash(&t, real);
  launch_on(&t, real);
  arguments_get(&t, real, false, t.ours);
  if (!r->launches) r->strays = rest != rest_hash(&t, real);
  if (!p->failed && !device_ok(real, &p->fault)) p->failed = kernel_text(t.k);
  for (uint32_t j = 0; j < narg && !p->failed; j++)
    if (is_written(&t, j)) argument_compare(&t, j, r);
  if (!p->failed && !r->launches++) pair_measure(&t, r);
  arena_release(&t.arena);
}

static void pair_open(Pair *p, const Compile *c, Device *real, Device *twin, Proof *proof) {
  *p = (Pair){.twin = twin, .c = c, .proof = proof};
  relay_open(&p->relay, real);
  p->relay.device.launch = pair_launch;
}

/* ---- every phase once ----------------------------------------------------------------------- */

/* Some training steps. */
static bool steps_run(Session *s, uint64_t seed, Fault *f) {
  double epochs = (double)s->plan->set.epochs, all = epochs * (double)s->steps_per_epoch;
  bool ok = true;
  for (uint32_t i = 0; ok && i < STEPS; i++) {
    Figures sum = {0};
    RateTime now = {0, (double)i, epochs, all};
    ok = session_step(s, seed, i, i % s->steps_per_epoch, (float)rate_of(s->plan, &now), &sum, f);
  }
  return ok;
}

/* Init and prepare, training steps, the evaluation of a batch, the probe. */
static bool phases_run(Session *s, uint64_t seed, Fault *f) {
  const Plan *p = s->plan;
  const DataSplit *split = s->data.test.count ? &s->data.test : &s->data.train;
  uint32_t rows = split->count < p->set.batch ? split->count : (uint32_t)p->set.batch;
  Batch batch = {split, s->data.test.count ? s->rows : s->order, rows, 0, 1, (uint32_t)seed};
  return session_init(s, seed, f) &&
         steps_run(s, seed, f) &&
         execute_phase(&s->exec, PHASE_EVAL, &batch, f) &&
         execute_phase(&s->exec, PHASE_PROBE, &batch, f);
}

/* The session on the three devices. */
static bool pair_run(Session *s, Device *twin, Arguments *a, Compile *c, Proof *proof, Fault *f) {
  Pair pair;
  Isolate isolate;
  pair_open(&pair, c, s->device, twin, proof);
  isolate_open(&isolate, c, &pair.relay.device);
  isolate.only = c->cuda.edited;
  s->exec.device = &isolate.relay.device;
  bool ok = phases_run(s, a->run.seed.given ? a->run.seed.n : s->plan->set.seed, f);
  s->exec.device = s->device;
  if (pair.failed)
    return compile_fail(c, pair.fault.code, "the edited kernel %s fails\n  --> %s/%s.cu\n = %s",
                        pair.failed->name, c->cuda.folder, pair.failed->name, pair.fault.text);
  if (ok && !device_ok(twin, f)) ok = false;
  for (uint32_t i = 0; i < c->program->ncall; i++) {
    Proof *r = &proof[kernel_text(c->program->kernel[c->program->call[i].kernel])->index];
    r->ratio = fmax(r->ratio, isolate.check[i].worst.ratio);
    r->compared += isolate.check[i].compared, r->skipped += isolate.check[i].skipped;
  }
  return ok;
}

/* ---- the verdict ---------------------------------------------------------------------------- */

/* linear.v[3, 5] */
static const char *place_text(Compile *c, const Buffer *b, uint64_t at) {
  const char *name = name_text(c->names, b->name ? b->name : b->layer);
  Text t;
  text_init(&t, &c->perm);
  uint64_t below = b->elements;
  text_add(&t, "%s", *name ? name : "the input");
  for (uint32_t i = 0; i < b->rank && b->elements; i++) {
    below /= (uint64_t)b->dim[i];
    text_add(&t, "%s%llu", i ? ", " : "[", (unsigned long long)(at / below % (uint64_t)b->dim[i]));
  }
  text_add(&t, b->rank ? "]" : "");
  return t.s;
}

/* Nothing of what differs may be further from float64 than rounding explains. What float64 cannot
 * redo by itself has to be the same. */
static bool is_wrong(const Proof *r) {
  return r->strays || (r->apart > 0 && (!(r->ratio <= 1) || (r->skipped && !r->compared)));
}

static bool kernel_refuse(Compile *c, const Kernel *k, const Proof *r) {
  if (r->strays)
    return compile_fail(c, LCW_NUMBERS,
                        "the edited kernel %s writes where it has no argument\n  --> %s/%s.cu",
                        k->name, c->cuda.folder, k->name);
  return compile_fail(
      c, LCW_NUMBERS,
      "the edited kernel %s is wrong: %s is %.9g, the emitted kernel made %.9g\n"
      "  --> %s/%s.cu\n = the largest difference is %.3g; %.3g times what rounding may do",
      k->name, place_text(c, r->where, r->at), r->ours, r->theirs, c->cuda.folder, k->name,
      r->apart, r->ratio);
}

static void kernel_note(const Kernel *k, const Proof *r) {
  fprintf(stderr, "note: %s is edited: ", k->name);
  if (!r->launches) {
    fprintf(stderr, "never launched, not checked\n");
    return;
  }
  fprintf(stderr, "%.2g of the error bound, at most %.2g from the emitted one; ", r->ratio,
          r->apart);
  if (r->counted)
    fprintf(stderr, "%.0f warp instructions, emitted %.0f\n", r->cost[1], r->cost[0]);
  else fprintf(stderr, "%.4f ms, emitted %.4f ms\n", r->cost[1], r->cost[0]);
}

static bool proofs_judge(Compile *c, const Proof *proof) {
  bool ok = true;
  for (uint32_t i = 0; i < c->program->nkernel; i++) {
    if (!c->cuda.edited[i]) continue;
    if (is_wrong(&proof[i])) ok = kernel_refuse(c, c->program->kernel[i], &proof[i]);
    else kernel_note(c->program->kernel[i], &proof[i]);
  }
  return ok;
}

/* ---- the interface -------------------------------------------------------------------------- */

/* The emitted text of all kernels, compiled. */
static bool twin_compile(Compile *c, CudaModel *out) {
  CudaBuild b = c->cuda;
  Text why;
  text_init(&why, &c->perm);
  b.edited = NULL;
  int code = cuda_compile(&c->perm, c->program->kernel, c->program->nkernel, &b, out, &why);
  return !code || compile_fail(c, code, "%s", why.s);
}

bool edits_any(const Compile *c) {
  for (uint32_t i = 0; i < c->program->nkernel; i++)
    if (c->cuda.edited[i]) return true;
  return false;
}

bool edits_prove(Arguments *a, Compile *c) {
  Fault f = {0};
  CudaModel was;
  Session s = {0};
  Proof *proof = NEW_ARRAY(&c->perm, Proof, c->program->nkernel);
  if (!edits_any(c))
    return fprintf(stderr, "note: --kernels=%s: no kernel differs from what is emitted\n",
                   c->cuda.folder), true;
  if (!twin_compile(c, &was)) return false;
  const ModelCode edited = {.cuda_plan = c->plan, .image = c->device.image},
                  emitted = {.cuda_plan = c->plan, .image = was.image};
  Device *twin = device_open(&emitted, &a->run, &f);
  bool ok = twin && twin->alloc(twin, c->plan->arena, &f) &&
            session_open(&s, &edited, &a->run, &f) && pair_run(&s, twin, a, c, proof, &f);
  session_close(&s);
  if (twin) twin->close(twin);
  if (c->exit || !proofs_judge(c, proof)) return false;
  return ok || (c->exit = fault_print(&f), false);
}
