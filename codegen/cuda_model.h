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
  const char *folder;       /* --kernels=DIR: where edited kernels are, or NULL */
  const char *const *edited; /* [nkernel] text that replaces a kernel's, or NULL; NULL: none */
  const char *cache;        /* folder (cuda_cache_folder()), or NULL: none */
  Sources *sources;         /* for #line and messages; NULL: none */
} CudaBuild;

typedef struct {
  PlanImage *image;         /* [nimage], cubins in the order asked for, then PTX; then IMAGE_NONE */
  uint32_t nimage, nkernel;
  SassCount *resource;      /* [nimage][nkernel] registers, spills, instructions; zeros for PTX */
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
/* Finds the kernels that one text serves (Launch.text), once all are tiled. */
void cuda_share(Kernel *const *kernel, uint32_t nkernel, uint32_t arch, Arena *arena);
uint32_t cuda_texts(Kernel *const *kernel, uint32_t nkernel); /* how many have their own */
/* The architecture of a list whose limits hold for all of it (tile for this one). */
uint32_t cuda_weakest(const CudaBuild *b);

/* LCW_OK; LCW_DEVICE: no compiler, `why` says what to install; LCW_INTERNAL (LCW_INPUT for
 * an edited kernel): the compiler refused the text, `why` has the line of the .lcwnet and of the
 * text; LCW_USAGE: an architecture that the compiler doesn't know. */
int cuda_compile(Arena *arena, Kernel *const *kernel, uint32_t nkernel, const CudaBuild *b,
                 CudaModel *out, Text *why);
/* The program, not compiled. line[i]: the first line of kernel i in it; line[nkernel]: one behind
 * the last. False: a kernel can't be expressed. */
bool cuda_program(Kernel *const *kernel, uint32_t nkernel, const CudaBuild *b, Text *out,
                  uint32_t *line, Text *why);

/* ---- cuda_cache.c -------------------------------------------------------------------------- */

/* An entry holds its whole key (versions, options, architecture, text), which is compared when it is
 * read, the image, and what the compiler said. The folder must be the user's own and nobody else's
 * to write to; entries appear whole or not at all. */
typedef struct { int fd; const char *folder; } CudaCache; /* fd -1: not used */

/* $XDG_CACHE_HOME/lcwc, else ~/.cache/lcwc; NULL if neither can be named. */
const char *cuda_cache_folder(Arena *arena);
/* Opens the folder, and makes it if `make`. False, and a sentence in `note`, if it can't be used. */
bool cuda_cache_open(CudaCache *c, Arena *arena, const char *folder, bool make, Text *note);
void cuda_cache_close(CudaCache *c);
/* The entry of a key; false if there is none. A damaged one is said in `note`. */
bool cuda_cache_get(const CudaCache *c, Arena *arena, const Text *key, CudaImage *out, Text *note);
void cuda_cache_put(const CudaCache *c, const Text *key, const CudaImage *image, Text *note);

typedef struct { const char *name, *title; uint64_t bytes; int64_t made; bool damaged; } CudaEntry;
typedef struct { CudaEntry *entry; uint32_t nentry, capentry; uint64_t bytes; } CudaEntries;
void cuda_cache_list(const CudaCache *c, Arena *arena, CudaEntries *out);
bool cuda_cache_remove(const CudaCache *c, const CudaEntry *e);

/* ---- cuda_tools.c: which compilers there are ------------------------------------------------ */

typedef struct {
  Nvrtc *nvrtc;             /* NULL: not found. Loaded, unless the cache knows its version */
  const char *nvrtc_name;   /* "NVRTC 13.0"; NULL */
  int version[2];           /* of NVRTC; of the CUDA whose drivers read its PTX */
  const char *clang_name;   /* "clang 19.1.7"; NULL */
  const char *missing;      /* what was not found, and what to install; "" : nothing */
  const char *note;         /* what the cache has to say; "" : nothing */
} CudaTools;

/* Opens the compiler asked for; ANY: NVRTC, and clang if there is none (or if `both`). An `nvrtc`
 * that is named is asked for. CudaTools says what was found. `cache`: where the version of NVRTC is
 * remembered, so that it is loaded (nvrtc_load) only when it compiles; NULL: it is loaded here. */
void cuda_tools_open(CudaTools *t, Arena *arena, CudaCompiler compiler, bool both,
                     const char *nvrtc, const CudaCache *cache);
void cuda_tools_close(CudaTools *t);

#endif
