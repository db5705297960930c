/* intrinsics.c: what the prelude is written with; see intrinsics.def for the list.
 *
 * In: the arguments of a call, evaluated. Out: a value. Each row of the table is one function
 * here, `do_<name>`; those of the scalar functions share one. Sizes are checked by the graph's
 * own rules, and a refusal is reported at the stage that the user wrote. */
#include "expand.h"
#include <math.h>
#include <string.h>

typedef struct {
  Expander *x;
  Context *c;
  Value *arg;
  uint32_t n;
  Span at;
} Use;

typedef Value Intrinsic(Use *u);

/* ---- helpers ------------------------------------------------------------------------------------ */

/* A tensor, or a number as a constant; 0 for anything else. */
Val tensor_of(Expander *x, const Value *v) {
  if (v->kind == VALUE_TENSOR) return v->as.tensor;
  return value_is_number(v) ? graph_const(x->graph, value_number(v)) : 0;
}

/* A value of the graph, or the graph's refusal as a message. */
static Value made(Use *u, Val v) {
  if (v) return value_tensor(v, u->at);
  diag_at(&u->x->front->diags, E0518, u->at, u->x->graph->error);
  trace_calls(u->x, u->c->scope);
  return value_poison();
}

static Value wrong_kind(Use *u, uint32_t i, const char *wanted) {
  diag_at(&u->x->front->diags, E0401, u->at, arena_printf(u->x->arena, "argument %u", i + 1),
          value_kind(&u->arg[i]), wanted);
  return value_poison();
}

static bool is_tensor(Use *u, uint32_t i) {
  if (u->arg[i].kind == VALUE_TENSOR) return true;
  wrong_kind(u, i, "a tensor");
  return false;
}

static bool is_int(Use *u, uint32_t i) {
  if (u->arg[i].kind == VALUE_INT) return true;
  wrong_kind(u, i, "an int");
  return false;
}

/* A list of ints, each in [low, 2^31). */
static bool ints_of(Use *u, uint32_t i, int64_t low, int32_t *out, uint32_t most, uint32_t *n) {
  Value *v = &u->arg[i];
  bool ok = v->kind == VALUE_LIST && v->as.list.n <= most;
  for (uint32_t k = 0; ok && k < v->as.list.n; k++) {
    Value *item = &v->as.list.item[k];
    ok = item->kind == VALUE_INT;
    if (ok && (item->as.integer < low || item->as.integer > LIMIT_DIM)) {
      diag_at(&u->x->front->diags, E0509, u->at, "a size", (long long)item->as.integer);
      return false;
    }
    if (ok) out[k] = (int32_t)item->as.integer;
  }
  if (ok) *n = v->as.list.n;
  else wrong_kind(u, i, "a list of ints");
  return ok;
}

/* Storage sizes as a shape, within the limit of elements. */
static bool shape_argument(Use *u, uint32_t i, Shape *s) {
  int32_t dim[MAX_RANK];
  uint32_t n;
  if (!ints_of(u, i, 1, dim, MAX_RANK, &n)) return false;
  *s = shape_of(n, dim);
  if (shape_elements(s) <= (uint64_t)LIMIT_ELEMENTS) return true;
  diag_at(&u->x->front->diags, E0812, u->at,
          value_show(u->x->arena, u->x->graph, u->x->front->names, &u->arg[i]));
  return false;
}

static uint8_t rank_of(Use *u, Val v) { return graph_node(u->x->graph, v)->shape.rank; }

/* ---- scalar functions ----------------------------------------------------------------------------- */

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
      return wrong_kind(u, i, "a number or a tensor");
    tensors |= v[i].kind == VALUE_TENSOR;
    ints &= v[i].kind == VALUE_INT;
    if (value_is_number(&v[i])) number[i] = value_number(&v[i]);
  }
  if (ints && (fn == S_min || fn == S_max || fn == S_abs)) return scalar_ints(fn, v, u->at);
  if (!tensors) return value_real(scalar_number(fn, number), u->at);
  for (uint32_t i = 0; i < u->n; i++) in[i] = tensor_of(u->x, &v[i]);
  Graph *g = u->x->graph;
  if (u->n == 1) return made(u, graph_map1(g, fn, in[0]));
  if (u->n == 2) return made(u, graph_map2(g, fn, in[0], in[1]));
  return made(u, graph_map3(g, fn, in[0], in[1], in[2]));
}

#define SCALAR_INTRINSIC(name) static Value do_##name(Use *u) { return scalar(u, S_##name); }
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

/* ---- tensors ------------------------------------------------------------------------------------------ */

static Value do_matmul(Use *u) {
  if (!is_tensor(u, 0) || !is_tensor(u, 1)) return value_poison();
  return made(u, graph_matmul(u->x->graph, u->arg[0].as.tensor, false, u->arg[1].as.tensor, false));
}

/* Two ints: [h, w]. */
static bool pair_argument(Use *u, uint32_t i, int64_t low, int32_t *out) {
  uint32_t n = 0;
  if (!ints_of(u, i, low, out, 2, &n)) return false;
  if (n == 2) return true;
  wrong_kind(u, i, "two ints");
  return false;
}

/* Reports a window that does not fit. */
static bool window_fits(Use *u, Val x, const int32_t *size, const int32_t *pad) {
  const Shape *s = &graph_node(u->x->graph, x)->shape;
  for (int i = 0; i < 2; i++) {
    int64_t room = (int64_t)s->dim[1 + i].n + 2 * (int64_t)pad[i];
    if (size[i] <= room) continue;
    diag_at(&u->x->front->diags, E0507, u->at, (long long)size[i], (long long)s->dim[1 + i].n, (long long)pad[i]);
    diag_label(&u->x->front->diags, u->arg[0].span, "%s",
               tensor_text(u->x->arena, u->x->graph, x));
    trace_calls(u->x, u->c->scope);
    return false;
  }
  return true;
}

static Value do_conv2d(Use *u) {
  Attr a = {0};
  Graph *g = u->x->graph;
  if (!is_tensor(u, 0) || !is_tensor(u, 1) || !pair_argument(u, 2, 1, a.conv.stride) ||
      !pair_argument(u, 3, 0, a.conv.pad) || !is_int(u, 4))
    return value_poison();
  Val in[] = {u->arg[0].as.tensor, u->arg[1].as.tensor};
  const Shape *w = &graph_node(g, in[1])->shape;
  if (!window_fits(u, in[0], (int32_t[]){w->dim[0].n, w->dim[1].n}, a.conv.pad))
    return value_poison();
  a.conv.groups = (int32_t)u->arg[4].as.integer;
  return made(u, graph_add(g, OP_CONV2D, in, NULL, a));
}

static Value pool(Use *u, PoolKind kind) {
  Attr a = {.pool = {.kind = (uint8_t)kind}};
  if (!is_tensor(u, 0) || !pair_argument(u, 1, 1, a.pool.size) ||
      !pair_argument(u, 2, 1, a.pool.stride) || !pair_argument(u, 3, 0, a.pool.pad))
    return value_poison();
  Val in[] = {u->arg[0].as.tensor};
  if (!window_fits(u, in[0], a.pool.size, a.pool.pad)) return value_poison();
  return made(u, graph_add(u->x->graph, OP_POOL2D, in, NULL, a));
}

static Value do_pool_max(Use *u) { return pool(u, POOL_MAX); }
static Value do_pool_mean(Use *u) { return pool(u, POOL_AVERAGE); }

/* The axes of a reduction, a bit each. */
static bool axes_argument(Use *u, uint32_t *axes) {
  int32_t axis[MAX_RANK];
  uint32_t n;
  if (!is_tensor(u, 0) || !ints_of(u, 1, 0, axis, MAX_RANK, &n)) return false;
  *axes = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (axis[i] >= rank_of(u, u->arg[0].as.tensor)) {
      diag_at(&u->x->front->diags, E0512, u->at, (long long)axis[i],
              (long long)rank_of(u, u->arg[0].as.tensor));
      return false;
    }
    *axes |= 1u << axis[i];
  }
  return true;
}

static Value reduction(Use *u, Scalar fn) {
  uint32_t axes;
  if (!axes_argument(u, &axes)) return value_poison();
  return made(u, graph_reduce(u->x->graph, fn, u->arg[0].as.tensor, axes));
}

static Value do_reduce_sum(Use *u) { return reduction(u, S_add); }
static Value do_reduce_max(Use *u) { return reduction(u, S_max); }

static Value do_reduce_mean(Use *u) {
  Graph *g = u->x->graph;
  Value sum = reduction(u, S_add);
  if (sum.kind == VALUE_POISON) return sum;
  uint64_t many = shape_elements(&graph_node(g, u->arg[0].as.tensor)->shape);
  uint64_t left = shape_elements(&graph_node(g, sum.as.tensor)->shape);
  return made(u, graph_map2(g, S_mul, sum.as.tensor, graph_const(g, (double)left / (double)many)));
}

static Value do_stop(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  return made(u, graph_add(u->x->graph, OP_STOP, &u->arg[0].as.tensor, NULL, (Attr){0}));
}

/* A tensor with other sizes of a sample. */
static Value reshaped(Use *u, Val v, const Sizes *to) {
  const Shape *s = &graph_node(u->x->graph, v)->shape;
  for (uint32_t i = 0; i < to->rank; i++) {
    if (to->dim[i] <= LIMIT_DIM) continue;
    diag_at(&u->x->front->diags, E0810, u->at, (long long)to->dim[i], LIMIT_DIM);
    return value_poison();
  }
  return made(u, graph_reshape(u->x->graph, v, sizes_stored(to, s->dim[0])));
}

static int64_t sizes_product(const Sizes *s) {
  int64_t n = 1;
  for (uint32_t i = 0; i < s->rank; i++)
    if (__builtin_mul_overflow(n, s->dim[i], &n)) return INT64_MAX;
  return n;
}

static Value do_flatten(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  Sizes s = sizes_of(u->x->graph, u->arg[0].as.tensor);
  return reshaped(u, u->arg[0].as.tensor, &(Sizes){1, {sizes_product(&s)}});
}

static Value do_reshape(Use *u) {
  int32_t dim[MAX_RANK];
  Sizes to = {0};
  if (!is_tensor(u, 0) || !ints_of(u, 1, 1, dim, MAX_RANK - 1, &to.rank)) return value_poison();
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
static int32_t first_axis(Use *u, Val v) { return rank_of(u, v) == 4 ? 3 : 1; }

/* One tensor in zeros, at its place along an axis of `size`. */
static Val embedded(Use *u, Val v, int32_t axis, int32_t begin, int32_t size) {
  Attr a = {.slice = {axis, begin, size}};
  return graph_add(u->x->graph, OP_EMBED, &v, NULL, a);
}

static Value do_concat(Use *u) {
  int64_t size = 0;
  Graph *g = u->x->graph;
  for (uint32_t i = 0; i < u->n; i++) {
    if (!is_tensor(u, i)) return value_poison();
    Val v = u->arg[i].as.tensor;
    if (rank_of(u, v) != rank_of(u, u->arg[0].as.tensor)) {
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
  return made(u, sum);
}

static Value do_split(Use *u) {
  if (!is_tensor(u, 0) || !is_int(u, 1)) return value_poison();
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

static Value do_iota(Use *u) {
  if (!is_int(u, 0)) return value_poison();
  return made(u, graph_iota(u->x->graph, shape_of(2, (int32_t[]){1, (int32_t)u->arg[0].as.integer})));
}

static Value do_fill(Use *u) {
  Shape s;
  if (!shape_argument(u, 0, &s)) return value_poison();
  if (!value_is_number(&u->arg[1])) return wrong_kind(u, 1, "a number");
  return made(u, graph_fill(u->x->graph, s, value_number(&u->arg[1])));
}

static Value do_random(Use *u) {
  Shape s;
  if (u->arg[0].kind == VALUE_TENSOR) s = graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  else if (!shape_argument(u, 0, &s)) return value_poison();
  return made(u, graph_random(u->x->graph, u->x->step, s, param_stream(u->x, u->c)));
}

/* ---- sizes ------------------------------------------------------------------------------------------------ */

static Value do_size(Use *u) {
  if (!is_tensor(u, 0) || !is_int(u, 1)) return value_poison();
  const Shape *s = &graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  int64_t axis = u->arg[1].as.integer;
  if (axis >= 0 && axis < s->rank) return value_int(s->dim[axis].n, u->at);
  diag_at(&u->x->front->diags, E0512, u->at, (long long)axis, (long long)s->rank);
  return value_poison();
}

static Value do_rank(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  return value_int(rank_of(u, u->arg[0].as.tensor), u->at);
}

/* The ints from..to as a list. */
static Value int_list(Use *u, uint32_t from, uint32_t to) {
  Value *item = NEW_ARRAY(u->x->arena, Value, to + 1);
  for (uint32_t i = from; i < to; i++) item[i - from] = value_int(i, u->at);
  return value_list(item, to > from ? to - from : 0, u->at);
}

static Value do_over_samples(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  return int_list(u, 0, rank_of(u, u->arg[0].as.tensor) - 1u);
}

static Value do_over_features(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  return int_list(u, 1, rank_of(u, u->arg[0].as.tensor));
}

static Value do_per_group(Use *u) {
  if (!is_int(u, 0) || !is_int(u, 1)) return value_poison();
  int64_t channels = u->arg[0].as.integer, groups = u->arg[1].as.integer;
  if (groups > 0 && channels % groups == 0) return value_int(channels / groups, u->at);
  diag_at(&u->x->front->diags, E0508, u->at, (long long)groups, (long long)channels);
  trace_calls(u->x, u->c->scope);
  return value_poison();
}

static Value do_window(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  int32_t size[2];
  if (!pair_argument(u, 1, 0, size)) return value_poison();
  const Shape *s = &graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  Value *item = NEW_ARRAY(u->x->arena, Value, 2);
  for (int i = 0; i < 2; i++) item[i] = value_int(size[i] ? size[i] : s->dim[1 + i].n, u->at);
  return value_list(item, 2, u->at);
}

/* ---- parameters ------------------------------------------------------------------------------------------- */

static Value do_weights(Use *u) {
  Shape s;
  if (!shape_argument(u, 0, &s)) return value_poison();
  int64_t groups = u->n > 1 && u->arg[1].kind == VALUE_INT ? u->arg[1].as.integer : 1;
  return param_weights(u->x, u->c, s, groups < 1 ? 1 : groups, u->at);
}

static Value do_calibrate(Use *u) {
  if (!is_tensor(u, 0)) return value_poison();
  return param_calibrate(u->x, u->arg[0].as.tensor, u->at);
}

typedef Value Declare(Expander *, Context *, const char *, Shape, double, Span);

static Value declaration(Use *u, Declare *declare) {
  Shape s;
  if (u->arg[0].kind != VALUE_STRING) return wrong_kind(u, 0, "a string");
  if (!value_is_number(&u->arg[2])) return wrong_kind(u, 2, "a number");
  if (u->arg[1].kind == VALUE_TENSOR) s = graph_node(u->x->graph, u->arg[1].as.tensor)->shape;
  else if (!shape_argument(u, 1, &s)) return value_poison();
  return declare(u->x, u->c, u->arg[0].as.text, s, value_number(&u->arg[2]), u->at);
}

static Value do_param(Use *u) { return declaration(u, param_plain); }
static Value do_state(Use *u) { return declaration(u, param_state); }

static Value do_update(Use *u) {
  if (!is_tensor(u, 0) || !is_tensor(u, 1)) return value_poison();
  return param_update(u->x, u->arg[0].as.tensor, u->arg[1].as.tensor, u->at);
}

static Value do_training(Use *u) { return value_bool(u->x->mode != MODE_EVAL, u->at); }

static Value do_step(Use *u) {
  Graph *g = u->x->graph;
  Attr first = {.slice = {0, 0, 1}};
  Val v = graph_reshape(g, graph_add(g, OP_SLICE, &u->x->step, NULL, first), (Shape){0});
  return made(u, graph_map2(g, S_add, v, graph_const(g, 0.0)));
}

/* ---- inside `init` ------------------------------------------------------------------------------------------ */

/* Whether weights are being drawn. */
static bool drawing(Use *u) {
  if (u->x->draw.shape.rank) return true;
  diag_at(&u->x->front->diags, E0415, u->at, "a layer's weights", "this");
  return false;
}

static Value do_fan_in(Use *u) {
  return drawing(u) ? value_int(u->x->draw.fan_in, u->at) : value_poison();
}

static Value do_fan_out(Use *u) {
  return drawing(u) ? value_int(u->x->draw.fan_out, u->at) : value_poison();
}

static Value do_rows(Use *u) {
  if (!drawing(u)) return value_poison();
  const Shape *s = &u->x->draw.shape;
  Value *item = NEW_ARRAY(u->x->arena, Value, s->rank);
  for (int i = 0; i < s->rank; i++) item[i] = value_int(s->dim[i].n, u->at);
  return value_list(item, s->rank, u->at);
}

static Value do_rescaled(Use *u) {
  if (!drawing(u)) return value_poison();
  u->x->draw.rescaled = true;
  return u->arg[0];
}

static Value do_measured(Use *u) {
  diag_at(&u->x->front->diags, E0901, u->at, "an initialiser that measures gain and bias");
  return value_poison();
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

typedef struct { const char *name; uint8_t fewest, most; Intrinsic *run; } IntrinsicInfo;
static const IntrinsicInfo table[] = {
#define INTRINSIC(name, fewest, most, synopsis) {#name, fewest, most, do_##name},
#include "intrinsics.def"
};

/* Notes the names, so that a look-up is an index. */
void intrinsics_open(Expander *x) {
  for (size_t i = 0; i < COUNT_OF(table); i++) {
    Name name = name_of_text(x->front->names, table[i].name);
    x->nintrinsic = name >= x->nintrinsic ? name + 1 : x->nintrinsic;
  }
  x->intrinsic = NEW_ARRAY(x->arena, uint8_t, x->nintrinsic);
  for (size_t i = 0; i < COUNT_OF(table); i++)
    x->intrinsic[name_of_text(x->front->names, table[i].name)] = (uint8_t)(i + 1);
}

/* The row of that name; -1: none. */
int intrinsic_find(const Expander *x, Name name) {
  return name < x->nintrinsic ? x->intrinsic[name] - 1 : -1;
}

void intrinsic_arguments(int which, uint32_t *fewest, uint32_t *most) {
  *fewest = table[which].fewest;
  *most = table[which].most;
}

Value intrinsic_call(Expander *x, Context *c, int which, Value *arg, uint32_t n, Span at) {
  Use u = {x, c, arg, n, user_span(x, at)};
  return table[which].run(&u);
}
