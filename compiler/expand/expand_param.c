/* expand_param.c: parameters and state of the network.
 *
 * In: sizes and what a value starts from. Out: in training and evaluation, the PARAM or STATE;
 * in initialisation, the value drawn for it, which is also its STORE. Weights go through their
 * set: what is stored are coordinates V, what the layer gets are rows W. Random numbers depend
 * on the path of the parameter and nothing else, so that all lowerings draw alike. */
#include "expand.h"
#include "hash.h"
#include <math.h>
#include <string.h>

/* The random stream of a name; each use within one parameter has its own. */
static uint64_t stream_of(Expander *x, Name name, uint64_t use) {
  const char *s = name_text(x->front->names, name);
  return hash64(s, strlen(s), use);
}

/* The stream of the next random numbers drawn here. */
uint64_t param_stream(Expander *x, Context *c) {
  if (x->draw.shape.rank) return x->draw.stream + x->draw.draws++;
  return stream_of(x, frame_name(x, c->frame, "random"), 0);
}

/* ---- records ---------------------------------------------------------------------------- */

/* Adds to the parameter counts of the row. */
static void count_params(Expander *x, Context *c, uint64_t full, uint64_t free,
                         const SetForm *set) {
  if (!x->counts) return;
  const char *stage = c->scope->decl ? name_text(x->front->names, c->scope->decl->name) : "";
  uint32_t row = x->layer ? 0 : layer_open(x, c->frame, stage, c->scope->call);
  ModelLayer *l = layer_now(x);
  const Value *freeze = attribute(c, WORD_FREEZE);
  if (!l) return;
  l->full += full;
  l->free += freeze && freeze->as.integer ? 0 : free;
  if (set) {
    l->set = set->set->text;
    l->unready = set_unready(set);
  }
  if (row) layer_close(x, row, 0, value_poison());
}

/* Notes a parameter that training changes. */
static void param_add(Expander *x, Context *c, Val v, Val dead, SetForm *form, bool projected,
                      Span at) {
  const Value *freeze = attribute(c, WORD_FREEZE);
  const Value *decay = attribute(c, WORD_DECAY), *lr = attribute(c, WORD_LR);
  if (x->mode != MODE_TRAIN || (freeze && freeze->as.integer)) return;
  Span span = x->graph->span.len ? x->graph->span : at;
  Param p = {.value = v, .dead = dead, .form = form, .projected = projected, .span = span,
             .name = graph_node(x->graph, v)->attr.decl.name,
             .lr = lr ? value_number(lr) : 1.0, .decay = decay ? value_number(decay) : NAN};
  PUSH(x->arena, x, param, p);
}

static bool tensors_left(Expander *x, Span at) {
  if (x->tensors++ < LIMIT_TENSORS) return true;
  diag_at(&x->front->diags, E0811, at, LIMIT_TENSORS);
  return false;
}

/* ---- plain parameters and state --------------------------------------------------------- */

/* A parameter that starts at one number: a bias, a scale. */
Value param_plain(Expander *x, Context *c, const char *name, Shape s, double start, Span at) {
  if (!tensors_left(x, at)) return value_poison();
  Name path = frame_name(x, c->frame, name);
  Val v = graph_decl(x->graph, OP_PARAM, path, DTYPE_F32, s, FEED_NONE, 0);
  count_params(x, c, shape_elements(&s), shape_elements(&s), NULL);
  param_add(x, c, v, 0, NULL, false, at);
  if (x->mode != MODE_INIT) return value_tensor(v, at);
  Val first = graph_fill(x->graph, s, start);
  graph_store(x->graph, PHASE_INIT, v, first);
  return value_tensor(first, at);
}

/* A tensor that the training phase changes by update(). */
Value param_state(Expander *x, Context *c, const char *name, Shape s, double start, Span at) {
  if (!tensors_left(x, at)) return value_poison();
  Val v = graph_decl(x->graph, OP_STATE, frame_name(x, c->frame, name), DTYPE_F32, s, FEED_NONE, 0);
  if (x->mode == MODE_TRAIN)
    graph_store(x->graph, PHASE_INIT, v, graph_fill(x->graph, s, start));
  return value_tensor(v, at);
}

/* Stores a new value of a state at the end of a training step. */
Value param_update(Expander *x, Val state, Val value, Span at) {
  if (graph_node(x->graph, state)->op != OP_STATE) {
    diag_at(&x->front->diags, E0401, at, "the first argument of update()", "a tensor", "a state()");
    return value_poison();
  }
  if (x->mode == MODE_TRAIN) graph_store(x->graph, PHASE_TRAIN, state, value);
  return value_tensor(value, at);
}

/* ---- weights ---------------------------------------------------------------------------- */

/* The sizes of one row, as equations of a set index them: [in], or [C, Kh, Kw]. */
static Sizes row_sizes(const Shape *s) {
  if (s->rank == 4) return (Sizes){3, {s->dim[2].n, s->dim[0].n, s->dim[1].n}};
  return (Sizes){1, {s->dim[0].n}};
}

static SetForm *layer_form(Expander *x, Context *c, const Shape *s, Span at) {
  const Value *set = attribute(c, WORD_SET);
  if (!set) {
    diag_at(&x->front->diags, E0415, at, "the weight set", "it");
    return NULL;
  }
  Sizes row = row_sizes(s);
  return set_form(x, set->as.set, &row, set->span, at);
}

/* Free parameters of the rows: less the equations and fixed norms of each. */
static uint64_t free_of(SetForm *f, uint64_t rows) {
  uint64_t bound = f->nequation + (f->norm == NORM_FIXED);
  return rows * (f->m - bound);
}

/* Draws rows by the layer's initialiser, and stores their coordinates. */
static Val draw_weights(Expander *x, Context *c, SetForm *f, Val param, int64_t groups,
                        bool projected) {
  Shape s = graph_node(x->graph, param)->shape;
  Name name = graph_node(x->graph, param)->attr.decl.name;
  int64_t rows = s.dim[s.rank - 1].n, window = s.rank == 4 ? (int64_t)s.dim[0].n * s.dim[1].n : 1;
  x->draw = (Draw){.shape = s, .fan_in = f->m, .fan_out = rows / groups * window,
                   .stream = stream_of(x, name, 0)};
  const Value *block = attribute(c, WORD_INIT);
  Context k = {block->as.block.scope, c->frame, c->attributes};
  Value w = eval(x, &k, block->as.block.expr);
  Shape drawn = x->draw.shape;
  x->draw.shape.rank = 0;
  if (w.kind == VALUE_POISON) return 0;
  Val rows_drawn = graph_map2(x->graph, S_add, tensor_of(x, &w), graph_fill(x->graph, drawn, 0.0));
  if (!rows_drawn || !shape_equal(&graph_node(x->graph, rows_drawn)->shape, &drawn)) {
    diag_at(&x->front->diags, E0401, block->span, "the initialiser's value", value_kind(&w),
            "a tensor of the sizes that rows() gives");
    return 0;
  }
  Val v =
      projected ? set_project(x->graph, f, rows_drawn) : set_coordinates(x->graph, f, rows_drawn);
  graph_store(x->graph, PHASE_INIT, param, v);
  x->draw.root = x->graph->nroot;
  return v;
}

/* The lowering of this layer: its @lower, or that of the run. Also obeys what only kernels read. */
static const char *layer_lower(Expander *x, Context *c) {
  const Value *lower = attribute(c, WORD_LOWER);
  attribute(c, WORD_TILE);
  attribute(c, WORD_STAGES);
  if (lower && layer_now(x)) layer_now(x)->lower = lower->as.text;
  return lower ? lower->as.text : x->model->set.lower;
}

/* The rows of a layer, in its weight set. */
Value param_weights(Expander *x, Context *c, Shape s, int64_t groups, Span at) {
  const char *lower = layer_lower(x, c);
  SetForm *f = layer_form(x, c, &s, at);
  if (!f || !tensors_left(x, at)) return value_poison();
  bool projected = f->ngroup && !strcmp(lower, "projected");
  uint64_t all = shape_elements(&s), rows = (uint64_t)s.dim[s.rank - 1].n;
  count_params(x, c, all, free_of(f, rows), f);
  Val dead = projected ? 0 : set_dead(x->graph, f);
  Val param =
      graph_decl(x->graph, OP_PARAM, frame_name(x, c->frame, "v"), DTYPE_F32, s, FEED_NONE, dead);
  param_add(x, c, param, dead, f, projected, at);
  (void)attribute(c, WORD_INIT); /* obeyed, in whatever phase */
  if (f->ngroup && x->mode == MODE_TRAIN && !projected)
    PUSH(x->arena, x->model, fold,
         (ModelFold){graph_node(x->graph, param)->attr.decl.name, set_fold(x->arena, f)});
  Val v = param;
  if (x->mode == MODE_INIT) v = draw_weights(x, c, f, param, groups, projected);
  if (!v) return value_poison();
  Val w = projected ? v : set_weights(x->graph, f, v, !strcmp(lower, "dense"));
  if (x->mode == MODE_EVAL && f->ngroup && !x->request->checks)
    graph_output(x->graph, PHASE_PROBE, OUT_RESIDUAL, c->frame->path, set_residual(x->graph, f, w));
  return value_tensor(w, at);
}

/* The standard deviation of all elements. */
static Val deviation(Graph *g, Val z) {
  const Shape *s = &graph_node(g, z)->shape;
  uint32_t axes = (1u << s->rank) - 1;
  Val n = graph_const(g, 1.0 / (double)shape_elements(s));
  Val mean = graph_map2(g, S_mul, graph_reduce(g, S_add, z, axes), n);
  Val d = graph_map2(g, S_sub, z, mean);
  Val squares = graph_reduce(g, S_add, graph_map2(g, S_mul, d, d), axes);
  return graph_map1(g, S_sqrt, graph_map2(g, S_mul, graph_reshape(g, squares, (Shape){0}), n));
}

/* Under an initialiser that asks for it, scales the weights drawn so that z has deviation 1. */
Value param_calibrate(Expander *x, Val z, Span at) {
  bool now = x->mode == MODE_INIT && x->draw.rescaled && x->draw.root;
  x->draw.rescaled = false;
  if (!now) return value_tensor(z, at);
  Val sd = deviation(x->graph, z);
  Root *store = &x->graph->root[x->draw.root - 1];
  store->value = graph_map2(x->graph, S_div, store->value, sd);
  return value_tensor(graph_map2(x->graph, S_div, z, sd), at);
}
