/* expand_call.c: calls and stages.
 *
 * In: a CALL or a stage with the values that flow into it. Out: its value. A name is a local,
 * else a declaration of the file or the prelude, else an intrinsic. A block that still lacks
 * its tensor is a value itself: the expression and its scope. */
#include "expand.h"
#include <stdio.h>

enum { MAX_DEPTH = 3000, MAX_CALLS = 40 * LIMIT_LAYERS };

/* ---- calls ------------------------------------------------------------------------------ */

/* Counts a call against the limits; false when they are spent. */
static bool call_counted(Expander *x, Span at) {
  if (x->calls++ < MAX_CALLS) return true;
  if (x->calls == MAX_CALLS + 1)
    diag_at(&x->front->diags, E0808, at, LIMIT_LAYERS,
            "blocks and loops call each other too often");
  return false;
}

/* The body of a block or initialiser, its parameters bound. */
static Value body(Expander *x, Context *c, const Ast *decl, const Value *in, uint32_t n) {
  const Ast *b = ast_child(decl, 2);
  if (b->kind == AST_BODY) {
    Value result = value_poison();
    Flow flow = run(x, c, b, &result);
    return flow == FLOW_RETURN ? result : value_poison();
  }
  bool flows = n > 0 && decl->kind == AST_BLOCK && !ast_takes_tensor(decl);
  return flows ? apply(x, c, b, in, n) : eval(x, c, b);
}

/* Calls a declared block: binds, opens its frame and its row of the table, runs its body. */
static Value invoke(Expander *x, Context *c, const Ast *decl, const Ast *e, const Value *in,
                    uint32_t n, Span at) {
  if (!call_counted(x, at)) return value_poison();
  Context callee = {scope_new(x, check_file_of(x->front, decl)), c->frame, c->attributes};
  callee.scope->decl = decl;
  callee.scope->caller = c->scope;
  callee.scope->call = at;
  callee.scope->written = e;
  callee.scope->loop = c->scope->loop;
  callee.scope->loop_value = c->scope->loop_value;
  bool takes = ast_takes_tensor(decl) || decl->kind == AST_INIT;
  if (!bind_call(x, c, &callee, decl, e, in, takes ? n : 0, at)) return value_poison();
  bool outer = decl->kind == AST_BLOCK && !c->frame->closed && !in_prelude(x, c->scope->file);
  if (!outer) return body(x, &callee, decl, in, n);
  const char *name = name_text(x->front->names, decl->name);
  callee.frame = frame_new(x, c->frame, name);
  Place place = place_enter(x, callee.frame, in_prelude(x, decl) ? name : NULL, at);
  return place_leave(x, &place, body(x, &callee, decl, in, n), at);
}

/* Evaluates the arguments of an intrinsic and calls it. */
static Value invoke_intrinsic(Expander *x, Context *c, int which, const Ast *e, const Value *in,
                              uint32_t n, Span at) {
  uint32_t count = 0, fewest, most;
  Value *arg = NEW_ARRAY(x->arena, Value, n + e->nchild + 1);
  for (uint32_t i = 0; i < n; i++) arg[count++] = in[i];
  for (uint32_t i = 1; e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i]->kind == AST_NAMED ? e->child[i]->child[0] : e->child[i];
    arg[count] = eval(x, c, a);
    if (arg[count++].kind == VALUE_POISON) return value_poison();
  }
  intrinsic_arguments(which, &fewest, &most);
  if (count < fewest || count > most) {
    const char *name = name_text(x->front->names, ast_name(e));
    diag_at(&x->front->diags, E0404, at, name, most, most == 1 ? "" : "s", count);
    return value_poison();
  }
  return intrinsic_call(x, c, which, arg, count, at);
}

/* An intrinsic as a stage of a user's file: it has a frame and a row as blocks have. */
static Value intrinsic_stage(Expander *x, Context *c, int which, const Ast *e, const Value *in,
                             uint32_t n) {
  if (c->frame->closed || in_prelude(x, c->scope->file))
    return invoke_intrinsic(x, c, which, e, in, n, e->span);
  const char *name = name_text(x->front->names, ast_name(e));
  Frame *f = frame_new(x, c->frame, name);
  Context k = {c->scope, f, c->attributes};
  Place place = place_enter(x, f, name, e->span);
  return place_leave(x, &place, invoke_intrinsic(x, &k, which, e, in, n, e->span), e->span);
}

static const Ast *callee_of(const Ast *e) { return e->kind == AST_CALL ? e->child[0] : e; }

/* Sends values through a stage that is a name or a call. */
static Value apply_named(Expander *x, Context *c, const Ast *e, const Value *in, uint32_t n) {
  const Ast *callee = callee_of(e);
  Value *local = callee->kind == AST_NAME ? scope_find(c->scope, callee->name) : NULL;
  if (local && local->kind == VALUE_POISON) return *local;
  if (local && local->kind == VALUE_BLOCK) return apply_block(x, c, local, in, n, e->span);
  const Ast *decl = local ? NULL : resolve(x, c->scope, callee);
  const char *name = name_text(x->front->names, ast_name(callee));
  if (decl && (decl->kind == AST_BLOCK || decl->kind == AST_INIT))
    return invoke(x, c, decl, e, in, n, e->span);
  int which = local || decl ? -1 : intrinsic_find(x, ast_name(callee));
  if (which >= 0) return intrinsic_stage(x, c, which, e, in, n);
  if (local || decl)
    diag_at(&x->front->diags, E0408, e->span, arena_printf(x->arena, "`%s`", name));
  else diag_at(&x->front->diags, E0301, e->span, name);
  return value_poison();
}

/* ---- stages ----------------------------------------------------------------------------- */

/* Sends values through a block that was passed as a value. */
Value apply_block(Expander *x, Context *c, const Value *block, const Value *in, uint32_t n,
                  Span at) {
  if (block->kind != VALUE_BLOCK) {
    if (block->kind != VALUE_POISON)
      diag_at(&x->front->diags, E0408, at, value_kind(block));
    return value_poison();
  }
  Context k = {block->as.block.scope, c->frame, c->attributes};
  return apply(x, &k, block->as.block.expr, in, n);
}

/* `repeat (n) { a -> b }` as a stage: every pass has a frame named by its number. */
static Value apply_repeat(Expander *x, Context *c, const Ast *e, const Value *in, uint32_t n) {
  int64_t count;
  if (!loop_count(x, c, e->child[0], &count)) return value_poison();
  uint64_t passes = x->passes;
  x->passes *= (uint64_t)(count ? count : 1);
  Value v = in[0];
  for (int64_t i = 0; i < count && v.kind != VALUE_POISON; i++) {
    char index[24];
    snprintf(index, sizeof index, "%lld", (long long)i);
    Context k = {c->scope, frame_new(x, c->frame, index), c->attributes};
    v = apply(x, &k, e->child[1], i ? &v : in, i ? 1 : n);
  }
  x->passes = passes;
  return v;
}

static Value apply_pipe(Expander *x, Context *c, const Ast *e, const Value *in, uint32_t n) {
  Value v = apply(x, c, e->child[0], in, n);
  for (uint32_t i = 1; i < e->nchild && v.kind != VALUE_POISON; i++)
    v = apply(x, c, e->child[i], &v, 1);
  return v;
}

/* `stage @a @b`: the attributes hold within the stage; each must have had an effect. */
static Value apply_attached(Expander *x, Context *c, const Ast *e, const Value *in, uint32_t n) {
  const Ast *const *attr = (const Ast *const *)&e->child[1];
  Attributes a;
  if (!attributes_add(x, c, attr, e->nchild - 1, &a, true)) return value_poison();
  Context k = {c->scope, c->frame, &a};
  Value v = apply(x, &k, e->child[0], in, n);
  if (v.kind != VALUE_POISON) attributes_check(x, attr, e->nchild - 1, &a, e->child[0]);
  return v;
}

/* Whichever stage it is. */
static Value apply_kind(Expander *x, Context *c, const Ast *e, const Value *in, uint32_t n) {
  bool yes;
  switch (e->kind) {
  case AST_NAME: case AST_QNAME: case AST_CALL: return apply_named(x, c, e, in, n);
  case AST_REPEAT_EXPR: return apply_repeat(x, c, e, in, n);
  case AST_GROUP: return apply(x, c, e->child[0], in, n);
  case AST_PIPE: return apply_pipe(x, c, e, in, n);
  case AST_ATTACHED: return apply_attached(x, c, e, in, n);
  case AST_COND:
    if (!eval_condition(x, c, e->child[0], &yes)) return value_poison();
    return apply(x, c, e->child[yes ? 1 : 2], in, n);
  case AST_ERROR: return value_poison();
  default:
    diag_at(&x->front->diags, E0408, e->span,
            arena_printf(x->arena, "`%s`", ast_text(x->arena, x->front->names, e)));
    return value_poison();
  }
}

Value apply(Expander *x, Context *c, const Ast *stage, const Value *in, uint32_t n) {
  if (x->depth >= MAX_DEPTH) {
    diag_at(&x->front->diags, E0804, stage->span, MAX_DEPTH);
    return value_poison();
  }
  x->depth++;
  Value v = apply_kind(x, c, stage, in, n);
  x->depth--;
  return v;
}

/* ---- names and calls in expressions ----------------------------------------------------- */

/* The value of a declaration that is not a block; made once when it has no parameters. */
static Value declared(Expander *x, Context *c, const Ast *decl, const Ast *e) {
  bool once = decl->kind == AST_CONST || (decl->kind == AST_WEIGHT && !params_of(decl));
  Value *memo = &x->memo[decl->id];
  if (once && memo->kind != VALUE_POISON) return *memo;
  Context k = {scope_new(x, check_file_of(x->front, decl)), c->frame, c->attributes};
  Value v = (Value){.kind = VALUE_DECL, .span = e->span, .as.decl = decl};
  if (decl->kind == AST_CONST) v = eval_as(x, &k, decl->child[0], (TypeKind)decl->type);
  if (decl->kind == AST_WEIGHT) {
    const WeightSet *set = set_eval(x, c, e);
    v = set ? (Value){.kind = VALUE_SET, .span = e->span, .as.set = set} : value_poison();
  }
  if (once) *memo = v;
  return v;
}

/* Whether a CALL of a block that takes tensors gives it one: else it is a block as a value. */
static bool call_is_full(Expander *x, Context *c, const Ast *decl, const Ast *e, Value *first) {
  const Ast *params = params_of(decl);
  if (e->kind != AST_CALL || e->nchild < 2) return false;
  const Ast *a = e->child[1];
  const Ast *p = a->kind == AST_NAMED ? param_find(params, a->name) : params->child[0];
  if (!p || p->type != TYPE_TENSOR) return false;
  *first = eval(x, c, a->kind == AST_NAMED ? a->child[0] : a);
  return first->kind == VALUE_TENSOR || first->kind == VALUE_POISON;
}

/* The call without its first argument, which was evaluated already. */
static const Ast *call_rest(Expander *x, const Ast *e) {
  Ast *rest = NEW(x->arena, Ast);
  *rest = *e;
  rest->child = NEW_ARRAY(x->arena, Ast *, e->nchild);
  rest->child[0] = e->child[0];
  for (uint32_t i = 2; i < e->nchild; i++) rest->child[i - 1] = e->child[i];
  rest->nchild--;
  return rest;
}

/* A block in an expression: called when its tensor is there, else a value. */
static Value call_declared(Expander *x, Context *c, const Ast *decl, const Ast *e) {
  Value first;
  if (decl->kind == AST_INIT) return invoke(x, c, decl, e, NULL, 0, e->span);
  if (!ast_takes_tensor(decl)) {
    if (e->kind != AST_CALL || ast_is_pointfree(decl)) return block_value(c, e);
    return invoke(x, c, decl, e, NULL, 0, e->span);
  }
  if (!call_is_full(x, c, decl, e, &first)) return block_value(c, e);
  if (first.kind == VALUE_POISON) return first;
  return invoke(x, c, decl, call_rest(x, e), &first, 1, e->span);
}

/* A CALL of a block that is a parameter or a local. */
static Value call_local(Expander *x, Context *c, const Value *local, const Ast *e) {
  Value *in = NEW_ARRAY(x->arena, Value, e->nchild);
  uint32_t n = 0;
  for (uint32_t i = 1; i < e->nchild; i++) {
    in[n] = eval(x, c, e->child[i]);
    if (in[n++].kind == VALUE_POISON) return value_poison();
  }
  if (n) return apply_block(x, c, local, in, n, e->span);
  return *local;
}

Value call(Expander *x, Context *c, const Ast *e) {
  const Ast *callee = callee_of(e);
  Value *local = callee->kind == AST_NAME ? scope_find(c->scope, callee->name) : NULL;
  if (local) return e->kind == AST_CALL ? call_local(x, c, local, e) : *local;
  const Ast *decl = resolve(x, c->scope, callee);
  if (decl && (decl->kind == AST_BLOCK || decl->kind == AST_INIT))
    return call_declared(x, c, decl, e);
  if (decl) return declared(x, c, decl, e);
  const char *name = name_text(x->front->names, ast_name(callee));
  int which = intrinsic_find(x, ast_name(callee));
  if (which >= 0 && e->kind == AST_CALL)
    return invoke_intrinsic(x, c, which, e, NULL, 0, e->span);
  if (which >= 0) return block_value(c, e);
  diag_at(&x->front->diags, E0302, e->span, "name", name);
  return value_poison();
}
