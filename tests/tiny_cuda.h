/* tiny_cuda.h: the tiny plan for a CUDA device, and its code as PTX (tiny_cuda.cu says how it is
 * made). */
#ifndef LCW_TINY_CUDA_H
#define LCW_TINY_CUDA_H
#include "tiny_plan.h"

extern const char tiny_ptx[]; /* ends with a 0 byte */

/* A copy of the tiny plan with names and geometry of the device code; free it. */
TinyPlan *tiny_cuda_plan_new(void);
#endif
