/* bound.h: running error bounds of float32 execution, carried beside float64 values. */
#ifndef LCW_BOUND_H
#define LCW_BOUND_H
#include "graph.h"
#include <float.h>

/* Unit roundoff u of float32, and what one rounding of a result below FLT_MIN may lose. */
#define BOUND_UNIT 0x1p-24
#define BOUND_TINY 0x1p-149

/* n roundings in any order: n u / (1 - n u), the strict form. */
double bound_gamma(double n);

/* One term of a dot product: a b in a sum whose factor is gamma. */
static inline double bound_term(double a, double ea, double b, double eb, double gamma) {
  double size = (a < 0 ? -a : a) + ea, other = (b < 0 ? -b : b) + eb, product = size * other;
  double carried = (size - ea) * eb + other * ea;
  return carried + gamma * product + (product > 0 && product < FLT_MIN ? BOUND_TINY : 0);
}

/* The bound of r = fn(x), whose operands are known to within e. */
double bound_scalar(Scalar fn, const double *x, const double *e, double r);

#endif
