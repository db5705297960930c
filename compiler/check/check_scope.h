/* check_scope.h: what the files check*.c share: the declaration in hand, its local names, and
 * the static kinds of values. Private to them. */
#ifndef LCW_CHECK_SCOPE_H
#define LCW_CHECK_SCOPE_H
#include "check.h"

/* What is known of a value before sizes are: a TypeKind, or one of these. */
typedef uint8_t Kind;
enum { KIND_UNKNOWN = TYPE_NONE, KIND_LIST = TYPE_COUNT, KIND_RANGE };

typedef struct {
  Name name;
  Kind kind;
  bool used, param, bound, broken; /* bound: by a shape; broken: reported, stay silent */
  const Ast *made;                 /* PARAM, LET, ...; NULL for words of a place */
} Local;

/* Places of vocabulary.def, where words have a meaning of their own. */
typedef enum {
  PLACE_NONE,
  PLACE_SOURCE,
  PLACE_NORMALIZE,
  PLACE_AUGMENT,
  PLACE_LOSS,
  PLACE_OPTIMIZER,
  PLACE_PRECISION,
  PLACE_CLIP,
  PLACE_REFERENCE,
  PLACE_ATTRIBUTE,
  PLACE_EQUATION,
  PLACE_PLOT,
  PLACE_PLOTTED,
  PLACE_SCHEDULE
} Place;

typedef struct {
  Place place;
  const char *name, *params, *what;
} Term;

/* A use of one declaration in another: recursion is found in these. */
typedef struct {
  const Ast *from, *to;
  Span at;
} Edge;

typedef struct {
  Front *front;
  const Ast *file, *decl;
  bool prelude;      /* no warnings there */
  Place place;       /* of the expression in hand */
  Local *local;
  uint32_t nlocal, caplocal;
  uint32_t *slot;    /* by Name: index in local + 1 */
  size_t capslot;
  Edge *edge;
  size_t nedge, capedge;
} Check;

/* ---- check_scope.c ---------------------------------------------------------------------- */
Diags *check_diags(Check *c);
const char *check_name(const Check *c, Name name);
Local *local_find(Check *c, Name name);
Local *local_add(Check *c, Name name, Kind kind, const Ast *made);
void locals_clear(Check *c);
const Ast *scope_resolve(Check *c, const Ast *name); /* as check_resolve; notes the use */
void scope_unknown(Check *c, const Ast *name, bool stage); /* reports E0301, E0302, E0309, E0708 */
/* "did you mean" over whatever the filter of kinds lets pass; 0 none. */
Name scope_nearest(Check *c, Name wrong, bool stage);
const char *kind_text(Kind kind); /* "an int" */
Kind decl_kind(const Ast *decl);
void declarations_index(Front *f);
const Ast *declaration_find(const Front *f, const Ast *file, Name name); /* of that file only */

/* ---- vocabulary.c ----------------------------------------------------------------------- */
const Term *term_find(Place place, const char *name);
const Term *term_at(size_t i); /* NULL behind the last */
const char *term_list(Arena *a, Place place); /* "none, channel, global" */
/* True when the term has a parameter of that name, or any when name is NULL. */
bool term_has_param(const Term *t, const char *name);
uint32_t term_count_params(const Term *t); /* UINT32_MAX: any number */
bool intrinsic_known(const char *name, uint32_t *fewest, uint32_t *most);
const char *intrinsic_at(size_t i, const char **synopsis); /* NULL behind the last */

/* ---- check_expr.c, check_call.c --------------------------------------------------------- */
Kind check_expr(Check *c, const Ast *e);
void check_stage(Check *c, const Ast *e);
void check_attr(Check *c, const Ast *attr);
void check_condition(Check *c, const Ast *e);
/* What comes from the left: nothing, a tensor, or all that is not written (optimisers). */
enum { FLOWS_NONE, FLOWS_ONE, FLOWS_ALL };
Kind check_call(Check *c, const Ast *e, int flows);
const char *params_text(Check *c, const Ast *params); /* names of those that a caller may give */
/* A CALL or NAME that must be a term of that place; its arguments are expressions. */
bool check_term(Check *c, const Ast *e, Place place, const char *what);
/* Reports E0401 or E0418 when a value of that kind cannot be what `wanted` asks for. */
bool check_kind(Check *c, const Ast *e, Kind got, Kind wanted, bool list, const char *what);
Kind check_member(Check *c, const Ast *qname);

/* ---- check_body.c, check_settings.c, check_run.c ---------------------------------------- */
void check_params(Check *c, const Ast *params);
void check_body(Check *c, const Ast *body);
void check_locals_used(Check *c);
void check_weight_set(Check *c, const Ast *wset);
void check_settings(Check *c, const Ast *decl);
void check_setting_value(Check *c, AstKind kind, const Ast *setting);
/* True for a setting of that kind of declaration; its hint. */
bool setting_hint(AstKind kind, const char *name, const char **hint);
void check_experiment(Check *c, const Ast *decl);
void check_softmax(Check *c, const Ast *net);

#endif
