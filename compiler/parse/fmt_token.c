/* fmt_token.c: the pieces of a text for the formatter. Goes in: a text that parses. Comes out:
 * its tokens and comments, and for each whether a space stands before it. */
#include <string.h>
#include "fmt.h"

bool piece_is(const Piece *p, const char *word) {
  uint32_t i = 0;
  while (i < p->n && word[i] && p->s[i] == word[i]) i++;
  return i == p->n && !word[i];
}

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static bool is_keyword(const char *s, size_t n) {
  static const char *const words[] = {
      "import",     "as",     "const",   "weight", "block",  "net",  "data",   "train",
      "experiment", "sweep",  "variant", "run",    "on",     "with", "plot",   "table",
      "use",        "repeat", "for",     "in",     "if",     "else", "return", "assert",
      "int",        "real",   "bool",    "string", "tensor", "init", "true",   "false"};
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (strlen(words[i]) == n && memcmp(words[i], s, n) == 0) return true;
  return false;
}

/* ---- cutting ---------------------------------------------------------------------------- */

static size_t number_length(const char *s, size_t n) {
  size_t k = 0;
  while (k < n && is_digit(s[k])) k++;
  if (k + 1 < n && s[k] == '.' && is_digit(s[k + 1]))
    for (k++; k < n && is_digit(s[k]);) k++;
  if (k < n && (s[k] == 'e' || s[k] == 'E')) {
    k++;
    if (k < n && (s[k] == '+' || s[k] == '-')) k++;
    while (k < n && is_digit(s[k])) k++;
  }
  return k;
}

static size_t string_length(const char *s, size_t n) {
  size_t k = 1;
  while (k < n && s[k] != '"') k += s[k] == '\\' ? 2 : 1;
  return size_min(k + 1, n);
}

static size_t sign_length(const char *s, size_t n) {
  static const char *const doubles[] = {"->", "..", "+=", "==", "!=", "<=", ">=", "&&", "||"};
  for (size_t i = 0; n > 1 && i < COUNT_OF(doubles); i++)
    if (memcmp(s, doubles[i], 2) == 0) return 2;
  return 1;
}

static size_t comment_length(const char *s, size_t n) {
  if (s[1] == '/') {
    const char *end = memchr(s, '\n', n);
    size_t k = end ? (size_t)(end - s) : n;
    while (k > 2 && is_space(s[k - 1])) k--;
    return k;
  }
  const char *end = memmem(s + 2, n - 2, "*/", 2);
  return end ? (size_t)(end - s) + 2 : n;
}

static Piece cut(const char *s, size_t n) {
  Piece p = {.s = s, .n = 1, .kind = PIECE_SIGN};
  if (n > 1 && s[0] == '/' && (s[1] == '/' || s[1] == '*')) {
    p.kind = s[1] == '/' ? PIECE_LINE_COMMENT : PIECE_BLOCK_COMMENT;
    p.n = (uint32_t)comment_length(s, n);
  } else if (is_digit(s[0])) {
    p.kind = PIECE_LITERAL;
    p.n = (uint32_t)number_length(s, n);
  } else if (s[0] == '"') {
    p.kind = PIECE_LITERAL;
    p.n = (uint32_t)string_length(s, n);
  } else if (is_word(s[0])) {
    while (p.n < n && is_word(s[p.n])) p.n++;
    p.kind = is_keyword(s, p.n) ? PIECE_KEYWORD : PIECE_WORD;
  } else {
    p.n = (uint32_t)sign_length(s, n);
  }
  return p;
}

/* ---- spacing ---------------------------------------------------------------------------- */

static bool is_comment(const Piece *p) {
  return p->kind == PIECE_LINE_COMMENT || p->kind == PIECE_BLOCK_COMMENT;
}

static bool is_one_of(const Piece *p, const char *signs) {
  return p->kind == PIECE_SIGN && p->n == 1 && strchr(signs, p->s[0]) != NULL;
}

/* The last n tokens before, comments left out; [0] is the nearest. */
typedef struct {
  const Piece *at[3];
} Before;

static bool ends_operand(const Piece *p) {
  return p && (p->kind == PIECE_WORD || p->kind == PIECE_LITERAL || is_one_of(p, ")]}") ||
               piece_is(p, "true") || piece_is(p, "false") || piece_is(p, "init") ||
               piece_is(p, "weight"));
}

/* A `:` behind the name at the begin of a statement. */
static bool is_label(const Piece *p, const Before *b) {
  if (!piece_is(p, ":") || !b->at[0] || b->at[0]->kind != PIECE_WORD) return false;
  const Piece *q = b->at[1];
  return !q || is_one_of(q, ";{})") || q->label || piece_is(q, "else");
}

static bool is_index_colon(const Piece *p, const Before *b) {
  return piece_is(p, ":") && b->at[0] && is_one_of(b->at[0], "[,");
}

/* After these keywords a bracket stands apart: if (x), in [1, 2]. */
static bool keeps_apart(const Piece *p) {
  return p->kind == PIECE_KEYWORD && !piece_is(p, "assert") && !piece_is(p, "tensor") &&
         !piece_is(p, "init");
}

static bool is_tight(const Piece *p, const Before *b) {
  const Piece *left = b->at[0];
  if (!left) return true;
  if (left->unary || is_one_of(left, "([@.") || piece_is(left, "..") || piece_is(p, ".."))
    return true;
  if (is_one_of(p, "),;].")) return true;
  if (p->label || is_index_colon(p, b)) return !is_one_of(left, ",");
  if (is_one_of(p, "(["))
    return left->kind == PIECE_WORD || is_one_of(left, ")]") ||
           (left->kind == PIECE_KEYWORD && !keeps_apart(left));
  return is_one_of(p, "}") && is_one_of(left, "{");
}

/* ---- columns that line up --------------------------------------------------------------- */

enum { GAP_MAX = 60 };

/* True when a piece of that line begins in the column. `first`: the first piece of each line. */
static bool begins_at(const Pieces *p, const size_t *first, uint32_t line, uint32_t column) {
  size_t low = first[line], high = first[line + 1];
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (p->item[middle].column < column) low = middle + 1;
    else high = middle;
  }
  return low < first[line + 1] && p->item[low].column == column;
}

/* The same for the two lines above and the two below a piece. */
static bool begins_nearby(const Pieces *p, const size_t *first, const Piece *t, uint32_t lines) {
  uint32_t from = t->line > 2 ? t->line - 2 : 0, to = t->line + 2 < lines ? t->line + 2 : lines;
  for (uint32_t line = from; line <= to; line++)
    if (line != t->line && begins_at(p, first, line, t->column)) return true;
  return false;
}

/* The index of the first piece on each line, and one more. */
static size_t *first_pieces(Arena *a, const Pieces *p, uint32_t lines) {
  size_t *first = NEW_ARRAY(a, size_t, lines + 2), k = 0;
  for (uint32_t line = 0; line <= lines + 1; line++) {
    while (k < p->nitem && p->item[k].line < line) k++;
    first[line] = k;
  }
  return first;
}

/* Keeps the gap before a piece that lines up with one on a line beside its own. */
static void keep_columns(Arena *a, Pieces *p) {
  uint32_t lines = p->nitem ? p->item[p->nitem - 1].line + 1 : 0;
  const size_t *first = first_pieces(a, p, lines);
  for (size_t i = 1; i < p->nitem; i++) {
    Piece *t = &p->item[i];
    const Piece *left = &p->item[i - 1];
    if (t->newlines || t->space == 0 || left->kind == PIECE_BLOCK_COMMENT) continue;
    uint32_t end = left->column + left->n, gap = t->column > end ? t->column - end : 1;
    bool keeps = t->kind == PIECE_LINE_COMMENT || begins_nearby(p, first, t, lines);
    if (keeps && gap > 1 && gap <= GAP_MAX) t->space = gap;
  }
}

/* ---- the whole text --------------------------------------------------------------------- */

/* Where the cutting stands. */
typedef struct {
  size_t before[3]; /* the tokens before: indices, SIZE_MAX none */
  uint32_t newlines, line;
  size_t line_begin;
} Cutter;

static void add_piece(Arena *a, Pieces *out, Cutter *c, Piece p) {
  Before b = {{NULL, NULL, NULL}};
  for (int k = 0; k < 3; k++) b.at[k] = c->before[k] == SIZE_MAX ? NULL : &out->item[c->before[k]];
  p.newlines = c->newlines;
  p.label = is_label(&p, &b);
  p.unary = is_one_of(&p, "!") || (is_one_of(&p, "-") && !ends_operand(b.at[0]));
  p.space = is_comment(&p) || !is_tight(&p, &b);
  PUSH(a, out, item, p);
  if (is_comment(&p)) return;
  c->before[2] = c->before[1];
  c->before[1] = c->before[0];
  c->before[0] = out->nitem - 1;
}

void pieces_cut(Arena *a, Pieces *out, const char *text, size_t size, bool aligned) {
  Cutter c = {{SIZE_MAX, SIZE_MAX, SIZE_MAX}, 0, 0, 0};
  for (size_t i = size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; i < size;) {
    if (is_space(text[i])) {
      if (text[i] == '\n') c.newlines++, c.line++, c.line_begin = i + 1;
      i++;
      continue;
    }
    Piece p = cut(text + i, size - i);
    p.line = c.line;
    p.column = (uint32_t)(i - c.line_begin);
    add_piece(a, out, &c, p);
    for (uint32_t k = 0; k < p.n; k++)
      if (p.s[k] == '\n') c.line++, c.line_begin = i + k + 1;
    c.newlines = 0;
    i += p.n;
  }
  if (aligned) keep_columns(a, out);
}
