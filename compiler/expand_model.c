/* expand_model.c: from a net's declaration to a Model.
 *
 * In: the trees of a compilation and a request. Out: one graph with the roots of all phases.
 * The body is expanded once per phase: initialisation draws the parameters, training adds the
 * gradient and the updates, evaluation uses running statistics. Parameters meet by their names. */
#include "expand.h"
#include "parse.h"
#include <string.h>

/* ---- opening ------------------------------------------------------------------------------------ */

/* A declaration of the prelude. */
const Ast *prelude_find(Expander *x, const char *name) {
  Front *f = x->front;
  for (uint32_t i = 0; i < f->nprelude; i++) {
    Ast *decl = ast_find(f->file[i], name_of_text(f->names, name));
    if (decl) return decl;
  }
  return NULL;
}

/* A name as an expression, to stand for a declaration of the prelude. */
static Ast *name_node(Expander *x, const char *name) {
  Ast *e = NEW(x->arena, Ast);
  const Ast *decl = prelude_find(x, name);
  e->kind = AST_NAME;
  e->id = x->nresolved;
  e->name = name_of_text(x->front->names, name);
  if (decl) e->span = decl->name_span;
  return e;
}

void expander_open(Expander *x, Front *f, const ModelRequest *r, Model *m) {
  memset(x, 0, sizeof *x);
  memset(m, 0, sizeof *m);
  x->front = f;
  x->arena = f->perm;
  x->graph = &m->graph;
  x->model = m;
  x->request = r;
  x->passes = 1;
  graph_init(x->graph, f->perm, f->names);
  x->top = scope_new(x, f->root);
  x->nresolved = f->nnode + 1;
  x->resolved = NEW_ARRAY(x->arena, const Ast *, x->nresolved);
  x->memo = NEW_ARRAY(x->arena, Value, x->nresolved);
  x->standard_init = name_node(x, "xavier");
  intrinsics_open(x);
}

/* ---- inputs -------------------------------------------------------------------------------------- */

/* What a run feeds beside its samples. */
static void declare_inputs(Expander *x) {
  Graph *g = x->graph;
  Names *names = x->front->names;
  x->batch = (Dim){(int32_t)x->model->set.batch, name_of_text(names, "N")};
  Shape rows = {1, {x->batch}}, pair = {1, {{2, 0}}};
  x->label = graph_decl(g, OP_INPUT, name_of_text(names, "run.label"), DTYPE_I32, rows, FEED_LABEL, 0);
  x->rate = graph_decl(g, OP_INPUT, name_of_text(names, "run.rate"), DTYPE_F32, (Shape){0}, FEED_RATE, 0);
  x->step = graph_decl(g, OP_INPUT, name_of_text(names, "run.step"), DTYPE_U32, pair, FEED_STEP, 0);
}

/* The samples of a batch, decoded: stored * scale + shift, per channel. */
static Val decoded(Expander *x, const Sizes *sizes, Name name) {
  Graph *g = x->graph;
  Shape s = sizes_stored(sizes, x->batch), channel = {.rank = s.rank};
  for (int i = 0; i < s.rank; i++) channel.dim[i].n = 1;
  channel.dim[s.rank - 1] = s.dim[s.rank - 1];
  x->sample = graph_decl(g, OP_INPUT, name, (DType)x->request->facts.dtype, s, FEED_SAMPLE, 0);
  Val scale = graph_decl(g, OP_INPUT, name_of_text(x->front->names, "run.scale"), DTYPE_F32, channel, FEED_SCALE, 0);
  Val shift = graph_decl(g, OP_INPUT, name_of_text(x->front->names, "run.shift"), DTYPE_F32, channel, FEED_SHIFT, 0);
  return graph_map2(g, S_add, graph_map2(g, S_mul, x->sample, scale), shift);
}

/* The shape of a sample as the language says it; rank 0: unknown. */
static Sizes sample_sizes(const ModelFacts *f) {
  if (f->rank == 3) return (Sizes){3, {f->dim[2], f->dim[0], f->dim[1]}};
  Sizes s = {.rank = f->rank};
  for (uint32_t i = 0; i < f->rank; i++) s.dim[i] = f->dim[i];
  return s;
}

/* A size of the input: as written, from -D, or from the data. */
static bool input_size(Expander *x, Context *c, const Ast *dim, int64_t data, int64_t *out) {
  const char *name = dim->kind == AST_NAME ? name_text(x->front->names, dim->name) : "";
  bool open = size_is_open(x, c->scope->decl, dim);
  Value *bound = open || !name[0] ? NULL : scope_find(c->scope, dim->name);
  bool binds = dim->kind == AST_NAME && !open && !bound && !resolve(x, c->scope, dim);
  if (bound && bound->kind == VALUE_INT) *out = bound->as.integer;
  else if (open || binds) *out = data;
  else {
    Value v = eval_as(x, c, dim, TYPE_INT);
    if (v.kind == VALUE_POISON) return false;
    *out = v.as.integer;
  }
  if (*out < 1 || *out > LIMIT_DIM) {
    if (*out) diag_at(&x->front->diags, E0509, dim->span, "a size of the input", (long long)*out);
    else {
      diag_at(&x->front->diags, E0517, dim->span, ast_text(x->arena, x->front->names, dim),
              name_text(x->front->names, c->scope->decl->name));
      diag_help(&x->front->diags, "name a data set with --on, or give it: -D %s=32", name[0] ? name : "C");
    }
    return false;
  }
  if (binds) scope_set(x, c->scope, dim->name, value_int(*out, dim->span));
  return true;
}

/* Binds the net's input to the samples. */
static bool bind_input(Expander *x, Context *c, const Ast *param) {
  const Ast *dims = ast_child(param, 0);
  Sizes data = sample_sizes(&x->request->facts), s = data;
  Front *f = x->front;
  if (dims) s.rank = dims->nchild;
  bool fits = !data.rank || s.rank == data.rank;
  if (s.rank == 0 || s.rank >= MAX_RANK) {
    diag_at(&f->diags, E0517, param->span, name_text(f->names, param->name),
            name_text(f->names, c->scope->decl->name));
    return false;
  }
  for (uint32_t i = 0; fits && dims && i < s.rank; i++) {
    if (!input_size(x, c, dims->child[i], data.rank ? data.dim[i] : 0, &s.dim[i])) return false;
    fits = !data.rank || s.dim[i] == data.dim[i];
  }
  if (!fits) {
    const char *name = x->model->data.name ? x->model->data.name : "given";
    diag_at(&f->diags, E0516, param->span, name_text(f->names, c->scope->decl->name),
            arena_printf(x->arena, "tensor%s", ast_text(x->arena, f->names, dims)), name,
            sizes_text(x->arena, &data));
    return false;
  }
  Val v = decoded(x, &s, param->name);
  if (!v) return false;
  scope_set(x, c->scope, param->name, value_tensor(v, param->span));
  return true;
}

/* ---- arguments of the net -------------------------------------------------------------------------- */

typedef struct { const Ast *decl; Binding *given; uint32_t n, cap, ngiven, capgiven; } Arguments;

static const Ast *net_param(const Ast *net, Name name) {
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (params->child[i]->name == name) return params->child[i];
  return NULL;
}

/* Whether a name is one of the sizes of the net's input. */
static bool is_input_size(const Ast *net, Name name) {
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *dims = ast_child(params->child[i], 0);
    for (uint32_t k = 0; dims && k < dims->nchild; k++)
      if (dims->child[k]->kind == AST_NAME && dims->child[k]->name == name) return true;
  }
  return false;
}

/* Reads one `-D name=value` into the scope of the net. */
static bool bind_define(Expander *x, Context *c, const Ast *net, const char *text) {
  Front *f = x->front;
  const char *equals = strchr(text, '=');
  const char *key = arena_text(x->arena, text, equals ? (size_t)(equals - text) : strlen(text));
  Name name = name_of_text(f->names, key);
  const Ast *param = net_param(net, name);
  if (!equals || (!param && !is_input_size(net, name)) ||
      (param && param->type == TYPE_TENSOR)) {
    diag_at(&f->diags, E0427, (Span){0}, key,
            !equals ? "write name=value"
                    : arena_printf(x->arena, "net `%s` has no such parameter", name_text(f->names, net->name)));
    return false;
  }
  Ast *e = parse_expression(f, arena_printf(x->arena, "-D %s", key), equals + 1, strlen(equals + 1));
  if (!e) return false;
  Context top = {x->top, c->frame, c->attributes};
  Value v = eval_as(x, &top, e, param ? (TypeKind)param->type : TYPE_INT);
  scope_set(x, c->scope, name, v);
  return v.kind != VALUE_POISON;
}

/* A parameter without a value from the command line: its default, or the data's classes. */
static bool bind_default(Expander *x, Context *c, const Ast *net, const Ast *param) {
  Front *f = x->front;
  const Ast *e = ast_child(param, 1);
  if (e) {
    Value v = eval_as(x, c, e, (TypeKind)param->type);
    scope_set(x, c->scope, param->name, v);
    return v.kind != VALUE_POISON;
  }
  uint32_t classes = x->request->facts.classes;
  if (classes && !strcmp(name_text(f->names, param->name), "classes")) {
    scope_set(x, c->scope, param->name, value_int(classes, param->span));
    return true;
  }
  diag_at(&f->diags, E0403, param->span, arena_printf(x->arena, "net `%s`", name_text(f->names, net->name)),
          name_text(f->names, param->name));
  diag_help(&f->diags, "-D %s=VALUE gives it", name_text(f->names, param->name));
  return false;
}

/* The scope of a call of the net, all parameters bound. */
static bool bind_net(Expander *x, Context *c, const Ast *net) {
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; i < x->request->ndefine; i++)
    if (!bind_define(x, c, net, x->request->define[i])) return false;
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *p = params->child[i];
    if (p->type == TYPE_TENSOR ? !bind_input(x, c, p)
                               : !scope_find(c->scope, p->name) && !bind_default(x, c, net, p))
      return false;
  }
  return true;
}

/* "depth = 50, width = 256": the arguments, for the record of the run. */
static const char *arguments_text(Expander *x, const Ast *net, Scope *s) {
  Text t;
  text_init(&t, x->arena);
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *p = params->child[i];
    Value *v = scope_find(s, p->name);
    if (p->type == TYPE_TENSOR || !v) continue;
    text_add(&t, "%s%s = %s", t.n ? ", " : "", name_text(x->front->names, p->name),
             v->kind == VALUE_SET ? v->as.set->text
                                  : value_show(x->arena, x->graph, x->front->names, v));
  }
  return t.s ? t.s : "";
}

/* ---- one phase --------------------------------------------------------------------------------------- */

/* The attributes that hold everywhere: every weight is free, drawn by xavier. */
static const Attributes *standard_attributes(Expander *x) {
  Attributes *a = NEW(x->arena, Attributes);
  Context c = {x->top, NULL, NULL};
  const Ast *free = name_node(x, "free");
  a->value[WORD_SET] = eval_as(x, &c, free, TYPE_WEIGHT);
  a->value[WORD_INIT] = (Value){.kind = VALUE_BLOCK, .as.block = {x->standard_init, x->top}};
  return a;
}

/* Checks what the net promises of its result. */
static bool result_agrees(Expander *x, Context *c, const Ast *net, Value *v) {
  const Ast *result = ast_child(net, 1);
  const Ast *dims = result && result->nchild == 1 ? ast_child(result->child[0], 0) : NULL;
  if (v->kind != VALUE_TENSOR || !dims) return v->kind != VALUE_POISON;
  Sizes s = sizes_of(x->graph, v->as.tensor);
  bool same = dims->nchild == s.rank;
  for (uint32_t i = 0; same && i < s.rank; i++) {
    Value d = eval_as(x, c, dims->child[i], TYPE_INT);
    same = d.kind == VALUE_POISON || d.as.integer == s.dim[i];
  }
  if (same) return true;
  diag_at(&x->front->diags, E0505, v->span, "net", name_text(x->front->names, net->name),
          arena_printf(x->arena, "tensor%s", ast_text(x->arena, x->front->names, dims)),
          sizes_text(x->arena, &s));
  diag_label(&x->front->diags, dims->span, "promised here");
  return false;
}

/* Expands the body in one mode; POISON after an error. */
static Value expand_phase(Expander *x, const Ast *net, Mode mode) {
  Frame top = {0};
  top.id = ++x->frames;
  x->mode = mode;
  x->counts = x->model->nlayer == 0;
  x->tensors = 0;
  Context c = {scope_new(x, check_file_of(x->front, net)), &top, standard_attributes(x)};
  c.scope->decl = net;
  if (!bind_net(x, &c, net)) return value_poison();
  if (x->counts) x->model->set.arguments = arguments_text(x, net, c.scope);
  Value v = value_poison();
  Flow flow = run(x, &c, ast_child(net, 2), &v);
  x->counts = false;
  if (flow != FLOW_RETURN || !result_agrees(x, &c, net, &v)) return value_poison();
  return v;
}

/* Calls a block of the prelude with values. */
Value call_prelude(Expander *x, const char *block, const Value *in, uint32_t n) {
  Frame top = {.id = ++x->frames, .closed = true};
  Context c = {scope_new(x, x->front->file[0]), &top, NULL};
  return apply(x, &c, name_node(x, block), in, n);
}

/* ---- the model ----------------------------------------------------------------------------------------- */

/* The lowering asked for, as the two switches that change the graph. */
static bool read_lower(Expander *x) {
  const char *lower = x->request->lower ? x->request->lower : "fused";
  x->model->set.lower = lower;
  x->dense = !strcmp(lower, "dense");
  x->projected = !strcmp(lower, "projected");
  return true;
}

/* Initialisation and training and evaluation, for a run. */
static bool expand_run(Expander *x, const Ast *net, const Recipe *r) {
  Value z = expand_phase(x, net, MODE_TRAIN);
  if (z.kind != VALUE_TENSOR || !expand_train(x, r, z.as.tensor)) return false;
  z = expand_phase(x, net, MODE_EVAL);
  if (z.kind != VALUE_TENSOR || !expand_eval(x, r, z.as.tensor)) return false;
  return expand_phase(x, net, MODE_INIT).kind != VALUE_POISON;
}

/* Totals of the layer table. */
static void count_totals(Model *m) {
  for (uint32_t i = 0; i < m->nlayer; i++) {
    m->full += m->layer[i].full;
    m->free += m->layer[i].free;
  }
}

bool model_expand(Front *f, const ModelRequest *r, Model *m) {
  Expander x;
  Recipe recipe;
  expander_open(&x, f, r, m);
  const Ast *net = check_pick(f, AST_NET, r->net);
  if (!net || !recipe_open(&x, &recipe) || !recipe_settings(&x, &recipe)) return false;
  if (!data_read(&x, r->data, !r->checks, &m->data) || !read_lower(&x)) return false;
  m->set.net = name_text(f->names, net->name);
  m->set.data = m->data.name ? m->data.name : "";
  m->set.classes = r->facts.classes;
  if (r->checks) m->set.batch = 1;
  declare_inputs(&x);
  uint32_t errors = f->diags.errors;
  bool ok = r->checks ? expand_phase(&x, net, MODE_TRAIN).kind != VALUE_POISON
                      : expand_run(&x, net, &recipe);
  if (!ok || f->diags.errors != errors) return false;
  layers_count(&x);
  count_totals(m);
  return true;
}
