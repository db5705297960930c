/* command_gradcheck.c: is it right? In: a file and a net. Three checks, each against something that
 * shares no code with what it checks:
 *
 *   gradients   the adjoints of the graph before any pass rewrites it, against central
 *               differences of the loss, both in float64: the derivation
 *   kernels     every launch of a training step, from the numbers that it read, against the
 *               float64 interpreter on the nodes it stands for: the emitter
 *   step        what the step leaves in parameters, states and outputs, against the
 *               interpreter on the graph before `fuse`: every pass in between
 *
 * Kernels and step are those of the device that the options ask for, in the precision that they
 * ask for. Differences are judged by the bound of float32's rounding that the interpreter carries;
 * where a whole step's bound is wider than the numbers, by LOOSE of the tensor's largest element.
 * In tf32 and bf16 the bound of a kernel knows what is rounded, but the graph before `fuse` does
 * not: there the root mean square of what a step has done to a tensor is held to UNITS of the
 * precision, to ZERO_UNITS of what it has done to the parameter that it moved most, or to
 * ROUNDINGS of what the roundings alone do to that tensor in float64.
 *
 * Out: a table, or lcwc.gradcheck/1; exit 5 when a number is wrong. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "compare.h"
#include "gradcheck.h"
#include "isolate.h"

enum { ELEMENTS = 24, BATCH = 16, POINTS = 4, UNITS = 32, ZERO_UNITS = 8, ROUNDINGS = 3 };
#define TOLERANCE 1e-7
#define LOOSE 1e-3
#define LOOSE_FLOOR 1e-6     /* of numbers that are 0 but for rounding */
#define FLOPS_PER_SECOND 2e8 /* of the interpreter, at least */
#define SECONDS_LIMIT 180.0

typedef struct {
  const Kernel *kernel;
  uint32_t launches, compared, skipped; /* outputs; skipped: only the whole step covers it */
  bool wrong;
  Difference worst;
  const char *where;
} KernelCheck;

typedef struct {
  Arguments *a;
  Compare compare;
  Compile expanded; /* for the gradients: a small batch, stopped before simplify */
  GradCheck *leaf;
  uint32_t nleaf;
  KernelCheck *kernel;
  uint32_t nkernel;
  KernelCheck step; /* the whole of it */
  uint32_t wrong;
  int exit;
} Check;

/* ---- cost ---------------------------------------------------------------------------------- */

static double forward_flops(const Model *m) {
  double sum = 0;
  for (uint32_t i = 0; i < m->nlayer; i++) sum += (double)m->layer[i].flops;
  return sum * (double)m->set.batch;
}

static bool affordable(Check *x, double flops) {
  double seconds = flops / FLOPS_PER_SECOND;
  if (seconds < SECONDS_LIMIT) return true;
  x->exit = command_fail(
      LCW_LIMIT,
      "the check would take about %.0f minutes: float64 is interpreted\n"
      "help: check a smaller net of the same kind, as -D depth=3 -D width=8, or --set batch=16",
      ceil(seconds / 60));
  return false;
}

/* ---- gradients ----------------------------------------------------------------------------- */

/* The file's batch, made smaller unless --set says it: differences need many evaluations. */
static void batch_limit(Check *x, Arguments *small) {
  *small = *x->a;
  for (uint32_t i = 0; i < small->nset; i++)
    if (!strncmp(small->set[i], "batch=", 6)) return;
  if (x->compare.code.plan->set.batch > BATCH && small->nset < MAX_DEFINE)
    small->set[small->nset++] = "batch=16";
}

/* The mean of the training loss, appended to the graph; 0: it has none. */
static Val loss_mean(Graph *g) {
  for (uint32_t i = 0; i < g->nroot; i++) {
    const Root *r = &g->root[i];
    if (r->kind != ROOT_OUTPUT || r->phase != PHASE_TRAIN || r->out != OUT_LOSS) continue;
    double n = (double)shape_elements(&graph_node(g, r->value)->shape);
    return graph_map2(g, S_mul, graph_reduce(g, S_add, r->value, 1u), graph_const(g, 1 / n));
  }
  return 0;
}

/* The elements of every leaf, after init on the first batch. */
static const double **leaves_start(Check *x, const Graph *g, Arena *arena) {
  const Compare *c = &x->compare;
  Interpreter *t = interpreter_new(g, arena);
  batch_feed(g, t, &c->session, c->seed, 0);
  if (!interpreter_run(t, PHASE_INIT)) return NULL;
  const double **value = NEW_ARRAY(arena, const double *, g->nnode);
  for (Val v = 1; v < g->nnode; v++)
    if (optab[graph_node(g, v)->op].attr == ATTR_decl) value[v] = interpreter_get(t, v);
  return value;
}

/* Every parameter that a root reads, ascending. */
static Val *leaves_find(Check *x, const Graph *g, Arena *arena) {
  Val *leaf = NEW_ARRAY(arena, Val, g->nnode);
  bool *live = NEW_ARRAY(arena, bool, g->nnode);
  graph_live(g, PHASE_TRAIN, live);
  for (Val v = 1; v < g->nnode; v++)
    if (live[v] && graph_node(g, v)->op == OP_PARAM) leaf[x->nleaf++] = v;
  return leaf;
}

static bool gradients_expand(Check *x, Arguments *small) {
  batch_limit(x, small);
  Compile *c = &x->expanded;
  bool ok = arguments_compile(small, c);
  c->front.diags.errors_only = true;
  c->times = false;
  ok = ok && compile_run(c, small->place[0], PASS_expand);
  x->exit = c->exit;
  return ok;
}

static bool gradients_check(Check *x) {
  Graph *g = &x->expanded.model.graph;
  Arena *arena = &x->expanded.perm;
  Val loss = loss_mean(g), *leaf = leaves_find(x, g, arena);
  if (!affordable(x, forward_flops(&x->expanded.model) * (double)(POINTS * ELEMENTS) *
                         (x->nleaf + 1.0)))
    return false;
  const double **value = leaves_start(x, g, arena);
  x->leaf = NEW_ARRAY(arena, GradCheck, x->nleaf);
  if (!loss || !value ||
      !graph_check_gradient(g, arena, loss, value, leaf, x->nleaf, ELEMENTS, x->leaf))
    return x->exit =
               command_fail(LCW_INTERNAL, "internal: the gradient cannot be checked: %s", g->error),
           false;
  return true;
}

static bool leaf_wrong(const GradCheck *r) { return !(r->error <= TOLERANCE); }

/* ---- kernels ------------------------------------------------------------------------------- */

/* The difference over the largest element of its tensor. */
static double relative(const Difference *d) {
  return d->largest > 0 ? d->difference / d->largest : d->difference;
}

static bool is_loose(const Difference *d) { return d->bound > d->largest; }

/* Makes ratio how far a tensor is from what the step should leave, over how far it may be; in low
 * precision of root mean squares, which then stand in the other fields. */
static void step_judge(const Check *x, Difference *d, const Buffer *b, double most) {
  static const double unit[PRECISIONS] = {0x1p-24, 0x1p-11, 0x1p-8};
  Precision precision = x->compare.made.precision;
  bool discrete = b->role == BUF_OUTPUT && b->out == OUT_HIT;
  if (precision == PRECISION_FP32) {
    bool wide = is_loose(d) && !discrete && d->difference > LOOSE_FLOOR;
    d->ratio = fmax(d->ratio, wide ? relative(d) / LOOSE : 0);
    return;
  }
  double may = unit[precision] * fmax((double)UNITS * d->moved, (double)ZERO_UNITS * most) + 0x1p-149;
  may = fmax(may, (double)ROUNDINGS * d->rounding);
  *d = (Difference){.difference = d->square, .largest = d->moved, .bound = may};
  d->ratio = discrete ? 0 : d->difference / may;
}

static KernelCheck *kernel_of(Check *x, const Kernel *k) {
  for (uint32_t i = 0; i < x->nkernel; i++)
    if (x->kernel[i].kernel == k) return &x->kernel[i];
  x->kernel[x->nkernel] = (KernelCheck){.kernel = k};
  return &x->kernel[x->nkernel++];
}

/* Adds what was found for one call to its kernel. */
static void call_take(Check *x, const Call *call, const LaunchCheck *c) {
  KernelCheck *r = kernel_of(x, x->compare.made.program->kernel[call->kernel]);
  r->launches++;
  r->skipped += c->skipped;
  if (!c->compared) return;
  if (!r->compared || c->worst.ratio > r->worst.ratio) r->worst = c->worst, r->where = c->where;
  r->compared += c->compared;
  r->wrong = !(r->worst.ratio <= 1);
}

/* Every tensor that the step leaves; the worst of them is kept. */
static void tensors_take(Check *x, const bool *written) {
  const Program *p = x->compare.made.program;
  Difference *d = NEW_ARRAY(&x->compare.made.perm, Difference, p->nbuffer);
  KernelCheck *r = &x->step;
  double most = 0;
  for (uint32_t b = 1; b < p->nbuffer; b++)
    if (written[b] && compare_buffer(&x->compare, b - 1, &d[b]) && p->buffer[b].role == BUF_PARAM)
      most = fmax(most, d[b].moved);
  for (uint32_t b = 1; b < p->nbuffer; b++) {
    if (d[b].bound == 0) continue; /* not written, or the reference has no such thing */
    step_judge(x, &d[b], &p->buffer[b], most);
    if (!r->compared++ || d[b].ratio > r->worst.ratio)
      r->worst = d[b], r->where = name_text(x->compare.made.names, p->buffer[b].name);
  }
  r->wrong = !(r->worst.ratio <= 1);
}

/* What the step has written to parameters, states and outputs, by its last call. */
static void step_take(Check *x) {
  const Program *p = x->compare.made.program;
  bool *written = NEW_ARRAY(&x->compare.made.perm, bool, p->nbuffer);
  for (uint32_t i = 0; i < p->ncall; i++)
    for (uint32_t j = 0; p->call[i].phase == PHASE_TRAIN && j < p->kernel[p->call[i].kernel]->narg;
         j++)
      if (p->kernel[p->call[i].kernel]->arg[j].use & ARG_WRITE) written[p->call[i].buf[j]] = true;
  tensors_take(x, written);
}

static bool kernels_check(Check *x) {
  const Program *p = x->compare.made.program;
  if (!affordable(x, forward_flops(&x->compare.made.model) * 24)) return false;
  Isolate isolate;
  isolate_open(&isolate, &x->compare.made, x->compare.session.device);
  x->compare.session.exec.device = &isolate.relay.device;
  bool ok = compare_step(&x->compare, &x->exit);
  x->compare.session.exec.device = isolate.relay.real;
  if (!ok) return false;
  x->kernel = NEW_ARRAY(&x->compare.made.perm, KernelCheck, p->nkernel);
  for (uint32_t i = 0; i < p->ncall; i++)
    if (p->call[i].phase == PHASE_TRAIN) call_take(x, &p->call[i], &isolate.check[i]);
  x->step.launches = 1;
  step_take(x);
  return true;
}

/* ---- report -------------------------------------------------------------------------------- */

static void gradients_print(const Check *x, Text *out) {
  const Graph *g = &x->expanded.model.graph;
  text_add(out,
           "gradients of the graph against central differences, float64, batch %llu; wrong above "
           "%g\n\n%11s %11s %8s %6s  %s\n",
           (unsigned long long)x->expanded.model.set.batch, TOLERANCE, "error", "largest",
           "elements", "kinks", "parameter");
  for (uint32_t i = 0; i < x->nleaf; i++) {
    const GradCheck *r = &x->leaf[i];
    text_add(out, "%11.2e %11.2e %8u %6u  %s%s\n", r->error, r->largest, r->checked, r->kinks,
             name_text(g->names, graph_node(g, r->leaf)->attr.decl.name),
             leaf_wrong(r) ? "  WRONG"
             : r->faint    ? "  (no element stands out of the rounding of the loss)"
                           : "");
  }
}

static void kernel_print_line(const KernelCheck *k, const char *name, Text *out) {
  text_add(out, "%11.2e %11.2e %8u  %s, %s%s\n", k->worst.ratio, relative(&k->worst), k->launches,
           name, k->where,
           k->wrong              ? "  WRONG"
           : is_loose(&k->worst) ? "  (the bound is wider than the numbers)"
                                 : "");
}

static const char *precision_name(const Check *x) {
  static const char *const name[PRECISIONS] = {"fp32", "tf32", "bf16"};
  return name[x->compare.made.precision];
}

static void kernels_print(const Check *x, Text *out) {
  const Device *d = x->compare.session.device;
  text_add(out,
           "\nkernels of one training step on %s (%s, %s), each from the numbers that it read, "
           "against float64; wrong above 1\n\n%11s %11s %8s  %s\n",
           d->name, d->isa, precision_name(x), "of bound", "relative", "launches", "kernel, tensor");
  for (uint32_t i = 0; i < x->nkernel; i++) {
    const KernelCheck *k = &x->kernel[i];
    if (k->compared) kernel_print_line(k, k->kernel->name, out);
    else
      text_add(out, "%11s %11s %8u  %s, by the whole step only\n", "-", "-", k->launches,
               k->kernel->name);
  }
  text_add(
      out,
      "\nthe whole step, from equal parameters: the worst of the %u tensors that it leaves%s\n\n",
      x->step.compared,
      x->compare.made.precision == PRECISION_FP32 ? "" : ", root mean squares of what it changed");
  kernel_print_line(&x->step, "step", out);
  text_add(out, "\n%s\n", x->wrong ? "numbers are wrong" : "all agree");
}

static const char *json_number(Arena *arena, double x) {
  return isfinite(x) ? arena_printf(arena, "%.6g", x) : "null";
}

static void kernel_json(const KernelCheck *k, const char *name, Arena *arena, Text *out) {
  text_add(out, "{\"name\":");
  text_json(out, name);
  text_add(out, ",\"launches\":%u,\"compared\":%u,\"skipped\":%u", k->launches, k->compared,
           k->skipped);
  if (k->compared) {
    text_add(out,
             ",\"of_bound\":%s,\"relative\":%s,\"tensor\":", json_number(arena, k->worst.ratio),
             json_number(arena, relative(&k->worst)));
    text_json(out, k->where);
  }
  text_add(out, ",\"ok\":%s}", k->wrong ? "false" : "true");
}

static void json_print(Check *x, Text *out) {
  const Graph *g = &x->expanded.model.graph;
  Arena *arena = &x->expanded.perm;
  text_add(out, "{\"schema\":\"lcwc.gradcheck/1\",\"net\":");
  text_json(out, x->expanded.model.set.net);
  text_add(out, ",\"lower\":\"%s\",\"device\":\"%s\",\"precision\":\"%s\",\"wrong\":%u,\"tolerance\":%g,\"gradients\":[",
           x->compare.made.model.set.lower, x->compare.session.device->name, precision_name(x),
           x->wrong, TOLERANCE);
  for (uint32_t i = 0; i < x->nleaf; i++) {
    const GradCheck *r = &x->leaf[i];
    text_add(out, "%s{\"parameter\":", i ? "," : "");
    text_json(out, name_text(g->names, graph_node(g, r->leaf)->attr.decl.name));
    text_add(out,
             ",\"error\":%s,\"largest\":%s,\"elements\":%u,\"kinks\":%u,\"faint\":%s,\"ok\":%s}",
             json_number(arena, r->error), json_number(arena, r->largest), r->checked, r->kinks,
             r->faint ? "true" : "false", leaf_wrong(r) ? "false" : "true");
  }
  text_add(out, "],\"kernels\":[");
  for (uint32_t i = 0; i < x->nkernel; i++) {
    if (i) text_add(out, ",");
    kernel_json(&x->kernel[i], x->kernel[i].kernel->name, arena, out);
  }
  text_add(out, "],\"step\":");
  kernel_json(&x->step, "step", arena, out);
  text_add(out, "}\n");
}

static int report(Check *x) {
  for (uint32_t i = 0; i < x->nleaf; i++) x->wrong += leaf_wrong(&x->leaf[i]);
  for (uint32_t i = 0; i < x->nkernel; i++) x->wrong += x->kernel[i].wrong;
  x->wrong += x->step.wrong;
  Text out;
  text_init(&out, &x->expanded.perm);
  if (x->a->run.json) json_print(x, &out);
  else gradients_print(x, &out), kernels_print(x, &out);
  int written = text_write(&out);
  return written ? written : x->wrong ? LCW_NUMBERS : LCW_OK;
}

/* Compares, and says what is wrong. */
static void step_check(Check *x) {
  const KernelCheck *r = &x->step;
  if (!kernels_check(x) || !r->wrong) return;
  x->exit = command_fail(LCW_NUMBERS,
                         "with the edited kernels the training step is wrong: %s differs by %.3g, "
                         "%.3g times what it may\nhelp: lcwc gradcheck says more",
                         r->where, r->worst.difference, r->worst.ratio);
}

int gradcheck_step(const Arguments *a, double seconds) {
  Arguments quiet = *a;
  Check x = {.a = &quiet};
  quiet.flag[FLAG_QUIETW] = "";
  if (compare_open(&x.compare, &quiet, &x.exit)) {
    double need = forward_flops(&x.compare.made.model) * 24 / FLOPS_PER_SECOND;
    if (need <= seconds) step_check(&x);
    else
      fprintf(stderr, "note: the step as a whole was not compared: float64 would take %.0f seconds; "
                      "lcwc gradcheck does it\n", need);
  }
  compare_close(&x.compare);
  return x.exit;
}

int command_gradcheck(int argc, char **argv) {
  Arguments a, small;
  int code = arguments_parse(&a, "gradcheck", true, 1, 2, argc, argv);
  if (code >= 0) return code;
  Check x = {.a = &a};
  bool ok = compare_open(&x.compare, &a, &x.exit) && gradients_expand(&x, &small) &&
            gradients_check(&x) && kernels_check(&x);
  code = ok ? report(&x) : x.exit;
  compile_release(&x.expanded);
  compare_close(&x.compare);
  return code;
}
