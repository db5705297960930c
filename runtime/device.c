/* device.c: the device that the options of a run ask for. */
#include "device.h"
#include <stdio.h>
#include <stdlib.h>

static const char *const checks_word[] = {"all", "fast", "none"};

const Plan *device_plan(const ModelCode *m, const RunOptions *o, Fault *f) {
  int ordinal;
  if (!options_device(o, &ordinal, f)) return NULL;
  bool host = ordinal == ON_HOST;
  const Plan *p = host ? m->plan : m->cuda_plan;
  if (!p && host)
    fault_set(f, LCW_DEVICE, "this network was not compiled for the host\nhelp: --device=cuda, or "
                             "build with --target=host,...");
  if (!p && !host)
    fault_set(f, LCW_DEVICE, "this network was not compiled for a CUDA device\nhelp: build with "
                             "--target=host,sm_80,ptx; --device=host runs it as it is");
  return p;
}

/* The simulated device is told by its environment, as a driver of the system would be. */
static void tell_sim(const RunOptions *o) {
  char threads[32];
  snprintf(threads, sizeof threads, "%llu", (unsigned long long)o->sim_threads.n);
  if (o->sim_threads.given) setenv("LCWC_SIM_THREADS", threads, 1);
  if (o->sim_checks) setenv("LCWC_SIM_CHECKS", checks_word[o->sim_checks], 1);
}

bool device_arch(const RunOptions *o, uint32_t *arch, bool *ptx_only, Fault *f) {
  int ordinal;
  tell_sim(o);
  return options_device(o, &ordinal, f) && cuda_arch(o->driver, ordinal, arch, ptx_only, f);
}

Device *device_open(const ModelCode *m, const RunOptions *o, Fault *f) {
  int ordinal;
  uint32_t threads = o->threads.given ? (uint32_t)o->threads.n : 0;
  if (!options_device(o, &ordinal, f)) return NULL;
  if (ordinal == ON_HOST) return cpu_open(m, o->cpu, threads, f);
  tell_sim(o);
  return cuda_open(m->cuda_plan, m->image, o->driver, ordinal, f);
}
