/* scan.c: what the scanner does with a piece of text: names, numbers, strings, and the
 * messages for what is none of them. Goes in: the span of the piece. Comes out: the kind of
 * token and its value; after a mistake T_error, which makes the grammar recover silently. */
#include <string.h>
#include "lcwnet.tab.h"
#include "syntax.h"

enum { T_error = GRAMMAR_error }; /* bison: recover without a message */

static Diags *messages(Parse *p) { return &p->front->diags; }

static const char *piece(Parse *p, Span at) {
  return arena_text(p->front->perm, p->text + at.off, at.len);
}

_Noreturn void syntax_stop(Parse *p) { longjmp(p->stop, STOP_LIMIT); }

/* Memory of the scanner's own tables. */
void *scan_memory(Parse *p, size_t bytes) { return arena_alloc(p->front->perm, bytes); }

static const char *character_help(unsigned char c) {
  switch (c) {
    case '\'': return "strings stand in double quotes";
    case '#': return "a comment begins with `//`";
    case '$': return "names are letters, digits and `_`";
    case '`': return "names need no quotes";
    case '\\': return "a statement ends with `;` and may go over several lines as it is";
    case '"': return "strings stand in double quotes";
    default: return c >= 0x80 ? "outside comments and strings only ASCII can be used" : NULL;
  }
}

int scan_bad_character(Parse *p, Span at) {
  unsigned char c = (unsigned char)p->text[at.off];
  const char *help = character_help(c);
  bool visible = c > 0x20 && c != 0x7F;
  const char *what = visible ? arena_printf(p->front->perm, "`%s`", piece(p, at))
                             : arena_printf(p->front->perm, "the control character 0x%02X", c);
  diag_at(messages(p), E0206, at, what);
  if (help) diag_help(messages(p), "%s", help);
  return T_error;
}

int scan_bad_operator(Parse *p, Span at) {
  static const struct {
    const char *op, *help;
  } known[] = {
      {"^", "a power is `pow(x, y)`"},          {"**", "a power is `pow(x, y)`"},
      {"++", "write `i + 1`"},                  {"-=", "write `a = a - e`; only `+=` is short"},
      {"*=", "write `a = a * e`"},              {"/=", "write `a = a / e`"},
      {"%=", "write `a = a % e`"},              {"&=", "write `a = a & e`"},
      {"=>", "a chain is written `->`, a comparison `>=`"}, {"|>", "a chain is written `->`"},
      {":=", "write `=`"},                      {"===", "write `==`"},
      {"<<", "write a product with a power of two"}, {">>", "write a quotient by a power of two"},
  };
  diag_at(messages(p), E0215, at, piece(p, at));
  for (size_t i = 0; i < COUNT_OF(known); i++)
    if (strncmp(known[i].op, p->text + at.off, at.len) == 0 && !known[i].op[at.len])
      diag_help(messages(p), "%s", known[i].help);
  return T_error;
}

int scan_bad_number(Parse *p, Span at, TokenValue *value) {
  const char *text = piece(p, at);
  diag_at(messages(p), E0210, at, text);
  if (text[0] == '.') diag_help(messages(p), "write a digit before the point: `0%s`", text);
  else if (text[at.len - 1] == '.')
    diag_help(messages(p), "write a digit behind the point: `%s0`", text);
  else
    diag_help(messages(p),
              "numbers are like 12, 0.5, 1.0e-4 and 1e-4; a name does not begin with a digit");
  value->ast = ast_leaf(p, AST_REAL, at, id_none());
  return T_NUMBER_REAL;
}

int scan_reserved(Parse *p, Span at) {
  diag_at(messages(p), E0211, at, piece(p, at));
  return T_error;
}

int scan_unclosed(Parse *p, Span at, bool comment) {
  if (comment) {
    diag_at(messages(p), E0207, (Span){at.off, 2, at.file});
    diag_help(messages(p), "close it with `*/`; comments do not nest");
  } else {
    diag_at(messages(p), E0208, at);
  }
  return T_error;
}

int scan_name(Parse *p, Span at, TokenValue *value) {
  if (at.len > LIMIT_NAME) {
    diag_at(messages(p), E0803, at, (size_t)at.len, LIMIT_NAME);
    syntax_stop(p);
  }
  value->id = (Id){name_of(p->front->names, p->text + at.off, at.len), at};
  return T_NAME;
}

int scan_integer(Parse *p, Span at, TokenValue *value) {
  int64_t number;
  if (!integer_parse(p->text + at.off, at.len, &number)) {
    diag_at(messages(p), E0416, at);
    number = 0;
  }
  value->ast = ast_leaf(p, AST_INTEGER, at, id_none());
  value->ast->integer = number;
  return T_NUMBER_INT;
}

int scan_real(Parse *p, Span at, TokenValue *value) {
  double number;
  if (!number_parse(p->text + at.off, at.len, &number)) {
    diag_at(messages(p), E0210, at, piece(p, at));
    diag_help(messages(p), "the largest number is about 1.8e308");
    number = 0.0;
  }
  value->ast = ast_leaf(p, AST_REAL, at, id_none());
  value->ast->real = number;
  return T_NUMBER_REAL;
}

/* The character that `\c` stands for, or 0. */
static char escape_value(char c) {
  return c == 'n' ? '\n' : c == 't' ? '\t' : c == '"' || c == '\\' ? c : 0;
}

int scan_string(Parse *p, Span at, TokenValue *value) {
  const char *s = p->text + at.off + 1;
  size_t n = at.len - 2, length = 0;
  char *text = arena_alloc(p->front->perm, n + 1);
  for (size_t i = 0; i < n; i++) {
    char c = s[i];
    if (c == '\\') {
      c = escape_value(s[++i]);
      Span escape = {at.off + (uint32_t)i, 2, at.file};
      if (!c) diag_at(messages(p), E0209, escape, piece(p, escape));
    }
    text[length++] = c;
  }
  value->ast = ast_leaf(p, AST_STRING, at, id_none());
  value->ast->text = text;
  value->ast->integer = (int64_t)length;
  return T_TEXT;
}
