/* form.c: instructions whose text has modifiers or whose operands are of more than one sort, by
 * their first word. A form takes the modifiers that it knows; one that is left over stops the load.
 * Those of memory and of tensor cores are in form_memory.c. */
#include "form.h"
#include <stdio.h>
#include <string.h>

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

bool parts_take(Parts *p, const char *text) {
  for (uint32_t i = 0; i < p->n; i++)
    if (!p->taken[i] && token_is(&p->part[i], text)) return p->taken[i] = true;
  return false;
}

uint32_t parts_pick(Parts *p, const char *const *text, uint32_t n, uint32_t otherwise) {
  for (uint32_t i = 0; i < n; i++)
    if (parts_take(p, text[i])) return i;
  return otherwise;
}

/* ---- types of elements ----------------------------------------------------------------------- */

static const struct { const char *text; uint8_t size; bool is_signed; } type[] = {
  {"b8", 1, false}, {"u8", 1, false}, {"s8", 1, true}, {"b16", 2, false}, {"u16", 2, false},
  {"s16", 2, true}, {"b32", 4, false}, {"u32", 4, false}, {"s32", 4, true}, {"f32", 4, false},
  {"b64", 8, false}, {"u64", 8, false}, {"s64", 8, true}, {"f64", 8, false},
};

bool type_take(Loader *l, Parts *p, Instruction *n) {
  for (uint32_t i = 0; i < COUNT_OF(type); i++)
    if (parts_take(p, type[i].text)) {
      n->size = type[i].size, n->is_signed = type[i].is_signed;
      return true;
    }
  return load_fail(l, "the type of this access is not known");
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
  if (!parts_take(p, "sync") || n->mode == COUNT_OF(mode))
    return load_fail(l, "vote.sync expected");
  bool ballot = n->mode == VOTE_BALLOT;
  if (!parts_take(p, ballot ? "b32" : "pred"))
    return load_fail(l, "the type of this vote is not known");
  n->nto = 1, n->nfrom = 2;
  if (ballot ? !operand_register(l, &n->to[0], &bytes) : !operand_predicate(l, &n->to[0]))
    return false;
  if (!load_expect(l, ",")) return false;
  n->release = load_accept(l, "!"); /* of the negated predicate */
  return operand_predicate(l, &n->from[0]) && load_expect(l, ",") &&
         operand_read(l, 4, &n->from[1]);
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
    if (bytes != o->to)
      return load_fail(l, "the result has %u bits, the register %u", 8 * o->to, 8 * bytes);
  }
  for (; n->nfrom < o->nfrom; n->nfrom++)
    if (!load_expect(l, ",") || !operand_read(l, o->from[n->nfrom], &n->from[n->nfrom]))
      return false;
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
        return load_fail(l, "%.*s in %.*s is not known", (int)p.part[j].length + 1,
                         p.part[j].at - 1, (int)word.length, word.at);
    if (n->kind == KIND_LANES) n->class = CLASS_move;
    else if (n->kind != KIND_COUNT && n->kind != KIND_LOAD && n->kind != KIND_STORE)
      n->class = kind_class((Kind)n->kind);
    return true;
  }
  return load_fail(l, "instruction %.*s is not known", (int)word.length, word.at);
}
