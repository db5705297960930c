/* expand.h: the state of an expansion, shared by the files expand*.c, sets.c and recipe.c.
 *
 * The expander walks a net's body with actual arguments, once per phase, and adds nodes to one
 * Graph. A Context says where it stands: the scope that names are read in, the frame that gives
 * parameters their path (hidden.7.linear), and the attributes in force. Contexts are copied on
 * the C stack; scopes, frames and attributes live in the arena and are shared. */
#ifndef LCW_EXPAND_H
#define LCW_EXPAND_H
#include "check.h"
#include "limits.h"
#include "model.h"
#include "sets.h"

/* Attributes that `use` and `@` set; a weight set is one without a word. */
#define WORDS(X) X(SET, "") X(INIT, "init") X(BIAS, "bias") X(DECAY, "decay") X(LR, "lr") \
  X(FREEZE, "freeze") X(LOWER, "lower") X(TILE, "tile") X(STAGES, "stages")
typedef enum {
#define X(id, text) WORD_##id,
  WORDS(X)
#undef X
  WORD_COUNT
} Word;

typedef struct {
  Value value[WORD_COUNT];       /* POISON: not set */
  uint32_t *uses[WORD_COUNT];    /* of an `@`: counts who obeyed */
} Attributes;

typedef struct { Name name; Value value; } Binding;

/* One call: the names bound so far. A file's own level is a scope without a caller. */
struct Scope {
  const Ast *file, *decl;        /* where names are looked up next; the block, or NULL */
  Binding *item;
  uint32_t n, cap;
  Scope *caller;                 /* for the path of calls in messages */
  Span call;
  const Ast *written;            /* the call: unit(128, stride = 2); NULL: a name alone */
  Name loop;                     /* variable of the `for` at the call, 0: none */
  Value loop_value;
};

/* A step of a parameter's path. */
typedef struct Frame {
  Name path;                     /* whole: hidden.7.linear; 0 at the top */
  uint32_t id;
  bool closed;                   /* calls add no step: losses and optimisers */
} Frame;

typedef struct {
  Scope *scope;
  const Frame *frame;
  const Attributes *attributes;
} Context;

/* What a stage changes while it is expanded, to be put back. */
typedef struct { Name layer; Span span; uint32_t above, row; } Place;

typedef enum { MODE_INIT, MODE_TRAIN, MODE_EVAL } Mode;

/* A parameter of the net, met while the training phase is expanded. */
typedef struct {
  Val value, dead;               /* the PARAM; its mask, or 0 */
  SetForm *form;                 /* of a weight; else NULL */
  bool projected;                /* rows themselves are stored, gradients are projected */
  double lr, decay;              /* factor of the rate; decay, NAN: the recipe's */
  Name name;
  Span span;
} Param;

/* The weights being drawn, for fan_in(), fan_out(), rows() and calibrate(). */
typedef struct {
  Shape shape;
  int64_t fan_in, fan_out;
  uint64_t stream, draws;        /* of the random numbers */
  bool rescaled;
  uint32_t root;                 /* the STORE of the value drawn, + 1; 0: none */
} Draw;

typedef struct { uint64_t key; uint32_t count; } Sibling;

typedef struct Expander {
  Front *front;
  Arena *arena;
  Graph *graph;
  Model *model;
  const ModelRequest *request;
  ModelFacts facts;              /* of the data: the request's, or what its declaration tells */
  Mode mode;
  Val sample, label, step, rate; /* inputs of the run */
  Dim batch;
  Scope *top;                    /* of the user's file */
  const Ast **resolved;          /* by node id: what check_resolve() found */
  uint32_t nresolved;            /* later nodes, of command line options, have no place */
  Value *memo;                   /* by node id: values of const and weight declarations */
  Sibling *sibling;              /* how often a frame has had a child of that name */
  uint32_t nsibling, capsibling;
  uint32_t frames, depth, calls; /* made so far; nested evaluations; calls and passes of loops */
  uint64_t passes;               /* product of the counts of the loops entered */
  Draw draw;
  Param *param; uint32_t nparam, capparam;
  SetForm **form; uint32_t nform, capform; /* of sets on rows, as they were met */
  uint32_t layer;                /* index + 1 of the row being filled */
  bool counts;                   /* this phase fills the table of layers */
  const Ast *standard_init;      /* of weights without @init: xavier */
  uint8_t *intrinsic; Name nintrinsic; /* by name: its row in intrinsics.def, from 1 */
  uint32_t tensors;              /* parameters and states made in this phase */
} Expander;

/* ---- expand.c: expressions -------------------------------------------------------------- */
Value eval(Expander *x, Context *c, const Ast *e);
Value eval_as(Expander *x, Context *c, const Ast *e, TypeKind type); /* converted, or an error */
bool eval_condition(Expander *x, Context *c, const Ast *e, bool *out);
Value value_as(Expander *x, Value v, TypeKind type, Span at, const char *what);
/* ---- expand_body.c: statements ---------------------------------------------------------- */
typedef enum { FLOW_ON, FLOW_RETURN, FLOW_STOP } Flow; /* STOP: an error was reported */
/* The count of a loop, within the limits. */
bool loop_count(Expander *x, Context *c, const Ast *e, int64_t *count);
Flow run(Expander *x, Context *c, const Ast *statement, Value *result);
/* ---- expand_bind.c: scopes and arguments ------------------------------------------------ */
Scope *scope_new(Expander *x, const Ast *file);
Value *scope_find(Scope *s, Name name);
void scope_set(Expander *x, Scope *s, Name name, Value v);
bool in_prelude(const Expander *x, const Ast *node);
const Ast *resolve(Expander *x, const Scope *s, const Ast *name);
const Ast *params_of(const Ast *decl);                    /* PARAMS, or NULL */
const Ast *param_find(const Ast *params, Name name);     /* NULL: none */
bool size_is_open(Expander *x, const Ast *decl, const Ast *dim); /* `_` and its like */
/* A block or initialiser as a value: what is written, and where its names are read. */
Value block_value(Context *c, const Ast *e);
/* Binds what flows in, what the call says, and defaults. */
bool bind_call(Expander *x, Context *c, Context *callee, const Ast *decl, const Ast *e,
               const Value *in, uint32_t n, Span at);
void trace_calls(Expander *x, Scope *s);
void trace_layer(Expander *x, Span at); /* "in this layer" */
Span user_span(const Expander *x, Span at); /* the user's stage, for a place in the prelude */
/* ---- expand_call.c: calls and stages ---------------------------------------------------- */
/* Sends values through a stage: a name, a call, a repetition, a chain. */
Value apply(Expander *x, Context *c, const Ast *stage, const Value *in, uint32_t n);
Value apply_block(Expander *x, Context *c, const Value *block, const Value *in, uint32_t n,
                  Span at);
Value call(Expander *x, Context *c, const Ast *e); /* a CALL or NAME in an expression */
/* ---- expand_frame.c: paths, attributes, rows of the table ------------------------------- */
Frame *frame_new(Expander *x, const Frame *up, const char *name);
Name frame_name(Expander *x, const Frame *f, const char *last);
bool attributes_add(Expander *x, Context *c, const Ast *const *attr, uint32_t n, Attributes *out,
                    bool attached);
void attributes_check(Expander *x, const Ast *const *attr, uint32_t n, const Attributes *a,
                      const Ast *stage);
const Value *attribute(const Context *c, Word word); /* NULL: not set; counts as obeyed */
Place place_enter(Expander *x, const Frame *f, const char *stage, Span at); /* stage: of a row */
Value place_leave(Expander *x, const Place *p, Value v, Span at);
uint32_t layer_open(Expander *x, const Frame *f, const char *stage, Span at);
void layer_close(Expander *x, uint32_t layer, uint32_t outer, Value result);
ModelLayer *layer_now(Expander *x); /* NULL: this phase does not count */
/* ---- expand_binary.c: operators --------------------------------------------------------- */
Value eval_binary(Expander *x, Context *c, const Ast *e, Value a, Value b);
Value eval_unary(Expander *x, const Ast *e, Value a);
/* ---- intrinsics.c ----------------------------------------------------------------------- */
void intrinsics_open(Expander *x);
int intrinsic_find(const Expander *x, Name name); /* -1: none */
Value intrinsic_call(Expander *x, Context *c, int which, Value *arg, uint32_t n, Span at);
void intrinsic_arguments(int which, uint32_t *fewest, uint32_t *most);
Val tensor_of(Expander *x, const Value *v); /* a number becomes a constant */
/* ---- expand_param.c --------------------------------------------------------------------- */
Value param_weights(Expander *x, Context *c, Shape s, int64_t groups, Span at);
Value param_calibrate(Expander *x, Val z, Span at);
Value param_plain(Expander *x, Context *c, const char *name, Shape s, double start, Span at);
Value param_state(Expander *x, Context *c, const char *name, Shape s, double start, Span at);
Value param_update(Expander *x, Val state, Val value, Span at);
uint64_t param_stream(Expander *x, Context *c);
/* ---- set_form.c ------------------------------------------------------------------------- */
const WeightSet *set_eval(Expander *x, Context *c, const Ast *e); /* NULL after an error */
/* The form on rows of these sizes: [in], or [C, Kh, Kw] of a convolution. NULL after an error. */
SetForm *set_form(Expander *x, const WeightSet *set, const Sizes *row, Span set_at, Span at);
/* ---- recipe.c --------------------------------------------------------------------------- */
/* The recipe of the run: what is written, over what the prelude's `defaults` say. */
typedef struct {
  const Ast *decl, *defaults;
  Binding *override; uint32_t noverride, capoverride; /* --set: thunks */
} Recipe;
bool recipe_open(Expander *x, Recipe *r);
/* The expression of a setting and the scope it is read in; never NULL after recipe_open(). */
const Ast *recipe_setting(Expander *x, const Recipe *r, const char *key, Scope **scope);
bool recipe_settings(Expander *x, const Recipe *r); /* fills model->set and the schedule */
Value recipe_block(Expander *x, const Recipe *r, const char *key); /* loss, optimizer */
/* ---- schedule.c ------------------------------------------------------------------------- */
bool schedule_compile(Expander *x, Context *c, const Ast *e); /* into model->rate */
/* ---- expand_data.c ---------------------------------------------------------------------- */
bool data_read(Expander *x, const char *name, bool wanted, ModelData *out);
/* ---- expand_train.c --------------------------------------------------------------------- */
bool expand_train(Expander *x, const Recipe *r, Val z);
bool expand_eval(Expander *x, const Recipe *r, Val z);
/* ---- expand_model.c --------------------------------------------------------------------- */
void expander_open(Expander *x, Front *f, const ModelRequest *r, Model *m);
const Ast *prelude_find(Expander *x, const char *name);
Value call_prelude(Expander *x, const char *block, const Value *in, uint32_t n);
/* ---- expand_net.c ----------------------------------------------------------------------- */
void declare_inputs(Expander *x);
bool bind_net(Expander *x, Context *c, const Ast *net); /* its inputs and arguments */
bool is_input_size(const Ast *net, Name name); /* C of tensor x[C, H, W], and no parameter */
const char *arguments_text(Expander *x, const Ast *net, Scope *s);
Name run_data(Expander *x); /* the data set of the request's RUN; 0: none */
/* ---- expand_bound.c ------------------------------------------------------------------------ */
bool layers_bounded(Expander *x, const Ast *net);
/* ---- count.c ---------------------------------------------------------------------------- */
void layers_count(Expander *x); /* flops and bytes kept, of every row */

#endif
