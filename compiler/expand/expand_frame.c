/* expand_frame.c: where a parameter lives: its path, the attributes in force, and the row of
 * the layer table it is counted in.
 *
 * A frame's path is its parent's, a dot, and its name: label, block or stage, or the number of
 * a loop's pass. A sibling of the same name gets _1, _2 in the order of the source. */
#include "expand.h"
#include <string.h>

/* ---- paths ------------------------------------------------------------------------------ */

/* Doubles the table of siblings. */
static void siblings_grow(Expander *x) {
  uint32_t cap = x->capsibling ? x->capsibling * 2 : 1024;
  Sibling *old = x->sibling;
  Sibling *fresh = NEW_ARRAY(x->arena, Sibling, cap);
  for (uint32_t i = 0; i < x->capsibling; i++) {
    if (!old[i].key) continue;
    uint64_t slot = hash_bytes(&old[i].key, sizeof old[i].key, 0) & (cap - 1);
    while (fresh[slot].key) slot = (slot + 1) & (cap - 1);
    fresh[slot] = old[i];
  }
  x->sibling = fresh;
  x->capsibling = cap;
}

/* How many children of that name the frame had before. */
static uint32_t sibling_count(Expander *x, uint32_t frame, Name name) {
  if (x->nsibling * 2 >= x->capsibling) siblings_grow(x);
  uint64_t key = (uint64_t)(frame + 1) << 32 | name;
  uint64_t slot = hash_bytes(&key, sizeof key, 0) & (x->capsibling - 1);
  while (x->sibling[slot].key && x->sibling[slot].key != key)
    slot = (slot + 1) & (x->capsibling - 1);
  if (!x->sibling[slot].key) x->nsibling++;
  x->sibling[slot].key = key;
  return x->sibling[slot].count++;
}

/* The path of a child, numbered when it is not the first of its name. */
static Name child_path(Expander *x, const Frame *up, const char *name, uint32_t before) {
  const char *parent = up->path ? name_text(x->front->names, up->path) : "";
  char text[512];
  size_t a = strlen(parent), b = strlen(name);
  if (a + b + 16 > sizeof text) {
    const char *long_text = arena_printf(x->arena, before ? "%s%s%s_%u" : "%s%s%s", parent,
                                         a ? "." : "", name, before);
    return name_of_text(x->front->names, long_text);
  }
  memcpy(text, parent, a);
  if (a) text[a++] = '.';
  memcpy(text + a, name, b + 1);
  if (before) {
    char digits[12];
    int n = 0;
    for (uint32_t k = before; k; k /= 10) digits[n++] = (char)('0' + k % 10);
    text[a + b++] = '_';
    while (n) text[a + b++] = digits[--n];
  }
  return name_of(x->front->names, text, a + b);
}

Frame *frame_new(Expander *x, const Frame *up, const char *name) {
  Frame *f = NEW(x->arena, Frame);
  uint32_t before = sibling_count(x, up->id, name_of_text(x->front->names, name));
  f->path = child_path(x, up, name, before);
  f->id = ++x->frames;
  return f;
}

/* The name of a parameter in a frame: hidden.7.linear.v. */
Name frame_name(Expander *x, const Frame *f, const char *last) {
  uint32_t before = sibling_count(x, f->id, name_of_text(x->front->names, last));
  return child_path(x, f, last, before);
}

/* ---- attributes ------------------------------------------------------------------------- */

static Word word_find(const char *s) {
  static const char *const text[] = {
#define X(id, word) word,
      WORDS(X)
#undef X
  };
  for (int i = 1; i < WORD_COUNT; i++)
    if (!strcmp(s, text[i])) return (Word)i;
  return WORD_SET;
}

/* The word of an attribute; WORD_SET: a weight set. */
static Word attribute_word(Expander *x, Context *c, const Ast *a) {
  const Ast *e = a->child[0];
  Name name = ast_name(e);
  if (e->kind == AST_GROUP || e->kind == AST_QNAME || !name) return WORD_SET;
  if (scope_find(c->scope, name)) return WORD_SET;
  return word_find(name_text(x->front->names, name));
}

/* The one argument of an attribute; `otherwise` when it has none. */
static Value attribute_value(Expander *x, Context *c, const Ast *a, TypeKind type,
                             Value otherwise) {
  const Ast *e = a->child[0];
  if (e->kind != AST_CALL || e->nchild < 2) return otherwise;
  const Ast *value = e->child[1]->kind == AST_NAMED ? e->child[1]->child[0] : e->child[1];
  return eval_as(x, c, value, type);
}

/* `@lower(update)`: the word as --lower says it. */
static Value attribute_lower(Expander *x, const Ast *a) {
  static const struct { const char *word, *lower; } known[] = {
      {"dense", "dense"}, {"unfused", "unfused"}, {"fused", "fused"}, {"projected", "projected"},
      {"epilogue", "fused:epilogue"}, {"update", "fused:update"}};
  const Ast *e = a->child[0];
  const Ast *word = e->kind == AST_CALL && e->nchild == 2 ? e->child[1] : e;
  const char *text = ast_text(x->arena, x->front->names, word);
  for (size_t i = 0; i < COUNT_OF(known); i++)
    if (!strcmp(text, known[i].word)) return value_text(known[i].lower, a->span);
  diag_at(&x->front->diags, E0421, word->span, "`@lower`",
          "dense, unfused, fused, epilogue, update, projected", text);
  return value_poison();
}

/* What an attribute says. */
static Value attribute_eval(Expander *x, Context *c, const Ast *a, Word word) {
  const Ast *e = a->child[0];
  Value none = value_poison(), yes = value_bool(true, a->span);
  switch (word) {
  case WORD_INIT: return attribute_value(x, c, a, TYPE_INIT, none);
  case WORD_BIAS: return attribute_value(x, c, a, TYPE_BOOL, yes);
  case WORD_FREEZE: return attribute_value(x, c, a, TYPE_BOOL, yes);
  case WORD_DECAY: case WORD_LR: return attribute_value(x, c, a, TYPE_REAL, none);
  case WORD_LOWER: return attribute_lower(x, a);
  case WORD_TILE: case WORD_STAGES: return yes;
  default: return eval_as(x, c, e, TYPE_WEIGHT);
  }
}

/* The attributes in force with some more: `attached` ones must have an effect. */
bool attributes_add(Expander *x, Context *c, const Ast *const *attr, uint32_t n, Attributes *out,
                    bool attached) {
  if (c->attributes) *out = *c->attributes;
  else memset(out, 0, sizeof *out);
  for (uint32_t i = 0; i < n; i++) {
    Word word = attribute_word(x, c, attr[i]);
    out->value[word] = attribute_eval(x, c, attr[i], word);
    if (out->value[word].kind == VALUE_POISON) return false;
    out->value[word].span = attr[i]->span;
    out->uses[word] = attached ? NEW(x->arena, uint32_t) : NULL;
  }
  return true;
}

/* Reports the attached attributes that nothing obeyed. */
void attributes_check(Expander *x, const Ast *const *attr, uint32_t n, const Attributes *a,
                      const Ast *stage) {
  for (uint32_t i = 0; i < n; i++)
    for (int w = 0; w < WORD_COUNT; w++) {
      if (a->value[w].kind == VALUE_POISON || a->value[w].span.off != attr[i]->span.off) continue;
      if (a->value[w].span.file != attr[i]->span.file || !a->uses[w] || *a->uses[w]) continue;
      const char *text = ast_text(x->arena, x->front->names, attr[i]->child[0]);
      Name name = ast_name(stage);
      diag_at(&x->front->diags, E0603, attr[i]->span, text,
              name ? name_text(x->front->names, name)
                   : ast_text(x->arena, x->front->names, stage));
      diag_label(&x->front->diags, stage->span, "has no weights");
    }
}

/* The value of an attribute for the stage that asks, which thereby obeys it; NULL: not set. */
const Value *attribute(const Context *c, Word word) {
  if (!c->attributes || c->attributes->value[word].kind == VALUE_POISON) return NULL;
  if (c->attributes->uses[word]) ++*c->attributes->uses[word];
  return &c->attributes->value[word];
}

/* ---- rows of the table ------------------------------------------------------------------ */

/* Begins a row for a stage, unless one is open or this phase does not count; 0: none. */
uint32_t layer_open(Expander *x, const Frame *f, const char *stage, Span at) {
  if (x->layer) return 0;
  if (x->model->nlayer >= LIMIT_LAYERS && x->counts) {
    diag_at(&x->front->diags, E0808, at, LIMIT_LAYERS, "this stage is one too many");
    x->calls = UINT32_MAX / 2;
    return 0;
  }
  if (!x->counts) return 0;
  ModelLayer row = {.name = f->path, .stage = name_of_text(x->front->names, stage), .span = at};
  row.first = x->graph->nnode;
  PUSH(x->arena, x->model, layer, row);
  return x->layer = x->model->nlayer;
}

/* Ends a row: the shape is that of the stage's value. */
void layer_close(Expander *x, uint32_t layer, uint32_t outer, Value result) {
  ModelLayer *row = &x->model->layer[layer - 1];
  if (result.kind == VALUE_TENSOR) row->shape = sizes_of(x->graph, result.as.tensor);
  row->last = x->graph->nnode;
  x->layer = outer;
}

/* Enters a stage: nodes are made for it, and with a stage's name there is a row. */
Place place_enter(Expander *x, const Frame *f, const char *stage, Span at) {
  Place p = {x->graph->layer, x->graph->span, x->layer, 0};
  x->graph->layer = f->path;
  x->graph->span = at;
  if (stage) p.row = layer_open(x, f, stage, at);
  return p;
}

/* Leaves a stage; its value was made there. */
Value place_leave(Expander *x, const Place *p, Value v, Span at) {
  x->graph->layer = p->layer;
  x->graph->span = p->span;
  if (p->row) layer_close(x, p->row, p->above, v);
  if (v.kind == VALUE_TENSOR) v.span = at;
  return v;
}

/* The row that is open, or NULL. */
ModelLayer *layer_now(Expander *x) {
  return x->layer ? &x->model->layer[x->layer - 1] : NULL;
}
