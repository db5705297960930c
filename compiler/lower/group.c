/* group.c: which nodes become one kernel. In: the Graph of fuse_maintain(), one phase. Out: Groups
 * in running order, each acyclic with the others by construction.
 *
 * A group grows from a seed along its users: a contraction takes the maps over its result
 * and the sums over its columns (and what follows from those: the update of a bias); a
 * reduction takes what its row needs next, and other sums over the same row; a map takes its
 * likes. Groups run in the order of their seeds, so a value is available to a group if it is made
 * by a group of an earlier seed; that one comparison is the whole legality of a fusion. A map that
 * is cheap and not needed in memory belongs to no group: each reader computes it again. */
#include "fuse.h"
#include "kernel.h"
#include <stdlib.h>

enum {
  ROW_AXES = 2,      /* of a sum over the rows of a contraction's result */
  REDO_FLOPS = 40,   /* dearest expression that readers compute again */
  DEAR_FLOPS = 10,   /* a scalar worth keeping in the kernel that has its operand */
  MEMBER_LIMIT = 56, /* so that a kernel's program and arguments fit */
  SIBLING_LIMIT = 16, /* from there on, sums that only share their rows stay apart */
  REDO_DEPTH = 12,
  SHARE_DEPTH = 4    /* of the search for a value that two sums read */
};

typedef struct {
  Groups *out;
  const Graph *g;
  uint32_t *first, *user; /* users of v: user[first[v] .. first[v + 1]), live ones, ascending */
  bool *root;             /* value of a root of the phase */
  uint8_t *redo;          /* flops to compute v again from what is in memory, saturating */
  bool *buffered;         /* must be in memory whatever the groups are */
  Remarks *remarks;
} Grow;

static const Node *node(const Grow *w, Val v) { return graph_node(w->g, v); }
static bool is_map(const Node *n) { return n->op == OP_MAP || n->op == OP_RANDOM; }

/* Moves data: part of an axis, zeros around it, or a transpose that something reshapes. */
static bool is_move(const Grow *w, Val v) {
  const Node *n = node(w, v);
  if (n->op != OP_TRANSPOSE) return n->op == OP_SLICE || n->op == OP_EMBED;
  for (uint32_t i = w->first[v]; i < w->first[v + 1]; i++)
    if (node(w, w->user[i])->op == OP_RESHAPE) return true;
  return false;
}

/* ---- facts -------------------------------------------------------------------------------- */

static void users_find(Grow *w, Arena *arena) {
  uint32_t n = w->g->nnode;
  w->first = NEW_ARRAY(arena, uint32_t, n + 2);
  for (int fill = 0; fill < 2; fill++) {
    for (Val u = 1; u < n; u++)
      for (int i = 0; w->out->live[u] && i < MAX_IN; i++) {
        Val v = node(w, u)->in[i];
        if (!v) continue;
        if (!fill) w->first[v + 1]++;
        else w->user[w->first[v]++] = u;
      }
    if (fill) break;
    for (Val v = 0; v <= n; v++) w->first[v + 1] += w->first[v];
    w->user = NEW_ARRAY(arena, uint32_t, w->first[n] + 1);
  }
  for (Val v = n; v > 0; v--) w->first[v] = w->first[v - 1];
  w->first[0] = 0;
}

static void roots_find(Grow *w) {
  for (uint32_t i = 0; i < w->g->nroot; i++)
    if (w->g->root[i].phase == w->out->phase) w->root[w->g->root[i].value] = true;
}

/* True if some user can read v only from memory. */
static bool read_from_memory(const Grow *w, Val v) {
  for (uint32_t i = w->first[v]; i < w->first[v + 1]; i++) {
    const Node *u = node(w, w->user[i]);
    if (u->op == OP_SLICE || u->op == OP_EMBED) return true;
    uint8_t cls = optab[u->op].cls;
    if (cls == CLASS_CONTRACT || cls == CLASS_VIEW || cls == CLASS_WINDOW) return true;
  }
  return false;
}

static void redo_find(Grow *w) {
  for (Val v = 1; v < w->g->nnode; v++) {
    const Node *n = node(w, v);
    if (!w->out->live[v] || !is_map(n)) continue;
    uint32_t cost = n->op == OP_MAP ? scalartab[n->attr.map.fn].flops : REDO_FLOPS;
    for (int i = 0; i < MAX_IN; i++)
      if (n->in[i] && !w->buffered[n->in[i]]) cost += w->redo[n->in[i]];
    bool many = w->first[v + 1] - w->first[v] > 1;
    w->redo[v] = (uint8_t)(cost > 255 ? 255 : cost);
    w->buffered[v] = w->root[v] || read_from_memory(w, v) ||
                     (n->shape.rank && cost > (many ? REDO_FLOPS : 3 * REDO_FLOPS));
  }
}

/* ---- legality ----------------------------------------------------------------------------- */

static bool earlier(const Groups *s, Val v, uint32_t group) {
  return s->of[v] && s->group[s->of[v]].seed < s->group[group].seed;
}

/* True if `group` can have v without a cycle, from memory or by computing it again. */
static bool available(const Grow *w, uint32_t group, Val v, uint32_t depth) {
  const Groups *s = w->out;
  const Node *n = node(w, v);
  uint8_t cls = optab[n->op].cls;
  if (cls == CLASS_LEAF || earlier(s, v, group)) return true;
  if (cls == CLASS_VIEW) return available(w, group, n->in[0], depth);
  bool seed_before = !s->of[v] && v < s->group[group].seed;
  if (!is_map(n)) return seed_before;
  if (w->buffered[v] && seed_before) return true;
  if (w->buffered[v] && s->of[v] != group && w->redo[v] > REDO_FLOPS) return false;
  if (depth == 0) return false;
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i] && (s->of[n->in[i]] == group || !available(w, group, n->in[i], depth - 1)))
      return false;
  return true;
}

bool group_loads(const Groups *s, const Graph *g, uint32_t group, Val v) {
  uint8_t cls = optab[graph_node(g, v)->op].cls;
  if (cls == CLASS_LEAF || cls == CLASS_VIEW) return true;
  return earlier(s, v, group);
}

Val group_turned(const Groups *s, const Graph *g, const Root *root) {
  const Node *n = graph_node(g, root->value);
  if (root->phase != s->phase || root->kind != ROOT_STORE || n->op != OP_TRANSPOSE) return 0;
  bool matrix = n->shape.rank == 2 && n->attr.perm.perm[0] == 1 && !s->of[root->value];
  return matrix && s->of[n->in[0]] && s->level[n->in[0]] == LEVEL_ELEMENT ? n->in[0] : 0;
}

/* ---- membership --------------------------------------------------------------------------- */

static Shape reduced_shape(const Group *k) {
  Shape s = k->domain;
  for (uint32_t i = 0; i < s.rank; i++)
    if (k->axes >> i & 1) s.dim[i].n = 1;
  return s;
}

/* The level that v would have in the group by its shape; NONE if it has no place there. */
static Level level_of(const Grow *w, const Group *k, Val v) {
  const Node *n = node(w, v);
  if (n->op == OP_REDUCE) {
    if (!shape_equal(&node(w, n->in[0])->shape, &k->domain)) return LEVEL_NONE;
    if (k->kind == KERNEL_CONTRACT && n->attr.reduce.axes == ROW_AXES) return LEVEL_ROW;
    return n->attr.reduce.axes == k->axes || !k->axes ? LEVEL_REDUCED : LEVEL_NONE;
  }
  if (!is_map(n)) return LEVEL_NONE;
  if (shape_equal(&n->shape, &k->domain)) return LEVEL_ELEMENT;
  Shape small = reduced_shape(k);
  return k->axes && shape_equal(&n->shape, &small) ? LEVEL_REDUCED : LEVEL_NONE;
}

/* The stage in which v would be computed, or -1 if a member it reads comes too late. */
static int stage_of(const Grow *w, uint32_t group, Val v, Level level) {
  const Groups *s = w->out;
  bool contract = s->group[group].kind == KERNEL_CONTRACT;
  int stage = 0;
  for (int i = 0; i < MAX_IN; i++) {
    Val o = node(w, v)->in[i];
    if (!o || s->of[o] != group) continue;
    bool later = level == LEVEL_ELEMENT && s->level[o] != LEVEL_ELEMENT;
    if (node(w, v)->op == OP_REDUCE && s->level[o] != LEVEL_ELEMENT) return -1;
    if (level == LEVEL_REDUCED && node(w, v)->op != OP_REDUCE && s->level[o] == LEVEL_ELEMENT)
      return -1;
    int at = s->stage[o] + (later ? 1 : 0);
    if (at > stage) stage = at;
  }
  return contract && stage > 0 ? -1 : stage >= MAX_STAGE - 1 ? -1 : stage;
}

/* True if all users of v are maps or reductions that may still join the group. */
static bool users_stay(const Grow *w, uint32_t group, Val v) {
  const Group *k = &w->out->group[group];
  for (uint32_t i = w->first[v]; i < w->first[v + 1]; i++) {
    Val u = w->user[i];
    if (w->out->of[u] != group && (w->out->of[u] || level_of(w, k, u) == LEVEL_NONE)) return false;
  }
  return !w->root[v];
}

/* Worth it: v is needed in memory or dear, is a reduction, or spares its operand's buffer. What
 * follows from a single number is left to its readers: sums of whole tensors are one kernel. */
static bool worth(const Grow *w, uint32_t group, Val v) {
  const Group *k = &w->out->group[group];
  const Node *n = node(w, v);
  if (n->op == OP_REDUCE || w->buffered[v]) return true;
  if (shape_elements(&n->shape) == 1) return false;
  if (n->op == OP_MAP && scalartab[n->attr.map.fn].flops >= DEAR_FLOPS) return true;
  for (uint32_t i = w->first[v]; i < w->first[v + 1]; i++)
    if (node(w, w->user[i])->op == OP_REDUCE && level_of(w, k, w->user[i])) return true;
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i] && w->out->of[n->in[i]] == group && users_stay(w, group, n->in[i]) &&
        shape_elements(&n->shape) <= shape_elements(&node(w, n->in[i])->shape))
      return true;
  return false;
}

static void join(Grow *w, uint32_t group, Val v, Level level, int stage) {
  Group *k = &w->out->group[group];
  if (node(w, v)->op == OP_REDUCE && !k->axes)
    k->axes = node(w, v)->attr.reduce.axes, k->kind = KERNEL_ROW;
  w->out->of[v] = group;
  w->out->level[v] = (uint8_t)level;
  w->out->stage[v] = (uint8_t)stage;
  PUSH(w->out->arena, k, member, v);
}

/* True for a sum over the rows that the group walks anyway, of what is cheap to compute there. */
static bool is_sibling(const Grow *w, uint32_t group, Val v) {
  const Node *n = node(w, v);
  return n->op == OP_REDUCE && w->out->group[group].kind == KERNEL_ROW &&
         w->out->group[group].nmember < SIBLING_LIMIT && w->redo[n->in[0]] <= REDO_FLOPS;
}

/* Makes v a member if that is legal, and first the maps over members, and the sums over the same
 * rows, that it reads. */
static bool take(Grow *w, uint32_t group, Val v, uint32_t depth) {
  const Groups *s = w->out;
  if (s->of[v] || s->group[group].nmember >= MEMBER_LIMIT) return false;
  Level level = level_of(w, &s->group[group], v);
  if (level == LEVEL_NONE) return false;
  bool inside = false;
  for (int i = 0; i < MAX_IN; i++) {
    Val o = node(w, v)->in[i];
    if (!o) continue;
    bool fits = s->of[o] != group && available(w, group, o, REDO_DEPTH);
    if (!fits && s->of[o] != group &&
        (depth == 0 || !(is_map(node(w, o)) || is_sibling(w, group, o)) ||
         !take(w, group, o, depth - 1)))
      return false;
    inside = inside || s->of[o] == group;
  }
  int stage = stage_of(w, group, v, level);
  if (stage < 0 || !(inside || is_sibling(w, group, v))) return false;
  join(w, group, v, level, stage);
  return true;
}

/* True if the group walks along rows whose elements are neighbours: what is needed of them in memory
 * is made on the way, however many maps lie between. */
static bool along_rows(const Group *k) {
  return k->kind == KERNEL_ROW && k->domain.rank && k->axes >> (k->domain.rank - 1) & 1;
}

/* Takes a map that is needed, behind the map u, which is not worth a place by itself. */
static void take_behind(Grow *w, uint32_t group, Val u, uint32_t depth) {
  bool along = along_rows(&w->out->group[group]);
  for (uint32_t x = w->first[u]; x < w->first[u + 1]; x++) {
    Val v = w->user[x];
    if (w->out->of[v] || !is_map(node(w, v))) continue;
    if (w->root[v] || (along && w->buffered[v])) take(w, group, v, 4);
    else if (along && depth) take_behind(w, group, v, depth - 1);
  }
}

/* Takes the sums of what is computed from x, which the sum v of the group reads, at once or behind
 * one map. */
static void take_siblings(Grow *w, uint32_t group, Val v) {
  Val x = node(w, v)->in[0];
  if (w->out->of[x] == group || optab[node(w, x)->op].cls == CLASS_LEAF) return;
  for (uint32_t i = w->first[x]; i < w->first[x + 1]; i++) {
    Val u = w->user[i];
    if (is_sibling(w, group, u)) take(w, group, u, 4);
    for (uint32_t j = w->first[u]; is_map(node(w, u)) && j < w->first[u + 1]; j++)
      if (is_sibling(w, group, w->user[j])) take(w, group, w->user[j], 4);
  }
}

/* Offers the users of every member to the group, members taken on the way included. */
static void grow(Grow *w, uint32_t group) {
  for (uint32_t i = 0; i < w->out->group[group].nmember; i++) {
    Val v = w->out->group[group].member[i];
    if (node(w, v)->op == OP_REDUCE) take_siblings(w, group, v);
    for (uint32_t j = w->first[v]; j < w->first[v + 1]; j++) {
      Val u = w->user[j];
      if (!w->out->of[u] && level_of(w, &w->out->group[group], u) && worth(w, group, u))
        take(w, group, u, 4);
      else if (!w->out->of[u] && is_map(node(w, u))) take_behind(w, group, u, 1);
    }
  }
}

static uint32_t group_new(Grow *w, Val seed, KernelKind kind, Shape domain, uint8_t axes) {
  Groups *s = w->out;
  PUSH(s->arena, s, group,
       (Group){.kind = (uint8_t)kind, .axes = axes, .domain = domain, .seed = seed});
  uint32_t group = s->ngroup - 1;
  join(w, group, seed, node(w, seed)->op == OP_REDUCE ? LEVEL_REDUCED : LEVEL_ELEMENT, 0);
  grow(w, group);
  return group;
}

/* ---- order and storage -------------------------------------------------------------------- */

/* Marks what another group must find in memory, following values computed again. */
static void need(Grow *w, uint32_t group, Val v) {
  Groups *s = w->out;
  const Node *n = node(w, v);
  uint8_t cls = optab[n->op].cls;
  if (s->of[v] == group || cls == CLASS_LEAF) return;
  if (cls == CLASS_VIEW) {
    need(w, group, n->in[0]);
    return;
  }
  if (earlier(s, v, group)) {
    s->stored[v] = true;
    return;
  }
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i]) need(w, group, n->in[i]);
}

static void stored_find(Grow *w) {
  Groups *s = w->out;
  for (uint32_t k = 1; k < s->ngroup; k++)
    for (uint32_t i = 0; i < s->group[k].nmember; i++) {
      const Node *n = node(w, s->group[k].member[i]);
      for (int j = 0; j < MAX_IN; j++)
        if (n->in[j]) need(w, k, n->in[j]);
    }
  for (uint32_t i = 0; i < w->g->nroot; i++) {
    Val v = w->g->root[i].value;
    if (group_turned(s, w->g, &w->g->root[i])) continue;
    while (!s->of[v] && optab[node(w, v)->op].cls == CLASS_VIEW) v = node(w, v)->in[0];
    if (w->g->root[i].phase == s->phase && s->of[v]) s->stored[v] = true;
  }
}

static int member_order(const void *a, const void *b) {
  Val x = *(const Val *)a, y = *(const Val *)b;
  return x < y ? -1 : x > y;
}

static int seed_order(const void *a, const void *b) {
  const Group *x = a, *y = b;
  return x->seed < y->seed ? -1 : x->seed > y->seed;
}

static void groups_sort(Groups *s) {
  qsort(s->group + 1, s->ngroup - 1, sizeof *s->group, seed_order);
  for (uint32_t k = 1; k < s->ngroup; k++) {
    qsort(s->group[k].member, s->group[k].nmember, sizeof(Val), member_order);
    for (uint32_t i = 0; i < s->group[k].nmember; i++) s->of[s->group[k].member[i]] = k;
  }
}

/* ---- remarks ------------------------------------------------------------------------------ */

/* The last group before `group` that v is made by, directly or through maps computed again. */
static uint32_t maker(const Grow *w, uint32_t group, Val v, uint32_t depth) {
  const Groups *s = w->out;
  if (s->of[v]) return s->of[v] < group ? s->of[v] : 0;
  uint32_t last = 0;
  for (int i = 0; depth && i < MAX_IN; i++) {
    uint32_t k = node(w, v)->in[i] ? maker(w, group, node(w, v)->in[i], depth - 1) : 0;
    if (k > last) last = k;
  }
  return last;
}

/* True if v is computed from sums that `group` makes. */
static bool needs_sums(const Grow *w, uint32_t group, Val v, uint32_t depth) {
  if (w->out->of[v]) return w->out->of[v] == group && w->out->level[v] != LEVEL_ELEMENT;
  for (int i = 0; depth && i < MAX_IN; i++)
    if (node(w, v)->in[i] && needs_sums(w, group, node(w, v)->in[i], depth - 1)) return true;
  return false;
}

/* Why v is no member of the group `into`, which makes an operand of it. */
static const char *refusal(const Grow *w, uint32_t into, Val v) {
  const Group *k = &w->out->group[into];
  const Node *n = node(w, v);
  if (optab[n->op].cls == CLASS_CONTRACT)
    return "a contraction reads each value of its operands many times";
  Level level = level_of(w, k, v);
  if (level == LEVEL_NONE) return "it runs over another shape, or sums over other axes";
  if (stage_of(w, into, v, level) < 0)
    return "it needs sums that are complete only at the end of that kernel";
  for (int i = 0; i < MAX_IN; i++) {
    Val o = n->in[i];
    if (!o || w->out->of[o] == into || available(w, into, o, REDO_DEPTH)) continue;
    if (k->kind == KERNEL_CONTRACT && needs_sums(w, into, o, REDO_DEPTH))
      return "it needs sums that are complete only at the end of that kernel";
    return is_map(node(w, o)) && !w->out->of[o] ? "the maps between them are cheaper computed again"
                                                : "another operand of it is made later";
  }
  if (k->nmember >= MEMBER_LIMIT) return "that kernel is full";
  return "that kernel would gain nothing";
}

/* One remark for each group that reads what another one makes. */
static void remarks_make(const Grow *w) {
  static const char *const kind[] = {"map", "row", "contraction"};
  const Groups *s = w->out;
  for (uint32_t k = 1; w->remarks && k < s->ngroup; k++) {
    const Node *n = node(w, s->group[k].seed);
    uint32_t into = 0;
    for (int i = 0; i < MAX_IN; i++) {
      uint32_t m = n->in[i] ? maker(w, k, n->in[i], 4) : 0;
      if (m > into) into = m;
    }
    if (!into) continue;
    const char *layer = name_text(w->g->names, node(w, s->group[into].seed)->layer);
    remark_add(w->remarks, n->layer, n->span, "the %s%s%s before it: %s", kind[s->group[into].kind],
               *layer ? " of " : "", layer, refusal(w, into, s->group[k].seed));
    w->remarks->remark[w->remarks->nremark - 1].group = k;
  }
}

/* True if v, computed again in `group`, reads x. */
static bool reads(const Grow *w, uint32_t group, Val v, Val x, uint32_t depth) {
  const Node *n = node(w, v);
  if (v == x) return true;
  bool again = is_map(n) && (w->out->of[v] == group || !w->out->of[v]);
  for (int i = 0; again && depth && i < MAX_IN; i++)
    if (n->in[i] && reads(w, group, n->in[i], x, depth - 1)) return true;
  return false;
}

/* True if the terms of the sum v and a member of the group read the same value over all its domain. */
static bool shares(const Grow *w, uint32_t group, Val v, uint32_t depth) {
  const Group *k = &w->out->group[group];
  const Node *n = node(w, v);
  bool whole = shape_equal(&n->shape, &k->domain);
  for (uint32_t i = 0; whole && i < k->nmember; i++) {
    const Node *m = node(w, k->member[i]);
    if (m->op == OP_REDUCE && reads(w, group, m->in[0], v, SHARE_DEPTH)) return true;
  }
  for (int i = 0; is_map(n) && depth && i < MAX_IN; i++)
    if (n->in[i] && shares(w, group, n->in[i], depth - 1)) return true;
  return false;
}

/* Makes the sum v a member of the last group, if that walks the same rows of the same values. */
static bool join_last(Grow *w, Val v) {
  uint32_t group = w->out->ngroup - 1;
  return group && is_sibling(w, group, v) && shares(w, group, node(w, v)->in[0], SHARE_DEPTH) &&
         take(w, group, v, 4);
}

/* Begins a group at v, unless its readers compute it again. */
static void seed(Grow *w, Val v) {
  const Node *n = node(w, v);
  if (n->op == OP_MATMUL) group_new(w, v, KERNEL_CONTRACT, n->shape, 1);
  else if (n->op == OP_REDUCE && join_last(w, v)) grow(w, w->out->ngroup - 1);
  else if (n->op == OP_REDUCE)
    group_new(w, v, KERNEL_ROW, node(w, n->in[0])->shape, n->attr.reduce.axes);
  else if (is_map(n) ? w->buffered[v] : is_move(w, v)) group_new(w, v, KERNEL_MAP, n->shape, 0);
}

void group_phase(Groups *out, const Graph *g, Phase phase, Remarks *remarks, Arena *arena) {
  *out = (Groups){.arena = arena, .phase = phase};
  uint32_t n = g->nnode;
  Grow w = {.out = out, .g = g, .remarks = remarks};
  out->of = NEW_ARRAY(arena, uint32_t, n), out->level = NEW_ARRAY(arena, uint8_t, n);
  out->stage = NEW_ARRAY(arena, uint8_t, n), out->live = NEW_ARRAY(arena, bool, n);
  out->stored = NEW_ARRAY(arena, bool, n);
  w.root = NEW_ARRAY(arena, bool, n), w.redo = NEW_ARRAY(arena, uint8_t, n);
  w.buffered = NEW_ARRAY(arena, bool, n);
  graph_live(g, phase, out->live);
  users_find(&w, arena);
  roots_find(&w);
  redo_find(&w);
  PUSH(arena, out, group, (Group){0});
  for (Val v = 1; v < n; v++)
    if (out->live[v] && !out->of[v]) seed(&w, v);
  stored_find(&w);
  groups_sort(out);
  if (phase == PHASE_TRAIN) remarks_make(&w);
}

/* ---- text --------------------------------------------------------------------------------- */

static const char *const kind_name[] = {"map", "row", "contract"};

void groups_print(const Groups *s, const Graph *g, Text *out) {
  static const char *const phase_name[PHASE_COUNT] = {"init", "prepare", "train", "eval", "probe"};
  text_add(out, "phase %s: %u groups\n", phase_name[s->phase], s->ngroup - 1);
  for (uint32_t k = 1; k < s->ngroup; k++) {
    const Group *group = &s->group[k];
    text_add(out, "  %s ", kind_name[group->kind]);
    shape_text(out, g->names, &group->domain);
    text_add(out, " %s:", name_text(g->names, graph_node(g, group->seed)->layer));
    for (uint32_t i = 0; i < group->nmember; i++) {
      Val v = group->member[i];
      text_add(out, " %%%u%s%s", v, s->level[v] != LEVEL_ELEMENT ? "'" : "",
               s->stored[v] ? "!" : "");
    }
    text_add(out, "\n");
  }
}
