/* cuda_arch.h: what the devices of an architecture have, and what a kernel gets of it.
 *
 * In: an architecture of cuda_arch.def, a kernel's launch and, if there is a cubin, its counts.
 * Out: how many of its blocks a multiprocessor holds and why no more; the time that it can't be
 * faster than. Nothing was measured: the figures are those of the table, the time is a bound. */
#ifndef LCW_CUDA_ARCH_H
#define LCW_CUDA_ARCH_H
#include "cuda.h"

typedef struct {
  uint32_t arch;
  const char *device;                  /* that stands for it */
  uint32_t processors, clock;          /* MHz */
  uint32_t shared, block;              /* bytes of a processor; the most of a block */
  uint32_t warps, blocks;              /* that a processor holds */
  uint32_t rate[PRECISIONS];           /* multiply-adds a clock and processor; 0: none */
  double bytes;                        /* of memory, per second */
} CudaArch;

enum { CUDA_REGISTERS = 65536, CUDA_SCHEDULERS = 4 }; /* of a processor */

/* The row of exactly that architecture; NULL: it is not in the table. */
const CudaArch *cuda_arch_find(uint32_t arch);
/* "sm_75, sm_80, ..." */
void cuda_arch_list(Text *out);

/* ---- occupancy ------------------------------------------------------------------------------- */

typedef enum { HELD_REGISTERS, HELD_SHARED, HELD_WARPS, HELD_BLOCKS, HELD_COUNT } CudaHeld;
typedef struct {
  uint32_t blocks, warps;              /* resident on a processor; 0: it can't be launched */
  CudaHeld by;                         /* what there is too little of for one more block */
  double share;                        /* of the warps that a processor can hold */
} CudaOccupancy;
extern const char *const cuda_held[HELD_COUNT]; /* "registers", "shared memory", ... */

/* A block of `threads`, each with `registers`, and `shared` bytes, static ones included. */
CudaOccupancy cuda_occupancy(const CudaArch *a, uint32_t threads, uint32_t registers,
                             uint32_t shared);

/* ---- time ------------------------------------------------------------------------------------ */

typedef enum { BOUND_COMPUTE, BOUND_BANDWIDTH, BOUND_LAUNCH, BOUND_COUNT } CudaBound;
typedef struct {
  double part[BOUND_COUNT];            /* seconds that each would take by itself */
  double seconds;                      /* of the launch and the longer of the others */
  CudaBound by;                        /* the longest */
} CudaEstimate;
extern const char *const cuda_bound[BOUND_COUNT]; /* "compute", "bandwidth", "launch" */

/* From the end of a kernel of a graph to the start of the next that needs it: an assumption. */
#define CUDA_LAUNCH_SECONDS 1.5e-6

/* Slabs of K that the main loop takes at a time: more than 1 if it was unrolled. */
uint32_t cuda_unrolled(const Kernel *k, const CudaLaunch *launch, const SassCount *count);
/* One launch. Compute: multiply-adds and instructions of the busiest processor, each at its full
 * rate; a loop that is not over slabs of K counts as if it ran once. Bandwidth: every argument
 * once. `count`: of a cubin, or NULL. */
CudaEstimate cuda_estimate(const CudaArch *a, const Kernel *k, const CudaLaunch *launch,
                           const SassCount *count);

#endif
