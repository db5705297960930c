/* agree.c: see agree.h. */
#include "agree.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rate.h"

static const float *device_get(const Agree *a, const PlanBuf *b) {
  float *x = malloc(b->bytes + 1);
  if (!x) abort();
  a->session.device->get(a->session.device, x, b->offset, b->bytes);
  return x;
}

static const PlanBuf *buf_named(const Agree *a, const char *name, uint32_t role) {
  for (uint32_t i = 0; i < a->plan->nbuf; i++) {
    const PlanBuf *b = PLAN_AT(a->plan, PlanBuf, a->plan->buf) + i;
    if (b->role == role && !strcmp(plan_text(a->plan, b->name), name)) return b;
  }
  return NULL;
}

/* The buffer of a PARAM or STATE of the reference graph; NULL if the host has no such thing. */
static const PlanBuf *buf_of(const Agree *a, const Node *n) {
  if (n->op != OP_PARAM && n->op != OP_STATE) return NULL;
  const char *name = name_text(a->reference.names, n->attr.decl.name);
  return buf_named(a, name, n->op == OP_PARAM ? BUF_PARAM : BUF_STATE);
}

bool agree_open(Agree *a, int argc, char **argv) {
  memset(a, 0, sizeof *a);
  static Arguments args[2];
  for (int i = 0; i < 2; i++)
    if (arguments_parse(&args[i], "train", true, 1, 2, argc, argv) >= 0) return false;
  if (!arguments_compile(&args[0], &a->reference) || !arguments_compile(&args[1], &a->host))
    return false;
  a->isa[0] = args[1].run.cpu;
  if (a->isa[0]) a->host.isa = a->isa;
  if (!compile_run(&a->reference, args[0].place[0], PASS_simplify)) return false;
  if (!compile_run(&a->host, args[1].place[0], PASS_object)) return false;
  Text why;
  Fault f = {0};
  const HostTable *table;
  text_init(&why, &a->host.perm);
  a->jit = host_load(&a->host.host, &a->plan, &table, &why);
  if (!a->jit) return fprintf(stderr, "%s\n", why.s), false;
  args[1].run.file_folder = compile_folder(&a->host);
  ModelCode model = {.plan = a->plan, .table = table};
  if (!session_open(&a->session, &model, &args[1].run, &f)) return fault_print(&f), false;
  a->seed = args[1].run.seed.given ? args[1].run.seed.n : a->plan->set.seed;
  a->interpreter = interpreter_new(&a->reference.model.graph, &a->reference.perm);
  return true;
}

void agree_close(Agree *a) {
  session_close(&a->session);
  if (a->jit) host_unload(a->jit);
  compile_release(&a->host);
  compile_release(&a->reference);
}

/* ---- feeding the interpreter ---------------------------------------------------------------- */

static double sample_at(const Data *d, const uint32_t *row, uint64_t batch, uint64_t i,
                        uint64_t per) {
  const DataSplit *s = &d->train;
  uint64_t at = (uint64_t)row[i / per] * per + i % per;
  (void)batch;
  return d->dtype == DTYPE_U8 ? (double)((const uint8_t *)s->sample)[at]
                              : (double)((const float *)s->sample)[at];
}

/* Element i of the labels of a batch: numbers of classes, or `per` targets a sample. */
static double label_at(const Data *d, const uint32_t *row, uint64_t i, uint64_t per) {
  uint64_t at = (uint64_t)row[i / per] * per + i % per;
  return d->classes ? (double)((const int32_t *)d->train.label)[at]
                    : (double)((const float *)d->train.label)[at];
}

static void feed(Agree *a, uint64_t position, double rate) {
  const Graph *g = &a->reference.model.graph;
  const Data *d = &a->session.data;
  const uint32_t *row = a->session.order + position * a->plan->set.batch;
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    if (n->op != OP_INPUT) continue;
    uint64_t count = shape_elements(&n->shape), batch = a->plan->set.batch;
    double *x = calloc(count + 1, sizeof *x);
    if (!x) abort();
    for (uint64_t i = 0; i < count; i++) switch ((Feed)n->attr.decl.feed) {
      case FEED_SAMPLE: x[i] = sample_at(d, row, batch, i, count / batch); break;
      case FEED_LABEL: x[i] = label_at(d, row, i, count / batch); break;
      case FEED_SCALE: x[i] = (double)d->scale[i]; break;
      case FEED_SHIFT: x[i] = (double)d->shift[i]; break;
      case FEED_RATE: x[i] = (double)(float)rate; break;
      case FEED_STEP: x[i] = i ? (double)a->seed : (double)a->step; break;
      default: break;
      }
    interpreter_set(a->interpreter, v, x);
    free(x);
  }
}

bool agree_init(Agree *a) {
  Fault f = {0};
  if (!session_init(&a->session, a->seed, &f)) return fault_print(&f), false;
  feed(a, 0, 0);
  return interpreter_run(a->interpreter, PHASE_INIT);
}

double *agree_host(const Agree *a, Val v) {
  const PlanBuf *b = buf_of(a, graph_node(&a->reference.model.graph, v));
  if (!b) return NULL;
  const float *x = device_get(a, b);
  double *y = malloc(b->bytes / sizeof *x * sizeof *y + 1);
  if (!y) abort();
  for (uint64_t i = 0; i < b->bytes / sizeof *x; i++) y[i] = (double)x[i];
  free((void *)(uintptr_t)x);
  return y;
}

void agree_copy(Agree *a) {
  const Graph *g = &a->reference.model.graph;
  for (Val v = 1; v < g->nnode; v++) {
    double *y = agree_host(a, v);
    if (!y) continue;
    interpreter_set(a->interpreter, v, y);
    free(y);
  }
}

bool agree_step(Agree *a) {
  Figures sum = {0};
  Fault f = {0};
  double epochs = (double)a->plan->set.epochs, per = (double)a->session.steps_per_epoch;
  RateTime at = {floor((double)a->step / per), (double)a->step, epochs, epochs * per};
  double rate = rate_of(a->plan, &at);
  feed(a, a->step % a->session.steps_per_epoch, rate);
  bool ok = session_step(&a->session, a->seed, a->step, a->step % a->session.steps_per_epoch,
                         (float)rate, &sum, &f);
  if (!ok) fault_print(&f);
  ok = interpreter_run(a->interpreter, PHASE_TRAIN) && ok;
  a->step++;
  return ok;
}

Apart agree_apart(const Agree *a, double least) {
  const Graph *g = &a->reference.model.graph;
  Apart worst = {"", 0, 0};
  for (Val v = 1; v < g->nnode; v++) {
    const PlanBuf *b = buf_of(a, graph_node(g, v));
    if (!b) continue;
    const float *x = device_get(a, b);
    const double *y = interpreter_get(a->interpreter, v);
    double far = 0, most = 0;
    for (uint64_t i = 0; i < b->bytes / sizeof(float); i++) {
      double d = fabs((double)x[i] - y[i]);
      far = d > far || isnan(d) ? (isnan(d) ? INFINITY : d) : far;
      most = fmax(most, fabs(y[i]));
    }
    free((void *)(uintptr_t)x);
    double ratio = far / fmax(most, least);
    if (getenv("LCW_AGREE_ALL"))
      printf("  %-30s %.3g of %.3g\n", plan_text(a->plan, b->name), far, most);
    if (ratio > worst.difference || !*worst.name)
      worst = (Apart){plan_text(a->plan, b->name), ratio, most};
  }
  return worst;
}

/* A float32 is exact to half a unit in its last place, whatever made it. */
Apart agree_beyond(const Agree *a) {
  const Graph *g = &a->reference.model.graph;
  Apart worst = {"", 0, 0};
  for (Val v = 1; v < g->nnode; v++) {
    const PlanBuf *b = buf_of(a, graph_node(g, v));
    const double *y = interpreter_get(a->interpreter, v), *e = interpreter_error(a->interpreter, v);
    if (!b || !e) continue;
    const float *x = device_get(a, b);
    for (uint64_t i = 0; i < b->bytes / sizeof(float); i++) {
      double d = fabs((double)x[i] - y[i]), bound = e[i] + 0x1p-24 * fabs(y[i]) + 0x1p-149;
      double ratio = isfinite(d) && isfinite(bound) ? d / bound : INFINITY;
      if (ratio > worst.difference || !*worst.name)
        worst = (Apart){plan_text(a->plan, b->name), ratio, fabs(y[i])};
    }
    free((void *)(uintptr_t)x);
  }
  return worst;
}
