/* schedule.c: the learning rate as a program.
 *
 * In: the expression of `lr`, in epoch, step, epochs, steps, progress and constants. Out: the
 * postfix program of rates.def, appended to model->rate. Types follow the language: `/` of two
 * ints truncates, so that `epoch / 3` is a staircase. */
#include "expand.h"
#include "rate.h"
#include <string.h>

typedef struct { Expander *x; Context *c; } Compiler;

static void emit(Compiler *p, RateOp op, double k) {
  PUSH(p->x->arena, p->x->model, rate, (PlanRate){.op = op, .k = k});
}

static TypeKind compile(Compiler *p, const Ast *e);

static TypeKind refuse(Compiler *p, const Ast *e) {
  diag_at(&p->x->front->diags, E0708, e->span, ast_text(p->x->arena, p->x->front->names, e));
  diag_help(&p->x->front->diags, "a schedule may use epoch, step, epochs, steps, progress");
  return TYPE_NONE;
}

/* A constant of the file or a literal. */
static TypeKind compile_constant(Compiler *p, const Ast *e) {
  Value v = eval(p->x, p->c, e);
  if (v.kind == VALUE_POISON) return TYPE_NONE;
  if (v.kind == VALUE_BOOL) {
    emit(p, RATE_CONST, (double)v.as.integer);
    return TYPE_BOOL;
  }
  if (!value_is_number(&v)) return refuse(p, e);
  emit(p, RATE_CONST, value_number(&v));
  return v.kind == VALUE_INT ? TYPE_INT : TYPE_REAL;
}

static TypeKind compile_name(Compiler *p, const Ast *e) {
  static const struct { const char *name; uint8_t op, type; } word[] = {
      {"epoch", RATE_EPOCH, TYPE_INT},   {"step", RATE_STEP, TYPE_INT},
      {"epochs", RATE_EPOCHS, TYPE_INT}, {"steps", RATE_STEPS, TYPE_INT},
      {"progress", RATE_PROGRESS, TYPE_REAL}};
  const char *name = name_text(p->x->front->names, e->name);
  for (size_t i = 0; i < COUNT_OF(word); i++) {
    if (strcmp(word[i].name, name)) continue;
    emit(p, (RateOp)word[i].op, 0.0);
    return (TypeKind)word[i].type;
  }
  return resolve(p->x, p->c->scope, e) ? compile_constant(p, e) : refuse(p, e);
}

static TypeKind compile_call(Compiler *p, const Ast *e) {
  static const struct { const char *name; uint8_t n, op; } function[] = {
      {"min", 2, RATE_MIN},   {"max", 2, RATE_MAX}, {"pow", 2, RATE_POW}, {"exp", 1, RATE_EXP},
      {"log", 1, RATE_LOG},   {"sqrt", 1, RATE_SQRT}, {"abs", 1, RATE_ABS}, {"cos", 1, RATE_COS},
      {"sin", 1, RATE_SIN}, {"floor", 1, RATE_FLOOR}};
  const char *name = name_text(p->x->front->names, ast_name(e->child[0]));
  for (size_t i = 0; i < COUNT_OF(function); i++) {
    if (strcmp(function[i].name, name) || e->nchild != function[i].n + 1u) continue;
    bool ints = true;
    for (uint32_t k = 1; k < e->nchild; k++) {
      TypeKind t = compile(p, e->child[k]);
      if (t == TYPE_NONE) return t;
      ints &= t == TYPE_INT;
    }
    emit(p, (RateOp)function[i].op, 0.0);
    bool keeps =
        function[i].op == RATE_MIN || function[i].op == RATE_MAX || function[i].op == RATE_ABS;
    return ints && keeps ? TYPE_INT : TYPE_REAL;
  }
  return refuse(p, e);
}

/* The instruction of an operator; `>` and `>=` are `<` and `<=` with the sides exchanged. */
static TypeKind compile_binary(Compiler *p, const Ast *e) {
  static const uint8_t code[] = {
      [OP_OROR] = RATE_OR, [OP_ANDAND] = RATE_AND, [OP_EQ] = RATE_EQ, [OP_NE] = RATE_NE,
      [OP_LT] = RATE_LT, [OP_GT] = RATE_LT, [OP_LE] = RATE_LE, [OP_GE] = RATE_LE,
      [OP_ADD] = RATE_ADD, [OP_SUB] = RATE_SUB, [OP_MUL] = RATE_MUL, [OP_DIV] = RATE_DIV,
      [OP_MOD] = RATE_IMOD};
  bool exchange = e->op == OP_GT || e->op == OP_GE;
  TypeKind a = compile(p, e->child[exchange]), b = a ? compile(p, e->child[!exchange]) : TYPE_NONE;
  if (!a || !b) return TYPE_NONE;
  if (e->op == OP_AND || (e->op == OP_MOD && (a != TYPE_INT || b != TYPE_INT))) return refuse(p, e);
  bool ints = a == TYPE_INT && b == TYPE_INT;
  emit(p, (RateOp)(e->op == OP_DIV && ints ? RATE_IDIV : code[e->op]), 0.0);
  if (op_level((Operator)e->op) < op_level(OP_ADD)) return TYPE_BOOL;
  return ints ? TYPE_INT : TYPE_REAL;
}

static TypeKind compile_cond(Compiler *p, const Ast *e) {
  TypeKind when = compile(p, e->child[0]);
  TypeKind a = when ? compile(p, e->child[1]) : TYPE_NONE;
  TypeKind b = a ? compile(p, e->child[2]) : TYPE_NONE;
  if (!b) return TYPE_NONE;
  emit(p, RATE_SELECT, 0.0);
  return a == TYPE_INT && b == TYPE_INT ? TYPE_INT : TYPE_REAL;
}

static TypeKind compile(Compiler *p, const Ast *e) {
  TypeKind t;
  switch (e->kind) {
  case AST_INTEGER: case AST_REAL: case AST_BOOL: return compile_constant(p, e);
  case AST_NAME: return compile_name(p, e);
  case AST_GROUP: return compile(p, e->child[0]);
  case AST_CALL: return compile_call(p, e);
  case AST_BINARY: return compile_binary(p, e);
  case AST_COND: return compile_cond(p, e);
  case AST_UNARY:
    if (!(t = compile(p, e->child[0]))) return t;
    emit(p, e->op == OP_NEG ? RATE_NEG : RATE_NOT, 0.0);
    return t;
  case AST_ERROR: return TYPE_NONE;
  default: return refuse(p, e);
  }
}

/* Values on the stack when the program needs most. */
static uint32_t deepest(const Model *m) {
  static const uint8_t pops[] = {
#define RATE(name, pops, text) pops,
#include "rates.def"
  };
  uint32_t depth = 0, most = 0;
  for (uint32_t i = 0; i < m->nrate; i++) {
    depth += 1u - pops[m->rate[i].op];
    most = depth > most ? depth : most;
  }
  return most;
}

bool schedule_compile(Expander *x, Context *c, const Ast *e) {
  Compiler p = {x, c};
  if (compile(&p, e) == TYPE_NONE) return false;
  if (deepest(x->model) <= RATE_STACK) return true;
  diag_at(&x->front->diags, E0813, e->span, RATE_STACK);
  return false;
}
