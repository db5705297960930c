/* form_memory.c: forms of instructions that touch memory, and of tensor cores. Cache hints are
 * taken and mean nothing here. */
#include "form.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static void hints_take(Parts *p) {
  static const char *const hint[] = {
    "ca", "cg", "cs", "lu", "cv", "wb", "wt", "weak", "L1::no_allocate", "L1::evict_first",
    "L1::evict_last", "L1::evict_normal", "L1::evict_unchanged", "L2::64B", "L2::128B", "L2::256B",
  };
  for (uint32_t i = 0; i < COUNT_OF(hint); i++) parts_take(p, hint[i]);
}

static Class space_class(const Instruction *n) {
  if (n->space == SPACE_SHARED) return CLASS_shared_access;
  return n->space == SPACE_GLOBAL || n->space == SPACE_GENERIC ? CLASS_global_access
                                                               : CLASS_other_access;
}

static void space_take(Parts *p, Instruction *n) {
  static const char *const text[] = {"global", "const", "shared", "shared::cta", "local", "param"};
  static const uint8_t space[] = {SPACE_GLOBAL, SPACE_GLOBAL,  SPACE_SHARED, SPACE_SHARED,
                                  SPACE_LOCAL,  SPACE_PARAM, SPACE_GENERIC};
  n->space = space[parts_pick(p, text, COUNT_OF(text), COUNT_OF(text))];
}

/* .relaxed.gpu and the like; volatile is an access as any. */
static void order_take(Parts *p, Instruction *n) {
  static const char *const scope[] = {"cta", "gpu", "sys"};
  if (parts_take(p, "volatile")) return;
  if (parts_take(p, "relaxed")) n->mode = ACCESS_SYNC;
  parts_pick(p, scope, COUNT_OF(scope), 0);
}

static void access_take(Parts *p, Instruction *n) {
  space_take(p, n);
  order_take(p, n);
  if (parts_take(p, "nc")) n->mode = ACCESS_READ_ONLY;
  n->vector = parts_take(p, "v2") ? 2 : parts_take(p, "v4") ? 4 : 1;
  hints_take(p);
}

bool form_load(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes = 4;
  access_take(p, n);
  if (!type_take(l, p, n) || !operand_registers(l, n->to, &n->nto, MAX_TO, &bytes)) return false;
  if (n->nto != n->vector) return load_fail(l, "%u registers for %u values", n->nto, n->vector);
  if (bytes < n->size) return load_fail(l, "the register is too narrow");
  if (!load_expect(l, ",") || !operand_address(l, n, &n->from[0])) return false;
  bool fixed = n->space == SPACE_PARAM && (n->from[0] & CONSTANT);
  n->kind = fixed ? KIND_PARAMETER : KIND_LOAD;
  n->nfrom = fixed ? 0 : 1;
  n->register_bytes = (uint8_t)bytes;
  n->class = (uint8_t)space_class(n);
  if (fixed && n->immediate + n->size * n->vector > l->f->info.parameter_bytes)
    return load_fail(l, "a read beyond the parameters");
  return true;
}

/* Literals take the width of the access, registers may be wider. */
static bool stored_read(Loader *l, Instruction *n) {
  bool list = load_accept(l, "{");
  n->nfrom = 1;
  do {
    const char first = l->lex.token.length ? l->lex.token.at[0] : 0;
    uint32_t bytes = n->size < 4 ? 4 : n->size;
    if (n->nfrom > MAX_TO) return load_fail(l, "more than 4 values");
    if ((first >= '0' && first <= '9') || first == '-') {
      if (!operand_read(l, bytes, &n->from[n->nfrom++])) return false;
    } else if (!operand_register(l, &n->from[n->nfrom++], &bytes)) return false;
    if (bytes < n->size) return load_fail(l, "the register is too narrow");
    n->register_bytes = (uint8_t)bytes;
  } while (list && load_accept(l, ","));
  if (n->nfrom != n->vector + 1)
    return load_fail(l, "%u registers for %u values", n->nfrom - 1u, n->vector);
  return !list || load_expect(l, "}");
}

bool form_store(Loader *l, Parts *p, Instruction *n) {
  n->kind = KIND_STORE;
  access_take(p, n);
  if (!type_take(l, p, n) || !operand_address(l, n, &n->from[0]) || !load_expect(l, ","))
    return false;
  if (n->space == SPACE_PARAM) return load_fail(l, "a store to a parameter of the kernel");
  n->class = (uint8_t)space_class(n);
  if (n->size < 4 && (n->space == SPACE_SHARED || n->space == SPACE_GENERIC)) {
    uint32_t granule = n->size == 1 ? 0 : 1;
    if (granule < l->f->granule) l->f->granule = granule;
  }
  return stored_read(l, n);
}

static bool atomic_read(Loader *l, Parts *p, Instruction *n, bool result) {
  static const char *const name[] = {
#define X(atomic, value) #atomic,
    ATOMICS(X)
#undef X
  };
  uint32_t bytes = 0;
  n->kind = KIND_ATOMIC;
  space_take(p, n);
  order_take(p, n);
  if (parts_take(p, "acq_rel") || parts_take(p, "release")) n->release = true;
  parts_take(p, "acquire");
  uint32_t which = parts_pick(p, name, ATOMIC_COUNT, ATOMIC_COUNT);
  if (which == ATOMIC_COUNT) return load_fail(l, "this atomic is not known");
  n->mode = (uint8_t)which;
  if (parts_take(p, "f32") || parts_take(p, "f64"))
    return load_fail(l, "float atomics have no fixed order and are not executed");
  if (!type_take(l, p, n)) return false;
  if (n->size < 4) return load_fail(l, "atomics of 32 or 64 bits expected");
  if (n->space != SPACE_SHARED) l->f->ordered = true;
  if (result) {
    if (!operand_register(l, &n->to[0], &bytes) || !load_expect(l, ",")) return false;
    n->nto = 1;
    if (bytes != n->size && bytes != 8) return load_fail(l, "the register's width is wrong");
  }
  if (!operand_address(l, n, &n->from[0]) || !load_expect(l, ",") ||
      !operand_read(l, n->size, &n->from[1]))
    return false;
  n->nfrom = 2;
  if (which != ATOMIC_cas) return true;
  n->nfrom = 3;
  return load_expect(l, ",") && operand_read(l, n->size, &n->from[2]);
}

bool form_atomic(Loader *l, Parts *p, Instruction *n) { return atomic_read(l, p, n, true); }
bool form_reduction(Loader *l, Parts *p, Instruction *n) { return atomic_read(l, p, n, false); }

/* cp.async.ca.shared.global [to], [from], 16, read; .commit_group; .wait_group n; .wait_all */
bool form_copy(Loader *l, Parts *p, Instruction *n) {
  uint64_t value = 0;
  if (!parts_take(p, "async")) return load_fail(l, "only cp.async is known");
  if (parts_take(p, "commit_group")) return n->kind = KIND_COMMIT, true;
  if (parts_take(p, "wait_all")) return n->kind = KIND_WAIT, n->mode = 1, true;
  if (parts_take(p, "wait_group")) {
    n->kind = KIND_WAIT;
    if (!load_number(l, &value)) return false;
    n->immediate = (int64_t)value;
    return true;
  }
  Instruction from = {0};
  n->kind = KIND_COPY;
  bool both = (parts_take(p, "shared") || parts_take(p, "shared::cta")) && parts_take(p, "global");
  hints_take(p);
  if (!both) return load_fail(l, "a copy from global to shared memory expected");
  if (!operand_address(l, n, &n->from[0]) || !load_expect(l, ",") ||
      !operand_address(l, &from, &n->from[1]) || !load_expect(l, ",") || !load_number(l, &value))
    return false;
  if (value != 4 && value != 8 && value != 16)
    return load_fail(l, "a copy of 4, 8 or 16 bytes expected");
  n->size = (uint8_t)value, n->nfrom = 2;
  n->target = (uint32_t)(int32_t)from.immediate, n->mode = from.wide;
  if (!load_accept(l, ",")) return true;
  n->nfrom = 3;
  return operand_read(l, 4, &n->from[2]);
}

/* ---- tensor cores ---------------------------------------------------------------------------- */

bool form_matrix(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes = 4;
  n->kind = KIND_MATRIX;
  bool known = parts_take(p, "sync") && parts_take(p, "aligned") && parts_take(p, "m8n8");
  n->vector = parts_take(p, "x1") ? 1 : parts_take(p, "x2") ? 2 : parts_take(p, "x4") ? 4 : 0;
  n->mode = parts_take(p, "trans");
  known = known && n->vector && (parts_take(p, "shared") || parts_take(p, "shared::cta")) &&
          parts_take(p, "b16");
  if (!known) return load_fail(l, "ldmatrix of 8 x 8 from shared memory expected");
  n->space = SPACE_SHARED, n->size = 16;
  if (!operand_registers(l, n->to, &n->nto, MAX_TO, &bytes) || !load_expect(l, ",")) return false;
  if (n->nto != n->vector || bytes != 4)
    return load_fail(l, "%u registers of 32 bits expected", n->vector);
  n->nfrom = 1;
  return operand_address(l, n, &n->from[0]);
}

/* One list of registers of 32 bits, exactly so many. */
static bool fragment_read(Loader *l, Operand *out, uint32_t n) {
  uint8_t got;
  return operand_list(l, 4, out, &got, n) && (got == n || load_fail(l, "%u registers expected", n));
}

bool form_multiply(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes = 4;
  n->kind = KIND_MULTIPLY;
  bool known = parts_take(p, "sync") && parts_take(p, "aligned");
  bool tf32 = parts_take(p, "m16n8k8"), bf16 = !tf32 && parts_take(p, "m16n8k16");
  known = known && (tf32 || bf16) && parts_take(p, "row") && parts_take(p, "col") &&
          parts_take(p, "f32");
  const char *operand = tf32 ? "tf32" : "bf16";
  known = known && parts_take(p, operand) && parts_take(p, operand) && parts_take(p, "f32");
  if (!known) return load_fail(l, "mma of m16n8k8 tf32 or m16n8k16 bf16 expected");
  n->mode = bf16;
  if (!operand_registers(l, n->to, &n->nto, MAX_TO, &bytes)) return false;
  if (n->nto != 4 || bytes != 4) return load_fail(l, "4 registers expected");
  n->nfrom = 10;
  return load_expect(l, ",") && fragment_read(l, n->from, 4) && load_expect(l, ",") &&
         fragment_read(l, n->from + 4, 2) && load_expect(l, ",") &&
         fragment_read(l, n->from + 6, 4);
}
