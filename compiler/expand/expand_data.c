/* expand_data.c: what a `data` declaration says.
 *
 * In: a data set's name, or none. Out: a ModelData: kind of source, paths, normalisation, and
 * what is known of its samples without reading them. Nothing is opened here. */
#include "expand.h"
#include <string.h>

enum { MAX_PAD = 1024 };

typedef struct {
  Expander *x;
  ModelData *out;
  Context c;
} Reader;

/* The expression of a setting, bases followed; NULL: not given. */
static const Ast *setting(Reader *r, const char *key) {
  const Ast *e = check_setting(r->x->front, r->out->decl, name_of_text(r->x->front->names, key));
  if (e) r->c.scope = scope_new(r->x, check_file_of(r->x->front, e));
  return e;
}

/* The argument of a source call by name, or by its place among those without one. */
static const Ast *source_argument(Reader *r, const Ast *e, const char *name, uint32_t place) {
  Ast *named = ast_named_argument(e, name_of_text(r->x->front->names, name));
  if (named) return named->kind == AST_NAMED ? named->child[0] : named;
  for (uint32_t i = 1; i < e->nchild; i++)
    if (e->child[i]->kind != AST_NAMED && --place == 0) return e->child[i];
  return NULL;
}

static const char *text_argument(Reader *r, const Ast *e, uint32_t place) {
  const Ast *a = source_argument(r, e, "", place);
  if (!a) return NULL;
  Value v = eval_as(r->x, &r->c, a, TYPE_STRING);
  return v.kind == VALUE_STRING ? v.as.text : NULL;
}

static uint64_t count_argument(Reader *r, const Ast *e, const char *name, uint64_t otherwise) {
  const Ast *a = source_argument(r, e, name, UINT32_MAX);
  Value v = a ? eval_as(r->x, &r->c, a, TYPE_INT) : value_poison();
  return v.kind == VALUE_INT && v.as.integer >= 0 ? (uint64_t)v.as.integer : otherwise;
}

/* `shape = [3, 32, 32]` or `[n]`, as stored: channels last. */
static void shape_argument(Reader *r, const Ast *e) {
  const Ast *a = source_argument(r, e, "shape", UINT32_MAX);
  Value v = a ? eval(r->x, &r->c, a) : value_poison();
  if (v.kind != VALUE_LIST || (v.as.list.n != 1 && v.as.list.n != 3)) {
    if (v.kind != VALUE_POISON || !a)
      diag_at(&r->x->front->diags, E0403, e->span, "synthetic()", "shape");
    return;
  }
  r->out->rank = v.as.list.n;
  for (uint32_t i = 0; i < v.as.list.n; i++) {
    Value *d = &v.as.list.item[i];
    int64_t n = d->kind == VALUE_INT ? d->as.integer : 0;
    if (n < 1 || n > LIMIT_DIM) {
      diag_at(&r->x->front->diags, E0509, a->span, "a size", (long long)n);
      r->out->rank = 0;
      return;
    }
    r->out->dim[v.as.list.n == 3 ? (i + 2) % 3 : i] = (uint32_t)n;
  }
}

static DataKind source_kind(const char *name) {
  static const struct { const char *name; DataKind kind; } known[] = {
      {"idx", DATA_IDX}, {"npy", DATA_NPY}, {"synthetic", DATA_SYNTHETIC}, {"cifar", DATA_CIFAR},
      {"images", DATA_IMAGES}};
  for (size_t i = 0; i < COUNT_OF(known); i++)
    if (!strcmp(known[i].name, name)) return known[i].kind;
  return DATA_NONE;
}

/* `source = idx("fashion-mnist")` and its like. */
static bool read_source(Reader *r) {
  const Ast *e = setting(r, "source");
  Front *f = r->x->front;
  if (!e) {
    diag_at(&f->diags, E0703, r->out->decl->name_span, r->out->name);
    return false;
  }
  const char *word = e->kind == AST_CALL ? name_text(f->names, ast_name(e->child[0])) : "";
  r->out->kind = source_kind(word);
  r->out->span = e->span;
  if (r->out->kind == DATA_NONE) {
    diag_at(&f->diags, E0704, e->span, ast_text(r->x->arena, f->names, e));
    return false;
  }
  r->out->path = text_argument(r, e, 1);
  r->out->path2 = text_argument(r, e, 2);
  r->out->classes = (uint32_t)count_argument(r, e, "classes", 0);
  r->out->samples = count_argument(r, e, "samples", 10000);
  r->out->test_samples = count_argument(r, e, "test", 1000);
  r->out->seed = count_argument(r, e, "seed", 1);
  if (r->out->kind == DATA_SYNTHETIC) shape_argument(r, e);
  if (r->out->kind == DATA_CIFAR) {
    r->out->rank = 3;
    r->out->dim[0] = r->out->dim[1] = 32;
    r->out->dim[2] = 3;
  }
  return true;
}

/* `test = idx("...")`: another source of the same kind. */
static void read_test(Reader *r) {
  const Ast *e = setting(r, "test");
  if (!e || e->kind != AST_CALL) return;
  r->out->test = text_argument(r, e, 1);
  r->out->test2 = text_argument(r, e, 2);
}

static void read_normalize(Reader *r) {
  static const char *const word[] = {"none", "channel", "global"};
  const Ast *e = setting(r, "normalize");
  if (!e) return;
  const char *text = ast_text(r->x->arena, r->x->front->names, e);
  for (uint32_t i = 0; i < COUNT_OF(word); i++)
    if (!strcmp(text, word[i])) {
      r->out->normalize = (Normalize)i;
      return;
    }
  diag_at(&r->x->front->diags, E0421, e->span, "`normalize`", "none, channel, global", text);
}

/* Which data set: the one named, or the only one of the file. */
static const Ast *pick(Expander *x, const char *name, bool wanted) {
  uint32_t count = 0;
  const Ast *root = x->front->root;
  for (uint32_t i = 0; i < root->nchild; i++) count += root->child[i]->kind == AST_DATA;
  if (!name && !wanted && count != 1) return NULL;
  return check_pick(x->front, AST_DATA, name);
}

/* Reads the declaration; `wanted`: it is an error to have none. */
bool data_read(Expander *x, const char *name, bool wanted, ModelData *out) {
  memset(out, 0, sizeof *out);
  uint32_t errors = x->front->diags.errors;
  out->decl = pick(x, name, wanted);
  if (!out->decl) return !name && !wanted;
  out->name = name_text(x->front->names, out->decl->name);
  Reader r = {.x = x, .out = out};
  if (!read_source(&r)) return false;
  read_test(&r);
  read_normalize(&r);
  const Ast *pad = setting(&r, "pad");
  Value v = pad ? eval_as(x, &r.c, pad, TYPE_INT) : value_poison();
  if (v.kind == VALUE_INT && (v.as.integer < 0 || v.as.integer > MAX_PAD))
    diag_at(&x->front->diags, E0422, pad->span, "`pad`", "from 0 to 1024",
            arena_printf(x->arena, "%lld", (long long)v.as.integer));
  else if (v.kind == VALUE_INT) out->pad = (uint32_t)v.as.integer;
  out->augment = setting(&r, "augment") != NULL;
  return x->front->diags.errors == errors;
}

bool model_data(Front *f, const ModelRequest *r, ModelData *out) {
  Expander x;
  Model scratch;
  expander_open(&x, f, r, &scratch);
  return data_read(&x, r->data, !r->checks, out);
}
