/* check_body.c: parameters, statements and weight sets. Goes in: the parts of one declaration.
 * Comes out: its locals in Check.local, and messages. A body has one scope: a name given a
 * value in a nested body is known after it, as in the expander. */
#include <string.h>
#include "check_scope.h"

static void check_statement(Check *c, const Ast *s);

/* ---- sizes and parameters --------------------------------------------------------------- */

static bool is_open_size(const Check *c, const Ast *dim) {
  return dim->kind == AST_NAME && strcmp(check_name(c, dim->name), "_") == 0;
}

/* Sizes of a type; with `binds`, a name without a value gets one from the tensor. */
static void check_dims(Check *c, const Ast *dims, bool binds) {
  for (uint32_t i = 0; dims && i < dims->nchild; i++) {
    const Ast *dim = dims->child[i];
    if (is_open_size(c, dim)) continue;
    bool fresh = binds && dim->kind == AST_NAME && !local_find(c, dim->name) &&
                 !check_resolve(c->front, c->file, dim);
    if (fresh) local_add(c, dim->name, TYPE_INT, NULL)->bound = true;
    else check_kind(c, dim, check_expr(c, dim), TYPE_INT, false, "a size");
  }
}

static void check_param(Check *c, const Ast *param) {
  Local *old = local_find(c, param->name);
  const Ast *value = ast_child(param, 1);
  if (value) {
    bool list = param->type == TYPE_INT && ast_child(param, 0);
    check_kind(c, value, check_expr(c, value), param->type, list, check_name(c, param->name));
  }
  check_dims(c, ast_child(param, 0), param->type == TYPE_TENSOR);
  if (old && !old->bound) {
    diag_at(check_diags(c), E0303, param->name_span, check_name(c, param->name));
    if (old->made) diag_note(check_diags(c), old->made->name_span, "first declared here");
    return;
  }
  Kind kind = param->type == TYPE_INT && ast_child(param, 0) ? KIND_UNKNOWN : param->type;
  local_add(c, param->name, kind, param)->param = true;
}

/* Names of parameters that come later are told apart from unknown ones. */
static void check_order(Check *c, const Ast *params, uint32_t i) {
  const Ast *value = ast_child(params->child[i], 1);
  if (!value || value->kind != AST_NAME || local_find(c, value->name)) return;
  for (uint32_t k = i; k < params->nchild; k++) {
    if (params->child[k]->name != value->name) continue;
    diag_at(check_diags(c), E0424, value->span, check_name(c, params->child[i]->name),
            check_name(c, value->name));
    local_add(c, value->name, KIND_UNKNOWN, NULL)->bound = true;
    return;
  }
}

void check_params(Check *c, const Ast *params) {
  for (uint32_t i = 0; i < params->nchild; i++) {
    check_order(c, params, i);
    check_param(c, params->child[i]);
  }
}

/* ---- assignments ------------------------------------------------------------------------ */

/* Gives a local a value; a second kind makes its kind unknown. */
static void assign(Check *c, Name name, Kind kind, const Ast *made) {
  Local *l = local_find(c, name);
  if (!l) {
    local_add(c, name, kind, made);
  } else if (l->kind != kind) {
    l->kind = KIND_UNKNOWN;
  }
}

static void check_add_to(Check *c, const Ast *s) {
  Local *l = local_find(c, s->name);
  if (!l) {
    diag_at(check_diags(c), E0309, s->name_span, check_name(c, s->name));
    diag_help(check_diags(c), "`%s += e` is `%s = %s + e`", check_name(c, s->name),
              check_name(c, s->name), check_name(c, s->name));
    local_add(c, s->name, KIND_UNKNOWN, s)->broken = true;
  }
  check_expr(c, s->child[0]);
}

static void check_split(Check *c, const Ast *s) {
  uint32_t n = s->nchild - 1;
  check_expr(c, s->child[n]);
  for (uint32_t i = 0; i < n; i++)
    if (!is_open_size(c, s->child[i])) assign(c, s->child[i]->name, KIND_UNKNOWN, s->child[i]);
}

static void check_declare(Check *c, const Ast *s) {
  Kind got = check_expr(c, s->child[1]);
  check_dims(c, ast_child(s, 0), false);
  check_kind(c, s->child[1], got, s->type, false, check_name(c, s->name));
  assign(c, s->name, s->type, s);
}

/* ---- control ---------------------------------------------------------------------------- */

static void check_for(Check *c, const Ast *s) {
  const Ast *over = s->child[0];
  Kind kind = check_expr(c, over);
  bool fits = kind == KIND_RANGE || kind == KIND_LIST || kind == KIND_UNKNOWN;
  if (!fits)
    diag_at(check_diags(c), E0401, over->span, "what `for` runs over", kind_text(kind),
            "a list or a range");
  assign(c, s->name, kind == KIND_RANGE ? TYPE_INT : KIND_UNKNOWN, s);
  Local *l = local_find(c, s->name);
  l->used = true; /* counting passes is use enough */
  check_statement(c, s->child[1]);
}

static void check_repeat(Check *c, const Ast *s) {
  check_kind(c, s->child[0], check_expr(c, s->child[0]), TYPE_INT, false, "a repeat count");
  const Ast *count = s->child[0];
  if (count->kind == AST_UNARY && count->op == OP_NEG && count->child[0]->kind == AST_INTEGER &&
      count->child[0]->integer > 0)
    diag_at(check_diags(c), E0414, count->span, -(long long)count->child[0]->integer);
  check_statement(c, s->child[1]);
}

static void check_if(Check *c, const Ast *s) {
  check_condition(c, s->child[0]);
  check_statement(c, s->child[1]);
  if (ast_child(s, 2)) check_statement(c, s->child[2]);
}

/* The number of values that a declaration gives. */
static uint32_t result_count(const Ast *decl) {
  const Ast *result = decl->nchild > 1 ? decl->child[1] : NULL;
  return result && result->kind == AST_RESULT ? result->nchild : 0;
}

static void check_return(Check *c, const Ast *s) {
  uint32_t wanted = result_count(c->decl);
  for (uint32_t i = 0; i < s->nchild; i++) {
    Kind kind = check_expr(c, s->child[i]);
    if (c->decl->kind == AST_NET)
      check_kind(c, s->child[i], kind, TYPE_TENSOR, false, "the result of a net");
  }
  if (wanted && wanted != s->nchild && s->nchild > 1)
    diag_at(check_diags(c), E0411, s->span, ast_word(c->decl->kind), check_name(c, c->decl->name),
            wanted, wanted == 1 ? "" : "s", s->nchild);
}

static void check_assert(Check *c, const Ast *s) {
  check_condition(c, s->child[0]);
  if (s->nchild > 2 || (s->nchild == 2 && s->child[1]->kind != AST_STRING))
    diag_at(check_diags(c), E0419, s->span, "an assertion", "`assert(condition, \"message\");`");
}

static bool ends_here(const Ast *s) { return s->kind == AST_RETURN; }

/* The statements of a body; labels are compared with those before them. */
static void check_statements(Check *c, const Ast *body) {
  for (uint32_t i = 0; i < body->nchild; i++) {
    const Ast *s = body->child[i];
    check_statement(c, s);
    if (i > 0 && ends_here(body->child[i - 1]) && !c->prelude)
      diag_at(check_diags(c), W0410, s->span);
  }
}

static void check_label(Check *c, const Ast *s) { check_statement(c, s->child[0]); }

static void check_statement(Check *c, const Ast *s) {
  switch (s->kind) {
    case AST_BODY: check_statements(c, s); break;
    case AST_LET: assign(c, s->name, check_expr(c, s->child[0]), s); break;
    case AST_ADD_TO: check_add_to(c, s); break;
    case AST_SPLIT: check_split(c, s); break;
    case AST_DECLARE: check_declare(c, s); break;
    case AST_USE:
      for (uint32_t i = 0; i < s->nchild; i++) check_attr(c, s->child[i]);
      break;
    case AST_REPEAT: check_repeat(c, s); break;
    case AST_FOR: check_for(c, s); break;
    case AST_IF: check_if(c, s); break;
    case AST_RETURN: check_return(c, s); break;
    case AST_ASSERT: check_assert(c, s); break;
    case AST_LABEL: check_label(c, s); break;
    default: break;
  }
}

/* ---- whole bodies ----------------------------------------------------------------------- */

typedef struct {
  bool returns;
  const Ast **label;
  size_t nlabel, caplabel;
} Survey;

/* Looks for `return` and collects the labels. */
static void survey(Check *c, Survey *out, const Ast *s) {
  if (s->kind == AST_RETURN) out->returns = true;
  if (s->kind == AST_LABEL) PUSH(c->front->perm, out, label, s);
  for (uint32_t i = 0; s->kind >= AST_BODY && s->kind <= AST_LABEL && i < s->nchild; i++)
    survey(c, out, s->child[i]);
}

/* E0313 for the second of two equal labels; they are few, or the first hundred are compared. */
static void check_labels(Check *c, const Survey *s) {
  for (size_t i = 1; i < s->nlabel; i++)
    for (size_t k = 0; k < i && k < 100; k++) {
      if (s->label[k]->name != s->label[i]->name) continue;
      diag_at(check_diags(c), E0313, s->label[i]->name_span, check_name(c, s->label[i]->name));
      diag_note(check_diags(c), s->label[k]->name_span, "first used here");
      break;
    }
}

void check_body(Check *c, const Ast *body) {
  Survey found = {0};
  check_statement(c, body);
  survey(c, &found, body);
  check_labels(c, &found);
  if (!found.returns)
    diag_at(check_diags(c), E0409, c->decl->name_span, ast_word(c->decl->kind),
            check_name(c, c->decl->name));
}

/* Stages of a chain, which would be layers; 0 for other values. */
static uint32_t count_stages(const Ast *s) {
  const Ast *value = s->kind == AST_LET ? s->child[0] : s->kind == AST_DECLARE ? s->child[1] : NULL;
  return value && value->kind == AST_PIPE ? value->nchild - 1 : 0;
}

void check_locals_used(Check *c) {
  for (uint32_t i = 0; i < c->nlocal && !c->prelude; i++) {
    const Local *l = &c->local[i];
    const char *name = check_name(c, l->name);
    if (l->used || l->broken || l->bound || !l->made || name[0] == '_') continue;
    uint32_t stages = count_stages(l->made);
    Span at = l->made->kind == AST_NAME ? l->made->span : l->made->name_span;
    if (l->param) diag_at(check_diags(c), W0514, at, name, check_name(c, c->decl->name));
    else if (stages)
      diag_at(check_diags(c), W0511, at, name, stages, stages == 1 ? " is" : "s are");
    else diag_at(check_diags(c), W0515, at, name);
  }
}

/* ---- weight sets ------------------------------------------------------------------------ */

static bool mentions(const Ast *e, Name name) {
  if (e->kind == AST_NAME && e->name == name) return true;
  for (uint32_t i = 0; i < e->nchild; i++)
    if (mentions(e->child[i], name)) return true;
  return false;
}

/* `true` says nothing: the set of all rows. */
static void check_equation(Check *c, const Ast *e, const Ast *wset) {
  if (e->kind == AST_BOOL && e->integer) return;
  if (e->kind != AST_BINARY || e->op != OP_EQ) {
    diag_at(check_diags(c), E0607, e->span);
    diag_help(check_diags(c), "an equation is like `sum(%s) == 0` or `norm(%s) == 1`",
              check_name(c, wset->name), check_name(c, wset->name));
    return;
  }
  uint32_t errors = check_diags(c)->errors;
  check_expr(c, e->child[0]);
  check_expr(c, e->child[1]);
  if (errors == check_diags(c)->errors && !mentions(e, wset->name))
    diag_at(check_diags(c), E0608, e->span, check_name(c, wset->name));
}

void check_weight_set(Check *c, const Ast *wset) {
  const Ast *indices = ast_child(wset, 0);
  c->place = PLACE_EQUATION;
  local_add(c, wset->name, KIND_UNKNOWN, NULL)->used = true;
  for (uint32_t i = 0; indices && i < indices->nchild; i++) {
    const Ast *index = indices->child[i];
    if (index->kind == AST_NAME && !local_find(c, index->name))
      local_add(c, index->name, TYPE_INT, NULL);
    else check_expr(c, index);
  }
  for (uint32_t i = 1; i < wset->nchild; i++) check_equation(c, wset->child[i], wset);
  c->place = PLACE_NONE;
}
