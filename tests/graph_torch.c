/* graph_torch.c: the interpreter and the gradients against PyTorch in float64.
 *
 * In: tests/golden/graph.txt (or the file named), arrays that tests/golden/graph.py wrote. Out:
 * a line for each difference and `N passed, N failed, N skipped`. It compares every scalar
 * function and its derivatives, the gradient of a maximum with ties, and five training steps
 * of a network with lcw weights, batch statistics, softmax cross-entropy, momentum and decay,
 * whose updates are STOREs of the graph. */
#include "graph.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1 << 14, MAX_NUMBERS = 256, STEPS = 5 };

typedef struct { const char *name; double *x; uint32_t n; } Array;
typedef struct {
  Arena arena;
  Array *array; uint32_t narray, caparray;
  uint32_t passed, failed;
} Golden;

/* ---- the file ------------------------------------------------------------------------ */

/* One line: a name and its numbers. */
static void golden_line(Golden *t, char *line) {
  char *rest = NULL, *word = strtok_r(line, " \n", &rest);
  if (!word) return;
  Array a = {.name = arena_text(&t->arena, word, strlen(word))};
  a.x = NEW_ARRAY(&t->arena, double, MAX_NUMBERS);
  while (a.n < MAX_NUMBERS && (word = strtok_r(NULL, " \n", &rest)))
    a.x[a.n++] = strtod(word, NULL);
  PUSH(&t->arena, t, array, a);
}

static bool golden_read(Golden *t, const char *path) {
  char line[MAX_LINE];
  FILE *f = fopen(path, "r");
  if (!f) return false;
  while (fgets(line, sizeof line, f)) golden_line(t, line);
  fclose(f);
  return true;
}

/* The array `a.b`; without it the test cannot go on. */
static const Array *golden_find(const Golden *t, const char *a, const char *b) {
  char name[64];
  snprintf(name, sizeof name, "%s%s%s", a, *b ? "." : "", b);
  for (uint32_t i = 0; i < t->narray; i++)
    if (!strcmp(t->array[i].name, name)) return &t->array[i];
  fprintf(stderr, "graph_torch: no array %s: run tests/golden/graph.py\n", name);
  exit(1);
}

/* Counts one comparison: all elements within `tolerance` of the largest. */
static void expect(Golden *t, const char *what, const double *got, const Array *want,
                   double tolerance) {
  double worst = 0, largest = 0;
  for (uint32_t i = 0; i < want->n; i++) {
    double off = fabs(got[i] - want->x[i]);
    worst = off > worst || isnan(off) ? off : worst;
    largest = fmax(largest, fabs(want->x[i]));
  }
  bool ok = worst <= tolerance * fmax(largest, 1);
  if (!ok) printf("FAIL graph_torch %s %s: off by %g\n", what, want->name, worst);
  ok ? t->passed++ : t->failed++;
}

/* ---- graphs -------------------------------------------------------------------------- */

static Shape matrix(int32_t rows, int32_t columns) {
  return shape_of(2, (int32_t[]){rows, columns});
}

static Val leaf(Graph *g, Op op, const char *name, Shape s) {
  return graph_decl(g, op, name_of_text(g->names, name), DTYPE_F32, s, FEED_NONE, 0);
}

/* The sum of all elements of a matrix. */
static Val total(Graph *g, Val v) { return graph_reduce(g, S_add, v, 3); }

/* ---- scalar functions ---------------------------------------------------------------- */

static void check_scalar(Golden *t, Scalar fn) {
  static const char *const operand[MAX_IN] = {"in0", "in1", "in2"};
  static const char *const slope[MAX_IN] = {"d0", "d1", "d2"};
  const char *name = scalartab[fn].name;
  Val in[MAX_IN] = {0}, d[MAX_IN + 1];
  int arity = scalartab[fn].nin;
  Graph g;
  graph_init(&g, &t->arena, names_new(&t->arena));
  for (int k = 0; k < arity; k++)
    in[k] = leaf(&g, OP_PARAM, operand[k], matrix(1, (int32_t)golden_find(t, name, "out")->n));
  Val y = graph_add(&g, OP_MAP, in, NULL, (Attr){.map = {(uint8_t)fn}});
  if (!graph_gradient(&g, total(&g, y), in, d, (uint32_t)arity)) t->failed++;
  Interpreter *run = interpreter_new(&g, &t->arena);
  for (int k = 0; k < arity; k++) interpreter_set(run, in[k], golden_find(t, name, operand[k])->x);
  d[arity] = y;
  interpreter_eval(run, d, (uint32_t)arity + 1);
  expect(t, name, interpreter_get(run, y), golden_find(t, name, "out"), 1e-15);
  for (int k = 0; k < arity; k++)
    expect(t, name, interpreter_get(run, d[k]), golden_find(t, name, slope[k]), 4e-15);
}

static void check_maximum(Golden *t) {
  Graph g;
  graph_init(&g, &t->arena, names_new(&t->arena));
  Val x = leaf(&g, OP_PARAM, "x", matrix(2, 3)), d;
  Val weight = graph_list(&g, matrix(2, 1), (double[]){2, 5});
  Val y = graph_map2(&g, S_mul, graph_reduce(&g, S_max, x, 2), weight);
  if (!graph_gradient(&g, total(&g, y), &x, &d, 1)) t->failed++;
  Interpreter *run = interpreter_new(&g, &t->arena);
  interpreter_set(run, x, golden_find(t, "amax", "in")->x);
  interpreter_eval(run, &d, 1);
  expect(t, "amax", interpreter_get(run, d), golden_find(t, "amax", "d"), 0);
}

/* ---- the network --------------------------------------------------------------------- */

enum { SAMPLES = 8, INPUTS = 6, HIDDEN = 5, CLASSES = 3, PARAMS = 5 };
static const struct { const char *name, *after; Shape shape; } params[PARAMS] = {
  {"v", "v.after", {2, {{INPUTS, 0}, {HIDDEN, 0}}}},
  {"scale", "scale.after", {2, {{1, 0}, {HIDDEN, 0}}}},
  {"shift", "shift.after", {2, {{1, 0}, {HIDDEN, 0}}}},
  {"w", "w.after", {2, {{HIDDEN, 0}, {CLASSES, 0}}}},
  {"bias", "bias.after", {2, {{1, 0}, {CLASSES, 0}}}},
};

/* W = V + c q with q the sums of V's columns. */
static Val lcw_weights(const Golden *t, Graph *g, Val v) {
  Val c = graph_list(g, matrix(INPUTS, 1), golden_find(t, "net", "c")->x);
  return graph_map2(g, S_add, v, graph_map2(g, S_mul, c, graph_reduce(g, S_add, v, 1)));
}

/* Normalised over the samples. */
static Val normalised(Graph *g, Val z, Val scale, Val shift) {
  Val share = graph_const(g, 1.0 / (int)SAMPLES);
  Val d = graph_map2(g, S_sub, z, graph_map2(g, S_mul, graph_reduce(g, S_add, z, 1), share));
  Val square = graph_reduce(g, S_add, graph_map2(g, S_mul, d, d), 1);
  Val var = graph_map2(g, S_add, graph_map2(g, S_mul, square, share), graph_const(g, 1e-5));
  Val y = graph_map2(g, S_div, d, graph_map1(g, S_sqrt, var));
  return graph_map2(g, S_add, graph_map2(g, S_mul, y, scale), shift);
}

/* Mean cross-entropy of logits, labels being numbers of classes. */
static Val cross_entropy(Graph *g, Val z, Val label) {
  Val top = graph_stop(g, graph_reduce(g, S_max, z, 2));
  Val shifted = graph_map2(g, S_sub, z, top);
  Val sum = graph_reduce(g, S_add, graph_map1(g, S_exp, shifted), 2);
  Val chosen = graph_map2(g, S_eq, label, graph_iota(g, matrix(1, CLASSES)));
  Val picked = graph_reduce(g, S_add, graph_map2(g, S_mul, chosen, shifted), 2);
  Val each = graph_map2(g, S_sub, graph_map1(g, S_log, sum), picked);
  return graph_map2(g, S_mul, total(g, each), graph_const(g, 1.0 / (int)SAMPLES));
}

/* Momentum and decay, the dead lane of v left at 0; STOREs of phase TRAIN. */
static void update(Graph *g, const Val *p, const Val *gradient) {
  double lane[INPUTS];
  for (int i = 0; i < INPUTS; i++) lane[i] = i > 0;
  Val mask = graph_list(g, matrix(INPUTS, 1), lane);
  for (int i = 0; i < PARAMS; i++) {
    Val buffer = leaf(g, OP_STATE, params[i].name, params[i].shape);
    Val d = graph_map2(g, S_add, gradient[i], graph_map2(g, S_mul, p[i], graph_const(g, 0.01)));
    if (i == 0) d = graph_map2(g, S_mul, d, mask);
    Val next = graph_map2(g, S_add, graph_map2(g, S_mul, buffer, graph_const(g, 0.9)), d);
    graph_store(g, PHASE_INIT, buffer, graph_const(g, 0));
    graph_store(g, PHASE_TRAIN, buffer, next);
    Val step = graph_map2(g, S_mul, next, graph_const(g, 0.5));
    graph_store(g, PHASE_TRAIN, p[i], graph_map2(g, S_sub, p[i], step));
  }
}

/* Builds loss, gradient and updates, and simplifies them; the loss is root 0. */
static bool network(const Golden *t, Graph *g) {
  Val p[PARAMS], gradient[PARAMS];
  Val x = leaf(g, OP_INPUT, "x", matrix(SAMPLES, INPUTS));
  Val label = leaf(g, OP_INPUT, "label", matrix(SAMPLES, 1));
  for (int i = 0; i < PARAMS; i++) p[i] = leaf(g, OP_PARAM, params[i].name, params[i].shape);
  Val z = graph_matmul(g, x, false, lcw_weights(t, g, p[0]), false);
  Val h = graph_map1(g, S_sigmoid, normalised(g, z, p[1], p[2]));
  Val logits = graph_map2(g, S_add, graph_matmul(g, h, false, p[3], false), p[4]);
  Val loss = cross_entropy(g, logits, label);
  graph_output(g, PHASE_TRAIN, OUT_LOSS, 0, loss);
  if (!graph_gradient(g, loss, p, gradient, PARAMS)) return false;
  update(g, p, gradient);
  graph_simplify(g);
  return true;
}

static void set_leaf(const Golden *t, Graph *g, Interpreter *run, Op op, const char *name) {
  Val v = graph_find(g, op, name_of_text(g->names, name));
  interpreter_set(run, v, golden_find(t, "net", name)->x);
}

static void check_network(Golden *t) {
  Graph g;
  double loss[STEPS];
  graph_init(&g, &t->arena, names_new(&t->arena));
  if (!network(t, &g)) t->failed++;
  Interpreter *run = interpreter_new(&g, &t->arena);
  set_leaf(t, &g, run, OP_INPUT, "x");
  set_leaf(t, &g, run, OP_INPUT, "label");
  for (int i = 0; i < PARAMS; i++) set_leaf(t, &g, run, OP_PARAM, params[i].name);
  interpreter_run(run, PHASE_INIT);
  for (int i = 0; i < STEPS; i++) {
    interpreter_run(run, PHASE_TRAIN);
    loss[i] = interpreter_get(run, g.root[0].value)[0];
  }
  expect(t, "net", loss, golden_find(t, "net", "losses"), 1e-12);
  for (int i = 0; i < PARAMS; i++) {
    Val v = graph_find(&g, OP_PARAM, name_of_text(g.names, params[i].name));
    expect(t, "net", interpreter_get(run, v), golden_find(t, "net", params[i].after), 1e-12);
  }
}

int main(int argc, char **argv) {
  Golden t = {0};
  const char *path = argc > 1 ? argv[1] : "tests/golden/graph.txt";
  arena_init(&t.arena, "perm", 0);
  if (!golden_read(&t, path)) {
    fprintf(stderr, "graph_torch: cannot read %s\n", path);
    return 1;
  }
  for (int fn = 0; fn < S_COUNT; fn++) check_scalar(&t, (Scalar)fn);
  check_maximum(&t);
  check_network(&t);
  printf("%u passed, %u failed, 0 skipped\n", t.passed, t.failed);
  arena_release(&t.arena);
  return t.failed || !t.passed;
}
