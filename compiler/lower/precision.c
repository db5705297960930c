/* precision.c: what tensor cores multiply is rounded once, where it is made.
 *
 * In: the Graph of fuse_algebra(), and a precision other than fp32. Out: the Graph in which every
 * operand of a contraction is the MAP tf32 or bf16 of what it was, for all its readers: so s, t
 * and u, which are sums of operands, are sums of the rounded ones, and the response of a row that
 * sums to zero to a constant input stays zero. Its contractions say that they multiply so.
 *
 *   an activation, a gradient    one value, rounded
 *   a parameter                  two: the master, which keeps all digits, is what updates,
 *                                regularisers and norms of the update read and write; its rounding
 *                                is what everything else reads that leads to a product or to a
 *                                figure of the network. fuse_maintain() then keeps it.
 *
 * A weight that is computed (the forms update, unfused and dense) is rounded as it enters the
 * product, after the basis multiply: only the form epilogue keeps the sums exactly. Such weights are
 * counted, so that they can be told of. */
#include "fuse.h"
#include "kernel.h"

typedef struct {
  const Graph *from;
  Graph *to;
  Scalar rounding;
  bool *operand; /* [nnode] a contraction reads it, directly or through views */
  bool *leads;   /* [nnode] to a product, or to what the run is told of the network */
  bool *runs;    /* [nnode] reached by another phase than init, which computes with all digits */
  Val *plain;    /* [nnode] its value in `to`, with all digits */
  Val *rounded;  /* [nnode] what readers get; = plain where no contraction reads it */
} Rounding;

static bool is_contraction(const Node *n) { return optab[n->op].cls == CLASS_CONTRACT; }
static bool is_view(const Node *n) { return optab[n->op].cls == CLASS_VIEW; }
static bool is_master(const Node *n) { return n->op == OP_PARAM || n->op == OP_STATE; }

/* The value whose elements a view shows. */
static Val viewed(const Graph *g, Val v) {
  while (is_view(graph_node(g, v))) v = graph_node(g, v)->in[0];
  return v;
}

static bool is_figure(const Root *r) {
  return r->kind == ROOT_OUTPUT &&
         (r->out == OUT_LOSS || r->out == OUT_HIT || r->out == OUT_RESIDUAL);
}

static void runs_find(Rounding *w) {
  bool *live = NEW_ARRAY(w->from->arena, bool, w->from->nnode);
  for (Phase phase = PHASE_PREPARE; phase < PHASE_COUNT; phase++) {
    graph_live(w->from, phase, live);
    for (Val v = 1; v < w->from->nnode; v++) w->runs[v] = w->runs[v] || live[v];
  }
}

/* The facts, from the last node to the first: readers come after what they read. */
static void facts_find(Rounding *w) {
  const Graph *g = w->from;
  runs_find(w);
  for (uint32_t i = 0; i < g->nroot; i++)
    if (is_figure(&g->root[i])) w->leads[g->root[i].value] = true;
  for (Val v = g->nnode; v-- > 1;) {
    const Node *n = graph_node(g, v);
    bool product = is_contraction(n) && w->runs[v];
    for (int i = 0; i < MAX_IN; i++) {
      if (!n->in[i]) continue;
      if (product) w->operand[viewed(g, n->in[i])] = true;
      if (product || w->leads[v]) w->leads[n->in[i]] = true;
    }
  }
}

/* The node over what its operands have become. A master keeps its digits for readers that lead
 * nowhere but to its own update; init has all digits, but for what it shares with other phases: the
 * samples, whose t is one with theirs. */
static Val node_copy(Rounding *w, Val v, Precision precision) {
  enum { MASK = MAX_IN + 1 };
  Node n = *graph_node(w->from, v);
  Val map[MASK + 1] = {0}; /* operand i is map[i + 1] */
  for (int i = 0; i < MAX_IN; i++) {
    if (!n.in[i]) continue;
    bool product = is_contraction(&n) || w->leads[v];
    bool master = is_master(graph_node(w->from, n.in[i]));
    bool digits = w->runs[v] ? master && !product : master || !w->runs[n.in[i]];
    map[i + 1] = digits ? w->plain[n.in[i]] : w->rounded[n.in[i]];
    n.in[i] = (Val)(i + 1);
  }
  if (optab[n.op].attr == ATTR_decl && n.attr.decl.dead)
    map[MASK] = w->plain[n.attr.decl.dead], n.attr.decl.dead = MASK;
  if (n.op == OP_MATMUL && w->runs[v]) n.attr.gemm.precision = (uint8_t)precision;
  if (n.op == OP_CONV2D && w->runs[v]) n.attr.conv.precision = (uint8_t)precision;
  return graph_add_copy(w->to, &n, map);
}

/* A store writes all digits; what the run is told is what the network computes with. */
static void roots_copy(Rounding *w) {
  for (uint32_t i = 0; i < w->from->nroot; i++) {
    Root r = w->from->root[i];
    r.value = (r.kind == ROOT_STORE ? w->plain : w->rounded)[r.value];
    r.target = w->plain[r.target];
    PUSH(w->to->arena, w->to, root, r);
  }
}

/* Counts the operands that are computed from parameters alone. */
static uint32_t late_count(const Rounding *w, Val *first) {
  enum { CONSTANT, WEIGHT, VARIES };
  uint8_t *kind = NEW_ARRAY(w->from->arena, uint8_t, w->from->nnode);
  uint32_t count = 0;
  *first = 0;
  for (Val v = 1; v < w->from->nnode; v++) {
    const Node *n = graph_node(w->from, v);
    kind[v] = n->op == OP_INPUT || n->op == OP_RANDOM ? VARIES : is_master(n) ? WEIGHT : CONSTANT;
    for (int i = 0; i < MAX_IN; i++)
      if (n->in[i] && kind[n->in[i]] > kind[v]) kind[v] = kind[n->in[i]];
    if (kind[v] != WEIGHT || is_master(n) || !w->operand[v]) continue;
    if (!count++) *first = v;
  }
  return count;
}

uint32_t fuse_precision(Graph *g, Precision precision, Val *first) {
  if (precision == PRECISION_FP32) return 0;
  Graph to;
  graph_next(&to, g);
  uint32_t n = g->nnode;
  Rounding w = {.from = g, .to = &to, .rounding = precision == PRECISION_TF32 ? S_tf32 : S_bf16};
  w.operand = NEW_ARRAY(g->arena, bool, n);
  w.leads = NEW_ARRAY(g->arena, bool, n);
  w.runs = NEW_ARRAY(g->arena, bool, n);
  w.plain = NEW_ARRAY(g->arena, Val, n);
  w.rounded = NEW_ARRAY(g->arena, Val, n);
  facts_find(&w);
  for (Val v = 1; v < n; v++) {
    w.plain[v] = w.rounded[v] = node_copy(&w, v, precision);
    if (w.operand[v]) w.rounded[v] = graph_map1(&to, w.rounding, w.plain[v]);
  }
  roots_copy(&w);
  uint32_t late = late_count(&w, first);
  *first = w.plain[*first];
  graph_replace(g, &to);
  return late;
}
