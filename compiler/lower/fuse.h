/* fuse.h: the passes between the Graph and its Kernels, one file each.
 *
 *   fuse.c      algebra: the basis multiply moves out of the contractions
 *   precision.c what tensor cores multiply is rounded where it is made
 *   maintain.c  what depends on parameters alone is kept, and renewed by their update
 *   group.c     which nodes become one kernel
 *
 * In: a simplified Graph with all phases. Out: an equal Graph and its Groups. */
#ifndef LCW_FUSE_H
#define LCW_FUSE_H
#include "graph.h"
#include "kernel.h" /* Precision */

/* How weight sets are lowered. `dense` and `projected` are decided by expand. */
typedef enum { LOWER_FUSED, LOWER_EPILOGUE, LOWER_UPDATE, LOWER_UNFUSED, LOWER_DENSE, LOWER_PROJECTED, LOWER_COUNT } Lowering;

/* What the pass decided, one line per decision, for `inspect` and `--dump=fuse`. group: of the
 * training step, when it is about that kernel; 0: about the layer. */
typedef struct { Name layer; Span span; const char *text; uint32_t group; } Remark;
typedef struct {
  Arena *arena;
  Remark *remark; uint32_t nremark, capremark;
} Remarks;
void remark_add(Remarks *r, Name layer, Span span, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The lowering of every layer: that of the run, or of its `@lower`. FUSED means that the cost model
 * chooses between the two merged forms. */
typedef struct {
  Lowering run;
  const uint8_t *of; uint32_t nof; /* by Name of the layer: its Lowering + 1; 0: as the run */
  bool cuda;                       /* which machine the cost model speaks of */
  Precision precision;             /* of the products */
} Lowerings;
Lowering lowering_of(const Lowerings *l, Name layer);

/* Step 1. contract(X + c (x) s, a) -> contract(X, a) + contract(c, a) (x) s, and its transposes;
 * sum_j c_j contract(a, b)_j -> contract(c a, b). Applied where `lower` says epilogue. */
void fuse_algebra(Graph *g, const Lowerings *lower, Remarks *remarks);

/* Step 2. Every operand of a contraction is rounded where it is made, for all its readers but the
 * update of a parameter; its contractions multiply in that precision. How many weights are rounded
 * only after a set was applied to them is returned, and the first of them. */
uint32_t fuse_precision(Graph *g, Precision precision, Val *first);

/* Step 3. Values of parameters alone that a contraction or a reduction would redo each step
 * become DERIVED: stored by PHASE_PREPARE and by the phase that updates the parameter. Nothing
 * is kept for unfused and dense. */
void fuse_maintain(Graph *g, const Lowerings *lower, Remarks *remarks);

/* ---- step 4: groups ------------------------------------------------------------------- */

/* A group becomes one kernel. Members are of three levels: element values over the domain; reduced
 * values, in which the `axes` of the domain have become 1; sums over the rows of a CONTRACT, which no other
 * member reads. */
typedef enum { LEVEL_NONE, LEVEL_ELEMENT, LEVEL_REDUCED, LEVEL_ROW } Level;
typedef struct {
  uint8_t kind;            /* KernelKind */
  uint8_t axes;            /* reduced axes of the domain: bit 0 for a CONTRACT (its columns) */
  Shape domain;
  Val seed;                /* the member it grew from; groups run in the order of their seeds */
  Val *member; uint32_t nmember, capmember; /* ascending after group_phase() */
} Group;

/* The groups of one phase, in running order, and per node which of them makes it. A node of no
 * group is a leaf, a view, or a map that its readers compute again. */
typedef struct {
  Arena *arena;
  Phase phase;
  Group *group; uint32_t ngroup, capgroup;  /* group[0] is unused */
  uint32_t *of;            /* [nnode] */
  uint8_t *level;          /* [nnode] Level */
  uint8_t *stage;          /* [nnode] of a ROW: in which walk over the row it is computed */
  bool *live;              /* [nnode] reached by a root of the phase */
  bool *stored;            /* [nnode] has a buffer: read by another group, or a root's value */
} Groups;

void group_phase(Groups *out, const Graph *g, Phase phase, Remarks *remarks, Arena *arena);
void groups_print(const Groups *s, const Graph *g, Text *out);

/* How a group gets at a value it does not make: from memory, or by computing it again. */
bool group_loads(const Groups *s, const Graph *g, uint32_t group, Val v);

/* The matrix of a group of which a root stores the transpose, so that its group may; 0: none. */
Val group_turned(const Groups *s, const Graph *g, const Root *root);

#endif
