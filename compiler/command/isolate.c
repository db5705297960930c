/* isolate.c: see isolate.h. */
#include "isolate.h"
#include <string.h>

/* One launch under way. */
typedef struct {
  const Isolate *s;
  const Plan *plan;
  const Kernel *k;
  const uint32_t *buf; /* of the plan, per argument */
  Arena arena;
  double *before[MAX_ARG]; /* what each argument held that is read */
  Graph g;                 /* the nodes of the kernel, on inputs */
  Val *map;                /* node of the fused graph -> node of g */
  Val input[MAX_ARG];      /* node of g that stands for an argument */
  bool whole;              /* everything needed is an argument */
} Launched;

static Isolate *isolate_of(Device *d) { return (Isolate *)(void *)d; }
static const Graph *fused(const Launched *l) { return &l->s->c->model.graph; }
static const Buffer *buffer_of(const Launched *l, uint32_t arg) {
  return &l->s->c->program->buffer[l->buf[arg] + 1];
}

/* ---- numbers ------------------------------------------------------------------------------- */

double isolate_element(const void *p, DType type, uint64_t i) {
  switch (type) {
  case DTYPE_U8: return ((const uint8_t *)p)[i];
  case DTYPE_I32: return ((const int32_t *)p)[i];
  case DTYPE_U32: return ((const uint32_t *)p)[i];
  case DTYPE_F64: return ((const double *)p)[i];
  case DTYPE_BF16: {
    uint32_t word = (uint32_t)((const uint16_t *)p)[i] << 16;
    float x;
    return memcpy(&x, &word, sizeof x), (double)x;
  }
  default: return (double)((const float *)p)[i];
  }
}

static double *argument_get(Launched *l, uint32_t arg) {
  const PlanBuf *b = PLAN_AT(l->plan, PlanBuf, l->plan->buf) + l->buf[arg];
  const Buffer *from = buffer_of(l, arg);
  void *raw = arena_alloc(&l->arena, b->bytes + 1);
  double *x = NEW_ARRAY(&l->arena, double, from->elements + 1);
  Device *real = l->s->relay.real;
  real->get(real, raw, b->offset, b->bytes);
  for (uint64_t i = 0; i < from->elements; i++) x[i] = isolate_element(raw, (DType)from->dtype, i);
  return x;
}

/* ---- the kernel's nodes -------------------------------------------------------------------- */

/* The node whose elements an argument has once it is written: a leaf has those of its root. */
static Val written_value(const Launched *l, uint32_t arg) {
  const Buffer *b = buffer_of(l, arg);
  if (b->role == BUF_TEMP || b->role == BUF_OUTPUT) return b->value;
  for (uint32_t i = 0; i < fused(l)->nroot; i++) {
    const Root *r = &fused(l)->root[i];
    if (r->kind == ROOT_STORE && r->phase == l->s->phase && r->target == b->value) return r->value;
  }
  return 0;
}

/* The node whose elements an argument has before the launch. */
static Val held_value(const Launched *l, uint32_t arg) {
  return l->s->written[l->buf[arg] + 1] ? written_value(l, arg) : buffer_of(l, arg)->value;
}

/* The argument that holds v, -1: none. A buffer made for a reshape holds its operand as well. */
static int argument_of(const Launched *l, Val v) {
  for (uint32_t j = 0; j < l->k->narg; j++) {
    Val held = held_value(l, j);
    while (l->before[j] && held && held != v && graph_node(fused(l), held)->op == OP_RESHAPE)
      held = graph_node(fused(l), held)->in[0];
    if (l->before[j] && held == v) return (int)j;
  }
  return -1;
}

/* v in the graph of the launch: an input where the launch reads it, unless it is what is made. */
static Val node_take(Launched *l, Val v, bool made) {
  const Node *n = graph_node(fused(l), v);
  if (l->map[v]) return l->map[v];
  int arg = made || n->op == OP_CONST ? -1 : argument_of(l, v);
  if (arg >= 0) {
    Name name = name_of_text(l->g.names, arena_printf(&l->arena, "$%d.%u", arg, v));
    Feed feed =
        n->op == OP_INPUT ? (Feed)n->attr.decl.feed : FEED_NONE; /* random() asks for FEED_STEP */
    l->map[v] = graph_decl(&l->g, OP_INPUT, name, (DType)n->dtype, n->shape, feed, 0);
    return l->input[arg] = l->map[v];
  }
  if (optab[n->op].attr == ATTR_decl) return l->whole = false, 0;
  for (int i = 0; i < MAX_IN; i++)
    if (n->in[i] && !node_take(l, n->in[i], false)) return 0;
  return l->map[v] = graph_add_copy(&l->g, n, l->map);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static const char *tensor_name(const Launched *l, const Buffer *b) {
  const char *s = name_text(l->s->c->names, b->name ? b->name : b->layer);
  return *s ? s : "the input";
}

static void output_compare(Launched *l, uint32_t arg, Val want, Interpreter *t, LaunchCheck *r) {
  const double *y = interpreter_get(t, want), *e = interpreter_error(t, want),
               *have = argument_get(l, arg);
  const Buffer *b = buffer_of(l, arg);
  Difference d = {0};
  for (uint64_t i = 0; i < b->elements; i++) difference_add(&d, have[i], y[i], e[i]);
  if (!r->compared++ || d.ratio > r->worst.ratio) r->worst = d, r->where = tensor_name(l, b);
}

/* After the launch: computes what it should have written, and compares. */
static void launch_compare(Launched *l, LaunchCheck *r) {
  Val want[MAX_ARG] = {0}, list[MAX_ARG];
  uint32_t n = 0;
  for (uint32_t j = 0; j < l->k->narg; j++) {
    if (!(l->k->arg[j].use & ARG_WRITE)) continue;
    Val v = written_value(l, j);
    l->whole = v != 0;
    if (v) want[j] = node_take(l, v, true);
    if (!want[j]) r->skipped++;
    else list[n++] = want[j];
  }
  Interpreter *t = interpreter_new(&l->g, &l->arena);
  interpreter_track(t);
  for (uint32_t j = 0; j < l->k->narg; j++)
    if (l->input[j]) interpreter_set(t, l->input[j], l->before[j]);
  if (!n || !interpreter_eval(t, list, n)) return;
  for (uint32_t j = 0; j < l->k->narg; j++)
    if (want[j]) output_compare(l, j, want[j], t, r);
}

/* Every run of a phase begins with the leaves as they are. Calls go upwards within one. */
static void call_set(Isolate *s, uint32_t call) {
  Phase phase = (Phase)s->c->program->call[call].phase;
  if (s->phase != phase || call < s->call)
    memset(s->written, 0, s->c->program->nbuffer * sizeof *s->written);
  s->phase = phase, s->call = call + 1;
}

static void written_note(Isolate *s, const Kernel *k, const uint32_t *buf) {
  for (uint32_t j = 0; j < k->narg; j++)
    if (k->arg[j].use & ARG_WRITE) s->written[buf[j] + 1] = true;
}

static void isolate_launch(Device *d, const Plan *p, uint32_t k, const uint32_t *buf,
                           uint32_t narg) {
  Isolate *s = isolate_of(d);
  Device *real = s->relay.real;
  const Program *program = s->c->program;
  Launched l = {.s = s, .plan = p, .k = program->kernel[program->call[k].kernel], .buf = buf};
  call_set(s, k);
  if (s->only && !s->only[kernel_text(l.k)->index]) {
    real->launch(real, p, k, buf, narg);
    written_note(s, l.k, buf);
    return;
  }
  arena_init(&l.arena, "pass", (size_t)8 << 30);
  graph_init(&l.g, &l.arena, s->c->names);
  l.map = NEW_ARRAY(&l.arena, Val, fused(&l)->nnode);
  for (uint32_t j = 0; j < l.k->narg; j++)
    if (l.k->arg[j].use & ARG_READ) l.before[j] = argument_get(&l, j);
  real->launch(real, p, k, buf, narg);
  launch_compare(&l, &s->check[k]);
  written_note(s, l.k, buf);
  arena_release(&l.arena);
}

void isolate_open(Isolate *s, Compile *c, Device *real) {
  *s = (Isolate){.c = c};
  relay_open(&s->relay, real);
  s->relay.device.launch = isolate_launch;
  s->check = NEW_ARRAY(&c->perm, LaunchCheck, c->program->ncall);
  s->written = NEW_ARRAY(&c->perm, bool, c->program->nbuffer);
}
