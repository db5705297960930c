/* compare.c: see compare.h. */
#include "compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "rate.h"

/* ---- compiling ----------------------------------------------------------------------------- */

static bool host_open(Compare *x, Arguments *a) {
  Text why;
  Fault f = {0};
  const HostTable *table;
  Compile *c = &x->host;
  text_init(&why, &c->perm);
  x->jit = host_load(&c->host, &x->plan, &table, &why);
  if (!x->jit)
    return compile_fail(c, LCW_INTERNAL, "the compiled kernels cannot be loaded: %s", why.s);
  a->run.file_folder = compile_folder(c);
  ModelCode model = {.plan = x->plan, .table = table};
  x->seed = a->run.seed.given ? a->run.seed.n : x->plan->set.seed;
  if (session_open(&x->session, &model, &a->run, &f) && session_init(&x->session, x->seed, &f))
    return true;
  return c->exit = fault_print(&f), false;
}

bool compare_open(Compare *x, Arguments *a, int *exit) {
  *x = (Compare){0};
  bool ok = arguments_compile(a, &x->host) && arguments_compile(a, &x->reference);
  if (ok && x->host.target != &target_host)
    ok = compile_fail(&x->host, LCW_USAGE, "kernels are compared on the host only\n"
                                           "help: --device=host");
  ok = ok && isa_choose(a, &x->host, x->isa) && compile_run(&x->host, a->place[0], PASS_object) &&
       host_open(x, a);
  *exit = x->host.exit;
  x->reference.front.diags.errors_only = true;
  x->reference.times = false;
  ok = ok && compile_run(&x->reference, a->place[0], PASS_simplify);
  if (!*exit) *exit = x->reference.exit;
  return ok;
}

void compare_close(Compare *x) {
  if (x->plan) session_close(&x->session);
  if (x->jit) host_unload(x->jit);
  compile_release(&x->host);
  compile_release(&x->reference);
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
  return PLAN_AT(x->plan, PlanBuf, x->plan->buf) + i;
}

/* The node of the reference that a buffer of the plan holds in the end; 0: none. */
static Val reference_of(const Compare *x, const PlanBuf *b) {
  const Graph *g = &x->reference.model.graph;
  Name name = name_of_text(x->reference.names, plan_text(x->plan, b->name));
  if (b->role == BUF_PARAM) return graph_find(g, OP_PARAM, name);
  if (b->role == BUF_STATE) return graph_find(g, OP_STATE, name);
  for (uint32_t i = 0; b->role == BUF_OUTPUT && i < g->nroot; i++) {
    const Root *r = &g->root[i];
    if (r->kind == ROOT_OUTPUT && r->phase == PHASE_TRAIN && r->out == b->out && r->name == name)
      return r->value;
  }
  return 0;
}

/* A buffer of float32 as the host has it; the caller frees it. */
static float *host_get(const Compare *x, uint32_t i) {
  const PlanBuf *b = buf_at(x, i);
  float *out = malloc(b->bytes ? b->bytes : 1);
  if (!out) abort();
  if (b->role == BUF_OUTPUT) memcpy(out, executor_output(&x->session.exec, i), b->bytes);
  else x->session.device->get(x->session.device, out, b->offset, b->bytes);
  return out;
}

static void leaves_copy(Compare *x) {
  for (uint32_t i = 0; i < x->plan->nbuf; i++) {
    const PlanBuf *b = buf_at(x, i);
    Val v = b->role == BUF_PARAM || b->role == BUF_STATE ? reference_of(x, b) : 0;
    if (!v) continue;
    float *from = host_get(x, i);
    uint64_t n = b->bytes / sizeof *from;
    double *to = malloc(n * sizeof *to + 1);
    if (!to) abort();
    for (uint64_t k = 0; k < n; k++) to[k] = (double)from[k];
    interpreter_set(x->interpreter, v, to);
    free(from), free(to);
  }
}

bool compare_step(Compare *x, int *exit) {
  Figures sum = {0};
  Fault f = {0};
  double epochs = (double)x->plan->set.epochs;
  RateTime at = {0, 0, epochs, epochs * (double)x->session.steps_per_epoch};
  double rate = rate_of(x->plan, &at);
  x->interpreter = interpreter_new(&x->reference.model.graph, &x->reference.perm);
  interpreter_track(x->interpreter);
  batch_feed(&x->reference.model.graph, x->interpreter, &x->session, x->seed, rate);
  leaves_copy(x);
  if (!session_step(&x->session, x->seed, 0, 0, (float)rate, &sum, &f))
    return *exit = fault_print(&f), false;
  if (interpreter_run(x->interpreter, PHASE_TRAIN)) return true;
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

bool compare_buffer(const Compare *x, uint32_t buffer, Difference *out) {
  const PlanBuf *b = buf_at(x, buffer);
  Val v = reference_of(x, b);
  *out = (Difference){0};
  const double *want = v ? interpreter_get(x->interpreter, v) : NULL,
               *bound = v ? interpreter_error(x->interpreter, v) : NULL;
  if (!want || b->dtype != DTYPE_F32) return false;
  float *have = host_get(x, buffer);
  for (uint64_t i = 0; i < b->bytes / sizeof *have; i++)
    difference_add(out, (double)have[i], want[i], bound ? bound[i] : 0);
  free(have);
  return true;
}
