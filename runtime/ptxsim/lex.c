/* lex.c: tokens of PTX, the table of names, the hash of ptx.def. A token is a word (letters,
 * digits, _ $ % . and the parts of a modifier), a string, or one character; comments are space. */
#include "part.h"
#include <stdlib.h>
#include <string.h>

void lex_begin(Lexer *l, const char *text, size_t length) {
  *l = (Lexer){.at = text, .end = text + length, .line = 1};
  lex_next(l);
}

static bool word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || c == '%' || c == '.';
}

/* Passes space and comments. */
static void space_skip(Lexer *l) {
  while (l->at < l->end) {
    if (*l->at == '\n') l->line++, l->at++;
    else if (*l->at == ' ' || *l->at == '\t' || *l->at == '\r') l->at++;
    else if (l->end - l->at > 1 && l->at[0] == '/' && l->at[1] == '/')
      while (l->at < l->end && *l->at != '\n') l->at++;
    else if (l->end - l->at > 1 && l->at[0] == '/' && l->at[1] == '*') {
      for (l->at += 2; l->end - l->at > 1 && !(l->at[0] == '*' && l->at[1] == '/'); l->at++)
        l->line += *l->at == '\n';
      l->at = l->end - l->at > 1 ? l->at + 2 : l->end;
    } else return;
  }
}

void lex_next(Lexer *l) {
  space_skip(l);
  l->token = (Token){.at = l->at, .line = l->line};
  if (l->at >= l->end) return;
  if (*l->at == '"') {
    for (l->at++; l->at < l->end && *l->at != '"' && *l->at != '\n';) l->at++;
    if (l->at < l->end) l->at++;
  } else if (word_char(*l->at)) {
    while (l->at < l->end &&
           (word_char(*l->at) || (*l->at == ':' && l->end - l->at > 1 && l->at[1] == ':')))
      l->at += *l->at == ':' ? 2 : 1;
  } else l->at++;
  l->token.length = (uint32_t)(l->at - l->token.at);
}

void lex_skip_line(Lexer *l) {
  while (l->at < l->end && *l->at != '\n') l->at++;
  lex_next(l);
}

bool token_is(const Token *t, const char *text) {
  return t->length == strlen(text) && !memcmp(t->at, text, t->length);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* A dot and _ are the same to it. */
static uint32_t hash_of(const char *s, size_t n) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)(s[i] == '.' ? '_' : s[i])) * 16777619u;
  return h;
}

Symbol *symbol_add(Symbols *s, Pool *pool, Token name, SymbolKind kind) {
  Symbol *n = pool_alloc(pool, sizeof *n),
         **slot = &s->hash[hash_of(name.at, name.length) % SYMBOL_HASH];
  n->name = name, n->kind = kind;
  n->next = *slot, *slot = n;
  n->before = s->last, s->last = n;
  return n;
}

Symbol *symbol_find(const Symbols *s, Token name) {
  for (Symbol *n = s->hash[hash_of(name.at, name.length) % SYMBOL_HASH]; n; n = n->next)
    if (n->name.length == name.length && !memcmp(n->name.at, name.at, name.length)) return n;
  return NULL;
}

void symbols_leave(Symbols *s, Symbol *mark) {
  while (s->last != mark) {
    Symbol *n = s->last;
    s->hash[hash_of(n->name.at, n->name.length) % SYMBOL_HASH] = n->next;
    s->last = n->before;
  }
}

/* ---- ptx.def --------------------------------------------------------------------------------- */

enum { NAMES_HASH = 4096 };
struct Names { uint16_t slot[NAMES_HASH]; }; /* index + 1, 0 free */

struct Names *names_create(void) {
  struct Names *n = calloc(1, sizeof *n);
  for (size_t i = 0; n && i < operation_count; i++) {
    uint32_t h = hash_of(operation[i].text, strlen(operation[i].text));
    while (n->slot[h % NAMES_HASH]) h++;
    n->slot[h % NAMES_HASH] = (uint16_t)(i + 1);
  }
  return n;
}

/* Rows are named with _ for the dots. */
static bool operation_is(const Token *t, const char *name) {
  if (t->length != strlen(name)) return false;
  for (uint32_t i = 0; i < t->length; i++)
    if (t->at[i] != (name[i] == '_' ? '.' : name[i])) return false;
  return true;
}

int operation_find(const Sim *sim, Token text) {
  for (uint32_t h = hash_of(text.at, text.length); sim->names->slot[h % NAMES_HASH]; h++) {
    int i = sim->names->slot[h % NAMES_HASH] - 1;
    if (operation_is(&text, operation[i].text)) return i;
  }
  return NONE;
}
