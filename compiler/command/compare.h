/* compare.h: one training step twice: by the kernels on the device that the options ask for, and by
 * the float64 interpreter on the Graph before `fuse`, from equal parameters and on the same batch.
 * The interpreter carries a bound of what float32 may do to each element, so that right and wrong
 * are told apart without a tolerance of anyone's choosing. */
#ifndef LCW_COMPARE_H
#define LCW_COMPARE_H
#include "code.h"
#include "session.h"

/* A Graph and who runs it. */
typedef struct {
  Compile c;
  Interpreter *t;
} Reference;

typedef struct {
  Compile made;
  Code code;             /* of `made` */
  Session session;
  Reference exact;       /* the Graph before `fuse` */
  Reference rounded;     /* in tf32 and bf16: the Graph that says what is rounded */
  const double **before; /* [buffers of the plan] a PARAM or STATE before the step; NULL: another */
  uint64_t seed;
} Compare;

/* Compiles both and opens the data. False after a message; *exit. */
bool compare_open(Compare *x, Arguments *a, int *exit);
void compare_close(Compare *x);
/* Gives the interpreter the parameters of the device, and takes a step on both. */
bool compare_step(Compare *x, int *exit);

/* The largest difference of an element; ratio: over its bound, so above 1 is wrong; largest: the
 * largest element of the reference; bound: the largest bound, which says little beyond that.
 * square, moved, rounding: root mean squares, of the differences, of what the reference did to the
 * tensor, and of what tf32 or bf16 alone do to that; of a difference only what rounding of the
 * number itself does not explain. */
typedef struct {
  double ratio, difference, largest, bound, square, moved, rounding;
} Difference;
void difference_add(Difference *d, double have, double want, double bound);
/* For a PARAM, STATE or OUTPUT of the plan; false if the reference has no value of that name. */
bool compare_buffer(Compare *x, uint32_t buffer, Difference *out);

/* Sets every INPUT of `g` from the rows of the first batch; rate and step as in the first step. */
void batch_feed(const Graph *g, Interpreter *t, const Session *s, uint64_t seed, double rate);

#endif
