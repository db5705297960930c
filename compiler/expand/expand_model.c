/* expand_model.c: from a net's declaration to a Model.
 *
 * In: the trees of a compilation and a request. Out: one graph with the roots of all phases.
 * The body is expanded once per phase: initialisation draws the parameters, training adds the
 * gradient and the updates, evaluation uses running statistics. Parameters meet by their names. */
#include "expand.h"
#include <string.h>

/* ---- opening ---------------------------------------------------------------------------- */

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
  x->facts = r->facts;
  x->passes = 1;
  graph_init(x->graph, f->perm, f->names);
  x->top = scope_new(x, f->root);
  x->nresolved = f->nnode + 1;
  x->resolved = NEW_ARRAY(x->arena, const Ast *, x->nresolved);
  x->memo = NEW_ARRAY(x->arena, Value, x->nresolved);
  x->standard_init = name_node(x, "xavier");
  intrinsics_open(x);
}

/* ---- one phase -------------------------------------------------------------------------- */

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

/* ---- the model -------------------------------------------------------------------------- */

/* Reports an output whose size is not the number of the data's classes. */
static bool classes_agree(Expander *x, const Ast *net, Val z) {
  const ModelRequest *r = x->request;
  Sizes s = sizes_of(x->graph, z);
  int64_t classes = x->facts.classes;
  bool named = !r->checks || r->data || r->run;
  if (!named || !classes || s.rank != 1 || s.dim[0] == classes) return true;
  const Ast *on = r->run ? ast_child(r->run, 1) : NULL;
  const char *data = x->model->data.name ? x->model->data.name : "";
  diag_at(&x->front->diags, E0702, on ? on->span : net->name_span, (long long)s.dim[0], data,
          (long long)classes);
  if (on) diag_label(&x->front->diags, r->run->child[0]->span, "%lld outputs", (long long)s.dim[0]);
  diag_help(&x->front->diags, "classes = %s.classes", data);
  return false;
}

/* Warns of parameters that the output does not depend on. */
static void warn_unreached(Expander *x, Val z) {
  const Graph *g = x->graph;
  bool *reached = NEW_ARRAY(x->arena, bool, g->nnode);
  reached[z] = true;
  for (Val v = g->nnode; v-- > 1;)
    for (int i = 0; reached[v] && i < MAX_IN; i++) reached[g->node[v].in[i]] = true;
  for (uint32_t i = 0; i < x->nparam; i++)
    if (!reached[x->param[i].value])
      diag_at(&x->front->diags, W0712, x->param[i].span,
              name_text(x->front->names, x->param[i].name));
}

/* Reports a batch that the training split cannot fill. */
static bool batch_fits(Expander *x, const Recipe *r) {
  uint64_t batch = x->model->set.batch, samples = x->facts.samples;
  if (!samples || batch <= samples) return true;
  Scope *scope;
  const Ast *e = recipe_setting(x, r, "batch", &scope);
  diag_at(&x->front->diags, E0715, e->span, (long long)batch, (long long)samples);
  return false;
}

/* Initialisation and training and evaluation, for a run. */
static bool expand_run(Expander *x, const Ast *net, const Recipe *r) {
  Value z = expand_phase(x, net, MODE_TRAIN);
  if (z.kind == VALUE_LIST)
    diag_at(&x->front->diags, E0901, net->name_span, "a net of several results");
  if (z.kind != VALUE_TENSOR || !model_executable(x->front, x->model) ||
      !classes_agree(x, net, z.as.tensor) || !batch_fits(x, r) || !expand_train(x, r, z.as.tensor))
    return false;
  z = expand_phase(x, net, MODE_EVAL);
  if (z.kind != VALUE_TENSOR || !expand_eval(x, r, z.as.tensor)) return false;
  return expand_phase(x, net, MODE_INIT).kind != VALUE_POISON;
}

/* The forward pass alone, for `check`. */
static bool expand_check(Expander *x, const Ast *net) {
  Value z = expand_phase(x, net, MODE_TRAIN);
  if (z.kind == VALUE_TENSOR) warn_unreached(x, z.as.tensor);
  return z.kind == VALUE_TENSOR ? classes_agree(x, net, z.as.tensor) : z.kind != VALUE_POISON;
}

/* Totals of the layer table. */
static void count_totals(Model *m) {
  for (uint32_t i = 0; i < m->nlayer; i++) {
    m->full += m->layer[i].full;
    m->free += m->layer[i].free;
  }
}

/* What a declaration alone tells of its samples. */
static void facts_of(const ModelData *d, ModelFacts *f) {
  f->rank = d->rank;
  memcpy(f->dim, d->dim, sizeof f->dim);
  f->classes = d->classes;
}

/* Whether -D gives a size of the input, so that no data set is needed. */
static bool sizes_defined(Expander *x, const Ast *net) {
  for (uint32_t i = 0; i < x->request->ndefine; i++) {
    const char *text = x->request->define[i], *equals = strchr(text, '=');
    if (equals && is_input_size(net, name_of(x->front->names, text, (size_t)(equals - text))))
      return true;
  }
  return false;
}

/* For `check` without a data set: the first of the file whose shape is known without reading. */
static bool assume_data(Expander *x) {
  const Ast *root = x->front->root;
  for (uint32_t i = 0; i < root->nchild && !x->facts.rank; i++) {
    if (root->child[i]->kind != AST_DATA) continue;
    ModelData d;
    if (!data_read(x, name_text(x->front->names, root->child[i]->name), true, &d)) return false;
    if (!d.rank) continue;
    facts_of(&d, &x->facts);
    x->model->data = d;
  }
  return true;
}

/* The data set of the request, of its run, or the only one; and what is known of it. */
static bool read_data(Expander *x, const Ast *net) {
  const ModelRequest *r = x->request;
  Name named = run_data(x);
  const char *name = r->data ? r->data : named ? name_text(x->front->names, named) : NULL;
  if (!data_read(x, name, !r->checks, &x->model->data)) return false;
  bool ok = true;
  if (r->checks && !x->facts.rank) {
    facts_of(&x->model->data, &x->facts);
    ok = x->facts.rank || name || sizes_defined(x, net) || assume_data(x);
  }
  uint32_t pad = x->facts.rank == 3 ? 2 * x->model->data.pad : 0;
  x->facts.dim[0] += pad;
  x->facts.dim[1] += pad;
  return ok;
}

bool model_expand(Front *f, const ModelRequest *r, Model *m) {
  Expander x;
  Recipe recipe;
  expander_open(&x, f, r, m);
  const Ast *net = check_pick(f, AST_NET, r->net);
  if (!net || !recipe_open(&x, &recipe) || !recipe_settings(&x, &recipe)) return false;
  if (!layers_bounded(&x, net) || !read_data(&x, net)) return false;
  m->set.net = name_text(f->names, net->name);
  m->set.data = m->data.name ? m->data.name : "";
  m->set.classes = x.facts.classes;
  m->set.lower = r->lower ? r->lower : "fused";
  if (r->checks) m->set.batch = 1;
  declare_inputs(&x);
  uint32_t errors = f->diags.errors;
  bool ok = r->checks ? expand_check(&x, net) : expand_run(&x, net, &recipe);
  if (!ok && f->diags.errors == errors && !r->lenient)
    diag_at(&f->diags, E0518, net->name_span, m->graph.error);
  if (!ok || f->diags.errors != errors) return false;
  layers_count(&x);
  count_totals(m);
  return true;
}
