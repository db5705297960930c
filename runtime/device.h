/* device.h: what the executor needs of a device: one arena of memory, copies, and launches.
 * Every buffer is an offset in the arena. A device is opened by its own function (cpu_open,
 * cuda_open; device_open chooses) and is one struct that begins with a Device.
 *
 * What a device does may fail long after it was asked for, so copies and launches return nothing:
 * the first failure stays in `fault`, from then on nothing is done, and whoever wants to rely on
 * what was done asks device_ok(). */
#ifndef LCW_DEVICE_H
#define LCW_DEVICE_H
#include "fault.h"
#include "model_code.h"
#include "options.h"

typedef struct Device Device;
struct Batch;
struct Executor;
struct Reading;

/* A device that records the steps of a phase once and replays them: what it is asked for between
 * begin() and end() is recorded. */
typedef struct Recorder {
  /* Once, when all else is open: where the phases are fed from. */
  bool (*open)(Device *, const struct Executor *, Fault *);
  /* True: the steps must be walked; false: they are known, or something is wrong. */
  bool (*begin)(Device *, Phase, const struct Batch *);
  /* Steps FEED and FETCH, by their index in the plan. */
  void (*feed)(Device *, uint32_t step);
  void (*fetch)(Device *, uint32_t step);
  /* Runs the phase to its end; what it fetched is on the host. */
  void (*end)(Device *, Phase);
} Recorder;

struct Device {
  const char *name; /* "host", "cuda" */
  const char *isa;  /* "avx2", "sm_80" */
  uint32_t threads; /* of the host, that compute */
  const char *about; /* what it is, for people; NULL: isa and threads say it */
  const Fault *fault; /* NULL: it cannot fail */
  const Recorder *recorder; /* NULL: every step is done as it comes */
  bool (*alloc)(Device *, uint64_t bytes, Fault *);
  void (*put)(Device *, uint64_t offset, const void *from, uint64_t n);
  void (*get)(Device *, void *to, uint64_t offset, uint64_t n);
  void (*copy)(Device *, uint64_t to, uint64_t from, uint64_t n);
  void (*zero)(Device *, uint64_t offset, uint64_t n);
  /* Runs kernel k of the plan on narg buffers. */
  void (*launch)(Device *, const Plan *, uint32_t k, const uint32_t *buf, uint32_t narg);
  void (*wait)(Device *); /* until all of it is done; NULL: it always is */
  void (*meter)(Device *, struct Reading *); /* NULL: only the clock on the wall tells (meter.h) */
  void (*close)(Device *);
};

/* True if nothing failed so far, else the fault. */
static inline bool device_ok(const Device *d, Fault *f) {
  if (!d->fault || !d->fault->code) return true;
  *f = *d->fault;
  return false;
}

/* The Plan that runs on the device that the options ask for; NULL with the fault if the model was
 * not compiled for it. Never the other one. */
const Plan *device_plan(const ModelCode *m, const RunOptions *o, Fault *f);
Device *device_open(const ModelCode *m, const RunOptions *o, Fault *f);
/* The architecture of the CUDA device that the options ask for, to compile for it: 86 for sm_86; and
 * whether its driver takes PTX only, as the simulated one does. */
bool device_arch(const RunOptions *o, uint32_t *arch, bool *ptx_only, Fault *f);

/* A CUDA device: the best of the images that it runs. `driver`: see cuda_driver_open(). */
Device *cuda_open(const Plan *p, const PlanImage *image, const char *driver, int ordinal,
                  Fault *f);

bool cuda_arch(const char *driver, int ordinal, uint32_t *arch, bool *ptx_only, Fault *f);

/* The host: kernels of the table row that `cpu` asks for ("native" or NULL: the best that this
 * machine runs; else a name; a missing one is LCW_DEVICE). threads 0: as many as CPUs. */
Device *cpu_open(const ModelCode *m, const char *cpu, uint32_t threads, Fault *f);
/* The row of the table that `cpu` names, or NULL with the fault. */
const HostTable *cpu_select(const HostTable *table, const char *cpu, Fault *f);
/* True if this machine runs code of that name: "avx512", "avx2", "baseline". */
bool cpu_runs(const char *isa);
uint32_t cpu_count(void);
#endif
