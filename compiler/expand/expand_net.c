/* expand_net.c: what a net gets: its input from the data, its arguments from the command line,
 * from a `run` of an experiment, or by default.
 *
 * In: the net's parameters. Out: its scope, everything bound. A size of the input that is a
 * name is bound by the data (or by -D); `classes` without a value is what the data has. */
#include "expand.h"
#include "parse.h"
#include <string.h>

/* ---- inputs ----------------------------------------------------------------------------- */

/* An input of the run; its name cannot be one of the user's. */
static Val run_input(Expander *x, const char *name, DType dtype, Shape s, Feed feed) {
  return graph_decl(x->graph, OP_INPUT, name_of_text(x->front->names, name), dtype, s, feed, 0);
}

/* What a run feeds beside its samples. */
void declare_inputs(Expander *x) {
  x->batch = (Dim){(int32_t)x->model->set.batch, name_of_text(x->front->names, "N")};
  bool classes = x->facts.classes || x->request->checks;
  Shape rows = {1, {x->batch}}, pair = {1, {{2, 0}}};
  if (!classes && x->facts.targets > 1)
    rows = (Shape){2, {x->batch, {(int32_t)x->facts.targets, 0}}};
  x->label = run_input(x, "run.label", classes ? DTYPE_I32 : DTYPE_F32, rows, FEED_LABEL);
  x->rate = run_input(x, "run.rate", DTYPE_F32, (Shape){0}, FEED_RATE);
  x->step = run_input(x, "run.step", DTYPE_U32, pair, FEED_STEP);
}

/* The samples of a batch, decoded: stored * scale + shift, per channel. */
static Val decoded(Expander *x, const Sizes *sizes, Name name) {
  Graph *g = x->graph;
  Shape s = sizes_stored(sizes, x->batch), channel = {.rank = s.rank};
  for (int i = 0; i < s.rank; i++) channel.dim[i].n = 1;
  channel.dim[s.rank - 1] = s.dim[s.rank - 1];
  x->sample = graph_decl(g, OP_INPUT, name, (DType)x->facts.dtype, s, FEED_SAMPLE, 0);
  Val scale = run_input(x, "run.scale", DTYPE_F32, channel, FEED_SCALE);
  Val shift = run_input(x, "run.shift", DTYPE_F32, channel, FEED_SHIFT);
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
      diag_help(&x->front->diags, "name a data set with --on, or give it: -D %s=32",
                name[0] ? name : "C");
    }
    return false;
  }
  if (binds) scope_set(x, c->scope, dim->name, value_int(*out, dim->span));
  return true;
}

/* Binds an input of the net: the first one to the samples, others to what they declare. */
static bool bind_input(Expander *x, Context *c, const Ast *param, bool sample) {
  const Ast *dims = ast_child(param, 0);
  Sizes data = sample ? sample_sizes(&x->facts) : (Sizes){0}, s = data;
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
  Val v = sample ? decoded(x, &s, param->name)
                 : graph_decl(x->graph, OP_INPUT, param->name, DTYPE_F32,
                              sizes_stored(&s, x->batch), FEED_NONE, 0);
  if (!v) {
    diag_at(&f->diags, E0518, param->span, x->graph->error);
    return false;
  }
  scope_set(x, c->scope, param->name, value_tensor(v, param->span));
  return true;
}

/* ---- arguments of the net --------------------------------------------------------------- */

/* Whether a name is one of the sizes of the net's input. */
bool is_input_size(const Ast *net, Name name) {
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (params->child[i]->name == name) return false; /* -D sets the parameter of that name */
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *dims = ast_child(params->child[i], 0);
    for (uint32_t k = 0; dims && k < dims->nchild; k++)
      if (dims->child[k]->kind == AST_NAME && dims->child[k]->name == name) return true;
  }
  return false;
}

/* The parameter that somebody may have meant, none that is a tensor; 0: none. */
static Name param_nearest(Expander *x, const Ast *net, Name wrong) {
  const Ast *params = params_of(net);
  Name *candidate = NEW_ARRAY(x->arena, Name, params ? params->nchild + 1 : 1);
  size_t n = 0;
  for (uint32_t i = 0; params && i < params->nchild; i++)
    if (params->child[i]->type != TYPE_TENSOR) candidate[n++] = params->child[i]->name;
  return name_nearest(x->front->names, wrong, candidate, n);
}

/* Reads one `-D name=value` into the scope of the net. */
static bool bind_define(Expander *x, Context *c, const Ast *net, const char *text) {
  Front *f = x->front;
  const char *equals = strchr(text, '=');
  const char *key = arena_text(x->arena, text, equals ? (size_t)(equals - text) : strlen(text));
  Name name = name_of_text(f->names, key);
  const Ast *param = param_find(params_of(net), name);
  if (!equals || (!param && !is_input_size(net, name)) ||
      (param && param->type == TYPE_TENSOR)) {
    diag_at(&f->diags, E0427, (Span){0}, key,
            !equals ? "write name=value"
                    : arena_printf(x->arena, "net `%s` has no such parameter",
                                   name_text(f->names, net->name)));
    Name near = equals ? param_nearest(x, net, name) : 0;
    if (near) diag_help(&f->diags, "did you mean `%s`?", name_text(f->names, near));
    return false;
  }
  Ast *e =
      parse_expression(f, arena_printf(x->arena, "-D %s", key), equals + 1, strlen(equals + 1));
  if (!e) return false;
  Context top = {x->top, c->frame, c->attributes};
  Value v = eval_as(x, &top, e, param ? (TypeKind)param->type : TYPE_INT);
  scope_set(x, c->scope, name, v);
  return v.kind != VALUE_POISON;
}

/* ---- arguments of a `run` --------------------------------------------------------------- */

/* The value of an expression of an experiment, as a parameter of that kind wants it. */
static Value run_value(Expander *x, Context *c, const Ast *e, TypeKind type) {
  return type == TYPE_INT && e->kind == AST_LIST ? eval(x, c, e) : eval_as(x, c, e, type);
}

/* The scope of an experiment: every sweep at its first value. */
static Scope *experiment_scope(Expander *x, const Ast *experiment) {
  Context c = {scope_new(x, check_file_of(x->front, experiment)), NULL, NULL};
  for (uint32_t i = 0; i < experiment->nchild; i++) {
    const Ast *s = experiment->child[i];
    if (s->kind != AST_SWEEP || !s->nchild) continue;
    scope_set(x, c.scope, s->name, run_value(x, &c, s->child[0], (TypeKind)s->type));
  }
  return c.scope;
}

/* Gives a parameter of the net the value of an expression, unless it has one. */
static bool bind_from(Expander *x, Context *c, Context *from, const Ast *param, const Ast *e) {
  if (!param || param->type == TYPE_TENSOR || scope_find(c->scope, param->name)) return true;
  Value v = run_value(x, from, e, (TypeKind)param->type);
  scope_set(x, c->scope, param->name, v);
  return v.kind != VALUE_POISON;
}

/* The arguments of the RUN, then the settings of its experiment that name parameters. */
static bool bind_run(Expander *x, Context *c, const Ast *net) {
  const Ast *experiment = x->request->experiment, *e = x->request->run->child[0];
  Context from = {experiment_scope(x, experiment), c->frame, c->attributes};
  uint32_t place = 0;
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 1; e->kind == AST_CALL && i < e->nchild; i++) {
    const Ast *a = e->child[i], *p = NULL;
    if (a->kind == AST_NAMED) p = param_find(params_of(net), a->name);
    else while (place < params->nchild && !p) {
      p = params->child[place]->type == TYPE_TENSOR ? NULL : params->child[place];
      place++;
    }
    if (!bind_from(x, c, &from, p, a->kind == AST_NAMED ? a->child[0] : a)) return false;
  }
  for (uint32_t i = 0; i < experiment->nchild; i++) {
    const Ast *s = experiment->child[i];
    if (s->kind == AST_SETTING &&
        !bind_from(x, c, &from, param_find(params_of(net), s->name), s->child[0]))
      return false;
  }
  return true;
}

/* The data set that the RUN names, a sweep at its first value; 0: none. */
Name run_data(Expander *x) {
  const Ast *on = x->request->run ? ast_child(x->request->run, 1) : NULL;
  if (!on || on->kind != AST_NAME) return 0;
  for (uint32_t i = 0; i < x->request->experiment->nchild; i++) {
    const Ast *s = x->request->experiment->child[i];
    if (s->kind == AST_SWEEP && s->name == on->name && s->nchild) return ast_name(s->child[0]);
  }
  return on->name;
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
  uint32_t classes = x->facts.classes;
  if (classes && !strcmp(name_text(f->names, param->name), "classes")) {
    scope_set(x, c->scope, param->name, value_int(classes, param->span));
    return true;
  }
  if (x->request->lenient) {
    diag_at(&f->diags, N0902, net->name_span, name_text(f->names, net->name),
            name_text(f->names, param->name));
    return false;
  }
  diag_at(&f->diags, E0403, param->span,
          arena_printf(x->arena, "net `%s`", name_text(f->names, net->name)),
          name_text(f->names, param->name));
  diag_help(&f->diags, "-D %s=VALUE gives it", name_text(f->names, param->name));
  return false;
}

/* The scope of a call of the net, all parameters bound. */
bool bind_net(Expander *x, Context *c, const Ast *net) {
  const Ast *params = ast_child(net, 0);
  for (uint32_t i = 0; i < x->request->ndefine; i++)
    if (!bind_define(x, c, net, x->request->define[i])) return false;
  if (x->request->run && !bind_run(x, c, net)) return false;
  uint32_t inputs = 0;
  for (uint32_t i = 0; params && i < params->nchild; i++) {
    const Ast *p = params->child[i];
    bool tensor = p->type == TYPE_TENSOR;
    if (tensor && !bind_input(x, c, p, inputs++ == 0)) return false;
    if (!tensor && !scope_find(c->scope, p->name) && !bind_default(x, c, net, p)) return false;
  }
  if (inputs > 1 && !x->request->checks)
    diag_at(&x->front->diags, E0901, net->name_span, "a net of several inputs");
  return inputs <= 1 || x->request->checks;
}

/* "depth = 50, width = 256": the arguments, for the record of the run. */
const char *arguments_text(Expander *x, const Ast *net, Scope *s) {
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
