/* bound.c: how far float32 execution of one scalar function may lie from its float64 value.
 *
 * In: operands x, bounds e on what they may be off, the result r. Out: a bound on the result.
 * The rules are those of a running error analysis: what the operands' errors become (a Lipschitz
 * constant over the interval where they lie), plus the function's own rounding: one unit u for
 * + - *, 2 u for / and sqrt, 4 ulp (8 u) for exp, log, tanh and their kind, 16 u for pow, none
 * for comparisons and moves. No constant is added, but for results below the smallest normal
 * number. A comparison whose operands' intervals meet may go either way. */
#include "bound.h"
#include <math.h>

enum { ROUND_EXACT = 0, ROUND_ONCE = 1, ROUND_DIVIDE = 2, ROUND_FUNCTION = 8, ROUND_POWER = 16 };

/* The factor of n roundings. */
double bound_gamma(double n) { return n * BOUND_UNIT / (1 - n * BOUND_UNIT); }

/* The point nearest to 0 of x plus or minus e: where bell-shaped derivatives are largest. */
static double nearest_zero(double x, double e) { return fmax(fabs(x) - e, 0); }

/* a / b: the errors over the smallest that b may be. */
static double bound_divide(const double *x, const double *e, double r) {
  double room = fabs(x[1]) - e[1];
  if (e[1] > 0 && room <= 0) return INFINITY;
  return (e[0] + fabs(r) * e[1]) / room;
}

/* exp(b log a): relative error of the exponent's error. */
static double bound_power(const double *x, const double *e, double r) {
  double room = fabs(x[0]) - e[0];
  if (e[0] == 0 && e[1] == 0) return 0;
  if (room <= 0) return INFINITY;
  double log_error = e[0] / room, exponent = e[1] * fabs(log(fabs(x[0])));
  return fabs(r) * expm1(exponent + (fabs(x[1]) + e[1]) * log_error);
}

/* The slope at the smallest that the operand may be. */
static double bound_log(const double *x, const double *e) {
  double room = x[0] - e[0];
  if (e[0] > 0 && room <= 0) return INFINITY;
  return e[0] > 0 ? e[0] / room : 0;
}

/* The difference of the roots at the two ends of the lower half. */
static double bound_sqrt(const double *x, const double *e) {
  if (e[0] == 0) return 0;
  if (x[0] - e[0] < 0) return INFINITY;
  return e[0] / (sqrt(x[0]) + sqrt(x[0] - e[0]));
}

/* As far as the steps that the operand may reach. */
static double bound_floor(const double *x, const double *e, double r) {
  return fmax(floor(x[0] + e[0]) - r, r - floor(x[0] - e[0]));
}

/* As far as the neighbours that either end of the operand is rounded to. */
static double bound_rounded(Scalar fn, const double *x, const double *e, double r) {
  return fmax(scalar_apply(fn, x[0] + e[0], 0, 0) - r, r - scalar_apply(fn, x[0] - e[0], 0, 0));
}

/* 1 if the operands may be on the other side of each other, else 0. */
static double bound_compare(const double *x, const double *e) {
  double reach = e[0] + e[1];
  return reach > 0 && fabs(x[0] - x[1]) <= reach ? 1 : 0;
}

/* Either branch, if the condition may be 0 or not. */
static double bound_select(const double *x, const double *e) {
  if (e[0] > 0 && fabs(x[0]) <= e[0]) return fabs(x[1] - x[2]) + fmax(e[1], e[2]);
  return x[0] != 0 ? e[1] : e[2];
}

/* What the operands' errors become. */
static double bound_carried(Scalar fn, const double *x, const double *e, double r) {
  double m = nearest_zero(x[0], e[0]), y;
  switch (fn) {
  case S_add:
  case S_sub: return e[0] + e[1];
  case S_mul: return fabs(x[0]) * e[1] + fabs(x[1]) * e[0] + e[0] * e[1];
  case S_div: return bound_divide(x, e, r);
  case S_min:
  case S_max: return fmax(e[0], e[1]);
  case S_pow: return bound_power(x, e, r);
  case S_exp: return r * expm1(e[0]);
  case S_log: return bound_log(x, e);
  case S_sqrt: return bound_sqrt(x, e);
  case S_neg:
  case S_abs:
  case S_sin:
  case S_cos: return e[0];
  case S_tanh: return y = tanh(m), e[0] * (1 - y * y);
  case S_sigmoid: return y = 1 / (1 + exp(-m)), e[0] * y * (1 - y);
  case S_erf: return e[0] * 1.1283791670955126 * exp(-m * m);
  case S_floor: return bound_floor(x, e, r);
  case S_tf32:
  case S_bf16: return bound_rounded(fn, x, e, r);
  case S_lt:
  case S_le:
  case S_eq: return bound_compare(x, e);
  case S_select: return bound_select(x, e);
  case S_COUNT: break;
  }
  return INFINITY;
}

/* Units u that the function's own result may be off. */
static int bound_roundings(Scalar fn) {
  switch (fn) {
  case S_add:
  case S_sub:
  case S_mul: return ROUND_ONCE;
  case S_div:
  case S_sqrt: return ROUND_DIVIDE;
  case S_pow: return ROUND_POWER;
  case S_exp:
  case S_log:
  case S_sin:
  case S_cos:
  case S_tanh:
  case S_sigmoid:
  case S_erf: return ROUND_FUNCTION;
  case S_min:
  case S_max:
  case S_neg:
  case S_abs:
  case S_floor:
  case S_tf32:
  case S_bf16:
  case S_lt:
  case S_le:
  case S_eq:
  case S_select:
  case S_COUNT: break;
  }
  return ROUND_EXACT;
}

/* What is carried, plus the rounding of the result; infinite if it may overflow. */
double bound_scalar(Scalar fn, const double *x, const double *e, double r) {
  bool exact = true;
  for (int i = 0; i < scalartab[fn].nin; i++) exact &= e[i] == 0;
  if (!isfinite(r)) return exact ? 0 : INFINITY;
  int units = bound_roundings(fn);
  double carried = exact ? 0 : bound_carried(fn, x, e, r), size = fabs(r) + carried;
  double bound = carried + units * BOUND_UNIT * size;
  if (units && size > 0 && size < FLT_MIN)
    bound += units == ROUND_ONCE || units == ROUND_DIVIDE ? BOUND_TINY : FLT_MIN;
  return isnan(bound) || size + bound > FLT_MAX ? INFINITY : bound;
}
