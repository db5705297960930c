/* check_expr.c: expressions. Goes in: an expression and the scope in Check. Comes out: the
 * kind of its value as far as it is known before sizes are, and messages for what cannot be. */
#include <string.h>
#include "check_scope.h"

static const char *text_of(Check *c, const Ast *e) {
  return ast_text(c->front->perm, c->front->names, e);
}

static bool is_number(Kind kind) {
  return kind == TYPE_INT || kind == TYPE_REAL || kind == TYPE_TENSOR || kind == KIND_UNKNOWN;
}

void check_condition(Check *c, const Ast *e) {
  Kind kind = check_expr(c, e);
  if (kind != TYPE_BOOL && kind != KIND_UNKNOWN)
    diag_at(check_diags(c), E0413, e->span, kind_text(kind));
}

/* ---- names ------------------------------------------------------------------------------ */

static Kind check_plain_name(Check *c, const Ast *e) {
  const char *name = check_name(c, e->name);
  uint32_t fewest, most;
  Local *l = local_find(c, e->name);
  if (l) {
    l->used = true;
    return l->kind;
  }
  if (c->place && term_find(c->place, name)) return TYPE_REAL;
  const Ast *decl = scope_resolve(c, e);
  if (decl) return decl_kind(decl);
  if (intrinsic_known(name, &fewest, &most)) return TYPE_BLOCK;
  scope_unknown(c, e, false);
  return KIND_UNKNOWN;
}

/* D.classes, D.shape: what a data set tells. */
Kind check_member(Check *c, const Ast *qname) {
  const Ast *object = qname->child[0], *member = qname->child[1];
  const char *name = check_name(c, member->name);
  if (strcmp(name, "classes") == 0) return TYPE_INT;
  if (strcmp(name, "shape") == 0) return KIND_LIST;
  diag_at(check_diags(c), E0306, member->span, "data set", check_name(c, object->name), name);
  diag_equals(check_diags(c), "a data set has: classes, shape");
  return KIND_UNKNOWN;
}

static bool names_import(const Check *c, Name name) {
  for (uint32_t i = 0; i < c->file->nchild; i++)
    if (c->file->child[i]->kind == AST_IMPORT && c->file->child[i]->name == name) return true;
  return false;
}

static Kind check_qname(Check *c, const Ast *e) {
  const Ast *object = e->child[0];
  Local *l = local_find(c, object->name);
  const Ast *decl = l ? NULL : scope_resolve(c, object);
  Kind kind = l ? l->kind : decl ? decl_kind(decl) : KIND_UNKNOWN;
  if (l) l->used = true;
  if (l && kind == KIND_UNKNOWN) return KIND_UNKNOWN;
  if (kind == TYPE_DATA && e->nchild == 2) return check_member(c, e);
  if (l || decl) {
    diag_at(check_diags(c), E0306, e->child[1]->span, kind_text(kind), check_name(c, object->name),
            check_name(c, e->child[1]->name));
    return KIND_UNKNOWN;
  }
  const Ast *found = scope_resolve(c, e);
  if (found) return decl_kind(found);
  if (names_import(c, object->name)) scope_unknown(c, e, false);
  else
    diag_at(check_diags(c), E0302, object->span, "data set or import", check_name(c, object->name));
  return KIND_UNKNOWN;
}

/* ---- operators -------------------------------------------------------------------------- */

static void report_operand(Check *c, const Ast *e, const Ast *operand, Kind kind) {
  diag_at(check_diags(c), E0429, e->name_span, op_word(e->op), kind_text(kind));
  diag_label(check_diags(c), operand->span, "%s", kind_text(kind));
}

static Kind check_arithmetic(Check *c, const Ast *e, Kind a, Kind b) {
  if (!is_number(a) || !is_number(b)) {
    report_operand(c, e, e->child[is_number(a)], is_number(a) ? b : a);
    return KIND_UNKNOWN;
  }
  if (a == TYPE_TENSOR || b == TYPE_TENSOR) return TYPE_TENSOR;
  if (a == KIND_UNKNOWN || b == KIND_UNKNOWN) return KIND_UNKNOWN;
  return a == TYPE_REAL || b == TYPE_REAL ? TYPE_REAL : TYPE_INT;
}

static Kind check_logic(Check *c, const Ast *e, Kind a, Kind b, Kind wanted) {
  bool left = a == wanted || a == KIND_UNKNOWN, right = b == wanted || b == KIND_UNKNOWN;
  if (left && right) return wanted;
  report_operand(c, e, e->child[left], left ? b : a);
  return KIND_UNKNOWN;
}

/* epoch / 3 counts whole threes: worth a remark with -Wall. */
static void remark_division(Check *c, const Ast *e) {
  const Ast *left = e->child[0], *right = e->child[1];
  if (c->place != PLACE_SCHEDULE || left->kind != AST_NAME || right->kind != AST_INTEGER) return;
  const char *name = check_name(c, left->name);
  bool epoch = strcmp(name, "epoch") == 0;
  if (!epoch && strcmp(name, "step") != 0) return;
  diag_at(check_diags(c), N0701, e->span, text_of(c, e), (long long)right->integer,
          epoch ? "epochs" : "steps");
}

static Kind check_binary(Check *c, const Ast *e) {
  Kind a = check_expr(c, e->child[0]), b = check_expr(c, e->child[1]);
  switch (e->op) {
    case OP_OROR:
    case OP_ANDAND: return check_logic(c, e, a, b, TYPE_BOOL);
    case OP_AND: return check_logic(c, e, a, b, TYPE_WEIGHT);
    case OP_EQ:
    case OP_NE: return TYPE_BOOL;
    case OP_LT:
    case OP_GT:
    case OP_LE:
    case OP_GE: check_arithmetic(c, e, a, b); return TYPE_BOOL;
    default:
      if (e->op == OP_DIV && e->child[1]->kind == AST_INTEGER && e->child[1]->integer == 0 &&
          a == TYPE_INT)
        diag_at(check_diags(c), E0417, e->name_span);
      if (e->op == OP_DIV) remark_division(c, e);
      return check_arithmetic(c, e, a, b);
  }
}

static Kind check_unary(Check *c, const Ast *e) {
  Kind kind = check_expr(c, e->child[0]);
  bool fits = e->op == OP_NOT ? kind == TYPE_BOOL || kind == KIND_UNKNOWN : is_number(kind);
  if (!fits) report_operand(c, e, e->child[0], kind);
  return !fits ? KIND_UNKNOWN : e->op == OP_NOT ? TYPE_BOOL : kind;
}

static Kind check_cond(Check *c, const Ast *e) {
  check_condition(c, e->child[0]);
  Kind a = check_expr(c, e->child[1]), b = check_expr(c, e->child[2]);
  if (a == b) return a;
  bool numbers = (a == TYPE_INT || a == TYPE_REAL) && (b == TYPE_INT || b == TYPE_REAL);
  return numbers ? TYPE_REAL : KIND_UNKNOWN;
}

/* ---- chains ----------------------------------------------------------------------------- */

/* A chain whose head is a stage is a stage itself. */
static Kind check_pipe(Check *c, const Ast *e) {
  Kind head = check_expr(c, e->child[0]);
  for (uint32_t i = 1; i < e->nchild; i++) check_stage(c, e->child[i]);
  bool wrong = head == TYPE_STRING || head == TYPE_BOOL || head == TYPE_WEIGHT ||
               head == TYPE_DATA || head == TYPE_TRAIN || head == TYPE_NET || head == KIND_RANGE;
  if (wrong) diag_at(check_diags(c), E0408, e->child[0]->span, kind_text(head));
  return head == TYPE_BLOCK || head == TYPE_INIT ? TYPE_BLOCK : wrong ? KIND_UNKNOWN : TYPE_TENSOR;
}

static Kind check_attached(Check *c, const Ast *e) {
  Kind kind = check_expr(c, e->child[0]);
  for (uint32_t i = 1; i < e->nchild; i++) check_attr(c, e->child[i]);
  return kind;
}

static Kind check_repeat_stage(Check *c, const Ast *e) {
  check_stage(c, e);
  return TYPE_BLOCK;
}

static Kind check_children(Check *c, const Ast *e, Kind kind) {
  for (uint32_t i = 0; i < e->nchild; i++) check_expr(c, e->child[i]);
  return kind;
}

static Kind check_range(Check *c, const Ast *e) {
  check_kind(c, e->child[0], check_expr(c, e->child[0]), TYPE_INT, false, "a range");
  check_kind(c, e->child[1], check_expr(c, e->child[1]), TYPE_INT, false, "a range");
  return KIND_RANGE;
}

Kind check_expr(Check *c, const Ast *e) {
  switch (e->kind) {
    case AST_NAME: return check_plain_name(c, e);
    case AST_QNAME: return check_qname(c, e);
    case AST_CALL: return check_call(c, e, FLOWS_NONE);
    case AST_PIPE: return check_pipe(c, e);
    case AST_ATTACHED: return check_attached(c, e);
    case AST_BINARY: return check_binary(c, e);
    case AST_UNARY: return check_unary(c, e);
    case AST_COND: return check_cond(c, e);
    case AST_RANGE: return check_range(c, e);
    case AST_GROUP: return check_expr(c, e->child[0]);
    case AST_REPEAT_EXPR: return check_repeat_stage(c, e);
    case AST_LIST: return check_children(c, e, KIND_LIST);
    case AST_INDEX:
    case AST_INDICES: return check_children(c, e, KIND_UNKNOWN);
    case AST_INTEGER: return TYPE_INT;
    case AST_REAL: return TYPE_REAL;
    case AST_STRING: return TYPE_STRING;
    case AST_BOOL: return TYPE_BOOL;
    default: return KIND_UNKNOWN;
  }
}
