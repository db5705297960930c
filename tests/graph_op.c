/* graph_op.c: one test per row of ops.def and scalars.def, written by the tables.
 *
 * Each row gets CASES random shapes. A case builds y from leaves by the row's operation, closes
 * it to a scalar loss by weights of a random (also of a smaller, or no) shape, so that adjoints
 * of every form reach the gradient rule, and then asks:
 *   the graph verifies, before and after simplify;
 *   gradients differ from central differences by at most 1e-7 of the largest (gradcheck.c);
 *   simplify changes no value by more than 1e-12;
 *   for a scalar row, the C text of scalars.def in float32 lies within the running error bound.
 * A scalar row without a fill fails; an operation without a make_ function does not compile.
 * `graph_op [ROW [CASE]]` repeats one. */
#include "bound.h"
#include "gradcheck.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES = 24, MAX_LEAF = 4, MAX_EARLY = 256 };

typedef struct {
  Arena arena;
  Graph g;
  uint64_t random;
  Val leaf[MAX_LEAF], still;      /* checked by differences; must have gradient 0 */
  uint32_t nleaf, number;         /* number: of the case, 0.. */
  double *value[MAX_EARLY];       /* of the leaves, by Val */
  const char *skip;               /* why the gradient is not checked */
  double worst;                   /* largest relative error of a gradient */
} Case;

typedef struct { uint32_t passed, failed, skipped; double worst; } Tally;

/* ---- fills --------------------------------------------------------------------------- */

static uint64_t next(Case *c) {
  uint64_t z = c->random += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

static int below(Case *c, int n) { return (int)(next(c) % (uint64_t)n); }

/* Uniform in [low, high), of either sign if `both`. */
static double draw(Case *c, double low, double high, bool both) {
  double x = low + (high - low) * (double)(next(c) >> 11) * 0x1p-53;
  return both && next(c) & 1 ? -x : x;
}

static int32_t draw_size(Case *c) {
  static const int32_t size[] = {1, 2, 3, 4, 5, 7};
  return size[below(c, (int)COUNT_OF(size))];
}

static Shape draw_shape(Case *c, int rank) {
  int32_t dim[MAX_RANK];
  for (int i = 0; i < rank; i++) dim[i] = draw_size(c);
  return shape_of((uint32_t)rank, dim);
}

/* A shape that broadcasts to s: some dimensions 1, or now and then rank 0. */
static Shape draw_part(Case *c, Shape s) {
  if (below(c, 5) == 0) return (Shape){0};
  for (int i = 0; i < s.rank; i++)
    if (below(c, 3) == 0) s.dim[i].n = 1;
  return s;
}

/* A leaf with random values. */
static Val leaf_range(Case *c, Op op, Shape s, double low, double high, bool both) {
  char name[16];
  snprintf(name, sizeof name, "p%u", c->g.nnode);
  Feed feed = op == OP_INPUT ? FEED_SAMPLE : FEED_NONE;
  Val v = graph_decl(&c->g, op, name_of_text(c->g.names, name), DTYPE_F32, s, feed, 0);
  uint64_t n = shape_elements(&s);
  c->value[v] = NEW_ARRAY(&c->arena, double, n);
  for (uint64_t i = 0; i < n; i++) c->value[v][i] = (double)(float)draw(c, low, high, both);
  c->leaf[c->nleaf++] = v;
  return v;
}

static Val leaf(Case *c, Shape s) { return leaf_range(c, OP_PARAM, s, 0.2, 2, true); }

static Val listed(Case *c, Shape s) {
  uint64_t n = shape_elements(&s);
  double *x = NEW_ARRAY(&c->arena, double, n);
  for (uint64_t i = 0; i < n; i++) x[i] = draw(c, 0.5, 2, true);
  return graph_list(&c->g, s, x);
}

static Shape shape(const Case *c, Val v) { return graph_node(&c->g, v)->shape; }

static Val reduce_all(Case *c, Scalar fn, Val v) {
  return graph_reduce(&c->g, fn, v, (1u << shape(c, v).rank) - 1);
}

/* The scalar loss: the sum of y, or of y times weights of y's shape or one that broadcasts. */
static Val close_loss(Case *c, Val y) {
  if (!y) return 0;
  Shape s = shape(c, y);
  if (c->number % 3 == 0) y = graph_map2(&c->g, S_mul, y, listed(c, s));
  if (c->number % 3 == 1) y = graph_map2(&c->g, S_mul, y, listed(c, draw_part(c, s)));
  return reduce_all(c, S_add, y);
}

/* ---- operations ---------------------------------------------------------------------- */

static Val square(Case *c, Val v) { return graph_map2(&c->g, S_mul, v, v); }

static Val make_INPUT(Case *c) {
  return square(c, leaf_range(c, OP_INPUT, draw_shape(c, below(c, 5)), 0.2, 2, true));
}
static Val make_PARAM(Case *c) {
  return square(c, leaf_range(c, OP_PARAM, draw_shape(c, below(c, 5)), 0.2, 2, true));
}
static Val make_STATE(Case *c) {
  return square(c, leaf_range(c, OP_STATE, draw_shape(c, below(c, 5)), 0.2, 2, true));
}

/* Fills, lists and an iota, times a leaf. */
static Val make_CONST(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 3)), line = s;
  for (int i = 1; i < line.rank; i++) line.dim[i].n = 1;
  Val k = c->number % 3 == 0   ? graph_fill(&c->g, s, draw(c, 0.5, 2, true))
          : c->number % 3 == 1 ? graph_iota(&c->g, line)
                               : listed(c, s);
  return graph_map2(&c->g, S_mul, leaf(c, draw_part(c, s)), k);
}

static Val make_RANDOM(Case *c) {
  Shape two = shape_of(1, (int32_t[]){2}), s = draw_shape(c, below(c, 4));
  Name name = name_of_text(c->g.names, "step");
  Val step = graph_decl(&c->g, OP_INPUT, name, DTYPE_U32, two, FEED_STEP, 0);
  c->value[step] = NEW_ARRAY(&c->arena, double, 2);
  for (int i = 0; i < 2; i++) c->value[step][i] = (double)(uint32_t)next(c);
  return graph_map2(&c->g, S_mul, leaf(c, draw_part(c, s)), graph_random(&c->g, step, s, next(c)));
}

/* Every pair of flags; now and then a matrix by itself. */
static Val make_MATMUL(Case *c) {
  bool ta = c->number & 1, tb = c->number & 2;
  int32_t m = draw_size(c), k = draw_size(c), n = draw_size(c);
  Val a = leaf(c, shape_of(2, ta ? (int32_t[]){k, m} : (int32_t[]){m, k}));
  if (c->number >= 20) return graph_matmul(&c->g, a, ta, a, !ta);
  Val b = leaf(c, shape_of(2, tb ? (int32_t[]){n, k} : (int32_t[]){k, n}));
  return graph_matmul(&c->g, a, ta, b, tb);
}

static Val make_CONV2D(Case *c) {
  int32_t groups = 1 + below(c, 2), in = draw_size(c), out = draw_size(c);
  Attr a = {.conv = {.stride = {1 + below(c, 2), 1 + below(c, 2)},
                     .pad = {below(c, 2), below(c, 2)},
                     .groups = groups}};
  c->skip = "conv2d has no gradient yet";
  Val x = leaf(c, shape_of(4, (int32_t[]){2, 3 + below(c, 4), 3 + below(c, 4), in * groups}));
  Val w = leaf(c, shape_of(4, (int32_t[]){1 + below(c, 3), 1 + below(c, 3), in, out * groups}));
  return graph_add(&c->g, OP_CONV2D, (Val[]){x, w}, NULL, a);
}

/* A value read twice, through functions of one and of two operands. */
static Val make_MAP(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 4));
  Val a = leaf(c, s), b = leaf(c, draw_part(c, s));
  Val t = graph_map1(&c->g, S_tanh, graph_map2(&c->g, S_add, a, b));
  return graph_map2(&c->g, S_sub, graph_map2(&c->g, S_mul, t, b), graph_map2(&c->g, S_mul, t, a));
}

static Val make_REDUCE(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 4));
  uint32_t axes = (uint32_t)below(c, 1 << s.rank);
  return square(c, graph_reduce(&c->g, c->number & 1 ? S_max : S_add, leaf(c, s), axes));
}

static Val make_RESHAPE(Case *c) {
  Shape s = draw_shape(c, 3);
  int32_t n = s.dim[0].n * s.dim[1].n;
  Val x = square(c, leaf(c, s));
  return graph_reshape(&c->g, x, shape_of(2, (int32_t[]){s.dim[2].n, n}));
}

static Val make_TRANSPOSE(Case *c) {
  uint8_t perm[MAX_RANK] = {0, 1, 2, 3};
  int rank = 1 + below(c, 4);
  for (int i = rank; i > 1; i--) {
    int j = below(c, i);
    uint8_t t = perm[j];
    perm[j] = perm[i - 1], perm[i - 1] = t;
  }
  return graph_transpose(&c->g, square(c, leaf(c, draw_shape(c, rank))), perm);
}

static Val make_SLICE(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 3));
  int axis = below(c, s.rank), begin = below(c, s.dim[axis].n);
  Val x = leaf(c, s);
  return graph_slice(&c->g, square(c, x), axis, begin, 1 + below(c, s.dim[axis].n - begin));
}

/* Two parts embedded and added: a concatenation. */
static Val make_EMBED(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 3)), t = s;
  int axis = below(c, s.rank);
  t.dim[axis].n = draw_size(c);
  int32_t both = s.dim[axis].n + t.dim[axis].n;
  Val first = graph_embed(&c->g, leaf(c, s), axis, 0, both);
  return graph_map2(&c->g, S_add, square(c, first),
                    graph_embed(&c->g, leaf(c, t), axis, s.dim[axis].n, both));
}

static Val make_POOL2D(Case *c) {
  int32_t size = 2 + below(c, 2), stride = 1 + below(c, 2), pad = below(c, 2);
  Attr a = {.pool = {{size, size}, {stride, stride}, {pad, pad}, (uint8_t)(c->number & 1)}};
  c->skip = "pool2d has no gradient yet";
  Val x = leaf(c, shape_of(4, (int32_t[]){2, 3 + below(c, 4), 3 + below(c, 4), draw_size(c)}));
  return graph_add(&c->g, OP_POOL2D, &x, NULL, a);
}

/* The stopped operand has no gradient, the other one has. */
static Val make_STOP(Case *c) {
  Shape s = draw_shape(c, 1 + below(c, 3));
  Val x = leaf(c, draw_part(c, s));
  c->still = leaf(c, s);
  c->nleaf--;
  return graph_map2(&c->g, S_mul, square(c, x), graph_stop(&c->g, square(c, c->still)));
}

/* ---- stages: what networks are made of ----------------------------------------------- */

/* Mean cross-entropy of rows of logits, as stdlib writes it. */
static Val make_softmax(Case *c) {
  Shape s = draw_shape(c, 2);
  Val z = leaf(c, s), top = graph_stop(&c->g, graph_reduce(&c->g, S_max, z, 2));
  Val e = graph_map1(&c->g, S_exp, graph_map2(&c->g, S_sub, z, top));
  Val norm = graph_map1(&c->g, S_log, graph_reduce(&c->g, S_add, e, 2));
  return graph_map2(&c->g, S_sub, graph_map2(&c->g, S_add, norm, top), z);
}

/* Batch statistics over axis 0, with scale and shift. */
static Val make_batchnorm(Case *c) {
  Graph *g = &c->g;
  Shape s = draw_shape(c, 2), row = s;
  s.dim[0].n += 2;
  row.dim[0].n = 1;
  Val x = leaf(c, s), share = graph_const(g, 1.0 / s.dim[0].n);
  Val mean = graph_map2(g, S_mul, graph_reduce(g, S_add, x, 1), share);
  Val d = graph_map2(g, S_sub, x, mean);
  Val var = graph_map2(g, S_mul, graph_reduce(g, S_add, square(c, d), 1), share);
  Val dev = graph_map1(g, S_sqrt, graph_map2(g, S_add, var, graph_const(g, 1e-5)));
  Val y = graph_map2(g, S_div, d, dev);
  y = graph_map2(g, S_add, graph_map2(g, S_mul, y, leaf(c, row)), leaf(c, row));
  return graph_map1(g, S_sigmoid, y);
}

/* A linear layer with weights W = V diag(p) + c q, p and q from the columns of V. */
static Val make_row_affine(Case *c) {
  Graph *g = &c->g;
  int32_t batch = draw_size(c), in = draw_size(c), out = draw_size(c);
  Val x = leaf(c, shape_of(2, (int32_t[]){batch, in}));
  Val v = leaf(c, shape_of(2, (int32_t[]){in, out}));
  Val p = graph_map1(g, S_sqrt, graph_reduce(g, S_add, square(c, v), 1));
  Val q = graph_reduce(g, S_add, v, 1), fan = listed(c, shape_of(2, (int32_t[]){in, 1}));
  Val w = graph_map2(g, S_add, graph_map2(g, S_div, v, p), graph_map2(g, S_mul, fan, q));
  return graph_map1(g, S_sigmoid, graph_matmul(g, x, false, w, false));
}

/* ---- scalar rows --------------------------------------------------------------------- */

typedef struct { double low, high; bool both, whole; } Range;
typedef struct { bool given; Range operand[MAX_IN]; } Fill;
#define ANY {0.1, 2, true, false}
#define POSITIVE {0.2, 3, false, false}
#define TRUTH {0, 2, false, true}

/* Where each function is defined and smooth enough to be differentiated by differences. */
static const Fill fill[S_COUNT] = {
  [S_add] = {true, {ANY, ANY}},
  [S_sub] = {true, {ANY, ANY}},
  [S_mul] = {true, {ANY, ANY}},
  [S_div] = {true, {ANY, {0.5, 2, true, false}}},
  [S_min] = {true, {ANY, ANY}},
  [S_max] = {true, {ANY, ANY}},
  [S_pow] = {true, {POSITIVE, ANY}},
  [S_neg] = {true, {ANY}},
  [S_abs] = {true, {ANY}},
  [S_exp] = {true, {ANY}},
  [S_log] = {true, {POSITIVE}},
  [S_sqrt] = {true, {POSITIVE}},
  [S_sin] = {true, {ANY}},
  [S_cos] = {true, {ANY}},
  [S_tanh] = {true, {ANY}},
  [S_sigmoid] = {true, {{0.1, 6, true, false}}},
  [S_erf] = {true, {ANY}},
  [S_floor] = {true, {{0.1, 5, true, false}}},
  [S_tf32] = {true, {ANY}},
  [S_bf16] = {true, {ANY}},
  [S_lt] = {true, {ANY, ANY}},
  [S_le] = {true, {ANY, ANY}},
  [S_eq] = {true, {TRUTH, TRUTH}},
  [S_select] = {true, {TRUTH, ANY, ANY}},
};

/* The upper bits of a finite number that is rounded to what `keep` leaves: by the bits, where
 * ops.c does it by numbers. */
static float bits_rounded(float x, uint32_t keep, bool even) {
  uint32_t w, last = ~keep + 1; /* the last bit kept */
  memcpy(&w, &x, sizeof w);
  w += even && !(w & last) ? last / 2 - 1 : last / 2;
  w &= keep;
  memcpy(&x, &w, sizeof x);
  return x;
}

/* The function in float32, as scalars.def writes it for the emitters. */
static float single(Scalar fn, float a, float b, float c) {
  switch (fn) {
  case S_add: return a + b;
  case S_sub: return a - b;
  case S_mul: return a * b;
  case S_div: return a / b;
  case S_min: return a < b ? a : b;
  case S_max: return a > b ? a : b;
  case S_pow: return powf(a, b);
  case S_neg: return -a;
  case S_abs: return fabsf(a);
  case S_exp: return expf(a);
  case S_log: return logf(a);
  case S_sqrt: return sqrtf(a);
  case S_sin: return sinf(a);
  case S_cos: return cosf(a);
  case S_tanh: return tanhf(a);
  case S_sigmoid: return 1.0f / (1.0f + expf(-a));
  case S_erf: return erff(a);
  case S_floor: return floorf(a);
  case S_tf32: return bits_rounded(a, 0xffffe000u, false);
  case S_bf16: return bits_rounded(a, 0xffff0000u, true);
  case S_lt: return a < b ? 1.0f : 0.0f;
  case S_le: return a <= b ? 1.0f : 0.0f;
  case S_eq: return a == b ? 1.0f : 0.0f;
  case S_select: return a != 0.0f ? b : c;
  case S_COUNT: break;
  }
  return NAN;
}

/* Whether float32 stays within the bound, on exact operands and on rounded ones: squares. */
static bool within_bound(Case *c, Scalar fn) {
  for (int i = 0; i < 200; i++) {
    double x[MAX_IN] = {0}, e[MAX_IN] = {0};
    float f[MAX_IN] = {0};
    for (int k = 0; k < scalartab[fn].nin; k++) {
      const Range *r = &fill[fn].operand[k];
      x[k] = f[k] = (float)draw(c, r->low, r->high, r->both);
      if (i % 2 == 0) continue;
      f[k] *= f[k];
      x[k] *= x[k];
      e[k] = BOUND_UNIT * x[k];
    }
    double r = scalar_apply(fn, x[0], x[1], x[2]);
    if (!(fabs(single(fn, f[0], f[1], f[2]) - r) <= bound_scalar(fn, x, e, r))) return false;
  }
  return true;
}

/* The MAP of one function on operands of broadcasting shapes. */
static Val make_scalar(Case *c, Scalar fn) {
  Shape s = draw_shape(c, 1 + below(c, 4));
  Val in[MAX_IN] = {0};
  for (int i = 0; i < scalartab[fn].nin; i++) {
    const Range *r = &fill[fn].operand[i];
    in[i] = leaf_range(c, OP_PARAM, draw_part(c, s), r->low, r->high, r->both);
    uint64_t n = shape_elements(&graph_node(&c->g, in[i])->shape);
    for (uint64_t k = 0; r->whole && k < n; k++) c->value[in[i]][k] = floor(c->value[in[i]][k]);
  }
  return graph_add(&c->g, OP_MAP, in, NULL, (Attr){.map = {(uint8_t)fn}});
}

/* ---- what a case must satisfy -------------------------------------------------------- */

static bool fail(const char *row, const Case *c, const char *why, double figure) {
  printf("FAIL graph_op %s %u: %s (%g)\n", row, c->number, why, figure);
  return false;
}

static bool verifies(const char *row, Case *c) {
  Text why;
  text_init(&why, &c->arena);
  return graph_verify(&c->g, &why) || fail(row, c, why.s, 0);
}

/* Runs phase PROBE and returns a copy of its outputs, one after the other. */
static const double *outputs(Case *c, const Val *map, uint64_t *n) {
  Interpreter *run = interpreter_new(&c->g, &c->arena);
  for (Val v = 0; v < MAX_EARLY; v++)
    if (c->value[v] && (!map || map[v])) interpreter_set(run, map ? map[v] : v, c->value[v]);
  if (!interpreter_run(run, PHASE_PROBE)) return NULL;
  double *all = NULL;
  *n = 0;
  for (uint32_t i = 0; i < c->g.nroot; i++) {
    Val v = c->g.root[i].value;
    uint64_t count = shape_elements(&graph_node(&c->g, v)->shape), size = sizeof(double);
    all = arena_grow(&c->arena, all, *n * size, (*n + count) * size);
    memcpy(all + *n, interpreter_get(run, v), count * size);
    *n += count;
  }
  return all;
}

/* Simplifying keeps every output: the loss and all adjoints. */
static bool simplifies(const char *row, Case *c, Val loss) {
  Val adjoint[MAX_LEAF + 1];
  uint64_t n, m;
  if (!c->skip && !graph_gradient(&c->g, loss, c->leaf, adjoint, c->nleaf))
    return fail(row, c, c->g.error, 0);
  graph_output(&c->g, PHASE_PROBE, OUT_LOSS, 0, loss);
  for (uint32_t i = 0; !c->skip && i < c->nleaf; i++)
    graph_output(&c->g, PHASE_PROBE, OUT_NONE, 0, adjoint[i]);
  const double *before = outputs(c, NULL, &n);
  const Val *map = graph_simplify(&c->g);
  if (!verifies(row, c)) return false;
  const double *after = outputs(c, map, &m);
  if (!before || !after || n != m) return fail(row, c, "simplify lost an output", 0);
  for (uint64_t i = 0; i < n; i++)
    if (!(fabs(before[i] - after[i]) <= 1e-12 * fmax(1, fabs(before[i]))))
      return fail(row, c, "simplify changed a value", before[i] - after[i]);
  return true;
}

/* The adjoint of a stopped value is zero everywhere. */
static bool stays_still(const char *row, Case *c, Val loss) {
  Val adjoint;
  if (!c->still) return true;
  if (!graph_gradient(&c->g, loss, &c->still, &adjoint, 1)) return fail(row, c, c->g.error, 0);
  const Node *n = graph_node(&c->g, adjoint);
  return (n->op == OP_CONST && n->attr.constant.value == 0) || fail(row, c, "not stopped", 0);
}

/* Gradients against differences; at least one element of the case must have been compared. */
static bool differentiates(const char *row, Case *c, Val loss) {
  GradCheck result[MAX_LEAF];
  const double *value[MAX_EARLY];
  memcpy(value, c->value, sizeof value);
  if (!graph_check_gradient(&c->g, &c->arena, loss, value, c->leaf, c->nleaf, 0, result))
    return fail(row, c, c->g.error, 0);
  for (uint32_t i = 0; i < c->nleaf; i++) {
    if (!result[i].checked && !result[i].kinks) return fail(row, c, "nothing compared", 0);
    c->worst = fmax(c->worst, result[i].error);
    if (!(result[i].error <= 1e-7)) return fail(row, c, "gradient", result[i].error);
  }
  return true;
}

/* An operation without a gradient must say so. */
static bool refuses(const char *row, Case *c, Val loss) {
  Val adjoint[MAX_LEAF];
  if (graph_gradient(&c->g, loss, c->leaf, adjoint, c->nleaf))
    return fail(row, c, "the gradient was not refused", 0);
  return !strcmp(c->g.error, c->skip) || fail(row, c, c->g.error, 0);
}

/* A rounding has the slope 1, which differences don't see: its operand's adjoint is its own. */
static bool passes_on(const char *row, Case *c, Val loss, Val y) {
  Val want[2] = {y, graph_node(&c->g, y)->in[0]}, adjoint[2];
  if (!graph_gradient(&c->g, loss, want, adjoint, 2)) return fail(row, c, c->g.error, 0);
  return adjoint[0] == adjoint[1] || fail(row, c, "the adjoint is not passed on", 0);
}

/* ---- rows ---------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  Val (*make)(Case *);
  Scalar fn;                            /* where make is NULL */
} Row;

static const Row rows[] = {
#define OP(name, nin, attr, shape, cls, grad, keeps) {#name, make_##name, S_COUNT},
#include "ops.def"
#define SCALAR(name, n, text, deriv, flops) {#name, NULL, S_##name},
#include "scalars.def"
  {"softmax", make_softmax, S_COUNT},
  {"batchnorm", make_batchnorm, S_COUNT},
  {"row_affine", make_row_affine, S_COUNT},
};

static bool run_case(const Row *row, Case *c) {
  if (!row->make && !fill[row->fn].given) return fail(row->name, c, "this row has no fill", 0);
  Val y = row->make ? row->make(c) : make_scalar(c, row->fn), loss = close_loss(c, y);
  if (!loss) return fail(row->name, c, c->g.error, 0);
  if (!row->make && !within_bound(c, row->fn)) return fail(row->name, c, "beyond the bound", 0);
  if (!verifies(row->name, c) || !stays_still(row->name, c, loss)) return false;
  bool rounds = !row->make && (row->fn == S_tf32 || row->fn == S_bf16);
  bool ok = rounds    ? passes_on(row->name, c, loss, y)
            : c->skip ? refuses(row->name, c, loss)
                      : differentiates(row->name, c, loss);
  if (!ok) return false;
  return simplifies(row->name, c, loss);
}

static void count_case(const Row *row, uint32_t number, Tally *tally) {
  Case *c = calloc(1, sizeof *c);
  if (!c) abort();
  arena_init(&c->arena, "pass", 0);
  graph_init(&c->g, &c->arena, names_new(&c->arena));
  c->number = number;
  c->random = hash_bytes(row->name, strlen(row->name), number);
  if (!run_case(row, c)) tally->failed++;
  else if (c->skip) tally->skipped++;
  else tally->passed++;
  if (c->skip && number == 0) printf("skip %s: the gradient: %s\n", row->name, c->skip);
  tally->worst = fmax(tally->worst, c->worst);
  arena_release(&c->arena);
  free(c);
}

int main(int argc, char **argv) {
  Tally tally = {0};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    if (argc > 1 && strcmp(argv[1], rows[i].name)) continue;
    for (uint32_t k = 0; k < CASES; k++)
      if (argc < 3 || k == (uint32_t)atoi(argv[2])) count_case(&rows[i], k, &tally);
  }
  printf("largest relative error of a gradient: %.1e\n", tally.worst);
  printf("%u passed, %u failed, %u skipped\n", tally.passed, tally.failed, tally.skipped);
  return tally.failed || !tally.passed;
}
