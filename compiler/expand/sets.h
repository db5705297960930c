/* sets.h: weight sets. In: a declaration `{ w | equations }`, or an intersection of several,
 * and the sizes of a layer's row. Out: its form on that row: how many parameters stay free, and
 * for sets of disjoint sums the row-affine form W = V + sum over groups of c s (DESIGN,
 * section 5), built from ordinary nodes.
 *
 * A row's lanes are numbered in storage order: of a convolution by window row, window column,
 * channel. The first lane of a group is dead: V is 0 there and it is no parameter. */
#ifndef LCW_SETS_H
#define LCW_SETS_H
#include "value.h"

enum { MAX_SET_PARTS = 8 };

/* Declarations that hold together. */
struct WeightSet {
  struct { const Ast *wset; Scope *scope; const char *text; } part[MAX_SET_PARTS];
  uint32_t npart;
  const char *text;              /* "lcw", "lcw & wn" */
  Span span;
};

typedef enum { NORM_NONE, NORM_FIXED, NORM_GAIN } NormKind;

/* Lanes of a row that sum to zero. The values are made on first use. */
typedef struct {
  uint32_t first, count;         /* first lane; number of lanes */
  Val c, inside;                 /* per lane: c; 1 within the group (0: it is all lanes) */
} SumGroup;

/* A set on rows of m lanes. */
typedef struct {
  const WeightSet *set;
  Sizes row;                     /* [in], or [C, Kh, Kw] */
  uint32_t m, nequation;         /* lanes; independent linear equations */
  uint32_t *group_of;            /* per lane: number of its group, from 1; 0: none */
  SumGroup *group; uint32_t ngroup, capgroup;
  bool linear_other;             /* has equations that are not sums of disjoint groups */
  uint8_t norm;                  /* NormKind */
  double norm_value;
  bool sigma;
  Val dead;                      /* made on first use */
} SetForm;

/* Why this version cannot train rows of this set; NULL: it can. */
const char *set_unready(const SetForm *f);
/* W from V, as ordinary nodes; `dense`: by a stored basis. Lanes in front, rows last. */
Val set_weights(Graph *g, SetForm *f, Val v, bool dense);
/* V from rows drawn at random: their orthogonal projection, in coordinates of the set. */
Val set_coordinates(Graph *g, SetForm *f, Val w);
/* The component along the set: of rows, or of a gradient (lower=projected). */
Val set_project(Graph *g, SetForm *f, Val w);
/* 0 at the lanes that are no parameters, else 1; no value (0) if all are. */
Val set_dead(Graph *g, SetForm *f);
/* |sum of a group of a row|, the largest of every row. */
Val set_residual(Graph *g, SetForm *f, Val w);
const char *set_fold(Arena *a, const SetForm *f); /* "0:256": the groups, as first:end */

#endif
