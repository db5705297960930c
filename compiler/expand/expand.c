/* expand.c: expressions, by instantiation.
 *
 * In: an expression and the context it stands in. Out: its value; tensors are values of the
 * graph under construction. Arithmetic of the operators is in expand_binary.c, calls and stages
 * in expand_call.c, statements in expand_body.c. */
#include "expand.h"
#include <string.h>

enum { MAX_DEPTH = 3000 };

/* Converts a value to the kind that is wanted, or reports; an int serves where a real is wanted. */
Value value_as(Expander *x, Value v, TypeKind type, Span at, const char *what) {
  static const uint8_t kind_of[TYPE_COUNT] = {
      [TYPE_INT] = VALUE_INT,       [TYPE_REAL] = VALUE_REAL,    [TYPE_BOOL] = VALUE_BOOL,
      [TYPE_STRING] = VALUE_STRING, [TYPE_TENSOR] = VALUE_TENSOR, [TYPE_WEIGHT] = VALUE_SET,
      [TYPE_BLOCK] = VALUE_BLOCK,   [TYPE_INIT] = VALUE_BLOCK,   [TYPE_NET] = VALUE_DECL,
      [TYPE_DATA] = VALUE_DECL,     [TYPE_TRAIN] = VALUE_DECL};
  if (v.kind == VALUE_POISON || v.kind == kind_of[type]) return v;
  if (type == TYPE_REAL && v.kind == VALUE_INT) return value_real((double)v.as.integer, v.span);
  if (type == TYPE_INT && v.kind == VALUE_REAL)
    diag_at(&x->front->diags, E0418, at, what, number_text(x->arena, v.as.real));
  else diag_at(&x->front->diags, E0401, at, what, value_kind(&v), type_word(type));
  return value_poison();
}

Value eval_as(Expander *x, Context *c, const Ast *e, TypeKind type) {
  if (type == TYPE_BLOCK || type == TYPE_INIT)
    return value_as(x, block_value(c, e), type, e->span, "this");
  if (type == TYPE_WEIGHT) {
    const WeightSet *set = set_eval(x, c, e);
    if (!set) return value_poison();
    return (Value){.kind = VALUE_SET, .span = e->span, .as.set = set};
  }
  return value_as(x, eval(x, c, e), type, e->span, "this");
}

/* A condition: false after an error. */
bool eval_condition(Expander *x, Context *c, const Ast *e, bool *out) {
  Value v = eval(x, c, e);
  if (v.kind == VALUE_POISON) return false;
  if (v.kind != VALUE_BOOL) {
    diag_at(&x->front->diags, E0413, e->span, value_kind(&v));
    return false;
  }
  *out = v.as.integer;
  return true;
}

static Value eval_cond(Expander *x, Context *c, const Ast *e) {
  bool yes;
  if (!eval_condition(x, c, e->child[0], &yes)) return value_poison();
  return eval(x, c, e->child[yes ? 1 : 2]);
}

/* `&&` and `||` look at the right side only when it matters. */
static Value eval_logic(Expander *x, Context *c, const Ast *e) {
  bool left, right;
  if (!eval_condition(x, c, e->child[0], &left)) return value_poison();
  if (left == (e->op == OP_OROR)) return value_bool(left, e->span);
  if (!eval_condition(x, c, e->child[1], &right)) return value_poison();
  return value_bool(right, e->span);
}

static Value eval_operator(Expander *x, Context *c, const Ast *e) {
  if (e->op == OP_ANDAND || e->op == OP_OROR) return eval_logic(x, c, e);
  if (e->op == OP_AND) return eval_as(x, c, e, TYPE_WEIGHT);
  Value a = eval(x, c, e->child[0]);
  Value b = eval(x, c, e->child[1]);
  if (a.kind == VALUE_POISON || b.kind == VALUE_POISON) return value_poison();
  return eval_binary(x, c, e, a, b);
}

/* `a -> b -> c`: a chain of blocks when nothing flows in yet. */
static Value eval_pipe(Expander *x, Context *c, const Ast *e) {
  Value v = eval(x, c, e->child[0]);
  if (v.kind == VALUE_BLOCK) return block_value(c, e);
  for (uint32_t i = 1; i < e->nchild && v.kind != VALUE_POISON; i++)
    v = apply(x, c, e->child[i], &v, 1);
  return v;
}

static Value eval_attached(Expander *x, Context *c, const Ast *e) {
  const Ast *const *attr = (const Ast *const *)&e->child[1];
  Attributes a;
  if (!attributes_add(x, c, attr, e->nchild - 1, &a, true)) return value_poison();
  Context k = {c->scope, c->frame, &a};
  Value v = eval(x, &k, e->child[0]);
  if (v.kind == VALUE_BLOCK) return block_value(c, e);
  if (v.kind != VALUE_POISON) attributes_check(x, attr, e->nchild - 1, &a, e->child[0]);
  return v;
}

static Value eval_list(Expander *x, Context *c, const Ast *e) {
  Value *item = NEW_ARRAY(x->arena, Value, e->nchild + 1);
  for (uint32_t i = 0; i < e->nchild; i++) {
    item[i] = eval(x, c, e->child[i]);
    if (item[i].kind == VALUE_POISON) return value_poison();
  }
  return value_list(item, e->nchild, e->span);
}

static Value eval_range(Expander *x, Context *c, const Ast *e) {
  Value a = eval_as(x, c, e->child[0], TYPE_INT), b = eval_as(x, c, e->child[1], TYPE_INT);
  if (a.kind == VALUE_POISON || b.kind == VALUE_POISON) return value_poison();
  return (Value){.kind = VALUE_RANGE, .span = e->span, .as.range = {a.as.integer, b.as.integer}};
}

/* `sizes[0]`: an item of a list. */
static Value eval_index(Expander *x, Context *c, const Ast *e) {
  Value v = eval(x, c, e->child[0]);
  const Ast *indices = e->child[1];
  if (v.kind == VALUE_POISON) return v;
  if (v.kind != VALUE_LIST || indices->nchild != 1 || indices->child[0]->kind == AST_ALL) {
    diag_at(&x->front->diags, E0401, e->child[0]->span, "what is indexed", value_kind(&v),
            "a list");
    return value_poison();
  }
  Value i = eval_as(x, c, indices->child[0], TYPE_INT);
  if (i.kind == VALUE_POISON) return i;
  if (i.as.integer >= 0 && i.as.integer < v.as.list.n) return v.as.list.item[i.as.integer];
  diag_at(&x->front->diags, E0512, indices->span, (long long)i.as.integer,
          (long long)v.as.list.n);
  return value_poison();
}

/* What is known of a data set: of the run's, all; of another one, what its declaration tells. */
static ModelFacts facts_of(Expander *x, const Ast *decl) {
  ModelData d;
  if (decl == x->model->data.decl) return x->facts;
  if (!data_read(x, name_text(x->front->names, decl->name), true, &d)) return (ModelFacts){0};
  ModelFacts f = {.rank = d.rank, .classes = d.classes};
  memcpy(f.dim, d.dim, sizeof f.dim);
  return f;
}

/* The shape of a sample as a list. */
static Value data_shape(Expander *x, const ModelFacts *f, Span at) {
  Value *item = NEW_ARRAY(x->arena, Value, f->rank + 1);
  for (uint32_t i = 0; i < f->rank; i++)
    item[i] = value_int(f->dim[f->rank == 3 ? (i + 2) % 3 : i], at);
  return value_list(item, f->rank, at);
}

/* `D.classes`, `D.shape` of a data set; else a name of an import. */
static Value eval_member(Expander *x, Context *c, const Ast *e) {
  Value *local = scope_find(c->scope, e->child[0]->name);
  const Ast *decl = local && local->kind == VALUE_DECL ? local->as.decl : NULL;
  if (!local) decl = resolve(x, c->scope, e->child[0]);
  if (!decl || decl->kind != AST_DATA) return call(x, c, e);
  const char *member = name_text(x->front->names, e->child[1]->name);
  ModelFacts facts = facts_of(x, decl);
  if (!strcmp(member, "classes") && facts.classes) return value_int(facts.classes, e->span);
  if (!strcmp(member, "shape") && facts.rank) return data_shape(x, &facts, e->span);
  if (!strcmp(member, "classes") || !strcmp(member, "shape")) {
    diag_at(&x->front->diags, E0415, e->span, member, name_text(x->front->names, decl->name));
    return value_poison();
  }
  diag_at(&x->front->diags, E0306, e->span, "data set", name_text(x->front->names, decl->name),
          member);
  return value_poison();
}

static Value eval_kind(Expander *x, Context *c, const Ast *e) {
  switch (e->kind) {
  case AST_INTEGER: return value_int(e->integer, e->span);
  case AST_REAL: return value_real(e->real, e->span);
  case AST_BOOL: return value_bool(e->integer, e->span);
  case AST_STRING: return value_text(e->text, e->span);
  case AST_NAME: case AST_CALL: return call(x, c, e);
  case AST_QNAME: return eval_member(x, c, e);
  case AST_GROUP: return eval(x, c, e->child[0]);
  case AST_COND: return eval_cond(x, c, e);
  case AST_BINARY: return eval_operator(x, c, e);
  case AST_UNARY: return eval_unary(x, e, eval(x, c, e->child[0]));
  case AST_PIPE: return eval_pipe(x, c, e);
  case AST_ATTACHED: return eval_attached(x, c, e);
  case AST_REPEAT_EXPR: return block_value(c, e);
  case AST_LIST: return eval_list(x, c, e);
  case AST_RANGE: return eval_range(x, c, e);
  case AST_INDEX: return eval_index(x, c, e);
  case AST_WSET: return eval_as(x, c, e, TYPE_WEIGHT);
  default: return value_poison();
  }
}

Value eval(Expander *x, Context *c, const Ast *e) {
  if (x->depth >= MAX_DEPTH) {
    diag_at(&x->front->diags, E0804, e->span, MAX_DEPTH);
    return value_poison();
  }
  x->depth++;
  Value v = eval_kind(x, c, e);
  x->depth--;
  return v;
}
