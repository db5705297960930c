/* gradcheck.h: the gradient of a graph against central differences, in float64. */
#ifndef LCW_GRADCHECK_H
#define LCW_GRADCHECK_H
#include "graph.h"

/* What was found for one leaf. worst: the largest difference, beyond the noise that rounding of
 * the loss makes; largest: the largest element of the gradient by differences; error is worst /
 * largest. A leaf is faint if no element stands out of the noise: then nothing was measured. */
typedef struct {
  Val leaf;
  uint32_t checked, kinks;  /* elements compared; left out because a branch changed within h */
  uint32_t at;              /* element with the largest difference */
  double worst, largest, error;
  bool faint;
} GradCheck;

/* Compares the gradient of `loss`, a value with one element, with respect to leaf[0..n).
 * value[v]: the elements of every INPUT, PARAM and STATE that the loss reads, by Val. At most
 * `limit` elements of a leaf are compared, evenly spread (0: all). Appends adjoints to the graph.
 * False, with the reason in graph->error, if there is no gradient or a leaf has no value. */
bool graph_check_gradient(Graph *g, Arena *scratch, Val loss, const double *const *value,
                          const Val *leaf, uint32_t n, uint32_t limit, GradCheck *result);

#endif
