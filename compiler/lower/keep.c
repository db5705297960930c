/* keep.c: random numbers are made once. In: a ROW kernel, in which every stage repeats what it
 * needs of earlier ones. Out: the same values, bit for bit; where a stage would make random
 * numbers again, and has an output of their shape, the stage that made them leaves them there and
 * the later one takes them from there before it writes over them. Philox is some two hundred
 * instructions, a store and a load are two.
 *
 * It holds where one thread walks all stages of a row, as on the host. */
#include "graph.h"
#include "kernel.h"
#include <string.h>

typedef struct {
  Kernel *k;
  uint16_t varies[MAX_INSTR];
  uint16_t twin[MAX_INSTR];        /* the equal value of an earlier stage, or the value itself */
  bool random[MAX_INSTR];          /* it comes from random numbers */
  bool product[MAX_INSTR];         /* a sum of its stage may take it as its product: one rounding */
  bool live[MAX_INSTR];
} Keep;

/* True if instruction j of an earlier stage computes what i does. */
static bool is_twin(const Keep *w, uint32_t i, uint32_t j) {
  const Instr *x = &w->k->instr[i], *y = &w->k->instr[j];
  if (x->op != y->op || x->fn != y->fn || memcmp(&x->k, &y->k, sizeof x->k)) return false;
  if (x->op == I_LOAD) return x->a == y->a && w->k->arg[x->a].use == ARG_READ;
  if (x->op == I_RANDOM) return x->a == y->a && x->b == y->b && x->c == y->c;
  const uint16_t from[3] = {x->a, x->b, x->c}, to[3] = {y->a, y->b, y->c};
  for (uint32_t o = 0; o < instr_operands(x); o++)
    if (w->twin[from[o]] != to[o]) return false;
  return x->op == I_CONST || x->op == I_SCALAR;
}

/* Finds the twin of i; and whether it is random, and whose product it is. */
static void value_study(Keep *w, uint32_t i) {
  const Kernel *k = w->k;
  const Instr *n = &k->instr[i];
  const uint16_t operand[3] = {n->a, n->b, n->c};
  w->twin[i] = (uint16_t)i;
  for (uint32_t j = 0; j < i && w->twin[i] == i; j++)
    if (k->instr[j].stage < n->stage && k->space[k->instr[j].stage] == k->space[n->stage] &&
        is_twin(w, i, j))
      w->twin[i] = (uint16_t)j;
  w->random[i] = n->op == I_RANDOM;
  for (uint32_t o = 0; o < instr_operands(n); o++) {
    w->random[i] |= n->op == I_SCALAR && w->random[operand[o]];
    w->product[operand[o]] |= n->op == I_SCALAR && (n->fn == S_add || n->fn == S_sub);
  }
}

/* True if a store writes every element of its stage, each to an own place that nothing else uses. */
static bool is_place(const Keep *w, uint32_t store) {
  const Kernel *k = w->k;
  const Instr *n = &k->instr[store];
  const Arg *a = &k->arg[n->b];
  if (n->op != I_STORE || a->use != ARG_WRITE || a->dtype != DTYPE_F32 || a->nguard) return false;
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (i != store && k->instr[i].op == I_STORE && k->instr[i].b == n->b) return false;
  for (uint32_t axis = 0; axis < k->naxis; axis++)
    if (k->space[n->stage] >> axis & 1 && k->extent[axis] > 1 && !(w->varies[store] >> axis & 1))
      return false;
  return true;
}

/* The last value that is worth it: made before, of random numbers, and with a place for it after it
 * in its stage; 0: none. A product that is rounded with a sum would not be the same bits. */
static uint32_t kept_find(const Keep *w, uint32_t *store) {
  const Kernel *k = w->k;
  for (uint32_t i = k->ninstr; i-- > 1;) {
    bool fused = w->product[i] && k->instr[i].op == I_SCALAR && k->instr[i].fn == S_mul;
    if (w->twin[i] == i || !w->random[i] || fused) continue;
    for (*store = i + 1; *store < k->ninstr; ++*store)
      if (k->instr[*store].stage == k->instr[i].stage && is_place(w, *store)) return i;
  }
  return 0;
}

/* What the stores need, if `kept` has no operands any more. */
static void live_find(Keep *w, uint32_t kept) {
  for (uint32_t i = w->k->ninstr; i-- > 0;) {
    const Instr *n = &w->k->instr[i];
    const uint16_t operand[3] = {n->a, n->b, n->c};
    w->live[i] |= n->op == I_STORE || i == w->twin[kept];
    for (uint32_t o = 0; w->live[i] && i != kept && o < instr_operands(n); o++)
      w->live[operand[o]] = true;
  }
}

/* Writes the program again: `kept` is loaded from argument `place`, where its twin is stored. */
static void program_write(Keep *w, uint32_t kept, uint16_t place) {
  Kernel *k = w->k;
  Instr out[MAX_INSTR + 1];
  uint16_t n = 0, at[MAX_INSTR] = {0};
  for (uint32_t i = 0; i < k->ninstr; i++) {
    Instr x = k->instr[i];
    uint16_t *operand[3] = {&x.a, &x.b, &x.c};
    if (!w->live[i]) continue;
    if (i == kept) x = (Instr){.op = I_LOAD, .stage = x.stage, .a = place};
    for (uint32_t o = 0; o < instr_operands(&x); o++) *operand[o] = at[*operand[o]];
    at[i] = n;
    out[n++] = x;
    if (i == w->twin[kept])
      out[n++] = (Instr){.op = I_STORE, .stage = x.stage, .a = at[i], .b = place};
  }
  memcpy(k->instr, out, n * sizeof *out);
  k->ninstr = n;
  k->arg[place].use |= ARG_READ;
  kernel_count(k);
}

void kernel_keep(Kernel *k) {
  Keep w = {.k = k};
  uint32_t store;
  if (k->kind != KERNEL_ROW || k->ninstr == MAX_INSTR) return; /* a store is added */
  kernel_varies(k, w.varies);
  for (uint32_t i = 0; i < k->ninstr; i++) value_study(&w, i);
  uint32_t kept = kept_find(&w, &store);
  if (!kept) return;
  uint16_t place = k->instr[store].b;
  live_find(&w, kept);
  program_write(&w, kept, place);
}
