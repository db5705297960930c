/* fmt.c: the canonical form of a text. Goes in: the pieces of fmt_token.c. Comes out: lines.
 * A new line begins where the author began one, and before a `->` that would pass column 100.
 * Its indentation follows from the open brackets: a body indents by four, what stands in
 * parentheses lines up behind them, a chain lines up under its first `->`. */
#include "fmt.h"
#include <string.h>

enum { STEP = 4, WIDTH = 100, DEEP = 64, FRAMES = 80, COMMENT_MAX = 80 };

/* An open bracket, or the file. */
typedef struct {
  bool body;      /* it holds statements */
  int content;    /* column of what stands in it on a line of its own */
  int close;      /* column of its closing bracket, when that begins a line */
  int arrow;      /* column of the first `->` of the chain in it, -1 none */
  int statement;  /* of a body: column of the statement in hand */
  int waiting;    /* of a body: control headers whose statement has not begun */
  bool fresh;     /* of a body: the next token begins a statement */
  bool control;   /* the `(` of if, for, or a repeat that is a statement */
  bool stage;     /* the `(` of a repeat that is an expression */
} Frame;

typedef struct {
  Text *out;
  const Pieces *pieces;
  size_t at;            /* the piece in hand */
  Frame frame[FRAMES];
  int depth;            /* of the innermost frame */
  int column;
  bool line_begins;
  const Piece *before;  /* the last token; comments left out */
  Frame closed;         /* the bracket closed last */
} Format;

static Frame *top(Format *f) { return &f->frame[f->depth]; }

static bool is_comment(const Piece *p) {
  return p->kind == PIECE_LINE_COMMENT || p->kind == PIECE_BLOCK_COMMENT;
}

/* Columns that a piece takes on its last line. */
static int piece_width(const Piece *p) {
  int width = 0;
  for (uint32_t i = 0; i < p->n; i++) width += ((unsigned char)p->s[i] & 0xC0) != 0x80;
  return width;
}

static bool opens(const Piece *p) {
  return piece_is(p, "(") || piece_is(p, "[") || piece_is(p, "{");
}
static bool closes(const Piece *p) {
  return piece_is(p, ")") || piece_is(p, "]") || piece_is(p, "}");
}

/* ---- wrapping --------------------------------------------------------------------------- */

/* Columns from the `->` in hand to the next one of the same chain, or the end of its line. */
static int segment_width(const Format *f) {
  int width = 0, depth = 0;
  for (size_t i = f->at; i < f->pieces->nitem; i++) {
    const Piece *p = &f->pieces->item[i];
    if (i > f->at && (p->newlines || (depth == 0 && piece_is(p, "->")))) break;
    if (p->kind == PIECE_LINE_COMMENT) break;
    width += piece_width(p) + (int)p->space;
    depth += opens(p);
    depth -= closes(p);
    if (depth < 0 || (depth == 0 && piece_is(p, ";"))) break;
  }
  return width;
}

static bool must_wrap(Format *f, const Piece *p) {
  return piece_is(p, "->") && top(f)->arrow >= 0 && f->column + segment_width(f) > WIDTH;
}

/* ---- indentation ------------------------------------------------------------------------ */

static int limited(int column, int otherwise) { return column > DEEP ? otherwise : column; }

/* The column of the statement around the innermost bracket. */
static int statement_column(const Format *f) {
  int d = f->depth;
  while (d > 0 && !f->frame[d].body) d--;
  return f->frame[d].statement;
}

static int line_column(Format *f, const Piece *p) {
  Frame *t = top(f);
  if (closes(p)) return t->close;
  if (!t->body)
    return limited(piece_is(p, "->") && t->arrow >= 0 ? t->arrow : t->content,
                   statement_column(f) + 2 * STEP);
  if (t->fresh) {
    bool label = f->at + 1 < f->pieces->nitem && f->pieces->item[f->at + 1].label;
    if (label) return t->content > STEP ? t->content - STEP : 0;
    int extra = t->waiting - (piece_is(p, "{") && t->waiting > 0);
    return t->content + STEP * extra;
  }
  if (piece_is(p, "{")) return t->statement;
  if (piece_is(p, "->") && t->arrow >= 0) return limited(t->arrow, t->statement + STEP);
  return t->statement + STEP;
}

/* ---- state ------------------------------------------------------------------------------ */

static bool is_body(const Format *f) {
  return f->before && !piece_is(f->before, "=") && !(piece_is(f->before, ")") && f->closed.stage);
}

static void push_frame(Format *f, const Piece *p) {
  Frame *outer = top(f);
  int statement = statement_column(f);
  Frame n = {.arrow = -1, .fresh = true};
  const Piece *next = f->at + 1 < f->pieces->nitem ? &f->pieces->item[f->at + 1] : NULL;
  n.body = piece_is(p, "{") && is_body(f);
  bool tail = n.body || (next && next->newlines);
  n.content = tail ? statement + STEP : f->column + piece_is(p, "{");
  n.close = statement;
  n.statement = n.content;
  bool repeat = f->before && piece_is(f->before, "repeat");
  n.stage = repeat && outer->stage;
  n.control = f->before && (piece_is(f->before, "if") || piece_is(f->before, "for") ||
                            (repeat && !outer->stage));
  if (f->depth + 1 < FRAMES) f->frame[++f->depth] = n;
}

/* The statement of a body ends. */
static void end_statement(Frame *t) {
  t->fresh = true;
  t->waiting = 0;
  t->arrow = -1;
}

static void pop_frame(Format *f) {
  f->closed = *top(f);
  if (f->depth > 0) f->depth--;
  Frame *t = top(f);
  if (f->closed.body) end_statement(t);
  if (f->closed.control && t->body) t->fresh = true, t->waiting++, t->arrow = -1;
}

/* Takes note of a token that was written; `start` is its column. */
static void note_token(Format *f, const Piece *p, int start) {
  Frame *t = top(f);
  if (t->body && t->fresh && !piece_is(p, "}")) {
    t->statement = t->content + STEP * (t->waiting - (piece_is(p, "{") && t->waiting > 0));
    t->fresh = false;
    t->arrow = -1;
    t->stage = false;
  } else if (piece_is(p, "repeat")) {
    t->stage = true;
  }
  if (piece_is(p, "->") && t->arrow < 0) t->arrow = start;
  if (piece_is(p, ",") || piece_is(p, "=")) t->arrow = -1;
  if (opens(p)) push_frame(f, p);
  else if (closes(p)) pop_frame(f);
  else if (t->body && piece_is(p, ";")) end_statement(t);
  else if (t->body && p->label) t->fresh = true;
  else if (t->body && piece_is(p, "else")) t->fresh = true, t->waiting++;
  f->before = p;
}

/* ---- writing ---------------------------------------------------------------------------- */

static void new_line(Format *f, const Piece *p) {
  bool blank = p->newlines > 1 && !(f->before && piece_is(f->before, "{")) && !piece_is(p, "}");
  int column = line_column(f, p);
  if (f->out->n) text_add(f->out, blank ? "\n\n" : "\n");
  text_add(f->out, "%*s", column, "");
  f->column = column;
}

/* A comment may begin the text, or follow an opening brace. */
static void write_piece(Format *f, const Piece *p) {
  const Piece *last = f->at ? p - 1 : NULL;
  bool first = f->at == 0;
  if (first || p->newlines || (last && last->kind == PIECE_LINE_COMMENT) || must_wrap(f, p)) {
    new_line(f, p);
  } else {
    bool glued = piece_is(p, ";") || piece_is(p, ",") || piece_is(p, ")");
    int space = p->space == 0 && is_comment(last) && !glued ? 1 : (int)p->space;
    text_add(f->out, "%*s", space, "");
    f->column += space;
  }
  int start = f->column;
  text_bytes(f->out, p->s, p->n);
  const char *line = memrchr(p->s, '\n', p->n);
  f->column = line ? (int)(p->s + p->n - line) - 1 : f->column + piece_width(p);
  if (!is_comment(p)) note_token(f, p, start);
}

/* One pass over a text. */
static void format_once(Text *out, const char *text, size_t size, bool aligned) {
  Pieces pieces = {0};
  pieces_cut(out->arena, &pieces, text, size, aligned);
  Format f = {.out = out, .pieces = &pieces};
  f.frame[0] = (Frame){.body = true, .arrow = -1, .fresh = true};
  text_bytes(out, "", 0);
  for (f.at = 0; f.at < pieces.nitem; f.at++) write_piece(&f, &pieces.item[f.at]);
  if (pieces.nitem) text_add(out, "\n");
}

/* A column may line up no more once its line has moved, so passes go on until nothing
 * changes; after a few the columns are given up, which ends it. */
void format_text(Text *out, const char *text, size_t size) {
  enum { PASSES = 4 };
  for (int pass = 0; pass <= PASSES; pass++) {
    Text next;
    text_init(&next, out->arena);
    format_once(&next, text, size, pass < PASSES);
    bool same = next.n == size && memcmp(next.s, text, size) == 0;
    text = next.s;
    size = next.n;
    if (same) break;
  }
  text_bytes(out, text, size);
}
