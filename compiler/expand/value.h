/* value.h: what an expression of a `.lcwnet` file is worth while the network is expanded:
 * numbers, words, tensors (values of the graph), weight sets, and blocks that wait for their
 * input. A Value is small and copied; what it points to lives in the compilation's arena and
 * never changes. `span` is where the value was made: messages show it. A VALUE_POISON stands
 * where an error was already reported; whoever meets one passes it on in silence. */
#ifndef LCW_VALUE_H
#define LCW_VALUE_H
#include "front.h"
#include "graph.h"

typedef enum {
  VALUE_POISON, VALUE_INT, VALUE_REAL, VALUE_BOOL, VALUE_STRING, VALUE_TENSOR, VALUE_SET,
  VALUE_BLOCK,  /* a stage, an initialiser: an expression and the scope that it is read in */
  VALUE_DECL,   /* a net, a data set, a recipe */
  VALUE_LIST, VALUE_RANGE
} ValueKind;

typedef struct Scope Scope;         /* expand.h */
typedef struct WeightSet WeightSet; /* sets.h */
typedef struct Value Value;
struct Value {
  uint8_t kind;
  Span span;
  union {
    int64_t integer;                                   /* INT, BOOL */
    double real;
    const char *text;                                  /* STRING */
    Val tensor;
    const WeightSet *set;
    struct { const Ast *expr; Scope *scope; } block;
    const Ast *decl;
    struct { Value *item; uint32_t n; } list;
    struct { int64_t from, to; } range;
  } as;
};

Value value_poison(void);
Value value_int(int64_t n, Span span);
Value value_real(double x, Span span);
Value value_bool(bool b, Span span);
Value value_text(const char *s, Span span);
Value value_tensor(Val v, Span span);
Value value_list(Value *item, uint32_t n, Span span);

static inline bool value_is(const Value *v, ValueKind kind) { return v->kind == kind; }
bool value_is_number(const Value *v);
double value_number(const Value *v);      /* of an INT or REAL */
const char *value_kind(const Value *v);   /* "an int", "a tensor" */
/* As it would be written: 0.5, [64, 128], "text"; tensors by their shape. */
const char *value_show(Arena *a, const Graph *g, const Names *names, const Value *v);

/* Shapes as the language says them: no batch, [C, H, W] for what is stored [N, H, W, C]. */
typedef struct { uint32_t rank; int64_t dim[MAX_RANK]; } Sizes;
Sizes sizes_of(const Graph *g, Val v);
Shape sizes_stored(const Sizes *s, Dim batch);
const char *sizes_text(Arena *a, const Sizes *s); /* tensor[128, 16, 16] */
const char *tensor_text(Arena *a, const Graph *g, Val v);

#endif
