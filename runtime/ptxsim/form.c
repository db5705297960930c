/* form.c: instructions whose text has modifiers or whose operands are of more than one sort, by
 * their first word. A form takes the modifiers that it knows; one that is left over stops the load.
 * Cache hints are taken and mean nothing here. */
#include "part.h"
#include <stdio.h>
#include <string.h>

enum { MAX_PART = 16 };
typedef struct { Token part[MAX_PART]; bool taken[MAX_PART]; uint32_t n; } Parts;

/* The modifiers of a word, without the first part. */
static bool parts_split(Token word, Parts *p) {
  *p = (Parts){0};
  for (uint32_t at = 0, first = 1; at <= word.length; first = 0) {
    uint32_t end = at;
    while (end < word.length && word.at[end] != '.') end++;
    if (!first) {
      if (p->n == MAX_PART) return false;
      p->part[p->n++] = (Token){.at = word.at + at, .length = end - at, .line = word.line};
    }
    at = end + 1;
  }
  return true;
}

static bool parts_take(Parts *p, const char *text) {
  for (uint32_t i = 0; i < p->n; i++)
    if (!p->taken[i] && token_is(&p->part[i], text)) return p->taken[i] = true;
  return false;
}

/* Takes one of several; its index, or `otherwise`. */
static uint32_t parts_pick(Parts *p, const char *const *text, uint32_t n, uint32_t otherwise) {
  for (uint32_t i = 0; i < n; i++)
    if (parts_take(p, text[i])) return i;
  return otherwise;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static const struct { const char *text; uint8_t size; bool is_signed; } type[] = {
  {"b8", 1, false}, {"u8", 1, false}, {"s8", 1, true}, {"b16", 2, false}, {"u16", 2, false},
  {"s16", 2, true}, {"b32", 4, false}, {"u32", 4, false}, {"s32", 4, true}, {"f32", 4, false},
  {"b64", 8, false}, {"u64", 8, false}, {"s64", 8, true}, {"f64", 8, false},
};

static bool type_take(Loader *l, Parts *p, Instruction *n) {
  for (uint32_t i = 0; i < COUNT_OF(type); i++)
    if (parts_take(p, type[i].text)) {
      n->size = type[i].size, n->is_signed = type[i].is_signed;
      return true;
    }
  return load_fail(l, "the type of this access is not known");
}

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

static bool form_load(Loader *l, Parts *p, Instruction *n) {
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

static bool form_store(Loader *l, Parts *p, Instruction *n) {
  n->kind = KIND_STORE;
  access_take(p, n);
  if (!type_take(l, p, n) || !operand_address(l, n, &n->from[0]) || !load_expect(l, ",")) return false;
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
  if (!operand_address(l, n, &n->from[0]) || !load_expect(l, ",") || !operand_read(l, n->size, &n->from[1]))
    return false;
  n->nfrom = 2;
  if (which != ATOMIC_cas) return true;
  n->nfrom = 3;
  return load_expect(l, ",") && operand_read(l, n->size, &n->from[2]);
}

static bool form_atomic(Loader *l, Parts *p, Instruction *n) { return atomic_read(l, p, n, true); }
static bool form_reduction(Loader *l, Parts *p, Instruction *n) { return atomic_read(l, p, n, false); }

/* cp.async.ca.shared.global [to], [from], 16, read; .commit_group; .wait_group n; .wait_all */
static bool form_copy(Loader *l, Parts *p, Instruction *n) {
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
  if (value != 4 && value != 8 && value != 16) return load_fail(l, "a copy of 4, 8 or 16 bytes expected");
  n->size = (uint8_t)value, n->nfrom = 2;
  n->target = (uint32_t)(int32_t)from.immediate, n->mode = from.wide;
  if (!load_accept(l, ",")) return true;
  n->nfrom = 3;
  return operand_read(l, 4, &n->from[2]);
}

/* ---- tensor cores ---------------------------------------------------------------------------- */

static bool form_matrix(Loader *l, Parts *p, Instruction *n) {
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
  if (n->nto != n->vector || bytes != 4) return load_fail(l, "%u registers of 32 bits expected", n->vector);
  n->nfrom = 1;
  return operand_address(l, n, &n->from[0]);
}

/* One list of registers of 32 bits, exactly so many. */
static bool fragment_read(Loader *l, Operand *out, uint32_t n) {
  uint8_t got;
  return operand_list(l, 4, out, &got, n) && (got == n || load_fail(l, "%u registers expected", n));
}

static bool form_multiply(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes = 4;
  n->kind = KIND_MULTIPLY;
  bool known = parts_take(p, "sync") && parts_take(p, "aligned");
  bool tf32 = parts_take(p, "m16n8k8"), bf16 = !tf32 && parts_take(p, "m16n8k16");
  known = known && (tf32 || bf16) && parts_take(p, "row") && parts_take(p, "col") && parts_take(p, "f32");
  const char *operand = tf32 ? "tf32" : "bf16";
  known = known && parts_take(p, operand) && parts_take(p, operand) && parts_take(p, "f32");
  if (!known) return load_fail(l, "mma of m16n8k8 tf32 or m16n8k16 bf16 expected");
  n->mode = bf16;
  if (!operand_registers(l, n->to, &n->nto, MAX_TO, &bytes)) return false;
  if (n->nto != 4 || bytes != 4) return load_fail(l, "4 registers expected");
  n->nfrom = 10;
  return load_expect(l, ",") && fragment_read(l, n->from, 4) && load_expect(l, ",") &&
         fragment_read(l, n->from + 4, 2) && load_expect(l, ",") && fragment_read(l, n->from + 6, 4);
}

/* ---- warps and blocks ------------------------------------------------------------------------ */

static bool form_shuffle(Loader *l, Parts *p, Instruction *n) {
  static const char *const mode[] = {"bfly", "down", "up", "idx"};
  uint32_t bytes;
  n->kind = KIND_SHUFFLE;
  n->mode = (uint8_t)parts_pick(p, mode, COUNT_OF(mode), COUNT_OF(mode));
  if (!parts_take(p, "sync") || n->mode == COUNT_OF(mode) || !parts_take(p, "b32"))
    return load_fail(l, "shfl.sync of 32 bits expected");
  if (!operand_register(l, &n->to[0], &bytes)) return false;
  n->nto = 1;
  if (load_accept(l, "|")) {
    if (!operand_predicate(l, &n->to[1])) return false;
    n->nto = 2;
  }
  for (n->nfrom = 0; n->nfrom < 4; n->nfrom++)
    if (!load_expect(l, ",") || !operand_read(l, 4, &n->from[n->nfrom])) return false;
  return true;
}

static bool form_vote(Loader *l, Parts *p, Instruction *n) {
  static const char *const mode[] = {"all", "any", "uni", "ballot"};
  uint32_t bytes;
  n->kind = KIND_VOTE;
  n->mode = (uint8_t)parts_pick(p, mode, COUNT_OF(mode), COUNT_OF(mode));
  if (!parts_take(p, "sync") || n->mode == COUNT_OF(mode)) return load_fail(l, "vote.sync expected");
  bool ballot = n->mode == VOTE_BALLOT;
  if (!parts_take(p, ballot ? "b32" : "pred")) return load_fail(l, "the type of this vote is not known");
  n->nto = 1, n->nfrom = 2;
  if (ballot ? !operand_register(l, &n->to[0], &bytes) : !operand_predicate(l, &n->to[0])) return false;
  if (!load_expect(l, ",")) return false;
  n->release = load_accept(l, "!"); /* of the negated predicate */
  return operand_predicate(l, &n->from[0]) && load_expect(l, ",") && operand_read(l, 4, &n->from[1]);
}

static bool form_active(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes;
  n->kind = KIND_VOTE, n->mode = VOTE_ACTIVE, n->nto = 1;
  return parts_take(p, "b32") && operand_register(l, &n->to[0], &bytes);
}

/* bar.sync 0; barrier.sync.aligned 0; bar.warp.sync mask */
static bool form_barrier(Loader *l, Parts *p, Instruction *n) {
  uint64_t which;
  if (parts_take(p, "warp")) {
    n->kind = KIND_WARP_SYNC, n->nfrom = 1;
    return parts_take(p, "sync") && operand_read(l, 4, &n->from[0]);
  }
  n->kind = KIND_BARRIER;
  parts_take(p, "cta");
  parts_take(p, "aligned");
  if (!parts_take(p, "sync")) return load_fail(l, "bar.sync expected");
  if (!load_number(l, &which)) return false;
  return !token_is(&l->lex.token, ",") || load_fail(l, "a barrier of some of the threads");
}

static bool form_fence(Loader *l, Parts *p, Instruction *n) {
  (void)l;
  n->kind = KIND_FENCE, n->mode = FENCE_DEVICE;
  if (parts_take(p, "cta")) n->mode = FENCE_BLOCK;
  (void)(parts_take(p, "gl") || parts_take(p, "gpu") || parts_take(p, "sys"));
  (void)(parts_take(p, "acq_rel") || parts_take(p, "sc"));
  return true;
}

/* ---- control --------------------------------------------------------------------------------- */

static bool form_branch(Loader *l, Parts *p, Instruction *n) {
  parts_take(p, "uni");
  n->kind = KIND_BRANCH;
  n->target = label_named(l, l->lex.token);
  lex_next(&l->lex);
  return true;
}

/* In a function that was called, on to the place behind the call. */
static bool form_return(Loader *l, Parts *p, Instruction *n) {
  parts_take(p, "uni");
  n->kind = l->depth ? KIND_BRANCH : KIND_RETURN;
  n->target = l->leave;
  return true;
}

static bool form_exit(Loader *l, Parts *p, Instruction *n) {
  (void)l, (void)p;
  n->kind = KIND_RETURN;
  return true;
}

static bool form_trap(Loader *l, Parts *p, Instruction *n) {
  (void)l, (void)p;
  n->kind = KIND_TRAP;
  return true;
}

/* ---- moves and predicates -------------------------------------------------------------------- */

static bool special_find(const Token *t, uint8_t *which) {
  static const char *const name[] = {
    "%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y",
    "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid", "%nwarpid",
    "%lanemask_eq", "%lanemask_lt", "%lanemask_le", "%lanemask_gt", "%lanemask_ge",
    "%clock",
  };
  for (uint32_t i = 0; i < COUNT_OF(name); i++)
    if (token_is(t, name[i])) {
      *which = (uint8_t)i;
      return true;
    }
  return false;
}

static void plain_move(Loader *l, Instruction *n, uint32_t bytes) {
  static const char *const name[] = {"mov.b32", "mov.b64"};
  const char *text = name[bytes == 8];
  int row = operation_find(l->sim, (Token){.at = text, .length = (uint32_t)strlen(text)});
  n->kind = KIND_LANES, n->size = (uint8_t)bytes;
  n->run.lanes = l->sim->lanes->lanes[row];
}

/* mov.b64 {a, b}, c; mov.b64 c, {a, b} */
static bool pack_read(Loader *l, Instruction *n, uint32_t bytes) {
  uint32_t each = 4;
  n->kind = token_is(&l->lex.token, "{") ? KIND_UNPACK : KIND_PACK;
  if (n->kind == KIND_UNPACK) {
    if (!operand_registers(l, n->to, &n->nto, MAX_TO, &each) || !load_expect(l, ",") ||
        !operand_read(l, bytes, &n->from[0]))
      return false;
    n->nfrom = 1, n->vector = n->nto;
  } else {
    if (!operand_register(l, &n->to[0], &each) || !load_expect(l, ",")) return false;
    n->nto = 1;
    if (!operand_list(l, 4, n->from, &n->nfrom, MAX_TO)) return false;
    n->vector = n->nfrom;
  }
  n->size = (uint8_t)bytes;
  return (n->vector == 2 || n->vector == 4) || load_fail(l, "2 or 4 parts expected");
}

static bool form_move(Loader *l, Parts *p, Instruction *n) {
  uint32_t bytes = 0;
  uint64_t address;
  if (parts_take(p, "pred")) {
    n->kind = KIND_LOGIC, n->mode = LOGIC_MOV, n->nto = n->nfrom = 1;
    if (!operand_predicate(l, &n->to[0]) || !load_expect(l, ",")) return false;
    if (l->lex.token.length && l->lex.token.at[0] == '%') return operand_predicate(l, &n->from[0]);
    n->mode = LOGIC_SET, n->nfrom = 0; /* a literal: 0, 1 or -1 */
    if (!load_number(l, &address)) return false;
    n->immediate = address ? -1 : 0;
    return true;
  }
  if (!type_take(l, p, n)) return false;
  uint32_t size = n->size < 4 ? 4 : n->size;
  Lexer back = l->lex;
  if (token_is(&l->lex.token, "{")) return pack_read(l, n, n->size < 4 ? 4 : n->size);
  if (!operand_register(l, &n->to[0], &bytes) || !load_expect(l, ",")) return false;
  n->nto = 1, n->register_bytes = (uint8_t)bytes;
  if (token_is(&l->lex.token, "{")) return l->lex = back, pack_read(l, n, size);
  if (special_find(&l->lex.token, &n->mode)) return lex_next(&l->lex), n->kind = KIND_SPECIAL, true;
  const Symbol *s = symbol_find(&l->symbols, l->lex.token);
  if (bytes != size) return load_fail(l, "the register has %u bits", 8 * bytes);
  n->nfrom = 1;
  plain_move(l, n, size);
  if (!s || s->kind <= SYMBOL_PREDICATES) return operand_read(l, size, &n->from[0]);
  lex_next(&l->lex);
  if (!operand_symbol(l, s, &address)) return false;
  n->from[0] = operand_constant(l, address, size);
  if (s->kind == SYMBOL_SHARED && s->dynamic)
    n->kind = KIND_SPECIAL, n->mode = SPECIAL_DYNAMIC_SHARED, n->nfrom = 0;
  return true;
}

static bool form_select(Loader *l, Parts *p, Instruction *n) {
  n->kind = KIND_SELECT;
  if (!type_take(l, p, n)) return false;
  uint32_t bytes = 0;
  if (n->size < 4) n->size = 4;
  if (!operand_register(l, &n->to[0], &bytes)) return false;
  if (bytes != n->size) return load_fail(l, "the register has %u bits", 8 * bytes);
  n->nto = 1, n->nfrom = 3;
  return load_expect(l, ",") && operand_read(l, n->size, &n->from[0]) && load_expect(l, ",") &&
         operand_read(l, n->size, &n->from[1]) && load_expect(l, ",") &&
         operand_predicate(l, &n->from[2]);
}

static bool logic_read(Loader *l, Parts *p, Instruction *n, uint8_t mode) {
  n->kind = KIND_LOGIC, n->mode = mode, n->nto = 1;
  if (!parts_take(p, "pred")) return load_fail(l, "this type is not known");
  if (!operand_predicate(l, &n->to[0])) return false;
  for (uint32_t want = mode >= LOGIC_AND ? 2 : 1; n->nfrom < want; n->nfrom++)
    if (!load_expect(l, ",") || !operand_predicate(l, &n->from[n->nfrom])) return false;
  return true;
}

static bool form_and(Loader *l, Parts *p, Instruction *n) { return logic_read(l, p, n, LOGIC_AND); }
static bool form_or(Loader *l, Parts *p, Instruction *n) { return logic_read(l, p, n, LOGIC_OR); }
static bool form_xor(Loader *l, Parts *p, Instruction *n) { return logic_read(l, p, n, LOGIC_XOR); }
static bool form_not(Loader *l, Parts *p, Instruction *n) { return logic_read(l, p, n, LOGIC_NOT); }

/* Hints to caches and schedulers: nothing is executed. */
static bool form_hint(Loader *l, Parts *p, Instruction *n) {
  n->kind = KIND_COUNT;
  for (uint32_t i = 0; i < p->n; i++) p->taken[i] = true;
  while (l->lex.token.length && !token_is(&l->lex.token, ";")) lex_next(&l->lex);
  return true;
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct {
  const char *word;
  bool (*read)(Loader *l, Parts *p, Instruction *n);
} form[] = {
  {"ld", form_load},       {"st", form_store},       {"atom", form_atomic},
  {"red", form_reduction}, {"cp", form_copy},        {"ldmatrix", form_matrix},
  {"mma", form_multiply},  {"shfl", form_shuffle},   {"vote", form_vote},
  {"activemask", form_active}, {"bar", form_barrier}, {"barrier", form_barrier},
  {"membar", form_fence},  {"fence", form_fence},    {"bra", form_branch},
  {"ret", form_return},     {"exit", form_exit},
  {"trap", form_trap},     {"mov", form_move},       {"selp", form_select},
  {"and", form_and},       {"or", form_or},          {"xor", form_xor},
  {"not", form_not},       {"prefetch", form_hint},  {"nanosleep", form_hint},
};

static uint8_t kind_class(Kind kind) {
  static const uint8_t class[] = {
#define X(name, class) CLASS_##class,
    KINDS(X)
#undef X
  };
  return class[kind];
}

/* An instruction of ptx.def: result, operands. */
static bool row_decode(Loader *l, int row, Instruction *n) {
  const Operation *o = &operation[row];
  uint32_t bytes = 0;
  n->kind = o->kind, n->class = o->class, n->nto = 1, n->size = o->to;
  if (o->kind == KIND_COMPARE) {
    n->run.compare = l->sim->lanes->compare[row];
    if (!operand_predicate(l, &n->to[0])) return false;
  } else {
    n->run.lanes = l->sim->lanes->lanes[row];
    if (!operand_register(l, &n->to[0], &bytes)) return false;
    if (bytes != o->to) return load_fail(l, "the result has %u bits, the register %u", 8 * o->to, 8 * bytes);
  }
  for (; n->nfrom < o->nfrom; n->nfrom++)
    if (!load_expect(l, ",") || !operand_read(l, o->from[n->nfrom], &n->from[n->nfrom])) return false;
  for (uint32_t i = n->nfrom; i < 4; i++) n->from[i] = n->from[0]; /* read and not used */
  return true;
}

/* Whether an operand is a predicate, not a vector. */
bool operand_is_predicate(const Instruction *n, uint32_t index, bool to) {
  switch (n->kind) {
  case KIND_COMPARE: return to;
  case KIND_LOGIC: return true;
  case KIND_SELECT: return !to && index == 2;
  case KIND_SHUFFLE: return to && index == 1;
  case KIND_VOTE: return to ? n->mode < VOTE_BALLOT : index == 0;
  default: return false;
  }
}

bool form_decode(Loader *l, Token word, Instruction *n) {
  bool may_pack = token_is(&word, "mov.b32") || token_is(&word, "mov.b64");
  int row = may_pack ? NONE : operation_find(l->sim, word);
  Parts p;
  if (row != NONE) return row_decode(l, row, n);
  uint32_t first = 0;
  while (first < word.length && word.at[first] != '.') first++;
  const Token name = {.at = word.at, .length = first};
  for (uint32_t i = 0; i < COUNT_OF(form); i++) {
    if (!token_is(&name, form[i].word)) continue;
    if (!parts_split(word, &p)) break;
    if (!form[i].read(l, &p, n)) {
      if (!l->failed) load_fail(l, "instruction %.*s is not known", (int)word.length, word.at);
      return false;
    }
    for (uint32_t j = 0; j < p.n; j++)
      if (!p.taken[j])
        return load_fail(l, "%.*s in %.*s is not known", (int)p.part[j].length + 1, p.part[j].at - 1,
                         (int)word.length, word.at);
    if (n->kind == KIND_LANES) n->class = CLASS_move;
    else if (n->kind != KIND_COUNT && n->kind != KIND_LOAD && n->kind != KIND_STORE)
      n->class = kind_class((Kind)n->kind);
    return true;
  }
  return load_fail(l, "instruction %.*s is not known", (int)word.length, word.at);
}
