/* intrinsics.c: what the prelude is written with; see intrinsics.def for the list.
 *
 * In: the arguments of a call, evaluated. Out: a value. Here: reading arguments, sizes,
 * parameters, the words of `init`, and the table; intrinsics_tensor.c has the rest. */
#include "intrinsics.h"

/* ---- arguments -------------------------------------------------------------------------- */

/* A tensor, or a number as a constant; 0 for anything else. */
Val tensor_of(Expander *x, const Value *v) {
  if (v->kind == VALUE_TENSOR) return v->as.tensor;
  return value_is_number(v) ? graph_const(x->graph, value_number(v)) : 0;
}

/* A value of the graph, or the graph's refusal as a message. */
Value use_made(Use *u, Val v) {
  if (v) return value_tensor(v, u->at);
  diag_at(&u->x->front->diags, E0518, u->at, u->x->graph->error);
  trace_calls(u->x, u->c->scope);
  return value_poison();
}

Value use_refuse(Use *u, uint32_t i, const char *wanted) {
  diag_at(&u->x->front->diags, E0401, u->at, arena_printf(u->x->arena, "argument %u", i + 1),
          value_kind(&u->arg[i]), wanted);
  return value_poison();
}

bool use_is_tensor(Use *u, uint32_t i) {
  if (u->arg[i].kind == VALUE_TENSOR) return true;
  use_refuse(u, i, "a tensor");
  return false;
}

bool use_is_int(Use *u, uint32_t i) {
  if (u->arg[i].kind == VALUE_INT) return true;
  use_refuse(u, i, "an int");
  return false;
}

/* A list of ints, each in [low, 2^31). */
bool use_ints(Use *u, uint32_t i, int64_t low, int32_t *out, uint32_t most, uint32_t *n) {
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
  else use_refuse(u, i, "a list of ints");
  return ok;
}

/* Storage sizes as a shape, within the limit of elements. */
bool use_shape(Use *u, uint32_t i, Shape *s) {
  int32_t dim[MAX_RANK];
  uint32_t n;
  if (!use_ints(u, i, 1, dim, MAX_RANK, &n)) return false;
  *s = shape_of(n, dim);
  if (shape_elements(s) <= (uint64_t)LIMIT_ELEMENTS) return true;
  diag_at(&u->x->front->diags, E0812, u->at,
          value_show(u->x->arena, u->x->graph, u->x->front->names, &u->arg[i]));
  return false;
}

uint8_t use_rank(Use *u, Val v) { return graph_node(u->x->graph, v)->shape.rank; }

/* Two ints: [h, w]. */
bool use_pair(Use *u, uint32_t i, int64_t low, int32_t *out) {
  uint32_t n = 0;
  if (!use_ints(u, i, low, out, 2, &n)) return false;
  if (n == 2) return true;
  use_refuse(u, i, "two ints");
  return false;
}

/* ---- sizes ------------------------------------------------------------------------------ */

Value do_size(Use *u) {
  if (!use_is_tensor(u, 0) || !use_is_int(u, 1)) return value_poison();
  const Shape *s = &graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  int64_t axis = u->arg[1].as.integer;
  if (axis >= 0 && axis < s->rank) return value_int(s->dim[axis].n, u->at);
  diag_at(&u->x->front->diags, E0512, u->at, (long long)axis, (long long)s->rank);
  return value_poison();
}

Value do_rank(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  return value_int(use_rank(u, u->arg[0].as.tensor), u->at);
}

/* The ints from..to as a list. */
static Value int_list(Use *u, uint32_t from, uint32_t to) {
  Value *item = NEW_ARRAY(u->x->arena, Value, to + 1);
  for (uint32_t i = from; i < to; i++) item[i - from] = value_int(i, u->at);
  return value_list(item, to > from ? to - from : 0, u->at);
}

Value do_over_samples(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  return int_list(u, 0, use_rank(u, u->arg[0].as.tensor) - 1u);
}

Value do_over_features(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  return int_list(u, 1, use_rank(u, u->arg[0].as.tensor));
}

Value do_per_group(Use *u) {
  if (!use_is_int(u, 0) || !use_is_int(u, 1)) return value_poison();
  int64_t channels = u->arg[0].as.integer, groups = u->arg[1].as.integer;
  if (groups > 0 && channels % groups == 0) return value_int(channels / groups, u->at);
  diag_at(&u->x->front->diags, E0508, u->at, (long long)groups, (long long)channels);
  trace_calls(u->x, u->c->scope);
  return value_poison();
}

Value do_window(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  int32_t size[2];
  if (!use_pair(u, 1, 0, size)) return value_poison();
  const Shape *s = &graph_node(u->x->graph, u->arg[0].as.tensor)->shape;
  Value *item = NEW_ARRAY(u->x->arena, Value, 2);
  for (int i = 0; i < 2; i++) item[i] = value_int(size[i] ? size[i] : s->dim[1 + i].n, u->at);
  return value_list(item, 2, u->at);
}

/* ---- parameters ------------------------------------------------------------------------- */

Value do_weights(Use *u) {
  Shape s;
  if (!use_shape(u, 0, &s)) return value_poison();
  int64_t groups = u->n > 1 && u->arg[1].kind == VALUE_INT ? u->arg[1].as.integer : 1;
  return param_weights(u->x, u->c, s, groups < 1 ? 1 : groups, u->at);
}

Value do_calibrate(Use *u) {
  if (!use_is_tensor(u, 0)) return value_poison();
  return param_calibrate(u->x, u->arg[0].as.tensor, u->at);
}

typedef Value Declare(Expander *, Context *, const char *, Shape, double, Span);

static Value declaration(Use *u, Declare *declare) {
  Shape s;
  if (u->arg[0].kind != VALUE_STRING) return use_refuse(u, 0, "a string");
  if (!value_is_number(&u->arg[2])) return use_refuse(u, 2, "a number");
  if (u->arg[1].kind == VALUE_TENSOR) s = graph_node(u->x->graph, u->arg[1].as.tensor)->shape;
  else if (!use_shape(u, 1, &s)) return value_poison();
  return declare(u->x, u->c, u->arg[0].as.text, s, value_number(&u->arg[2]), u->at);
}

Value do_param(Use *u) { return declaration(u, param_plain); }
Value do_state(Use *u) { return declaration(u, param_state); }

Value do_update(Use *u) {
  if (!use_is_tensor(u, 0) || !use_is_tensor(u, 1)) return value_poison();
  return param_update(u->x, u->arg[0].as.tensor, u->arg[1].as.tensor, u->at);
}

Value do_training(Use *u) { return value_bool(u->x->mode != MODE_EVAL, u->at); }

Value do_class_count(Use *u) { return value_int(u->x->facts.classes, u->at); }

Value do_step(Use *u) {
  Graph *g = u->x->graph;
  Attr first = {.slice = {0, 0, 1}};
  Val v = graph_reshape(g, graph_add(g, OP_SLICE, &u->x->step, NULL, first), (Shape){0});
  return use_made(u, graph_map2(g, S_add, v, graph_const(g, 0.0)));
}

/* ---- inside `init` ---------------------------------------------------------------------- */

/* Whether weights are being drawn. */
static bool drawing(Use *u) {
  if (u->x->draw.shape.rank) return true;
  diag_at(&u->x->front->diags, E0415, u->at, "a layer's weights", "this");
  return false;
}

Value do_fan_in(Use *u) {
  return drawing(u) ? value_int(u->x->draw.fan_in, u->at) : value_poison();
}

Value do_fan_out(Use *u) {
  return drawing(u) ? value_int(u->x->draw.fan_out, u->at) : value_poison();
}

Value do_rows(Use *u) {
  if (!drawing(u)) return value_poison();
  const Shape *s = &u->x->draw.shape;
  Value *item = NEW_ARRAY(u->x->arena, Value, s->rank);
  for (int i = 0; i < s->rank; i++) item[i] = value_int(s->dim[i].n, u->at);
  return value_list(item, s->rank, u->at);
}

Value do_rescaled(Use *u) {
  if (!drawing(u)) return value_poison();
  u->x->draw.rescaled = true;
  return u->arg[0];
}

Value do_measured(Use *u) {
  diag_at(&u->x->front->diags, E0901, u->at, "an initialiser that measures gain and bias");
  return value_poison();
}

/* ---- the table -------------------------------------------------------------------------- */

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
