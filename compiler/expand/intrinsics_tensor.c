/* intrinsics_tensor.c: scalar functions, and what makes tensors from tensors.
 *
 * In: the arguments of a call. Out: a value of the graph; numbers are computed at once. Sizes
 * are checked by the graph's own rules where it can say what is wrong, here where the user's
 * words are needed. */
#include "intrinsics.h"
#include <math.h>

/* ---- scalar functions ------------------------------------------------------------------- */

/* The function of a number. */
static double scalar_number(Scalar fn, const double *a) {
  switch (fn) {
  case S_min: return a[0] < a[1] ? a[0] : a[1];
  case S_max: return a[0] > a[1] ? a[0] : a[1];
  case S_pow: return pow(a[0], a[1]);
  case S_abs: return fabs(a[0]);
  case S_exp: return exp(a[0]);
  case S_log: return log(a[0]);
  case S_sqrt: return sqrt(a[0]);
  case S_sin: return sin(a[0]);
  case S_cos: return cos(a[0]);
  case S_tanh: return tanh(a[0]);
  case S_sigmoid: return 1.0 / (1.0 + exp(-a[0]));
  case S_erf: return erf(a[0]);
  case S_floor: return floor(a[0]);
  case S_lt: return a[0] < a[1];
  case S_le: return a[0] <= a[1];
  case S_eq: return a[0] == a[1];
  case S_select: return a[0] != 0.0 ? a[1] : a[2];
  default: return NAN;
  }
}

/* min, max and abs of ints are ints. */
static Value scalar_ints(Scalar fn, const Value *v, Span at) {
  int64_t a = v[0].as.integer, b = v[1].as.integer;
  if (fn == S_abs) return value_int(a < 0 && a != INT64_MIN ? -a : a, at);
  return value_int(fn == S_min ? (a < b ? a : b) : a > b ? a : b, at);
}

static Value scalar(Use *u, Scalar fn) {
  Value *v = u->arg;
  bool ints = true, tensors = false;
  double number[3] = {0};
  Val in[3] = {0};
  for (uint32_t i = 0; i < u->n; i++) {
    if (v[i].kind != VALUE_TENSOR && !value_is_number(&v[i]))
      return use_refuse(u, i, "a number or a tensor");
    tensors |= v[i].kind == VALUE_TENSOR;
    ints &= v[i].kind == VALUE_INT;
    if (value_is_number(&v[i])) number[i] = value_number(&v[i]);
  }
  if (ints && (fn == S_min || fn == S_max || fn == S_abs)) return scalar_ints(fn, v, u->at);
  if (!tensors) return value_real(scalar_number(fn, number), u->at);
  for (uint32_t i = 0; i < u->n; i++) in[i] = tensor_of(u->x, &v[i]);
  Graph *g = u->x->graph;
  if (u->n == 1) return use_made(u, graph_map1(g, fn, in[0]));
  if (u->n == 2) return use_made(u, graph_map2(g, fn, in[0], in[1]));
  return use_made(u, graph_map3(g, fn, in[0], in[1], in[2]));
}

#define SCALAR_INTRINSIC(name) Value do_##name(Use *u) { return scalar(u, S_##name); }
SCALAR_INTRINSIC(min)
SCALAR_INTRINSIC(max)
SCALAR_INTRINSIC(pow)
SCALAR_INTRINSIC(abs)
SCALAR_INTRINSIC(exp)
SCALAR_INTRINSIC(log)
SCALAR_INTRINSIC(sqrt)
SCALAR_INTRINSIC(sin)
SCALAR_INTRINSIC(cos)
SCALAR_INTRINSIC(tanh)
SCALAR_INTRINSIC(sigmoid)
SCALAR_INTRINSIC(erf)
SCALAR_INTRINSIC(floor)
SCALAR_INTRINSIC(lt)
SCALAR_INTRINSIC(le)
SCALAR_INTRINSIC(eq)
SCALAR_INTRINSIC(select)

/* ---- tensors ---------------------------------------------------------------------------- */

Value do_matmul(Use *u) {
  if (!use_is_tensor(u, 0) || !use_is_tensor(u, 1)) return value_poison();
  return use_made(
      u, graph_matmul(u->x->graph, u->arg[0].as.tensor, false, u->arg[1].as.tensor, false));
}

/* Reports a window that does not fit. */
static bool window_fits(Use *u, Val x, const int32_t *size, const int32_t *pad) {
  const Shape *s = &graph_node(u->x->graph, x)->shape;
  for (int i = 0; i < 2; i++) {
    int64_t room = (int64_t)s->dim[1 + i].n + 2 * (int64_t)pad[i];
    if (size[i] <= room) continue;
    diag_at(&u->x->front->diags, E0507, u->at, (long long)size[i], (long long)s->dim[1 + i].n,
            (long long)pad[i]);
    diag_label(&u->x->front->diags, u->arg[0].span, "%s",
               tensor_text(u->x->arena, u->x->graph, x));
    trace_calls(u->x, u->c->scope);
    return false;
  }
  return true;
}

Value do_conv2d(Use *u) {
  Attr a = {0};
  Graph *g = u->x->graph;
  if (!use_is_tensor(u, 0) || !use_is_tensor(u, 1) || !use_pair(u, 2, 1, a.conv.stride) ||
      !use_pair(u, 3, 0, a.conv.pad) || !use_is_int(u, 4))
    return value_poison();
  Val in[] = {u->arg[0].as.tensor, u->arg[1].as.tensor};
  const Shape *w = &graph_node(g, in[1])->shape;
  if (!window_fits(u, in[0], (int32_t[]){w->dim[0].n, w->dim[1].n}, a.conv.pad))
    return value_poison();
  a.conv.groups = (int32_t)u->arg[4].as.integer;
  return use_made(u, graph_add(g, OP_CONV2D, in, NULL, a));
}

static Value pool(Use *u, PoolKind kind) {
  Attr a = {.pool = {.kind = (uint8_t)kind}};
  if (!use_is_tensor(u, 0) || !use_pair(u, 1, 1, a.pool.size) ||
      !use_pair(u, 2, 1, a.pool.stride) || !use_pair(u, 3, 0, a.pool.pad))
    return value_poison();
  Val in[] = {u->arg[0].as.tensor};
  if (!window_fits(u, in[0], a.pool.size, a.pool.pad)) return value_poison();
  return use_made(u, graph_add(u->x->graph, OP_POOL2D, in, NULL, a));
}

Value do_pool_max(Use *u) { return pool(u, POOL_MAX); }
Value do_pool_mean(Use *u) { return pool(u, POOL_AVERAGE); }

/* The axes of a reduction, a bit each. */
static bool axes_argument(Use *u, uint32_t *axes) {
  int32_t axis[MAX_RANK];
  uint32_t n;
  if (!use_is_tensor(u, 0) || !use_ints(u, 1, 0, axis, MAX_RANK, &n)) return false;
  *axes = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (axis[i] >= use_rank(u, u->arg[0].as.tensor)) {
      diag_at(&u->x->front->diags, E0512, u->at, (long long)axis[i],
              (long long)use_rank(u, u->arg[0].as.tensor));
      return false;
    }
    *axes |= 1u << axis[i];
  }
  return true;
}

static Value reduction(Use *u, Scalar fn) {
  uint32_t axes;
  if (!axes_argument(u, &axes)) return value_poison();
  return use_made(u, graph_reduce(u->x->graph, fn, u->arg[0].as.tensor, axes));
}

Value do_reduce_sum(Use *u) { return reduction(u, S_add); }
Value do_reduce_max(Use *u) { return reduction(u, S_max); }

Value do_reduce_mean(Use *u) {
  Graph *g = u->x->graph;
  Value sum = reduction(u, S_add);
  if (sum.kind == VALUE_POISON) return sum;
  uint64_t many = shape_elements(&graph_node(g, u->arg[0].as.tensor)->shape);
  uint64_t left = shape_elements(&graph_node(g, sum.as.tensor)->shape);
  return use_made(u,
                  graph_map2(g, S_mul, sum.as.tensor, graph_const(g, (double)left / (double)many)));
}

Value do_stop(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  return use_made(u, graph_add(u->x->graph, OP_STOP, &u->arg[0].as.tensor, NULL, (Attr){0}));
}

/* A tensor with other sizes of a sample. */
static Value reshaped(Use *u, Val v, const Sizes *to) {
  const Shape *s = &graph_node(u->x->graph, v)->shape;
  for (uint32_t i = 0; i < to->rank; i++) {
    if (to->dim[i] <= LIMIT_DIM) continue;
    diag_at(&u->x->front->diags, E0810, u->at, (long long)to->dim[i], LIMIT_DIM);
    return value_poison();
  }
  return use_made(u, graph_reshape(u->x->graph, v, sizes_stored(to, s->dim[0])));
}

static int64_t sizes_product(const Sizes *s) {
  int64_t n = 1;
  for (uint32_t i = 0; i < s->rank; i++)
    if (__builtin_mul_overflow(n, s->dim[i], &n)) return INT64_MAX;
  return n;
}

Value do_flatten(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  Sizes s = sizes_of(u->x->graph, u->arg[0].as.tensor);
  return reshaped(u, u->arg[0].as.tensor, &(Sizes){1, {sizes_product(&s)}});
}

Value do_reshape(Use *u) {
  int32_t dim[MAX_RANK];
  Sizes to = {0};
  if (!use_is_tensor(u, 0) || !use_ints(u, 1, 1, dim, MAX_RANK - 1, &to.rank))
    return value_poison();
  for (uint32_t i = 0; i < to.rank; i++) to.dim[i] = dim[i];
  Sizes from = sizes_of(u->x->graph, u->arg[0].as.tensor);
  if (sizes_product(&from) == sizes_product(&to)) return reshaped(u, u->arg[0].as.tensor, &to);
  diag_at(&u->x->front->diags, E0510, u->at, sizes_text(u->x->arena, &from),
          sizes_text(u->x->arena, &to), (long long)sizes_product(&from),
          (long long)sizes_product(&to));
  trace_calls(u->x, u->c->scope);
  return value_poison();
}

/* The stored axis of a sample's first: channels of an image, else the first after the batch. */
static int32_t first_axis(Use *u, Val v) { return use_rank(u, v) == 4 ? 3 : 1; }

/* One tensor in zeros, at its place along an axis of `size`. */
static Val embedded(Use *u, Val v, int32_t axis, int32_t begin, int32_t size) {
  Attr a = {.slice = {axis, begin, size}};
  return graph_add(u->x->graph, OP_EMBED, &v, NULL, a);
}

Value do_concat(Use *u) {
  int64_t size = 0;
  Graph *g = u->x->graph;
  for (uint32_t i = 0; i < u->n; i++) {
    if (!use_is_tensor(u, i)) return value_poison();
    Val v = u->arg[i].as.tensor;
    if (use_rank(u, v) != use_rank(u, u->arg[0].as.tensor)) {
      diag_at(&u->x->front->diags, E0501, u->at, "concatenate");
      trace_calls(u->x, u->c->scope);
      return value_poison();
    }
    size += graph_node(g, v)->shape.dim[first_axis(u, v)].n;
  }
  if (size > LIMIT_DIM) {
    diag_at(&u->x->front->diags, E0810, u->at, (long long)size, LIMIT_DIM);
    return value_poison();
  }
  Val sum = 0;
  int32_t begin = 0;
  for (uint32_t i = 0; i < u->n; i++) {
    Val v = u->arg[i].as.tensor;
    int32_t axis = first_axis(u, v), n = graph_node(g, v)->shape.dim[axis].n;
    Val part = embedded(u, v, axis, begin, (int32_t)size);
    sum = sum ? graph_map2(g, S_add, sum, part) : part;
    begin += n;
  }
  return use_made(u, sum);
}

Value do_split(Use *u) {
  if (!use_is_tensor(u, 0) || !use_is_int(u, 1)) return value_poison();
  Val v = u->arg[0].as.tensor;
  int32_t axis = first_axis(u, v);
  int64_t size = graph_node(u->x->graph, v)->shape.dim[axis].n, n = u->arg[1].as.integer;
  if (n < 1 || n > size || size % n) {
    diag_at(&u->x->front->diags, E0513, u->at, (long long)n, (long long)size);
    trace_calls(u->x, u->c->scope);
    return value_poison();
  }
  Value *part = NEW_ARRAY(u->x->arena, Value, n);
  for (int64_t i = 0; i < n; i++) {
    Attr a = {.slice = {axis, (int32_t)(i * (size / n)), (int32_t)(size / n)}};
    part[i] = value_tensor(graph_add(u->x->graph, OP_SLICE, &v, NULL, a), u->at);
  }
  return value_list(part, (uint32_t)n, u->at);
}

Value do_iota(Use *u) {
  if (!use_is_int(u, 0)) return value_poison();
  return use_made(
      u, graph_iota(u->x->graph, shape_of(2, (int32_t[]){1, (int32_t)u->arg[0].as.integer})));
}

Value do_fill(Use *u) {
  Shape s;
  if (!use_shape(u, 0, &s)) return value_poison();
  if (!value_is_number(&u->arg[1])) return use_refuse(u, 1, "a number");
  return use_made(u, graph_fill(u->x->graph, s, value_number(&u->arg[1])));
}

Value do_random(Use *u) {
  Shape s;
  if (u->arg[0].kind == VALUE_TENSOR) s = graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  else if (!use_shape(u, 0, &s)) return value_poison();
  return use_made(u, graph_random(u->x->graph, u->x->step, s, param_stream(u->x, u->c)));
}
