/* expand_body.c: the statements of a body, run while the network is expanded.
 *
 * In: a statement and its context. Out: how control goes on, and at a `return` its value. Loops
 * are unrolled here; how often is known, and counted against the limits before a pass is made.
 * `use` changes the attributes of the context until its body ends. */
#include "expand.h"
#include <stdio.h>
#include <string.h>

/* The value of a statement's expression under a name. */
static Flow run_let(Expander *x, Context *c, const Ast *s) {
  Value v = eval(x, c, s->child[0]);
  scope_set(x, c->scope, s->name, v);
  return v.kind == VALUE_POISON ? FLOW_STOP : FLOW_ON;
}

/* `h += e` is `h = h + e`. */
static Flow run_add_to(Expander *x, Context *c, const Ast *s) {
  Value *old = scope_find(c->scope, s->name);
  Value v = eval(x, c, s->child[0]);
  if (!old || old->kind == VALUE_POISON || v.kind == VALUE_POISON) return FLOW_STOP;
  Ast sum = *s;
  sum.kind = AST_BINARY;
  sum.op = OP_ADD;
  v = eval_binary(x, c, &sum, *old, v);
  scope_set(x, c->scope, s->name, v);
  return v.kind == VALUE_POISON ? FLOW_STOP : FLOW_ON;
}

/* `(p, q) = e` */
static Flow run_split(Expander *x, Context *c, const Ast *s) {
  Value v = eval(x, c, s->child[s->nchild - 1]);
  if (v.kind == VALUE_POISON) return FLOW_STOP;
  if (v.kind != VALUE_LIST || v.as.list.n != s->nchild - 1) {
    diag_at(&x->front->diags, E0401, s->span, "the right side", value_kind(&v),
            arena_printf(x->arena, "%u values", s->nchild - 1));
    return FLOW_STOP;
  }
  for (uint32_t i = 0; i + 1 < s->nchild; i++)
    scope_set(x, c->scope, s->child[i]->name, v.as.list.item[i]);
  return FLOW_ON;
}

/* Whether a value has the sizes that are declared; `_` leaves one open. */
static bool sizes_agree(Expander *x, Context *c, const Ast *dims, const Sizes *s) {
  bool same = dims->nchild == s->rank;
  for (uint32_t i = 0; same && i < s->rank; i++) {
    const Ast *d = dims->child[i];
    if (d->kind == AST_NAME && !strcmp(name_text(x->front->names, d->name), "_"))
      continue;
    Value v = eval_as(x, c, d, TYPE_INT);
    same = v.kind == VALUE_POISON || v.as.integer == s->dim[i];
  }
  return same;
}

/* `tensor g[C, 1, 1] = e`: a value whose kind and shape are checked. */
static Flow run_declare(Expander *x, Context *c, const Ast *s) {
  const Ast *dims = ast_child(s, 0);
  Value v = eval_as(x, c, s->child[1], (TypeKind)s->type);
  scope_set(x, c->scope, s->name, v);
  if (v.kind == VALUE_POISON) return FLOW_STOP;
  if (!dims || v.kind != VALUE_TENSOR) return FLOW_ON;
  Sizes got = sizes_of(x->graph, v.as.tensor);
  if (sizes_agree(x, c, dims, &got)) return FLOW_ON;
  diag_at(&x->front->diags, E0504, s->name_span, name_text(x->front->names, s->name),
          arena_printf(x->arena, "tensor%s", ast_text(x->arena, x->front->names, dims)),
          sizes_text(x->arena, &got));
  diag_label(&x->front->diags, v.span, "made here");
  trace_calls(x, c->scope);
  return FLOW_STOP;
}

static Flow run_use(Expander *x, Context *c, const Ast *s) {
  Attributes *a = NEW(x->arena, Attributes);
  if (!attributes_add(x, c, (const Ast *const *)s->child, s->nchild, a, false)) return FLOW_STOP;
  c->attributes = a;
  return FLOW_ON;
}

bool loop_count(Expander *x, Context *c, const Ast *e, int64_t *count) {
  Value v = eval_as(x, c, e, TYPE_INT);
  uint64_t all;
  if (v.kind == VALUE_POISON) return false;
  *count = v.as.integer;
  if (*count < 0) {
    diag_at(&x->front->diags, E0414, e->span, (long long)*count);
    return false;
  }
  if (!__builtin_mul_overflow(x->passes, (uint64_t)*count, &all) && all <= LIMIT_LAYERS)
    return true;
  diag_at(&x->front->diags, E0808, e->span, LIMIT_LAYERS,
          arena_printf(x->arena, "the loops around this run %s times",
                       number_text(x->arena, (double)x->passes * (double)*count)));
  return false;
}

/* One pass of a loop: a frame named by its number. */
static Flow run_pass(Expander *x, Context *c, const Ast *s, int64_t i, Value *result) {
  char index[24];
  snprintf(index, sizeof index, "%lld", (long long)i);
  Context k = {c->scope, frame_new(x, c->frame, index), c->attributes};
  return run(x, &k, s, result);
}

static Flow run_repeat(Expander *x, Context *c, const Ast *s, Value *result) {
  int64_t count;
  if (!loop_count(x, c, s->child[0], &count)) return FLOW_STOP;
  uint64_t passes = x->passes;
  x->passes *= (uint64_t)(count ? count : 1);
  Flow flow = FLOW_ON;
  for (int64_t i = 0; i < count && flow == FLOW_ON; i++)
    flow = run_pass(x, c, s->child[1], i, result);
  x->passes = passes;
  return flow;
}

/* The values that a `for` runs over. */
static bool for_values(Expander *x, const Ast *s, Value *v) {
  if (v->kind == VALUE_LIST) return true;
  if (v->kind == VALUE_POISON) return false;
  if (v->kind != VALUE_RANGE) {
    diag_at(&x->front->diags, E0401, s->child[0]->span, "what `for` runs over", value_kind(v),
            "a list or a range");
    return false;
  }
  int64_t from = v->as.range.from, to = v->as.range.to;
  uint64_t n = to > from ? (uint64_t)to - (uint64_t)from : 0, all;
  if (__builtin_mul_overflow(n, x->passes, &all) || all > LIMIT_LAYERS) {
    diag_at(&x->front->diags, E0808, s->child[0]->span, LIMIT_LAYERS, "the range is that long");
    return false;
  }
  Value *item = NEW_ARRAY(x->arena, Value, n + 1);
  for (uint64_t i = 0; i < n; i++) item[i] = value_int(from + (int64_t)i, v->span);
  *v = value_list(item, (uint32_t)n, v->span);
  return true;
}

static Flow run_for(Expander *x, Context *c, const Ast *s, Value *result) {
  Value v = eval(x, c, s->child[0]);
  if (!for_values(x, s, &v)) return FLOW_STOP;
  uint64_t passes = x->passes;
  Name loop = c->scope->loop;
  Value loop_value = c->scope->loop_value;
  x->passes *= v.as.list.n ? v.as.list.n : 1;
  Flow flow = FLOW_ON;
  for (uint32_t i = 0; i < v.as.list.n && flow == FLOW_ON; i++) {
    scope_set(x, c->scope, s->name, v.as.list.item[i]);
    c->scope->loop = s->name;
    c->scope->loop_value = v.as.list.item[i];
    flow = run_pass(x, c, s->child[1], i, result);
  }
  c->scope->loop = loop;
  c->scope->loop_value = loop_value;
  x->passes = passes;
  return flow;
}

static Flow run_if(Expander *x, Context *c, const Ast *s, Value *result) {
  bool yes;
  if (!eval_condition(x, c, s->child[0], &yes)) return FLOW_STOP;
  if (yes) return run(x, c, s->child[1], result);
  const Ast *otherwise = ast_child(s, 2);
  return otherwise ? run(x, c, otherwise, result) : FLOW_ON;
}

static Flow run_return(Expander *x, Context *c, const Ast *s, Value *result) {
  if (s->nchild == 1) {
    *result = eval(x, c, s->child[0]);
    return result->kind == VALUE_POISON ? FLOW_STOP : FLOW_RETURN;
  }
  Value *item = NEW_ARRAY(x->arena, Value, s->nchild);
  for (uint32_t i = 0; i < s->nchild; i++) {
    item[i] = eval(x, c, s->child[i]);
    if (item[i].kind == VALUE_POISON) return FLOW_STOP;
  }
  *result = value_list(item, s->nchild, s->span);
  return FLOW_RETURN;
}

static Flow run_assert(Expander *x, Context *c, const Ast *s) {
  bool holds;
  if (!eval_condition(x, c, s->child[0], &holds)) return FLOW_STOP;
  if (holds) return FLOW_ON;
  const Ast *message = ast_child(s, 1);
  diag_at(&x->front->diags, E0420, user_span(x, s->span),
          message && message->kind == AST_STRING
              ? message->text : ast_text(x->arena, x->front->names, s->child[0]));
  trace_calls(x, c->scope);
  return FLOW_STOP;
}

/* A body: what `use` said in it ends with it. */
static Flow run_body(Expander *x, Context *c, const Ast *s, Value *result) {
  const Attributes *attributes = c->attributes;
  Flow flow = FLOW_ON;
  for (uint32_t i = 0; i < s->nchild && flow == FLOW_ON; i++)
    flow = run(x, c, s->child[i], result);
  c->attributes = attributes;
  return flow;
}

Flow run(Expander *x, Context *c, const Ast *s, Value *result) {
  switch (s->kind) {
  case AST_BODY: return run_body(x, c, s, result);
  case AST_LET: return run_let(x, c, s);
  case AST_ADD_TO: return run_add_to(x, c, s);
  case AST_SPLIT: return run_split(x, c, s);
  case AST_DECLARE: return run_declare(x, c, s);
  case AST_USE: return run_use(x, c, s);
  case AST_REPEAT: return run_repeat(x, c, s, result);
  case AST_FOR: return run_for(x, c, s, result);
  case AST_IF: return run_if(x, c, s, result);
  case AST_RETURN: return run_return(x, c, s, result);
  case AST_ASSERT: return run_assert(x, c, s);
  case AST_LABEL: {
    Context k = {c->scope, frame_new(x, c->frame, name_text(x->front->names, s->name)),
                 c->attributes};
    return run(x, &k, s->child[0], result);
  }
  default: return FLOW_STOP;
  }
}
