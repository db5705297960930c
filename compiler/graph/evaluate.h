/* evaluate.h: the value of one node in float64, from the values of its operands. */
#ifndef LCW_EVALUATE_H
#define LCW_EVALUATE_H
#include "graph.h"

typedef struct {
  const Node *node;
  const Shape *shape[MAX_IN];           /* of the operands */
  const double *x[MAX_IN];              /* their elements, row-major */
  const double *e[MAX_IN];              /* bounds on their errors in float32; NULL: not carried */
  double *y, *bound;                    /* the result, zeroed; its bounds, zeroed, or NULL */
} Evaluation;

/* Computes y, and the bounds if there is room for them. */
void node_evaluate(const Evaluation *t);

#endif
