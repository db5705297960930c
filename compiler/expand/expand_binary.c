/* expand_binary.c: operators on values: C's arithmetic on ints and reals, elementwise on
 * tensors. In: an operator and the values of its sides. Out: the value, or a message that shows
 * both sides. Tensors go together when their shapes are equal, one is a scalar, or one has sizes
 * of 1 for height and width. */
#include "expand.h"
#include <math.h>
#include <string.h>

static Value overflow(Expander *x, const Ast *e) {
  diag_at(&x->front->diags, E0416, user_span(x, e->span));
  return value_poison();
}

/* Whether the division can be made. */
static bool divisible(Expander *x, const Ast *e, int64_t a, int64_t b) {
  if (b == 0) diag_at(&x->front->diags, E0417, user_span(x, e->span));
  else if (a == INT64_MIN && b == -1) overflow(x, e);
  else return true;
  return false;
}

/* The operators that compare two numbers, of a switch. */
#define COMPARISONS(a, b)                                                                          \
  case OP_EQ: return value_bool((a) == (b), e->span);                                              \
  case OP_NE: return value_bool((a) != (b), e->span);                                              \
  case OP_LT: return value_bool((a) < (b), e->span);                                               \
  case OP_GT: return value_bool((a) > (b), e->span);                                               \
  case OP_LE: return value_bool((a) <= (b), e->span);                                              \
  case OP_GE: return value_bool((a) >= (b), e->span);

static Value binary_int(Expander *x, const Ast *e, int64_t a, int64_t b) {
  int64_t r = 0;
  bool wraps = false;
  switch (e->op) {
  case OP_ADD: wraps = __builtin_add_overflow(a, b, &r); break;
  case OP_SUB: wraps = __builtin_sub_overflow(a, b, &r); break;
  case OP_MUL: wraps = __builtin_mul_overflow(a, b, &r); break;
  case OP_DIV: if (!divisible(x, e, a, b)) return value_poison(); r = a / b; break;
  case OP_MOD: if (!divisible(x, e, a, b)) return value_poison(); r = a % b; break;
  COMPARISONS(a, b)
  default: return value_poison();
  }
  return wraps ? overflow(x, e) : value_int(r, e->span);
}

static Value binary_real(const Ast *e, double a, double b) {
  switch (e->op) {
  case OP_ADD: return value_real(a + b, e->span);
  case OP_SUB: return value_real(a - b, e->span);
  case OP_MUL: return value_real(a * b, e->span);
  case OP_DIV: return value_real(a / b, e->span);
  case OP_MOD: return value_real(fmod(a, b), e->span);
  COMPARISONS(a, b)
  default: return value_poison();
  }
}

/* ---- tensors ---------------------------------------------------------------------------- */

/* "height and width differ: 32 x 32 and 16 x 16", or what else tells the shapes apart. */
static void explain_difference(Diags *d, const Sizes *a, const Sizes *b) {
  if (a->rank != b->rank) {
    diag_equals(d, "one has %u dimension%s, the other %u", a->rank, a->rank == 1 ? "" : "s",
                b->rank);
  } else if (a->rank == 3 && a->dim[0] == b->dim[0]) {
    diag_equals(d, "height and width differ: %lld x %lld and %lld x %lld", (long long)a->dim[1],
                (long long)a->dim[2], (long long)b->dim[1], (long long)b->dim[2]);
  } else if (a->rank == 3) {
    diag_equals(d, "channels differ: %lld and %lld", (long long)a->dim[0], (long long)b->dim[0]);
  } else if (a->rank == 1) {
    diag_equals(d, "sizes differ: %lld and %lld", (long long)a->dim[0], (long long)b->dim[0]);
  }
}

/* The node of a chain that made an image smaller: a convolution or pool with a stride. 0: none. */
static Val made_smaller(const Graph *g, Val v) {
  for (int steps = 0; v && steps < 200; steps++) {
    const Node *n = graph_node(g, v);
    bool window = n->op == OP_CONV2D || n->op == OP_POOL2D;
    if (window && graph_node(g, n->in[0])->shape.dim[1].n > n->shape.dim[1].n) return v;
    v = optab[n->op].cls == CLASS_LEAF ? 0 : n->in[0];
  }
  return 0;
}

static int32_t stride_of(const Node *n) {
  return n->op == OP_CONV2D ? n->attr.conv.stride[0] : n->attr.pool.stride[0];
}

/* Where a side of an operator came from, and if it can be told, what set its size. Gives the
 * stride that made it smaller, else 1. */
static int32_t note_side(Expander *x, const char *side, const Value *v, const Sizes *s,
                         bool smaller) {
  Diags *d = &x->front->diags;
  const Graph *g = x->graph;
  Val at = smaller ? made_smaller(g, v->as.tensor) : 0;
  if (!at) {
    diag_note(d, v->span, "the %s side comes from here", side);
    diag_here(d, "%s", sizes_text(x->arena, s));
    return 1;
  }
  int32_t stride = stride_of(graph_node(g, at));
  diag_note(d, graph_node(g, at)->span, "the %s side was %s here", side,
            stride == 2 ? "halved" : "made smaller");
  diag_here(d, "stride is %d", stride);
  return stride;
}

/* Says what both sides are and where each came from. */
static void shapes_differ(Expander *x, Context *c, const Ast *e, const Value *a, const Value *b) {
  Diags *d = &x->front->diags;
  const char *verb = e->op == OP_ADD ? "add" : e->op == OP_SUB ? "subtract"
                     : e->op == OP_MUL ? "multiply" : e->op == OP_DIV ? "divide" : "compare";
  Sizes left = sizes_of(x->graph, a->as.tensor), right = sizes_of(x->graph, b->as.tensor);
  bool sides = e->kind == AST_BINARY && e->nchild == 2;
  diag_at(d, E0501, e->name_span.len ? e->name_span : e->span, verb);
  if (sides) diag_label(d, e->child[0]->span, "%s", sizes_text(x->arena, &left));
  if (sides) diag_label(d, e->child[1]->span, "%s", sizes_text(x->arena, &right));
  explain_difference(d, &left, &right);
  bool images = left.rank == 3 && right.rank == 3;
  int32_t p = note_side(x, "right", b, &right, images && right.dim[1] < left.dim[1]);
  int32_t q = note_side(x, "left", a, &left, images && left.dim[1] < right.dim[1]);
  trace_calls(x, c->scope);
  if (p != q)
    diag_help(d, "give the %s side the same stride: `stride = %d`", p > q ? "left" : "right",
              p > q ? p : q);
}

/* Whether the language lets the shapes meet: equal, a scalar, or [C, 1, 1] with [C, H, W]. */
static bool shapes_meet(const Sizes *a, const Sizes *b) {
  if (a->rank == 0 || b->rank == 0) return true;
  if (a->rank != b->rank) return false;
  for (uint32_t i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i] && a->dim[i] != 1 && b->dim[i] != 1) return false;
  return true;
}

static Value binary_tensor(Expander *x, Context *c, const Ast *e, const Value *a, const Value *b) {
  static const uint8_t scalar[] = {[OP_ADD] = S_add, [OP_SUB] = S_sub, [OP_MUL] = S_mul,
                                   [OP_DIV] = S_div};
  if (e->op < OP_ADD || e->op > OP_DIV) {
    diag_at(&x->front->diags, E0415, e->span, "this", "a tensor");
    return value_poison();
  }
  Val left = tensor_of(x, a), right = tensor_of(x, b);
  if (!left || !right) return value_poison();
  Sizes p = sizes_of(x->graph, left), q = sizes_of(x->graph, right);
  bool meet = shapes_meet(&p, &q);
  Val v = meet ? graph_map2(x->graph, (Scalar)scalar[e->op], left, right) : 0;
  if (v) return value_tensor(v, e->span);
  if (meet) diag_at(&x->front->diags, E0518, user_span(x, e->span), x->graph->error);
  else shapes_differ(x, c, e, a, b);
  return value_poison();
}

/* ---- all kinds -------------------------------------------------------------------------- */

/* `==` of words and declarations: the same name. */
static bool same_word(Expander *x, const Value *a, const Value *b) {
  const char *p = value_show(x->arena, x->graph, x->front->names, a);
  const char *q = value_show(x->arena, x->graph, x->front->names, b);
  return !strcmp(p, q);
}

Value eval_binary(Expander *x, Context *c, const Ast *e, Value a, Value b) {
  bool tensors = a.kind == VALUE_TENSOR || b.kind == VALUE_TENSOR;
  bool fit = (a.kind == VALUE_TENSOR || value_is_number(&a)) &&
             (b.kind == VALUE_TENSOR || value_is_number(&b));
  if (tensors && fit) return binary_tensor(x, c, e, &a, &b);
  if (a.kind == VALUE_INT && b.kind == VALUE_INT)
    return binary_int(x, e, a.as.integer, b.as.integer);
  if (fit) return binary_real(e, value_number(&a), value_number(&b));
  if (a.kind == b.kind && (e->op == OP_EQ || e->op == OP_NE))
    return value_bool(same_word(x, &a, &b) == (e->op == OP_EQ), e->span);
  bool left = a.kind != VALUE_TENSOR && !value_is_number(&a);
  diag_at(&x->front->diags, E0401, e->child[left ? 0 : 1]->span,
          arena_printf(x->arena, "one side of `%s`", op_word((Operator)e->op)),
          value_kind(left ? &a : &b), "a number or a tensor");
  return value_poison();
}

Value eval_unary(Expander *x, const Ast *e, Value a) {
  bool negate = e->op == OP_NEG;
  if (a.kind == VALUE_POISON) return a;
  if (!negate && a.kind == VALUE_BOOL) return value_bool(!a.as.integer, e->span);
  if (negate && a.kind == VALUE_INT)
    return a.as.integer == INT64_MIN ? overflow(x, e) : value_int(-a.as.integer, e->span);
  if (negate && a.kind == VALUE_REAL) return value_real(-a.as.real, e->span);
  if (negate && a.kind == VALUE_TENSOR)
    return value_tensor(graph_map1(x->graph, S_neg, a.as.tensor), e->span);
  diag_at(&x->front->diags, E0401, e->child[0]->span,
          arena_printf(x->arena, "the operand of `%s`", op_word((Operator)e->op)), value_kind(&a),
          negate ? "a number or a tensor" : "a bool");
  return value_poison();
}
