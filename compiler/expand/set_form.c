/* set_form.c: what the equations of a weight set say about a row of given sizes.
 *
 * In: `{ w | sum(w) == 0, norm(w) == gain }`, or `{ w[c, y, x] | ... }` whose index names run
 * over the row's sizes ([in] of a linear layer, [C, Kh, Kw] of a convolution). Out: a SetForm.
 * Understood are sum(part of w) == 0, w[i] == w[j], norm(w) == number or gain, sigma(w) == 1. */
#include "expand.h"
#include <string.h>

/* ---- which set an expression names ------------------------------------------------------ */

/* Both sets together. */
static const WeightSet *set_both(Expander *x, const WeightSet *a, const WeightSet *b, Span at) {
  WeightSet *s = NEW(x->arena, WeightSet);
  *s = *a;
  s->span = at;
  s->text = arena_printf(x->arena, "%s & %s", a->text, b->text);
  for (uint32_t i = 0; i < b->npart; i++) {
    if (s->npart == MAX_SET_PARTS) {
      diag_at(&x->front->diags, E0611, at, a->text, b->text, "more than 8 sets are intersected");
      return NULL;
    }
    s->part[s->npart++] = b->part[i];
  }
  return s;
}

/* A set by its declaration; parameters are bound to the arguments of the call. */
static const WeightSet *set_declared(Expander *x, Context *c, const Ast *decl, const Ast *e) {
  Context k = {scope_new(x, check_file_of(x->front, decl)), c->frame, c->attributes};
  k.scope->decl = decl;
  k.scope->caller = c->scope;
  k.scope->call = e->span;
  if (!bind_call(x, c, &k, decl, e, NULL, 0, e->span)) return NULL;
  const WeightSet *s = set_eval(x, &k, decl->child[1]);
  if (!s) return NULL;
  WeightSet *named = NEW(x->arena, WeightSet);
  *named = *s;
  named->text = ast_text(x->arena, x->front->names, e);
  if (named->npart == 1) named->part[0].text = named->text;
  return named;
}

/* A set written in place. */
static const WeightSet *set_literal(Expander *x, Context *c, const Ast *e) {
  WeightSet *s = NEW(x->arena, WeightSet);
  s->part[0].wset = e;
  s->part[0].scope = c->scope;
  s->npart = 1;
  s->text = s->part[0].text = "{ w | ... }";
  s->span = e->span;
  return s;
}

static const WeightSet *set_named(Expander *x, Context *c, const Ast *e) {
  const Ast *callee = e->kind == AST_CALL ? e->child[0] : e;
  Value *local = callee->kind == AST_NAME ? scope_find(c->scope, callee->name) : NULL;
  if (local && local->kind == VALUE_SET) return local->as.set;
  if (local && local->kind == VALUE_POISON) return NULL;
  const Ast *decl = local ? NULL : resolve(x, c->scope, callee);
  if (decl && decl->kind == AST_WEIGHT) {
    Value *memo = &x->memo[decl->id];
    if (memo->kind == VALUE_SET && e->kind != AST_CALL) return memo->as.set;
    const WeightSet *s = set_declared(x, c, decl, e);
    if (s && !ast_child(decl, 0))
      *memo = (Value){.kind = VALUE_SET, .span = e->span, .as.set = s};
    return s;
  }
  const char *name = name_text(x->front->names, ast_name(callee));
  diag_at(&x->front->diags, E0302, e->span, "weight set", name);
  return NULL;
}

const WeightSet *set_eval(Expander *x, Context *c, const Ast *e) {
  const WeightSet *a, *b;
  bool yes;
  switch (e->kind) {
  case AST_WSET: return set_literal(x, c, e);
  case AST_GROUP: return set_eval(x, c, e->child[0]);
  case AST_COND:
    return eval_condition(x, c, e->child[0], &yes) ? set_eval(x, c, e->child[yes ? 1 : 2]) : NULL;
  case AST_BINARY:
    if (e->op != OP_AND) break;
    a = set_eval(x, c, e->child[0]);
    b = set_eval(x, c, e->child[1]);
    return a && b ? set_both(x, a, b, e->span) : NULL;
  case AST_NAME: case AST_QNAME: case AST_CALL: return set_named(x, c, e);
  case AST_ERROR: return NULL;
  default: break;
  }
  diag_at(&x->front->diags, E0401, e->span, "this", "an expression", "a weight set");
  return NULL;
}

/* ---- equations -------------------------------------------------------------------------- */

/* One declaration being read against a row. */
typedef struct {
  Expander *x;
  SetForm *f;
  Context c;                     /* index names are bound here */
  const Ast *wset, *equation;
  Span at;                       /* the layer */
} Reader;

/* The lane of an element of the row. */
static uint32_t lane_of(const SetForm *f, const int64_t *i) {
  if (f->row.rank == 1) return (uint32_t)i[0];
  return (uint32_t)((i[1] * f->row.dim[2] + i[2]) * f->row.dim[0] + i[0]);
}

static bool refuse(Reader *r, const Ast *e) {
  Diags *d = &r->x->front->diags;
  diag_at(d, E0607, e->span);
  diag_help(
      d, "an equation is sum(w[..]) == 0, w[i] == w[j], norm(w) == number or gain, or "
               "sigma(w) == number");
  return false;
}

/* What one index takes of a size: [from, to). A negative index counts from the end, so that
 * `-y` mirrors y. */
static bool read_index(Reader *r, const Ast *index, int64_t size, int64_t *from, int64_t *to) {
  *from = 0;
  *to = size;
  if (index->kind == AST_ALL) return true;
  Value v = eval(r->x, &r->c, index);
  if (v.kind == VALUE_RANGE) {
    *from = v.as.range.from;
    *to = v.as.range.to;
  } else if (v.kind == VALUE_INT) {
    bool mirrored = index->kind == AST_UNARY && index->op == OP_NEG;
    *from = mirrored ? size - 1 + v.as.integer : v.as.integer;
    *to = *from + 1;
  } else return v.kind == VALUE_POISON ? false : refuse(r, index);
  if (*from >= 0 && *from <= *to && *to <= size) return true;
  diag_at(&r->x->front->diags, E0512, index->span, (long long)(*from < 0 ? *from : *to - 1),
          (long long)size);
  trace_layer(r->x, r->at);
  return false;
}

/* The box of lanes that `w` or `w[...]` means. */
static bool read_part(Reader *r, const Ast *e, int64_t *from, int64_t *to) {
  const SetForm *f = r->f;
  for (uint32_t i = 0; i < f->row.rank; i++) from[i] = 0, to[i] = f->row.dim[i];
  if (e->kind == AST_NAME && e->name == r->wset->name) return true;
  if (e->kind != AST_INDEX || e->child[0]->kind != AST_NAME || e->child[0]->name != r->wset->name)
    return refuse(r, e);
  const Ast *indices = e->child[1];
  if (indices->nchild != f->row.rank) {
    diag_at(&r->x->front->diags, E0609, e->span, ast_text(r->x->arena, r->x->front->names, e),
            indices->nchild, f->row.rank);
    trace_layer(r->x, r->at);
    return false;
  }
  for (uint32_t i = 0; i < f->row.rank; i++)
    if (!read_index(r, indices->child[i], f->row.dim[i], &from[i], &to[i])) return false;
  return true;
}

/* Steps an index through a box, the last size fastest; false at the end. */
static bool box_next(const SetForm *f, const int64_t *from, const int64_t *to, int64_t *i) {
  for (uint32_t k = f->row.rank; k-- > 0;) {
    if (++i[k] < to[k]) return true;
    i[k] = from[k];
  }
  return false;
}

/* Lanes of a box that belong to a group already, and to the group of its first lane. */
static void box_taken(const SetForm *f, const int64_t *from, const int64_t *to, uint32_t *lanes,
                      uint32_t *taken, uint32_t *same, uint32_t *first) {
  int64_t i[3] = {from[0], from[1], from[2]};
  uint32_t group = f->group_of[lane_of(f, i)];
  *lanes = *taken = *same = 0;
  *first = UINT32_MAX;
  do {
    uint32_t lane = lane_of(f, i);
    ++*lanes;
    *taken += f->group_of[lane] != 0;
    *same += f->group_of[lane] == group;
    if (lane < *first) *first = lane;
  } while (box_next(f, from, to, i));
}

/* sum over a box == 0: a group of its own, the same as one before, or an overlap. */
static bool add_sum(Reader *r, const int64_t *from, const int64_t *to) {
  SetForm *f = r->f;
  uint32_t lanes, taken, same, first;
  for (uint32_t k = 0; k < f->row.rank; k++) if (from[k] == to[k]) return true;
  box_taken(f, from, to, &lanes, &taken, &same, &first);
  uint32_t group = f->group_of[first];
  if (group && same == lanes && f->group[group - 1].count == lanes) return true;
  f->nequation++;
  if (taken) {
    f->linear_other = true;
    return true;
  }
  PUSH(r->x->arena, f, group, (SumGroup){.first = first, .count = lanes});
  int64_t i[3] = {from[0], from[1], from[2]};
  do f->group_of[lane_of(f, i)] = f->ngroup;
  while (box_next(f, from, to, i));
  return true;
}

/* The lane that stands for all lanes equal to this one. */
static uint32_t equal_root(uint32_t *equal, uint32_t lane) {
  while (equal[lane] != lane) lane = equal[lane] = equal[equal[lane]];
  return lane;
}

/* w[i] == w[j]: an equation each time it joins two classes. */
static bool add_equal(Reader *r, const Ast *left, const Ast *right, uint32_t *equal) {
  int64_t a[3] = {0}, b[3] = {0}, c[3] = {0}, d[3] = {0};
  if (!read_part(r, left, a, b) || !read_part(r, right, c, d)) return false;
  uint32_t p = equal_root(equal, lane_of(r->f, a)), q = equal_root(equal, lane_of(r->f, c));
  if (p == q) return true;
  equal[p] = q;
  r->f->nequation++;
  r->f->linear_other = true;
  return true;
}

static bool is_zero(const Ast *e) {
  return (e->kind == AST_INTEGER && e->integer == 0) || (e->kind == AST_REAL && e->real == 0.0);
}

/* The name of a CALL with one argument; "" for anything else. */
static const char *function_of(Reader *r, const Ast *e) {
  if (e->kind != AST_CALL || e->nchild != 2) return "";
  return name_text(r->x->front->names, ast_name(e->child[0]));
}

/* norm(w) == number or gain. */
static bool add_norm(Reader *r, const Ast *e, const Ast *value) {
  SetForm *f = r->f;
  bool gain = value->kind == AST_NAME &&
              !strcmp(name_text(r->x->front->names, value->name), "gain") &&
              !scope_find(r->c.scope, value->name);
  NormKind kind = gain ? NORM_GAIN : NORM_FIXED;
  double fixed = 0.0;
  if (!gain) {
    Value v = eval_as(r->x, &r->c, value, TYPE_REAL);
    if (v.kind == VALUE_POISON) return false;
    fixed = v.as.real;
  }
  if (f->norm == NORM_FIXED && kind == NORM_FIXED && f->norm_value != fixed) {
    diag_at(&r->x->front->diags, E0605, e->span,
            arena_printf(r->x->arena, "norm(w) == %s", number_text(r->x->arena, f->norm_value)),
            arena_printf(r->x->arena, "norm(w) == %s", number_text(r->x->arena, fixed)),
            f->set->text);
    trace_layer(r->x, r->at);
    return false;
  }
  if (f->norm != NORM_FIXED) f->norm = (uint8_t)kind, f->norm_value = fixed;
  return true;
}

/* One equation, its index names bound. */
static bool read_equation(Reader *r, const Ast *e, uint32_t *equal) {
  if (e->kind == AST_BOOL && e->integer) return true;
  if (e->kind != AST_BINARY || e->op != OP_EQ) return refuse(r, e);
  const Ast *left = e->child[0], *right = e->child[1];
  const char *function = function_of(r, left);
  int64_t from[3] = {0}, to[3] = {0};
  if (left->kind == AST_INDEX && right->kind == AST_INDEX) return add_equal(r, left, right, equal);
  if (!strcmp(function, "norm")) return add_norm(r, e, right);
  if (!strcmp(function, "sigma")) return r->f->sigma = true;
  if (strcmp(function, "sum") || !is_zero(right)) return refuse(r, e);
  return read_part(r, left->child[1], from, to) && add_sum(r, from, to);
}

/* Whether an expression speaks of a name. */
static bool mentions(const Ast *e, Name name) {
  if (e->kind == AST_NAME) return e->name == name;
  for (uint32_t i = 0; i < e->nchild; i++)
    if (mentions(e->child[i], name)) return true;
  return false;
}

/* Reads the equation once for every value of the index names from number k on that it uses. */
static bool read_for_all(Reader *r, const Ast *e, uint32_t k, uint32_t *equal) {
  const Ast *names = ast_child(r->wset, 0);
  while (names && k < names->nchild &&
         (names->child[k]->kind != AST_NAME || !mentions(e, names->child[k]->name)))
    k++;
  if (!names || k == names->nchild) return read_equation(r, e, equal);
  for (int64_t i = 0; i < r->f->row.dim[k]; i++) {
    scope_set(r->x, r->c.scope, names->child[k]->name, value_int(i, e->span));
    if (!read_for_all(r, e, k + 1, equal)) return false;
  }
  return true;
}

/* All equations of one declaration. */
static bool read_set(Reader *r, const Ast *wset, Scope *scope, uint32_t *equal) {
  Scope *inner = scope_new(r->x, scope->file);
  for (uint32_t i = 0; i < scope->n; i++)
    scope_set(r->x, inner, scope->item[i].name, scope->item[i].value);
  r->wset = wset;
  r->c = (Context){inner, NULL, NULL};
  const Ast *names = ast_child(wset, 0);
  if (names && names->nchild != r->f->row.rank) {
    diag_at(&r->x->front->diags, E0609, names->span, name_text(r->x->front->names, wset->name),
            names->nchild, r->f->row.rank);
    trace_layer(r->x, r->at);
    return false;
  }
  for (uint32_t i = 1; i < wset->nchild; i++)
    if (!read_for_all(r, wset->child[i], 0, equal)) return false;
  return true;
}

/* ---- forms ------------------------------------------------------------------------------ */

/* Reports a set that leaves nothing to learn. */
static bool has_freedom(Expander *x, const SetForm *f, Span set, Span at) {
  Diags *d = &x->front->diags;
  uint32_t bound = f->nequation + (f->norm == NORM_FIXED);
  if (bound < f->m) return true;
  bool apart = set.file == at.file && set.off != at.off;
  diag_at(d, E0601, apart ? set : at, f->set->text, (long long)f->m, f->m == 1 ? "" : "s");
  diag_here(d, "rank %u of %u", bound, f->m);
  if (apart) diag_label(d, at, "this layer");
  if (f->row.rank == 3)
    diag_equals(d, "fan-in = Cin/groups x Kh x Kw = %lld x %lld x %lld", (long long)f->row.dim[0],
                (long long)f->row.dim[1], (long long)f->row.dim[2]);
  diag_help(d, "use @free here, or a larger %s", f->row.rank == 3 ? "kernel" : "input");
  return false;
}

/* Reads all equations; NULL after an error. */
static SetForm *form_read(Expander *x, const WeightSet *set, const Sizes *row, Span at) {
  SetForm *f = NEW(x->arena, SetForm);
  f->set = set;
  f->row = *row;
  f->m = 1;
  for (uint32_t i = 0; i < row->rank; i++) f->m *= (uint32_t)row->dim[i];
  f->group_of = NEW_ARRAY(x->arena, uint32_t, f->m);
  uint32_t *equal = NEW_ARRAY(x->arena, uint32_t, f->m);
  for (uint32_t i = 0; i < f->m; i++) equal[i] = i;
  Reader r = {.x = x, .f = f, .at = at};
  for (uint32_t i = 0; i < set->npart; i++)
    if (!read_set(&r, set->part[i].wset, set->part[i].scope, equal)) return NULL;
  return f;
}

/* Warns of an intersection that one of its parts says alone. */
static void warn_redundant(Expander *x, const SetForm *f, Span at) {
  const WeightSet *set = f->set;
  for (uint32_t i = 0; set->npart > 1 && i < set->npart; i++) {
    WeightSet one = {.part = {set->part[i]}, .npart = 1, .text = set->part[i].text};
    SetForm *alone = form_read(x, &one, &f->row, at);
    if (!alone || alone->nequation != f->nequation || alone->norm != f->norm ||
        alone->sigma != f->sigma)
      continue;
    const Ast *other = set->part[i ? 0 : 1].wset;
    diag_at(&x->front->diags, W0602, set->span, set->text, one.text,
            arena_printf(x->arena, "%s already says %s", one.text,
                         ast_text(x->arena, x->front->names, other->child[1])));
    return;
  }
}

/* The form of a set on rows of these sizes; read once. */
SetForm *set_form(Expander *x, const WeightSet *set, const Sizes *row, Span set_at, Span at) {
  for (uint32_t i = x->nform; i-- > 0;) {
    SetForm *f = x->form[i];
    bool same = f->set == set && f->row.rank == row->rank;
    for (uint32_t k = 0; same && k < row->rank; k++) same = f->row.dim[k] == row->dim[k];
    if (same) return f;
  }
  SetForm *f = form_read(x, set, row, at);
  if (!f || !has_freedom(x, f, set_at, at)) return NULL;
  warn_redundant(x, f, at);
  if (f->linear_other) diag_at(&x->front->diags, N0606, at, set->text);
  PUSH(x->arena, x, form, f);
  return f;
}
