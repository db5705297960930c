/* rate.h: the learning rate of a step, from the Plan's postfix program. */
#ifndef LCW_RATE_H
#define LCW_RATE_H
#include "plan.h"

/* What the program may name. */
typedef struct { double epoch, step, epochs, steps; } RateTime;

enum { RATE_STACK = 64 };

double rate_of(const Plan *p, const RateTime *t);
/* The program as a formula; each operation in parentheses. Writes at most n bytes. */
void rate_text(const Plan *p, char *out, uint32_t n);
/* How many values rows of op take off the stack; plan_check() proves the depth with it. */
uint32_t rate_pops(uint32_t op);
#endif
