/* parse.c: a PTX module: its directives, variables, functions. Device functions are kept as text
 * and decoded where they are called, so that a kernel is one array of instructions. */
#include "part.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- small steps ----------------------------------------------------------------------------- */

/* Stops the load with a sentence and the line; the first one counts. */
bool load_fail(Loader *l, const char *format, ...) {
  char text[400];
  va_list list;
  if (l->failed) return false;
  l->failed = true;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  sim_text_add(l->why, "%s: line %u: %s", l->module->name, l->lex.token.line, text);
  return false;
}

bool load_accept(Loader *l, const char *text) {
  if (!token_is(&l->lex.token, text)) return false;
  lex_next(&l->lex);
  return true;
}

bool load_expect(Loader *l, const char *text) {
  if (load_accept(l, text)) return true;
  return load_fail(l, "%s expected, not %.*s", text, (int)l->lex.token.length, l->lex.token.at);
}

/* A whole number, decimal or hexadecimal, with a sign; or the bits of 0f... and 0d... */
bool load_number(Loader *l, uint64_t *value) {
  bool minus = load_accept(l, "-");
  const Token t = l->lex.token;
  char text[40], *end;
  if (!t.length || t.length >= sizeof text || t.at[0] < '0' || t.at[0] > '9')
    return load_fail(l, "a number expected, not %.*s", (int)t.length, t.at);
  memcpy(text, t.at, t.length), text[t.length] = 0;
  bool bits = text[0] == '0' && text[1] && strchr("fFdD", text[1]);
  *value = bits ? strtoull(text + 2, &end, 16) : strtoull(text, &end, 0);
  if (*end && strcmp(end, "U")) return load_fail(l, "%s is no number", text);
  if (minus && !bits) *value = 0 - *value;
  if (minus && bits) *value ^= strchr("fF", text[1]) ? UINT64_C(1) << 31 : UINT64_C(1) << 63;
  lex_next(&l->lex);
  return true;
}

const char *load_name(Loader *l, Token name) {
  char *s = pool_alloc(l->pool, name.length + 1);
  memcpy(s, name.at, name.length);
  return s;
}

/* Bytes of a type: .u32, .b64, .pred (0). */
static bool type_bytes(const Token *t, uint32_t *bytes) {
  static const struct { const char *text; uint32_t bytes; } type[] = {
    {".pred", 0}, {".b8", 1}, {".u8", 1}, {".s8", 1}, {".b16", 2}, {".u16", 2}, {".s16", 2},
    {".f16", 2}, {".bf16", 2}, {".b32", 4}, {".u32", 4}, {".s32", 4}, {".f32", 4}, {".b64", 8},
    {".u64", 8}, {".s64", 8}, {".f64", 8}, {".f16x2", 4}, {".bf16x2", 4},
  };
  for (size_t i = 0; i < COUNT_OF(type); i++)
    if (token_is(t, type[i].text)) {
      *bytes = type[i].bytes;
      return true;
    }
  return false;
}

/* [.align N] .type [.ptr .space .align N] name [N][M]...; open: [] without a number. */
bool load_declared(Loader *l, Declared *d) {
  uint64_t n;
  *d = (Declared){.count = 1};
  if (load_accept(l, ".align")) {
    if (!load_number(l, &n)) return false;
    d->align = (uint32_t)n;
  }
  if (!type_bytes(&l->lex.token, &d->bytes))
    return load_fail(l, "type %.*s is not known", (int)l->lex.token.length, l->lex.token.at);
  lex_next(&l->lex);
  if (load_accept(l, ".ptr")) {
    (void)(load_accept(l, ".global") || load_accept(l, ".shared") || load_accept(l, ".const") ||
           load_accept(l, ".local"));
    if (load_accept(l, ".align") && !load_number(l, &n)) return false;
  }
  d->name = l->lex.token;
  lex_next(&l->lex);
  while (load_accept(l, "[")) {
    if (load_accept(l, "]")) d->open = true;
    else if (!load_number(l, &n) || !load_expect(l, "]")) return false;
    else d->count *= (uint32_t)n;
  }
  if (!d->align) d->align = d->bytes ? d->bytes : 1;
  return true;
}

/* ---- variables ------------------------------------------------------------------------------- */

/* = { 1, 2, ... } or one value, into the variable's memory. */
static bool initial_read(Loader *l, const Declared *d, uint64_t address) {
  bool list = load_accept(l, "{");
  for (uint32_t i = 0; i < d->count; i++) {
    uint64_t value;
    if (!load_number(l, &value)) return false;
    if (!sim_write(l->sim, address + (uint64_t)i * d->bytes, &value, d->bytes, l->why))
      return false;
    if (!list || !load_accept(l, ",")) break;
  }
  return !list || load_expect(l, "}");
}

/* Device memory of a .global or .const variable, all zeros but for what its text gives. */
static bool global_add(Loader *l, const Declared *d, bool constant) {
  SimModule *m = l->module;
  uint64_t bytes = (uint64_t)d->bytes * d->count, address = memory_alloc(l->sim, bytes, true);
  if (!address) return load_fail(l, "no memory for %.*s", (int)d->name.length, d->name.at);
  sim_set(l->sim, address, 0, 1, bytes, l->why);
  m->variable =
      pool_grow(l->pool, m->variable, m->nvariable, &m->room_variable, sizeof *m->variable);
  struct Variable *v = &m->variable[m->nvariable++];
  v->name = load_name(l, d->name), v->address = address, v->bytes = bytes;
  sim_name(l->sim, address, v->name);
  if (constant) m->constants += (uint32_t)bytes;
  Symbol *s = symbol_add(&l->symbols, l->pool, d->name, SYMBOL_GLOBAL);
  s->at = address;
  return !load_accept(l, "=") || initial_read(l, d, address);
}

/* .shared, .global, .const or .local and what follows. */
bool load_variable(Loader *l, bool in_function) {
  Declared d;
  Token space = l->lex.token;
  lex_next(&l->lex);
  if (!load_declared(l, &d)) return false;
  uint32_t bytes = d.bytes * d.count;
  if (token_is(&space, ".shared")) {
    Symbol *s = symbol_add(&l->symbols, l->pool, d.name, SYMBOL_SHARED);
    s->bytes = d.open ? 0 : bytes, s->align = d.align, s->dynamic = d.open;
  } else if (token_is(&space, ".local") && in_function) local_add(l, d.name, bytes, d.align);
  else if (!global_add(l, &d, token_is(&space, ".const"))) return false;
  return load_expect(l, ";");
}

/* ---- functions ------------------------------------------------------------------------------- */

/* ( .param ..., .param ... ) of a kernel. */
bool load_parameters(Loader *l, SimFunction *f) {
  SimFunctionInfo *info = &f->info;
  if (!load_accept(l, "(")) return true;
  while (!load_accept(l, ")")) {
    Declared d;
    if (!load_expect(l, ".param") || !load_declared(l, &d)) return false;
    if (info->nparameter == SIM_PARAMETERS)
      return load_fail(l, "more than %d parameters", SIM_PARAMETERS);
    uint32_t at = (info->parameter_bytes + d.align - 1) / d.align * d.align;
    Symbol *s = symbol_add(&l->symbols, l->pool, d.name, SYMBOL_PARAMETER);
    s->at = at, s->bytes = d.bytes * d.count;
    info->parameter[info->nparameter].offset = at;
    info->parameter[info->nparameter++].bytes = s->bytes;
    info->parameter_bytes = at + s->bytes;
    load_accept(l, ",");
  }
  return true;
}

/* .maxntid and its like, up to the body. */
static bool limits_read(Loader *l, SimFunctionInfo *info) {
  while (!token_is(&l->lex.token, "{")) {
    uint64_t n, threads = 1;
    Token word = l->lex.token;
    bool known = token_is(&word, ".maxntid") || token_is(&word, ".reqntid") ||
                 token_is(&word, ".minnctapersm") || token_is(&word, ".maxnreg");
    if (!known) return load_fail(l, "%.*s is not known", (int)word.length, word.at);
    lex_next(&l->lex);
    do {
      if (!load_number(l, &n)) return false;
      threads *= n;
    } while (load_accept(l, ","));
    if (token_is(&word, ".maxntid") || token_is(&word, ".reqntid"))
      info->max_threads = (uint32_t)threads;
  }
  return true;
}

static bool entry_read(Loader *l) {
  SimModule *m = l->module;
  SimFunction *f = pool_alloc(l->pool, sizeof *f);
  Symbol *mark = l->symbols.last;
  f->module = m, f->granule = 2, f->dynamic_align = 16;
  f->info = (SimFunctionInfo){.name = load_name(l, l->lex.token), .max_threads = 1024};
  lex_next(&l->lex);
  l->f = f;
  if (!load_parameters(l, f) || !limits_read(l, &f->info) || !decode_function(l)) return false;
  symbols_leave(&l->symbols, mark);
  m->function =
      pool_grow(l->pool, m->function, m->nfunction, &m->room_function, sizeof *m->function);
  m->function[m->nfunction++] = f;
  return true;
}

/* Passes { ... }. */
static bool braces_skip(Loader *l) {
  uint32_t depth = 0;
  do {
    if (!l->lex.token.length) return load_fail(l, "} is missing");
    depth += token_is(&l->lex.token, "{"), depth -= token_is(&l->lex.token, "}");
    lex_next(&l->lex);
  } while (depth);
  return true;
}

/* A device function: (result) name (parameters) { body }, or a declaration that ends in ; */
static bool device_function_read(Loader *l) {
  Declared d = {0};
  if (load_accept(l, "(")) {
    if (!load_expect(l, ".param") || !load_declared(l, &d) || !load_expect(l, ")")) return false;
  }
  Symbol *s = symbol_add(&l->symbols, l->pool, l->lex.token, SYMBOL_FUNCTION);
  s->result = d.name, s->result_bytes = d.bytes * d.count;
  lex_next(&l->lex);
  s->body = l->lex;
  while (!token_is(&l->lex.token, "{") && !token_is(&l->lex.token, ";")) {
    if (!l->lex.token.length) return load_fail(l, "a body is missing");
    lex_next(&l->lex);
  }
  if (token_is(&l->lex.token, "{")) return braces_skip(l);
  s->body.at = NULL;
  return load_expect(l, ";");
}

/* ---- the module ------------------------------------------------------------------------------ */

/* .file 1 "name" [, time, size] */
static bool file_read(Loader *l) {
  SimModule *m = l->module;
  uint64_t n;
  if (!load_number(l, &n)) return false;
  if (n > 65535) return load_fail(l, "file number %llu", (unsigned long long)n);
  while (m->nfile <= n) {
    m->file = pool_grow(l->pool, m->file, m->nfile, &m->room_file, sizeof *m->file);
    m->file[m->nfile++] = NULL;
  }
  Token t = l->lex.token;
  if (t.length >= 2 && t.at[0] == '"') t.at++, t.length -= 2;
  m->file[n] = load_name(l, t);
  lex_next(&l->lex);
  while (load_accept(l, ","))
    if (!load_number(l, &n)) return false;
  return true;
}

static bool version_read(Loader *l) {
  const Token t = l->lex.token;
  l->module->ptx_version = 0;
  for (uint32_t i = 0; i < t.length; i++)
    if (t.at[i] != '.')
      l->module->ptx_version = 10 * l->module->ptx_version + (uint32_t)(t.at[i] - '0');
  lex_next(&l->lex);
  return true;
}

static bool target_read(Loader *l) {
  Token t = l->lex.token;
  uint32_t n = 0, here = l->sim->settings.architecture;
  for (uint32_t i = 3; i < t.length && t.at[i] >= '0' && t.at[i] <= '9'; i++)
    n = 10 * n + (uint32_t)(t.at[i] - '0');
  l->module->architecture = n;
  if (n > here) return load_fail(l, "the module is for sm_%u, the device is sm_%u", n, here);
  lex_next(&l->lex);
  while (load_accept(l, ",")) lex_next(&l->lex);
  return true;
}

static bool directive_read(Loader *l) {
  const Token t = l->lex.token;
  if (token_is(&t, ".shared") || token_is(&t, ".global") || token_is(&t, ".const"))
    return load_variable(l, false);
  lex_next(&l->lex);
  if (token_is(&t, ".visible") || token_is(&t, ".extern") || token_is(&t, ".weak")) return true;
  if (token_is(&t, ".version")) return version_read(l);
  if (token_is(&t, ".target")) return target_read(l);
  if (token_is(&t, ".address_size")) {
    uint64_t n;
    return load_number(l, &n) && (n == 64 || load_fail(l, "addresses of 64 bits expected"));
  }
  if (token_is(&t, ".entry")) return entry_read(l);
  if (token_is(&t, ".func")) return device_function_read(l);
  if (token_is(&t, ".file")) return file_read(l);
  if (token_is(&t, ".section")) return lex_next(&l->lex), braces_skip(l);
  l->lex.token = t;
  return load_fail(l, "%.*s is not known", (int)t.length, t.at);
}

SimModule *sim_load(Sim *sim, const char *text, size_t length, const char *name, SimText *why) {
  SimModule *m = calloc(1, sizeof *m);
  Loader *l = calloc(1, sizeof *l);
  if (!m || !l) {
    free(m), free(l);
    return sim_text_add(why, "no memory for a module"), NULL;
  }
  m->sim = sim, m->next = sim->modules, sim->modules = m;
  *l = (Loader){.sim = sim, .module = m, .pool = &m->pool, .why = why};
  m->name = load_name(l, (Token){.at = name, .length = (uint32_t)strlen(name)});
  while (length && !text[length - 1]) length--;
  lex_begin(&l->lex, text, length);
  bool good = true;
  while (good && l->lex.token.length) good = directive_read(l);
  for (size_t i = 0; good && i < m->nfunction; i++) {
    m->function[i]->info.constants = m->constants;
    m->function[i]->info.ptx_version = m->ptx_version;
    m->function[i]->info.architecture = m->architecture;
  }
  free(l);
  if (good) return m;
  sim_unload(m);
  return NULL;
}

void sim_unload(SimModule *m) {
  SimModule **at = &m->sim->modules;
  while (*at != m) at = &(*at)->next;
  *at = m->next;
  for (size_t i = 0; i < m->nvariable; i++) sim_free(m->sim, m->variable[i].address);
  pool_release(&m->pool);
  free(m);
}

SimFunction *sim_function(SimModule *m, const char *name) {
  for (size_t i = 0; i < m->nfunction; i++)
    if (!strcmp(m->function[i]->info.name, name)) return m->function[i];
  return NULL;
}

SimFunction *sim_function_at(SimModule *m, size_t index) {
  return index < m->nfunction ? m->function[index] : NULL;
}

const SimFunctionInfo *sim_function_info(const SimFunction *f) { return &f->info; }
