/* expand_bound.c: how many layers a net has at least, counted without expanding it.
 *
 * In: a net. Out: a lower bound, saturating; each block is counted once. Forty blocks that each
 * use the one before twice are refused here, before a single layer is made. Loops count when
 * their number is written; of two branches the smaller counts. What this misses is stopped by
 * the counters of the expansion itself. */
#include "expand.h"

#define MANY (UINT64_C(1) << 62)

typedef struct {
  Expander *x;
  const Ast *file, *decl;        /* where the expression stands */
  uint64_t *known;               /* by node id of a block: 1 + its count; 0: not counted */
} Bound;

static uint64_t layers_of(Bound *b, const Ast *e);

static uint64_t sum(uint64_t a, uint64_t b) { return a + b > MANY ? MANY : a + b; }

static uint64_t product(uint64_t a, uint64_t b) {
  uint64_t r;
  return __builtin_mul_overflow(a, b, &r) || r > MANY ? MANY : r;
}

/* Layers of one call of what a name means. */
static uint64_t layers_named(Bound *b, const Ast *name) {
  if (param_find(params_of(b->decl), name->name)) return 0;
  const Ast *decl = check_resolve(b->x->front, b->file, name);
  if (!decl) return intrinsic_find(b->x, ast_name(name)) >= 0;
  if (decl->kind != AST_BLOCK) return 0;
  if (in_prelude(b->x, decl)) return 1;
  uint64_t *known = &b->known[decl->id];
  if (*known) return *known - 1;
  *known = 1;
  Bound inner = {b->x, check_file_of(b->x->front, decl), decl, b->known};
  uint64_t n = layers_of(&inner, decl->child[2]);
  return b->known[decl->id] = n + 1, n;
}

/* The stages of a chain; its head counts when it is a call. */
static uint64_t layers_chain(Bound *b, const Ast *e) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < e->nchild; i++) {
    const Ast *s = e->child[i]->kind == AST_ATTACHED ? e->child[i]->child[0] : e->child[i];
    bool name = s->kind == AST_NAME || s->kind == AST_QNAME;
    n = sum(n, name ? (i || ast_is_pointfree(b->decl) ? layers_named(b, s) : 0) : layers_of(b, s));
  }
  return n;
}

/* How often a loop runs, where it is written as a number or a list; else 0. */
static uint64_t passes_of(const Ast *e) {
  if (e->kind == AST_INTEGER) return e->integer > 0 ? (uint64_t)e->integer : 0;
  return e->kind == AST_LIST ? e->nchild : 0;
}

static uint64_t layers_children(Bound *b, const Ast *e) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < e->nchild; i++) n = sum(n, layers_of(b, e->child[i]));
  return n;
}

/* Layers that an expression or statement makes at least. */
static uint64_t layers_of(Bound *b, const Ast *e) {
  uint64_t p, q;
  switch (e->kind) {
  case AST_PIPE: return layers_chain(b, e);
  case AST_CALL: return sum(layers_named(b, e->child[0]), layers_children(b, e));
  case AST_ATTACHED: return layers_of(b, e->child[0]);
  case AST_REPEAT: case AST_FOR: case AST_REPEAT_EXPR:
    return product(passes_of(e->child[0]), layers_of(b, e->child[1]));
  case AST_COND: case AST_IF:
    p = layers_of(b, e->child[1]);
    q = ast_child(e, 2) ? layers_of(b, e->child[2]) : 0;
    return p < q ? p : q;
  default: return layers_children(b, e);
  }
}

/* Reports a net that has too many layers to begin with. */
bool layers_bounded(Expander *x, const Ast *net) {
  Bound b = {x, check_file_of(x->front, net), net, NEW_ARRAY(x->arena, uint64_t, x->nresolved)};
  uint64_t n = layers_of(&b, net->child[2]);
  if (n <= LIMIT_LAYERS) return true;
  diag_at(&x->front->diags, E0808, net->name_span, LIMIT_LAYERS,
          arena_printf(x->arena, "net `%s` has at least %s", name_text(x->front->names, net->name),
                       n == MANY ? "2^62" : number_text(x->arena, (double)n)));
  return false;
}
