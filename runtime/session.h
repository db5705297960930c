/* session.h: a network on a device with its data: what training, evaluation and profiling have
 * in common. Everything is proved and counted before the first buffer is taken. */
#ifndef LCW_SESSION_H
#define LCW_SESSION_H
#include "checkpoint.h"
#include "execute.h"
#include "options.h"

typedef struct Session {
  const Plan *plan;
  Data data;
  Device *device;
  Executor exec;
  uint32_t *order; /* of the training samples in this epoch */
  uint32_t *rows;  /* 0, 1, 2, ...: the order of evaluation */
  uint64_t steps_per_epoch;
} Session;

/* Sums over the samples of a split, in the order of the samples. */
typedef struct Figures {
  double loss, hits, samples;
  double residual;
} Figures;

/* Opens the device that the options ask for, with the Plan for it. */
bool session_open(Session *s, const ModelCode *m, const RunOptions *o, Fault *f);
void session_close(Session *s);
/* Init and prepare, from the seed; init may look at the first minibatch. */
bool session_init(Session *s, uint64_t seed, Fault *f);
/* Prepare alone, after PARAM and STATE were set. */
bool session_prepare(Session *s, uint64_t seed, uint64_t step, Fault *f);
/* Where a checkpoint of the network stood: loads it, prepares, and takes up what was computed, if
 * the same plan did on the same kind of device (*same). */
bool session_restore(Session *s, const Checkpoint *c, const TrainState *at, bool *same, Fault *f);
/* Every test sample exactly once; the last batch is padded and the padding not counted. */
bool session_evaluate(Session *s, uint64_t seed, uint64_t step, Figures *sum, Fault *f);
/* One training step on batch `position` of the present order; adds to `sum`. */
bool session_step(Session *s, uint64_t seed, uint64_t step, uint64_t position, float rate,
                  Figures *sum, Fault *f);
/* The mean, or NaN of nothing. */
static inline double figure_mean(double sum, double n) {
  return n > 0 ? sum / n : __builtin_nan("");
}
#endif
