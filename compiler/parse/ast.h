/* ast.h: the syntax tree. Goes in: what the grammar's actions hand over. Comes out: one
 * uniform node whose children are an array; ast.def says for each kind which fields are live
 * and what the children are. Nodes are made once and never changed by later passes: facts
 * about them live in side arrays indexed by `id` (dense from 1, up to Front.nnode).
 *
 * Every tree's height is at most LIMIT_HEIGHT (long chains `a -> b -> c` are one node, sums
 * are refused beyond it), so walkers may recurse. */
#ifndef LCW_AST_H
#define LCW_AST_H
#include "diag.h"

typedef enum {
#define AST(kind, word, what) AST_##kind,
#include "ast.def"
#undef AST
  AST_COUNT
} AstKind;

/* The kinds a value may have: `type` of PARAM, CONST, DECLARE, SWEEP. */
#define TYPES(X)                                                                          \
  X(INT, "int") X(REAL, "real") X(BOOL, "bool") X(STRING, "string") X(TENSOR, "tensor")   \
  X(WEIGHT, "weight") X(BLOCK, "block") X(NET, "net") X(DATA, "data") X(TRAIN, "train")   \
  X(INIT, "init")
typedef enum {
  TYPE_NONE,
#define X(id, word) TYPE_##id,
  TYPES(X)
#undef X
  TYPE_COUNT
} TypeKind;

/* Operators of BINARY and UNARY: level is C's precedence, 1 the loosest; unary ones are 9.
 * OP_AND is `&`, the intersection of weight sets. */
#define OPERATORS(X)                                                                      \
  X(OROR, "||", 2) X(ANDAND, "&&", 3) X(AND, "&", 4) X(EQ, "==", 5) X(NE, "!=", 5)        \
  X(LT, "<", 6) X(GT, ">", 6) X(LE, "<=", 6) X(GE, ">=", 6) X(ADD, "+", 7) X(SUB, "-", 7) \
  X(MUL, "*", 8) X(DIV, "/", 8) X(MOD, "%", 8) X(NEG, "-", 9) X(NOT, "!", 9)
typedef enum {
  OP_NO,
#define X(id, word, level) OP_##id,
  OPERATORS(X)
#undef X
  OPERATOR_COUNT
} Operator;

typedef struct Ast Ast;
struct Ast {
  AstKind kind;
  uint8_t type, op;  /* TypeKind, Operator */
  uint16_t height;   /* 1 + the largest height of a child */
  uint32_t id;       /* dense, from 1, over all files of a compilation */
  Span span, name_span;
  Name name;
  uint32_t nchild;
  Ast **child;
  const char *text;  /* NUL-terminated */
  int64_t integer;
  double real;
};

/* "pipe", "int", "+", precedence level. */
const char *ast_word(AstKind kind);
const char *type_word(TypeKind type);
const char *op_word(Operator op);
int op_level(Operator op);

/* Child i, or NULL when it is absent, NONE or beyond the end. */
static inline Ast *ast_child(const Ast *a, uint32_t i) {
  return i < a->nchild && a->child[i]->kind != AST_NONE ? a->child[i] : NULL;
}

/* The last name of a NAME or QNAME, CALL or ATTACHED of one; 0 for anything else. */
Name ast_name(const Ast *a);
/* True for a node that a tensor flows through when it stands alone: block a = b -> c. */
bool ast_is_pointfree(const Ast *block);
/* True when the list of parameters holds one of kind tensor. */
bool ast_takes_tensor(const Ast *decl);
/* The declaration of that name among the children of FILE, or NULL. */
Ast *ast_find(const Ast *file, Name name);
/* The argument written `name = e` in a CALL, or NULL. */
Ast *ast_named_argument(const Ast *call, Name name);
/* The SETTING of that name among a declaration's own children (bases are not followed). */
Ast *ast_setting(const Ast *decl, Name name);

/* ---- printing (ast_print.c) ------------------------------------------------------------- */

/* Canonical text of an expression, on one line; for messages and `=` notes. */
const char *ast_text(Arena *a, const Names *names, const Ast *expr);
/* The tree as an s-expression with line:column spans: --emit=ast, --dump=parse. */
void ast_dump(FILE *out, Sources *sources, const Names *names, const Ast *tree);

#endif
