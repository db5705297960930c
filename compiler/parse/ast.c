/* ast.c: making syntax nodes and asking them small questions. Goes in: what the actions of
 * lcwnet.y hand over. Comes out: nodes as ast.def describes them. Convention: the makers take
 * the Parse first and never fail; a limit that is met leaves through syntax_stop(). */
#include "ast.h"
#include <stdarg.h>
#include <string.h>
#include "syntax.h"

/* ---- words ------------------------------------------------------------------------------ */

static const char *const kind_words[] = {
#define AST(kind, word, what) #word,
#include "ast.def"
#undef AST
};
static const char *const type_words[] = {"none",
#define X(id, word) word,
                                         TYPES(X)
#undef X
};
static const struct {
  const char *word;
  int level;
} operators[] = {{"", 0},
#define X(id, word, level) {word, level},
                 OPERATORS(X)
#undef X
};

const char *ast_word(AstKind kind) { return kind_words[kind]; }
const char *type_word(TypeKind type) { return type_words[type]; }
const char *op_word(Operator op) { return operators[op].word; }
int op_level(Operator op) { return operators[op].level; }

/* ---- making nodes ----------------------------------------------------------------------- */

/* A node without children; counts it. */
static Ast *ast_new(Parse *p, AstKind kind, Span at) {
  Front *f = p->front;
  if (f->nnode >= LIMIT_NODES) {
    diag_at(&f->diags, E0807, at, LIMIT_NODES);
    syntax_stop(p);
  }
  Ast *a = NEW(f->perm, Ast);
  a->kind = kind;
  a->span = at;
  a->id = ++f->nnode;
  a->height = 1;
  return a;
}

/* Takes account of a child's height; a tree that grows too high ends the parse. */
static void ast_raise(Parse *p, Ast *a, const Ast *child) {
  if (child->height < a->height) return;
  a->height = (uint16_t)(child->height + 1);
  if (a->height <= LIMIT_HEIGHT) return;
  diag_at(&p->front->diags, E0813, a->span, LIMIT_HEIGHT);
  diag_help(&p->front->diags, "give parts of it names of their own");
  syntax_stop(p);
}

static void ast_adopt(Parse *p, Ast *a, Ast **child, uint32_t n) {
  a->child = child;
  a->nchild = n;
  for (uint32_t i = 0; i < n; i++) ast_raise(p, a, child[i]);
}

static Ast *ast_with(Parse *p, Ast *a, uint32_t n, va_list args) {
  Ast **child = NEW_ARRAY(p->front->perm, Ast *, n);
  for (uint32_t i = 0; i < n; i++) child[i] = va_arg(args, Ast *);
  ast_adopt(p, a, child, n);
  return a;
}

Ast *ast_none(Parse *p, Span at) { return ast_new(p, AST_NONE, (Span){at.off, 0, at.file}); }

Ast *ast_error(Parse *p, Span at) { return ast_new(p, AST_ERROR, at); }

Ast *ast_node(Parse *p, AstKind kind, Span at, uint32_t n, ...) {
  va_list args;
  va_start(args, n);
  Ast *a = ast_with(p, ast_new(p, kind, at), n, args);
  va_end(args);
  return a;
}

Ast *ast_leaf(Parse *p, AstKind kind, Span at, Id name) {
  Ast *a = ast_new(p, kind, at);
  a->name = name.name;
  a->name_span = name.span;
  return a;
}

Ast *ast_named(Parse *p, AstKind kind, Span at, Id name, uint32_t n, ...) {
  va_list args;
  va_start(args, n);
  Ast *a = ast_with(p, ast_leaf(p, kind, at, name), n, args);
  va_end(args);
  return a;
}

Ast *ast_typed(Parse *p, AstKind kind, Span at, TypeKind type, Id name, uint32_t n, ...) {
  va_list args;
  va_start(args, n);
  Ast *a = ast_with(p, ast_leaf(p, kind, at, name), n, args);
  va_end(args);
  a->type = (uint8_t)type;
  return a;
}

Ast *ast_many(Parse *p, AstKind kind, Span at, AstList *children) {
  Ast *a = ast_new(p, kind, at);
  ast_adopt(p, a, children->item, children->nitem);
  return a;
}

Ast *ast_named_many(Parse *p, AstKind kind, Span at, Id name, AstList *children) {
  Ast *a = ast_leaf(p, kind, at, name);
  ast_adopt(p, a, children->item, children->nitem);
  return a;
}

/* EXPERIMENT and VARIANT: the title is a STRING or NONE. */
Ast *ast_titled(Parse *p, AstKind kind, Span at, Id name, Ast *title, AstList *children) {
  Ast *a = ast_named_many(p, kind, at, name, children);
  a->text = title->text;
  if (!name.name) a->name_span = title->span;
  return a;
}

Ast *ast_import(Parse *p, Span at, Ast *path, Id alias) {
  Ast *a = ast_leaf(p, AST_IMPORT, at, alias);
  a->text = path->text;
  a->integer = -1;
  a->name_span = path->span;
  return a;
}

Ast *ast_sweep(Parse *p, Span at, TypeKind type, Id name, AstList *values) {
  Ast *a = ast_named_many(p, AST_SWEEP, at, name, values);
  a->type = (uint8_t)type;
  return a;
}

Ast *ast_binary(Parse *p, Operator op, Span op_span, Ast *left, Ast *right) {
  Ast *a = ast_node(p, AST_BINARY, span_join(left->span, right->span), 2, left, right);
  a->op = (uint8_t)op;
  a->name_span = op_span;
  return a;
}

Ast *ast_unary(Parse *p, Operator op, Span op_span, Ast *operand) {
  Ast *a = ast_node(p, AST_UNARY, span_join(op_span, operand->span), 1, operand);
  a->op = (uint8_t)op;
  a->name_span = op_span;
  return a;
}

/* Adds a child at the end; room is doubled whenever their number is a power of two. */
static void ast_append(Parse *p, Ast *a, Ast *child) {
  uint32_t n = a->nchild;
  if ((n & (n - 1)) == 0)
    a->child = arena_grow(p->front->perm, a->child, n * sizeof *a->child,
                          (n ? 2 * n : 1) * sizeof *a->child);
  a->child[a->nchild++] = child;
  a->span = span_join(a->span, child->span);
  ast_raise(p, a, child);
}

Ast *ast_pipe(Parse *p, Ast *head, Ast *stage) {
  Ast *pipe = head;
  if (head->kind != AST_PIPE) {
    pipe = ast_new(p, AST_PIPE, head->span);
    ast_append(p, pipe, head);
  }
  ast_append(p, pipe, stage);
  return pipe;
}

/* Attaches to the last stage of a chain, or to a lone stage. */
Ast *ast_attach(Parse *p, Ast *pipe, Ast *attribute) {
  Ast **last = pipe->kind == AST_PIPE ? &pipe->child[pipe->nchild - 1] : &pipe;
  if ((*last)->kind != AST_ATTACHED) {
    Ast *attached = ast_new(p, AST_ATTACHED, (*last)->span);
    ast_append(p, attached, *last);
    *last = attached;
  }
  ast_append(p, *last, attribute);
  if (pipe->kind == AST_PIPE) {
    pipe->span = span_join(pipe->span, attribute->span);
    ast_raise(p, pipe, *last);
  }
  return pipe;
}

Ast *ast_call(Parse *p, Span at, Ast *callee, AstList *arguments) {
  return ast_many(p, AST_CALL, at, list_prepend(p, callee, arguments));
}

Ast *ast_qualify(Parse *p, Ast *name, Id member) {
  Ast *leaf = ast_leaf(p, AST_NAME, member.span, member);
  if (name->kind != AST_QNAME) {
    Ast *qname = ast_new(p, AST_QNAME, name->span);
    ast_append(p, qname, name);
    name = qname;
  }
  ast_append(p, name, leaf);
  return name;
}

Ast *ast_boolean(Parse *p, Span at, int64_t value) {
  Ast *a = ast_new(p, AST_BOOL, at);
  a->integer = value;
  return a;
}

/* ---- lists and names -------------------------------------------------------------------- */

AstList *list_new(Parse *p, Ast *first) {
  AstList *list = NEW(p->front->perm, AstList);
  return first ? list_add(p, list, first) : list;
}

AstList *list_add(Parse *p, AstList *list, Ast *item) {
  if (list->nitem == list->capitem) {
    size_t size = sizeof *list->item;
    list->capitem = list->capitem ? list->capitem * 2 : 2;
    list->item = arena_grow(p->front->perm, list->item, list->nitem * size, list->capitem * size);
  }
  list->item[list->nitem++] = item;
  return list;
}

AstList *list_prepend(Parse *p, Ast *first, AstList *rest) {
  list_add(p, rest, first);
  memmove(rest->item + 1, rest->item, (rest->nitem - 1) * sizeof *rest->item);
  rest->item[0] = first;
  return rest;
}

Id id_of(Parse *p, const char *word, Span at) {
  return (Id){name_of_text(p->front->names, word), at};
}

Id id_none(void) { return (Id){0, {0, 0, 0}}; }

/* ---- questions -------------------------------------------------------------------------- */

Name ast_name(const Ast *a) {
  while (a->nchild && (a->kind == AST_CALL || a->kind == AST_ATTACHED)) a = a->child[0];
  if (a->kind == AST_QNAME) a = a->child[a->nchild - 1];
  return a->kind == AST_NAME ? a->name : 0;
}

bool ast_takes_tensor(const Ast *decl) {
  const Ast *params = decl->nchild ? decl->child[0] : NULL;
  if (!params || params->kind != AST_PARAMS) return false;
  for (uint32_t i = 0; i < params->nchild; i++)
    if (params->child[i]->type == TYPE_TENSOR) return true;
  return false;
}

bool ast_is_pointfree(const Ast *block) {
  return block->kind == AST_BLOCK && block->child[2]->kind != AST_BODY && !ast_takes_tensor(block);
}

static bool is_declaration(const Ast *a) {
  return a->kind >= AST_CONST && a->kind <= AST_EXPERIMENT;
}

Ast *ast_find(const Ast *file, Name name) {
  for (uint32_t i = 0; i < file->nchild; i++)
    if (is_declaration(file->child[i]) && file->child[i]->name == name) return file->child[i];
  return NULL;
}

Ast *ast_named_argument(const Ast *call, Name name) {
  for (uint32_t i = 1; i < call->nchild; i++)
    if (call->child[i]->kind == AST_NAMED && call->child[i]->name == name) return call->child[i];
  return NULL;
}

Ast *ast_setting(const Ast *decl, Name name) {
  for (uint32_t i = 0; i < decl->nchild; i++)
    if (decl->child[i]->kind == AST_SETTING && decl->child[i]->name == name) return decl->child[i];
  return NULL;
}
