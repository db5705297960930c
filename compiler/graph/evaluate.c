/* evaluate.c: the meaning of every operation, in float64.
 *
 * In: one node and its operands' elements. Out: its elements and, if asked for, a bound on what
 * float32 execution in any order of summation may differ (RELIABILITY, "Meaning"). It shares
 * nothing with lowering: it is what generated code is compared with, so it is written to be
 * read, element by element. Sums run in row-major order of the operand.
 *
 * RANDOM, which every emitter must match bit for bit: Philox4x32-10 with
 *   counter = {index low 32 bits, index high 32 bits, step, 0}
 *   key     = {stream low 32 bits ^ seed, stream high 32 bits}
 * where index is the row-major position of the element, {step, seed} are the two u32 of the
 * operand (FEED_STEP), and the value is (word 0 >> 8) * 2^-24. */
#include "evaluate.h"
#include "bound.h"
#include "rules.h"
#include "seed.h"
#include <math.h>
#include <string.h>

/* ---- walking ------------------------------------------------------------------------- */

enum { MAX_STREAM = MAX_IN + 1 };

/* All indices of a shape, and for each the offsets in several tensors. */
typedef struct {
  Shape shape;
  int streams;
  int32_t index[MAX_RANK];
  int64_t stride[MAX_STREAM][MAX_RANK], at[MAX_STREAM];
} Walk;

/* Row-major strides; 0 along dimensions of 1, so that they repeat. */
static void strides_of(const Shape *s, int64_t *stride) {
  int64_t step = 1;
  for (int i = s->rank; i-- > 0; step *= s->dim[i].n) stride[i] = s->dim[i].n == 1 ? 0 : step;
}

/* A walk over all indices, no tensor following it yet. */
static Walk walk_begin(const Shape *over) { return (Walk){.shape = *over}; }

/* Adds a tensor that follows the walk; rank 0 stays where it is. Returns its strides. */
static int64_t *walk_stream(Walk *w, const Shape *s) {
  int64_t *stride = w->stride[w->streams++];
  memset(stride, 0, sizeof w->stride[0]);
  strides_of(s, stride);
  return stride;
}

/* To the next index; false after the last. */
static bool walk_next(Walk *w) {
  for (int i = w->shape.rank; i-- > 0;) {
    if (++w->index[i] < w->shape.dim[i].n) {
      for (int k = 0; k < w->streams; k++) w->at[k] += w->stride[k][i];
      return true;
    }
    w->index[i] = 0;
    for (int k = 0; k < w->streams; k++)
      w->at[k] -= w->stride[k][i] * (w->shape.dim[i].n - 1);
  }
  return false;
}

/* ---- leaves -------------------------------------------------------------------------- */

/* CONST: its bound is what rounding the number to float32 loses. */
static void eval_constant(const Evaluation *t) {
  uint64_t n = shape_elements(&t->node->shape);
  for (uint64_t i = 0; i < n; i++) {
    switch ((ConstKind)t->node->attr.constant.kind) {
    case CONST_FILL: t->y[i] = t->node->attr.constant.value; break;
    case CONST_IOTA: t->y[i] = (double)i; break;
    case CONST_LIST: t->y[i] = t->node->attr.constant.list[i]; break;
    }
    if (t->bound) t->bound[i] = isfinite(t->y[i]) ? fabs(t->y[i] - (double)(float)t->y[i]) : 0;
  }
}

/* Word 0 of Philox4x32-10. */
static uint32_t philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t k0, uint32_t k1) {
  uint32_t c3 = 0;
  for (int round = 0; round < 10; round++) {
    uint64_t a = UINT64_C(0xD2511F53) * c0;
    uint64_t b = UINT64_C(0xCD9E8D57) * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)b;
    c3 = (uint32_t)a;
    k0 += SEED(105, 0x9E3779B8u, 0x9E3779B9u); /* caught by tests/graph_unit.c */
    k1 += 0xBB67AE85u;
  }
  return c0;
}

/* RANDOM: see the top of the file. */
static void eval_random(const Evaluation *t) {
  uint64_t stream = t->node->attr.random.stream, n = shape_elements(&t->node->shape);
  uint32_t step = (uint32_t)t->x[0][0], seed = (uint32_t)t->x[0][1];
  for (uint64_t i = 0; i < n; i++) {
    uint32_t word = philox((uint32_t)i, (uint32_t)(i >> 32), step, (uint32_t)stream ^ seed,
                           (uint32_t)(stream >> 32));
    t->y[i] = (word >> 8) * 0x1p-24;
  }
}

/* ---- contractions -------------------------------------------------------------------- */

/* The matrix with its rows and columns in the order of the product, [rows, columns]. */
typedef struct { const double *x, *e; int64_t row, column; } Matrix;

/* Operand i as it enters the product. */
static Matrix matrix_of(const Evaluation *t, int i, bool transposed) {
  int64_t width = t->shape[i]->dim[1].n;
  return (Matrix){t->x[i], t->e[i], transposed ? 1 : width, transposed ? width : 1};
}

/* Row i of the result where rows of b are contiguous: adds a[i,k] times row k of b. */
static void matmul_rows(double *y, int64_t n, int64_t depth, const double *a, int64_t step,
                        const double *b) {
  for (int64_t k = 0; k < depth; k++, a += step, b += n)
    for (int64_t j = 0; j < n; j++) y[j] += *a * b[j];
}

/* The same where columns of b are contiguous: dot products. */
static void matmul_dots(double *y, int64_t n, int64_t depth, const double *a, int64_t step,
                        const double *b) {
  for (int64_t j = 0; j < n; j++)
    for (int64_t k = 0; k < depth; k++) y[j] += a[k * step] * *b++;
}

/* What rounding may lose of a sum of n products. Tensor cores (precision above 0) add some products at
 * a time and cut off what is below the last place of the largest, which may be twice what rounding
 * loses; and they do it to the sum of each few products once more. */
static double sum_gamma(double n, uint8_t precision) {
  return bound_gamma(precision ? 3 * n : n);
}

/* The bounds of row i. */
static void matmul_bound(const Evaluation *t, int64_t i, const Matrix *a, const Matrix *b,
                         int64_t n, int64_t depth) {
  double gamma = sum_gamma((double)depth, t->node->attr.gemm.precision);
  gamma = SEED(106, BOUND_UNIT, gamma); /* tests/graph_unit.c */
  for (int64_t k = 0; k < depth; k++)
    for (int64_t j = 0; j < n; j++) {
      int64_t at = i * a->row + k * a->column, bt = k * b->row + j * b->column;
      t->bound[i * n + j] += bound_term(a->x[at], a->e[at], b->x[bt], b->e[bt], gamma);
    }
}

/* MATMUL: every sum runs over k in order. */
static void eval_matmul(const Evaluation *t) {
  bool ta = t->node->attr.gemm.ta, tb = t->node->attr.gemm.tb;
  Matrix a = matrix_of(t, 0, ta), b = matrix_of(t, 1, tb);
  int64_t depth = t->shape[0]->dim[!ta].n, n = t->node->shape.dim[1].n;
  for (int64_t i = 0; i < t->node->shape.dim[0].n; i++) {
    (tb ? matmul_dots : matmul_rows)(t->y + i * n, n, depth, a.x + i * a.row, a.column, b.x);
    if (t->bound) matmul_bound(t, i, &a, &b, n, depth);
  }
}

/* One element of a convolution: the sum over the window and the group's channels. */
static void conv_element(const Evaluation *t, const int32_t *at, int64_t out) {
  const Shape *xs = t->shape[0], *ws = t->shape[1];
  int32_t kh = ws->dim[0].n, kw = ws->dim[1].n, channels = ws->dim[2].n, o = at[3];
  int32_t outputs = ws->dim[3].n, first = o / (outputs / t->node->attr.conv.groups) * channels;
  double gamma = sum_gamma((double)kh * kw * channels, t->node->attr.conv.precision);
  for (int32_t i = 0; i < kh * kw * channels; i++) {
    int32_t c = i % channels, kx = i / channels % kw, ky = i / channels / kw;
    int64_t h = (int64_t)at[1] * t->node->attr.conv.stride[0] + ky - t->node->attr.conv.pad[0];
    int64_t w = (int64_t)at[2] * t->node->attr.conv.stride[1] + kx - t->node->attr.conv.pad[1];
    if (h < 0 || h >= xs->dim[1].n || w < 0 || w >= xs->dim[2].n) continue;
    int64_t xi = ((at[0] * (int64_t)xs->dim[1].n + h) * xs->dim[2].n + w) * xs->dim[3].n;
    int64_t wi = (int64_t)i * outputs + o;
    xi += first + c;
    t->y[out] += t->x[0][xi] * t->x[1][wi];
    if (t->bound)
      t->bound[out] += bound_term(t->x[0][xi], t->e[0][xi], t->x[1][wi], t->e[1][wi], gamma);
  }
}

/* CONV2D: element by element. */
static void eval_conv2d(const Evaluation *t) {
  Walk w = walk_begin(&t->node->shape);
  int64_t out = 0;
  do conv_element(t, w.index, out++);
  while (walk_next(&w));
}

/* One window: the maximum of what lies inside, or the mean with the padding counted as 0. */
static void pool_element(const Evaluation *t, const int32_t *at, int64_t out) {
  const Shape *xs = t->shape[0];
  const int32_t *size = t->node->attr.pool.size;
  bool max = t->node->attr.pool.kind == POOL_MAX;
  double count = (double)size[0] * size[1], value = max ? -INFINITY : 0, error = 0;
  for (int32_t i = 0; i < size[0] * size[1]; i++) {
    int64_t h = (int64_t)at[1] * t->node->attr.pool.stride[0] + i / size[1];
    int64_t w = (int64_t)at[2] * t->node->attr.pool.stride[1] + i % size[1];
    h -= t->node->attr.pool.pad[0];
    w -= t->node->attr.pool.pad[1];
    if (h < 0 || h >= xs->dim[1].n || w < 0 || w >= xs->dim[2].n) continue;
    int64_t xi = ((at[0] * (int64_t)xs->dim[1].n + h) * xs->dim[2].n + w) * xs->dim[3].n + at[3];
    double x = t->x[0][xi], e = t->bound ? t->e[0][xi] : 0;
    value = max ? scalar_apply(S_max, x, value, 0) : value + x / count;
    error = max ? fmax(error, e) : error + (e + bound_gamma(count + 2) * (fabs(x) + e)) / count;
  }
  t->y[out] = value;
  if (t->bound) t->bound[out] = error;
}

/* POOL2D: element by element. */
static void eval_pool2d(const Evaluation *t) {
  Walk w = walk_begin(&t->node->shape);
  int64_t out = 0;
  do pool_element(t, w.index, out++);
  while (walk_next(&w));
}

/* ---- maps and reductions ------------------------------------------------------------- */

/* MAP: the operands follow the walk over the result, repeating where they are 1. */
static void eval_map(const Evaluation *t) {
  Scalar fn = (Scalar)t->node->attr.map.fn;
  int arity = node_arity(t->node);
  int64_t out = 0;
  Walk w = walk_begin(&t->node->shape);
  for (int i = 0; i < arity; i++) walk_stream(&w, t->shape[i]);
  do {
    double x[MAX_IN] = {0}, e[MAX_IN] = {0};
    for (int i = 0; i < arity; i++) x[i] = t->x[i][w.at[i]];
    t->y[out] = scalar_apply(fn, x[0], x[1], x[2]);
    if (t->bound) {
      for (int i = 0; i < arity; i++) e[i] = t->e[i][w.at[i]];
      t->bound[out] = bound_scalar(fn, x, e, t->y[out]);
    }
    out++;
  } while (walk_next(&w));
}

/* REDUCE: visits the operand in order; the result stands still along the reduced axes. */
static void eval_reduce(const Evaluation *t) {
  bool max = t->node->attr.reduce.fn == S_max;
  uint64_t results = shape_elements(&t->node->shape), in = 0;
  double gamma = bound_gamma((double)(shape_elements(t->shape[0]) / results));
  Walk w = walk_begin(t->shape[0]);
  walk_stream(&w, &t->node->shape);
  for (uint64_t i = 0; max && i < results; i++) t->y[i] = -INFINITY;
  do {
    int64_t out = w.at[0];
    double x = t->x[0][in], e = t->bound ? t->e[0][in] : 0;
    bool greater = x > t->y[out] || isnan(x);
    if (!max) t->y[out] += x;
    else if (greater) t->y[out] = x;
    if (t->bound)
      t->bound[out] = max ? fmax(t->bound[out], e) : t->bound[out] + e + gamma * (fabs(x) + e);
    in++;
  } while (walk_next(&w));
}

/* ---- moving elements ----------------------------------------------------------------- */

/* Copies elements and bounds from `from[w.at[0]]` to `to[w.at[1]]` over the whole walk. */
static void move(const Evaluation *t, Walk *w) {
  do {
    t->y[w->at[1]] = t->x[0][w->at[0]];
    if (t->bound) t->bound[w->at[1]] = t->e[0][w->at[0]];
  } while (walk_next(w));
}

/* RESHAPE and STOP: the same elements. */
static void eval_view(const Evaluation *t) {
  Walk w = walk_begin(t->shape[0]);
  walk_stream(&w, t->shape[0]);
  walk_stream(&w, t->shape[0]);
  move(t, &w);
}

/* TRANSPOSE: the operand's strides in the order of the permutation. */
static void eval_transpose(const Evaluation *t) {
  Walk w = walk_begin(&t->node->shape);
  int64_t stride[MAX_RANK] = {0}, *from = walk_stream(&w, t->shape[0]);
  strides_of(t->shape[0], stride);
  for (int i = 0; i < t->node->shape.rank; i++) from[i] = stride[t->node->attr.perm.perm[i]];
  walk_stream(&w, &t->node->shape);
  move(t, &w);
}

/* SLICE and EMBED: one side starts at `begin` of its axis. */
static void eval_part(const Evaluation *t, bool embed) {
  const Shape *whole = embed ? &t->node->shape : t->shape[0];
  Walk w = walk_begin(embed ? t->shape[0] : &t->node->shape);
  walk_stream(&w, t->shape[0]);
  walk_stream(&w, &t->node->shape);
  int32_t axis = t->node->attr.slice.axis;
  int64_t stride[MAX_RANK];
  strides_of(whole, stride);
  w.at[embed] = stride[axis] * t->node->attr.slice.begin;
  move(t, &w);
}

/* ---- the table ----------------------------------------------------------------------- */

/* One case a row of ops.def. */
void node_evaluate(const Evaluation *t) {
  switch ((Op)t->node->op) {
  case OP_INPUT:
  case OP_PARAM:
  case OP_STATE: break; /* set by the run */
  case OP_CONST: eval_constant(t); break;
  case OP_RANDOM: eval_random(t); break;
  case OP_MATMUL: eval_matmul(t); break;
  case OP_CONV2D: eval_conv2d(t); break;
  case OP_MAP: eval_map(t); break;
  case OP_REDUCE: eval_reduce(t); break;
  case OP_RESHAPE:
  case OP_STOP: eval_view(t); break;
  case OP_TRANSPOSE: eval_transpose(t); break;
  case OP_SLICE: eval_part(t, false); break;
  case OP_EMBED: eval_part(t, true); break;
  case OP_POOL2D: eval_pool2d(t); break;
  case OP_COUNT: break;
  }
}
