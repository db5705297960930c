/* value.c: making, asking and showing values; shapes as the language says them. */
#include "value.h"
#include <string.h>

Value value_poison(void) { return (Value){.kind = VALUE_POISON}; }

Value value_int(int64_t n, Span span) {
  return (Value){.kind = VALUE_INT, .span = span, .as.integer = n};
}

Value value_real(double x, Span span) {
  return (Value){.kind = VALUE_REAL, .span = span, .as.real = x};
}

Value value_bool(bool b, Span span) {
  return (Value){.kind = VALUE_BOOL, .span = span, .as.integer = b};
}

Value value_text(const char *s, Span span) {
  return (Value){.kind = VALUE_STRING, .span = span, .as.text = s};
}

Value value_tensor(Val v, Span span) {
  return (Value){.kind = VALUE_TENSOR, .span = span, .as.tensor = v};
}

Value value_list(Value *item, uint32_t n, Span span) {
  return (Value){.kind = VALUE_LIST, .span = span, .as.list = {item, n}};
}

bool value_is_number(const Value *v) { return v->kind == VALUE_INT || v->kind == VALUE_REAL; }

double value_number(const Value *v) {
  return v->kind == VALUE_INT ? (double)v->as.integer : v->as.real;
}

/* What kind of value it is, with its article, for messages. */
const char *value_kind(const Value *v) {
  static const char *const word[] = {
      "an error", "an int", "a real", "a bool", "a string", "a tensor", "a weight set",
      "a block", "a declaration", "a list", "a range"};
  return word[v->kind];
}

static void show(Text *t, const Graph *g, const Names *names, const Value *v);

static void show_list(Text *t, const Graph *g, const Names *names, const Value *v) {
  text_add(t, "[");
  for (uint32_t i = 0; i < v->as.list.n; i++) {
    if (i) text_add(t, ", ");
    show(t, g, names, &v->as.list.item[i]);
  }
  text_add(t, "]");
}

/* Appends the value as it would be written. */
static void show(Text *t, const Graph *g, const Names *names, const Value *v) {
  switch ((ValueKind)v->kind) {
  case VALUE_POISON: text_add(t, "?"); break;
  case VALUE_INT: text_add(t, "%lld", (long long)v->as.integer); break;
  case VALUE_REAL: text_add(t, "%s", number_text(t->arena, v->as.real)); break;
  case VALUE_BOOL: text_add(t, "%s", v->as.integer ? "true" : "false"); break;
  case VALUE_STRING: text_add(t, "\"%s\"", v->as.text); break;
  case VALUE_TENSOR: text_add(t, "%s", tensor_text(t->arena, g, v->as.tensor)); break;
  case VALUE_SET: text_add(t, "a weight set"); break;
  case VALUE_BLOCK: text_add(t, "%s", ast_text(t->arena, names, v->as.block.expr)); break;
  case VALUE_DECL: text_add(t, "%s", name_text(names, v->as.decl->name)); break;
  case VALUE_LIST: show_list(t, g, names, v); break;
  case VALUE_RANGE:
    text_add(t, "%lld..%lld", (long long)v->as.range.from, (long long)v->as.range.to);
    break;
  }
}

const char *value_show(Arena *a, const Graph *g, const Names *names, const Value *v) {
  Text t;
  text_init(&t, a);
  show(&t, g, names, v);
  return t.s;
}

/* ---- shapes ----------------------------------------------------------------------------- */

/* Which stored axis holds axis i of a sample of that rank: images are stored channels last. */
static uint32_t stored_axis(uint32_t rank, uint32_t i) {
  return rank == 3 ? (i == 0 ? 3 : i) : i + 1;
}

/* The shape of one sample; a scalar of the graph has rank 0. */
Sizes sizes_of(const Graph *g, Val v) {
  const Shape *s = &graph_node(g, v)->shape;
  Sizes out = {.rank = s->rank ? s->rank - 1u : 0};
  for (uint32_t i = 0; i < out.rank; i++) out.dim[i] = s->dim[stored_axis(out.rank, i)].n;
  return out;
}

/* The stored shape of a batch of such samples; sizes must fit (see expand's limits). */
Shape sizes_stored(const Sizes *s, Dim batch) {
  Shape out = {.rank = (uint8_t)(s->rank + 1)};
  out.dim[0] = batch;
  for (uint32_t i = 0; i < s->rank; i++)
    out.dim[stored_axis(s->rank, i)] = (Dim){(int32_t)s->dim[i], 0};
  return out;
}

const char *sizes_text(Arena *a, const Sizes *s) {
  Text t;
  text_init(&t, a);
  text_add(&t, "tensor[");
  for (uint32_t i = 0; i < s->rank; i++)
    text_add(&t, "%s%lld", i ? ", " : "", (long long)s->dim[i]);
  text_add(&t, "]");
  return t.s;
}

const char *tensor_text(Arena *a, const Graph *g, Val v) {
  Sizes s = sizes_of(g, v);
  return sizes_text(a, &s);
}
