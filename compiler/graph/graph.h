/* graph.h: the tensor graph of a network, all its phases in one.
 *
 * A Graph is an array of nodes in topological order; a value (Val) is the index of the node
 * that makes it, 0 is "none". graph_add() is the one constructor: it checks operands, applies
 * the shape rule of ops.def and shares equal nodes (never RANDOM), so that no node without a
 * shape exists. Passes are loops over the array; what they learn lives in side arrays indexed
 * by Val, never in the node.
 *
 * What the graph computes is its list of roots: a STORE writes a value to a PARAM or STATE at
 * the end of a phase's step (every read of the PARAM in that step sees the value before), an
 * OUTPUT hands a value to the run. A node belongs to the phases whose roots reach it.
 *
 * Conventions: activations are [N, H, W, C] or [N, n]; N is the batch. Linear weights are
 * [in, out]; a row of the paper's W (one neuron) is a column here. Convolution weights are
 * [Kh, Kw, Cin/groups, Cout]. Per-neuron vectors are [1, out]. A MAP broadcasts dimensions of
 * 1; all its operands have one rank, except that rank 0 (a scalar) goes with any. */
#ifndef LCW_GRAPH_H
#define LCW_GRAPH_H
#include "diag.h" /* Span */
#include "plan.h" /* Phase, Feed, Out, DType */
#include "util.h"

enum { MAX_RANK = 6, MAX_IN = 3 };

typedef uint32_t Val;
typedef struct Graph Graph;
typedef struct Grad Grad; /* grad.c: adjoints under construction */
typedef struct { int32_t n; Name name; } Dim; /* name: for people ("N"), 0 if none */
typedef struct { uint8_t rank; Dim dim[MAX_RANK]; } Shape;

typedef enum {
#define OP(name, nin, attr, shape, cls, grad, keeps) OP_##name,
#include "ops.def"
  OP_COUNT
} Op;

typedef enum {
#define SCALAR(name, n, text, deriv, flops) S_##name,
#include "scalars.def"
  S_COUNT
} Scalar;

typedef enum {
  CLASS_LEAF, CLASS_VIEW, CLASS_MAP, CLASS_REDUCE, CLASS_CONTRACT, CLASS_WINDOW
} OpClass;
typedef enum { KEEPS_NONE, KEEPS_IN, KEEPS_OUT } Keeps;
typedef enum {                                      /* which member of Attr is live */
  ATTR_none, ATTR_decl, ATTR_constant, ATTR_random, ATTR_gemm, ATTR_conv, ATTR_map, ATTR_reduce,
  ATTR_perm, ATTR_slice, ATTR_pool
} AttrKind;
typedef enum { DERIVED_NOT, DERIVED_COPY, DERIVED_COMPUTED } Derived; /* COPY: rounded, turned, or constant */
typedef enum { CONST_FILL, CONST_IOTA, CONST_LIST } ConstKind;
typedef enum { POOL_MAX, POOL_AVERAGE } PoolKind;

typedef union {                                     /* live member: optab[op].attr */
  struct { Name name; uint8_t feed, derived, turned; Val dead; } decl; /* dead (PARAM): mask, 0
                                                     * where a lane is not a parameter and stays 0;
                                                     * 0: none; derived: by fuse_maintain(); Derived;
                                                     * turned: a transposed weight */
  struct { uint8_t kind; double value; const double *list; } constant; /* LIST: one per element */
  struct { uint64_t stream; } random;
  struct { uint8_t ta, tb, precision; } gemm;       /* operand a, b stored transposed; Precision */
  struct { int32_t stride[2], pad[2], groups; uint8_t precision; } conv;
  struct { uint8_t fn; } map;                       /* Scalar */
  struct { uint8_t axes, fn; } reduce;              /* bit per axis; S_add or S_max */
  struct { uint8_t perm[MAX_RANK]; } perm;          /* result axis i is operand axis perm[i] */
  struct { int32_t axis, begin, size; } slice;      /* SLICE: size taken; EMBED: of the result */
  struct { int32_t size[2], stride[2], pad[2]; uint8_t kind; } pool;
} Attr;

typedef struct {
  uint8_t op, dtype;                                /* Op, DType */
  Val in[MAX_IN];
  Shape shape;
  Attr attr;
  Span span;                                        /* of the .lcwnet text it came from */
  Name layer;                                       /* path of the stage: hidden.7.linear */
} Node;

typedef enum { ROOT_STORE, ROOT_OUTPUT } RootKind;
typedef struct {
  uint8_t kind, phase, out;                         /* RootKind, Phase, Out (of an OUTPUT) */
  Val value, target;                                /* target: the PARAM or STATE stored to */
  Name name;                                        /* of an OUTPUT */
  Span span;
  Name layer;
} Root;

typedef struct { Val v; uint32_t hash; } GraphBucket; /* v 0: empty */

struct Graph {
  Arena *arena;
  Names *names;
  Node *node; uint32_t nnode, capnode;              /* node[0] is unused */
  Root *root; uint32_t nroot, caproot;
  GraphBucket *bucket; uint32_t nbucket;            /* hash-consing */
  bool moved;                                       /* nodes have: the buckets are made anew when asked */
  Graph *last;                                      /* the one that it took the place of: memory for the next */
  Span span;                                        /* given to new nodes */
  Name layer;
  char error[256];                                  /* why the last graph_add() returned 0 */
};

typedef struct {
  const char *name;
  uint8_t nin, cls, keeps, attr;                    /* OpClass, Keeps, AttrKind */
  bool (*shape)(Graph *, Node *);                   /* false: refused, graph->error says why */
  void (*grad)(Grad *, Val y, Val dy);
} OpInfo;
extern const OpInfo optab[OP_COUNT];
typedef struct { const char *name, *text; uint8_t nin, flops; } ScalarInfo;
extern const ScalarInfo scalartab[S_COUNT];
double scalar_apply(Scalar fn, double a, double b, double c); /* its value in float64 */

void graph_init(Graph *g, Arena *arena, Names *names);

/* How a pass rebuilds a graph: graph_next() begins an empty one, in the memory of the graph before
 * `from` where there was one; graph_rebuild() copies node by node; graph_replace() puts it into
 * the place of `from`, whose nodes hold until the next graph_next(). */
void graph_next(Graph *to, const Graph *from);
void graph_replace(Graph *from, const Graph *to);

/* The constructor: checks, shapes, shares. 0 if the operands do not fit (graph->error). */
Val graph_add(Graph *g, Op op, const Val *in, const Shape *declared, Attr attr);

/* A node of another graph with its operands and mask mapped; keeps dtype, span and layer, which
 * graph_add() of a leaf would not. */
Val graph_add_copy(Graph *to, const Node *n, const Val *map);

/* Short forms (fold.c); each is one graph_add() or an older value that equals it, and returns 0
 * on a shape error or a 0 operand. */
Val graph_const(Graph *g, double value);                         /* rank 0 */
Val graph_fill(Graph *g, Shape s, double value);
Val graph_iota(Graph *g, Shape s);                               /* one dimension other than 1 */
Val graph_list(Graph *g, Shape s, const double *value);          /* copies */
Val graph_map1(Graph *g, Scalar fn, Val a);
Val graph_map2(Graph *g, Scalar fn, Val a, Val b);
Val graph_map3(Graph *g, Scalar fn, Val a, Val b, Val c);
Val graph_reduce(Graph *g, Scalar fn, Val a, uint32_t axes);
Val graph_matmul(Graph *g, Val a, bool ta, Val b, bool tb);
Val graph_reshape(Graph *g, Val a, Shape s);
Val graph_transpose(Graph *g, Val a, const uint8_t *perm);
Val graph_slice(Graph *g, Val a, int axis, int32_t begin, int32_t size);
Val graph_embed(Graph *g, Val a, int axis, int32_t begin, int32_t size);
Val graph_random(Graph *g, Val step, Shape s, uint64_t stream); /* step: the INPUT of FEED_STEP */
Val graph_stop(Graph *g, Val a);
Val graph_broadcast(Graph *g, Val a, Shape s);                   /* repeats dimensions of 1 */
Val graph_decl(Graph *g, Op op, Name name, DType dtype, Shape s, Feed feed, Val dead);
Val graph_find(Graph *g, Op op, Name name);                      /* a declared leaf, 0 if none */
void graph_store(Graph *g, Phase phase, Val target, Val value);  /* broadcasts the value */
void graph_output(Graph *g, Phase phase, Out out, Name name, Val value);

const Node *graph_node(const Graph *g, Val v);
uint64_t shape_elements(const Shape *s);
bool shape_equal(const Shape *a, const Shape *b);
Shape shape_of(uint32_t rank, const int32_t *dim);
void shape_text(Text *t, const Names *names, const Shape *s);    /* [N=128, 256] */

/* Marks, in live[0..nnode), the nodes that the roots of `phase` reach (PHASE_COUNT: of all). */
void graph_live(const Graph *g, Phase phase, bool *live);

/* One line a node: `%7 = matmul %5 %6 : f32[N=64, 128]   # hidden.0.linear mlp.lcwnet:12:9`. */
void graph_print(const Graph *g, Sources *sources, Text *out);

/* Every invariant above, by the tables; false and a message in `why` if one is broken. */
bool graph_verify(const Graph *g, Text *why);

/* ---- grad.c -------------------------------------------------------------------------- */

/* Appends the adjoints of `loss` (a scalar) and returns them for the nodes in want[0..n). */
bool graph_gradient(Graph *g, Val loss, const Val *want, Val *adjoint, uint32_t n);

/* ---- simplify.c: fold constants, share, drop what no root reaches -------------------- */
Val *graph_simplify(Graph *g); /* the new Val of each old one, 0 if dropped */
Val *graph_sweep(Graph *g);    /* only drops; likewise */
/* As graph_add_copy(), by the short form of the operation, which folds. */
Val graph_rebuild(Graph *to, const Node *n, const Val *map);
void graph_rebuild_roots(Graph *to, const Graph *from, const Val *map);

/* ---- interpret.c: the float64 reference; shares no code with lowering ---------------- */
typedef struct Interpreter Interpreter;
Interpreter *interpreter_new(const Graph *g, Arena *arena);
void interpreter_set(Interpreter *t, Val leaf, const double *value);  /* INPUT, PARAM, STATE */
void interpreter_track(Interpreter *t);                               /* carry error bounds */
bool interpreter_run(Interpreter *t, Phase phase);                    /* applies the STOREs */
bool interpreter_eval(Interpreter *t, const Val *want, uint32_t n);   /* only these; no STOREs */
const double *interpreter_get(const Interpreter *t, Val v);           /* after a run, or a leaf */
const double *interpreter_error(const Interpreter *t, Val v);         /* bound of f32, if tracked */

#endif
