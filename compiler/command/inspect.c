/* inspect.c: see inspect.h. One walk over the instructions of a kernel; a load, a scalar, a
 * reduction and a store each say at most one part. The letters t, s, r and u are those of
 * docs/lcw.md. */
#include "inspect.h"
#include <string.h>
#include "graph.h"

typedef struct {
  const Program *p;
  const Call *call;
  const Kernel *k;
  Arena *arena;
  Parts *out;
  uint16_t m, n; /* axes of those parts */
  uint16_t varies[MAX_INSTR];
} Facts;

static bool is_contract(const Facts *f) { return f->k->kind == KERNEL_CONTRACT; }

static bool has_role(const Facts *f, const char *role) {
  size_t n = strlen(f->k->name), m = strlen(role);
  return is_contract(f) && n > m && !strcmp(f->k->name + n - m, role);
}

static const Buffer *buffer_of(const Facts *f, uint32_t arg) {
  return &f->p->buffer[f->call->buf[arg]];
}

/* hidden.7.linear.bias: bias. */
static const char *last_word(const Facts *f, Name name) {
  const char *s = name_text(f->p->names, name), *dot = strrchr(s, '.');
  return dot ? dot + 1 : s;
}

void parts_add(Arena *arena, Parts *p, const char *text) {
  for (uint32_t i = 0; i < p->npart; i++)
    if (!strcmp(p->part[i], text)) return;
  PUSH(arena, p, part, text);
}

static void say(Facts *f, const char *part) {
  if (part) parts_add(f->arena, f->out, part);
}

/* ---- one instruction ----------------------------------------------------------------------- */

/* True if instruction i is a load that varies over some of `axes` and no other. */
static bool loads_over(const Facts *f, uint32_t i, uint16_t axes) {
  return f->k->instr[i].op == I_LOAD && f->varies[i] && !(f->varies[i] & ~axes);
}

static uint8_t load_role(const Facts *f, uint32_t i) {
  return buffer_of(f, f->k->instr[i].a)->role;
}

/* True if a constant is 0 in its first lane, as the mask of lcw is and c is not. */
static bool is_mask(const Buffer *b) {
  return b->data && b->dtype == DTYPE_F32 && *(const float *)b->data == 0;
}

/* What the epilogue of a contraction reads. */
static const char *load_part(const Facts *f, uint32_t i) {
  uint32_t arg = f->k->instr[i].a;
  const Buffer *b = buffer_of(f, arg);
  if (f->k->arg[arg].dtype == DTYPE_U8) return "decoding of the samples";
  if (!is_contract(f) || f->k->arg[arg].use & ARG_WRITE) return NULL;
  if (b->role == BUF_PARAM && loads_over(f, i, f->n)) return last_word(f, b->name);
  if (has_role(f, "wgrad") && b->role == BUF_CONST && loads_over(f, i, f->m))
    return is_mask(b) ? "mask of the dead lane" : NULL;
  if (has_role(f, "wgrad") && b->role == BUF_TEMP && loads_over(f, i, f->n))
    return "r added to the gradient";
  bool whole = (f->varies[i] & f->m) && (f->varies[i] & f->n);
  return has_role(f, "dgrad") && b->role == BUF_TEMP && whole ? "gradient of the activation" : NULL;
}

/* A scalar function other than arithmetic, or the product of t and s. */
static const char *scalar_part(const Facts *f, uint32_t i) {
  const Instr *n = &f->k->instr[i];
  switch ((Scalar)n->fn) {
  case S_mul:
    if (!is_contract(f)) return NULL;
    if ((loads_over(f, n->a, f->m) && loads_over(f, n->b, f->n)) ||
        (loads_over(f, n->b, f->m) && loads_over(f, n->a, f->n)))
      return has_role(f, "dgrad") ? "rank-1 term u (x) c" : "rank-1 term t (x) s";
    return NULL;
  case S_add:
  case S_sub:
  case S_div:
  case S_neg: return NULL;
  default: return scalartab[n->fn].name;
  }
}

/* True if the value of instruction i goes to a buffer of `role` as it is. */
static bool stored_to(const Facts *f, uint32_t i, uint8_t role) {
  for (uint32_t j = i + 1; j < f->k->ninstr; j++)
    if (f->k->instr[j].op == I_STORE && f->k->instr[j].a == i &&
        buffer_of(f, f->k->instr[j].b)->role == role)
      return true;
  return false;
}

/* The weights of a weighted sum: a load that varies over `axes` only; its role, or BUF_ROLES. */
static uint8_t weight_role(const Facts *f, uint32_t i, uint16_t axes) {
  const Instr *n = &f->k->instr[i];
  if (n->op != I_SCALAR || n->fn != S_mul) return BUF_ROLES;
  if (loads_over(f, n->a, axes)) return load_role(f, n->a);
  return loads_over(f, n->b, axes) ? load_role(f, n->b) : BUF_ROLES;
}

static const char *reduce_part(const Facts *f, uint32_t i) {
  const Instr *n = &f->k->instr[i], *of = &f->k->instr[n->a];
  if (stored_to(f, i, BUF_DERIVED)) return NULL; /* the store says it */
  if (n->fn == S_max) return "row maxima";
  if (of->op == I_SCALAR && of->fn == S_mul && of->a == of->b)
    return "sum of squares, for the NaN check";
  uint8_t role = weight_role(f, n->a, n->axes);
  if (role == BUF_CONST && is_contract(f)) return "weighted row sum of the gradient";
  if (role == BUF_CONST) return "t: weighted row sum of the input";
  if (role == BUF_DERIVED) return "u: weighted row sum of the gradient";
  if (role == BUF_TEMP && f->call->phase == PHASE_TRAIN) return "r: sum of t times the gradient";
  return is_contract(f) ? "sum over the batch" : "row sums";
}

/* ---- what is stored ------------------------------------------------------------------------ */

/* "momentum" of the states PARAM.momentum that the kernel writes beside the parameter. */
static const char *states_text(const Facts *f, const char *param) {
  Text t;
  text_init(&t, f->arena);
  size_t n = strlen(param);
  for (uint32_t i = 0; i < f->k->ninstr; i++) {
    if (f->k->instr[i].op != I_STORE) continue;
    const Buffer *b = buffer_of(f, f->k->instr[i].b);
    const char *name = name_text(f->p->names, b->name);
    if (b->role == BUF_STATE && !strncmp(name, param, n) && name[n] == '.')
      text_add(&t, "%s%s", t.n ? " and " : " with ", name + n + 1);
  }
  return t.n ? t.s : "";
}

/* True if the kernel also writes the parameter that state `name` belongs to. */
static bool is_optimizer_state(const Facts *f, const char *name) {
  for (uint32_t i = 0; i < f->k->ninstr; i++) {
    if (f->k->instr[i].op != I_STORE) continue;
    const Buffer *b = buffer_of(f, f->k->instr[i].b);
    const char *param = name_text(f->p->names, b->name);
    if (b->role == BUF_PARAM && !strncmp(name, param, strlen(param))) return true;
  }
  return false;
}

static const char *output_part(Out out) {
  static const char *const what[OUT_COUNT] = {[OUT_LOSS] = "loss of each sample",
                                              [OUT_HIT] = "hits",
                                              [OUT_FINITE] = "the NaN check",
                                              [OUT_RESIDUAL] = "residual of the constraint"};
  return what[out];
}

static const char *store_part(const Facts *f, uint32_t i) {
  const Buffer *b = buffer_of(f, f->k->instr[i].b);
  const char *name = name_text(f->p->names, b->name);
  bool update = f->call->phase == PHASE_TRAIN;
  switch ((BufRole)b->role) {
  case BUF_PARAM:
    return arena_printf(f->arena, "%s of %s%s", update ? "update" : "start", last_word(f, b->name),
                        states_text(f, name));
  case BUF_STATE:
    if (is_optimizer_state(f, name)) return NULL;
    return arena_printf(f->arena, "%s of the state %s", update ? "update" : "start",
                        last_word(f, b->name));
  case BUF_DERIVED:
    return b->rank == 2 && b->dim[0] == 1 ? "s: row sums of the set" : "compute copy of the weight";
  case BUF_OUTPUT: return output_part((Out)b->out);
  default: return NULL;
  }
}

/* ---- the kernel ---------------------------------------------------------------------------- */

static const char *kind_part(const Facts *f) {
  if (has_role(f, "fwd")) return "forward product";
  if (has_role(f, "dgrad")) return "input gradient";
  if (has_role(f, "wgrad")) return "weight gradient";
  return f->k->kind == KERNEL_MAP ? "elementwise" : "rows";
}

void kernel_parts(const Program *p, const Call *call, Arena *arena, Parts *out) {
  Facts f = {.p = p, .call = call, .k = p->kernel[call->kernel], .arena = arena, .out = out};
  f.m = kernel_axes(f.k, PART_M), f.n = kernel_axes(f.k, PART_N);
  kernel_varies(f.k, f.varies);
  say(&f, kind_part(&f));
  for (uint32_t i = 0; i < f.k->ninstr; i++) switch ((InstrOp)f.k->instr[i].op) {
    case I_LOAD: say(&f, load_part(&f, i)); break;
    case I_SCALAR: say(&f, scalar_part(&f, i)); break;
    case I_REDUCE: say(&f, reduce_part(&f, i)); break;
    case I_STORE: say(&f, store_part(&f, i)); break;
    case I_RANDOM: say(&f, "random numbers"); break;
    case I_CONST:
    case I_ACC: break;
    }
}
