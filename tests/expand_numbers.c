/* expand_numbers.c: what an expanded network computes, in float64.
 *
 * In: a network text, its lowerings, optimisers and sets. Out: a line per case. Checked are:
 * rows lie in their set after drawing and after training; unit_variance gives preactivations of
 * deviation 1; dead lanes stay 0; all lowerings give the same losses over some steps. */
#include "check.h"
#include "limits.h"
#include "model.h"
#include "parse.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char net_text[] =
    "weight halves = { w | sum(w[0..4]) == 0, sum(w[4..10]) == 0 };\n"
    "net tiny(tensor x[n], int classes, weight W = lcw, init I = unit_variance, block norm = id)"
    " -> tensor[classes] {\n"
    "  use @W @init(I);\n"
    "  h = x;\n"
    "hidden:\n"
    "  repeat (3) h = h -> linear(12) -> norm -> sigmoid;\n"
    "  return h -> linear(classes);\n"
    "}\n"
    "data d { source = synthetic(shape = [10], classes = 3); }\n"
    "train t { batch = 16; lr = 0.5; decay = 0.01; optimizer = sgd(momentum = 0.9); }\n";

enum { BATCH = 16, FEATURES = 10, CLASSES = 3, STEPS = 5 };

typedef struct {
  Arena arena;
  Front front;
  Model model;
  Interpreter *run;
} World;

/* Expands the text for one lowering, set and optimiser. */
static bool world_open(World *w, const char *lower, const char *const *define, uint32_t ndefine,
                       const char *const *set, uint32_t nset) {
  arena_init(&w->arena, "perm", LIMIT_ARENA);
  front_init(&w->front, &w->arena);
  ModelRequest r = {
      .lower = lower,
      .define = define,
      .ndefine = ndefine,
      .set = set,
      .nset = nset,
      .facts = {.rank = 1, .dim = {FEATURES}, .dtype = DTYPE_F32, .classes = CLASSES}};
  bool ok = parse_buffer(&w->front, "tiny.lcwnet", net_text, sizeof net_text - 1, NULL) &&
            !diags_exit(&w->front.diags) && check(&w->front) &&
            model_expand(&w->front, &r, &w->model);
  diags_print(&w->front.diags, stderr);
  if (ok) w->run = interpreter_new(&w->model.graph, &w->arena);
  return ok;
}

static Val find(const World *w, const char *name) {
  const Graph *g = &w->model.graph;
  for (Val v = 1; v < g->nnode; v++) {
    bool declared =
        g->node[v].op == OP_INPUT || g->node[v].op == OP_PARAM || g->node[v].op == OP_STATE;
    if (declared && !strcmp(name_text(g->names, g->node[v].attr.decl.name), name)) return v;
  }
  return 0;
}

static void feed(World *w, const char *name, const double *value) {
  Val v = find(w, name);
  if (v) interpreter_set(w->run, v, value);
}

/* Inputs of one step: a fixed batch, rate and step. */
static void feed_all(World *w, double step) {
  double x[BATCH * FEATURES], label[BATCH], one[FEATURES], zero[FEATURES] = {0};
  for (int i = 0; i < BATCH * FEATURES; i++) x[i] = sin(i * 1.7) + 0.5 * cos(i * 0.3) + 0.7;
  for (int i = 0; i < BATCH; i++) label[i] = (i * 7) % CLASSES;
  for (int i = 0; i < FEATURES; i++) one[i] = 1.0;
  feed(w, "x", x);
  feed(w, "run.label", label);
  feed(w, "run.scale", one);
  feed(w, "run.shift", zero);
  feed(w, "run.rate", &(double){0.5});
  feed(w, "run.step", (double[]){step, 1});
}

/* Mean of an output of a phase; 0 if there is none. */
static double output_mean(const World *w, Phase phase, Out out) {
  const Graph *g = &w->model.graph;
  double sum = 0.0, n = 0.0;
  for (uint32_t i = 0; i < g->nroot; i++) {
    const Root *r = &g->root[i];
    if (r->kind != ROOT_OUTPUT || r->phase != phase || r->out != out) continue;
    const double *v = interpreter_get(w->run, r->value);
    uint64_t m = shape_elements(&g->node[r->value].shape);
    for (uint64_t k = 0; k < m; k++) sum += v[k], n += 1.0;
  }
  return n > 0.0 ? sum / n : 0.0;
}

static int failures, cases;

static void expect(bool ok, const char *what, double value) {
  cases++;
  if (ok) return;
  failures++;
  printf("FAIL %s: %.3e\n", what, value);
}

/* Initialises, trains some steps; writes the losses. */
static bool train(World *w, double *loss) {
  feed_all(w, 0);
  if (!interpreter_run(w->run, PHASE_INIT)) return false;
  for (int i = 0; i < STEPS; i++) {
    feed_all(w, i);
    if (!interpreter_run(w->run, PHASE_TRAIN)) return false;
    loss[i] = output_mean(w, PHASE_TRAIN, OUT_LOSS);
  }
  if (!interpreter_run(w->run, PHASE_EVAL) || !interpreter_run(w->run, PHASE_PROBE)) return false;
  double residual = output_mean(w, PHASE_PROBE, OUT_RESIDUAL);
  expect(residual < 1e-12, "residual", residual);
  return true;
}

/* The losses of one case under a lowering, against those of `fused`. */
static void compare(const char *set, const char *optimizer, const char *lower, const char *more) {
  const char *define[] = {set, more}, *setting[] = {optimizer};
  double want[STEPS], got[STEPS];
  World a = {0}, b = {0};
  bool ok = world_open(&a, "fused", define, more ? 2 : 1, setting, 1) && train(&a, want) &&
            world_open(&b, lower, define, more ? 2 : 1, setting, 1) && train(&b, got);
  double worst = 0.0;
  for (int i = 0; ok && i < STEPS; i++) worst = fmax(worst, fabs(want[i] - got[i]));
  printf("%-9s %-12s %-26s %-12s loss %.6f to %.6f, difference %.1e\n", lower, set, optimizer,
         more ? more : "", ok ? want[0] : NAN, ok ? want[STEPS - 1] : NAN, worst);
  expect(ok && worst < 1e-11, lower, worst);
  bool falls = strstr(optimizer, "adam") || want[STEPS - 1] < want[0];
  expect(ok && falls, "loss falls", ok ? want[STEPS - 1] - want[0] : NAN);
  arena_release(&a.arena);
  arena_release(&b.arena);
}

/* unit_variance: the deviation of every preactivation of the first minibatch. */
static void deviations(const char *set) {
  World w = {0};
  if (!world_open(&w, "fused", &set, 1, NULL, 0)) { failures++; return; }
  feed_all(&w, 0);
  bool ok = interpreter_run(w.run, PHASE_INIT) && interpreter_run(w.run, PHASE_TRAIN);
  const Graph *g = &w.model.graph;
  for (Val v = 1; ok && v < g->nnode; v++) {
    if (g->node[v].op != OP_MAP || g->node[v].attr.map.fn != S_sigmoid) continue;
    const double *z = interpreter_get(w.run, g->node[v].in[0]);
    uint64_t n = shape_elements(&g->node[v].shape);
    double sum = 0.0, square = 0.0;
    if (!z) continue;
    for (uint64_t i = 0; i < n; i++) sum += z[i], square += z[i] * z[i];
    double var = square / (double)n - sum / (double)n * (sum / (double)n);
    expect(fabs(var - 1.0) < 1e-9, "variance of a preactivation", var - 1.0);
  }
  expect(ok, "initialisation", 0.0);
  arena_release(&w.arena);
}

int main(void) {
  static const char *const sets[] = {"W=free", "W=lcw", "W=halves"};
  for (size_t i = 0; i < COUNT_OF(sets); i++) {
    deviations(sets[i]);
    compare(sets[i], "optimizer=sgd(momentum = 0.9)", "dense", NULL);
    compare(sets[i], "optimizer=sgd(momentum = 0.9)", "projected", NULL);
    compare(sets[i], "optimizer=sgd(momentum = 0.9)", "projected", "norm=bn");
    compare(sets[i], "optimizer=adam", "dense", "I=xavier");
    compare(sets[i], "optimizer=adamw(eps = 1e-6)", "dense", "I=kaiming");
  }
  printf("%d passed, %d failed, 0 skipped\n", cases - failures, failures);
  return failures != 0;
}
