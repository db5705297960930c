/* device.h: what the executor needs of a device: one arena of memory, copies, and launches.
 * Every buffer is an offset in the arena. Functions return false with the fault filled. A
 * device is opened by its own function (cpu_open) and is one struct in one file. */
#ifndef LCW_DEVICE_H
#define LCW_DEVICE_H
#include "fault.h"
#include "plan.h"

typedef struct Device Device;
struct Device {
  const char *name; /* "host" */
  const char *isa;  /* "avx2" */
  uint32_t threads;
  bool (*alloc)(Device *, uint64_t bytes, Fault *);
  void (*put)(Device *, uint64_t offset, const void *from, uint64_t n);
  void (*get)(Device *, void *to, uint64_t offset, uint64_t n);
  void (*copy)(Device *, uint64_t to, uint64_t from, uint64_t n);
  void (*zero)(Device *, uint64_t offset, uint64_t n);
  /* Runs kernel k of the plan on narg buffers. */
  void (*launch)(Device *, const Plan *, uint32_t k, const uint32_t *buf, uint32_t narg);
  void (*close)(Device *);
};

/* The host: kernels of the table row that `cpu` asks for ("native" or NULL: the best that this
 * machine runs; else a name; a missing one is LCW_DEVICE). threads 0: as many as CPUs. */
Device *cpu_open(const Plan *p, const HostTable *table, const char *cpu, uint32_t threads,
                 Fault *f);
/* The row of the table that `cpu` names, or NULL with the fault. */
const HostTable *cpu_select(const HostTable *table, const char *cpu, Fault *f);
/* True if this machine runs code of that name: "avx512", "avx2", "baseline". */
bool cpu_runs(const char *isa);
uint32_t cpu_count(void);
#endif
