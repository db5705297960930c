/* maintain.c: what depends on parameters alone is computed once per update, not once per use.
 * In: a Graph after fuse_algebra(). Out: an equal Graph in which such values are DERIVED leaves,
 * written by PHASE_PREPARE (after init and load) and by the phase that updates their parameters.
 *
 * For a linear set this is what makes its statistics free: s = sum_j v_j is renewed by the
 * update kernel, which has the row in hand; in the form `update` it is W = V + c (x) s itself.
 *
 * Kept is a value v that (1) depends on PARAMs and CONSTs only, (2) is read in training by a
 * node that does not, and (3) would be costly to redo there: it contains a reduction or a
 * contraction, or a contraction reads it (which cannot redo it on the fly). */
#include "fuse.h"
#include "seed.h"

enum { DEPENDS_PARAM = 1, DEPENDS_OTHER = 2 };

typedef struct {
  Graph *from, *to;
  uint8_t *depends; /* DEPENDS_ bits, per node of from */
  bool *heavy;      /* contains a reduction or contraction */
  bool *kept;
  Val *map; /* node of from -> node of to, with kept values replaced */
  const Lowerings *lower;
  Remarks *remarks;
} Maintain;

static uint8_t leaf_depends(Op op) {
  return op == OP_CONST ? 0 : op == OP_PARAM ? DEPENDS_PARAM : DEPENDS_OTHER;
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
    for (int i = 0; i < MAX_IN; i++)
      if (n->in[i]) {
        m->depends[v] |= m->depends[n->in[i]];
        m->heavy[v] = m->heavy[v] || m->heavy[n->in[i]];
      }
  }
}

/* Nothing is kept for unfused and dense: they are what a library call would do. */
static bool keeps(const Maintain *m, Val v) {
  Lowering l = lowering_of(m->lower, graph_node(m->from, v)->layer);
  return l != LOWER_UNFUSED && l != LOWER_DENSE;
}

static bool derived(const Maintain *m, Val v) { return m->depends[v] == DEPENDS_PARAM; }

static void kept_find(Maintain *m) {
  const Graph *g = m->from;
  bool *live = NEW_ARRAY(g->arena, bool, g->nnode);
  graph_live(g, PHASE_TRAIN, live);
  for (Val u = 1; u < g->nnode; u++) {
    const Node *n = graph_node(g, u);
    if (!live[u] || derived(m, u)) continue;
    for (int i = 0; i < MAX_IN; i++) {
      Val v = n->in[i];
      if (!v || !derived(m, v) || graph_node(g, v)->op == OP_PARAM || !keeps(m, v)) continue;
      if (m->heavy[v] || optab[n->op].cls == CLASS_CONTRACT) m->kept[v] = true;
    }
  }
}

/* The DERIVED leaf that stands for v. */
static Val leaf_new(Maintain *m, Val v) {
  const Node *n = graph_node(m->from, v);
  Graph *g = m->to;
  const char *text = arena_printf(g->arena, "%s~%u", name_text(g->names, n->layer), v);
  g->span = n->span, g->layer = n->layer;
  Val d = graph_decl(g, OP_STATE, name_of_text(g->names, text), DTYPE_F32, n->shape, FEED_NONE, 0);
  g->node[d].attr.decl.derived = 1;
  remark_add(m->remarks, n->layer, n->span,
             n->op == OP_REDUCE
                 ? "row sums of the parameter are renewed by its update kernel"
                 : "the weight is kept as a compute copy, renewed by the update kernel");
  return d;
}

static void graph_copy(Maintain *m) {
  for (Val v = 1; v < m->from->nnode; v++)
    m->map[v] = m->kept[v] ? leaf_new(m, v) : graph_add_copy(m->to, graph_node(m->from, v), m->map);
  for (uint32_t i = 0; i < m->from->nroot; i++) {
    Root r = m->from->root[i];
    r.value = m->map[r.value], r.target = m->map[r.target];
    PUSH(m->to->arena, m->to, root, r);
  }
}

/* Stores every kept value in `phase`, computed from leaf[p] for each PARAM p of `from`. */
static void kept_store(Maintain *m, Phase phase, const Val *leaf) {
  const Graph *g = m->from;
  Val *map = NEW_ARRAY(g->arena, Val, g->nnode);
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    if (n->op == OP_PARAM) map[v] = leaf[v];
    else if (m->depends[v] == 0) map[v] = m->map[v];
    else if (derived(m, v)) map[v] = graph_add_copy(m->to, n, map);
    if (m->kept[v] && map[v]) {
      m->to->span = n->span, m->to->layer = n->layer;
      graph_store(m->to, phase, m->map[v], map[v]);
    }
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
  graph_init(&to, g->arena, g->names);
  uint32_t n = g->nnode;
  Maintain m = {.from = g, .to = &to, .lower = lower, .remarks = remarks};
  m.depends = NEW_ARRAY(g->arena, uint8_t, n);
  m.heavy = NEW_ARRAY(g->arena, bool, n);
  m.kept = NEW_ARRAY(g->arena, bool, n);
  m.map = NEW_ARRAY(g->arena, Val, n);
  facts_find(&m);
  kept_find(&m);
  graph_copy(&m);
  Val *leaf = NEW_ARRAY(g->arena, Val, n);
  for (Val v = 1; v < n; v++) leaf[v] = m.map[v];
  kept_store(&m, PHASE_PREPARE, leaf);
  updated_find(&m, leaf);
  kept_store(&m, PHASE_TRAIN, leaf);
  *g = to;
}
