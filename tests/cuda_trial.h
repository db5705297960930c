/* cuda_trial.h: generated CUDA text on the simulated device (runtime/ptxsim) with every check, held
 * against kernel_eval(). In: kernels with distinct names, compiled together as one program. Out:
 * a verdict on each: a check that fired, or the first wrong element. */
#ifndef LCW_CUDA_TRIAL_H
#define LCW_CUDA_TRIAL_H
#include "cuda.h"
#include "kernel_run.h"
#include "ptxsim/sim.h"

typedef enum { TRIAL_NVRTC, TRIAL_CLANG, TRIAL_COMPILERS } TrialCompiler;
extern const char *const trial_compiler[TRIAL_COMPILERS]; /* their names */

typedef struct {
  TrialCompiler compiler;
  Nvrtc *nvrtc;
  Sim *sim;
  SimModule *module; /* of the last program */
  SimFault fault;    /* of the last run */
  CudaOptions options;
} Trial;

/* What a programme of trials counts, and how it fails one: FAIL nvrtc WHAT: DETAIL. */
typedef struct { uint32_t passed, failed, skipped; } Count;
void trial_verdict(Count *c, bool good, const Trial *t, const char *what, const char *detail);

/* The body of main(): what is checked with each compiler, or the one of a name; one that is not
 * there is skipped by name. The exit code. */
typedef void TrialCheck(Trial *t, Arena *arena, Count *c, const void *context);
int trials_run(const char *only, TrialCheck *check, const void *context);

/* False and the reason: this compiler is not there. */
bool trial_open(Trial *t, Arena *arena, TrialCompiler compiler, Text *why);
void trial_close(Trial *t);

/* Compiles kernels to the program that the next runs use, in place of the one before. */
bool trial_compile(Trial *t, Arena *arena, Kernel *const *k, uint32_t n, Text *why);
/* Compiles them to a cubin for an architecture, which is not run: there is code for each, and none
 * spills. Only with NVRTC, if it knows the architecture. */
bool trial_cubin(Trial *t, Arena *arena, Kernel *const *k, uint32_t n, uint32_t arch, Text *why);
/* The same of a text, prelude and all. */
bool trial_load(Trial *t, Arena *arena, const char *text, Text *why);

/* Runs one of its kernels on these buffers. False: a check fired, or a ticket is left behind. */
bool trial_run(Trial *t, const Kernel *k, Buffers *b, Text *why);

/* The same on random contents; in tf32 the operands are rounded first. Compares. */
bool trial_agrees(Trial *t, Arena *arena, const Kernel *k, uint32_t seed, Text *why);

/* What all runs of a kernel of this name were counted to do; NULL: none. */
const SimCounters *trial_counters(const Trial *t, const char *name);
/* Of that, sectors of global memory over the ideal. */
double trial_sectors(const Trial *t, const char *name);

#endif
