/* check_settings.c: what stands in `data` and `train`. Goes in: such a declaration, or one
 * setting of an experiment. Comes out: messages for unknown settings, with the nearest one,
 * and for values of another form than settings.def says. */
#include <string.h>
#include "check_scope.h"

typedef enum {
  FORM_SOURCE,
  FORM_NORMALIZE,
  FORM_AUGMENT,
  FORM_INT,
  FORM_REAL,
  FORM_LOSS,
  FORM_OPTIMIZER,
  FORM_SCHEDULE,
  FORM_PRECISION,
  FORM_CLIP,
  FORM_REFERENCE
} Form;

static const struct SettingRow {
  AstKind kind;
  const char *name;
  Form form;
  const char *hint;
} settings[] = {
#define SETTING(kind, name, form, hint) {AST_##kind, #name, FORM_##form, hint},
#include "settings.def"
};

/* What people write instead. */
static const struct {
  const char *wrong, *right;
} synonyms[] = {
    {"learning_rate", "lr"},
    {"rate", "lr"},
    {"step_size", "lr"},
    {"batch_size", "batch"},
    {"batchsize", "batch"},
    {"weight_decay", "decay"},
    {"l2", "decay"},
    {"num_epochs", "epochs"},
    {"epoch", "epochs"},
    {"optimiser", "optimizer"},
    {"optim", "optimizer"},
    {"criterion", "loss"},
    {"objective", "loss"},
    {"dtype", "precision"},
    {"grad_clip", "clip"},
    {"random_seed", "seed"},
    {"path", "source"},
    {"file", "source"},
    {"normalise", "normalize"},
    {"augmentation", "augment"},
    {"padding", "pad"},
    {"schedule", "lr"},
};

static const struct SettingRow *setting_find(AstKind kind, const char *name) {
  for (size_t i = 0; i < COUNT_OF(settings); i++)
    if (settings[i].kind == kind && strcmp(settings[i].name, name) == 0) return &settings[i];
  return NULL;
}

bool check_is_setting(AstKind kind, const char *key) { return setting_find(kind, key) != NULL; }

bool setting_hint(AstKind kind, const char *name, const char **hint) {
  const struct SettingRow *row = setting_find(kind, name);
  if (row) *hint = row->hint;
  return row != NULL;
}

const char *setting_nearest(Names *names, AstKind kind, Name wrong, const char **hint) {
  const char *text = name_text(names, wrong), *found = NULL;
  Name candidate[COUNT_OF(settings)];
  size_t n = 0;
  for (size_t i = 0; i < COUNT_OF(settings); i++)
    if (settings[i].kind == kind) candidate[n++] = name_of_text(names, settings[i].name);
  for (size_t i = 0; i < COUNT_OF(synonyms); i++)
    if (strcmp(synonyms[i].wrong, text) == 0 && setting_find(kind, synonyms[i].right))
      found = synonyms[i].right;
  Name near = found ? 0 : name_nearest(names, wrong, candidate, n);
  if (near) found = name_text(names, near);
  *hint = found ? setting_find(kind, found)->hint : "";
  return found;
}

/* ---- values ----------------------------------------------------------------------------- */

static const Ast *callee_of(const Ast *e) { return e->kind == AST_CALL ? e->child[0] : e; }

static void check_augment(Check *c, const Ast *e) {
  if (e->kind == AST_PIPE) {
    for (uint32_t i = 0; i < e->nchild; i++) check_augment(c, e->child[i]);
    return;
  }
  const char *name = check_name(c, ast_name(e));
  bool word = e->kind == AST_NAME || e->kind == AST_CALL;
  if (word && term_find(PLACE_AUGMENT, name)) check_term(c, e, PLACE_AUGMENT, "`augment`");
  else if (e->kind != AST_ERROR) {
    diag_at(check_diags(c), E0713, e->span, ast_text(c->front->perm, c->front->names, e));
    diag_help(check_diags(c), "a chain of %s, such as `pad(4) -> crop(32) -> hflip`",
              term_list(c->front->perm, PLACE_AUGMENT));
  }
}

static void check_source(Check *c, const Ast *e) {
  const char *name = check_name(c, ast_name(e));
  if (e->kind == AST_CALL && term_find(PLACE_SOURCE, name)) {
    check_term(c, e, PLACE_SOURCE, "a source");
    return;
  }
  diag_at(check_diags(c), E0704, e->span, ast_text(c->front->perm, c->front->names, e));
  diag_help(check_diags(c), "a source is one of %s, such as `idx(\"fashion-mnist\")`",
            term_list(c->front->perm, PLACE_SOURCE));
}

/* A block of the prelude or of the file, or a word of the place. */
static void check_block_or_term(Check *c, const Ast *e, Place place, const char *what) {
  const Ast *callee = callee_of(e), *decl = check_resolve(c->front, c->file, callee);
  if (decl && decl->kind == AST_BLOCK) check_call(c, e, FLOWS_ALL);
  else check_term(c, e, place, what);
}

static void check_number(Check *c, const Ast *setting, Kind wanted) {
  const Ast *e = setting->child[0];
  const char *name = check_name(c, setting->name);
  if (!check_kind(c, e, check_expr(c, e), wanted, false, name)) return;
  bool negative = e->kind == AST_UNARY && e->op == OP_NEG;
  bool zero = e->kind == AST_INTEGER && e->integer == 0 && strcmp(name, "batch") == 0;
  if (negative || zero)
    diag_at(check_diags(c), E0422, e->span, name, zero ? "at least 1" : "0 or more",
            ast_text(c->front->perm, c->front->names, e));
}

static void check_schedule(Check *c, const Ast *setting) {
  c->place = PLACE_SCHEDULE;
  check_kind(c, setting->child[0], check_expr(c, setting->child[0]), TYPE_REAL, false,
             check_name(c, setting->name));
  c->place = PLACE_NONE;
}

static void check_clip(Check *c, const Ast *setting) {
  const Ast *e = setting->child[0];
  if (e->kind == AST_NAME && term_find(PLACE_CLIP, check_name(c, e->name))) return;
  check_number(c, setting, TYPE_REAL);
}

void check_setting_value(Check *c, AstKind kind, const Ast *setting) {
  const struct SettingRow *row = setting_find(kind, check_name(c, setting->name));
  const Ast *e = setting->child[0];
  if (!row || e->kind == AST_ERROR) return;
  switch (row->form) {
    case FORM_SOURCE: check_source(c, e); break;
    case FORM_NORMALIZE: check_term(c, e, PLACE_NORMALIZE, "`normalize`"); break;
    case FORM_AUGMENT: check_augment(c, e); break;
    case FORM_INT: check_number(c, setting, TYPE_INT); break;
    case FORM_REAL: check_number(c, setting, TYPE_REAL); break;
    case FORM_LOSS: check_block_or_term(c, e, PLACE_LOSS, "`loss`"); break;
    case FORM_OPTIMIZER: check_block_or_term(c, e, PLACE_OPTIMIZER, "`optimizer`"); break;
    case FORM_SCHEDULE: check_schedule(c, setting); break;
    case FORM_PRECISION: check_term(c, e, PLACE_PRECISION, "`precision`"); break;
    case FORM_CLIP: check_clip(c, setting); break;
    case FORM_REFERENCE: check_term(c, e, PLACE_REFERENCE, "`reference`"); break;
  }
}

/* ---- declarations ----------------------------------------------------------------------- */

static const Ast *base_of(Check *c, const Ast *decl) {
  const Ast *name = ast_child(decl, 0);
  const Ast *base = name ? check_resolve(c->front, check_file_of(c->front, decl), name) : NULL;
  return base && base->kind == decl->kind ? base : NULL;
}

static void check_base(Check *c, const Ast *decl) {
  const Ast *name = ast_child(decl, 0), *base = base_of(c, decl);
  if (!name) return;
  if (!base) {
    diag_at(check_diags(c), E0302, name->span, decl->kind == AST_DATA ? "data set" : "recipe",
            ast_text(c->front->perm, c->front->names, name));
    Name near = scope_nearest(c, ast_name(name), false);
    if (near) diag_here(check_diags(c), "did you mean `%s`?", check_name(c, near));
    return;
  }
  for (int steps = 0; base && steps < 1000; steps++, base = base_of(c, base)) {
    if (base != decl) continue;
    diag_at(check_diags(c), E0307, decl->name_span, check_name(c, decl->name));
    diag_label(check_diags(c), name->span, "leads back to it");
    return;
  }
}

static void report_setting(Check *c, const Ast *decl, const Ast *setting) {
  const char *hint, *near = setting_nearest(c->front->names, decl->kind, setting->name, &hint);
  diag_at(check_diags(c), E0305, setting->name_span, ast_word(decl->kind),
          check_name(c, setting->name));
  if (near && *hint) diag_here(check_diags(c), "did you mean `%s`? (%s)", near, hint);
  else if (near) diag_here(check_diags(c), "did you mean `%s`?", near);
}

static bool has_source(Check *c, const Ast *decl) {
  Name source = name_of_text(c->front->names, "source");
  return check_setting(c->front, decl, source) != NULL;
}

void check_settings(Check *c, const Ast *decl) {
  check_base(c, decl);
  for (uint32_t i = 1; i < decl->nchild; i++) {
    const Ast *s = decl->child[i],
              *first = s->kind == AST_SETTING ? ast_setting(decl, s->name) : NULL;
    if (s->kind != AST_SETTING) continue;
    if (first != s) {
      diag_at(check_diags(c), E0304, s->name_span, check_name(c, s->name));
      diag_note(check_diags(c), first->name_span, "first given here");
    }
    if (check_is_setting(decl->kind, check_name(c, s->name))) check_setting_value(c, decl->kind, s);
    else report_setting(c, decl, s);
  }
  bool broken_base = ast_child(decl, 0) && !base_of(c, decl);
  if (decl->kind == AST_DATA && !broken_base && !has_source(c, decl))
    diag_at(check_diags(c), E0703, decl->name_span, check_name(c, decl->name));
}

/* Follows the bases, at most a thousand of them. */
Ast *check_setting(const Front *f, const Ast *decl, Name name) {
  for (int steps = 0; decl && steps < 1000; steps++) {
    Ast *own = ast_setting(decl, name);
    if (own) return own->child[0];
    const Ast *base = ast_child(decl, 0);
    const Ast *up = base ? check_resolve(f, check_file_of(f, decl), base) : NULL;
    decl = up && up->kind == decl->kind ? up : NULL;
  }
  return NULL;
}
