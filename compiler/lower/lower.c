/* lower.c: from groups to calls. In: a fused Graph. Out: a Program: for every phase the kernels to
 * call, in order, and the buffers they work on.
 *
 * Where values live: leaves have one buffer for all phases; a stored value has one of its own, or,
 * if a root stores it to a PARAM or STATE that nobody reads afterwards, that buffer itself:
 * an update in place. Other stores are copies at the end of the phase. */
#include <string.h>
#include "lower.h"

/* ---- buffers ------------------------------------------------------------------------------- */

static uint32_t buffer_add(Lower *w, Val v, BufRole role, Name name) {
  const Node *n = graph_node(w->g, v);
  Buffer b = {.name = name,
              .layer = n->layer,
              .role = (uint8_t)role,
              .dtype = n->dtype,
              .rank = n->shape.rank,
              .elements = shape_elements(&n->shape),
              .value = v,
              .span = n->span};
  for (uint32_t i = 0; i < n->shape.rank; i++) b.dim[i] = n->shape.dim[i].n;
  PUSH(w->p->arena, w->p, buffer, b);
  return w->p->nbuffer - 1;
}

static BufRole leaf_role(const Node *n) {
  if (n->op == OP_INPUT) return BUF_INPUT;
  if (n->op == OP_CONST) return BUF_CONST;
  return n->attr.decl.derived ? BUF_DERIVED : n->op == OP_PARAM ? BUF_PARAM : BUF_STATE;
}

/* The bytes of a constant that a kernel reads from memory. */
static const float *constant_data(Lower *w, const Node *n) {
  uint64_t count = shape_elements(&n->shape);
  float *x = NEW_ARRAY(w->p->arena, float, count);
  for (uint64_t i = 0; i < count; i++)
    x[i] = n->attr.constant.kind == CONST_IOTA   ? (float)i
           : n->attr.constant.kind == CONST_LIST ? (float)n->attr.constant.list[i]
                                                 : (float)n->attr.constant.value;
  return x;
}

uint32_t lower_leaf(Lower *w, Val v) {
  const Node *n = graph_node(w->g, v);
  if (w->leaf[v]) return w->leaf[v];
  BufRole role = leaf_role(n);
  Name name = role == BUF_CONST ? name_of_text(w->p->names, "const") : n->attr.decl.name;
  uint32_t b = w->leaf[v] = buffer_add(w, v, role, name);
  if (role == BUF_CONST) w->p->buffer[b].data = constant_data(w, n);
  if (role == BUF_INPUT) w->p->buffer[b].feed = n->attr.decl.feed;
  w->p->buffer[b].computed = role == BUF_DERIVED && n->attr.decl.derived == DERIVED_COMPUTED;
  return b;
}

Place lower_place(Lower *w, Val v) {
  const Node *n = graph_node(w->g, v);
  Place at = {0};
  if (n->op == OP_STOP) return lower_place(w, n->in[0]);
  if (n->op == OP_TRANSPOSE && !w->s->of[v]) {
    Place from = lower_place(w, n->in[0]);
    at = from;
    for (uint32_t i = 0; i < n->shape.rank; i++) at.stride[i] = from.stride[n->attr.perm.perm[i]];
    return at;
  }
  if (n->op == OP_RESHAPE) { /* its operand is whole and row-major: group.c sees to that */
    Place from = lower_place(w, n->in[0]);
    at.buffer = from.buffer, at.offset = from.offset;
  } else {
    at.buffer = optab[n->op].cls == CLASS_LEAF ? lower_leaf(w, v) : w->buffer[v];
  }
  int64_t step = 1;
  for (uint32_t i = n->shape.rank; i-- > 0;) at.stride[i] = step, step *= n->shape.dim[i].n;
  return at;
}

/* ---- stores in place ----------------------------------------------------------------------- */

/* The last group that reads a leaf, by running order, and whether it reads it other than
 * element by element. */
typedef struct {
  uint32_t last;
  bool operand;
} Reader;

static void leaves_note(Lower *w, Reader *r, uint32_t group, Val v, bool operand) {
  const Node *n = graph_node(w->g, v);
  uint8_t cls = optab[n->op].cls;
  if (w->s->of[v] == group) return;
  if (cls == CLASS_LEAF) {
    if (group > r[v].last) r[v] = (Reader){group, operand};
    else if (group == r[v].last) r[v].operand = r[v].operand || operand;
    return;
  }
  if (cls == CLASS_VIEW) {
    leaves_note(w, r, group, n->in[0], true);
    return;
  }
  if (group_loads(w->s, w->g, group, v)) return;
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i]) leaves_note(w, r, group, n->in[i], operand);
}

static Reader *readers_find(Lower *w) {
  Reader *r = NEW_ARRAY(w->pass, Reader, w->g->nnode);
  for (uint32_t k = 1; k < w->s->ngroup; k++)
    for (uint32_t i = 0; i < w->s->group[k].nmember; i++) {
      const Node *n = graph_node(w->g, w->s->group[k].member[i]);
      bool operand = n->op == OP_MATMUL || n->op == OP_SLICE || n->op == OP_EMBED;
      for (int j = 0; j < MAX_IN; j++)
        if (n->in[j]) leaves_note(w, r, k, n->in[j], operand);
    }
  return r;
}

/* True if v may be written over `target`: nobody reads the old value later or elsewhere. */
static bool in_place(const Lower *w, const Reader *r, Val v, Val target) {
  uint32_t group = w->s->of[v];
  if (!group || w->into[v] ||
      graph_node(w->g, v)->dtype != graph_node(w->g, target)->dtype ||
      !shape_equal(&graph_node(w->g, v)->shape, &graph_node(w->g, target)->shape))
    return false;
  if (r[target].last == group) return !r[target].operand;
  return r[target].last < group;
}

/* The transpose is written beside v, if nobody reads the old one later; else it is a copy of v. */
static void turned_place(Lower *w, const Reader *r, Val v, Val target) {
  if (r[target].last < w->s->of[v] && !w->turned[v]) w->turned[v] = target;
  else w->s->stored[v] = true;
}

static void stores_place(Lower *w) {
  Reader *r = readers_find(w);
  Val *writer = NEW_ARRAY(w->pass, Val, w->g->nnode);
  for (uint32_t i = 0; i < w->g->nroot; i++) {
    const Root *root = &w->g->root[i];
    if (root->phase != w->s->phase || root->kind != ROOT_STORE) continue;
    Val turned = group_turned(w->s, w->g, root);
    if (turned) turned_place(w, r, turned, root->target);
    if (!in_place(w, r, root->value, root->target) || writer[root->target]) continue;
    w->into[root->value] = root->target;
    writer[root->target] = root->value;
  }
}

/* The value behind reshapes: same elements, same order. */
static Val unshaped(const Lower *w, Val v) {
  while (graph_node(w->g, v)->op == OP_RESHAPE && !w->s->of[v]) v = graph_node(w->g, v)->in[0];
  return v;
}

/* Every stored value and output gets its buffer. */
static void buffers_set(Lower *w) {
  for (uint32_t i = 0; i < w->g->nroot; i++) {
    const Root *root = &w->g->root[i];
    if (root->phase != w->s->phase || root->kind != ROOT_OUTPUT) continue;
    Val v = unshaped(w, root->value);
    if (!w->s->of[v] || w->into[v] || w->buffer[v]) continue;
    uint32_t b = w->buffer[v] = buffer_add(w, root->value, BUF_OUTPUT, root->name);
    w->p->buffer[b].out = root->out;
    if (root->layer) w->p->buffer[b].layer = root->layer;
    w->p->buffer[b].span = root->span;
  }
  for (Val v = 1; v < w->g->nnode; v++)
    if (w->s->stored[v] && !w->buffer[v])
      w->buffer[v] = w->into[v] ? lower_leaf(w, w->into[v])
                                : buffer_add(w, v, BUF_TEMP, graph_node(w->g, v)->layer);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void call_add(Lower *w, Kernel *k, const uint32_t *buf, Name layer) {
  kernel_collapse(k);
  kernel_count(k);
  Call c = {.phase = (uint8_t)w->s->phase, .layer = layer, .span = k->span};
  memcpy(c.buf, buf, sizeof c.buf);
  c.name = name_of_text(w->p->names, k->name);
  c.kernel = program_kernel(w->p, k);
  PUSH(w->p->arena, w->p, call, c);
}

/* One group; if a store in place clashes, that value gets a buffer of its own and a copy. */
static void group_call(Lower *w, uint32_t group, Kernel *k) {
  uint32_t buf[MAX_ARG] = {0};
  Val clash = 0;
  while (!lower_group(w, group, k, buf, &clash)) {
    w->into[clash] = 0;
    w->buffer[clash] = buffer_add(w, clash, BUF_TEMP, graph_node(w->g, clash)->layer);
    memset(buf, 0, sizeof buf);
  }
  call_add(w, k, buf, graph_node(w->g, w->s->group[group].seed)->layer);
}

static bool is_zero(const Node *n) {
  return n->op == OP_CONST && n->attr.constant.kind == CONST_FILL && n->attr.constant.value == 0;
}

/* What roots still want once all groups have run: copies to targets and to second outputs. */
static void root_call(Lower *w, const Root *root, Kernel *k) {
  uint32_t buf[MAX_ARG] = {0}, target;
  Val v = root->value;
  if (root->kind == ROOT_STORE) {
    if (w->into[v] == root->target) return;
    if (w->turned[group_turned(w->s, w->g, root)] == root->target) return;
    target = lower_leaf(w, root->target);
    if (is_zero(graph_node(w->g, v))) {
      PUSH(w->p->arena, w->p, zeroed, (Zeroed){(uint8_t)w->s->phase, target});
      return;
    }
  } else {
    uint32_t b = w->buffer[unshaped(w, v)];
    const Buffer *made = &w->p->buffer[b];
    if (b && made->role == BUF_OUTPUT && made->name == root->name && made->out == root->out) return;
    target = buffer_add(w, v, BUF_OUTPUT, root->name);
    w->p->buffer[target].out = root->out, w->p->buffer[target].layer = root->layer;
  }
  lower_copy(w, v, target, k, buf);
  call_add(w, k, buf, root->layer);
}

static void phase_lower(Lower *w, Phase phase, Remarks *remarks) {
  Groups groups;
  uint32_t n = w->g->nnode;
  group_phase(&groups, w->g, phase, remarks, w->pass);
  w->s = &groups;
  w->buffer = NEW_ARRAY(w->pass, uint32_t, n);
  w->into = NEW_ARRAY(w->pass, Val, n), w->turned = NEW_ARRAY(w->pass, Val, n);
  stores_place(w);
  buffers_set(w);
  Kernel *k = NEW(w->pass, Kernel);
  for (uint32_t group = 1; group < groups.ngroup; group++) group_call(w, group, k);
  for (uint32_t i = 0; i < w->g->nroot; i++)
    if (w->g->root[i].phase == phase) root_call(w, &w->g->root[i], k);
}

Program *lower_graph(const Graph *g, Remarks *remarks, Arena *perm, Arena *pass) {
  Program *p = NEW(perm, Program);
  p->arena = perm, p->names = g->names;
  PUSH(perm, p, buffer, (Buffer){0});
  Lower w = {.g = g, .p = p, .pass = pass, .leaf = NEW_ARRAY(pass, uint32_t, g->nnode)};
  for (Phase phase = PHASE_INIT; phase < PHASE_COUNT; phase++) phase_lower(&w, phase, remarks);
  return p;
}
