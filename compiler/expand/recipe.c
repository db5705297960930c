/* recipe.c: the settings of a run.
 *
 * In: the recipe of the request with its bases, `--set`, and the prelude's `train defaults`.
 * Out: model->set and the schedule. A setting is looked up in that order reversed: the command
 * line wins over the recipe, the recipe over the defaults; so every setting has a value. */
#include "expand.h"
#include "parse.h"
#include <string.h>

/* Reads one `--set key=value`. */
static bool read_override(Expander *x, Recipe *r, const char *text) {
  Front *f = x->front;
  const char *equals = strchr(text, '=');
  size_t n = equals ? (size_t)(equals - text) : strlen(text);
  const char *key = arena_text(x->arena, text, n);
  Span nowhere = {0};
  if (!equals) {
    diag_at(&f->diags, E0428, nowhere, text, "write key=value");
    return false;
  }
  if (!check_is_setting(AST_TRAIN, key)) {
    const char *hint;
    const char *near = setting_nearest(f->names, AST_TRAIN, name_of_text(f->names, key), &hint);
    diag_at(&f->diags, E0428, nowhere, key, "a recipe has no such setting");
    if (near) diag_help(&f->diags, "did you mean `%s`?", near);
    return false;
  }
  const char *source = arena_printf(x->arena, "--set %s", key);
  Ast *e = parse_expression(f, source, equals + 1, strlen(equals + 1));
  if (!e) return false;
  Value v = {.kind = VALUE_BLOCK, .as.block = {e, x->top}};
  PUSH(x->arena, r, override, (Binding){name_of_text(f->names, key), v});
  return true;
}

/* The prelude's recipe of that name. */
static const Ast *prelude_recipe(Front *f, const char *name) {
  for (uint32_t i = 0; i < f->nprelude; i++) {
    Ast *decl = ast_find(f->file[i], name_of_text(f->names, name));
    if (decl && decl->kind == AST_TRAIN) return decl;
  }
  return NULL;
}

/* Finds the recipe: the one named, the only one of the file, or the defaults alone. */
bool recipe_open(Expander *x, Recipe *r) {
  Front *f = x->front;
  memset(r, 0, sizeof *r);
  r->defaults = prelude_recipe(f, "defaults");
  uint32_t count = 0;
  for (uint32_t i = 0; i < f->root->nchild; i++) count += f->root->child[i]->kind == AST_TRAIN;
  if (x->request->recipe || count == 1) r->decl = check_pick(f, AST_TRAIN, x->request->recipe);
  if (x->request->recipe && !r->decl) return false;
  bool ok = true;
  for (uint32_t i = 0; i < x->request->nset; i++) ok &= read_override(x, r, x->request->set[i]);
  return ok;
}

const Ast *recipe_setting(Expander *x, const Recipe *r, const char *key, Scope **scope) {
  Name name = name_of_text(x->front->names, key);
  *scope = x->top;
  for (uint32_t i = r->noverride; i-- > 0;)
    if (r->override[i].name == name) return r->override[i].value.as.block.expr;
  const Ast *e = r->decl ? check_setting(x->front, r->decl, name) : NULL;
  if (!e) e = check_setting(x->front, r->defaults, name);
  *scope = scope_new(x, check_file_of(x->front, e));
  return e;
}

/* A number setting within [low, high]. */
static bool number_setting(Expander *x, const Recipe *r, const char *key, bool whole, double low,
                           double *out) {
  Context c = {0};
  const Ast *e = recipe_setting(x, r, key, &c.scope);
  Value v = eval(x, &c, e);
  v = value_as(x, v, whole ? TYPE_INT : TYPE_REAL, e->span, arena_printf(x->arena, "`%s`", key));
  if (v.kind == VALUE_POISON) return false;
  *out = value_number(&v);
  double high = whole ? 2147483647.0 : 1e30;
  if (*out >= low && *out <= high) return true;
  diag_at(&x->front->diags, E0422, e->span, arena_printf(x->arena, "`%s`", key),
          *out < low ? arena_printf(x->arena, "at least %s", number_text(x->arena, low))
                     : "less than 2^31",
          number_text(x->arena, *out));
  return false;
}

/* An int setting. */
static bool count_setting(Expander *x, const Recipe *r, const char *key, double low,
                          uint64_t *out) {
  double number;
  if (!number_setting(x, r, key, true, low, &number)) return false;
  *out = (uint64_t)number;
  return true;
}

/* A block setting as a value that waits for its tensors. */
Value recipe_block(Expander *x, const Recipe *r, const char *key) {
  Scope *scope;
  const Ast *e = recipe_setting(x, r, key, &scope);
  return (Value){.kind = VALUE_BLOCK, .span = e->span, .as.block = {e, scope}};
}

/* The text of a setting, as it is written. */
static const char *text_setting(Expander *x, const Recipe *r, const char *key) {
  Scope *scope;
  return ast_text(x->arena, x->front->names, recipe_setting(x, r, key, &scope));
}

bool recipe_settings(Expander *x, const Recipe *r) {
  ModelSettings *s = &x->model->set;
  Context c = {0};
  const Ast *lr = recipe_setting(x, r, "lr", &c.scope);
  bool ok = schedule_compile(x, &c, lr);
  ok &= count_setting(x, r, "batch", 1, &s->batch);
  ok &= count_setting(x, r, "epochs", 0, &s->epochs);
  ok &= count_setting(x, r, "seed", 0, &s->seed);
  ok &= count_setting(x, r, "eval_every", 0, &s->eval_every);
  ok &= count_setting(x, r, "save_every", 0, &s->save_every);
  ok &= number_setting(x, r, "decay", false, 0.0, &s->decay);
  ok &= number_setting(x, r, "clip", false, 0.0, &s->clip);
  s->recipe = r->decl ? name_text(x->front->names, r->decl->name) : "";
  s->loss = text_setting(x, r, "loss");
  s->optimizer = text_setting(x, r, "optimizer");
  s->precision = text_setting(x, r, "precision");
  return ok;
}
