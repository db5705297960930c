/* check_scope.c: finding what a name means. Goes in: a NAME or QNAME. Comes out: a local, a
 * declaration or a message with the nearest name. Declarations are found through one hash
 * table per compilation, locals through an array by name: both in constant time. */
#include "check_scope.h"
#include <string.h>

Diags *check_diags(Check *c) { return &c->front->diags; }

const char *check_name(const Check *c, Name name) { return name_text(c->front->names, name); }

/* ---- declarations ----------------------------------------------------------------------- */

struct Declarations {
  const Ast **slot;
  size_t nslot; /* a power of two */
};

static size_t declaration_slot(const Declarations *t, uint16_t file, Name name) {
  uint64_t key = (uint64_t)file << 32 | name;
  size_t i = (size_t)hash_bytes(&key, sizeof key, 0) & (t->nslot - 1);
  while (t->slot[i] && !(t->slot[i]->span.file == file && t->slot[i]->name == name))
    i = (i + 1) & (t->nslot - 1);
  return i;
}

static bool is_declaration(const Ast *a) {
  return a->kind >= AST_CONST && a->kind <= AST_EXPERIMENT;
}

/* Fills the table; of two with the same name the first one counts. */
void declarations_index(Front *f) {
  size_t n = 16;
  for (size_t i = 0; i < f->nfile; i++) n += f->file[i]->nchild;
  Declarations *t = NEW(f->perm, Declarations);
  for (t->nslot = 64; t->nslot < 2 * n;) t->nslot *= 2;
  t->slot = NEW_ARRAY(f->perm, const Ast *, t->nslot);
  for (size_t i = 0; i < f->nfile; i++)
    for (uint32_t k = 0; k < f->file[i]->nchild; k++) {
      const Ast *decl = f->file[i]->child[k];
      if (!is_declaration(decl)) continue;
      size_t slot = declaration_slot(t, decl->span.file, decl->name);
      if (!t->slot[slot]) t->slot[slot] = decl;
    }
  f->declarations = t;
}

const Ast *declaration_find(const Front *f, const Ast *file, Name name) {
  const Declarations *t = f->declarations;
  if (!t) return ast_find(file, name);
  return t->slot[declaration_slot(t, file->span.file, name)];
}

/* The tree an IMPORT brought, or NULL. */
static const Ast *imported(const Front *f, const Ast *import) {
  return import->integer >= 0 && (size_t)import->integer < f->nfile ? f->file[import->integer]
                                                                    : NULL;
}

/* In the file, then in what it imports without a name of its own. */
static const Ast *find_in_file(const Front *f, const Ast *file, Name name) {
  const Ast *found = declaration_find(f, file, name);
  for (uint32_t i = 0; !found && i < file->nchild; i++) {
    const Ast *import = file->child[i];
    if (import->kind != AST_IMPORT || import->name) continue;
    const Ast *tree = imported(f, import);
    if (tree) found = find_in_file(f, tree, name);
  }
  return found;
}

static const Ast *find_qualified(const Front *f, const Ast *file, const Ast *qname) {
  if (qname->nchild != 2) return NULL;
  for (uint32_t i = 0; i < file->nchild; i++) {
    const Ast *import = file->child[i];
    if (import->kind != AST_IMPORT || import->name != qname->child[0]->name) continue;
    const Ast *tree = imported(f, import);
    return tree ? find_in_file(f, tree, qname->child[1]->name) : NULL;
  }
  return NULL;
}

Ast *check_resolve(const Front *f, const Ast *file, const Ast *name) {
  const Ast *found = NULL;
  if (name->kind == AST_QNAME) found = find_qualified(f, file, name);
  else if (name->kind == AST_NAME) found = find_in_file(f, file, name->name);
  if (name->kind == AST_NAME)
    for (uint32_t i = 0; !found && i < f->nprelude; i++)
      found = declaration_find(f, f->file[i], name->name);
  return (Ast *)(uintptr_t)found;
}

Ast *check_file_of(const Front *f, const Ast *node) {
  for (size_t i = 0; i < f->nfile; i++)
    if (f->file[i]->span.file == node->span.file) return f->file[i];
  return f->root;
}

const Ast *scope_resolve(Check *c, const Ast *name) {
  const Ast *found = check_resolve(c->front, c->file, name);
  if (found && c->decl) PUSH(c->front->perm, c, edge, (Edge){c->decl, found, name->span});
  return found;
}

/* ---- locals ----------------------------------------------------------------------------- */

Local *local_find(Check *c, Name name) {
  if (name >= c->capslot) return NULL;
  uint32_t i = c->slot[name];
  return i && i <= c->nlocal && c->local[i - 1].name == name ? &c->local[i - 1] : NULL;
}

Local *local_add(Check *c, Name name, Kind kind, const Ast *made) {
  if (name >= c->capslot) {
    size_t cap = size_max((size_t)name + 1, c->capslot * 2), size = sizeof *c->slot;
    c->slot = arena_grow(c->front->perm, c->slot, c->capslot * size, cap * size);
    c->capslot = cap;
  }
  PUSH(c->front->perm, c, local, (Local){.name = name, .kind = kind, .made = made});
  c->slot[name] = c->nlocal;
  return &c->local[c->nlocal - 1];
}

void locals_clear(Check *c) { c->nlocal = 0; }

/* ---- kinds ------------------------------------------------------------------------------ */

const char *kind_text(Kind kind) {
  static const char *const text[] = {
      "a value", "an int", "a real",     "a bool",   "a string",       "a tensor", "a weight set",
      "a block", "a net",  "a data set", "a recipe", "an initialiser", "a list",   "a range"};
  return text[kind];
}

Kind decl_kind(const Ast *decl) {
  switch (decl->kind) {
    case AST_CONST: return decl->type;
    case AST_WEIGHT: return TYPE_WEIGHT;
    case AST_BLOCK: return TYPE_BLOCK;
    case AST_NET: return TYPE_NET;
    case AST_INIT: return TYPE_INIT;
    case AST_DATA: return TYPE_DATA;
    case AST_TRAIN: return TYPE_TRAIN;
    default: return KIND_UNKNOWN;
  }
}

/* ---- unknown names ---------------------------------------------------------------------- */

typedef struct {
  Arena *arena;
  Name *item;
  size_t nitem, capitem;
} Candidates;

static void add_candidates(Candidates *out, const Ast *file, bool stage) {
  for (uint32_t i = 0; i < file->nchild; i++) {
    const Ast *decl = file->child[i];
    if (is_declaration(decl) && (!stage || decl->kind == AST_BLOCK))
      PUSH(out->arena, out, item, decl->name);
  }
}

/* No suggestion any more when there are so many errors that nobody reads them. */
enum { SUGGESTIONS_MAX = 50 };

Name scope_nearest(Check *c, Name wrong, bool stage) {
  Front *f = c->front;
  if (f->diags.errors > SUGGESTIONS_MAX) return 0;
  Candidates all = {.arena = f->perm};
  const char *synopsis, *word;
  for (size_t i = 0; term_at(i); i++)
    if (c->place && term_at(i)->place == c->place)
      PUSH(f->perm, &all, item, name_of_text(f->names, term_at(i)->name));
  for (uint32_t i = 0; i < c->nlocal; i++) {
    Kind kind = c->local[i].kind;
    bool fits = !stage || kind == TYPE_BLOCK || kind == KIND_UNKNOWN;
    if (fits && !c->local[i].broken) PUSH(f->perm, &all, item, c->local[i].name);
  }
  add_candidates(&all, c->file, stage);
  for (uint32_t i = 0; i < c->file->nchild; i++) {
    const Ast *import = c->file->child[i],
              *tree = import->kind == AST_IMPORT ? imported(f, import) : NULL;
    if (tree && !import->name) add_candidates(&all, tree, stage);
  }
  for (uint32_t i = 0; i < f->nprelude; i++) add_candidates(&all, f->file[i], stage);
  for (size_t i = 0; (word = intrinsic_at(i, &synopsis)) != NULL; i++)
    PUSH(f->perm, &all, item, name_of_text(f->names, word));
  return name_nearest(f->names, wrong, all.item, all.nitem);
}

/* The nearest declaration of the import that a QNAME names. */
static Name qualified_nearest(Check *c, const Ast *qname) {
  Candidates all = {.arena = c->front->perm};
  for (uint32_t i = 0; i < c->file->nchild && qname->nchild == 2; i++) {
    const Ast *import = c->file->child[i];
    bool named = import->kind == AST_IMPORT && import->name == qname->child[0]->name;
    const Ast *tree = named ? imported(c->front, import) : NULL;
    if (tree) add_candidates(&all, tree, false);
  }
  return name_nearest(c->front->names, ast_name(qname), all.item, all.nitem);
}

/* Where a body gives the name its value, or NULL. */
static const Ast *find_assignment(const Ast *a, Name name) {
  bool assigns = a->kind == AST_LET || a->kind == AST_DECLARE || a->kind == AST_FOR;
  if (assigns && a->name == name) return a;
  for (uint32_t i = 0; a->kind <= AST_LABEL && i < a->nchild; i++) {
    const Ast *found = find_assignment(a->child[i], name);
    if (found) return found;
  }
  return NULL;
}

/* E0301, E0302 or E0708, with the nearest name. */
static void report_unknown(Check *c, const Ast *name, bool stage) {
  Diags *d = check_diags(c);
  const char *text = ast_text(c->front->perm, c->front->names, name);
  bool plain = name->kind == AST_NAME;
  if (c->place == PLACE_SCHEDULE) diag_at(d, E0708, name->span, text);
  else if (stage) diag_at(d, E0301, name->span, text);
  else diag_at(d, E0302, name->span, "value", text);
  Name near = plain ? scope_nearest(c, name->name, stage) : qualified_nearest(c, name);
  const char *alias = plain ? "" : check_name(c, name->child[0]->name);
  if (near) diag_here(d, "did you mean `%s%s%s`?", alias, plain ? "" : ".", check_name(c, near));
  if (c->place == PLACE_SCHEDULE)
    diag_help(d, "a schedule knows %s", term_list(c->front->perm, PLACE_SCHEDULE));
}

void scope_unknown(Check *c, const Ast *name, bool stage) {
  Diags *d = check_diags(c);
  bool local = c->decl && name->kind == AST_NAME && d->errors <= SUGGESTIONS_MAX;
  const Ast *later = local ? find_assignment(c->decl, name->name) : NULL;
  if (later) {
    diag_at(d, E0309, name->span, check_name(c, name->name));
    diag_note(d, later->name_span, "it gets its value here");
  } else {
    report_unknown(c, name, stage);
  }
  if (name->kind == AST_NAME) local_add(c, name->name, KIND_UNKNOWN, NULL)->broken = true;
}
