/* plan_make.h: the pass `plan`: from a Program and what the Model says of the run to the bytes of
 * a Plan (plan.h).
 *
 * Order and lifetimes: calls run in the Program's order; a temporary lives from its first to its
 * last call of one phase. Arena: buffers that outlive a phase come first, then temporaries, whose
 * memory is shared by those that are never alive together. */
#ifndef LCW_PLAN_MAKE_H
#define LCW_PLAN_MAKE_H
#include "kernel.h"
#include "model.h"

Plan *plan_make(const Program *p, const Model *m, const char *source, Sources *sources, Arena *arena);

#endif
