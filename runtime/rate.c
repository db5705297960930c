/* rate.c: evaluates and prints the schedule. plan_check() has proved that the stack neither
 * underflows nor grows beyond RATE_STACK and that one value remains. */
#include "rate.h"
#include <math.h>
#include <stdbool.h>
#include "decimal.h"

static const struct { uint32_t pops; const char *text; } rate_row[] = {
#define RATE(name, pops, text) {pops, text},
#include "rates.def"
#include "seed.h"
};

uint32_t rate_pops(uint32_t op) { return rate_row[op].pops; }

static double truth(int x) { return x ? 1.0 : 0.0; }

/* Integers of the language are doubles here; a / 0 was refused by the compiler where constant. */
static double divide_whole(double a, double b) {
  return b == 0 ? NAN : SEED(313, floor, trunc)(a / b); /* caught by runtime_unit.c */
}

/* With the sign of a, as C has it. */
static double remainder_whole(double a, double b) { return b == 0 ? NAN : fmod(a, b); }

/* The value of one row; v[0..pops) are its operands. */
static double rate_apply(const PlanRate *r, const double *v, const RateTime *t) {
  switch ((RateOp)r->op) {
  case RATE_CONST: return r->k;
  case RATE_EPOCH: return t->epoch;
  case RATE_STEP: return t->step;
  case RATE_EPOCHS: return t->epochs;
  case RATE_STEPS: return t->steps;
  case RATE_PROGRESS: return t->steps > 0 ? t->step / t->steps : 0;
  case RATE_ADD: return v[0] + v[1];
  case RATE_SUB: return v[0] - v[1];
  case RATE_MUL: return v[0] * v[1];
  case RATE_DIV: return v[0] / v[1];
  case RATE_IDIV: return divide_whole(v[0], v[1]);
  case RATE_IMOD: return remainder_whole(v[0], v[1]);
  case RATE_NEG: return -v[0];
  case RATE_NOT: return truth(v[0] == 0);
  case RATE_LT: return truth(v[0] < v[1]);
  case RATE_LE: return truth(v[0] <= v[1]);
  case RATE_EQ: return truth(v[0] == v[1]);
  case RATE_NE: return truth(v[0] != v[1]);
  case RATE_AND: return truth(v[0] != 0 && v[1] != 0);
  case RATE_OR: return truth(v[0] != 0 || v[1] != 0);
  case RATE_SELECT: return v[0] != 0 ? v[1] : v[2];
  case RATE_MIN: return v[0] < v[1] ? v[0] : v[1];
  case RATE_MAX: return v[0] > v[1] ? v[0] : v[1];
  case RATE_POW: return pow(v[0], v[1]);
  case RATE_EXP: return exp(v[0]);
  case RATE_LOG: return log(v[0]);
  case RATE_SQRT: return sqrt(v[0]);
  case RATE_ABS: return fabs(v[0]);
  case RATE_COS: return cos(v[0]);
  case RATE_SIN: return sin(v[0]);
  case RATE_FLOOR: return floor(v[0]);
  case RATE_COUNT: break;
  }
  return NAN;
}

double rate_of(const Plan *p, const RateTime *t) {
  const PlanRate *row = PLAN_AT(p, PlanRate, p->rate);
  double stack[RATE_STACK];
  uint32_t n = 0;
  for (uint32_t i = 0; i < p->nrate; i++) {
    n -= rate_row[row[i].op].pops;
    stack[n] = rate_apply(&row[i], stack + n, t);
    n++;
  }
  return n ? stack[0] : 0;
}

typedef struct { const PlanRate *row; char *out; uint32_t at, n; } Formula;

/* Finds the row whose value is the operand `back` places below the row at `i`. */
static uint32_t rate_operand(const PlanRate *row, uint32_t i, uint32_t back) {
  uint32_t need = back; /* values still to be skipped, then the one wanted */
  for (uint32_t j = i; j-- > 0;) {
    if (need == 0) return j;
    need = need - 1 + rate_row[row[j].op].pops;
  }
  return 0;
}

/* A letter of its own: the `a` of "(a + b)", not that of "max". */
static bool stands_alone(const char *text, const char *s) {
  bool before = s > text && s[-1] >= 'a' && s[-1] <= 'z', after = s[1] >= 'a' && s[1] <= 'z';
  return !before && !after;
}

/* Adds the text of the row at `i`; the operands are written where their letters stand. */
static void rate_write(Formula *f, uint32_t i) {
  const PlanRate *row = f->row;
  uint32_t pops = rate_row[row[i].op].pops;
  const char *text = rate_row[row[i].op].text;
  char number[32];
  if (row[i].op == RATE_CONST) {
    decimal_text(number, row[i].k);
    text = number;
  }
  for (const char *s = text; *s && f->at + 1 < f->n; s++) {
    uint32_t operand = (uint32_t)(*s - 'a');
    if (*s >= 'a' && operand < pops && stands_alone(text, s))
      rate_write(f, rate_operand(row, i, pops - 1 - operand));
    else
      f->out[f->at++] = *s;
  }
}

void rate_text(const Plan *p, char *out, uint32_t n) {
  Formula f = {PLAN_AT(p, PlanRate, p->rate), out, 0, n};
  if (p->nrate) rate_write(&f, p->nrate - 1);
  out[f.at] = 0;
}
