/* plan_check.h: what can be done with a Plan besides running it: prove it and print it. */
#ifndef LCW_PLAN_CHECK_H
#define LCW_PLAN_CHECK_H
#include <stdio.h>
#include "fault.h"
#include "plan.h"

/* True if every index, offset and text of the block is in range, so that nothing else in the
 * runtime has to look. `size`: bytes at hand, 0 if the block is linked in and knows its own. */
bool plan_check(const Plan *p, uint64_t size, Fault *f);
/* The text of --dump=plan and --print-plan, the golden format. */
void plan_print(const Plan *p, FILE *out);

uint32_t plan_dtype_bytes(uint32_t dtype);
const char *plan_dtype_text(uint32_t dtype);
static inline const PlanBuf *plan_buf(const Plan *p, uint32_t i) {
  return PLAN_AT(p, PlanBuf, p->buf) + i;
}
static inline const char *buf_name(const Plan *p, const PlanBuf *b) {
  return plan_text(p, b->name);
}
/* Numbers in a buffer, by its dims. */
uint64_t buf_count(const PlanBuf *b);
uint64_t plan_params(const Plan *p);
/* A hash of what a checkpoint depends on: names, shapes and types of PARAM and STATE. */
uint64_t plan_hash(const Plan *p);
/* And of all that it does: buffers, kernels with their geometry, steps; not of data, rate, epochs. */
uint64_t plan_work_hash(const Plan *p);
#endif
