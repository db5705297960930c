/* borrow.c: a call may run a kernel that does a little more. In: a Program for a device, where each
 * distinct kernel is compiled. Out: the same Program with fewer kernels: where the program of kernel A is
 * part of that of B, over the same space, the calls of A run B. What B writes beyond A goes to
 * temporaries that nobody reads; what it reads beyond A is a buffer of one of its own calls.
 *
 * So the evaluation runs the loss of the training step, and the layer whose input needs no gradient
 * the kernel of its neighbours. */
#include <string.h>
#include "graph.h"
#include "kernel.h"

enum { TRIES = 4000, SHARE = 8, SMALL = 1 << 15 };
enum { NONE = MAX_ARG };

typedef struct {
  const Kernel *a, *b;
  uint8_t arg[MAX_ARG];            /* argument of b that stands for one of a; NONE: not yet known */
  uint16_t instr[MAX_INSTR];       /* instruction of b for one of a */
  uint32_t tries;
} Match;

/* ---- is A part of B ---------------------------------------------------------------------------- */

/* Lets argument j of b stand for i of a; false: it is another, or is taken. */
static bool arg_match(Match *m, uint32_t i, uint32_t j) {
  if (m->arg[i] != NONE) return m->arg[i] == j;
  for (uint32_t other = 0; other < m->a->narg; other++)
    if (m->arg[other] == j) return false;
  if (!arg_equal(&m->a->arg[i], &m->b->arg[j], m->a->naxis)) return false;
  m->arg[i] = (uint8_t)j;
  return true;
}

/* True if instruction j of b does what i of a does, on what matches so far. */
static bool instr_match(Match *m, uint32_t i, uint32_t j) {
  const Instr *x = &m->a->instr[i], *y = &m->b->instr[j];
  if (x->op != y->op || x->fn != y->fn || x->stage != y->stage || x->axes != y->axes ||
      memcmp(&x->k, &y->k, sizeof x->k))
    return false;
  switch ((InstrOp)x->op) {
  case I_CONST: case I_ACC: return true;
  case I_LOAD: return arg_match(m, x->a, y->a);
  case I_RANDOM: return arg_match(m, x->a, y->a) && arg_match(m, x->b, y->b) && arg_match(m, x->c, y->c);
  case I_REDUCE: return m->instr[x->a] == y->a;
  case I_STORE: return m->instr[x->a] == y->a && arg_match(m, x->b, y->b);
  case I_SCALAR: break;
  }
  const uint16_t from[3] = {x->a, x->b, x->c}, to[3] = {y->a, y->b, y->c};
  for (uint32_t o = 0; o < scalartab[x->fn].nin; o++)
    if (m->instr[from[o]] != to[o]) return false;
  return true;
}

/* True if the instructions of a from i on are among those of b from j on, in this order. */
static bool rest_match(Match *m, uint32_t i, uint32_t j) {
  if (i == m->a->ninstr) return true;
  for (; j < m->b->ninstr && m->tries; j++) {
    uint8_t before[MAX_ARG];
    memcpy(before, m->arg, sizeof before);
    m->tries--;
    m->instr[i] = (uint16_t)j;
    if (instr_match(m, i, j) && rest_match(m, i + 1, j + 1)) return true;
    memcpy(m->arg, before, sizeof before);
  }
  return false;
}

static bool space_equal(const Kernel *a, const Kernel *b) {
  return a->kind == b->kind && a->naxis == b->naxis && a->precision == b->precision &&
         a->nstage <= b->nstage && !memcmp(a->part, b->part, a->naxis) &&
         !memcmp(a->space, b->space, a->nstage * sizeof *a->space) &&
         !memcmp(a->extent, b->extent, a->naxis * sizeof *a->extent);
}

/* What b writes beyond a must not be what a has. */
static bool stores_apart(const Match *m) {
  for (uint32_t j = 0; j < m->b->ninstr; j++) {
    if (m->b->instr[j].op != I_STORE) continue;
    uint32_t i = 0, arg = 0;
    while (i < m->a->ninstr && m->instr[i] != j) i++;
    while (arg < m->a->narg && m->arg[arg] != m->b->instr[j].b) arg++;
    if (i == m->a->ninstr && arg < m->a->narg) return false;
  }
  return true;
}

/* B may do a little more than A: a share of it, or less than a launch costs. */
static bool is_much(uint64_t a, uint64_t b) { return b > a && b - a > a / SHARE && b - a > SMALL; }

static bool part_of(Match *m, const Kernel *a, const Kernel *b) {
  *m = (Match){.a = a, .b = b, .tries = TRIES};
  memset(m->arg, NONE, sizeof m->arg);
  if (a == b || !space_equal(a, b) || a->narg > b->narg || a->ninstr > b->ninstr) return false;
  if (is_much(a->bytes, b->bytes) || is_much(a->flops, b->flops)) return false;
  if (a->kind == KERNEL_CONTRACT && !(arg_match(m, a->lhs, b->lhs) && arg_match(m, a->rhs, b->rhs)))
    return false;
  if (!rest_match(m, 0, 0) || !stores_apart(m)) return false;
  for (uint32_t i = 0; i < a->narg; i++)
    if (m->arg[i] == NONE) return false;
  return true;
}

/* ---- the calls --------------------------------------------------------------------------------- */

static const Call *call_of(const Program *p, uint32_t kernel) {
  for (uint32_t i = 0; i < p->ncall; i++)
    if (p->call[i].kernel == kernel) return &p->call[i];
  return NULL;
}

/* The argument of a that j of b stands for; NONE. */
static uint32_t arg_of(const Match *m, uint32_t j) {
  for (uint32_t i = 0; i < m->a->narg; i++)
    if (m->arg[i] == j) return i;
  return NONE;
}

/* True if the buffers that `from` gives to b serve a call of a where that has none. */
static bool lends(const Program *p, const Match *m, const Call *from, const Call *to) {
  for (uint32_t j = 0; j < m->b->narg; j++) {
    if (arg_of(m, j) != NONE || m->b->arg[j].use == ARG_WRITE) continue;
    BufRole role = (BufRole)p->buffer[from->buf[j]].role;
    bool lasts = role == BUF_CONST || (to->phase > PHASE_PREPARE && role >= BUF_PARAM && role <= BUF_DERIVED);
    if (!lasts || m->b->arg[j].use != ARG_READ) return false;
    for (uint32_t i = 0; i < m->a->narg; i++)
      if (to->buf[i] == from->buf[j] && m->a->arg[i].use & ARG_WRITE) return false;
  }
  return true;
}

/* A temporary like another buffer, for what nobody reads. */
static uint32_t buffer_unread(Program *p, uint32_t like) {
  Buffer b = p->buffer[like];
  b.role = BUF_TEMP, b.out = 0, b.feed = 0, b.name = 0, b.value = 0, b.same = 0, b.data = NULL;
  PUSH(p->arena, p, buffer, b);
  return p->nbuffer - 1;
}

static void call_change(Program *p, const Match *m, const Call *from, Call *to, uint32_t kernel) {
  Call before = *to;
  to->kernel = kernel;
  for (uint32_t j = 0; j < m->b->narg; j++) {
    uint32_t i = arg_of(m, j);
    to->buf[j] = i != NONE                       ? before.buf[i]
                 : m->b->arg[j].use == ARG_WRITE ? buffer_unread(p, from->buf[j])
                                                 : from->buf[j];
  }
}

/* Lets all calls of kernel a run b, if b serves every one of them and has as many itself. */
static bool calls_change(Program *p, const Match *m, uint32_t a, uint32_t b) {
  Call from = *call_of(p, b);
  uint32_t calls[2] = {0};
  for (uint32_t i = 0; i < p->ncall; i++) {
    calls[0] += p->call[i].kernel == a, calls[1] += p->call[i].kernel == b;
    if (p->call[i].kernel == a && !lends(p, m, &from, &p->call[i])) return false;
  }
  if (calls[0] > calls[1]) return false;
  for (uint32_t i = 0; i < p->ncall; i++)
    if (p->call[i].kernel == a) call_change(p, m, &from, &p->call[i], b);
  return true;
}

/* ---- the program ------------------------------------------------------------------------------- */

/* Kernel a has no calls any more. */
static void kernel_drop(Program *p, uint32_t a) {
  memmove(p->kernel + a, p->kernel + a + 1, (--p->nkernel - a) * sizeof *p->kernel);
  for (uint32_t i = a; i < p->nkernel; i++) p->kernel[i]->index = i;
  for (uint32_t i = 0; i < p->ncall; i++) p->call[i].kernel -= p->call[i].kernel > a;
  p->nbucket = 0; /* found by program_kernel() no longer */
}

void program_borrow(Program *p) {
  Match m;
  for (uint32_t a = p->nkernel; a-- > 0;)
    for (uint32_t b = 0; b < p->nkernel; b++) {
      if (!part_of(&m, p->kernel[a], p->kernel[b]) || !calls_change(p, &m, a, b)) continue;
      kernel_drop(p, a);
      break;
    }
}
