/* intrinsics.h: what the files of the intrinsics share. Each row of intrinsics.def is one
 * function do_<name>; a row without one does not link. */
#ifndef LCW_INTRINSICS_H
#define LCW_INTRINSICS_H
#include "expand.h"

/* One call: its arguments, evaluated, and where the user wrote it. */
typedef struct {
  Expander *x;
  Context *c;
  Value *arg;
  uint32_t n;
  Span at;
} Use;

typedef Value Intrinsic(Use *u);
#define INTRINSIC(name, fewest, most, synopsis) Intrinsic do_##name;
#include "intrinsics.def"

/* A value of the graph, or the graph's refusal as a message. */
Value use_made(Use *u, Val v);
/* Says that argument i is of another kind. */
Value use_refuse(Use *u, uint32_t i, const char *wanted);
/* Whether argument i is that; else a message. */
bool use_is_tensor(Use *u, uint32_t i);
bool use_is_int(Use *u, uint32_t i);
/* A list of ints, each in [low, 2^31). */
bool use_ints(Use *u, uint32_t i, int64_t low, int32_t *out, uint32_t most, uint32_t *n);
/* Storage sizes as a shape, within the limit of elements. */
bool use_shape(Use *u, uint32_t i, Shape *s);
uint8_t use_rank(Use *u, Val v);
/* Two ints: [h, w]. */
bool use_pair(Use *u, uint32_t i, int64_t low, int32_t *out);

#endif
