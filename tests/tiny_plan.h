/* tiny_plan.h: a network small enough to be written by hand, so that the runtime can be tested
 * without the compiler: softmax regression on 8 x 8 samples of 4 classes, SGD with momentum.
 * tiny_plan.c defines lcw_plan and lcw_table as a compiled model does; a test that wants other
 * settings takes a copy. */
#ifndef LCW_TINY_PLAN_H
#define LCW_TINY_PLAN_H
#include "plan.h"

enum { TINY_BATCH = 32, TINY_INPUTS = 64, TINY_CLASSES = 4, TINY_BUFS = 15, TINY_KERNELS = 6,
       TINY_STEPS = 23, TINY_ARGS = 32, TINY_RATES = 5 };

typedef struct {
  char empty[1];
  char net[8], recipe[8], data[8], lower[8], precision[8], file[16], arguments[16], layer[8],
      fold[8];
  char source[64];
  char path[256], path2[256], test[256], test2[256];
  char buf[TINY_BUFS][24];
  char kernel[TINY_KERNELS][16];
  char end[1];
} TinyText;

typedef struct {
  Plan plan;
  PlanBuf buf[TINY_BUFS];
  PlanKernel kernel[TINY_KERNELS];
  PlanStep step[TINY_STEPS];
  uint32_t arg[TINY_ARGS];
  PlanRate rate[TINY_RATES];
  _Alignas(8) TinyText text;
} TinyPlan;

extern const TinyPlan lcw_plan;
extern const HostTable lcw_table[];

/* A copy to be changed; NULL without memory. Free it. */
TinyPlan *tiny_plan_new(void);
#endif
