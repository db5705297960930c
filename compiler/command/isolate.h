/* isolate.h: every launch of a training step by itself. A device that stands before another: it
 * notes what a launch reads and what it writes, and computes the nodes of the fused Graph that the
 * kernel stands for in float64 from the very numbers that it read. So an error is seen at the
 * kernel that makes it, under a bound of that kernel alone.
 *
 * In any phase; a phase begins with what the leaves hold.
 *
 *   Isolate s; isolate_open(&s, &compile, session.device); executor.device = &s.relay.device; */
#ifndef LCW_ISOLATE_H
#define LCW_ISOLATE_H
#include "compare.h"
#include "relay.h"

typedef struct {
  Difference worst;
  const char *where;          /* the tensor with the worst */
  uint32_t compared, skipped; /* outputs; skipped: one that needs more than the launch reads */
} LaunchCheck;

typedef struct {
  Relay relay; /* first, so that a Device of it is an Isolate */
  const Compile *c;
  const char *const *only; /* [kernels] those with a text here are looked at; NULL: all */
  LaunchCheck *check; /* [calls of the program] */
  Phase phase;        /* of the last launch, */
  uint32_t call;      /* and which it was, counted from 1 */
  bool *written;      /* [buffers of the program] by an earlier launch of that phase */
} Isolate;

/* Element i of a buffer. */
double isolate_element(const void *p, DType type, uint64_t i);
void isolate_open(Isolate *s, Compile *c, Device *real);

#endif
