/* syntax.h: what the scanner, the grammar and the hand-written syntax messages share while one
 * text is parsed. Private to grammar/, ast.c, syntax.c, parse.c and fmt.c.
 *
 * The road of a token: lcwnet.l scans it -> syntax.c watches brackets and repairs -> lcwnet.y.
 * When the grammar refuses a token, syntax_report() writes the message and sets a plan for
 * recovery: tokens are skipped up to the end of the statement, where a `;` is handed in. */
#ifndef LCW_SYNTAX_H
#define LCW_SYNTAX_H
#include "front.h"
#include "limits.h"

typedef struct {
  Name name;
  Span span;
} Id;

typedef struct {
  Ast **item;
  uint32_t nitem, capitem;
} AstList;

typedef union {
  Ast *ast;
  AstList *list;
  Id id;
  TypeKind type;
} TokenValue;

typedef struct {
  int kind; /* as in lcwnet.tab.h; 0: end of file */
  Span span;
  TokenValue value;
} Token;

/* An open bracket. `body`: a brace that holds statements, settings or items. */
typedef struct {
  int kind;
  Span span;
  bool body;
} Bracket;

typedef struct Parse {
  Front *front;
  void *scanner;          /* flex's */
  uint16_t file;
  uint32_t offset;        /* of the scanner's next byte */
  const char *text;
  size_t size;
  Ast *result;
  jmp_buf stop;           /* taken by syntax_stop(): a limit was met, or memory is out */
  Bracket open[LIMIT_NESTING + 1];
  uint32_t nopen;
  uint32_t nclosed_repeat; /* depth at which the last `repeat (...)` was an expression, or 0 */
  Token last[2];          /* the two tokens handed to the grammar last, newest first */
  Bracket last_open;      /* the bracket that the last closing token closed */
  Token queue[LIMIT_NESTING + 4]; /* handed to the grammar before the scanner is asked again */
  uint32_t nqueue, queue_at;
  bool skipping;          /* between an error and the end of its statement */
  uint32_t skip_depth;    /* brackets open around that statement */
  bool begun;             /* the token that selects file or expression was handed out */
  bool want_expression;
} Parse;

/* ---- the scanner (lcwnet.l) ------------------------------------------------------------- */
int scan_token(TokenValue *value, Span *span, void *scanner);
void scan_begin(Parse *p);
void scan_end(Parse *p);
void *scan_memory(Parse *p, size_t bytes);

/* ---- the token filter and the messages (syntax.c) --------------------------------------- */
int syntax_token(TokenValue *value, Span *span, Parse *p);
/* The grammar met `found`, where it would have taken one of `expected`. */
void syntax_report(Parse *p, const char *found, Span at, const char *const *expected, int n);
_Noreturn void syntax_stop(Parse *p);

/* Errors of the scanner: each reports once and returns the token that makes the grammar
 * recover (YYerror). */
int scan_bad_character(Parse *p, Span at);
int scan_bad_operator(Parse *p, Span at);
int scan_bad_number(Parse *p, Span at);
int scan_reserved(Parse *p, Span at);
int scan_unclosed(Parse *p, Span at, bool comment);
int scan_name(Parse *p, Span at, TokenValue *value);
int scan_integer(Parse *p, Span at, TokenValue *value);
int scan_real(Parse *p, Span at, TokenValue *value);
int scan_string(Parse *p, Span at, TokenValue *value);

/* ---- building trees: the actions of lcwnet.y (ast.c) ------------------------------------ */
Ast *ast_none(Parse *p, Span at);
Ast *ast_error(Parse *p, Span at);
Ast *ast_node(Parse *p, AstKind kind, Span at, uint32_t n, ...);
Ast *ast_named(Parse *p, AstKind kind, Span at, Id name, uint32_t n, ...);
Ast *ast_typed(Parse *p, AstKind kind, Span at, TypeKind type, Id name, uint32_t n, ...);
Ast *ast_many(Parse *p, AstKind kind, Span at, AstList *children);
Ast *ast_named_many(Parse *p, AstKind kind, Span at, Id name, AstList *children);
Ast *ast_leaf(Parse *p, AstKind kind, Span at, Id name);
Ast *ast_titled(Parse *p, AstKind kind, Span at, Id name, Ast *title, AstList *children);
Ast *ast_import(Parse *p, Span at, Ast *path, Id alias);
Ast *ast_sweep(Parse *p, Span at, TypeKind type, Id name, AstList *values);
Ast *ast_binary(Parse *p, Operator op, Span op_span, Ast *left, Ast *right);
Ast *ast_unary(Parse *p, Operator op, Span op_span, Ast *operand);
Ast *ast_pipe(Parse *p, Ast *head, Ast *stage);
Ast *ast_attach(Parse *p, Ast *pipe, Ast *attribute);
Ast *ast_call(Parse *p, Span at, Ast *callee, AstList *arguments);
Ast *ast_qualify(Parse *p, Ast *name, Id member);
Ast *ast_boolean(Parse *p, Span at, int64_t value);
AstList *list_new(Parse *p, Ast *first);  /* NULL: an empty list */
AstList *list_add(Parse *p, AstList *list, Ast *item);
AstList *list_prepend(Parse *p, Ast *first, AstList *rest);
Id id_of(Parse *p, const char *word, Span at); /* a keyword used as a key */
Id id_none(void);

#endif
