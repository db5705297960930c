/* ast_print.c: trees as text. Goes in: a tree. Comes out: ast_text(), an expression on one
 * line as `lcwc fmt` would write it, for messages; ast_dump(), the tree itself as an
 * s-expression, one node a line, for `--emit=ast`. */
#include "ast.h"
#include <string.h>

/* ---- expressions ------------------------------------------------------------------------ */

typedef struct {
  Text *out;
  const Names *names;
} Printer;

static void print_expr(Printer *p, const Ast *a);

static void print_list(Printer *p, const Ast *a, uint32_t from, const char *between) {
  for (uint32_t i = from; i < a->nchild; i++) {
    if (i > from) text_add(p->out, "%s", between);
    print_expr(p, a->child[i]);
  }
}

static void print_name(Printer *p, Name name) { text_add(p->out, "%s", name_text(p->names, name)); }

/* A string with its escapes. */
static void print_string(Text *out, const char *s) {
  text_add(out, "\"");
  for (; *s; s++) {
    if (*s == '\n') text_add(out, "\\n");
    else if (*s == '\t') text_add(out, "\\t");
    else if (*s == '"' || *s == '\\') text_add(out, "\\%c", *s);
    else text_bytes(out, s, 1);
  }
  text_add(out, "\"");
}

/* A real with its point or exponent, so that it reads back as a real. */
static void print_real(Text *out, double x) {
  const char *s = number_text(out->arena, x);
  text_add(out, "%s%s", s, strpbrk(s, ".e") ? "" : ".0");
}

static void print_leaf(Printer *p, const Ast *a) {
  switch (a->kind) {
    case AST_NAME: print_name(p, a->name); break;
    case AST_INTEGER: text_add(p->out, "%lld", (long long)a->integer); break;
    case AST_REAL: print_real(p->out, a->real); break;
    case AST_STRING: print_string(p->out, a->text); break;
    case AST_BOOL: text_add(p->out, "%s", a->integer ? "true" : "false"); break;
    case AST_ALL: text_add(p->out, ":"); break;
    default: text_add(p->out, "..."); break;
  }
}

static void print_pair(Printer *p, const Ast *a, const char *between) {
  print_expr(p, a->child[0]);
  text_add(p->out, "%s", between);
  print_expr(p, a->child[1]);
}

static void print_wrapped(Printer *p, const Ast *a, const char *open, const char *close) {
  text_add(p->out, "%s", open);
  print_list(p, a, 0, ", ");
  text_add(p->out, "%s", close);
}

static void print_call(Printer *p, const Ast *a) {
  print_expr(p, a->child[0]);
  text_add(p->out, "(");
  print_list(p, a, 1, ", ");
  text_add(p->out, ")");
}

static void print_condition(Printer *p, const Ast *a) {
  print_expr(p, a->child[0]);
  text_add(p->out, " ? ");
  print_expr(p, a->child[1]);
  text_add(p->out, " : ");
  print_expr(p, a->child[2]);
}

static void print_binary(Printer *p, const Ast *a) {
  print_expr(p, a->child[0]);
  text_add(p->out, " %s ", op_word(a->op));
  print_expr(p, a->child[1]);
}

/* A sign or name, then the only child. */
static void print_prefixed(Printer *p, const char *prefix, const Ast *a) {
  text_add(p->out, "%s", prefix);
  print_expr(p, a->child[0]);
}

static void print_named(Printer *p, const Ast *a) {
  print_name(p, a->name);
  print_prefixed(p, " = ", a);
}

static void print_set(Printer *p, const Ast *a) {
  text_add(p->out, "{ ");
  print_name(p, a->name);
  if (ast_child(a, 0)) print_expr(p, a->child[0]);
  text_add(p->out, " | ");
  print_list(p, a, 1, ", ");
  text_add(p->out, " }");
}

static void print_repeat(Printer *p, const Ast *a) {
  print_prefixed(p, "repeat (", a);
  text_add(p->out, ") { ");
  print_expr(p, a->child[1]);
  text_add(p->out, " }");
}

static void print_expr(Printer *p, const Ast *a) {
  switch (a->kind) {
    case AST_RANGE: print_pair(p, a, ".."); break;
    case AST_COND: print_condition(p, a); break;
    case AST_BINARY: print_binary(p, a); break;
    case AST_UNARY: print_prefixed(p, op_word(a->op), a); break;
    case AST_PIPE: print_list(p, a, 0, " -> "); break;
    case AST_ATTACHED: print_list(p, a, 0, " "); break;
    case AST_ATTR: print_prefixed(p, "@", a); break;
    case AST_CALL: print_call(p, a); break;
    case AST_NAMED: print_named(p, a); break;
    case AST_INDEX: print_pair(p, a, ""); break;
    case AST_INDICES:
    case AST_DIMS:
    case AST_LIST: print_wrapped(p, a, "[", "]"); break;
    case AST_GROUP: print_wrapped(p, a, "(", ")"); break;
    case AST_QNAME: print_list(p, a, 0, "."); break;
    case AST_WSET: print_set(p, a); break;
    case AST_REPEAT_EXPR: print_repeat(p, a); break;
    default: print_leaf(p, a); break;
  }
}

const char *ast_text(Arena *a, const Names *names, const Ast *expr) {
  Text out;
  text_init(&out, a);
  text_bytes(&out, "", 0);
  Printer p = {&out, names};
  print_expr(&p, expr);
  return out.s;
}

/* ---- trees ------------------------------------------------------------------------------ */

/* The fields that are live, after the word of the kind. */
static void dump_fields(Text *out, const Names *names, const Ast *a) {
  if (a->type) text_add(out, " %s", type_word(a->type));
  if (a->name) text_add(out, " %s", name_text(names, a->name));
  if (a->op) text_add(out, " %s", op_word(a->op));
  if (a->text) text_add(out, " "), text_json(out, a->text);
  if (a->kind == AST_INTEGER || a->kind == AST_BOOL) text_add(out, " %lld", (long long)a->integer);
  if (a->kind == AST_REAL) text_add(out, " "), print_real(out, a->real);
}

static void dump_node(Text *out, Sources *sources, const Names *names, const Ast *a, int depth) {
  text_add(out, "%s%*s(%s", depth ? "\n" : "", 2 * depth, "", ast_word(a->kind));
  dump_fields(out, names, a);
  if (sources && a->kind != AST_NONE) {
    Position at = source_position(sources, a->span);
    text_add(out, " @%u:%u+%u", at.line, at.column, a->span.len);
  }
  for (uint32_t i = 0; i < a->nchild; i++) dump_node(out, sources, names, a->child[i], depth + 1);
  text_add(out, ")");
}

void ast_dump(FILE *out, Sources *sources, const Names *names, const Ast *tree) {
  Arena scratch;
  Text text;
  arena_init(&scratch, "dump", 0);
  text_init(&text, &scratch);
  dump_node(&text, sources, names, tree, 0);
  fprintf(out, "%s\n", text.s);
  arena_release(&scratch);
}
