/* check.c: the static pass; the contract is in check.h. Goes in: the trees of a compilation.
 * Comes out: messages. Every declaration is checked on its own, with an empty set of locals;
 * what uses what is noted on the way, and cycles are looked for at the end. */
#include "check.h"
#include <string.h>
#include "check_scope.h"

/* ---- one declaration -------------------------------------------------------------------- */

static void check_result(Check *c, const Ast *result) {
  for (uint32_t i = 0; result->kind == AST_RESULT && i < result->nchild; i++) {
    const Ast *dims = ast_child(result->child[i], 0);
    for (uint32_t k = 0; dims && k < dims->nchild; k++) {
      const Ast *dim = dims->child[k];
      bool open = dim->kind == AST_NAME && strcmp(check_name(c, dim->name), "_") == 0;
      if (!open) check_kind(c, dim, check_expr(c, dim), TYPE_INT, false, "a size");
    }
  }
}

static bool is_stage_form(const Ast *e) {
  return e->kind == AST_NAME || e->kind == AST_QNAME || e->kind == AST_CALL ||
         e->kind == AST_PIPE || e->kind == AST_ATTACHED || e->kind == AST_REPEAT_EXPR ||
         e->kind == AST_GROUP || e->kind == AST_COND;
}

/* BLOCK, NET and INIT. */
static void check_block(Check *c, const Ast *decl) {
  const Ast *body = decl->child[2];
  check_params(c, decl->child[0]);
  check_result(c, decl->child[1]);
  if (body->kind == AST_BODY) check_body(c, body);
  else if (ast_is_pointfree(decl) && is_stage_form(body)) check_stage(c, body);
  else check_expr(c, body);
  if (decl->kind == AST_NET && !ast_takes_tensor(decl))
    diag_at(check_diags(c), E0423, decl->name_span, check_name(c, decl->name));
  if (decl->kind == AST_NET) check_softmax(c, decl);
  check_locals_used(c);
}

static void check_weight(Check *c, const Ast *decl) {
  const Ast *set = decl->child[1];
  check_params(c, decl->child[0]);
  if (set->kind == AST_WSET) check_weight_set(c, set);
  else check_kind(c, set, check_expr(c, set), TYPE_WEIGHT, false, check_name(c, decl->name));
  check_locals_used(c);
}

static void check_const(Check *c, const Ast *decl) {
  const Ast *value = decl->child[0];
  check_kind(c, value, check_expr(c, value), decl->type, false, check_name(c, decl->name));
}

static void check_declaration(Check *c, const Ast *decl) {
  c->decl = decl;
  locals_clear(c);
  switch (decl->kind) {
    case AST_CONST: check_const(c, decl); break;
    case AST_WEIGHT: check_weight(c, decl); break;
    case AST_BLOCK:
    case AST_NET:
    case AST_INIT: check_block(c, decl); break;
    case AST_DATA:
    case AST_TRAIN: check_settings(c, decl); break;
    case AST_EXPERIMENT: check_experiment(c, decl); break;
    default: break;
  }
  c->decl = NULL;
}

/* ---- one file --------------------------------------------------------------------------- */

/* E0303 for a second declaration or import of a name. */
static void check_twice(Check *c, const Ast *decl) {
  const Ast *first = declaration_find(c->front, c->file, decl->name);
  if (!decl->name || decl->kind == AST_ERROR || !first || first == decl) return;
  diag_at(check_diags(c), E0303, decl->name_span, check_name(c, decl->name));
  diag_note(check_diags(c), first->name_span, "first declared here");
}

static void check_file(Check *c, const Ast *file) {
  c->file = file;
  c->prelude = c->front->sources.source[file->span.file].prelude;
  for (uint32_t i = 0; i < file->nchild; i++) {
    check_twice(c, file->child[i]);
    check_declaration(c, file->child[i]);
  }
}

/* ---- recursion -------------------------------------------------------------------------- */

/* Depth-first search over the uses, with its own stack. */
typedef struct {
  Check *c;
  uint32_t *first, *next; /* edges of a declaration: lists by node id */
  uint8_t *state;         /* 0 new, 1 on the path, 2 done */
  const Ast **path;
  uint32_t *at;           /* the edge to follow next, of each on the path */
  size_t depth;
} Search;

static void report_cycle(Search *s, const Edge *edge) {
  Check *c = s->c;
  const Ast *decl = edge->to;
  if (decl->kind == AST_BLOCK || decl->kind == AST_INIT || decl->kind == AST_NET)
    diag_at(check_diags(c), E0308, edge->at, check_name(c, decl->name));
  else diag_at(check_diags(c), E0307, edge->at, check_name(c, decl->name));
  if (edge->from != decl)
    diag_note(check_diags(c), decl->name_span, "`%s` is declared here", check_name(c, decl->name));
}

static void search_enter(Search *s, const Ast *decl) {
  s->state[decl->id] = 1;
  s->path[s->depth] = decl;
  s->at[s->depth++] = s->first[decl->id];
}

static void search_from(Search *s, const Ast *decl) {
  search_enter(s, decl);
  while (s->depth) {
    uint32_t e = s->at[s->depth - 1];
    if (e == 0) {
      s->state[s->path[--s->depth]->id] = 2;
      continue;
    }
    const Edge *edge = &s->c->edge[e - 1];
    s->at[s->depth - 1] = s->next[e - 1];
    if (s->state[edge->to->id] == 1) report_cycle(s, edge);
    else if (s->state[edge->to->id] == 0) search_enter(s, edge->to);
  }
}

static void check_recursion(Check *c) {
  Front *f = c->front;
  size_t n = f->nnode + 1;
  Search s = {.c = c,
              .first = NEW_ARRAY(f->perm, uint32_t, n),
              .next = NEW_ARRAY(f->perm, uint32_t, c->nedge + 1),
              .state = NEW_ARRAY(f->perm, uint8_t, n),
              .path = NEW_ARRAY(f->perm, const Ast *, c->nedge + 2),
              .at = NEW_ARRAY(f->perm, uint32_t, c->nedge + 2)};
  for (size_t e = c->nedge; e-- > 0;) {
    s.next[e] = s.first[c->edge[e].from->id];
    s.first[c->edge[e].from->id] = (uint32_t)e + 1;
  }
  for (size_t e = 0; e < c->nedge; e++)
    if (s.state[c->edge[e].from->id] == 0) search_from(&s, c->edge[e].from);
}

/* ---- entry points ----------------------------------------------------------------------- */

bool check(Front *f) {
  Check c = {.front = f};
  declarations_index(f);
  for (size_t i = 0; i < f->nfile; i++) check_file(&c, f->file[i]);
  check_recursion(&c);
  return diags_exit(&f->diags) == 0;
}

static const char *kind_word(AstKind kind) {
  return kind == AST_DATA ? "data set" : kind == AST_TRAIN ? "recipe" : ast_word(kind);
}

static Ast *pick_named(Front *f, AstKind kind, const char *name) {
  Name wanted = name_of_text(f->names, name), candidate[256];
  size_t n = 0;
  for (size_t i = f->nprelude; i < f->nfile; i++)
    for (uint32_t k = 0; k < f->file[i]->nchild; k++) {
      Ast *decl = f->file[i]->child[k];
      if (decl->kind != kind) continue;
      if (decl->name == wanted) return decl;
      if (n < COUNT_OF(candidate)) candidate[n++] = decl->name;
    }
  const char *file = f->root ? f->root->text : "the file";
  diag_at(&f->diags, E0311, ((Span){0, 0, 0}), kind_word(kind), name, file);
  Name near = name_nearest(f->names, wanted, candidate, n);
  if (near) diag_help(&f->diags, "did you mean `%s`?", name_text(f->names, near));
  return NULL;
}

Ast *check_pick(Front *f, AstKind kind, const char *name) {
  if (name) return pick_named(f, kind, name);
  Ast *only = NULL;
  uint32_t n = 0;
  Text list;
  text_init(&list, f->perm);
  text_bytes(&list, "", 0);
  for (uint32_t k = 0; f->root && k < f->root->nchild; k++) {
    Ast *decl = f->root->child[k];
    if (decl->kind != kind) continue;
    only = decl;
    if (++n <= 20) text_add(&list, "%s%s", n == 1 ? "" : ", ", name_text(f->names, decl->name));
  }
  if (n == 1) return only;
  const char *file = f->root ? f->root->text : "the file";
  diag_at(&f->diags, E0312, ((Span){0, 0, 0}), file, kind_word(kind), n ? list.s : "it has none");
  return NULL;
}
