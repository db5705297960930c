/* target.h: what a target offers the compiler. It sees Kernels and a Plan, never a Graph.
 *
 * tile     writes k->launch: pieces of work, scratch, grid. Deterministic, and the same for
 *          every instruction set of the target, so that one Plan serves all of them.
 * emit     writes one kernel as text of the target (`llvm`, `asm`, `cuda`, `ptx`), for people.
 * compile  makes code of all kernels; the result is target-specific (host.h, cuda.h). */
#ifndef LCW_TARGET_H
#define LCW_TARGET_H
#include "kernel.h"

typedef struct Target {
  const char *name;                                            /* "host", "cuda" */
  void (*tile)(Kernel *k);
  bool (*emit)(const Kernel *k, const char *kind, const char *isa, Text *out, Text *why);
} Target;

extern const Target target_host;
extern const Target target_cuda;

/* ---- host (host.c, object.c; LLVM C API) ---------------------------------------------- */

/* Relocatable objects: kernels compiled in `threads` groups side by side, and the model object
 * that holds the Plan's bytes and the tables (plan.h: lcw_plan, lcw_table). */
typedef struct { void *bytes; size_t size; } HostObject;
typedef struct { HostObject *object; uint32_t nobject; double emit_ms, optimise_ms, code_ms; } HostModel;

/* isa: NULL-terminated list of "avx512", "avx2", "baseline"; best first. `name` of kernel i is its
 * symbol. False and a message in `why` on an LLVM error. Objects live in `arena`. */
bool host_compile(Arena *arena, Kernel *const *kernel, uint32_t nkernel, const Plan *plan,
                  const char *const *isa, uint32_t threads, HostModel *out, Text *why);

/* One more object: the Plan of the CUDA target and its images (plan.h: lcw_cuda_plan, lcw_image). */
bool host_images(Arena *arena, const Plan *plan, const PlanImage *image, HostModel *m, Text *why);

/* Loads the objects into this process; the returned pointers live until host_unload(). */
typedef struct HostJit HostJit;
HostJit *host_load(const HostModel *m, const Plan **plan, const HostTable **table, Text *why);
void host_unload(HostJit *j);

/* The best instruction set of this machine: "avx512", "avx2" or "baseline". */
const char *host_isa(void);

#endif
