/* cuda_meter.c: what phases cost a CUDA device: the time between two events in its stream, around
 * every replay of a phase; and what it counted, if it is the simulated one. From the first reading
 * on; before that there are no events. */
#include "cuda_device.h"

void cuda_meter(Device *d, Reading *out) {
  Cuda *c = (Cuda *)(void *)d;
  for (int i = 0; i < 2; i++)
    if (!c->event[i] && !cuda_do(c, cuEventCreate, &c->event[i], 0)) c->event[i] = NULL;
  *out = (Reading){.ms = c->ms};
  out->counted = c->cu.counters && c->cu.counters(&out->count, sizeof out->count);
}

/* Begin (0) or end (1) of what is measured. */
void cuda_meter_mark(Cuda *c, int end) {
  if (c->event[1]) cuda_do(c, cuEventRecord, c->event[end], c->stream);
}

/* Adds what lies between, once it is done. */
void cuda_meter_add(Cuda *c) {
  float ms = 0;
  if (c->event[1] && cuda_do(c, cuEventElapsedTime, &ms, c->event[0], c->event[1]))
    c->ms += (double)ms;
}

void cuda_meter_close(Cuda *c) {
  for (int i = 0; i < 2; i++)
    if (c->event[i]) cuda_undo(c, cuEventDestroy, c->event[i]);
}
