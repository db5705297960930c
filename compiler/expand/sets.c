/* sets.c: a weight set's arithmetic, as ordinary nodes of the graph.
 *
 * In: the form of a set of disjoint sums, and rows or coordinates with the lanes in front:
 * [in, out] or [Kh, Kw, C, out]. Out: the other of the two. With B the Householder basis of one
 * group of m lanes, its lane 0 dead, W = B V is V + c s, s the sum of the group's V, and
 * V = B^T W is W + r on the group with r = sum of c W; c_0 = -1/sqrt(m), c_j = -1/(m + sqrt(m)).
 * Nothing here knows a set by name; fuse finds these nodes by their form. */
#include "sets.h"
#include <math.h>

/* Free rows and disjoint sums have a form that is built here. */
const char *set_unready(const SetForm *f) {
  if (f->norm == NORM_GAIN) return "the rows have a learnt norm";
  if (f->norm == NORM_FIXED) return "the rows have a fixed norm";
  if (f->sigma) return "the matrix has a fixed spectral norm";
  return f->linear_other ? "its equations are not sums of disjoint groups" : NULL;
}

/* ---- vectors over the lanes ------------------------------------------------------------- */

/* One number per lane: [in, 1] or [Kh, Kw, C, 1]. */
static Shape lane_shape(const SetForm *f) {
  const int64_t *d = f->row.dim;
  if (f->row.rank == 3)
    return (Shape){4, {{(int32_t)d[1], 0}, {(int32_t)d[2], 0}, {(int32_t)d[0], 0}, {1, 0}}};
  return (Shape){2, {{(int32_t)d[0], 0}, {1, 0}}};
}

/* All axes but the last: those of the lanes. */
static uint32_t lane_axes(const SetForm *f) { return f->row.rank == 3 ? 7 : 1; }

/* A list with `first` at the group's dead lane, `inside` at its others and `outside` elsewhere. */
static Val lane_list(Graph *g, const SetForm *f, uint32_t group, double first, double inside,
                     double outside) {
  double *value = NEW_ARRAY(g->arena, double, f->m);
  for (uint32_t i = 0; i < f->m; i++) value[i] = f->group_of[i] == group ? inside : outside;
  value[f->group[group - 1].first] = first;
  return graph_list(g, lane_shape(f), value);
}

/* The vector c of a group. */
static Val group_c(Graph *g, SetForm *f, uint32_t group) {
  SumGroup *s = &f->group[group - 1];
  double m = s->count;
  if (!s->c) s->c = lane_list(g, f, group, -1.0 / sqrt(m), -1.0 / (m + sqrt(m)), 0.0);
  return s->c;
}

/* v where the group is, 0 elsewhere. */
static Val group_only(Graph *g, SetForm *f, uint32_t group, Val v) {
  SumGroup *s = &f->group[group - 1];
  if (s->count == f->m) return v;
  if (!s->inside) s->inside = lane_list(g, f, group, 1.0, 1.0, 0.0);
  return graph_map2(g, S_mul, v, s->inside);
}

Val set_dead(Graph *g, SetForm *f) {
  if (f->dead || !f->ngroup) return f->dead;
  double *value = NEW_ARRAY(g->arena, double, f->m);
  for (uint32_t i = 0; i < f->m; i++) value[i] = 1.0;
  for (uint32_t i = 0; i < f->ngroup; i++) value[f->group[i].first] = 0.0;
  return f->dead = graph_list(g, lane_shape(f), value);
}

/* ---- rows and coordinates --------------------------------------------------------------- */

/* B as a matrix: the identity, and for each group c beside its live lanes. */
static Val stored_basis(Graph *g, SetForm *f) {
  Shape down = {2, {{(int32_t)f->m, 0}, {1, 0}}}, across = {2, {{1, 0}, {(int32_t)f->m, 0}}};
  Val basis = graph_map2(g, S_eq, graph_iota(g, down), graph_iota(g, across));
  for (uint32_t i = 1; i <= f->ngroup; i++) {
    Val c = graph_reshape(g, group_c(g, f, i), down);
    Val live = graph_map2(g, S_mul, set_dead(g, f),
                          group_only(g, f, i, graph_fill(g, lane_shape(f), 1.0)));
    basis = graph_map2(g, S_add, basis, graph_map2(g, S_mul, c, graph_reshape(g, live, across)));
  }
  return basis;
}

/* W by a product with the stored basis. */
static Val dense_weights(Graph *g, SetForm *f, Val v) {
  Shape s = graph_node(g, v)->shape;
  Shape matrix = {2, {{(int32_t)f->m, 0}, s.dim[s.rank - 1]}};
  Val w = graph_matmul(g, stored_basis(g, f), false, graph_reshape(g, v, matrix), false);
  return graph_reshape(g, w, s);
}

Val set_weights(Graph *g, SetForm *f, Val v, bool dense) {
  if (dense && f->ngroup) return dense_weights(g, f, v);
  Val w = v;
  for (uint32_t i = 1; i <= f->ngroup; i++) {
    Val s = graph_reduce(g, S_add, group_only(g, f, i, v), lane_axes(f));
    w = graph_map2(g, S_add, w, graph_map2(g, S_mul, group_c(g, f, i), s));
  }
  return w;
}

Val set_coordinates(Graph *g, SetForm *f, Val w) {
  Val v = w;
  for (uint32_t i = 1; i <= f->ngroup; i++) {
    Val r = graph_reduce(g, S_add, graph_map2(g, S_mul, w, group_c(g, f, i)), lane_axes(f));
    if (f->group[i - 1].count != f->m)
      r = group_only(g, f, i, graph_map2(g, S_mul, r, graph_fill(g, lane_shape(f), 1.0)));
    v = graph_map2(g, S_add, v, r);
  }
  return f->ngroup ? graph_map2(g, S_mul, v, set_dead(g, f)) : v;
}

Val set_project(Graph *g, SetForm *f, Val w) {
  Val p = w;
  for (uint32_t i = 1; i <= f->ngroup; i++) {
    Val s = graph_reduce(g, S_add, group_only(g, f, i, w), lane_axes(f));
    Val mean = graph_map2(g, S_mul, s, graph_const(g, 1.0 / f->group[i - 1].count));
    if (f->group[i - 1].count != f->m)
      mean = group_only(g, f, i, graph_map2(g, S_mul, mean, graph_fill(g, lane_shape(f), 1.0)));
    p = graph_map2(g, S_sub, p, mean);
  }
  return p;
}

/* The sum of w over its lanes with the rounding of a sum of small numbers: the part of each
 * number above 2^-10 is summed apart, where float32 sums it exactly. */
static Val sum_exactly(Graph *g, Val w, uint32_t axes) {
  Val unit = graph_const(g, 1024.0), step = graph_const(g, 1.0 / 1024.0);
  Val high = graph_map2(g, S_mul, graph_map1(g, S_floor, graph_map2(g, S_mul, w, unit)), step);
  Val low = graph_map2(g, S_sub, w, high);
  return graph_map2(g, S_add, graph_reduce(g, S_add, high, axes), graph_reduce(g, S_add, low, axes));
}

Val set_residual(Graph *g, SetForm *f, Val w) {
  Val worst = 0;
  const Shape *s = &graph_node(g, w)->shape;
  Shape neurons = {1, {s->dim[s->rank - 1]}};
  for (uint32_t i = 1; i <= f->ngroup; i++) {
    Val sum = graph_map1(g, S_abs, sum_exactly(g, group_only(g, f, i, w), lane_axes(f)));
    worst = worst ? graph_map2(g, S_max, worst, sum) : sum;
  }
  return graph_reshape(g, worst, neurons);
}

/* The groups as ranges of lanes, in the order of the lanes. */
const char *set_fold(Arena *a, const SetForm *f) {
  Text t;
  text_init(&t, a);
  for (uint32_t i = 0; i < f->ngroup; i++)
    text_add(&t, "%s%u:%u", i ? "," : "", f->group[i].first, f->group[i].first + f->group[i].count);
  return t.s;
}
