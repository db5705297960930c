/* interpret.c: runs the graph in float64, one phase at a time: the oracle of every kernel,
 * lowering and target.
 *
 * In: values of the leaves. Out: the value of every node that the phase's roots reach and, when
 * tracking, a bound on what a float32 execution may differ from it. STOREs take effect after the
 * whole phase ran, all at once. A leaf's bound is 0 when it is set, and that of the value stored
 * after a STORE, so that a run of several steps carries it on. Memory is that of all live
 * values, allocated once and used again by the next run. */
#include "evaluate.h"
#include "rules.h"
#include <string.h>

typedef struct {
  double *value, *bound;  /* NULL until there is one */
  double *next, *next_bound; /* of a leaf: what a STORE writes until the phase has ended */
} Slot;

struct Interpreter {
  const Graph *g;
  Arena *arena;
  Slot *slot;             /* by Val */
  bool *live;
  bool track;
};

/* An interpreter without values; the graph must not grow afterwards. */
Interpreter *interpreter_new(const Graph *g, Arena *arena) {
  Interpreter *t = NEW(arena, Interpreter);
  t->g = g;
  t->arena = arena;
  t->slot = NEW_ARRAY(arena, Slot, g->nnode);
  t->live = NEW_ARRAY(arena, bool, g->nnode);
  return t;
}

/* From now on, carry error bounds. */
void interpreter_track(Interpreter *t) { t->track = true; }

static uint64_t elements(const Interpreter *t, Val v) {
  return shape_elements(&t->g->node[v].shape);
}

/* Room for the elements of v, if there is none yet. */
static void room(Interpreter *t, Val v, double **p) {
  if (!*p) *p = arena_array(t->arena, elements(t, v), sizeof **p);
}

/* Gives a leaf its elements, which are exact. */
void interpreter_set(Interpreter *t, Val leaf, const double *value) {
  Slot *s = &t->slot[leaf];
  room(t, leaf, &s->value);
  memcpy(s->value, value, elements(t, leaf) * sizeof *value);
  if (s->bound) memset(s->bound, 0, elements(t, leaf) * sizeof *value);
}

/* The elements of a value, NULL if it has none. */
const double *interpreter_get(const Interpreter *t, Val v) { return t->slot[v].value; }

/* The bounds of its elements, NULL if none were carried. */
const double *interpreter_error(const Interpreter *t, Val v) { return t->slot[v].bound; }

/* Computes one node from its operands. */
static void compute(Interpreter *t, Val v) {
  const Node *n = &t->g->node[v];
  Slot *s = &t->slot[v];
  size_t bytes = elements(t, v) * sizeof(double);
  room(t, v, &s->value);
  if (t->track) room(t, v, &s->bound);
  if (optab[n->op].attr == ATTR_decl) return;
  Evaluation e = {.node = n, .y = memset(s->value, 0, bytes)};
  if (t->track) e.bound = memset(s->bound, 0, bytes);
  for (int i = 0; i < node_arity(n); i++) {
    e.shape[i] = &t->g->node[n->in[i]].shape;
    e.x[i] = t->slot[n->in[i]].value;
    e.e[i] = t->track ? t->slot[n->in[i]].bound : NULL;
  }
  node_evaluate(&e);
}

/* Marks what v reads. */
static void mark_operands(const Graph *g, Val v, bool *live) {
  const Node *n = &g->node[v];
  for (int i = 0; i < node_arity(n); i++) live[n->in[i]] = true;
}

/* Computes what the marked values need; false if a leaf among them was never set. */
static bool run_marked(Interpreter *t) {
  for (Val v = t->g->nnode; v-- > 1;)
    if (t->live[v]) mark_operands(t->g, v, t->live);
  for (Val v = 1; v < t->g->nnode; v++) {
    if (!t->live[v]) continue;
    if (optab[t->g->node[v].op].attr == ATTR_decl && !t->slot[v].value) return false;
    compute(t, v);
  }
  return true;
}

/* Computes the wanted values and what they read. */
bool interpreter_eval(Interpreter *t, const Val *want, uint32_t n) {
  memset(t->live, 0, t->g->nnode * sizeof *t->live);
  for (uint32_t i = 0; i < n; i++) t->live[want[i]] = true;
  return run_marked(t);
}

/* ---- phases -------------------------------------------------------------------------- */

/* Copies the value of one STORE to where it waits for the end of the phase. */
static void store_wait(Interpreter *t, const Root *r) {
  Slot *to = &t->slot[r->target];
  const Slot *from = &t->slot[r->value];
  size_t bytes = elements(t, r->target) * sizeof(double);
  room(t, r->target, &to->next);
  memcpy(to->next, from->value, bytes);
  if (!t->track) return;
  room(t, r->target, &to->next_bound);
  memcpy(to->next_bound, from->bound, bytes);
}

/* Makes the waiting value the leaf's. */
static void store_apply(Interpreter *t, const Root *r) {
  Slot *s = &t->slot[r->target], old = *s;
  s->value = old.next;
  s->next = old.value;
  if (!t->track) return;
  s->bound = old.next_bound;
  s->next_bound = old.bound;
}

/* Calls `apply` for every STORE of the phase. */
static void each_store(Interpreter *t, Phase phase, void (*apply)(Interpreter *, const Root *)) {
  for (uint32_t i = 0; i < t->g->nroot; i++) {
    const Root *r = &t->g->root[i];
    if (r->kind == ROOT_STORE && r->phase == phase) apply(t, r);
  }
}

/* One step of a phase; false if a leaf that it reads has no value. */
bool interpreter_run(Interpreter *t, Phase phase) {
  memset(t->live, 0, t->g->nnode * sizeof *t->live);
  for (uint32_t i = 0; i < t->g->nroot; i++)
    if (t->g->root[i].phase == phase) t->live[t->g->root[i].value] = true;
  if (!run_marked(t)) return false;
  each_store(t, phase, store_wait);
  each_store(t, phase, store_apply);
  return true;
}
