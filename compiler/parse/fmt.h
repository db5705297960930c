/* fmt.h: the canonical form of a source text. Goes in: a text that parses. Comes out: the same
 * tokens and comments with canonical spacing, indentation and wrapping. The author's line
 * breaks and single blank lines stay, and so do columns that line up with a line beside them;
 * format(format(x)) is format(x). */
#ifndef LCW_FMT_H
#define LCW_FMT_H
#include "util.h"

/* The formatted text, in the arena of `out`. */
void format_text(Text *out, const char *text, size_t size);

/* lcwc fmt [-i] [--check] [--diff] FILE...; argv[0] is "fmt". Exit code as in DESIGN.md. */
int fmt_main(int argc, char **argv);

/* ---- between fmt.c and fmt_token.c ------------------------------------------------------ */

typedef enum {
  PIECE_WORD,
  PIECE_KEYWORD,
  PIECE_LITERAL,
  PIECE_SIGN,
  PIECE_LINE_COMMENT,
  PIECE_BLOCK_COMMENT
} PieceKind;

/* A token or comment of the text. */
typedef struct {
  const char *s;
  uint32_t n;
  PieceKind kind;
  uint32_t newlines; /* line breaks in the text before it */
  uint32_t space;    /* spaces before it, when it does not begin a line */
  uint32_t line, column; /* in the text, from 0 */
  bool unary, label; /* a sign before its operand; a `:` behind a label */
} Piece;

typedef struct {
  Piece *item;
  size_t nitem, capitem;
} Pieces;

/* Cuts the text; spacing is decided already. With `aligned`, columns that line up stay. */
void pieces_cut(Arena *a, Pieces *out, const char *text, size_t size, bool aligned);
bool piece_is(const Piece *p, const char *word);

#endif
