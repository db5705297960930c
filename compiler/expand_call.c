/* expand_call.c: scopes, calls and stages.
 *
 * In: a CALL or a stage with the values that flow into it. Out: its value. Arguments are bound
 * in order (values from the left of `->` first, to the first parameters that want them), names
 * are found in the scope, then in the file and the prelude, then among the intrinsics. A block
 * that still lacks its tensor is a value itself: the expression and its scope. */
#include "expand.h"
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 3000, MAX_CALLS = 40 * LIMIT_LAYERS };

/* ---- scopes ------------------------------------------------------------------------------- */

Scope *scope_new(Expander *x, const Ast *file) {
  Scope *s = NEW(x->arena, Scope);
  s->file = file;
  return s;
}

/* The value bound to a name, or NULL. */
Value *scope_find(Scope *s, Name name) {
  for (uint32_t i = s->n; i-- > 0;)
    if (s->item[i].name == name) return &s->item[i].value;
  return NULL;
}

/* Binds a name, or gives it a new value. */
void scope_set(Expander *x, Scope *s, Name name, Value v) {
  Value *old = scope_find(s, name);
  if (old) {
    *old = v;
    return;
  }
  if (s->n == s->cap) {
    uint32_t cap = s->cap ? s->cap * 2 : 8;
    s->item = arena_grow(x->arena, s->item, s->cap * sizeof *s->item, cap * sizeof *s->item);
    s->cap = cap;
  }
  s->item[s->n++] = (Binding){name, v};
}

/* The declaration that a name means when no local hides it; NULL: none. Found once a node. */
const Ast *resolve(Expander *x, const Scope *s, const Ast *name) {
  if (name->id >= x->nresolved) return check_resolve(x->front, s->file, name);
  const Ast **slot = &x->resolved[name->id];
  if (!*slot) {
    const Ast *found = check_resolve(x->front, s->file, name);
    *slot = found ? found : name;
  }
  return *slot == name ? NULL : *slot;
}

static bool in_prelude(const Expander *x, const Ast *node) {
  return x->front->sources.source[node->span.file].prelude;
}

/* A call with the values of what was written in it: unit(128, stride = 2). */
static const char *call_text(Expander *x, Scope *s) {
  Text t;
  text_init(&t, x->arena);
  text_add(&t, "%s", name_text(x->front->names, s->decl->name));
  const Ast *params = ast_child(s->decl, 0), *e = s->written;
  uint32_t place = 0, n = 0;
  for (uint32_t i = 1; params && e && e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i];
    while (place < params->nchild && params->child[place]->type == TYPE_TENSOR) place++;
    Name name = a->kind == AST_NAMED ? a->name : place < params->nchild ? params->child[place++]->name : 0;
    Value *v = scope_find(s, name);
    if (!v) continue;
    text_add(&t, "%s", n++ ? ", " : "(");
    if (a->kind == AST_NAMED) text_add(&t, "%s = ", name_text(x->front->names, name));
    text_add(&t, "%s", value_show(x->arena, x->graph, x->front->names, v));
  }
  if (n) text_add(&t, ")");
  return t.s;
}

/* Notes of the calls that led here, innermost first. */
void trace_calls(Expander *x, Scope *s) {
  for (; s && s->caller; s = s->caller) {
    if (in_prelude(x, s->decl)) continue;
    const char *name = call_text(x, s);
    if (s->loop)
      diag_trace(&x->front->diags, s->call, "in %s, called for %s = %s", name,
                 name_text(x->front->names, s->loop),
                 value_show(x->arena, x->graph, x->front->names, &s->loop_value));
    else diag_trace(&x->front->diags, s->call, "in %s, called here", name);
  }
}

void trace_layer(Expander *x, Span at) { diag_trace(&x->front->diags, at, "in this layer"); }

Span user_span(const Expander *x, Span at) {
  bool inside = x->front->sources.source[at.file].prelude;
  return inside && x->graph->span.len ? x->graph->span : at;
}

/* ---- arguments ---------------------------------------------------------------------------- */

/* A block or initialiser as a value: what is written, and where its names are read. */
static Value thunk(Context *c, const Ast *e) {
  if (e->kind == AST_NAME) {
    Value *local = scope_find(c->scope, e->name);
    if (local) return *local;
  }
  return (Value){.kind = VALUE_BLOCK, .span = e->span, .as.block = {e, c->scope}};
}

/* The value of an argument, as its parameter's kind wants it. */
static Value argument(Expander *x, Context *c, const Ast *e, const Ast *param) {
  if (param->type == TYPE_BLOCK || param->type == TYPE_INIT) return thunk(c, e);
  if (param->type == TYPE_INT && ast_child(param, 0)) return eval(x, c, e);
  return eval_as(x, c, e, (TypeKind)param->type);
}

static const Ast *params_of(const Ast *decl) { return ast_child(decl, 0); }

static const Ast *find_param(const Ast *params, Name name) {
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (params->child[i]->name == name) return params->child[i];
  return NULL;
}

/* Whether a size is left open: `_`, or the name of a parameter that is no int, as in
 * `net mlp(tensor x[C, H, W], weight W = free)`. */
bool size_is_open(Expander *x, const Ast *decl, const Ast *dim) {
  if (dim->kind != AST_NAME) return false;
  if (!strcmp(name_text(x->front->names, dim->name), "_")) return true;
  const Ast *param = find_param(params_of(decl), dim->name);
  return param && param->type != TYPE_INT;
}

/* A size of a parameter's shape: binds a name that has no value yet, else compares. */
static bool bind_size(Expander *x, Context *callee, const Ast *dim, int64_t size) {
  if (size_is_open(x, callee->scope->decl, dim)) return true;
  if (dim->kind == AST_NAME && !scope_find(callee->scope, dim->name) &&
      !resolve(x, callee->scope, dim)) {
    scope_set(x, callee->scope, dim->name, value_int(size, dim->span));
    return true;
  }
  Value v = eval_as(x, callee, dim, TYPE_INT);
  return v.kind == VALUE_POISON || v.as.integer == size;
}

/* Matches the sizes of a tensor with those that its parameter declares. */
static bool bind_sizes(Expander *x, Context *callee, const Ast *param, const Value *v) {
  const Ast *dims = ast_child(param, 0);
  if (!dims) return true;
  Sizes s = sizes_of(x->graph, v->as.tensor);
  bool fits = s.rank == dims->nchild;
  for (uint32_t i = 0; fits && i < s.rank; i++)
    fits = bind_size(x, callee, dims->child[i], s.dim[i]);
  return fits;
}

/* Says that a tensor does not have the shape its parameter wants. */
static void shape_refused(Expander *x, Context *c, const Scope *callee, const Ast *param,
                          const Value *v, Span at) {
  Diags *d = &x->front->diags;
  const char *stage = name_text(x->front->names, callee->decl->name);
  const char *got = tensor_text(x->arena, x->graph, v->as.tensor);
  Sizes s = sizes_of(x->graph, v->as.tensor);
  uint32_t wants = ast_child(param, 0)->nchild;
  if (wants == 1 && s.rank == 3) {
    diag_at(d, E0502, at, stage, got);
    diag_label(d, v->span, "%s made here", got);
    diag_help(d, "insert `-> flatten` (%lld x %lld x %lld = %lld inputs)", (long long)s.dim[0],
              (long long)s.dim[1], (long long)s.dim[2],
              (long long)(s.dim[0] * s.dim[1] * s.dim[2]));
  } else if (wants == 3 && s.rank == 1) {
    diag_at(d, E0503, at, stage, got);
    diag_label(d, v->span, "%s made here", got);
  } else {
    const char *dims = ast_text(x->arena, x->front->names, ast_child(param, 0));
    diag_at(d, E0506, at, stage, dims, name_text(x->front->names, param->name), got);
    diag_label(d, v->span, "%s made here", got);
  }
  trace_calls(x, c->scope);
}

/* An int where the parameter says `int size[2]`: both are that. Else a list of that many. */
static Value spread(Expander *x, Context *callee, const Ast *param, Value v, Span at) {
  const Ast *dims = ast_child(param, 0);
  uint32_t n = 0;
  Value want = dims->nchild == 1 && dims->child[0]->kind == AST_INTEGER
                   ? eval_as(x, callee, dims->child[0], TYPE_INT) : value_poison();
  if (want.kind == VALUE_INT) n = (uint32_t)want.as.integer;
  if (v.kind == VALUE_LIST && (n == 0 || v.as.list.n == n)) return v;
  if (v.kind == VALUE_POISON) return v;
  if (v.kind != VALUE_INT || n == 0) {
    diag_at(&x->front->diags, E0401, at, name_text(x->front->names, param->name), value_kind(&v),
            n ? "an int or a list of ints" : "a list of ints");
    return value_poison();
  }
  Value *item = NEW_ARRAY(x->arena, Value, n);
  for (uint32_t i = 0; i < n; i++) item[i] = v;
  return value_list(item, n, v.span);
}

/* Gives a parameter its value. */
static bool bind(Expander *x, Context *c, Context *callee, const Ast *param, Value v, Span at) {
  if (param->type == TYPE_TENSOR && v.kind == VALUE_TENSOR &&
      !bind_sizes(x, callee, param, &v)) {
    shape_refused(x, c, callee->scope, param, &v, at);
    return false;
  }
  if (param->type == TYPE_INT && ast_child(param, 0)) v = spread(x, callee, param, v, at);
  else v = value_as(x, v, (TypeKind)param->type, at, name_text(x->front->names, param->name));
  scope_set(x, callee->scope, param->name, v);
  return v.kind != VALUE_POISON;
}

/* The first parameter without a value; of tensors if `tensor`, when there is one. */
static const Ast *next_param(const Ast *params, Scope *s, bool tensor) {
  const Ast *any = NULL;
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *p = params->child[i];
    if (scope_find(s, p->name)) continue;
    if (!tensor || p->type == TYPE_TENSOR) return p;
    if (!any) any = p;
  }
  return any;
}

/* Binds the values that flow in, then what is written in the call. */
static bool bind_arguments(Expander *x, Context *c, Context *callee, const Ast *decl,
                           const Ast *e, const Value *in, uint32_t n, Span at) {
  const Ast *params = params_of(decl);
  bool ok = true;
  for (uint32_t i = 0; ok && i < n; i++) {
    const Ast *p = next_param(params, callee->scope, in[i].kind == VALUE_TENSOR);
    if (p) ok = bind(x, c, callee, p, in[i], at);
  }
  for (uint32_t i = 1; ok && e && e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i];
    bool named = a->kind == AST_NAMED;
    const Ast *p = named ? find_param(params, a->name) : next_param(params, callee->scope, false);
    const char *name = name_text(x->front->names, decl->name);
    if (!p && named) {
      diag_at(&x->front->diags, E0402, a->span, name, name_text(x->front->names, a->name));
      return false;
    }
    if (!p) {
      uint32_t most = params ? params->nchild : 0;
      diag_at(&x->front->diags, E0404, a->span, name, most, most == 1 ? "" : "s", e->nchild - 1 + n);
      return false;
    }
    const Ast *value = named ? a->child[0] : a;
    Value v = argument(x, c, value, p);
    ok = v.kind != VALUE_POISON && bind(x, c, callee, p, v, value->span);
  }
  return ok;
}

/* The default of a parameter that got no argument; `bias` obeys @bias. */
static bool bind_default(Expander *x, Context *callee, const Ast *decl, const Ast *param, Span at) {
  const Value *bias = NULL;
  if (param->type == TYPE_BOOL && in_prelude(x, decl) &&
      param->name == name_of_text(x->front->names, "bias"))
    bias = attribute(callee, WORD_BIAS);
  if (bias) return bind(x, callee, callee, param, *bias, bias->span);
  const Ast *value = ast_child(param, 1);
  if (!value) {
    diag_at(&x->front->diags, E0403, at, name_text(x->front->names, decl->name),
            name_text(x->front->names, param->name));
    return false;
  }
  Value v = argument(x, callee, value, param);
  return v.kind != VALUE_POISON && bind(x, callee, callee, param, v, value->span);
}

bool bind_call(Expander *x, Context *c, Context *callee, const Ast *decl, const Ast *e,
               const Value *in, uint32_t n, Span at) {
  if (!bind_arguments(x, c, callee, decl, e, in, n, at)) return false;
  const Ast *params = params_of(decl);
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (!scope_find(callee->scope, params->child[i]->name) &&
        !bind_default(x, callee, decl, params->child[i], at))
      return false;
  return true;
}

/* ---- calls -------------------------------------------------------------------------------- */

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
  const char *name = name_text(x->front->names, decl->name);
  if (outer) callee.frame = frame_new(x, c->frame, name);
  uint32_t above = x->layer, row = 0;
  Name layer = x->graph->layer;
  Span span = x->graph->span;
  if (outer) {
    x->graph->layer = callee.frame->path;
    x->graph->span = at;
    if (in_prelude(x, decl)) row = layer_open(x, callee.frame, name, at);
  }
  Value v = body(x, &callee, decl, in, n);
  x->graph->layer = layer;
  x->graph->span = span;
  if (row) layer_close(x, row, above, v);
  if (outer && v.kind == VALUE_TENSOR) v.span = at;
  return v;
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
  Name layer = x->graph->layer;
  Span span = x->graph->span;
  uint32_t above = x->layer;
  x->graph->layer = f->path;
  x->graph->span = e->span;
  uint32_t row = layer_open(x, f, name, e->span);
  Value v = invoke_intrinsic(x, &k, which, e, in, n, e->span);
  x->graph->layer = layer;
  x->graph->span = span;
  if (row) layer_close(x, row, above, v);
  if (v.kind == VALUE_TENSOR) v.span = e->span;
  return v;
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

/* ---- stages ------------------------------------------------------------------------------- */

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

/* ---- names and calls in expressions -------------------------------------------------------- */

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
  const Ast *p = a->kind == AST_NAMED ? find_param(params, a->name) : params->child[0];
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
    if (e->kind != AST_CALL || ast_is_pointfree(decl)) return thunk(c, e);
    return invoke(x, c, decl, e, NULL, 0, e->span);
  }
  if (!call_is_full(x, c, decl, e, &first)) return thunk(c, e);
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
  if (which >= 0) return thunk(c, e);
  diag_at(&x->front->diags, E0302, e->span, "name", name);
  return value_poison();
}
