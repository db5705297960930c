/* cuda.h: CUDA C text from Kernels, and what is learnt from compiling it.
 *
 * In: a Kernel, and the architecture whose shared memory the text may use. Out: text in the C
 * subset of CUDA, without includes, for the prelude followed by any number of kernels. The text
 * depends on nothing else: same Kernel and options, same bytes. It runs on every architecture
 * from that one on which has as much shared memory (cuda_shared_limit).
 *
 * A kernel is one function and one launch. Behind its buffers it takes numbers, if its text is to
 * serve kernels of other extents as well (cuda_numbers.c), and one with sums over several blocks the
 * workspace of plan.h (PlanImage). */
#ifndef LCW_CUDA_H
#define LCW_CUDA_H
#include "kernel.h"

typedef struct {
  uint32_t arch;           /* 80 for sm_80; 75 has no asynchronous copies: fp32 only */
  uint32_t tile;           /* of a CONTRACT: 0: the cheapest; n: the n-th for its precision */
  Sources *sources;        /* for #line; NULL: none */
} CudaOptions;

typedef struct {
  uint32_t grid[3], block, shared;
  uint32_t rows, columns;  /* of a CONTRACT: a block's tile; */
  uint32_t slab, slabs;    /* values of K that it takes at a time; how often */
  uint64_t workspace;      /* its bytes, tickets included; 0: no such argument */
  uint32_t nnumber;        /* arguments between the buffers and the workspace */
  int32_t number[MAX_NUMBER];
} CudaLaunch;

/* Bytes of shared memory that a block of this architecture can have. */
uint32_t cuda_shared_limit(uint32_t arch);

/* prelude.cu, embedded by the build; the array ends with a NULL name. */
typedef struct { const char *name, *text; size_t size; } PreludeFile;
extern const PreludeFile prelude_files[];

/* How the text of this kernel is to be launched. */
void cuda_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch);
/* Adds the text of one kernel; false and a sentence in `why` if it can't be expressed. */
bool cuda_text(const Kernel *k, const CudaOptions *o, Text *out, Text *why);
/* The same without the comment above it. */
bool cuda_function(const Kernel *k, const CudaOptions *o, Text *out, Text *why);

/* ---- nvrtc.c, cuda_clang.c: compilers of the text --------------------------------------- */

typedef struct Nvrtc Nvrtc;
typedef struct { char *bytes; size_t size; char *log; } CudaImage; /* in an arena, NUL behind */

/* Options that do not depend on the architecture; part of the key of the cache. (Never
 * --split-compile: what it makes depends on the number of its threads.) */
#define NVRTC_OPTIONS "--fmad=true", "--ftz=false", "--prec-div=true", "--prec-sqrt=true"
#define CLANG_OPTIONS                                                                           \
  "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-path=/var/empty",     \
      "-Wno-unknown-cuda-version", "-O2", "-ffp-contract=fast", "-gline-directives-only",       \
      "-ffile-compilation-dir=.", "-S"

#define NVRTC_HELP                                                                              \
  "\nhelp: it is part of the CUDA toolkit 12 or 13 (NVIDIA's package cuda-nvrtc-13-0); "        \
  "--nvrtc=PATH names another place"

/* Where libnvrtc is: `named`, else LCWC_NVRTC, else the sonames of CUDA 13 and 12 and the toolkit's
 * usual folders. `file`: its path, size and time; another file, another text. NULL: `why` says what
 * to install. */
const char *nvrtc_path(Arena *arena, const char *named, const char **file, Text *why);

/* Finds the library, and loads nothing; NULL: `why` says what to install. */
Nvrtc *nvrtc_find(Arena *arena, const char *path, Text *why);
const char *nvrtc_file(const Nvrtc *n); /* of nvrtc_path() */
/* Loads it, if it isn't yet: all that follows needs that. False: `why` says why not. */
bool nvrtc_load(Nvrtc *n, Text *why);
Nvrtc *nvrtc_open(Arena *arena, const char *path, Text *why); /* both */
void nvrtc_close(Nvrtc *n);
bool nvrtc_version(const Nvrtc *n, int *major, int *minor);
/* True if it compiles for sm_<arch>; those that it does are added to `known`. */
bool nvrtc_supports(const Nvrtc *n, uint32_t arch, Text *known);
/* Compiles to a cubin for "sm_80" or to PTX for "compute_80". False: the log says why. */
bool nvrtc_compile(Nvrtc *n, Arena *arena, const char *text, const char *name, const char *arch,
                   CudaImage *out);

/* The path of clang-19: LCWC_CLANG, else Debian's; NULL: `why` says what to install. */
const char *clang_find(Text *why);
bool clang_version(Arena *arena, const char **version); /* "19.1.7" */
/* The same text to PTX for "sm_80" by clang, with no CUDA SDK. */
bool clang_compile(Arena *arena, const char *text, const char *arch, CudaImage *out);

/* ---- sass.c: what a cubin holds ----------------------------------------------------------- */

/* Of the loop with most multiply instructions (HMMA, else FFMA), and of the whole function. */
typedef struct {
  uint32_t loop, after, total;                       /* instructions; NOPs at the end not counted */
  uint32_t multiplies, shared_loads, copies, global; /* in the loop: HMMA or FFMA; LDSM and LDS;
                                                      * LDGSTS; LDG and STG */
  bool matrix;                                       /* the multiplies are HMMA */
  uint32_t spills;                                   /* LDL and STL, anywhere */
  uint32_t registers, shared;                        /* a thread's; a block's static bytes */
} SassCount;

bool sass_count(const void *cubin, size_t size, const char *function, SassCount *out, Text *why);

#endif
