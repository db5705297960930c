/* graph.c: the array of nodes, its one constructor, its leaves and its roots.
 *
 * In: operations with operands and attributes. Out: values. graph_add() checks operands, asks
 * the shape rule, and looks the node up in a table of all nodes (open addressing, at most three
 * quarters full), so that equal computations are one node. A node's key is its operation, operands, live
 * attributes and sizes, as 64-bit words; span, layer and dimension names are no part of it.
 * Leaves that are declared are keyed by their name alone. RANDOM is never shared: two dropouts
 * have two masks. */
#include "rules.h"
#include <stdio.h>
#include <string.h>

enum { KEY_WORDS = 20, FIRST_BUCKETS = 1024 };
#define MAX_ELEMENTS ((uint64_t)1 << 40)

_Static_assert(sizeof(Node) <= 128, "a network has half a million of these");

/* An empty graph; node 0 is none. */
void graph_init(Graph *g, Arena *arena, Names *names) {
  memset(g, 0, sizeof *g);
  g->arena = arena;
  g->names = names;
  g->nbucket = FIRST_BUCKETS;
  g->bucket = NEW_ARRAY(arena, GraphBucket, g->nbucket);
  PUSH(arena, g, node, (Node){0});
}

/* The node of a value; the pointer holds until the next node is added. */
const Node *graph_node(const Graph *g, Val v) { return &g->node[v]; }

/* Writes g->error and returns false. */
bool graph_refuse(Graph *g, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(g->error, sizeof g->error, fmt, args);
  va_end(args);
  return false;
}

/* The value that a node needs beside its operands: a PARAM's mask of dead lanes. */
static Val node_mask(const Node *n) {
  return optab[n->op].attr == ATTR_decl ? n->attr.decl.dead : 0;
}

/* ---- sharing ------------------------------------------------------------------------- */

typedef struct { uint64_t word[KEY_WORDS]; int n; } Key;

static void key_add(Key *k, uint64_t word) { k->word[k->n++] = word; }

/* Two 32-bit numbers as one word. */
static uint64_t pair(int32_t a, int32_t b) { return (uint64_t)(uint32_t)a << 32 | (uint32_t)b; }

/* A constant by its bits, so that 0 and -0 differ; a list by its contents. */
static void key_constant(Key *k, const Node *n) {
  uint64_t bits;
  memcpy(&bits, &n->attr.constant.value, sizeof bits);
  if (n->attr.constant.kind == CONST_LIST)
    bits = hash_bytes(n->attr.constant.list, shape_elements(&n->shape) * sizeof(double), 1);
  key_add(k, n->attr.constant.kind);
  key_add(k, n->attr.constant.kind == CONST_IOTA ? 0 : bits);
}

/* The live member of the attributes, word by word. */
static void key_attr(Key *k, const Node *n) {
  const Attr *a = &n->attr;
  switch ((AttrKind)optab[n->op].attr) {
  case ATTR_none: break;
  case ATTR_decl: key_add(k, a->decl.name); break;
  case ATTR_constant: key_constant(k, n); break;
  case ATTR_random: key_add(k, a->random.stream); break;
  case ATTR_gemm: key_add(k, pair(a->gemm.ta | a->gemm.precision << 1, a->gemm.tb)); break;
  case ATTR_conv:
    for (int i = 0; i < 2; i++) key_add(k, pair(a->conv.stride[i], a->conv.pad[i]));
    key_add(k, (uint64_t)pair(a->conv.groups, a->conv.precision));
    break;
  case ATTR_map: key_add(k, a->map.fn); break;
  case ATTR_reduce: key_add(k, pair(a->reduce.axes, a->reduce.fn)); break;
  case ATTR_perm:
    for (int i = 0; i < n->shape.rank; i++) key_add(k, a->perm.perm[i]);
    break;
  case ATTR_slice:
    key_add(k, pair(a->slice.axis, a->slice.begin));
    key_add(k, (uint64_t)a->slice.size);
    break;
  case ATTR_pool:
    for (int i = 0; i < 2; i++) {
      key_add(k, pair(a->pool.stride[i], a->pool.pad[i]));
      key_add(k, pair(a->pool.size[i], a->pool.kind));
    }
    break;
  }
}

/* All that makes a node what it is. */
static Key node_key(const Node *n) {
  Key k = {.n = 0};
  key_add(&k, n->op);
  key_attr(&k, n);
  if (optab[n->op].attr == ATTR_decl) return k;
  key_add(&k, pair(n->dtype, n->shape.rank));
  for (int i = 0; i < node_arity(n); i++) key_add(&k, n->in[i]);
  for (int i = 0; i < n->shape.rank; i++) key_add(&k, (uint64_t)n->shape.dim[i].n);
  return k;
}

/* Equal keys, and equal contents of lists, whose keys are only hashes. */
static bool node_equal(const Node *a, const Key *ka, const Node *b) {
  Key kb = node_key(b);
  if (ka->n != kb.n || memcmp(ka->word, kb.word, (size_t)kb.n * sizeof *kb.word)) return false;
  if (a->op != OP_CONST || a->attr.constant.kind != CONST_LIST) return true;
  return !memcmp(a->attr.constant.list, b->attr.constant.list,
                 shape_elements(&a->shape) * sizeof(double));
}

/* The bucket that holds an equal node, or the empty one where it belongs, with its hash set. */
static GraphBucket *bucket_find(const Graph *g, const Node *n) {
  Key k = node_key(n);
  uint32_t hash = (uint32_t)hash_bytes(k.word, (size_t)k.n * sizeof *k.word, 0);
  for (uint32_t at = hash;; at++) {
    GraphBucket *b = &g->bucket[at & (g->nbucket - 1)];
    if (!b->v) return b->hash = hash, b;
    if (b->hash == hash && node_equal(n, &k, &g->node[b->v])) return b;
  }
}

/* Buckets for that many nodes. */
static uint32_t bucket_count(uint32_t nodes) {
  uint32_t n = FIRST_BUCKETS;
  while (n / 4 * 3 < nodes) n *= 2;
  return n;
}

/* Makes the table anew, twice as large. */
static void graph_rehash(Graph *g) {
  const GraphBucket *old = g->bucket;
  uint32_t nold = g->nbucket;
  g->nbucket *= 2;
  g->bucket = NEW_ARRAY(g->arena, GraphBucket, g->nbucket);
  for (uint32_t i = 0; i < nold; i++) {
    if (!old[i].v) continue;
    uint32_t at = old[i].hash;
    while (g->bucket[at & (g->nbucket - 1)].v) at++;
    g->bucket[at & (g->nbucket - 1)] = old[i];
  }
}

/* Makes the table anew from nodes that have moved. */
static void graph_index(Graph *g) {
  memset(g->bucket, 0, g->nbucket * sizeof *g->bucket);
  for (Val v = 1; v < g->nnode; v++)
    if (g->node[v].op != OP_RANDOM) bucket_find(g, &g->node[v])->v = v;
  g->moved = false;
}

/* Appends a node that has passed its checks. */
static Val node_append(Graph *g, const Node *n) {
  Val v = g->nnode;
  PUSH(g->arena, g, node, *n);
  if (g->nnode > g->nbucket / 4 * 3) graph_rehash(g);
  return v;
}

/* ---- one graph after another ---------------------------------------------------------- */

/* Room for as many nodes as `from` has and half of it more, of which only what is used costs. */
static void memory_new(Graph *g, const Graph *from) {
  g->capnode = from->nnode + from->nnode / 2;
  g->node = NEW_ARRAY(g->arena, Node, g->capnode);
  g->caproot = from->nroot + from->nroot / 2;
  g->root = NEW_ARRAY(g->arena, Root, g->caproot);
  g->nbucket = bucket_count(g->capnode);
  g->bucket = NEW_ARRAY(g->arena, GraphBucket, g->nbucket);
}

/* An empty graph beside `from`; see graph.h. */
void graph_next(Graph *to, const Graph *from) {
  *to = (Graph){.arena = from->arena, .names = from->names, .span = from->span, .layer = from->layer};
  const Graph *old = from->last;
  if (old && old->capnode > from->nnode && old->nbucket >= bucket_count(from->nnode)) {
    to->node = old->node, to->capnode = old->capnode;
    to->root = old->root, to->caproot = old->caproot;
    to->bucket = old->bucket, to->nbucket = old->nbucket;
    memset(to->bucket, 0, to->nbucket * sizeof *to->bucket);
  } else {
    memory_new(to, from);
  }
  PUSH(to->arena, to, node, (Node){0});
}

/* `from` becomes `to` and keeps its own memory for the one after. */
void graph_replace(Graph *from, const Graph *to) {
  Graph *last = from->last ? from->last : NEW(from->arena, Graph);
  *last = *from;
  *from = *to;
  from->last = last;
}

/* ---- the constructor ----------------------------------------------------------------- */

/* Copies the operands; a 0 among them is an earlier failure, whose reason stays. */
static bool node_operands(Graph *g, Node *n, const Val *in) {
  if (n->op == OP_MAP && n->attr.map.fn >= S_COUNT)
    return graph_refuse(g, "map: no scalar function %d", n->attr.map.fn);
  for (int i = 0; i < node_arity(n); i++) {
    n->in[i] = in[i];
    if (!in[i]) return false;
    if (in[i] >= g->nnode) return graph_refuse(g, "%s: no value %u", optab[n->op].name, in[i]);
  }
  return true;
}

/* Every dimension at least 1, and the whole within the limit. */
static bool node_size(Graph *g, const Node *n) {
  if (n->shape.rank > MAX_RANK) return graph_refuse(g, "rank %d, at most 6", n->shape.rank);
  for (int i = 0; i < n->shape.rank; i++)
    if (n->shape.dim[i].n < 1)
      return graph_refuse(g, "%s has an empty dimension", shape_string(g, &n->shape));
  if (shape_elements(&n->shape) <= MAX_ELEMENTS) return true;
  return graph_refuse(g, "%s has more than 2^40 elements", shape_string(g, &n->shape));
}

/* The node that was declared under this name before, if it is the same. */
static Val decl_again(Graph *g, Val old, const Node *n) {
  const Node *o = &g->node[old];
  if (o->dtype == n->dtype && shape_equal(&o->shape, &n->shape) &&
      o->attr.decl.feed == n->attr.decl.feed && o->attr.decl.dead == n->attr.decl.dead)
    return old;
  graph_refuse(g, "`%s` is declared twice, as %s and as %s",
               name_text(g->names, n->attr.decl.name), shape_string(g, &o->shape),
               shape_string(g, &n->shape));
  return 0;
}

/* Checks, shapes and shares one node whose operation, attributes and dtype are set. */
static Val node_insert(Graph *g, Node *n, const Val *in) {
  n->span = g->span;
  n->layer = g->layer;
  if (!node_operands(g, n, in) || !node_size(g, n)) return 0;
  if (!optab[n->op].shape(g, n) || !node_size(g, n)) return 0;
  if (n->op == OP_RANDOM) return node_append(g, n);
  if (g->moved) graph_index(g);
  GraphBucket *b = bucket_find(g, n);
  if (b->v && optab[n->op].attr == ATTR_decl) return decl_again(g, b->v, n);
  if (b->v) return b->v;
  b->v = g->nnode;
  return node_append(g, n);
}

/* The constructor; see graph.h. */
Val graph_add(Graph *g, Op op, const Val *in, const Shape *declared, Attr attr) {
  Node n = {.op = (uint8_t)op, .dtype = DTYPE_F32, .attr = attr};
  if (declared) n.shape = *declared;
  return node_insert(g, &n, in);
}

/* The same node in another graph, over operands (and a mask) that are there already. */
Val graph_add_copy(Graph *to, const Node *n, const Val *map) {
  Node copy = *n;
  Val in[MAX_IN] = {0};
  for (int i = 0; i < node_arity(n); i++) in[i] = map[n->in[i]];
  if (node_mask(n)) copy.attr.decl.dead = map[node_mask(n)];
  if (node_mask(n) && !node_mask(&copy)) {
    graph_refuse(to, "the mask of `%s` was not copied", name_text(to->names, n->attr.decl.name));
    return 0;
  }
  to->span = n->span;
  to->layer = n->layer;
  return node_insert(to, &copy, in);
}

/* ---- leaves -------------------------------------------------------------------------- */

/* The INPUT, PARAM or STATE of a name, declared now or before. */
Val graph_decl(Graph *g, Op op, Name name, DType dtype, Shape s, Feed feed, Val dead) {
  Node n = {.op = (uint8_t)op, .dtype = (uint8_t)dtype, .shape = s};
  n.attr.decl.name = name;
  n.attr.decl.feed = (uint8_t)feed;
  n.attr.decl.dead = dead;
  return node_insert(g, &n, NULL);
}

/* The INPUT, PARAM or STATE of that name; 0 if there is none. */
Val graph_find(Graph *g, Op op, Name name) {
  if (g->moved) graph_index(g);
  Node n = {.op = (uint8_t)op, .attr.decl.name = name};
  return bucket_find(g, &n)->v;
}

/* A tensor of one number. */
Val graph_fill(Graph *g, Shape s, double value) {
  Attr a = {.constant = {.kind = CONST_FILL, .value = value}};
  return graph_add(g, OP_CONST, NULL, &s, a);
}

Val graph_const(Graph *g, double value) { return graph_fill(g, (Shape){0}, value); }

/* 0, 1, 2, ... along the one dimension that is not 1. */
Val graph_iota(Graph *g, Shape s) {
  return graph_add(g, OP_CONST, NULL, &s, (Attr){.constant = {.kind = CONST_IOTA}});
}

/* A tensor of listed numbers, which are copied. */
Val graph_list(Graph *g, Shape s, const double *value) {
  uint64_t n = shape_elements(&s);
  double *copy = arena_array(g->arena, n, sizeof *copy);
  memcpy(copy, value, n * sizeof *copy);
  Attr a = {.constant = {.kind = CONST_LIST, .list = copy}};
  return graph_add(g, OP_CONST, NULL, &s, a);
}

/* Uniform numbers; every call is a draw of its own. */
Val graph_random(Graph *g, Val step, Shape s, uint64_t stream) {
  return graph_add(g, OP_RANDOM, &step, &s, (Attr){.random = {stream}});
}

/* ---- roots --------------------------------------------------------------------------- */

/* Appends a root with the current place. */
static void root_add(Graph *g, Root r) {
  r.span = g->span;
  r.layer = g->layer;
  PUSH(g->arena, g, root, r);
}

/* At the end of a step of the phase, target becomes value, broadcast to its shape. */
void graph_store(Graph *g, Phase phase, Val target, Val value) {
  if (target && value) value = graph_broadcast(g, value, g->node[target].shape);
  root_add(g, (Root){.kind = ROOT_STORE, .phase = (uint8_t)phase, .value = value,
                     .target = target});
}

/* Hands a value to the run. */
void graph_output(Graph *g, Phase phase, Out out, Name name, Val value) {
  root_add(g, (Root){.kind = ROOT_OUTPUT, .phase = (uint8_t)phase, .out = (uint8_t)out,
                     .value = value, .name = name});
}

/* One sweep down: what a live node reads is live. */
void graph_live(const Graph *g, Phase phase, bool *live) {
  memset(live, 0, g->nnode * sizeof *live);
  for (uint32_t i = 0; i < g->nroot; i++) {
    if (phase != PHASE_COUNT && g->root[i].phase != phase) continue;
    live[g->root[i].value] = live[g->root[i].target] = true;
  }
  live[0] = false;
  for (Val v = g->nnode; v-- > 1;) {
    if (!live[v]) continue;
    const Node *n = &g->node[v];
    for (int i = 0; i < node_arity(n); i++) live[n->in[i]] = true;
    if (node_mask(n)) live[node_mask(n)] = true;
  }
}
