/* agree.h: a network compiled twice, once for the float64 interpreter (the Graph before `fuse`) and
 * once for the host, fed the same batches. It is the oracle of whole networks: every phase, every
 * lowering, every kernel of it. */
#ifndef LCW_TEST_AGREE_H
#define LCW_TEST_AGREE_H
#include "command.h"
#include "session.h"

typedef struct {
  Compile reference, host;
  Interpreter *interpreter;
  HostJit *jit;
  const Plan *plan;
  Session session;
  uint64_t step, seed;
  const char *isa[2]; /* --cpu, else this machine's */
} Agree;

/* argv as after `lcwc train`: FILE NET [options]. False after a printed message. */
bool agree_open(Agree *a, int argc, char **argv);
void agree_close(Agree *a);
/* Runs init on both sides. */
bool agree_init(Agree *a);
/* Copies every PARAM and STATE of the host to the interpreter. */
void agree_copy(Agree *a);
/* The host's elements of a PARAM or STATE of the reference graph; free them. NULL: it has none. */
double *agree_host(const Agree *a, Val v);
/* One training step on both, on the same batch. */
bool agree_step(Agree *a);

/* The PARAM or STATE in which host and interpreter are furthest apart, by the largest difference
 * over the largest element of the tensor, or over `least` where that is larger. */
typedef struct {
  const char *name;
  double difference, largest;
} Apart;
Apart agree_apart(const Agree *a, double least);
/* The same by the largest ratio of the difference to the bound that the interpreter carried:
 * above 1 the host has computed something else. Only after interpreter_track(). */
Apart agree_beyond(const Agree *a);

#endif
