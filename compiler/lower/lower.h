/* lower.h: the pass from a fused Graph to a Program. lower.c walks the phases, decides where every
 * value lives and writes the calls; lower_kernel.c turns one group into one Kernel. */
#ifndef LCW_LOWER_H
#define LCW_LOWER_H
#include "fuse.h"
#include "kernel.h"

typedef struct {
  const Graph *g;
  Program *p;
  Arena *pass;
  Groups *s;               /* of the phase under way */
  uint32_t *leaf;          /* [nnode] buffer of a leaf, 0: not yet made; lives through all phases */
  uint32_t *buffer;        /* [nnode] buffer of a stored value, in this phase */
  Val *into;               /* [nnode] PARAM or STATE that a stored value overwrites in place */
  Val *turned;             /* [nnode] STATE that its group writes as its transpose */
} Lower;

/* Where a value is in memory, seen over its own shape. */
typedef struct { uint32_t buffer; int64_t offset, stride[MAX_RANK]; } Place;

/* One group as a kernel and the buffers of its arguments. false: the value of *clash may not be
 * stored in place (the kernel reads the old one after the store). */
bool lower_group(Lower *w, uint32_t group, Kernel *k, uint32_t *buf, Val *clash);

/* A kernel that computes v over its shape and stores it to `target`: copies, fills, late stores. */
void lower_copy(Lower *w, Val v, uint32_t target, Kernel *k, uint32_t *buf);

uint32_t lower_leaf(Lower *w, Val v);     /* the buffer of a leaf */
Place lower_place(Lower *w, Val v);       /* of a leaf, a stored value, or a view of one */

Program *lower_graph(const Graph *g, Remarks *remarks, Arena *perm, Arena *pass);

#endif
