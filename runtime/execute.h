/* execute.h: the one executor. It walks the steps of a phase, fills inputs from the batch,
 * launches kernels on the device and keeps a host copy of every output that was fetched. */
#ifndef LCW_EXECUTE_H
#define LCW_EXECUTE_H
#include "data.h"
#include "device.h"

/* What the inputs of one run of a phase are filled from. */
typedef struct Batch {
  const DataSplit *split;
  const uint32_t *row; /* rows of the split, `rows` of them; the rest of the batch is zero */
  uint32_t rows;
  float rate;
  uint32_t step, seed; /* keys of the random generator: steps done before this one, seed */
} Batch;

typedef struct Executor {
  const Plan *plan;
  Device *device;
  const Data *data;
  const float *scale, *shift; /* of the data, one per channel */
  uint32_t channels;
  char *output;     /* host copies of the outputs, one after the other */
  uint64_t output_bytes;
  uint64_t *at;     /* where the copy of buffer i begins in `output` */
  bool fresh;       /* no phase has run: the device's memory is zero, as it was allocated */
  double *seconds;  /* of each step, summed over runs; NULL: not measured */
} Executor;

bool executor_open(Executor *e, const Plan *p, Device *d, const Data *data, Fault *f);
void executor_close(Executor *e);
/* From now on the time of every step is summed in e->seconds. */
bool executor_measure(Executor *e, Fault *f);
bool execute_phase(Executor *e, Phase phase, const Batch *batch, Fault *f);
/* The host copy of output buffer i, as last fetched. */
const float *executor_output(const Executor *e, uint32_t i);
double clock_seconds(void);
#endif
