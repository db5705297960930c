/* expand_bind.c: scopes, and the binding of arguments to parameters.
 *
 * In: a declaration, the values that flow into it, and the CALL as it is written. Out: a scope
 * in which every parameter has a value: values from the left of `->` first, then positional and
 * named arguments, then defaults, which may name earlier parameters. Sizes in a tensor's
 * declaration bind names (`tensor x[C, H, W]`) or are compared. */
#include "expand.h"
#include <string.h>

/* ---- scopes ----------------------------------------------------------------------------- */

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
    uint32_t cap = s->cap ? s->cap * 2 : 4;
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

bool in_prelude(const Expander *x, const Ast *node) {
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
    Name name = a->kind == AST_NAMED     ? a->name
                : place < params->nchild ? params->child[place++]->name
                                         : 0;
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
  bool inside = false;
  for (uint32_t i = 0; i < x->front->nprelude; i++)
    inside |= x->front->file[i]->span.file == at.file;
  return inside && x->graph->span.len ? x->graph->span : at;
}

/* ---- arguments -------------------------------------------------------------------------- */

/* A block or initialiser as a value: what is written, and where its names are read. */
Value block_value(Context *c, const Ast *e) {
  if (e->kind == AST_NAME) {
    Value *local = scope_find(c->scope, e->name);
    if (local) return *local;
  }
  return (Value){.kind = VALUE_BLOCK, .span = e->span, .as.block = {e, c->scope}};
}

/* The value of an argument, as its parameter's kind wants it. */
static Value argument(Expander *x, Context *c, const Ast *e, const Ast *param) {
  if (param->type == TYPE_BLOCK || param->type == TYPE_INIT) return block_value(c, e);
  if (param->type == TYPE_INT && ast_child(param, 0)) return eval(x, c, e);
  return eval_as(x, c, e, (TypeKind)param->type);
}

const Ast *params_of(const Ast *decl) { return ast_child(decl, 0); }

const Ast *param_find(const Ast *params, Name name) {
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (params->child[i]->name == name) return params->child[i];
  return NULL;
}

/* Whether a size is left open: `_`, or the name of a parameter that is no int, as in
 * `net mlp(tensor x[C, H, W], weight W = free)`. */
bool size_is_open(Expander *x, const Ast *decl, const Ast *dim) {
  if (dim->kind != AST_NAME) return false;
  if (!strcmp(name_text(x->front->names, dim->name), "_")) return true;
  const Ast *param = param_find(params_of(decl), dim->name);
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

/* Reports a call with more arguments than there are parameters. */
static bool too_many(Expander *x, const Ast *decl, uint32_t given, Span at) {
  const Ast *params = params_of(decl);
  uint32_t most = params ? params->nchild : 0;
  diag_at(&x->front->diags, E0404, at, name_text(x->front->names, decl->name), most,
          most == 1 ? "" : "s", given);
  return false;
}

/* Binds the values that flow in, then what is written in the call. */
static bool bind_arguments(Expander *x, Context *c, Context *callee, const Ast *decl,
                           const Ast *e, const Value *in, uint32_t n, Span at) {
  const Ast *params = params_of(decl);
  bool ok = true;
  for (uint32_t i = 0; ok && i < n; i++) {
    const Ast *p = next_param(params, callee->scope, in[i].kind == VALUE_TENSOR);
    ok = p ? bind(x, c, callee, p, in[i], at) : too_many(x, decl, n, at);
  }
  for (uint32_t i = 1; ok && e && e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i];
    bool named = a->kind == AST_NAMED;
    const Ast *p = named ? param_find(params, a->name) : next_param(params, callee->scope, false);
    const char *name = name_text(x->front->names, decl->name);
    if (!p && named) {
      diag_at(&x->front->diags, E0402, a->span, name, name_text(x->front->names, a->name));
      return false;
    }
    if (!p) return too_many(x, decl, e->nchild - 1 + n, a->span);
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
