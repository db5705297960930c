/* cuda_run.h: generated CUDA text, run on the CPU through cuda_shim.h and held against
 * kernel_eval(). In: kernels with distinct names. Out: a verdict on each. */
#ifndef LCW_CUDA_RUN_H
#define LCW_CUDA_RUN_H
#include "cuda.h"
#include "kernel_run.h"

/* Adds the C text that runs a kernel: its CUDA text, with the first `find` in it replaced (NULL:
 * none), and a function run_NAME that launches it. Sets k->launch for
 * kernel_agrees(). */
bool cuda_run_text(Kernel *k, const CudaOptions *options, const char *find, const char *replace,
                   Text *out, Text *why);

/* Compiles and loads such texts, with files FOLDER/NAME.*; NULL and the reason: could not. */
void *cuda_run_load(Arena *arena, const char *texts, const char *folder, const char *name,
                    Text *why);

/* The function of one of the texts. */
HostKernel *cuda_run_code(Arena *arena, void *object, const Kernel *k, Text *why);

/* Runs one on random contents; in tf32 the operands are rounded first. */
bool cuda_run_agrees(Arena *arena, void *object, const Kernel *k, uint32_t seed, Text *why);

#endif
