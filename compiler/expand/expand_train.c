/* expand_train.c: what a phase does with the network's output.
 *
 * In: the logits (or predictions) of a batch. Out: the loss of every sample and whether it was
 * hit, as OUTPUTs; in training also the gradient of the mean loss, flags of every weight gradient,
 * and the optimiser's new values as STOREs. Loss and optimiser are blocks of the prelude, or
 * the user's own: a loss takes (z, label) and gives [N, 1]; an optimiser takes (parameter,
 * gradient, rate, decay) and gives the new parameter. */
#include "expand.h"
#include <math.h>
#include <string.h>

static Name text_name(Expander *x, const char *s) { return name_of_text(x->front->names, s); }

/* The labels as [N, 1], or as many columns as there are targets. */
static Val label_column(Expander *x) {
  if (graph_node(x->graph, x->label)->shape.rank == 2) return x->label;
  return graph_reshape(x->graph, x->label, (Shape){2, {x->batch, {1, 0}}});
}

/* A column [N, 1] as the output [N]. */
static void output_rows(Expander *x, Phase phase, Out out, const char *name, Val column) {
  Val rows = graph_reshape(x->graph, column, (Shape){1, {x->batch}});
  graph_output(x->graph, phase, out, text_name(x, name), rows);
}

/* The loss of every sample, [N, 1]; 0 after an error. */
static Val loss_rows(Expander *x, const Recipe *r, Val z) {
  Value block = recipe_block(x, r, "loss");
  x->graph->span = block.span;
  Frame top = {.id = ++x->frames, .closed = true};
  Context c = {x->top, &top, NULL};
  Value in[] = {value_tensor(z, block.span), value_tensor(label_column(x), block.span)};
  Value v = apply_block(x, &c, &block, in, 2, block.span);
  if (v.kind != VALUE_TENSOR) return 0;
  const Shape *s = &graph_node(x->graph, v.as.tensor)->shape;
  if (s->rank == 2 && s->dim[0].n == x->batch.n && s->dim[1].n == 1) return v.as.tensor;
  diag_at(&x->front->diags, E0506, block.span, "the loss", "one number per sample", "its result",
          tensor_text(x->arena, x->graph, v.as.tensor));
  return 0;
}

/* Outputs common to training and evaluation; gives the rows of the loss. */
static Val outputs(Expander *x, const Recipe *r, Phase phase, Val z) {
  x->graph->layer = text_name(x, "loss");
  Val rows = loss_rows(x, r, z);
  if (!rows) return 0;
  output_rows(x, phase, OUT_LOSS, "loss", rows);
  const Shape *s = &graph_node(x->graph, z)->shape;
  if (!x->model->set.classes || s->rank != 2) return rows;
  Value in[] = {value_tensor(z, (Span){0}), value_tensor(label_column(x), (Span){0})};
  Value hit = call_prelude(x, "hits", in, 2);
  if (hit.kind != VALUE_TENSOR) return 0;
  output_rows(x, phase, OUT_HIT, "hit", hit.as.tensor);
  return rows;
}

/* ---- updates ---------------------------------------------------------------------------- */

/* Gradients of the mean loss, in place of zeros for parameters that it does not depend on. */
static bool gradients(Expander *x, Val rows, Val *gradient) {
  Graph *g = x->graph;
  Val *want = NEW_ARRAY(x->arena, Val, x->nparam + 1);
  for (uint32_t i = 0; i < x->nparam; i++) want[i] = x->param[i].value;
  Val sum = graph_reshape(g, graph_reduce(g, S_add, rows, 3), (Shape){0});
  Val mean = graph_map2(g, S_mul, sum, graph_const(g, 1.0 / x->batch.n));
  if (!graph_gradient(g, mean, want, gradient, x->nparam)) {
    diag_at(&x->front->diags, E0518, (Span){0}, g->error);
    return false;
  }
  for (uint32_t i = 0; i < x->nparam; i++) {
    const Param *p = &x->param[i];
    if (gradient[i]) continue;
    diag_at(&x->front->diags, W0712, p->span, name_text(x->front->names, p->name));
    gradient[i] = graph_fill(g, graph_node(g, p->value)->shape, 0.0);
  }
  return true;
}

static Val sum_of_squares(Graph *g, Val v, uint32_t axes) {
  return graph_reduce(g, S_add, graph_map2(g, S_mul, v, v), axes);
}

/* The flags of a weight gradient, one for each neuron: what the kernel that makes the gradient sums
 * over its columns. A sum of the whole tensor would be one more kernel in every layer. */
static void flag_output(Expander *x, const Param *p, Val gradient) {
  const Shape *s = &graph_node(x->graph, gradient)->shape;
  Shape neurons = {1, {s->dim[s->rank - 1]}};
  Val sum = sum_of_squares(x->graph, gradient, (1u << (s->rank - 1)) - 1);
  graph_output(x->graph, PHASE_TRAIN, OUT_FINITE, p->name, graph_reshape(x->graph, sum, neurons));
}

/* The layer that a parameter belongs to: its path without the last name. */
static Name layer_of(Expander *x, Name param) {
  const char *s = name_text(x->front->names, param);
  const char *dot = strrchr(s, '.');
  return dot ? name_of(x->front->names, s, (size_t)(dot - s)) : 0;
}

/* Keeps gradients within what the parameters may change: dead lanes stay 0, projected rows stay
 * in their set. Also the flags of each weight gradient. */
static void restrict_gradients(Expander *x, Val *gradient) {
  Graph *g = x->graph;
  for (uint32_t i = 0; i < x->nparam; i++) {
    const Param *p = &x->param[i];
    g->span = p->span;
    g->layer = layer_of(x, p->name);
    if (p->dead) gradient[i] = graph_map2(g, S_mul, gradient[i], p->dead); /* a NaN stays one */
    if (p->form) flag_output(x, p, gradient[i]);
    if (!p->dead && p->projected) gradient[i] = set_project(g, p->form, gradient[i]);
  }
}

/* Scales all gradients so that their common norm is at most `clip`. */
static void clip_gradients(Expander *x, double clip, Val *gradient) {
  Graph *g = x->graph;
  Val sum = 0;
  if (clip == 0.0 || !x->nparam) return;
  for (uint32_t i = 0; i < x->nparam; i++) {
    uint32_t axes = (1u << graph_node(g, gradient[i])->shape.rank) - 1;
    Val part = graph_reshape(g, sum_of_squares(g, gradient[i], axes), (Shape){0});
    sum = sum ? graph_map2(g, S_add, sum, part) : part;
  }
  Val norm = graph_map2(g, S_add, graph_map1(g, S_sqrt, sum), graph_const(g, 1e-6));
  Val scale =
      graph_map2(g, S_min, graph_const(g, 1.0), graph_map2(g, S_div, graph_const(g, clip), norm));
  for (uint32_t i = 0; i < x->nparam; i++)
    gradient[i] = graph_map2(g, S_mul, gradient[i], scale);
}

/* One parameter's step by the optimiser. */
static bool update(Expander *x, const Value *optimizer, const Param *p, Val gradient) {
  Graph *g = x->graph;
  Frame frame = {.path = p->name, .id = ++x->frames, .closed = true};
  Context c = {x->top, &frame, NULL};
  Val rate = graph_map2(g, S_mul, x->rate, graph_const(g, p->lr));
  double decay = isnan(p->decay) ? x->model->set.decay : p->decay;
  g->span = p->span;
  g->layer = layer_of(x, p->name);
  Value in[] = {value_tensor(p->value, p->span), value_tensor(gradient, p->span),
                value_tensor(rate, p->span), value_real(decay, p->span)};
  Value v = apply_block(x, &c, optimizer, in, 4, optimizer->span);
  if (v.kind != VALUE_TENSOR) return false;
  graph_store(g, PHASE_TRAIN, p->value, v.as.tensor);
  return true;
}

/* Whether the lowering keeps what the optimiser does: sgd's step is linear in the gradient, so
 * the basis of a set does not matter; of others it does, which is noted, and projected refused. */
static bool lower_legal(Expander *x, const Value *optimizer) {
  const char *name = name_text(x->front->names, ast_name(optimizer->as.block.expr));
  const Param *based = NULL, *projected = NULL;
  for (uint32_t i = 0; i < x->nparam; i++) {
    const Param *p = &x->param[i];
    if (p->form && p->form->ngroup && !based) based = p;
    if (p->projected && !projected) projected = p;
  }
  if (!based || !strcmp(name, "sgd")) return true;
  if (projected)
    diag_at(&x->front->diags, E0610, optimizer->span, "projected", name,
            "its step is not linear in the gradient, so it depends on the basis of the set");
  else diag_at(&x->front->diags, N0604, optimizer->span, name, based->form->set->text);
  return !projected;
}

bool expand_train(Expander *x, const Recipe *r, Val z) {
  Value optimizer = recipe_block(x, r, "optimizer");
  Val *gradient = NEW_ARRAY(x->arena, Val, x->nparam + 1);
  Val rows = outputs(x, r, PHASE_TRAIN, z);
  if (!rows || !lower_legal(x, &optimizer) || !gradients(x, rows, gradient)) return false;
  restrict_gradients(x, gradient);
  clip_gradients(x, x->model->set.clip, gradient);
  bool ok = true;
  for (uint32_t i = 0; ok && i < x->nparam; i++)
    ok = update(x, &optimizer, &x->param[i], gradient[i]);
  x->graph->layer = 0;
  return ok;
}

bool expand_eval(Expander *x, const Recipe *r, Val z) {
  bool ok = outputs(x, r, PHASE_EVAL, z) != 0;
  x->graph->layer = 0;
  return ok;
}
