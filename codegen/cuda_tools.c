/* cuda_tools.c: which compilers of CUDA text this machine has. In: what was asked for. Out: what
 * was found, under its name and version, and a sentence for what was not. */
#include "cuda_model.h"
#include <stdio.h>
#include <string.h>
#include "version.h"

/* What NVRTC said when it was loaded: its version. The file is known by path, size and time, and a
 * new one is asked again. */
static bool version_recall(CudaTools *t, Arena *arena, const CudaCache *cache, const Text *key,
                           Text *note) {
  CudaImage kept;
  return cache && cuda_cache_get(cache, arena, key, &kept, note) &&
         sscanf(kept.bytes, "%d.%d", &t->version[0], &t->version[1]) == 2;
}

static bool version_ask(CudaTools *t, Arena *arena, const CudaCache *cache, const Text *key,
                        Text *missing, Text *note) {
  if (!nvrtc_load(t->nvrtc, missing)) return false;
  bool known = nvrtc_version(t->nvrtc, &t->version[0], &t->version[1]);
  char *said = arena_printf(arena, "%d.%d", t->version[0], t->version[1]);
  CudaImage keep = {said, strlen(said), said + strlen(said)};
  if (cache && known) cuda_cache_put(cache, key, &keep, note);
  return true;
}

static void nvrtc_take(CudaTools *t, Arena *arena, const char *path, const CudaCache *cache,
                       Text *missing, Text *note) {
  Text key;
  text_init(&key, arena);
  if (!(t->nvrtc = nvrtc_find(arena, path, missing))) return;
  text_add(&key, "lcwc " LCW_VERSION ", the version of %s\n", nvrtc_file(t->nvrtc));
  if (version_recall(t, arena, cache, &key, note) ||
      version_ask(t, arena, cache, &key, missing, note))
    t->nvrtc_name = arena_printf(arena, "NVRTC %d.%d", t->version[0], t->version[1]);
  else t->nvrtc = NULL;
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
                     const char *nvrtc, const CudaCache *cache) {
  Text missing, note;
  text_init(&missing, arena), text_init(&note, arena);
  *t = (CudaTools){0};
  bool clang = compiler == COMPILER_CLANG || (compiler == COMPILER_ANY && !nvrtc);
  if (compiler != COMPILER_CLANG) nvrtc_take(t, arena, nvrtc, cache, &missing, &note);
  if (clang && (both || !t->nvrtc)) clang_take(t, arena, &missing);
  t->missing = missing.n ? missing.s : "";
  t->note = note.n ? note.s : "";
}

void cuda_tools_close(CudaTools *t) {
  nvrtc_close(t->nvrtc);
  t->nvrtc = NULL;
}
