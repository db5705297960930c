/* maintain.c: what depends on parameters alone is computed once per update, not once per use.
 * In: a Graph after fuse_algebra(). Out: an equal Graph in which such values are DERIVED leaves,
 * written by PHASE_PREPARE (after init and load) and by the phase that updates their parameters.
 *
 * For a linear set this is what makes its statistics free: s = sum_j v_j is renewed by the
 * update kernel, which has the row in hand; in the form `update` it is W = V + c (x) s itself.
 *
 * A product of tensor cores wants both operands contiguous along K. Where it finds one otherwise, it
 * gets a copy of its own, turned: [out, in] beside [in, out].
 *
 * Kept is a value v that (1) depends on PARAMs and CONSTs only, (2) is read in training by a
 * node that does not, and (3) would be costly to redo there: it contains a reduction or a
 * contraction, or a contraction reads it (which cannot redo it on the fly). Likewise what depends on
 * CONSTs only and is no CONST: it is written by PHASE_PREPARE alone. What PHASE_INIT reads is not. */
#include "fuse.h"
#include "seed.h"

enum { DEPENDS_PARAM = 1, DEPENDS_OTHER = 2 };

typedef struct {
  Graph *from, *to;
  uint8_t *depends; /* DEPENDS_ bits, per node of from */
  bool *heavy;      /* contains a reduction or contraction */
  bool *computed;   /* contains more than rounding: not the same bits from every kernel */
  bool *kept;       /* is stored ... */
  bool *plain;      /* ... as it is, since somebody reads it so, */
  Val *turned;      /* ... transposed, in this leaf of `to`; 0: nobody wants that */
  bool *live;       /* is a leaf of `to`, or still computed by its readers */
  Val *map;         /* node of from -> node of to, with kept values replaced */
  const Lowerings *lower;
  Remarks *remarks;
} Maintain;

static uint8_t leaf_depends(Op op) {
  return op == OP_CONST ? 0 : op == OP_PARAM ? DEPENDS_PARAM : DEPENDS_OTHER;
}

/* Leaves, views and what is rounded have the same bits whoever makes them. */
static bool computes(const Node *n) {
  uint8_t cls = optab[n->op].cls;
  bool rounds = n->op == OP_MAP && (n->attr.map.fn == S_tf32 || n->attr.map.fn == S_bf16);
  return cls != CLASS_LEAF && cls != CLASS_VIEW && !rounds;
}

static void facts_find(Maintain *m) {
  const Graph *g = m->from;
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    uint8_t cls = optab[n->op].cls;
    m->depends[v] = cls == CLASS_LEAF    ? leaf_depends(n->op)
                    : n->op == OP_RANDOM ? DEPENDS_OTHER
                                         : 0;
    m->heavy[v] = cls == CLASS_REDUCE || cls == CLASS_CONTRACT;
    m->computed[v] = computes(n);
    for (int i = 0; i < MAX_IN; i++)
      if (n->in[i]) {
        m->depends[v] |= m->depends[n->in[i]];
        m->heavy[v] = m->heavy[v] || m->heavy[n->in[i]];
        m->computed[v] = m->computed[v] || m->computed[n->in[i]];
      }
  }
}

/* Nothing is kept for unfused and dense: they are what a library call would do. */
static bool keeps(const Maintain *m, Val v) {
  Lowering l = lowering_of(m->lower, graph_node(m->from, v)->layer);
  return l != LOWER_UNFUSED && l != LOWER_DENSE;
}

static bool derived(const Maintain *m, Val v) { return m->depends[v] == DEPENDS_PARAM; }
static bool is_leaf(const Node *n) { return optab[n->op].cls == CLASS_LEAF; }

/* A function of constants, which no lowering needs to repeat. */
static bool fixed(const Maintain *m, Val v) {
  return !m->depends[v] && !is_leaf(graph_node(m->from, v));
}

/* True if u is a product of tensor cores that has K along the rows of operand i. */
static bool wants_turned(const Node *u, int i) {
  return u->op == OP_MATMUL && u->attr.gemm.precision && (i ? !u->attr.gemm.tb : u->attr.gemm.ta);
}

/* True if node u, live in training, makes it worth to keep its operand v. */
static bool worth(const Maintain *m, Val u, Val v) {
  bool product = optab[graph_node(m->from, u)->op].cls == CLASS_CONTRACT;
  if (!m->heavy[v] && !product) return false;
  if (fixed(m, v)) return !fixed(m, u);
  return derived(m, v) && !derived(m, u) && !is_leaf(graph_node(m->from, v)) && keeps(m, v);
}

static void kept_find(Maintain *m) {
  const Graph *g = m->from;
  bool *live = NEW_ARRAY(g->arena, bool, g->nnode), *early = NEW_ARRAY(g->arena, bool, g->nnode);
  graph_live(g, PHASE_TRAIN, live);
  graph_live(g, PHASE_INIT, early); /* before anything is kept */
  for (Val u = 1; u < g->nnode; u++)
    for (int i = 0; live[u] && i < MAX_IN; i++) {
      Val v = graph_node(g, u)->in[i];
      if (v && !early[v] && worth(m, u, v)) m->kept[v] = true;
    }
}

/* What is still computed by its readers, and which kept values are read as they are. */
static void plain_find(Maintain *m) {
  const Graph *g = m->from;
  for (uint32_t i = 0; i < g->nroot; i++)
    m->live[g->root[i].value] = m->live[g->root[i].target] = m->plain[g->root[i].value] = true;
  for (Val u = g->nnode; u-- > 1;) {
    const Node *n = graph_node(g, u);
    if (!m->live[u] || m->kept[u]) continue;
    for (int i = 0; i < MAX_IN; i++) {
      m->live[n->in[i]] = true;
      if (!wants_turned(n, i)) m->plain[n->in[i]] = true;
    }
    if (optab[n->op].attr == ATTR_decl) m->live[n->attr.decl.dead] = m->plain[n->attr.decl.dead] = true;
  }
}

/* A new DERIVED leaf for v, as it is or transposed. */
static Val leaf_new(Maintain *m, Val v, bool turn) {
  const Node *n = graph_node(m->from, v);
  Graph *g = m->to;
  const char *text = arena_printf(g->arena, "%s~%u%s", name_text(g->names, n->layer), v, turn ? "t" : "");
  Shape s = n->shape;
  if (turn) s.dim[0] = n->shape.dim[1], s.dim[1] = n->shape.dim[0];
  g->span = n->span, g->layer = n->layer;
  Val d = graph_decl(g, OP_STATE, name_of_text(g->names, text), (DType)n->dtype, s, FEED_NONE, 0);
  g->node[d].attr.decl.derived =
      m->computed[v] && !fixed(m, v) ? DERIVED_COMPUTED : DERIVED_COPY;
  g->node[d].attr.decl.turned = turn;
  remark_add(m->remarks, n->layer, n->span,
             n->op == OP_REDUCE ? "row sums of the parameter are renewed by its update kernel"
             : turn ? "the weight is kept transposed as well, for the forward product"
                    : "the weight is kept as a compute copy, renewed by the update kernel");
  return d;
}

/* The node u of `from` over what its operands have become. */
static Val node_copy(Maintain *m, Val u) {
  const Node *n = graph_node(m->from, u);
  Val in[MAX_IN] = {m->map[n->in[0]], m->map[n->in[1]]};
  Attr attr = n->attr;
  for (int i = 0; i < 2; i++) {
    if (!wants_turned(n, i) || !m->kept[n->in[i]]) continue;
    Val v = n->in[i];
    if (!m->turned[v]) m->turned[v] = leaf_new(m, v, true);
    in[i] = m->turned[v];
    *(i ? &attr.gemm.tb : &attr.gemm.ta) = i ? 1 : 0;
  }
  if (n->op != OP_MATMUL) return graph_rebuild(m->to, n, m->map);
  m->to->span = n->span, m->to->layer = n->layer;
  return graph_add(m->to, OP_MATMUL, in, NULL, attr);
}

static void graph_copy(Maintain *m) {
  for (Val v = 1; v < m->from->nnode; v++)
    if (m->kept[v] && m->plain[v]) m->map[v] = leaf_new(m, v, false);
    else if (m->live[v] && !m->kept[v]) m->map[v] = node_copy(m, v);
  graph_rebuild_roots(m->to, m->from, m->map);
}

/* Stores every kept value in `phase`, computed from leaf[p] for each PARAM p of `from`. */
static void kept_store(Maintain *m, Phase phase, const Val *leaf) {
  static const uint8_t turn[MAX_RANK] = {1, 0};
  const Graph *g = m->from;
  Val *map = NEW_ARRAY(g->arena, Val, g->nnode);
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    if (n->op == OP_PARAM) map[v] = leaf[v];
    else if (fixed(m, v) && m->map[v] && phase != PHASE_PREPARE) map[v] = m->map[v];
    else if (derived(m, v) || !m->depends[v]) map[v] = graph_rebuild(m->to, n, map);
    if (!m->kept[v] || !map[v] || (fixed(m, v) && phase != PHASE_PREPARE)) continue;
    m->to->span = n->span, m->to->layer = n->layer;
    if (m->plain[v]) graph_store(m->to, phase, m->map[v], map[v]);
    if (m->turned[v])
      graph_store(m->to, phase, m->turned[v], graph_transpose(m->to, map[v], turn));
  }
}

/* leaf[p]: what PARAM p is after the training step. False if nothing updates it. */
static void updated_find(const Maintain *m, Val *leaf) {
  for (uint32_t i = 0; i < m->from->nroot; i++) {
    const Root *r = &m->from->root[i];
    if (r->kind == ROOT_STORE && r->phase == PHASE_TRAIN)
      leaf[r->target] = m->map[SEED(108, r->target, r->value)]; /* caught by whole_agree */
  }
}

void fuse_maintain(Graph *g, const Lowerings *lower, Remarks *remarks) {
  Graph to;
  graph_next(&to, g);
  uint32_t n = g->nnode;
  Maintain m = {.from = g, .to = &to, .lower = lower, .remarks = remarks};
  m.depends = NEW_ARRAY(g->arena, uint8_t, n);
  m.heavy = NEW_ARRAY(g->arena, bool, n);
  m.computed = NEW_ARRAY(g->arena, bool, n);
  m.kept = NEW_ARRAY(g->arena, bool, n);
  m.live = NEW_ARRAY(g->arena, bool, n);
  m.plain = NEW_ARRAY(g->arena, bool, n);
  m.turned = NEW_ARRAY(g->arena, Val, n);
  m.map = NEW_ARRAY(g->arena, Val, n);
  facts_find(&m);
  kept_find(&m);
  plain_find(&m);
  graph_copy(&m);
  Val *leaf = NEW_ARRAY(g->arena, Val, n);
  for (Val v = 1; v < n; v++) leaf[v] = m.map[v];
  kept_store(&m, PHASE_PREPARE, leaf);
  updated_find(&m, leaf);
  kept_store(&m, PHASE_TRAIN, leaf);
  graph_replace(g, &to);
  graph_sweep(g);
}
