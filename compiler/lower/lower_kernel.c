/* lower_kernel.c: one group as one Kernel. In: a Group and the places of all values. Out: axes,
 * arguments and a program in SSA, stage by stage.
 *
 * A value is found in this order: already computed in this stage; a member, computed here;
 * in memory; computed again from its operands. Element values do not outlive their stage: a
 * later stage loads those that were stored and computes the others again. */
#include <string.h>
#include "lower.h"
#include "seed.h"

typedef struct {
  Val v;
  uint8_t stage;
  uint16_t instr;
} Known;

typedef struct {
  Lower *w;
  const Group *group;
  uint32_t index; /* of the group; 0 for a copy */
  Kernel *k;
  uint32_t *buf; /* buffer of every argument */
  Known known[MAX_INSTR];
  uint32_t nknown;
  bool written[MAX_ARG]; /* arguments stored in place so far */
  Val clash;
} Build;

static const Node *node(const Build *b, Val v) { return graph_node(b->w->g, v); }
static bool member(const Build *b, Val v) { return b->index && b->w->s->of[v] == b->index; }
static bool contract(const Build *b) { return b->k->kind == KERNEL_CONTRACT; }
static bool reduced(const Build *b, Val v) { return b->w->s->level[v] != LEVEL_ELEMENT; }

/* The stage in which the instruction of member v stands. */
static uint32_t stage_of(const Build *b, Val v) {
  bool after = reduced(b, v) && node(b, v)->op != OP_REDUCE;
  if (contract(b)) return after ? STAGE_COLUMN : STAGE_EPILOGUE;
  return b->w->s->stage[v] + (after ? 1u : 0u);
}

/* The stage in which member v is stored: a reduced value once its walk is over. */
static uint32_t store_stage(const Build *b, Val v) {
  if (b->w->s->level[v] == LEVEL_ROW) return STAGE_ROW;
  return stage_of(b, v) + (node(b, v)->op == OP_REDUCE ? 1u : 0u);
}

/* ---- instructions and arguments ------------------------------------------------------------ */

static uint16_t instr_add(Build *b, Instr n) {
  Kernel *k = b->k;
  if (k->ninstr == MAX_INSTR) return (uint16_t)(MAX_INSTR - 1); /* refused by the verifier */
  k->instr[k->ninstr] = n;
  return k->ninstr++;
}

static uint16_t scalar_add(Build *b, Scalar fn, uint32_t stage, const uint16_t *in) {
  return instr_add(b, (Instr){.op = I_SCALAR,
                              .fn = (uint8_t)fn,
                              .stage = (uint8_t)stage,
                              .a = in[0],
                              .b = in[1],
                              .c = in[2]});
}

/* The tail of a constant vector that is walked from its start: at least half of it. */
static Tail tail_of(const Buffer *b, const Arg *a, const Kernel *k) {
  Tail none = {0};
  uint32_t axis = MAX_AXIS;
  for (uint32_t i = 0; i < k->naxis; i++) {
    if (!a->stride[i]) continue;
    if (axis < MAX_AXIS || a->stride[i] != 1) return none;
    axis = i;
  }
  bool plain = b->role == BUF_CONST && b->dtype == DTYPE_F32 && !a->offset && !a->nguard;
  if (!plain || axis == MAX_AXIS || b->elements != (uint64_t)k->extent[axis]) return none;
  const float *data = b->data;
  int32_t from = k->extent[axis] - 1;
  float last = data[from];
  while (from > 0 && data[from - 1] == last) from--;
  return from <= k->extent[axis] / 2 ? (Tail){true, last, from} : none;
}

/* An argument for `buffer` with this access, shared if there is one already. */
static uint32_t arg_add(Build *b, uint32_t buffer, const Arg *want) {
  Kernel *k = b->k;
  for (uint32_t j = 0; j < k->narg; j++) {
    Arg *a = &k->arg[j];
    if (b->buf[j] != buffer || a->offset != want->offset || a->nguard != want->nguard) continue;
    if (memcmp(a->stride, want->stride, sizeof a->stride) ||
        memcmp(a->guard, want->guard, sizeof a->guard))
      continue;
    a->use |= want->use;
    return j;
  }
  if (k->narg == MAX_ARG) return MAX_ARG - 1;
  k->arg[k->narg] = *want;
  k->arg[k->narg].dtype = b->w->p->buffer[buffer].dtype;
  k->arg[k->narg].tail = tail_of(&b->w->p->buffer[buffer], want, k);
  b->buf[k->narg] = buffer;
  return k->narg++;
}

/* The access of a place, seen from the kernel's domain: dimensions of 1 do not move. */
static Arg arg_of(const Build *b, const Place *at, const Shape *s, uint8_t use) {
  Arg a = {.use = use, .offset = at->offset};
  for (uint32_t i = 0; i < s->rank; i++)
    if (s->dim[i].n > 1) a.stride[i] = at->stride[i];
  (void)b;
  return a;
}

static uint32_t arg_value(Build *b, Val v, uint8_t use) {
  Place at = lower_place(b->w, v);
  Arg a = arg_of(b, &at, &node(b, v)->shape, use);
  return arg_add(b, at.buffer, &a);
}

/* ---- values -------------------------------------------------------------------------------- */

static uint16_t value(Build *b, Val v, uint32_t stage);

static uint16_t load(Build *b, Val v, uint32_t stage) {
  uint32_t arg = arg_value(b, v, ARG_READ);
  if (b->written[arg] && !member(b, v)) { /* the old value is asked for after the store */
    uint32_t buffer = b->buf[arg];
    for (uint32_t i = 0; i < b->group->nmember; i++)
      if (b->w->buffer[b->group->member[i]] == buffer) b->clash = b->group->member[i];
  }
  return instr_add(b, (Instr){.op = I_LOAD, .stage = (uint8_t)stage, .a = (uint16_t)arg});
}

/* The two words of a RANDOM's stream, as a constant buffer: kernels of other streams stay equal. */
static uint32_t stream_buffer(Lower *w, uint64_t stream) {
  uint32_t *word = NEW_ARRAY(w->p->arena, uint32_t, 2);
  word[0] = (uint32_t)stream, word[1] = (uint32_t)(stream >> 32);
  PUSH(w->p->arena, w->p, buffer,
       (Buffer){.name = name_of_text(w->p->names, "stream"),
                .role = BUF_CONST,
                .dtype = DTYPE_U32,
                .rank = 1,
                .dim = {2},
                .elements = 2,
                .data = word});
  return w->p->nbuffer - 1;
}

static uint16_t random_value(Build *b, Val v, uint32_t stage) {
  const Node *n = node(b, v);
  Place key = {.buffer = lower_leaf(b->w, n->in[0])};
  Arg a = {.use = ARG_READ};
  uint32_t key_arg = arg_add(b, key.buffer, &a);
  uint32_t stream =
      b->w->leaf[v] ? b->w->leaf[v] : (b->w->leaf[v] = stream_buffer(b->w, n->attr.random.stream));
  uint32_t stream_arg = arg_add(b, stream, &a);
  Place at = {.buffer = stream};
  int64_t step = 1;
  for (uint32_t i = n->shape.rank; i-- > 0;) at.stride[i] = step, step *= n->shape.dim[i].n;
  Arg where = arg_of(b, &at, &n->shape, ARG_READ);
  uint32_t address = arg_add(b, stream, &where);
  return instr_add(b, (Instr){.op = I_RANDOM,
                              .stage = (uint8_t)stage,
                              .a = (uint16_t)key_arg,
                              .b = (uint16_t)stream_arg,
                              .c = (uint16_t)address});
}

static uint16_t constant(Build *b, Val v, uint32_t stage) {
  return instr_add(
      b,
      (Instr){.op = I_CONST, .stage = (uint8_t)stage, .k = (float)node(b, v)->attr.constant.value});
}

static uint16_t compute(Build *b, Val v, uint32_t stage) {
  const Node *n = node(b, v);
  uint16_t in[3] = {0};
  switch ((Op)n->op) {
  case OP_MATMUL: return instr_add(b, (Instr){.op = I_ACC, .stage = STAGE_EPILOGUE});
  case OP_RANDOM: return random_value(b, v, stage);
  case OP_REDUCE: {
    uint16_t a = value(b, n->in[0], stage);
    return instr_add(b, (Instr){.op = I_REDUCE,
                                .fn = n->attr.reduce.fn,
                                .stage = (uint8_t)stage,
                                .axes = n->attr.reduce.axes,
                                .a = a});
  }
  default:
    for (int i = 0; i < 3; i++)
      if (n->in[i]) in[i] = value(b, n->in[i], stage);
    return scalar_add(b, (Scalar)n->attr.map.fn, stage, in);
  }
}

/* A value of an earlier stage that may be used in this one: it does not vary along the row. */
static const Known *known(const Build *b, Val v, uint32_t stage) {
  for (uint32_t i = b->nknown; i-- > 0;) {
    const Known *n = &b->known[i];
    if (n->v != v) continue;
    if (n->stage == stage || (member(b, v) && reduced(b, v))) return n;
  }
  return NULL;
}

static uint16_t value(Build *b, Val v, uint32_t stage) {
  const Known *old = known(b, v, stage);
  if (old) return old->instr;
  const Node *n = node(b, v);
  uint16_t i;
  if (n->op == OP_CONST && n->attr.constant.kind == CONST_FILL) i = constant(b, v, stage);
  else if (member(b, v) && (stage_of(b, v) == stage || !b->w->s->stored[v]))
    i = compute(b, v, stage);
  else if (member(b, v) || group_loads(b->w->s, b->w->g, b->index, v)) i = load(b, v, stage);
  else i = compute(b, v, stage);
  if (b->nknown < MAX_INSTR) b->known[b->nknown++] = (Known){v, (uint8_t)stage, i};
  return i;
}

static uint32_t store_to(Build *b, Val v, uint32_t stage, const Place *at) {
  uint16_t from = value(b, v, stage);
  Arg a = arg_of(b, at, &node(b, v)->shape, ARG_WRITE);
  uint32_t arg = arg_add(b, at->buffer, &a);
  instr_add(b, (Instr){.op = I_STORE, .stage = (uint8_t)stage, .a = from, .b = (uint16_t)arg});
  return arg;
}

static void store(Build *b, Val v, uint32_t stage) {
  Place at = {.buffer = b->w->buffer[v]};
  int64_t step = 1;
  const Shape *s = &node(b, v)->shape;
  for (uint32_t i = s->rank; i-- > 0;) at.stride[i] = step, step *= s->dim[i].n;
  b->written[store_to(b, v, stage, &at)] = b->w->into[v] != 0;
}

/* The transpose of v, in a matrix of its own. */
static void store_turned(Build *b, Val v, uint32_t stage) {
  Place at = {.buffer = lower_leaf(b->w, b->w->turned[v]), .stride = {1, node(b, v)->shape.dim[0].n}};
  store_to(b, v, stage, &at);
}

/* ---- groups -------------------------------------------------------------------------------- */

/* The program: stage by stage, what is reduced and what is stored there, members in order. */
static void program_build(Build *b) {
  Kernel *k = b->k;
  k->nstage = 1;
  for (uint32_t i = 0; i < b->group->nmember; i++) {
    Val v = b->group->member[i];
    uint32_t last = b->w->s->stored[v] ? store_stage(b, v) : stage_of(b, v);
    if (last >= k->nstage) k->nstage = (uint8_t)(last + 1);
  }
  if (contract(b) && k->nstage < 3) k->nstage = 3;
  for (uint32_t stage = 0; stage < k->nstage; stage++)
    for (uint32_t i = 0; i < b->group->nmember; i++) {
      Val v = b->group->member[i];
      if (node(b, v)->op == OP_REDUCE && stage_of(b, v) == stage) value(b, v, stage);
      if (b->w->s->stored[v] && store_stage(b, v) == stage) store(b, v, stage);
      if (b->w->turned[v] && stage_of(b, v) == stage) store_turned(b, v, stage);
    }
}

/* SLICE, EMBED and a TRANSPOSE made whole: one load with another access, one store. */
static void move_build(Build *b, Val v) {
  const Node *n = node(b, v);
  Place at = lower_place(b->w, n->in[0]);
  const Shape *from = &node(b, n->in[0])->shape;
  Arg a = {.use = ARG_READ, .offset = at.offset};
  for (uint32_t i = 0; i < from->rank; i++)
    if (n->shape.dim[i].n > 1) /* as in arg_of() */
      a.stride[i] = n->op == OP_TRANSPOSE ? at.stride[n->attr.perm.perm[i]] : at.stride[i];
  if (n->op != OP_TRANSPOSE) {
    int32_t axis = n->attr.slice.axis, begin = n->attr.slice.begin;
    int32_t skip = n->op == OP_SLICE ? begin : SEED(110, 0, -begin); /* caught by whole_agree */
    a.offset += skip * at.stride[axis];
    if (n->op == OP_EMBED) {
      a.nguard = 1;
      a.guard[0] = (Guard){.base = -begin, .extent = from->dim[axis].n};
      a.guard[0].coef[axis] = 1;
    }
  }
  uint32_t arg = arg_add(b, at.buffer, &a);
  uint16_t i = instr_add(b, (Instr){.op = I_LOAD, .a = (uint16_t)arg});
  b->known[b->nknown++] = (Known){v, 0, i};
}

static void axes_set(Kernel *k, const Shape *domain, uint32_t reduced_axes) {
  k->naxis = domain->rank ? domain->rank : 1;
  k->extent[0] = 1;
  for (uint32_t i = 0; i < domain->rank; i++) {
    k->extent[i] = domain->dim[i].n;
    k->part[i] = reduced_axes >> i & 1 ? PART_R : PART_P;
  }
}

/* Axes m, n, k and the two operands of a product. */
static void contract_set(Build *b, Val seed) {
  const Node *n = node(b, seed);
  Kernel *k = b->k;
  bool ta = n->attr.gemm.ta, tb = n->attr.gemm.tb;
  k->naxis = 3;
  k->precision = n->attr.gemm.precision;
  k->part[0] = PART_M, k->part[1] = PART_N, k->part[2] = PART_K;
  k->extent[0] = n->shape.dim[0].n, k->extent[1] = n->shape.dim[1].n;
  k->extent[2] = node(b, n->in[0])->shape.dim[ta ? 0 : 1].n;
  Place l = lower_place(b->w, n->in[0]), r = lower_place(b->w, n->in[1]);
  Arg a = {.use = ARG_READ, .offset = l.offset}, c = {.use = ARG_READ, .offset = r.offset};
  a.stride[0] = l.stride[ta ? 1 : 0], a.stride[2] = l.stride[ta ? 0 : 1];
  c.stride[1] = r.stride[tb ? 0 : 1], c.stride[2] = r.stride[tb ? 1 : 0];
  k->lhs = (uint8_t)arg_add(b, l.buffer, &a);
  k->rhs = (uint8_t)arg_add(b, r.buffer, &c);
}

static void spaces_set(Kernel *k) {
  uint32_t all = (1u << k->naxis) - 1;
  for (uint32_t s = 0; s < k->nstage; s++) k->space[s] = (uint16_t)all;
  if (k->kind != KERNEL_CONTRACT) return;
  uint32_t m = kernel_axes(k, PART_M), n = kernel_axes(k, PART_N), c = kernel_axes(k, PART_K);
  k->space[STAGE_PROLOGUE] = (uint16_t)(n | c);
  k->space[STAGE_EPILOGUE] = (uint16_t)(m | n);
  k->space[STAGE_COLUMN] = (uint16_t)n;
  if (k->nstage > STAGE_ROW) k->space[STAGE_ROW] = (uint16_t)m;
}

/* What the kernel is for, as the end of its symbol: dgrad reads the weight transposed, and forward
 * reads the transposed weight so. */
static const char *role_text(const Build *b, Val seed) {
  const Node *n = node(b, seed), *rhs = node(b, n->in[1]);
  bool turned = rhs->op == OP_STATE && rhs->attr.decl.turned;
  if (n->op == OP_MATMUL && n->attr.gemm.ta) return "wgrad";
  if (n->op == OP_MATMUL) return n->attr.gemm.tb && !turned ? "dgrad" : "fwd";
  return b->k->kind == KERNEL_ROW ? "row" : "map";
}

/* hidden.7.linear and fwd: hidden_7_linear_fwd, restricted to [a-z0-9_]. The program adds k17_. */
static void name_set(Build *b, Val seed) {
  const char *layer = name_text(b->w->g->names, node(b, seed)->layer);
  size_t n = 0;
  for (; *layer && n < 40; layer++) {
    char c = *layer >= 'A' && *layer <= 'Z' ? (char)(*layer + 32) : *layer;
    bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    b->k->name[n++] = plain ? c : '_';
  }
  if (n) b->k->name[n++] = '_';
  strcpy(b->k->name + n, role_text(b, seed));
  b->k->span = node(b, seed)->span;
}

bool lower_group(Lower *w, uint32_t group, Kernel *k, uint32_t *buf, Val *clash) {
  const Group *g = &w->s->group[group];
  Build b = {.w = w, .group = g, .index = group, .k = k, .buf = buf};
  const Node *seed = graph_node(w->g, g->seed);
  memset(k, 0, sizeof *k);
  k->kind = g->kind;
  if (contract(&b)) contract_set(&b, g->seed);
  else axes_set(k, &g->domain, g->kind == KERNEL_ROW ? g->axes : 0);
  name_set(&b, g->seed);
  if (seed->op == OP_SLICE || seed->op == OP_EMBED || seed->op == OP_TRANSPOSE)
    move_build(&b, g->seed);
  program_build(&b);
  spaces_set(k);
  *clash = b.clash;
  return !b.clash;
}

void lower_copy(Lower *w, Val v, uint32_t target, Kernel *k, uint32_t *buf) {
  Group none = {0};
  Build b = {.w = w, .group = &none, .k = k, .buf = buf};
  memset(k, 0, sizeof *k);
  k->kind = KERNEL_MAP;
  k->nstage = 1;
  axes_set(k, &node(&b, v)->shape, 0);
  name_set(&b, v);
  const Node *n = node(&b, v);
  uint16_t from = n->op == OP_CONST && n->attr.constant.kind == CONST_FILL ? constant(&b, v, 0)
                                                                           : load(&b, v, 0);
  Place at = {.buffer = target};
  int64_t step = 1;
  for (uint32_t i = n->shape.rank; i-- > 0;) at.stride[i] = step, step *= n->shape.dim[i].n;
  Arg a = arg_of(&b, &at, &n->shape, ARG_WRITE);
  instr_add(&b, (Instr){.op = I_STORE, .a = from, .b = (uint16_t)arg_add(&b, target, &a)});
  spaces_set(k);
}
