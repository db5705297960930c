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

/* An open bracket. `body`: a brace that holds statements, settings or items, where a mistake
 * ends at the next `;`. `stage`: the `(` of a repeat that is an expression. */
typedef struct {
  int kind;
  Span span;
  bool body, stage;
} Bracket;

enum { TOKENS_KEPT = 4 };

typedef struct Parse {
  Front *front;
  void *scanner;   /* flex's */
  uint16_t file;
  uint32_t offset; /* of the scanner's next byte */
  const char *text;
  size_t size;
  Ast *result;
  jmp_buf stop;    /* taken by syntax_stop(): a limit was met, or memory is out */
  bool begun, want_expression;    /* the token that selects the start symbol was handed out */
  Bracket open[LIMIT_NESTING];
  uint32_t nopen;
  Bracket last_open;              /* the bracket that the last closing token closed */
  Token last[TOKENS_KEPT];        /* handed to the grammar, newest first */
  Token pending[LIMIT_NESTING + 8]; /* a stack; handed out before the scanner is asked */
  uint32_t npending;
  bool skipping;                  /* between a mistake and the end of its statement */
  uint32_t skip_depth;            /* brackets open around that statement */
  uint32_t refused_at, refused;   /* Parse.offset at the last mistake; mistakes there so far */
} Parse;

/* ---- the scanner (lcwnet.l) ------------------------------------------------------------- */
int scan_token(TokenValue *value, Span *span, void *scanner);
void scan_begin(Parse *p);
void scan_end(Parse *p);
void *scan_memory(Parse *p, size_t bytes);

/* ---- the token filter and the messages (syntax.c) --------------------------------------- */
int syntax_token(TokenValue *value, Span *span, Parse *p);
/* The grammar met the newest token where it would have taken one of `expected`. */
void syntax_report(Parse *p, const char *const *expected, int n);
enum { STOP_MEMORY = 1, STOP_LIMIT }; /* what setjmp() returns */
_Noreturn void syntax_stop(Parse *p); /* after a limit was reported */
/* True for the keywords that begin a declaration. */
bool syntax_begins_declaration(int kind);
/* Plans the recovery after a message. Skipping goes on to the end of the statement. */
void syntax_skip(Parse *p);
/* Hands out a `;` and then the newest token again: nothing is lost. */
void syntax_insert_semicolon(Parse *p);
/* Closes every open body, then hands out the newest `n` tokens again. */
void syntax_close_all(Parse *p, uint32_t n);

/* A piece of text becomes a token and its value. A mistake is reported once; the token is
 * then the one that makes the grammar recover, or for a number that number's stand-in. */
int scan_bad_character(Parse *p, Span at);
int scan_bad_operator(Parse *p, Span at);
int scan_bad_number(Parse *p, Span at, TokenValue *value);
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
