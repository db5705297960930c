/* syntax.c: the filter between scanner and grammar. Goes in: scanned tokens. Comes out: the
 * tokens the grammar sees. It watches brackets, so that an unclosed one is reported where it
 * was opened, and it recovers: after a mistake it drops tokens up to the end of the statement
 * and hands in the `;` that the grammar's rule `error ";"` waits for. */
#include "lcwnet.tab.h"
#include "syntax.h"

enum { T_error = GRAMMAR_error };

static Diags *messages(Parse *p) { return &p->front->diags; }

static const char *bracket_word(int kind) {
  switch (kind) {
    case T_LPAREN: return "(";
    case T_RPAREN: return ")";
    case T_LBRACKET: return "[";
    case T_RBRACKET: return "]";
    case T_LBRACE: return "{";
    default: return "}";
  }
}

/* The opening kind for a closing one, 0 for any other token. */
static int opener_of(int kind) {
  return kind == T_RPAREN     ? T_LPAREN
         : kind == T_RBRACKET ? T_LBRACKET
         : kind == T_RBRACE   ? T_LBRACE
                              : 0;
}

static bool is_opener(int kind) {
  return kind == T_LPAREN || kind == T_LBRACKET || kind == T_LBRACE;
}

/* ---- tokens to be handed out before the scanner is asked again: a stack ----------------- */

static void unread(Parse *p, Token t) {
  if (p->npending < COUNT_OF(p->pending)) p->pending[p->npending++] = t;
}

static Token made_token(const Parse *p, int kind) {
  Span at = {p->last[0].span.off + p->last[0].span.len, 0, p->file};
  return (Token){.kind = kind, .span = at};
}

static void unread_made(Parse *p, int kind) { unread(p, made_token(p, kind)); }

/* Brackets around the statement in hand: up to and with the innermost open body. */
static uint32_t body_depth(const Parse *p) {
  uint32_t depth = p->nopen;
  while (depth && !p->open[depth - 1].body) depth--;
  return depth;
}

/* A `;` for the broken statement, then a brace for every body; forgets the brackets. */
static void unread_closers(Parse *p) {
  while (p->nopen)
    if (p->open[--p->nopen].body) unread_made(p, T_RBRACE);
  unread_made(p, T_SEMICOLON);
}

/* ---- recovery --------------------------------------------------------------------------- */

/* The newest token was read, so its bracket is already on or off the stack. */
void syntax_skip(Parse *p) {
  int found = p->last[0].kind;
  if (found == T_SEMICOLON) return;
  if (found == T_END || (found == T_RBRACE && p->last_open.body)) {
    syntax_insert_semicolon(p);
    return;
  }
  bool opened = is_opener(found) && p->nopen;
  p->nopen -= opened;
  p->skip_depth = body_depth(p);
  p->nopen += opened;
  p->skipping = true;
}

void syntax_insert_semicolon(Parse *p) {
  unread(p, p->last[0]);
  unread_made(p, T_SEMICOLON);
}

void syntax_close_all(Parse *p, uint32_t n) {
  bool opened = is_opener(p->last[0].kind) && p->nopen;
  Bracket top = opened ? p->open[--p->nopen] : (Bracket){0};
  for (uint32_t i = 0; i < n; i++) unread(p, p->last[i]);
  unread_closers(p);
  if (opened) p->open[p->nopen++] = top;
}

/* ---- brackets --------------------------------------------------------------------------- */

/* True when a `repeat` behind these tokens begins a statement, not an expression. */
static bool begins_statement(const Parse *p) {
  switch (p->last[0].kind) {
    case T_SEMICOLON:
    case T_RPAREN:
    case T_RBRACE:
    case T_ELSE: return true;
    case T_LBRACE: return p->nopen && p->open[p->nopen - 1].body;
    case T_COLON: return p->last[1].kind == T_NAME && p->last[2].kind != T_QUESTION;
    default: return false;
  }
}

static void bracket_push(Parse *p, const Token *t) {
  if (p->nopen == LIMIT_NESTING) {
    diag_at(messages(p), E0804, t->span, LIMIT_NESTING);
    syntax_stop(p);
  }
  int before = p->last[0].kind;
  Bracket b = {.kind = t->kind, .span = t->span};
  b.stage = t->kind == T_LPAREN && before == T_REPEAT && p->last[0].value.type != TYPE_NONE;
  b.body = t->kind == T_LBRACE && before != T_ASSIGN && !(before == T_RPAREN && p->last_open.stage);
  p->open[p->nopen++] = b;
}

static void report_unclosed(Parse *p, const Bracket *b, Span where) {
  diag_at(messages(p), E0202, b->span, bracket_word(b->kind));
  if (where.len) diag_label(messages(p), where, "it should be closed before this");
}

/* Takes a closing bracket that does not fit; true when a body is closed by it all the same. */
static bool bracket_mismatch(Parse *p, const Token *t) {
  uint32_t depth = p->nopen;
  while (depth && p->open[depth - 1].kind != opener_of(t->kind)) depth--;
  const Bracket *top = &p->open[p->nopen - 1];
  if (depth == 0) {
    if (!p->skipping) {
      diag_at(messages(p), E0213, t->span, bracket_word(top->kind), bracket_word(t->kind));
      diag_label(messages(p), top->span, "opened here");
    }
    p->nopen -= !top->body;
    return false;
  }
  if (!p->skipping) report_unclosed(p, top, t->span);
  p->last_open = p->open[depth - 1];
  p->nopen = depth - 1;
  return p->last_open.body;
}

/* A `;` inside a bracket, or the end of the file inside anything: E0202 at the bracket. */
static int bracket_cut(Parse *p, const Token *t) {
  if (!p->skipping) report_unclosed(p, &p->open[p->nopen - 1], t->span);
  p->skipping = false;
  if (t->kind == T_END) {
    unread(p, *t);
    unread_closers(p);
  } else {
    p->nopen = body_depth(p);
    unread_made(p, T_SEMICOLON);
  }
  return T_error;
}

/* Keeps the stack of brackets; T_error when the token must not reach the grammar, which then
 * recovers. `*t` may be dropped by kind -1. */
static void bracket_watch(Parse *p, Token *t) {
  int opener = opener_of(t->kind);
  if (is_opener(t->kind)) {
    bracket_push(p, t);
  } else if (opener && p->nopen == 0) {
    if (!p->skipping) diag_at(messages(p), E0212, t->span, bracket_word(t->kind));
    t->kind = -1;
  } else if (opener && p->open[p->nopen - 1].kind == opener) {
    p->last_open = p->open[--p->nopen];
  } else if (opener) {
    bool closes_body = bracket_mismatch(p, t);
    if (p->skipping) return;
    p->skip_depth = body_depth(p);
    p->skipping = !closes_body;
    if (closes_body) unread(p, *t), unread_made(p, T_SEMICOLON);
    t->kind = T_error;
  } else if (p->nopen &&
             (t->kind == T_END || (t->kind == T_SEMICOLON && !p->open[p->nopen - 1].body))) {
    if (p->skipping && t->kind == T_SEMICOLON) return;
    t->kind = bracket_cut(p, t);
  }
}

/* ---- tokens ----------------------------------------------------------------------------- */

/* One token from the scanner, its bracket watched. */
static Token scan_watched(Parse *p) {
  Token t = {.kind = 0};
  do {
    t.kind = scan_token(&t.value, &t.span, p->scanner);
    if (t.kind == T_REPEAT) t.value.type = begins_statement(p) ? TYPE_NONE : TYPE_BLOCK;
    bracket_watch(p, &t);
  } while (t.kind == -1);
  return t;
}

static void remember(Parse *p, Token t) {
  for (int i = TOKENS_KEPT - 1; i > 0; i--) p->last[i] = p->last[i - 1];
  p->last[0] = t;
}

static Token pull(Parse *p) { return p->npending ? p->pending[--p->npending] : scan_watched(p); }

static bool at_line_start(const Parse *p, Span at) {
  return at.off == 0 || p->text[at.off - 1] == '\n';
}

/* A nested body was closed while skipping; the statement may go on with `else`. */
static bool skip_past_body(Parse *p) {
  Token next = pull(p);
  if (next.kind != T_ELSE) unread(p, next);
  return next.kind != T_ELSE;
}

/* Decides whether the skipped statement ends at this token; what follows it is put back. */
static bool skip_ends(Parse *p, Token t) {
  bool closed = t.kind == T_RBRACE && p->last_open.body;
  bool declares = p->nopen == 0 && syntax_begins_declaration(t.kind) && at_line_start(p, t.span);
  if (closed && p->nopen == p->skip_depth) return skip_past_body(p);
  if (t.kind == T_END || (closed && p->nopen < p->skip_depth) || declares) {
    unread(p, t);
    return true;
  }
  return t.kind == T_SEMICOLON && p->nopen <= p->skip_depth;
}

/* Drops the rest of a broken statement; hands out the `;` that ends it. */
static Token skip_statement(Parse *p) {
  Token t;
  do {
    t = pull(p);
    if (!p->skipping) return pull(p); /* the file ended inside brackets: all is put back */
    remember(p, t);
  } while (!skip_ends(p, t));
  p->skipping = false;
  return made_token(p, T_SEMICOLON);
}

bool syntax_begins_declaration(int kind) {
  switch (kind) {
    case T_IMPORT:
    case T_CONST:
    case T_WEIGHT:
    case T_BLOCK:
    case T_NET:
    case T_DATA:
    case T_TRAIN:
    case T_INIT:
    case T_EXPERIMENT: return true;
    default: return false;
  }
}

static Token next_token(Parse *p) {
  if (!p->begun) {
    p->begun = true;
    return made_token(p, p->want_expression ? T_EXPRESSION : T_FILE);
  }
  if (p->skipping) return skip_statement(p);
  Token t = pull(p);
  if (t.kind == T_error && p->npending == 0 && !p->skipping) {
    p->skip_depth = body_depth(p);
    p->skipping = true;
  }
  return t;
}

/* More mistakes than anybody reads: the rest of the text is left alone. */
enum { MISTAKES_MAX = 1000 };

int syntax_token(TokenValue *value, Span *span, Parse *p) {
  if (messages(p)->errors > MISTAKES_MAX) syntax_stop(p);
  Token t = next_token(p);
  remember(p, t);
  *value = t.value;
  *span = t.span;
  return t.kind;
}
