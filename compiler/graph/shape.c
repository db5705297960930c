/* shape.c: shapes as plain values, and the shape rule of every operation.
 *
 * In: a node with operands and attributes filled in (and, for leaves and RESHAPE, the declared
 * shape). Out: its shape and dtype, or false with the reason in graph->error. A rule reads
 * operands through SHAPE(i). Every result is f32, but for views and leaves, which keep what
 * they have, and the MAP bf16. Dimension names follow the sizes that they belong to; they never decide. */
#include "rules.h"

#define SHAPE(i) (&g->node[n->in[i]].shape)

/* ---- values -------------------------------------------------------------------------- */

/* Number of elements; UINT64_MAX if it does not fit. */
uint64_t shape_elements(const Shape *s) {
  uint64_t n = 1;
  for (int i = 0; i < s->rank; i++)
    if (__builtin_mul_overflow(n, (uint64_t)s->dim[i].n, &n)) return UINT64_MAX;
  return n;
}

/* Equal sizes; names do not count. */
bool shape_equal(const Shape *a, const Shape *b) {
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i].n != b->dim[i].n) return false;
  return true;
}

/* A shape of unnamed dimensions. */
Shape shape_of(uint32_t rank, const int32_t *dim) {
  Shape s = {.rank = (uint8_t)rank};
  for (uint32_t i = 0; i < rank; i++) s.dim[i].n = dim[i];
  return s;
}

/* Appends `[N=128, 256]`. */
void shape_text(Text *t, const Names *names, const Shape *s) {
  text_add(t, "[");
  for (int i = 0; i < s->rank; i++) {
    if (i) text_add(t, ", ");
    if (s->dim[i].name) text_add(t, "%s=", name_text(names, s->dim[i].name));
    text_add(t, "%d", s->dim[i].n);
  }
  text_add(t, "]");
}

/* Shape as text in the graph's arena, for messages. */
const char *shape_string(const Graph *g, const Shape *s) {
  Text t;
  text_init(&t, g->arena);
  shape_text(&t, g->names, s);
  return t.s;
}

/* Whether dimensions of 1 (or rank 0) make `a` fit `to`. */
static bool shape_fits(const Shape *a, const Shape *to) {
  if (a->rank == 0) return true;
  if (a->rank != to->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i].n != 1 && a->dim[i].n != to->dim[i].n) return false;
  return true;
}

/* ---- leaves -------------------------------------------------------------------------- */

/* INPUT, PARAM, STATE: as declared; the mask of dead lanes must fit. */
bool shape_declared(Graph *g, Node *n) {
  Val dead = n->attr.decl.dead;
  if (!n->attr.decl.name) return graph_refuse(g, "a declared tensor needs a name");
  if (!dead || shape_fits(&g->node[dead].shape, &n->shape)) return true;
  return graph_refuse(g, "the mask of dead lanes is %s, the parameter %s",
                      shape_string(g, &g->node[dead].shape), shape_string(g, &n->shape));
}

/* CONST: as declared; an iota runs along the one dimension that is not 1. */
bool shape_constant(Graph *g, Node *n) {
  int wide = 0;
  for (int i = 0; i < n->shape.rank; i++) wide += n->shape.dim[i].n != 1;
  if (n->attr.constant.kind == CONST_IOTA && wide > 1)
    return graph_refuse(g, "iota %s: more than one dimension", shape_string(g, &n->shape));
  return true;
}

/* RANDOM: as declared; its operand holds the step and the seed. */
bool shape_random(Graph *g, Node *n) {
  const Node *step = &g->node[n->in[0]];
  if (step->op == OP_INPUT && step->attr.decl.feed == FEED_STEP && step->dtype == DTYPE_U32 &&
      shape_elements(&step->shape) == 2)
    return true;
  return graph_refuse(g, "random: its operand is not the input u32[2] of step and seed");
}

/* ---- contractions -------------------------------------------------------------------- */

/* Operands of a contraction are floating point: bytes and labels are decoded by a MAP first. */
static bool operands_float(Graph *g, const Node *n, const char *what) {
  for (int i = 0; i < 2; i++) {
    uint8_t dtype = g->node[n->in[i]].dtype;
    if (dtype != DTYPE_F32 && dtype != DTYPE_F64 && dtype != DTYPE_BF16)
      return graph_refuse(g, "%s: operand %d holds integers; decode it first", what, i + 1);
  }
  return true;
}

/* MATMUL: [M,K] x [K,N], either stored transposed. */
bool shape_matmul(Graph *g, Node *n) {
  const Shape *a = SHAPE(0), *b = SHAPE(1);
  int ta = n->attr.gemm.ta, tb = n->attr.gemm.tb;
  if (!operands_float(g, n, "matmul")) return false;
  if (a->rank != 2 || b->rank != 2)
    return graph_refuse(g, "matmul needs two matrices: left is %s, right is %s", shape_string(g, a),
                        shape_string(g, b));
  if (a->dim[!ta].n != b->dim[tb].n)
    return graph_refuse(g, "matmul: inner sizes differ: left is %s%s, right is %s%s",
                        shape_string(g, a), ta ? " transposed" : "", shape_string(g, b),
                        tb ? " transposed" : "");
  n->shape.rank = 2;
  n->shape.dim[0] = a->dim[ta];
  n->shape.dim[1] = b->dim[!tb];
  return true;
}

/* Positions of a window of `size` along an axis, by LANGUAGE section 8: floor. */
static int32_t window_count(int64_t extent, int32_t size, int32_t stride, int32_t pad) {
  if (size < 1 || stride < 1 || pad < 0) return 0;
  int64_t room = extent + 2 * (int64_t)pad - size;
  return room < 0 ? 0 : (int32_t)(room / stride + 1);
}

/* Replaces height and width by the number of window positions. */
static bool window_shape(Graph *g, Node *n, const int32_t *size, const int32_t *stride,
                         const int32_t *pad) {
  for (int i = 0; i < 2; i++) {
    int32_t count = window_count(n->shape.dim[1 + i].n, size[i], stride[i], pad[i]);
    if (!count)
      return graph_refuse(g, "a window of %d x %d does not fit into %s", size[0], size[1],
                          shape_string(g, SHAPE(0)));
    n->shape.dim[1 + i] = (Dim){count, 0};
  }
  return true;
}

/* CONV2D: [N,H,W,C] x [Kh,Kw,C/groups,O]. */
bool shape_conv2d(Graph *g, Node *n) {
  const Shape *x = SHAPE(0), *w = SHAPE(1);
  int32_t groups = n->attr.conv.groups;
  if (!operands_float(g, n, "conv2d")) return false;
  if (x->rank != 4 || w->rank != 4)
    return graph_refuse(g, "conv2d needs [N, H, W, C] and [Kh, Kw, C/groups, O]: got %s and %s",
                        shape_string(g, x), shape_string(g, w));
  if (groups < 1 || x->dim[3].n % groups || w->dim[3].n % groups)
    return graph_refuse(g, "conv2d: %d groups do not divide %d and %d channels", groups,
                        x->dim[3].n, w->dim[3].n);
  if (w->dim[2].n != x->dim[3].n / groups)
    return graph_refuse(g, "conv2d: the kernel %s takes %d channels a group, the input has %d",
                        shape_string(g, w), w->dim[2].n, x->dim[3].n / groups);
  n->shape = *x;
  n->shape.dim[3] = w->dim[3];
  int32_t size[2] = {w->dim[0].n, w->dim[1].n};
  return window_shape(g, n, size, n->attr.conv.stride, n->attr.conv.pad);
}

/* POOL2D: windows over height and width; padding of at most half a window, so none is empty. */
bool shape_pool2d(Graph *g, Node *n) {
  const Shape *x = SHAPE(0);
  if (x->rank != 4) return graph_refuse(g, "pool2d needs [N, H, W, C]: got %s", shape_string(g, x));
  for (int i = 0; i < 2; i++)
    if (n->attr.pool.pad[i] > n->attr.pool.size[i] / 2)
      return graph_refuse(g, "pool2d: padding %d is more than half of the window's %d",
                          n->attr.pool.pad[i], n->attr.pool.size[i]);
  n->shape = *x;
  return window_shape(g, n, n->attr.pool.size, n->attr.pool.stride, n->attr.pool.pad);
}

/* ---- maps and reductions ------------------------------------------------------------- */

/* Widens `to` by one operand; false if a size differs and neither is 1. */
static bool shape_widen(Shape *to, const Shape *a) {
  if (a->rank == 0) return true;
  if (to->rank == 0) *to = *a;
  if (to->rank != a->rank) return false;
  for (int i = 0; i < a->rank; i++) {
    Dim *d = &to->dim[i];
    if (d->n != a->dim[i].n && d->n != 1 && a->dim[i].n != 1) return false;
    if (d->n == 1 || (d->n == a->dim[i].n && !d->name)) *d = a->dim[i];
  }
  return true;
}

/* MAP: one rank, dims equal or 1; rank 0 goes with any. */
bool shape_broadcast(Graph *g, Node *n) {
  n->shape = (Shape){0};
  for (int i = 0; i < node_arity(n); i++)
    if (!shape_widen(&n->shape, SHAPE(i)))
      return graph_refuse(g, "%s: shapes do not fit: %s and %s", scalartab[n->attr.map.fn].name,
                          shape_string(g, &n->shape), shape_string(g, SHAPE(i)));
  n->dtype = n->attr.map.fn == S_bf16 ? DTYPE_BF16 : DTYPE_F32;
  return true;
}

/* REDUCE: the axes become 1. */
bool shape_reduce(Graph *g, Node *n) {
  const Shape *a = SHAPE(0);
  uint32_t axes = n->attr.reduce.axes, fn = n->attr.reduce.fn;
  if (fn != S_add && fn != S_max)
    return graph_refuse(g, "reduce: %s is neither add nor max", scalartab[fn].name);
  if (axes >> a->rank)
    return graph_refuse(g, "reduce: axes 0x%x of a tensor of rank %d", axes, a->rank);
  n->shape = *a;
  for (int i = 0; i < a->rank; i++)
    if (axes >> i & 1) n->shape.dim[i] = (Dim){1, 0};
  return true;
}

/* ---- moving elements ----------------------------------------------------------------- */

/* STOP: the operand's shape and type. */
bool shape_same(Graph *g, Node *n) {
  n->shape = *SHAPE(0);
  n->dtype = g->node[n->in[0]].dtype;
  return true;
}

/* RESHAPE: as declared, the same elements; of a RESHAPE, it reads what that reads. */
bool shape_reshape(Graph *g, Node *n) {
  const Node *a = &g->node[n->in[0]];
  n->dtype = a->dtype;
  if (shape_elements(&a->shape) != shape_elements(&n->shape))
    return graph_refuse(g, "reshape: %s and %s have different numbers of elements",
                        shape_string(g, &a->shape), shape_string(g, &n->shape));
  if (a->op == OP_RESHAPE) n->in[0] = a->in[0];
  return true;
}

/* TRANSPOSE: result axis i is operand axis perm[i]; a permutation. */
bool shape_transpose(Graph *g, Node *n) {
  const Node *a = &g->node[n->in[0]];
  const uint8_t *perm = n->attr.perm.perm;
  uint32_t seen = 0;
  n->dtype = a->dtype;
  n->shape.rank = a->shape.rank;
  for (int i = 0; i < a->shape.rank; i++) {
    if (perm[i] >= a->shape.rank || seen >> perm[i] & 1)
      return graph_refuse(g, "transpose: not a permutation of %d axes", a->shape.rank);
    seen |= 1u << perm[i];
    n->shape.dim[i] = a->shape.dim[perm[i]];
  }
  return true;
}

/* SLICE: `size` elements of one axis from `begin`. */
bool shape_slice(Graph *g, Node *n) {
  int32_t axis = n->attr.slice.axis, begin = n->attr.slice.begin, size = n->attr.slice.size;
  shape_same(g, n);
  if (axis < 0 || axis >= n->shape.rank)
    return graph_refuse(g, "slice: no axis %d in %s", axis, shape_string(g, &n->shape));
  if (begin < 0 || size < 1 || (int64_t)begin + size > n->shape.dim[axis].n)
    return graph_refuse(g, "slice: %d elements from %d of axis %d of %s", size, begin, axis,
                        shape_string(g, &n->shape));
  n->shape.dim[axis] = (Dim){size, 0};
  return true;
}

/* EMBED: the operand from `begin` on in an axis of `size`, zeros around it. */
bool shape_embed(Graph *g, Node *n) {
  int32_t axis = n->attr.slice.axis, begin = n->attr.slice.begin, size = n->attr.slice.size;
  shape_same(g, n);
  if (axis < 0 || axis >= n->shape.rank)
    return graph_refuse(g, "embed: no axis %d in %s", axis, shape_string(g, &n->shape));
  if (begin < 0 || (int64_t)begin + n->shape.dim[axis].n > size)
    return graph_refuse(g, "embed: %s from %d on does not fit into %d", shape_string(g, &n->shape),
                        begin, size);
  n->shape.dim[axis] = (Dim){size, 0};
  return true;
}
