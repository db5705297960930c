/* cuda_model.h: from the kernels of a network to what a driver loads.
 *
 * In: Kernels that cuda_tile() has given their geometry, architectures, a compiler, a folder for
 * the cache. Out: a PlanImage for each architecture (plan.h), what the compiler said of every
 * kernel, the text. All kernels are one program: prelude.cu and their texts, with `#line`.
 *
 *   CudaBuild b = {.arch = {80, 90}, .narch = 2, .ptx = 80, .tiled = cuda_weakest(...), ...};
 *   int code = cuda_compile(&c->perm, kernel, nkernel, &b, &model, &why);
 *
 * Two compilers: NVRTC (libnvrtc, found by dlopen: cubins and PTX) and clang-19 (PTX only; no CUDA
 * SDK). NVRTC is taken if it is there, else clang, and `compiler` says which. The environment names
 * other places: LCWC_NVRTC, LCWC_CLANG. */
#ifndef LCW_CUDA_MODEL_H
#define LCW_CUDA_MODEL_H
#include "cuda.h"
#include "exit.h"

enum { CUDA_MAX_ARCH = 12 };
typedef enum { COMPILER_ANY, COMPILER_NVRTC, COMPILER_CLANG, COMPILERS } CudaCompiler;

/* What is to be made, and by what. */
typedef struct {
  uint32_t arch[CUDA_MAX_ARCH], narch; /* a cubin for each: 80 for sm_80; only NVRTC makes them */
  uint32_t ptx;             /* PTX for this architecture and later ones; 0: none */
  uint32_t tiled;           /* the architecture that cuda_tile() was called with */
  CudaCompiler compiler;
  bool oldest;              /* PTX for drivers as old as can be: by clang if its PTX is older */
  const char *nvrtc;        /* --nvrtc=PATH, or NULL */
  const char *cache;        /* folder (cuda_cache_folder()), or NULL: none */
  Sources *sources;         /* for #line and messages; NULL: none */
} CudaBuild;

/* Of one kernel in one cubin. */
typedef struct {
  SassCount count;          /* registers, spills, instructions */
  uint32_t shared;          /* static bytes; the dynamic ones are in Launch.shared */
} CudaResource;

typedef struct {
  PlanImage *image;         /* [nimage], cubins in the order asked for, then PTX; then IMAGE_NONE */
  uint32_t nimage, nkernel;
  CudaResource *resource;   /* [nimage][nkernel]; zeros for PTX */
  const char **log;         /* [nimage] what the compiler said; also on a hit of the cache */
  const char **compiler;    /* [nimage] "NVRTC 13.0", "clang 19.1.7" */
  const char *text;
  size_t text_size;
  uint32_t hits;            /* images that came from the cache */
  const char *note;         /* what the user should hear (a cache not used, and why); "" : nothing */
  double ms;
} CudaModel;

/* Writes the geometry for one architecture: shared memory decides the stages. */
void cuda_tile(Kernel *k, uint32_t arch);
/* The architecture of a list whose limits hold for all of it (tile for this one). */
uint32_t cuda_weakest(const CudaBuild *b);

/* LCW_OK; LCW_DEVICE: no compiler, `why` says what to install; LCW_INTERNAL: the compiler refused
 * the text, `why` has the line of the .lcwnet and of the text; LCW_USAGE: an architecture that the
 * compiler doesn't know. */
int cuda_compile(Arena *arena, Kernel *const *kernel, uint32_t nkernel, const CudaBuild *b,
                 CudaModel *out, Text *why);
/* The program without compiling it; LCW_OK or LCW_INTERNAL. */
int cuda_program(Kernel *const *kernel, uint32_t nkernel, const CudaBuild *b, Text *out, Text *why);

/* ---- cuda_cache.c -------------------------------------------------------------------------- */

/* $XDG_CACHE_HOME/lcwc, else ~/.cache/lcwc; NULL if neither can be named. */
const char *cuda_cache_folder(Arena *arena);

#endif
