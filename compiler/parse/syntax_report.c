/* syntax_report.c: the hand-written syntax messages. Goes in: the token that the grammar
 * refused, the tokens before it, and what the grammar would have taken. Comes out: one message
 * and a plan for recovery. The usual slips are tried in order, each a function that returns
 * true when it was the one; what is left is "expected X, found Y". */
#include <string.h>
#include "lcwnet.tab.h"
#include "syntax.h"

/* One refused token with all that the rules look at. */
typedef struct {
  Parse *p;
  const char *const *expected;
  int n;
  Token found, before, earlier; /* found, the token before it, the one before that */
  bool new_line;                /* found stands on a later line than `before` */
} Slip;

static Diags *messages(const Slip *s) { return &s->p->front->diags; }

static bool wants(const Slip *s, const char *word) {
  for (int i = 0; i < s->n; i++)
    if (strcmp(s->expected[i], word) == 0) return true;
  return false;
}

static const char *text_of(const Slip *s, Span at) {
  return arena_text(s->p->front->perm, s->p->text + at.off, at.len);
}

/* The place just behind a token. */
static Span behind(Span at) { return (Span){at.off + at.len, 1, at.file}; }

static bool is_keyword(int kind) {
  return (kind >= T_IMPORT && kind <= T_FALSE) || (kind >= T_INT && kind <= T_INIT);
}

static bool is_kind(int kind) { return kind >= T_INT && kind <= T_INIT; }

static bool is_literal(int kind) { return kind >= T_NUMBER_INT && kind <= T_TEXT; }

static bool ends_stage(int kind) {
  return kind == T_NAME || kind == T_RPAREN || kind == T_RBRACKET || kind == T_RBRACE;
}

static bool inside(const Slip *s, int kind) {
  return s->p->nopen && s->p->open[s->p->nopen - 1].kind == kind;
}

/* True when a lone `=` follows the refused token: it begins an assignment. */
static bool assigns_next(const Slip *s) {
  size_t i = s->found.span.off + s->found.span.len;
  const char *text = s->p->text;
  while (i < s->p->size && (text[i] == ' ' || text[i] == '\t')) i++;
  return i + 1 < s->p->size && text[i] == '=' && text[i + 1] != '=';
}

/* ---- the slips -------------------------------------------------------------------------- */

/* A declaration begins in column 1 although a body is open: the body was never closed. */
static bool slip_unclosed(const Slip *s) {
  const Token *recent = s->p->last;
  for (uint32_t i = 0; i < 3 && s->p->nopen; i++) {
    Span at = recent[i].span;
    bool first = at.off == 0 || s->p->text[at.off - 1] == '\n';
    if (!first || !syntax_begins_declaration(recent[i].kind)) continue;
    uint32_t depth = s->p->nopen - (recent[0].kind == T_LPAREN || recent[0].kind == T_LBRACE);
    if (depth == 0 || !s->p->open[depth - 1].body) return false;
    diag_at(messages(s), E0202, s->p->open[depth - 1].span, "{");
    diag_label(messages(s), at, "this declaration begins inside it");
    syntax_close_all(s->p, i + 1);
    return true;
  }
  return false;
}

static bool slip_assignment(const Slip *s) {
  if (s->found.kind != T_ASSIGN || !wants(s, "==")) return false;
  if (inside(s, T_LPAREN)) {
    diag_at(messages(s), E0205, s->found.span);
  } else {
    diag_at(messages(s), E0219, s->found.span);
    diag_help(messages(s),
              "to name the end of a chain write `name = a -> b;`, to compare write `==`");
  }
  syntax_skip(s->p);
  return true;
}

/* A statement that is only an expression. */
static bool slip_value_lost(const Slip *s) {
  if (!wants(s, "+=") || !wants(s, "=") || s->before.kind != T_NAME) return false;
  if (s->found.kind != T_ARROW && s->found.kind != T_LPAREN && s->found.kind != T_SEMICOLON)
    return false;
  const char *name = text_of(s, s->before.span);
  diag_at(messages(s), E0221, s->before.span);
  if (s->found.kind == T_ARROW) diag_help(messages(s), "write `%s = %s -> ...;`", name, name);
  else diag_help(messages(s), "write `name = %s...;`", name);
  syntax_skip(s->p);
  return true;
}

static bool slip_kind_missing(const Slip *s) {
  if (s->found.kind != T_NAME || !wants(s, "tensor") || !wants(s, "int") || wants(s, "a name"))
    return false;
  diag_at(messages(s), E0217, s->found.span, text_of(s, s->found.span));
  diag_help(messages(s),
            "a kind is one of int real bool string tensor weight block net data train init");
  syntax_skip(s->p);
  return true;
}

static bool slip_semicolon(const Slip *s) {
  bool closing = s->found.kind == T_RBRACE || s->found.kind == T_END;
  if (!wants(s, ";") || !(s->new_line || closing || assigns_next(s))) return false;
  if (!is_keyword(s->found.kind) && !closing && s->found.kind != T_NAME &&
      s->found.kind != T_LPAREN && s->found.kind != T_LBRACE)
    return false;
  uint32_t line = source_position(&s->p->front->sources, s->found.span).line;
  bool top = !closing && syntax_begins_declaration(s->found.kind) && s->p->nopen == 0;
  diag_at(messages(s), E0201, behind(s->before.span), top ? "declaration" : "statement");
  if (s->new_line && !closing)
    diag_here(messages(s), "here (line %u begins a new %s)", line, top ? "one" : "statement");
  else diag_here(messages(s), "here");
  syntax_insert_semicolon(s->p);
  return true;
}

static bool slip_comma(const Slip *s) {
  bool list = inside(s, T_LBRACKET), item = s->found.kind == T_NAME || is_literal(s->found.kind);
  if (!wants(s, ",") || !(item || is_kind(s->found.kind)) || !(list || inside(s, T_LPAREN)))
    return false;
  const char *what = list                                        ? "values"
                     : is_kind(s->found.kind) && !wants(s, "->") ? "parameters"
                                                                 : "arguments";
  diag_at(messages(s), E0216, behind(s->before.span), what);
  syntax_skip(s->p);
  return true;
}

/* The text of the stage that ends with the token before: its name and its arguments. */
static const char *stage_text(const Slip *s) {
  uint32_t begin = s->before.span.off, end = begin + s->before.span.len;
  const char *text = s->p->text;
  if (s->before.kind != T_NAME) begin = s->p->last_open.span.off;
  while (begin > 0 && (text[begin - 1] == '_' || text[begin - 1] == '.' ||
                       (text[begin - 1] >= '0' && text[begin - 1] <= '9') ||
                       (text[begin - 1] >= 'A' && text[begin - 1] <= 'Z') ||
                       (text[begin - 1] >= 'a' && text[begin - 1] <= 'z')))
    begin--;
  return begin < end && end - begin <= 60 ? arena_text(s->p->front->perm, text + begin, end - begin)
                                          : "...";
}

static bool slip_arrow(const Slip *s) {
  bool stage = s->found.kind == T_NAME || s->found.kind == T_REPEAT;
  if (!stage || !wants(s, "->") || !ends_stage(s->before.kind)) return false;
  diag_at(messages(s), E0203, behind(s->before.span));
  diag_here(messages(s), "write `%s -> %s`", stage_text(s), text_of(s, s->found.span));
  syntax_skip(s->p);
  return true;
}

static bool slip_keyword(const Slip *s) {
  Token word = s->found;
  bool only_name = s->n == 1 && wants(s, "a name");
  if (word.kind == T_ASSIGN && only_name) word = s->before;
  if (!is_keyword(word.kind) || !wants(s, "a name") || wants(s, "return") || s->new_line)
    return false;
  diag_at(messages(s), E0204, word.span, text_of(s, word.span));
  diag_help(messages(s), "another name is needed, such as `%s_`", text_of(s, word.span));
  syntax_skip(s->p);
  return true;
}

static bool slip_condition(const Slip *s) {
  int word = s->before.kind;
  if (s->n != 1 || !wants(s, "(")) return false;
  if (word != T_IF && word != T_FOR && word != T_REPEAT && word != T_ASSERT) return false;
  diag_at(messages(s), E0214, s->before.span, text_of(s, s->before.span));
  syntax_skip(s->p);
  return true;
}

static bool slip_body(const Slip *s) {
  if (s->found.kind == T_LBRACE && wants(s, "->") && s->n == 1) {
    diag_at(messages(s), E0220, s->found.span);
  } else if (s->found.kind == T_SEMICOLON && wants(s, "{") && s->n <= 3) {
    diag_at(messages(s), E0218, s->found.span, s->p->nopen ? "variant" : "declaration");
  } else {
    return false;
  }
  syntax_skip(s->p);
  return true;
}

/* ---- expected X, found Y ---------------------------------------------------------------- */

/* Groups of expected tokens that have one name for people, tried in order. */
static const struct {
  const char *sign; /* the group is meant when this one is among the expected */
  const char *second;
  const char *name;
} groups[] = {
    {"return", "use", "a statement or `}`"},
    {"import", "experiment", "a declaration"},
    {"variant", "run", "a setting, `sweep`, `variant`, `run`, `plot`, `table` or `}`"},
    {"an integer", "(", "an expression"},
    {"int", "tensor",
     "a kind (int, real, bool, string, tensor, weight, block, net, data, train, init)"},
};

static bool is_operator(const char *word) {
  static const char *const words[] = {"->", "..", "==", "!=", "<=", ">=", "&&", "||", "?", "@", "&",
                                      "<",  ">",  "+",  "-",  "*",  "/",  "%",  "[",  "(", "."};
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (strcmp(words[i], word) == 0) return true;
  return false;
}

static const char *quoted(Arena *a, const char *word) {
  bool plain = strchr(word, ' ') != NULL;
  return plain ? word : arena_printf(a, "`%s`", word);
}

/* "`,` or `)`", with "an operator" for all that may stand between two operands. */
static const char *list_expected(const Slip *s) {
  Arena *perm = s->p->front->perm;
  bool operators = wants(s, "+") && wants(s, "*");
  const char *item[8];
  int n = 0;
  Text text;
  text_init(&text, perm);
  if (operators) item[n++] = "an operator";
  for (int i = 0; i < s->n && n < 8; i++)
    if (!operators || !is_operator(s->expected[i])) item[n++] = quoted(perm, s->expected[i]);
  for (int i = 0; i < n; i++)
    text_add(&text, "%s%s", i == 0 ? "" : i == n - 1 ? " or " : ", ", item[i]);
  return n ? text.s : "something else";
}

static const char *describe_expected(const Slip *s) {
  for (size_t i = 0; i < COUNT_OF(groups); i++)
    if (wants(s, groups[i].sign) && wants(s, groups[i].second)) return groups[i].name;
  return list_expected(s);
}

static const char *describe_found(const Slip *s) {
  Arena *perm = s->p->front->perm;
  const Token *t = &s->found;
  if (t->kind == T_END) return "the end of the file";
  if (t->span.len == 0) return "the end of the statement";
  if (t->span.len > 40) return t->kind == T_TEXT ? "a string" : "a name";
  const char *what = t->kind == T_NAME     ? "the name "
                     : is_literal(t->kind) ? "the literal "
                     : is_keyword(t->kind) ? "the keyword "
                                           : "";
  return arena_printf(perm, "%s`%s`", what, text_of(s, t->span));
}

/* Ends the parse when recovery goes round in a circle: mistakes pile up at one place. */
static void stop_when_stuck(Parse *p) {
  enum { REFUSED_MAX = LIMIT_NESTING + 8 };
  p->refused = p->offset == p->refused_at ? p->refused + 1 : 0;
  p->refused_at = p->offset;
  if (p->refused > REFUSED_MAX) syntax_stop(p);
}

void syntax_report(Parse *p, const char *const *expected, int n) {
  static bool (*const slips[])(const Slip *) = {
      slip_unclosed, slip_assignment, slip_value_lost, slip_kind_missing, slip_semicolon,
      slip_comma,    slip_arrow,      slip_keyword,    slip_condition,    slip_body};
  Slip s = {p, expected, n, p->last[0], p->last[1], p->last[2], false};
  Sources *sources = &p->front->sources;
  s.new_line =
      source_position(sources, s.found.span).line > source_position(sources, s.before.span).line;
  stop_when_stuck(p);
  for (size_t i = 0; i < COUNT_OF(slips); i++)
    if (slips[i](&s)) return;
  diag_at(messages(&s), E0200, s.found.span, describe_expected(&s), describe_found(&s));
  syntax_skip(p);
}
