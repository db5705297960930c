/* compare.c: see compare.h. */
#include "compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "rate.h"

/* ---- compiling ----------------------------------------------------------------------------- */

static bool session_start(Compare *x, Arguments *a) {
  Fault f = {0};
  x->seed = a->run.seed.given ? a->run.seed.n : x->code.plan->set.seed;
  if (session_open(&x->session, &x->code.model, &a->run, &f) &&
      session_init(&x->session, x->seed, &f))
    return true;
  return x->made.exit = fault_print(&f), false;
}

/* Compiles as far as the Graph that `pass` makes. */
static bool reference_open(Reference *r, Arguments *a, PassId pass, int *exit) {
  bool ok = arguments_compile(a, &r->c);
  r->c.front.diags.errors_only = true;
  r->c.times = false;
  ok = ok && compile_run(&r->c, a->place[0], pass);
  if (!*exit) *exit = r->c.exit;
  if (ok) r->t = interpreter_new(&r->c.model.graph, &r->c.perm);
  return ok;
}

bool compare_open(Compare *x, Arguments *a, int *exit) {
  *x = (Compare){0};
  bool ok = arguments_compile(a, &x->made) && code_make(a, &x->made, a->place[0], &x->code) &&
            session_start(x, a);
  *exit = x->made.exit;
  if (!ok || !reference_open(&x->exact, a, PASS_simplify, exit)) return false;
  interpreter_track(x->exact.t);
  return x->made.precision == PRECISION_FP32 ||
         reference_open(&x->rounded, a, PASS_precision, exit);
}

void compare_close(Compare *x) {
  if (x->code.plan) session_close(&x->session);
  code_close(&x->code);
  compile_release(&x->made);
  compile_release(&x->exact.c), compile_release(&x->rounded.c);
}

/* ---- feeding the interpreter --------------------------------------------------------------- */

/* Number i of the samples of a batch, `per` numbers each. */
static double sample_at(const Data *d, const uint32_t *row, uint64_t i, uint64_t per) {
  uint64_t at = (uint64_t)row[i / per] * per + i % per;
  const void *s = d->train.sample;
  return d->dtype == DTYPE_U8 ? (double)((const uint8_t *)s)[at] : (double)((const float *)s)[at];
}

static double label_at(const Data *d, const uint32_t *row, uint64_t i, uint64_t per) {
  uint64_t at = (uint64_t)row[i / per] * per + i % per;
  return d->classes ? (double)((const int32_t *)d->train.label)[at]
                    : (double)((const float *)d->train.label)[at];
}

void batch_feed(const Graph *g, Interpreter *t, const Session *s, uint64_t seed, double rate) {
  const Data *d = &s->data;
  Arena arena;
  arena_init(&arena, "pass", 0);
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    if (n->op != OP_INPUT) continue;
    uint64_t count = shape_elements(&n->shape),
             rows = n->shape.rank ? (uint64_t)n->shape.dim[0].n : 1;
    double *x = NEW_ARRAY(&arena, double, count);
    for (uint64_t i = 0; i < count; i++) switch ((Feed)n->attr.decl.feed) {
      case FEED_SAMPLE: x[i] = sample_at(d, s->order, i, count / rows); break;
      case FEED_LABEL: x[i] = label_at(d, s->order, i, count / rows); break;
      case FEED_SCALE: x[i] = (double)d->scale[i]; break;
      case FEED_SHIFT: x[i] = (double)d->shift[i]; break;
      case FEED_RATE: x[i] = (double)(float)rate; break;
      case FEED_STEP: x[i] = i ? (double)seed : 0; break;
      case FEED_NONE:
      case FEED_COUNT: break;
      }
    interpreter_set(t, v, x);
  }
  arena_release(&arena);
}

/* ---- the step ------------------------------------------------------------------------------ */

static const PlanBuf *buf_at(const Compare *x, uint32_t i) {
  return PLAN_AT(x->code.plan, PlanBuf, x->code.plan->buf) + i;
}

/* The node of a Graph that a buffer of the plan holds in the end; 0: none. */
static Val value_of(const Compare *x, Reference *r, const PlanBuf *b) {
  Graph *g = &r->c.model.graph;
  Name name = name_of_text(r->c.names, plan_text(x->code.plan, b->name));
  if (b->role == BUF_PARAM) return graph_find(g, OP_PARAM, name);
  if (b->role == BUF_STATE) return graph_find(g, OP_STATE, name);
  for (uint32_t i = 0; b->role == BUF_OUTPUT && i < g->nroot; i++) {
    const Root *root = &g->root[i];
    if (root->kind == ROOT_OUTPUT && root->phase == PHASE_TRAIN && root->out == b->out &&
        root->name == name)
      return root->value;
  }
  return 0;
}

/* A buffer of float32 as the device has it; the caller frees it. */
static float *device_get(const Compare *x, uint32_t i) {
  const PlanBuf *b = buf_at(x, i);
  float *out = malloc(b->bytes ? b->bytes : 1);
  if (!out) abort();
  if (b->role == BUF_OUTPUT) memcpy(out, executor_output(&x->session.exec, i), b->bytes);
  else x->session.device->get(x->session.device, out, b->offset, b->bytes);
  return out;
}

/* Notes what the device has. */
static void leaves_read(Compare *x) {
  x->before = NEW_ARRAY(&x->made.perm, const double *, x->code.plan->nbuf);
  for (uint32_t i = 0; i < x->code.plan->nbuf; i++) {
    const PlanBuf *b = buf_at(x, i);
    if ((b->role != BUF_PARAM && b->role != BUF_STATE) || b->dtype != DTYPE_F32) continue;
    float *from = device_get(x, i);
    uint64_t n = b->bytes / sizeof *from;
    double *to = NEW_ARRAY(&x->made.perm, double, n + 1);
    for (uint64_t k = 0; k < n; k++) to[k] = (double)from[k];
    x->before[i] = to;
    free(from);
  }
}

/* The step on a Graph, from where the device began. */
static bool reference_step(Compare *x, Reference *r, double rate) {
  if (!r->t) return true;
  batch_feed(&r->c.model.graph, r->t, &x->session, x->seed, rate);
  for (uint32_t i = 0; i < x->code.plan->nbuf; i++) {
    Val v = x->before[i] ? value_of(x, r, buf_at(x, i)) : 0;
    if (v) interpreter_set(r->t, v, x->before[i]);
  }
  return interpreter_run(r->t, PHASE_TRAIN);
}

bool compare_step(Compare *x, int *exit) {
  Figures sum = {0};
  Fault f = {0};
  double epochs = (double)x->code.plan->set.epochs;
  RateTime at = {0, 0, epochs, epochs * (double)x->session.steps_per_epoch};
  double rate = rate_of(x->code.plan, &at);
  leaves_read(x);
  if (!session_step(&x->session, x->seed, 0, 0, (float)rate, &sum, &f))
    return *exit = fault_print(&f), false;
  if (reference_step(x, &x->exact, rate) && reference_step(x, &x->rounded, rate)) return true;
  return *exit = command_fail(LCW_INTERNAL, "internal: the interpreter lacks the value of a leaf"),
         false;
}

/* A float32 is exact to half a unit in its last place, whatever made it. */
void difference_add(Difference *d, double have, double want, double bound) {
  double far = fabs(have - want), most = bound + 0x1p-24 * fabs(want) + 0x1p-149;
  d->ratio = fmax(d->ratio, isfinite(far) ? far / most : (double)INFINITY);
  d->difference = isnan(far) ? (double)INFINITY : fmax(d->difference, far);
  d->largest = fmax(d->largest, fabs(want));
  d->bound = fmax(d->bound, most);
}

/* Adds to a sum of squares what rounding of `want` to a float32 does not explain. */
static void square_add(double *sum, double have, double want) {
  double far = fabs(have - want) - 0x1p-24 * fabs(want);
  *sum += isnan(far) ? INFINITY : far > 0 ? far * far : 0;
}

bool compare_buffer(Compare *x, uint32_t buffer, Difference *out) {
  const PlanBuf *b = buf_at(x, buffer);
  Val v = value_of(x, &x->exact, b), w = x->rounded.t ? value_of(x, &x->rounded, b) : 0;
  *out = (Difference){0};
  const double *want = v ? interpreter_get(x->exact.t, v) : NULL, *before = x->before[buffer],
               *bound = v ? interpreter_error(x->exact.t, v) : NULL,
               *rounded = w ? interpreter_get(x->rounded.t, w) : NULL;
  if (!want || b->dtype != DTYPE_F32) return false;
  float *have = device_get(x, buffer);
  uint64_t n = b->bytes / sizeof *have;
  for (uint64_t i = 0; i < n; i++) {
    double moved = want[i] - (before ? before[i] : 0);
    difference_add(out, (double)have[i], want[i], bound ? bound[i] : 0);
    square_add(&out->square, (double)have[i], want[i]);
    square_add(&out->rounding, rounded ? rounded[i] : want[i], want[i]);
    out->moved += moved * moved;
  }
  out->square = sqrt(out->square / (double)n), out->moved = sqrt(out->moved / (double)n);
  out->rounding = sqrt(out->rounding / (double)n);
  free(have);
  return true;
}
