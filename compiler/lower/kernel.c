/* kernel.c: facts about a Kernel and a Program: what varies, what is equal, what is well formed.
 * In: kernels built by lower.c (or by hand, in tests). Out: side arrays, numbers, a verdict. */
#include "kernel.h"
#include "graph.h"
#include <string.h>

uint16_t kernel_axes(const Kernel *k, AxisPart part) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (k->part[i] == part) axes |= 1u << i;
  return (uint16_t)axes;
}

uint64_t kernel_extent(const Kernel *k, uint16_t axes) {
  uint64_t n = 1;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (axes >> i & 1) n *= (uint64_t)k->extent[i];
  return n;
}

/* The axes over which an argument's address or guard varies. */
static uint16_t arg_axes(const Kernel *k, const Arg *a) {
  uint32_t axes = 0;
  for (uint32_t i = 0; i < k->naxis; i++) {
    if (a->stride[i]) axes |= 1u << i;
    for (uint32_t j = 0; j < a->nguard; j++)
      if (a->guard[j].coef[i]) axes |= 1u << i;
  }
  return (uint16_t)axes;
}

uint32_t instr_operands(const Instr *n) {
  return n->op == I_SCALAR ? scalartab[n->fn].nin : n->op == I_REDUCE || n->op == I_STORE;
}

uint32_t kernel_reader(const Kernel *k, uint32_t i) {
  uint32_t reader = k->ninstr, places = 0;
  for (uint32_t j = i + 1; j < k->ninstr; j++) {
    const Instr *n = &k->instr[j];
    const uint16_t operand[3] = {n->a, n->b, n->c};
    for (uint32_t o = 0; o < instr_operands(n); o++)
      if (operand[o] == i) reader = j, places++;
  }
  return places == 1 ? reader : k->ninstr;
}

void kernel_varies(const Kernel *k, uint16_t *varies) {
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    uint32_t v = 0;
    switch ((InstrOp)n->op) {
    case I_CONST: break;
    case I_LOAD: v = arg_axes(k, &k->arg[n->a]); break;
    case I_ACC: v = kernel_axes(k, PART_M) | kernel_axes(k, PART_N); break;
    case I_RANDOM: v = arg_axes(k, &k->arg[n->c]); break;
    case I_SCALAR:
      v = varies[n->a];
      if (scalartab[n->fn].nin > 1) v |= varies[n->b];
      if (scalartab[n->fn].nin > 2) v |= varies[n->c];
      break;
    case I_REDUCE: v = varies[n->a] & ~(uint32_t)n->axes; break;
    case I_STORE: v = arg_axes(k, &k->arg[n->b]); break;
    }
    varies[i] = (uint16_t)v;
  }
}

const Kernel *kernel_text(const Kernel *k) { return k->launch.text ? k->launch.text : k; }

/* ---- collapse ---------------------------------------------------------------------------- */

/* True if argument `a` walks axes i and i + 1 as one axis of extent e_i * e_(i+1). */
static bool arg_merges(const Arg *a, uint32_t i, int32_t inner) {
  for (uint32_t j = 0; j < a->nguard; j++)
    if (a->guard[j].coef[i] || a->guard[j].coef[i + 1]) return false;
  return a->stride[i] == a->stride[i + 1] * inner;
}

static bool axes_merge(const Kernel *k, uint32_t i) {
  if (k->part[i] != k->part[i + 1]) return false;
  for (uint32_t j = 0; j < k->narg; j++)
    if (!arg_merges(&k->arg[j], i, k->extent[i + 1])) return false;
  uint32_t pair = 3u << i;
  for (uint32_t j = 0; j < k->ninstr; j++)
    if (k->instr[j].op == I_REDUCE && (k->instr[j].axes & pair) &&
        (k->instr[j].axes & pair) != pair)
      return false;
  return true;
}

/* Removes bit i of a mask, moving the higher bits down. */
static uint16_t mask_drop(uint32_t mask, uint32_t i) {
  uint32_t low = mask & ((1u << i) - 1);
  return (uint16_t)(low | (mask >> (i + 1) << i));
}

/* Removes axis i; its extent must be 1 or have been merged into another axis. */
static void axis_drop(Kernel *k, uint32_t i) {
  for (uint32_t a = i; a + 1 < k->naxis; a++) {
    k->part[a] = k->part[a + 1], k->extent[a] = k->extent[a + 1];
    for (uint32_t j = 0; j < k->narg; j++) {
      Arg *arg = &k->arg[j];
      arg->stride[a] = arg->stride[a + 1];
      for (uint32_t g = 0; g < arg->nguard; g++) arg->guard[g].coef[a] = arg->guard[g].coef[a + 1];
    }
  }
  k->naxis--;
  k->part[k->naxis] = 0, k->extent[k->naxis] = 0;
  for (uint32_t j = 0; j < k->narg; j++) {
    k->arg[j].stride[k->naxis] = 0;
    for (uint32_t g = 0; g < k->arg[j].nguard; g++) k->arg[j].guard[g].coef[k->naxis] = 0;
  }
  for (uint32_t s = 0; s < k->nstage; s++) k->space[s] = mask_drop(k->space[s], i);
  for (uint32_t j = 0; j < k->ninstr; j++)
    if (k->instr[j].op == I_REDUCE) k->instr[j].axes = mask_drop(k->instr[j].axes, i);
}

/* How many axes of the part of axis i there are: the last one of a part stays. */
static uint32_t part_count(const Kernel *k, uint32_t i) {
  uint32_t n = 0;
  for (uint32_t a = 0; a < k->naxis; a++) n += k->part[a] == k->part[i];
  return n;
}

void kernel_collapse(Kernel *k) {
  for (uint32_t i = k->naxis; i-- > 0;)
    if (k->extent[i] == 1 && part_count(k, i) > 1) axis_drop(k, i);
  for (uint32_t i = k->naxis; i-- > 1;)
    if (axes_merge(k, i - 1)) {
      k->extent[i] *= k->extent[i - 1];
      axis_drop(k, i - 1);
    }
}

/* ---- counting ---------------------------------------------------------------------------- */

static uint64_t dtype_bytes(uint32_t dtype) {
  static const uint8_t size[DTYPE_COUNT] = {4, 1, 4, 4, 8, 2};
  return size[dtype];
}

void kernel_count(Kernel *k) {
  uint16_t varies[MAX_INSTR];
  kernel_varies(k, varies);
  k->flops = k->bytes = 0;
  if (k->kind == KERNEL_CONTRACT) k->flops = 2 * kernel_extent(k, (uint16_t)((1u << k->naxis) - 1));
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->op == I_SCALAR) k->flops += scalartab[n->fn].flops * kernel_extent(k, varies[i]);
    if (n->op == I_REDUCE) k->flops += kernel_extent(k, varies[n->a] | n->axes);
    if (n->op == I_RANDOM) k->flops += 60 * kernel_extent(k, varies[i]);
  }
  for (uint32_t j = 0; j < k->narg; j++) {
    uint64_t each = dtype_bytes(k->arg[j].dtype) * kernel_extent(k, arg_axes(k, &k->arg[j]));
    k->bytes += (k->arg[j].use & ARG_READ ? each : 0) + (k->arg[j].use & ARG_WRITE ? each : 0);
  }
}

/* ---- equality: the same code ------------------------------------------------------------- */

static bool instr_equal(const Instr *a, const Instr *b) {
  return a->op == b->op && a->fn == b->fn && a->stage == b->stage && a->axes == b->axes &&
         a->a == b->a && a->b == b->b && a->c == b->c && memcmp(&a->k, &b->k, sizeof a->k) == 0;
}

bool arg_equal(const Arg *a, const Arg *b, uint32_t naxis) {
  if (a->dtype != b->dtype || a->use != b->use || a->nguard != b->nguard || a->offset != b->offset)
    return false;
  for (uint32_t j = 0; j < a->nguard; j++) {
    const Guard *p = &a->guard[j], *q = &b->guard[j];
    if (p->base != q->base || p->extent != q->extent) return false;
    if (memcmp(p->coef, q->coef, naxis * sizeof *p->coef)) return false;
  }
  if (a->tail.known != b->tail.known || a->tail.from != b->tail.from ||
      memcmp(&a->tail.value, &b->tail.value, sizeof a->tail.value))
    return false;
  return memcmp(a->stride, b->stride, naxis * sizeof *a->stride) == 0;
}

bool kernel_equal(const Kernel *a, const Kernel *b) {
  if (a->kind != b->kind || a->naxis != b->naxis || a->narg != b->narg || a->nstage != b->nstage ||
      a->ninstr != b->ninstr || a->lhs != b->lhs || a->rhs != b->rhs ||
      a->precision != b->precision)
    return false;
  if (memcmp(a->part, b->part, a->naxis) ||
      memcmp(a->space, b->space, a->nstage * sizeof *a->space) ||
      memcmp(a->extent, b->extent, a->naxis * sizeof *a->extent))
    return false;
  for (uint32_t i = 0; i < a->narg; i++)
    if (!arg_equal(&a->arg[i], &b->arg[i], a->naxis)) return false;
  for (uint32_t i = 0; i < a->ninstr; i++)
    if (!instr_equal(&a->instr[i], &b->instr[i])) return false;
  return true;
}

uint64_t kernel_hash(const Kernel *k) {
  uint64_t h =
      hash_bytes(k->extent, k->naxis * sizeof *k->extent, (uint64_t)k->kind * 8 + k->naxis);
  h = hash_bytes(k->part, k->naxis, h);
  for (uint32_t i = 0; i < k->narg; i++)
    h = hash_bytes(k->arg[i].stride, k->naxis * sizeof *k->arg[i].stride, h);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    uint16_t word[7] = {n->op, n->fn, n->stage, n->axes, n->a, n->b, n->c};
    h = hash_bytes(word, sizeof word, h);
    h = hash_bytes(&n->k, sizeof n->k, h);
  }
  return h;
}

/* ---- verification ------------------------------------------------------------------------ */

typedef struct {
  const Kernel *k;
  Text *why;
  uint16_t varies[MAX_INSTR];
} Verify;

#define REFUSE(v, ...) return text_add((v)->why, __VA_ARGS__), false

/* Axes that are gone after stage s: what a later stage may not see of an earlier value. */
static uint32_t stage_gone(const Kernel *k, uint32_t from, uint32_t to) {
  if (k->kind == KERNEL_ROW) return from < to ? kernel_axes(k, PART_R) : 0u;
  return k->space[from] & ~(uint32_t)k->space[to];
}

static bool verify_operand(Verify *v, uint32_t i, uint32_t operand) {
  const Kernel *k = v->k;
  if (operand >= i) REFUSE(v, "instruction %u uses %u, which is not before it", i, operand);
  if (k->instr[operand].op == I_STORE) REFUSE(v, "instruction %u uses the store %u", i, operand);
  uint32_t from = k->instr[operand].stage, to = k->instr[i].stage;
  if (from > to) REFUSE(v, "instruction %u uses %u of a later stage", i, operand);
  if (v->varies[operand] & stage_gone(k, from, to))
    REFUSE(v, "instruction %u uses %u, which varies over an axis that stage %u has reduced", i,
           operand, from);
  return true;
}

static bool verify_instr(Verify *v, uint32_t i) {
  const Kernel *k = v->k;
  const Instr *n = &k->instr[i];
  if (n->stage >= k->nstage)
    REFUSE(v, "instruction %u is in stage %u of %u", i, n->stage, k->nstage);
  if (i && k->instr[i - 1].stage > n->stage)
    REFUSE(v, "instruction %u goes back to stage %u", i, n->stage);
  switch ((InstrOp)n->op) {
  case I_CONST: return true;
  case I_LOAD:
    if (n->a >= k->narg || !(k->arg[n->a].use & ARG_READ))
      REFUSE(v, "instruction %u loads argument %u", i, n->a);
    break;
  case I_ACC:
    if (k->kind != KERNEL_CONTRACT || n->stage != STAGE_EPILOGUE)
      REFUSE(v, "instruction %u: acc outside an epilogue", i);
    return true;
  case I_RANDOM:
    if (n->a >= k->narg || n->b >= k->narg || n->c >= k->narg)
      REFUSE(v, "instruction %u: random argument", i);
    break;
  case I_SCALAR: {
    uint32_t nin = scalartab[n->fn].nin;
    return verify_operand(v, i, n->a) && (nin < 2 || verify_operand(v, i, n->b)) &&
           (nin < 3 || verify_operand(v, i, n->c));
  }
  case I_REDUCE:
    if (n->axes & ~(uint32_t)k->space[n->stage])
      REFUSE(v, "instruction %u reduces axes outside its stage", i);
    if (k->kind == KERNEL_CONTRACT && (n->axes & kernel_axes(k, PART_M)) &&
        (n->axes & kernel_axes(k, PART_N)))
      REFUSE(v, "instruction %u reduces rows and columns at once", i);
    if (n->fn != S_add && n->fn != S_max)
      REFUSE(v, "instruction %u reduces by %s", i, scalartab[n->fn].name);
    return verify_operand(v, i, n->a);
  case I_STORE:
    if (n->b >= k->narg || !(k->arg[n->b].use & ARG_WRITE))
      REFUSE(v, "instruction %u stores to argument %u", i, n->b);
    if (v->varies[n->a] & ~(uint32_t)v->varies[i])
      REFUSE(v, "instruction %u stores a value that varies more than its argument", i);
    return verify_operand(v, i, n->a);
  }
  if (v->varies[i] & ~(uint32_t)k->space[n->stage])
    REFUSE(v, "instruction %u varies over an axis outside stage %u", i, n->stage);
  return true;
}

/* A tail belongs to the one axis along which a constant moves. */
static bool verify_tail(Verify *v, uint32_t j) {
  const Arg *a = &v->k->arg[j];
  uint32_t axes = arg_axes(v->k, a), axis = axes ? (uint32_t)__builtin_ctz(axes) : 0;
  if (!a->tail.known) return true;
  if (!axes || (axes & (axes - 1)) || a->use != ARG_READ || a->nguard)
    REFUSE(v, "argument %u has a tail and is no plain vector", j);
  if (a->tail.from < 0 || a->tail.from >= v->k->extent[axis])
    REFUSE(v, "argument %u has a tail from %d on", j, a->tail.from);
  return true;
}

bool kernel_verify(const Kernel *k, Text *why) {
  Verify v = {.k = k, .why = why};
  if (k->kind >= KERNEL_KINDS || k->naxis > MAX_AXIS || k->narg > MAX_ARG ||
      k->ninstr > MAX_INSTR || !k->nstage || k->nstage > MAX_STAGE)
    REFUSE(&v, "%s: a count is out of range", k->name);
  for (uint32_t i = 0; i < k->naxis; i++)
    if (k->extent[i] < 1) REFUSE(&v, "%s: axis %u has extent %d", k->name, i, k->extent[i]);
  if (k->kind == KERNEL_CONTRACT && (k->lhs >= k->narg || k->rhs >= k->narg || k->nstage < 3))
    REFUSE(&v, "%s: a contraction needs two operands and its stages", k->name);
  kernel_varies(k, v.varies);
  for (uint32_t j = 0; j < k->narg; j++)
    if (!verify_tail(&v, j)) return false;
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (!verify_instr(&v, i)) return false;
  return true;
}
