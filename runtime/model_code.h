/* model_code.h: a compiled network as the runtime takes it: a Plan and code for each device that it
 * was compiled for. `lcwc train` fills it from what it has just compiled, a built trainer from the
 * symbols that it was linked with. The Plans agree in parameters, state, their names and phases;
 * temporaries, steps and geometry differ. */
#ifndef LCW_MODEL_CODE_H
#define LCW_MODEL_CODE_H
#include "plan.h"

struct Ahead;

typedef struct ModelCode {
  const Plan *plan;        /* for the host, with */
  const HostTable *table;  /* its kernels; both NULL: not compiled for the host */
  const Plan *cuda_plan;   /* for a CUDA device, with */
  const PlanImage *image;  /* its code, ends with IMAGE_NONE; both NULL: not compiled for it */
  struct Ahead *ahead;     /* what was made while it was compiled, or NULL; see ahead.h */
} ModelCode;
#endif
