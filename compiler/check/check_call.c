/* check_call.c: calls, stages and their arguments. Goes in: a CALL or a stage of a chain.
 * Comes out: the kind of its value, and messages for arguments that cannot be right. The
 * rules are those of the expander: what flows in from the left takes the tensor parameters
 * first, then what is written takes the others in order. */
#include <string.h>
#include "check_scope.h"

enum { PARAMS_MAX = 256 }; /* beyond, arguments are left to expand */

static const char *text_of(Check *c, const Ast *e) {
  return ast_text(c->front->perm, c->front->names, e);
}

static const Ast *callee_of(const Ast *e) { return e->kind == AST_CALL ? e->child[0] : e; }

static void check_arguments_alone(Check *c, const Ast *e) {
  for (uint32_t i = 1; e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i];
    check_expr(c, a->kind == AST_NAMED ? a->child[0] : a);
  }
}

/* ---- kinds of values -------------------------------------------------------------------- */

static bool kind_fits(Kind got, Kind wanted, bool list) {
  if (got == wanted || got == KIND_UNKNOWN || wanted == KIND_UNKNOWN) return true;
  if (got == KIND_LIST) return list;
  if (wanted == TYPE_REAL) return got == TYPE_INT;
  if (wanted == TYPE_TENSOR) return got == TYPE_INT || got == TYPE_REAL;
  return (wanted == TYPE_INIT && got == TYPE_BLOCK) || (wanted == TYPE_BLOCK && got == TYPE_INIT);
}

bool check_kind(Check *c, const Ast *e, Kind got, Kind wanted, bool list, const char *what) {
  if (kind_fits(got, wanted, list)) return true;
  if (wanted == TYPE_INT && got == TYPE_REAL)
    diag_at(check_diags(c), E0418, e->span, what, text_of(c, e));
  else diag_at(check_diags(c), E0401, e->span, what, kind_text(got), kind_text(wanted));
  return false;
}

/* ---- arguments of declared blocks ------------------------------------------------------- */

typedef struct {
  Check *c;
  const Ast *decl, *params, *call;
  bool bound[PARAMS_MAX];
  uint32_t flowed; /* parameters that what came from the left took */
  bool partial;    /* positions are not certain: only names are checked */
} Binding;

static const char *decl_text(const Binding *b) { return check_name(b->c, b->decl->name); }

const char *params_text(Check *c, const Ast *params) {
  Text out;
  const char *between = "";
  text_init(&out, c->front->perm);
  text_bytes(&out, "", 0);
  for (uint32_t i = 0; i < params->nchild; i++) {
    if (params->child[i]->type == TYPE_TENSOR) continue;
    text_add(&out, "%s%s", between, check_name(c, params->child[i]->name));
    between = ", ";
  }
  return out.s;
}

static void report_unknown_argument(Binding *b, const Ast *arg) {
  Check *c = b->c;
  Name names[PARAMS_MAX];
  for (uint32_t i = 0; i < b->params->nchild; i++) names[i] = b->params->child[i]->name;
  Name near = name_nearest(c->front->names, arg->name, names, b->params->nchild);
  diag_at(check_diags(c), E0402, arg->name_span, decl_text(b), check_name(c, arg->name));
  if (near) diag_here(check_diags(c), "did you mean `%s`?", check_name(c, near));
  if (b->params->nchild)
    diag_equals(check_diags(c), "parameters of %s: %s", decl_text(b), params_text(c, b->params));
}

/* The next parameter without an argument; of tensors only if `tensor`. nchild: none. */
static uint32_t next_param(const Binding *b, bool tensor) {
  uint32_t i = 0;
  while (i < b->params->nchild &&
         (b->bound[i] || (tensor && b->params->child[i]->type != TYPE_TENSOR)))
    i++;
  return i;
}

static void bind_value(Binding *b, const Ast *value, Kind got, uint32_t i) {
  const Ast *param = b->params->child[i];
  b->bound[i] = true;
  check_kind(b->c, value, got, param->type, ast_child(param, 0) != NULL,
             check_name(b->c, param->name));
}

static void bind_named(Binding *b, const Ast *arg) {
  Kind got = check_expr(b->c, arg->child[0]);
  uint32_t i = 0;
  while (i < b->params->nchild && b->params->child[i]->name != arg->name) i++;
  if (i == b->params->nchild) {
    report_unknown_argument(b, arg);
    b->partial = true;
  } else if (b->bound[i]) {
    diag_at(check_diags(b->c), E0405, arg->span, check_name(b->c, arg->name), decl_text(b));
  } else {
    bind_value(b, arg->child[0], got, i);
  }
}

static void bind_positional(Binding *b, const Ast *arg, Kind got) {
  uint32_t i = next_param(b, false), most = b->params->nchild;
  if (b->partial) return;
  if (i < most) {
    bind_value(b, arg, got, i);
    return;
  }
  uint32_t room = most - b->flowed;
  diag_at(check_diags(b->c), E0404, arg->span, decl_text(b), room, room == 1 ? "" : "s",
          b->call->nchild - 1);
  if (room)
    diag_equals(check_diags(b->c), "parameters of %s: %s", decl_text(b),
                params_text(b->c, b->params));
  b->partial = true;
}

/* What flows in takes the tensor parameters; a lone call without a tensor waits for one. */
static void bind_flow(Binding *b, int flows) {
  uint32_t i;
  while (flows != FLOWS_NONE && (i = next_param(b, true)) < b->params->nchild) {
    b->bound[i] = true;
    b->flowed++;
    if (flows == FLOWS_ONE) break;
  }
}

/* For a lone call: does its first argument give the tensor, or does it wait for one? */
static int lone_flow(Binding *b, const Ast *e, Kind first) {
  bool tensor_first = b->params->nchild && b->params->child[0]->type == TYPE_TENSOR;
  if (!ast_takes_tensor(b->decl) || e->nchild < 2) return FLOWS_ONE;
  const Ast *arg = e->child[1];
  if (arg->kind == AST_NAMED) {
    for (uint32_t i = 0; i < b->params->nchild; i++)
      if (b->params->child[i]->name == arg->name && b->params->child[i]->type == TYPE_TENSOR)
        return FLOWS_NONE;
    return FLOWS_ONE;
  }
  if (first == TYPE_TENSOR && tensor_first) return FLOWS_NONE;
  b->partial = first == KIND_UNKNOWN;
  return FLOWS_ONE;
}

static void check_missing(Binding *b, const Ast *e) {
  for (uint32_t i = 0; i < b->params->nchild && !b->partial; i++) {
    const Ast *param = b->params->child[i];
    if (b->bound[i] || ast_child(param, 1)) continue;
    diag_at(check_diags(b->c), E0403, e->span, decl_text(b), check_name(b->c, param->name));
    diag_equals(check_diags(b->c), "parameters of %s: %s", decl_text(b),
                params_text(b->c, b->params));
    return;
  }
}

/* Binds the arguments of a call of a BLOCK, INIT or WEIGHT; the kind of its value. */
static Kind check_declared(Check *c, const Ast *decl, const Ast *e, int flows) {
  Binding b = {.c = c, .decl = decl, .params = decl->child[0], .call = e};
  if (b.params->nchild > PARAMS_MAX) return KIND_UNKNOWN;
  bool named = false, lone = flows == FLOWS_NONE && decl->kind == AST_BLOCK;
  Kind first = KIND_UNKNOWN;
  bool positional = e->kind == AST_CALL && e->nchild > 1 && e->child[1]->kind != AST_NAMED;
  if (positional) first = check_expr(c, e->child[1]);
  if (lone) flows = lone_flow(&b, e, first);
  bind_flow(&b, flows);
  for (uint32_t i = 1; e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *arg = e->child[i];
    if (arg->kind == AST_NAMED) {
      named = true;
      bind_named(&b, arg);
    } else {
      if (named) diag_at(check_diags(c), E0406, arg->span);
      bind_positional(&b, arg, i == 1 ? first : check_expr(c, arg));
    }
  }
  if (flows != FLOWS_ALL) check_missing(&b, e);
  if (decl->kind != AST_BLOCK) return decl_kind(decl);
  bool waits = lone && flows == FLOWS_ONE && (ast_takes_tensor(decl) || ast_is_pointfree(decl));
  return b.partial                ? KIND_UNKNOWN
         : waits                  ? TYPE_BLOCK
         : ast_takes_tensor(decl) ? TYPE_TENSOR
                                  : KIND_UNKNOWN;
}

/* ---- calls ------------------------------------------------------------------------------ */

static bool is_number(Kind kind) { return kind == TYPE_INT || kind == TYPE_REAL; }

/* The kind of a scalar function of arguments of these kinds. */
static Kind scalar_result(Kind a, Kind b) {
  if (a == TYPE_TENSOR || b == TYPE_TENSOR) return TYPE_TENSOR;
  if (is_number(a) && is_number(b)) return a == TYPE_INT && b == TYPE_INT ? TYPE_INT : TYPE_REAL;
  return KIND_UNKNOWN;
}

static Kind check_intrinsic(Check *c, const Ast *e, int flows, uint32_t fewest, uint32_t most) {
  uint32_t n = flows == FLOWS_NONE ? 0 : 1;
  Kind kind = flows == FLOWS_NONE ? TYPE_INT : TYPE_TENSOR;
  for (uint32_t i = 1; e->kind == AST_CALL && i < e->nchild; i++, n++) {
    const Ast *a = e->child[i];
    kind = scalar_result(kind, check_expr(c, a->kind == AST_NAMED ? a->child[0] : a));
  }
  const char *name = check_name(c, ast_name(e));
  bool bare = flows == FLOWS_NONE && e->kind != AST_CALL;
  if (!bare && n > most)
    diag_at(check_diags(c), E0404, e->span, name, most, most == 1 ? "" : "s", n);
  else if (!bare && n < fewest) diag_at(check_diags(c), E0403, e->span, name, "more arguments");
  if (bare) return TYPE_BLOCK;
  if (kind == TYPE_TENSOR) return flows == FLOWS_NONE ? KIND_UNKNOWN : TYPE_TENSOR;
  return kind == TYPE_INT && (strcmp(name, "min") != 0 && strcmp(name, "max") != 0) ? KIND_UNKNOWN
                                                                                    : kind;
}

/* Looks the callee up among the locals; true when it is one. */
static bool check_local_callee(Check *c, const Ast *e, int flows) {
  const Ast *callee = callee_of(e);
  Local *l = callee->kind == AST_NAME ? local_find(c, callee->name) : NULL;
  if (!l) return false;
  l->used = true;
  Kind kind = l->kind;
  check_arguments_alone(c, e);
  if (kind == KIND_UNKNOWN || kind == TYPE_BLOCK || kind == TYPE_INIT ||
      (kind == TYPE_WEIGHT && flows == FLOWS_NONE) || kind == TYPE_NET)
    return true;
  const char *what = arena_printf(c->front->perm, "`%s`, %s,", text_of(c, callee), kind_text(kind));
  if (flows == FLOWS_NONE) diag_at(check_diags(c), E0407, callee->span, what);
  else diag_at(check_diags(c), E0408, callee->span, what);
  return true;
}

static bool declares_callable(const Ast *decl, int flows) {
  return decl->kind == AST_BLOCK || decl->kind == AST_INIT ||
         (decl->kind == AST_WEIGHT && flows == FLOWS_NONE);
}

static void report_uncallable(Check *c, const Ast *e, const Ast *decl, int flows) {
  const char *what = arena_printf(c->front->perm, "`%s`, %s,", text_of(c, callee_of(e)),
                                  kind_text(decl_kind(decl)));
  if (flows == FLOWS_NONE) diag_at(check_diags(c), E0407, callee_of(e)->span, what);
  else diag_at(check_diags(c), E0408, callee_of(e)->span, what);
  diag_note(check_diags(c), decl->name_span, "it is declared here");
}

Kind check_call(Check *c, const Ast *e, int flows) {
  const Ast *callee = callee_of(e);
  uint32_t fewest, most;
  if (check_local_callee(c, e, flows)) return flows == FLOWS_NONE ? KIND_UNKNOWN : TYPE_TENSOR;
  const Term *term = callee->kind == AST_NAME && c->place
                         ? term_find(c->place, check_name(c, callee->name))
                         : NULL;
  if (term) {
    check_arguments_alone(c, e);
    return TYPE_REAL;
  }
  const Ast *decl = scope_resolve(c, callee);
  if (decl && declares_callable(decl, flows)) return check_declared(c, decl, e, flows);
  if (decl) {
    check_arguments_alone(c, e);
    report_uncallable(c, e, decl, flows);
    return KIND_UNKNOWN;
  }
  if (callee->kind == AST_NAME && intrinsic_known(check_name(c, callee->name), &fewest, &most))
    return check_intrinsic(c, e, flows, fewest, most);
  scope_unknown(c, callee, flows != FLOWS_NONE || e->kind == AST_CALL);
  check_arguments_alone(c, e);
  return KIND_UNKNOWN;
}

/* ---- stages ----------------------------------------------------------------------------- */

void check_stage(Check *c, const Ast *e) {
  switch (e->kind) {
    case AST_NAME:
    case AST_QNAME:
    case AST_CALL: check_call(c, e, FLOWS_ONE); break;
    case AST_GROUP: check_stage(c, e->child[0]); break;
    case AST_PIPE:
      for (uint32_t i = 0; i < e->nchild; i++) check_stage(c, e->child[i]);
      break;
    case AST_ATTACHED:
      check_stage(c, e->child[0]);
      for (uint32_t i = 1; i < e->nchild; i++) check_attr(c, e->child[i]);
      break;
    case AST_COND:
      check_condition(c, e->child[0]);
      check_stage(c, e->child[1]);
      check_stage(c, e->child[2]);
      break;
    case AST_REPEAT_EXPR:
      check_kind(c, e->child[0], check_expr(c, e->child[0]), TYPE_INT, false, "a repeat count");
      check_stage(c, e->child[1]);
      break;
    case AST_ERROR: break;
    default:
      diag_at(check_diags(c), E0408, e->span, arena_printf(c->front->perm, "`%s`", text_of(c, e)));
      break;
  }
}

/* ---- terms and attributes --------------------------------------------------------------- */

static void check_term_arguments(Check *c, const Ast *e, const Term *t) {
  uint32_t n = e->kind == AST_CALL ? e->nchild - 1 : 0, most = term_count_params(t);
  if (n > most) diag_at(check_diags(c), E0404, e->span, t->name, most, most == 1 ? "" : "s", n);
  for (uint32_t i = 1; i <= n; i++) {
    const Ast *a = e->child[i];
    check_expr(c, a->kind == AST_NAMED ? a->child[0] : a);
    if (a->kind != AST_NAMED || term_has_param(t, check_name(c, a->name))) continue;
    if (c->place == PLACE_PLOT || c->place == PLACE_PLOTTED)
      diag_at(check_diags(c), E0709, a->name_span, t->name, check_name(c, a->name));
    else diag_at(check_diags(c), E0402, a->name_span, t->name, check_name(c, a->name));
    if (*t->params) diag_equals(check_diags(c), "parameters of %s: %s", t->name, t->params);
  }
}

bool check_term(Check *c, const Ast *e, Place place, const char *what) {
  const Ast *callee = callee_of(e);
  const char *name = callee->kind == AST_NAME ? check_name(c, callee->name) : text_of(c, e);
  const Term *t = term_find(place, name);
  if (t) {
    check_term_arguments(c, e, t);
    return true;
  }
  if (e->kind != AST_ERROR)
    diag_at(check_diags(c), E0421, callee->span, what, term_list(c->front->perm, place), name);
  return false;
}

/* The words of attributes want these kinds. */
static void check_word(Check *c, const Ast *e, const Term *t) {
  static const struct {
    const char *name;
    Kind kind;
  } wanted[] = {{"init", TYPE_INIT}, {"bias", TYPE_BOOL}, {"decay", TYPE_REAL}, {"lr", TYPE_REAL},
                {"freeze", TYPE_BOOL}, {"tile", TYPE_INT}, {"stages", TYPE_INT}};
  uint32_t n = e->kind == AST_CALL ? e->nchild - 1 : 0, most = term_count_params(t);
  bool optional = strcmp(t->name, "freeze") == 0 || strcmp(t->name, "bias") == 0;
  if (n > most) diag_at(check_diags(c), E0404, e->span, t->name, most, most == 1 ? "" : "s", n);
  if (n == 0 && !optional) diag_at(check_diags(c), E0403, e->span, t->name, t->params);
  if (strcmp(t->name, "lower") == 0) return;
  for (uint32_t i = 1; i <= n; i++) {
    const Ast *a = e->child[i]->kind == AST_NAMED ? e->child[i]->child[0] : e->child[i];
    Kind got = check_expr(c, a);
    for (size_t k = 0; k < COUNT_OF(wanted); k++)
      if (strcmp(wanted[k].name, t->name) == 0)
        check_kind(c, a, got, wanted[k].kind, false, arena_printf(c->front->perm, "@%s", t->name));
  }
}

enum { ATTRIBUTES_MAX = 512 };

static size_t add_weights(const Ast *file, Name *candidate, size_t n) {
  for (uint32_t i = 0; i < file->nchild && n < ATTRIBUTES_MAX; i++)
    if (file->child[i]->kind == AST_WEIGHT) candidate[n++] = file->child[i]->name;
  return n;
}

/* E0412 with the nearest attribute or weight set. */
static void report_attribute(Check *c, const Ast *e) {
  Front *f = c->front;
  Name candidate[ATTRIBUTES_MAX];
  size_t n = 0;
  for (size_t i = 0; term_at(i); i++)
    if (term_at(i)->place == PLACE_ATTRIBUTE)
      candidate[n++] = name_of_text(f->names, term_at(i)->name);
  n = add_weights(c->file, candidate, n);
  for (uint32_t i = 0; i < f->nprelude; i++) n = add_weights(f->file[i], candidate, n);
  Name near = name_nearest(f->names, ast_name(e), candidate, n);
  diag_at(check_diags(c), E0412, e->span, text_of(c, callee_of(e)));
  if (near) diag_here(check_diags(c), "did you mean `@%s`?", check_name(c, near));
}

void check_attr(Check *c, const Ast *attr) {
  const Ast *e = attr->child[0], *callee = callee_of(e);
  if (e->kind == AST_GROUP) {
    check_kind(c, e, check_expr(c, e), TYPE_WEIGHT, false, "what stands after `@`");
    return;
  }
  Local *l = callee->kind == AST_NAME ? local_find(c, callee->name) : NULL;
  const Term *word = !l && callee->kind == AST_NAME
                         ? term_find(PLACE_ATTRIBUTE, check_name(c, callee->name))
                         : NULL;
  if (word) {
    check_word(c, e, word);
    return;
  }
  const Ast *decl = l ? NULL : check_resolve(c->front, c->file, callee);
  if (!l && !decl) {
    report_attribute(c, e);
    return;
  }
  Kind kind = check_expr(c, e);
  if (kind != KIND_UNKNOWN && kind != TYPE_WEIGHT) report_attribute(c, e);
}
