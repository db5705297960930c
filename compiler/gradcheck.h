/* gradcheck.h: the gradient of a graph against central differences, in float64. */
#ifndef LCW_GRADCHECK_H
#define LCW_GRADCHECK_H
#include "graph.h"

/* What was found for one leaf. error is worst / largest: the largest difference over the largest
 * element of the gradient by differences, in this leaf (0 if nothing differs). */
typedef struct {
  Val leaf;
  uint32_t checked, kinks;  /* elements compared; left out because a branch changed within h */
  uint32_t at;              /* element with the largest difference */
  double worst, largest, error;
} GradCheck;

/* Compares the gradient of `loss`, a value with one element, with respect to leaf[0..n).
 * value[v]: the elements of every INPUT, PARAM and STATE that the loss reads, by Val. At most
 * `limit` elements of a leaf are compared, evenly spread (0: all). Appends adjoints to the graph.
 * False, with the reason in graph->error, if there is no gradient or a leaf has no value. */
bool graph_check_gradient(Graph *g, Arena *scratch, Val loss, const double *const *value,
                          const Val *leaf, uint32_t n, uint32_t limit, GradCheck *result);

#endif
