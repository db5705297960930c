/* gradcheck.c: what goes in is a graph with values for its leaves; out come, leaf by leaf, the
 * differences between the adjoints that grad.c appends and central differences of the loss,
 * both by the float64 interpreter: so it is the derivation that is checked.
 *
 * Four points at a step of 1e-3 max(1, |x|) are the most exact: truncation (h^4 / 30) and
 * rounding (1e-16 / h) are both about 1e-13. But a wide step meets kinks, so where a branch of
 * the graph (a comparison, a maximum, a floor, a sign) goes another way at one of the points
 * than at x, two points at 6e-6 max(1, |x|) are taken; and where these meet a kink as well, the
 * element is left out: a difference would measure the kink. */
#include "gradcheck.h"
#include "rules.h"
#include <math.h>
#include <string.h>

typedef struct {
  Graph *g;
  Interpreter *run;
  Val loss;
  const bool *live;        /* nodes that the loss reads */
  uint64_t branch;         /* hash of the branches at the point itself */
  double noise;            /* what rounding may do to the loss */
} Check;

#define WIDE 1e-3
#define NARROW 6e-6
#define ROUNDINGS 16       /* units in the last place that the loss may be off */

/* ---- branches ------------------------------------------------------------------------ */

/* Offset of the element of a smaller tensor that broadcasts to element i of `to`. */
static uint64_t broadcast_at(const Shape *s, const Shape *to, uint64_t i) {
  uint64_t at = 0, step = 1;
  for (int d = s->rank; d-- > 0; i /= (uint64_t)to->dim[d].n) {
    if (s->dim[d].n > 1) at += i % (uint64_t)to->dim[d].n * step;
    step *= (uint64_t)s->dim[d].n;
  }
  return at;
}

/* Operand k of node v at element i of the shape that the operand broadcasts to. */
static double operand(const Check *c, const Node *n, int k, const Shape *over, uint64_t i) {
  Val v = n->in[k];
  return interpreter_get(c->run, v)[broadcast_at(&c->g->node[v].shape, over, i)];
}

/* Which way element i of a MAP went: a small number. */
static uint64_t map_branch(const Check *c, Val v, uint64_t i) {
  const Node *n = &c->g->node[v];
  double a = operand(c, n, 0, &n->shape, i);
  switch ((Scalar)n->attr.map.fn) {
  case S_min:
  case S_max: {
    double b = operand(c, n, 1, &n->shape, i);
    return (uint64_t)(1 + (a > b) - (a < b));
  }
  case S_abs: return (uint64_t)(1 + (a > 0) - (a < 0));
  case S_select: return a != 0;
  default: return (uint64_t)(int64_t)interpreter_get(c->run, v)[i];
  }
}

/* Whether a node chooses between branches. */
static bool branches(const Node *n) {
  if (n->op == OP_REDUCE) return n->attr.reduce.fn == S_max;
  if (n->op != OP_MAP) return false;
  switch ((Scalar)n->attr.map.fn) {
  case S_min: case S_max: case S_abs: case S_select: case S_floor: case S_tf32: case S_bf16: case S_lt: case S_le: case S_eq:
    return true;
  default: return false;
  }
}

/* A number that changes when any branch of the last run changes. */
static uint64_t branch_hash(const Check *c) {
  uint64_t hash = 0;
  for (Val v = 1; v <= c->loss; v++) {
    const Node *n = &c->g->node[v];
    if (!c->live[v] || !branches(n)) continue;
    const Shape *over = n->op == OP_MAP ? &n->shape : &c->g->node[n->in[0]].shape;
    uint64_t count = shape_elements(over);
    for (uint64_t i = 0; i < count; i++) {
      uint64_t way;
      if (n->op == OP_MAP) way = map_branch(c, v, i);
      else way = operand(c, n, 0, over, i) ==
                 interpreter_get(c->run, v)[broadcast_at(&n->shape, over, i)];
      hash = (hash ^ way) * UINT64_C(0x9E3779B97F4A7C15);
      hash ^= hash >> 29;
    }
  }
  return hash;
}

/* ---- differences --------------------------------------------------------------------- */

/* One element of a leaf, and where it is. */
typedef struct { Val leaf; double *value; uint64_t at; uint64_t branch; } Element;

/* The loss with the element moved by h; false if that changes a branch. */
static bool loss_at(Check *c, const Element *e, double h, double *loss) {
  double x = e->value[e->at];
  e->value[e->at] = x + h;
  interpreter_set(c->run, e->leaf, e->value);
  e->value[e->at] = x;
  interpreter_eval(c->run, &c->loss, 1);
  *loss = interpreter_get(c->run, c->loss)[0];
  return branch_hash(c) == e->branch;
}

/* The central difference over 2 h. */
static bool slope(Check *c, const Element *e, double h, double *result) {
  double x = e->value[e->at], above, below;
  if (!loss_at(c, e, h, &above) || !loss_at(c, e, -h, &below)) return false;
  *result = (above - below) / ((x + h) - (x - h));
  return true;
}

/* The derivative of the loss by differences, wide if that meets no kink; and its noise. */
static bool difference(Check *c, const Element *e, double *result, double *noise) {
  double size = fmax(1, fabs(e->value[e->at])), near, far;
  *noise = c->noise / (WIDE * size);
  if (slope(c, e, WIDE * size, &near) && slope(c, e, 2 * WIDE * size, &far)) {
    *result = (4 * near - far) / 3;
    return true;
  }
  *noise = c->noise / (NARROW * size);
  return slope(c, e, NARROW * size, result);
}

/* Compares one element. */
static void check_element(Check *c, const Element *e, double gradient, GradCheck *r) {
  double found, noise;
  if (!difference(c, e, &found, &noise)) {
    r->kinks++;
    return;
  }
  double wrong = fmax(fabs(found - gradient) - noise, 0);
  if (isnan(found) || isnan(gradient)) wrong = INFINITY;
  if (fabs(found) > noise) r->faint = false;
  if (wrong > r->worst) r->at = (uint32_t)e->at, r->worst = wrong;
  r->largest = fmax(r->largest, fabs(found));
  r->checked++;
}

/* Compares the elements of one leaf, and puts the leaf back as it was. */
static void check_leaf(Check *c, Arena *scratch, const double *value, const double *gradient,
                       uint32_t limit, GradCheck *r) {
  uint64_t n = shape_elements(&c->g->node[r->leaf].shape);
  uint64_t step = limit && n > limit ? (n + limit - 1) / limit : 1;
  Element e = {.leaf = r->leaf, .value = arena_array(scratch, n, sizeof *e.value),
               .branch = c->branch};
  memcpy(e.value, value, n * sizeof *e.value);
  for (e.at = 0; e.at < n; e.at += step) check_element(c, &e, gradient[e.at], r);
  interpreter_set(c->run, r->leaf, value);
  r->error = r->worst == 0 ? 0 : r->worst / r->largest;
}

/* Sets every leaf that the adjoints or the loss read; false if one has no value. */
static bool set_leaves(Check *c, const double *const *value) {
  for (Val v = 1; v <= c->loss; v++) {
    const Node *n = &c->g->node[v];
    if (!c->live[v] || optab[n->op].attr != ATTR_decl) continue;
    if (!value[v])
      return graph_refuse(c->g, "`%s` has no value", name_text(c->g->names, n->attr.decl.name));
    interpreter_set(c->run, v, value[v]);
  }
  return true;
}

/* Marks what the loss reads. */
static bool *live_of(const Graph *g, Arena *scratch, Val loss) {
  bool *live = NEW_ARRAY(scratch, bool, g->nnode);
  live[loss] = true;
  for (Val v = loss; v > 0; v--)
    for (int i = 0; live[v] && i < node_arity(&g->node[v]); i++) live[g->node[v].in[i]] = true;
  return live;
}

/* See gradcheck.h. */
bool graph_check_gradient(Graph *g, Arena *scratch, Val loss, const double *const *value,
                          const Val *leaf, uint32_t n, uint32_t limit, GradCheck *result) {
  Val *adjoint = NEW_ARRAY(scratch, Val, n + 1);
  double **gradient = NEW_ARRAY(scratch, double *, n);
  if (!graph_gradient(g, loss, leaf, adjoint, n)) return false;
  Check c = {.g = g, .run = interpreter_new(g, scratch), .loss = loss};
  c.live = live_of(g, scratch, loss);
  if (!set_leaves(&c, value)) return false;
  adjoint[n] = loss;
  if (!interpreter_eval(c.run, adjoint, n + 1))
    return graph_refuse(g, "a leaf of the gradient has no value");
  c.branch = branch_hash(&c);
  c.noise = ROUNDINGS * 0x1p-53 * fabs(interpreter_get(c.run, loss)[0]);
  for (uint32_t k = 0; k < n; k++) {
    size_t bytes = shape_elements(&g->node[leaf[k]].shape) * sizeof(double);
    gradient[k] = arena_alloc(scratch, bytes);
    memcpy(gradient[k], interpreter_get(c.run, adjoint[k]), bytes);
  }
  for (uint32_t k = 0; k < n; k++) {
    result[k] = (GradCheck){.leaf = leaf[k], .faint = true};
    if (!c.live[leaf[k]]) continue; /* the loss does not depend on it */
    check_leaf(&c, scratch, value[leaf[k]], gradient[k], limit, &result[k]);
  }
  return true;
}
