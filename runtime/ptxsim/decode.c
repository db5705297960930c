/* decode.c: the body of a function becomes an array of Instructions. Every register has a vector
 * of its own; literals are vectors of the function. A call is decoded in place: parameters and
 * result are local memory, `ret` is a branch behind it. */
#include "part.h"
#include <string.h>

enum { MAX_DEPTH = 16 };
#define UNKNOWN UINT32_MAX

/* ---- registers and literals ------------------------------------------------------------------ */

Operand register_new(Loader *l, uint32_t bytes) {
  Operand at = l->f->file_bytes;
  l->f->file_bytes += LANES * bytes;
  return at;
}

/* The vector of a literal, shared by all its uses. */
Operand operand_constant(Loader *l, uint64_t value, uint32_t bytes) {
  enum { EACH = 8 * LANES };
  if (bytes == 4) value = (uint32_t)value;
  for (uint32_t i = 0; i < l->nliteral; i++)
    if (l->literal[i].value == value && l->literal[i].bytes == bytes) return i * EACH | CONSTANT;
  uint32_t n = l->nliteral++;
  l->literal = pool_grow(l->pool, l->literal, n, &l->room_literal, sizeof *l->literal);
  l->literal[n].value = value, l->literal[n].bytes = bytes;
  l->f->constants = pool_grow(l->pool, l->f->constants, n, &l->room_constants, EACH);
  for (uint32_t i = 0; i < LANES; i++)
    memcpy(l->f->constants + n * EACH + i * bytes, &value, bytes);
  return n * EACH | CONSTANT;
}

/* .reg .b32 %r<10>, %x; */
static bool registers_declare(Loader *l) {
  uint32_t bytes = 0;
  uint64_t n;
  Token type = l->lex.token;
  bool wide = type.length > 2 && !memcmp(type.at + type.length - 2, "64", 2);
  bool predicate = token_is(&type, ".pred");
  if (!predicate && type.at[0] != '.') return load_fail(l, "a type expected");
  bytes = wide ? 8 : 4;
  lex_next(&l->lex);
  do {
    Symbol *s = symbol_add(&l->symbols, l->pool, l->lex.token,
                           predicate ? SYMBOL_PREDICATES : SYMBOL_REGISTERS);
    lex_next(&l->lex);
    if (load_accept(l, "<")) {
      if (!load_number(l, &n) || !load_expect(l, ">")) return false;
      s->count = (uint32_t)n;
    }
    uint32_t count = s->count ? s->count : 1;
    s->bytes = bytes;
    s->at = predicate ? l->f->npredicate : l->f->file_bytes;
    if (predicate) l->f->npredicate += count;
    else l->f->file_bytes += count * LANES * bytes, l->f->info.registers += count * bytes / 4;
  } while (load_accept(l, ","));
  return load_expect(l, ";");
}

/* The register of a name: declared as it is, or as one of many. */
static Symbol *register_find(const Loader *l, Token name, uint32_t *index) {
  Symbol *s = symbol_find(&l->symbols, name);
  *index = 0;
  if (s && !s->count && s->kind <= SYMBOL_PREDICATES) return s;
  uint32_t digits = 0, scale = 1;
  while (digits < name.length && name.at[name.length - 1 - digits] >= '0' &&
         name.at[name.length - 1 - digits] <= '9' && digits < 9) {
    *index += scale * (uint32_t)(name.at[name.length - 1 - digits] - '0');
    scale *= 10, digits++;
  }
  name.length -= digits;
  s = digits ? symbol_find(&l->symbols, name) : NULL;
  return s && s->kind <= SYMBOL_PREDICATES && *index < s->count ? s : NULL;
}

bool operand_register(Loader *l, Operand *out, uint32_t *bytes) {
  uint32_t index;
  const Token t = l->lex.token;
  if (token_is(&t, "_")) { /* nobody wants it */
    *bytes = 8, *out = register_new(l, 8);
    lex_next(&l->lex);
    return true;
  }
  const Symbol *s = register_find(l, t, &index);
  if (!s || s->kind != SYMBOL_REGISTERS)
    return load_fail(l, "a register expected, not %.*s", (int)t.length, t.at);
  *bytes = s->bytes;
  *out = (Operand)s->at + index * LANES * s->bytes;
  lex_next(&l->lex);
  return true;
}

bool operand_predicate(Loader *l, Operand *out) {
  uint32_t index;
  const Token t = l->lex.token;
  const Symbol *s = register_find(l, t, &index);
  if (!s || s->kind != SYMBOL_PREDICATES)
    return load_fail(l, "a predicate expected, not %.*s", (int)t.length, t.at);
  *out = (Operand)s->at + index;
  lex_next(&l->lex);
  return true;
}

/* A register of so many bytes a lane, or a literal. */
bool operand_read(Loader *l, uint32_t bytes, Operand *out) {
  uint32_t index, has = 0;
  uint64_t value;
  const Symbol *s = register_find(l, l->lex.token, &index);
  if (s) {
    const Token t = l->lex.token;
    if (!operand_register(l, out, &has)) return false;
    return has == bytes ||
           load_fail(l, "%.*s has %u bits, %u expected", (int)t.length, t.at, 8 * has, 8 * bytes);
  }
  if (!load_number(l, &value)) return false;
  *out = operand_constant(l, value, bytes);
  return true;
}

/* One operand or { several }. */
bool operand_list(Loader *l, uint32_t bytes, Operand *out, uint8_t *n, uint32_t most) {
  *n = 0;
  if (!load_accept(l, "{")) return operand_read(l, bytes, &out[(*n)++]);
  do {
    if (*n == most) return load_fail(l, "more than %u operands", most);
    if (!operand_read(l, bytes, &out[(*n)++])) return false;
  } while (load_accept(l, ","));
  return load_expect(l, "}");
}

/* The same of registers, all as wide. */
bool operand_registers(Loader *l, Operand *out, uint8_t *n, uint32_t most, uint32_t *bytes) {
  *n = 0;
  if (!load_accept(l, "{")) return operand_register(l, &out[(*n)++], bytes);
  do {
    if (*n == most) return load_fail(l, "more than %u registers", most);
    uint32_t each = 0;
    bool nobody = token_is(&l->lex.token, "_");
    if (!operand_register(l, &out[(*n)++], &each)) return false;
    if (!nobody) *bytes = each;
  } while (load_accept(l, ","));
  return load_expect(l, "}");
}

/* ---- addresses ------------------------------------------------------------------------------- */

/* The offset of shared memory, which the function gets when it first names the variable. */
static uint64_t shared_place(Loader *l, Symbol *s) {
  SimFunction *f = l->f;
  if (s->dynamic) {
    f->dynamic = true;
    if (s->align > f->dynamic_align) f->dynamic_align = s->align;
    return 0;
  }
  if (s->owner == f) return s->at;
  s->owner = f;
  s->at = (f->info.shared + s->align - 1) / s->align * s->align;
  f->info.shared = (uint32_t)s->at + s->bytes;
  f->part = pool_grow(l->pool, f->part, f->npart, &l->room_part, sizeof *f->part);
  f->part[f->npart++] =
      (SharedPart){.name = load_name(l, s->name), .offset = (uint32_t)s->at, .bytes = s->bytes};
  return s->at;
}

bool operand_symbol(Loader *l, const Symbol *s, uint64_t *address) {
  if (s->kind == SYMBOL_SHARED) *address = shared_place(l, symbol_find(&l->symbols, s->name));
  else if (s->kind == SYMBOL_GLOBAL || s->kind == SYMBOL_LOCAL || s->kind == SYMBOL_PARAMETER)
    *address = s->at;
  else return load_fail(l, "%.*s has no address", (int)s->name.length, s->name.at);
  return true;
}

void special_add(Loader *l, Special which, Operand to, uint32_t bytes) {
  code_add(l, &(Instruction){
    .kind = KIND_SPECIAL, .class = CLASS_move, .guard = NONE, .mode = (uint8_t)which, .nto = 1,
    .to = {to}, .register_bytes = (uint8_t)bytes,
  });
}

/* [register + 8], [variable + 8], [8]: the base is a vector, the rest the offset. A dynamic shared
 * variable begins behind the static ones, which is known when it runs. */
bool operand_address(Loader *l, Instruction *n, Operand *base) {
  uint64_t value = 0, address = 0;
  uint32_t index, bytes = 4;
  if (!load_expect(l, "[")) return false;
  const Symbol *s = symbol_find(&l->symbols, l->lex.token);
  if (register_find(l, l->lex.token, &index)) {
    if (!operand_register(l, base, &bytes)) return false;
  } else if (s) {
    lex_next(&l->lex);
    if (!operand_symbol(l, s, &address)) return false;
    bytes = s->kind == SYMBOL_GLOBAL ? 8 : 4;
    *base = operand_constant(l, 0, bytes);
    if (s->kind == SYMBOL_SHARED && s->dynamic) {
      *base = register_new(l, 4);
      special_add(l, SPECIAL_DYNAMIC_SHARED, *base, 4);
    }
    if (n->space == SPACE_PARAM && s->kind == SYMBOL_LOCAL) n->space = SPACE_LOCAL;
  } else {
    bytes = 8;
    *base = operand_constant(l, 0, 8);
    if (!load_number(l, &address)) return false;
  }
  n->wide = bytes == 8;
  if (load_accept(l, "+") && !load_number(l, &value)) return false;
  n->immediate = (int64_t)(address + value);
  return load_expect(l, "]");
}

/* ---- code ------------------------------------------------------------------------------------ */

Instruction *code_add(Loader *l, const Instruction *n) {
  SimFunction *f = l->f;
  f->code = pool_grow(l->pool, f->code, f->ncode, &l->room_code, sizeof *f->code);
  f->place = pool_grow(l->pool, f->place, f->ncode, &l->room_place, sizeof *f->place);
  f->code[f->ncode] = *n;
  f->place[f->ncode] = l->place;
  return &f->code[f->ncode++];
}

uint32_t label_new(Loader *l) {
  l->label = pool_grow(l->pool, l->label, l->nlabel, &l->room_label, sizeof *l->label);
  l->label[l->nlabel] = UNKNOWN;
  return (uint32_t)l->nlabel++;
}

uint32_t label_named(Loader *l, Token name) {
  Symbol *s = symbol_find(l->labels, name);
  if (!s) {
    s = symbol_add(l->labels, l->pool, name, SYMBOL_LABEL);
    s->at = label_new(l);
  }
  return (uint32_t)s->at;
}

Symbol *local_add(Loader *l, Token name, uint32_t bytes, uint32_t align) {
  Symbol *s = symbol_add(&l->symbols, l->pool, name, SYMBOL_LOCAL);
  uint32_t at = (l->f->info.local + align - 1) / align * align;
  s->at = at, s->bytes = bytes;
  l->f->info.local = (at + bytes + 15) / 16 * 16;
  return s;
}

/* .loc file line column [, function_name $x, inlined_at file line column] */
static bool loc_read(Loader *l) {
  uint64_t file, line, column, outer_file = 0, outer_line = 0;
  uint32_t here = l->lex.token.line;
  if (!load_number(l, &file) || !load_number(l, &line) || !load_number(l, &column)) return false;
  while (l->lex.token.line == here && l->lex.token.length && !token_is(&l->lex.token, "}")) {
    if (!load_accept(l, "inlined_at")) lex_next(&l->lex);
    else if (!load_number(l, &outer_file) || !load_number(l, &outer_line)) return false;
  }
  l->place.file = (uint32_t)file, l->place.line = (uint32_t)line;
  l->place.outer_file = (uint32_t)outer_file, l->place.outer_line = (uint32_t)outer_line;
  return true;
}

static bool label_read(Loader *l, Token name) {
  uint32_t which = label_named(l, name);
  l->label[which] = l->f->ncode;
  return true;
}

/* [@[!]p] word operands ; */
static bool instruction_read(Loader *l) {
  Instruction n = {.guard = NONE};
  Operand guard;
  l->place.ptx = l->lex.token.line;
  for (int i = 0; i < MAX_TO; i++) n.to[i] = NO_OPERAND;
  if (load_accept(l, "@")) {
    n.guard_not = load_accept(l, "!");
    if (!operand_predicate(l, &guard)) return false;
    n.guard = (int32_t)guard;
  }
  Token word = l->lex.token;
  lex_next(&l->lex);
  if (n.guard == NONE && load_accept(l, ":")) return label_read(l, word);
  if (token_is(&word, "call") || token_is(&word, "call.uni")) {
    if (n.guard != NONE) return load_fail(l, "a call under a predicate");
    return decode_call(l);
  }
  if (!form_decode(l, word, &n) || !load_expect(l, ";")) return false;
  if (n.kind != KIND_COUNT) code_add(l, &n);
  return true;
}

static bool statement_read(Loader *l) {
  const Token t = l->lex.token;
  if (t.at[0] != '.') return instruction_read(l);
  if (token_is(&t, ".shared") || token_is(&t, ".local") || token_is(&t, ".global") ||
      token_is(&t, ".const"))
    return load_variable(l, true);
  lex_next(&l->lex);
  if (token_is(&t, ".reg")) return registers_declare(l);
  if (token_is(&t, ".loc")) return loc_read(l);
  if (token_is(&t, ".pragma")) return lex_next(&l->lex), load_expect(l, ";");
  if (token_is(&t, ".param")) {
    Declared d;
    if (!load_declared(l, &d)) return false;
    local_add(l, d.name, d.bytes * d.count, d.align);
    return load_expect(l, ";");
  }
  l->lex.token = t;
  return load_fail(l, "%.*s is not known", (int)t.length, t.at);
}

/* { statements }, with a scope for names. */
static bool body_read(Loader *l) {
  Symbol *mark[64] = {l->symbols.last};
  uint32_t depth = 1;
  if (!load_expect(l, "{")) return false;
  while (depth) {
    if (!l->lex.token.length) return load_fail(l, "} is missing");
    if (load_accept(l, ";")) continue;
    if (load_accept(l, "{")) {
      if (depth == COUNT_OF(mark)) return load_fail(l, "braces are nested too deeply");
      mark[depth++] = l->symbols.last;
    } else if (load_accept(l, "}")) symbols_leave(&l->symbols, mark[--depth]);
    else if (!statement_read(l)) return false;
  }
  return true;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* (result), name, (arguments): names of local memory, tied to those of the function. */
static bool arguments_tie(Loader *l, const Token *argument, uint32_t n) {
  uint32_t i = 0;
  if (!load_accept(l, "(")) return n == 0 || load_fail(l, "the function takes no arguments");
  while (!load_accept(l, ")")) {
    Declared d;
    if (!load_expect(l, ".param") || !load_declared(l, &d)) return false;
    const Symbol *actual = i < n ? symbol_find(&l->symbols, argument[i++]) : NULL;
    if (!actual || actual->kind != SYMBOL_LOCAL) return load_fail(l, "an argument is missing");
    symbol_add(&l->symbols, l->pool, d.name, SYMBOL_LOCAL)->at = actual->at;
    load_accept(l, ",");
  }
  return i == n || load_fail(l, "too many arguments");
}

static bool names_read(Loader *l, Token *name, uint32_t *n, uint32_t most) {
  while (!load_accept(l, ")")) {
    if (*n == most) return load_fail(l, "more than %u arguments", most);
    name[(*n)++] = l->lex.token;
    lex_next(&l->lex);
    load_accept(l, ",");
  }
  return true;
}

/* Decodes the body of the function here. */
static bool call_inline(Loader *l, const Symbol *f, const Token *argument, uint32_t n,
                        const Token *result) {
  Lexer back = l->lex;
  Symbol *mark = l->symbols.last;
  Symbols *labels = l->labels;
  uint32_t leave = l->leave;
  if (++l->depth > MAX_DEPTH) return load_fail(l, "calls are nested too deeply: recursion?");
  const Symbol *to = result ? symbol_find(&l->symbols, *result) : NULL;
  l->lex = f->body;
  l->labels = pool_alloc(l->pool, sizeof *l->labels);
  l->leave = label_new(l);
  if (to && f->result_bytes) symbol_add(&l->symbols, l->pool, f->result, SYMBOL_LOCAL)->at = to->at;
  if (!arguments_tie(l, argument, n)) return false;
  while (l->lex.token.length && !token_is(&l->lex.token, "{")) lex_next(&l->lex);
  if (!body_read(l)) return false;
  l->label[l->leave] = l->f->ncode;
  symbols_leave(&l->symbols, mark);
  l->lex = back, l->labels = labels, l->leave = leave, l->depth--;
  return true;
}

bool decode_call(Loader *l) {
  Token result[1], argument[64];
  uint32_t nresult = 0, n = 0;
  if (load_accept(l, "(") && (!names_read(l, result, &nresult, 1) || !load_expect(l, ",")))
    return false;
  const Symbol *f = symbol_find(&l->symbols, l->lex.token);
  if (!f || f->kind != SYMBOL_FUNCTION || !f->body.at)
    return load_fail(l, "function %.*s has no body here", (int)l->lex.token.length,
                     l->lex.token.at);
  lex_next(&l->lex);
  if (load_accept(l, ",") &&
      (!load_expect(l, "(") || !names_read(l, argument, &n, COUNT_OF(argument))))
    return false;
  return load_expect(l, ";") && call_inline(l, f, argument, n, nresult ? result : NULL);
}

/* ---- a function ------------------------------------------------------------------------------ */

/* Labels become indices. */
static bool labels_resolve(Loader *l) {
  for (uint32_t i = 0; i < l->f->ncode; i++) {
    Instruction *n = &l->f->code[i];
    if (n->kind != KIND_BRANCH) continue;
    n->target = l->label[n->target];
    if (n->target == UNKNOWN)
      return load_fail(l, "the label of the branch in line %u is missing", l->f->place[i].ptx);
  }
  return true;
}

bool decode_function(Loader *l) {
  l->room_code = l->room_place = l->room_part = l->room_constants = l->room_label = 0;
  l->room_literal = 0, l->nliteral = 0, l->nlabel = 0, l->label = NULL, l->depth = 0;
  l->place = (Place){0};
  l->labels = pool_alloc(l->pool, sizeof *l->labels);
  if (!body_read(l)) return false;
  code_add(l, &(Instruction){.kind = KIND_RETURN, .class = CLASS_control, .guard = NONE});
  if (!labels_resolve(l)) return false;
  assign_check(l);
  return true;
}
