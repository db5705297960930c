/* cuda_tools.c: which compilers of CUDA text this machine has. In: what was asked for. Out: what
 * was found, under its name and version, and a sentence for what was not. */
#include "cuda_model.h"
#include <string.h>

static void nvrtc_take(CudaTools *t, Arena *arena, const char *path, Text *missing) {
  int major, minor;
  t->nvrtc = nvrtc_open(arena, path, missing);
  if (!t->nvrtc) return;
  nvrtc_version(t->nvrtc, &major, &minor);
  t->nvrtc_name = arena_printf(arena, "NVRTC %d.%d", major, minor);
  t->nvrtc_ptx = (uint32_t)major;
}

static void clang_take(CudaTools *t, Arena *arena, Text *missing) {
  const char *version;
  Text why;
  text_init(&why, arena);
  if (clang_find(&why) && clang_version(arena, &version))
    t->clang_name = arena_printf(arena, "clang %s", version);
  else if (!why.n)
    text_add(&why, "clang-19 does not start\nhelp: apt-get install --reinstall clang-19");
  if (why.n) text_add(missing, "%s%s", missing->n ? "\n" : "", why.s);
}

void cuda_tools_open(CudaTools *t, Arena *arena, CudaCompiler compiler, bool both,
                     const char *nvrtc) {
  Text missing;
  text_init(&missing, arena);
  *t = (CudaTools){0};
  bool clang = compiler == COMPILER_CLANG || (compiler == COMPILER_ANY && !nvrtc);
  if (compiler != COMPILER_CLANG) nvrtc_take(t, arena, nvrtc, &missing);
  if (clang && (both || !t->nvrtc)) clang_take(t, arena, &missing);
  t->missing = missing.n ? missing.s : "";
}

void cuda_tools_close(CudaTools *t) {
  nvrtc_close(t->nvrtc);
  t->nvrtc = NULL;
}
