/* nvrtc.c: NVIDIA's compiler of CUDA text, opened with dlopen: it needs neither headers nor a GPU.
 * In: text, an architecture. Out: a cubin ("sm_80") or PTX ("compute_80"), and what it said. The
 * library is found first (nvrtc_find.c) and loaded when it has something to compile. */
#include "cuda.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct NvrtcProgramRecord *NvrtcProgram;

/*        name                    arguments after which it returns 0 on success                   */
#define NVRTC_TABLE(X)                                                                             \
  X(nvrtcVersion,                (int *major, int *minor))                                         \
  X(nvrtcGetNumSupportedArchs,   (int *n))                                                         \
  X(nvrtcGetSupportedArchs,      (int *arch))                                                      \
  X(nvrtcCreateProgram,          (NvrtcProgram * program, const char *text, const char *name,      \
                                  int n, const char *const *headers, const char *const *names))    \
  X(nvrtcCompileProgram,         (NvrtcProgram program, int n, const char *const *options))        \
  X(nvrtcDestroyProgram,         (NvrtcProgram * program))                                         \
  X(nvrtcGetProgramLogSize,      (NvrtcProgram program, size_t *size))                             \
  X(nvrtcGetProgramLog,          (NvrtcProgram program, char *log))                                \
  X(nvrtcGetPTXSize,             (NvrtcProgram program, size_t *size))                             \
  X(nvrtcGetPTX,                 (NvrtcProgram program, char *ptx))                                \
  X(nvrtcGetCUBINSize,           (NvrtcProgram program, size_t *size))                             \
  X(nvrtcGetCUBIN,               (NvrtcProgram program, char *cubin))

struct Nvrtc {
  const char *path, *file;         /* nvrtc_path() */
  void *library, *builtins;        /* NULL: not loaded yet */
#define X(name, arguments) int(*name) arguments;
  NVRTC_TABLE(X)
#undef X
};

/* ---- loading it ------------------------------------------------------------------------------ */

/* Stores the address of a symbol in a function pointer; false if there is none. */
static bool symbol_find(void *library, const char *name, void *pointer) {
  void *symbol = dlsym(library, name);
  memcpy(pointer, &symbol, sizeof symbol);
  return symbol != NULL;
}

Nvrtc *nvrtc_find(Arena *arena, const char *path, Text *why) {
  Nvrtc *n = NEW(arena, Nvrtc);
  n->path = nvrtc_path(arena, path, &n->file, why);
  return n->path ? n : NULL;
}

const char *nvrtc_file(const Nvrtc *n) { return n->file; }

/* Its built-in functions are a library of their own, which NVRTC asks for by name alone: the one beside
 * it is loaded first, since the loader need not know that folder (PyTorch's, say). */
static void builtins_load(Nvrtc *n) {
  char path[4096];
  int major, minor, folder = (int)(strrchr(n->path, '/') + 1 - n->path);
  if (!nvrtc_version(n, &major, &minor)) return;
  int size = snprintf(path, sizeof path, "%.*slibnvrtc-builtins.so.%d.%d", folder, n->path, major, minor);
  if (size < (int)sizeof path) n->builtins = dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

bool nvrtc_load(Nvrtc *n, Text *why) {
  if (n->library) return true;
  n->library = dlopen(n->path, RTLD_NOW | RTLD_LOCAL);
  if (!n->library) {
    text_add(why, "NVRTC cannot be loaded from %s: %s" NVRTC_HELP, n->path, dlerror());
    return false;
  }
#define X(name, arguments)                                                                         \
  if (!symbol_find(n->library, #name, &n->name)) {                                                 \
    text_add(why, "%s is no NVRTC of CUDA 12 or 13: it has no %s", n->path, #name);                \
    nvrtc_close(n);                                                                                \
    return false;                                                                                  \
  }
  NVRTC_TABLE(X)
#undef X
  builtins_load(n);
  return true;
}

Nvrtc *nvrtc_open(Arena *arena, const char *path, Text *why) {
  Nvrtc *n = nvrtc_find(arena, path, why);
  return n && nvrtc_load(n, why) ? n : NULL;
}

void nvrtc_close(Nvrtc *n) {
  if (n && n->library) dlclose(n->library);
  if (n && n->builtins) dlclose(n->builtins);
  if (n) n->library = n->builtins = NULL;
}

bool nvrtc_version(const Nvrtc *n, int *major, int *minor) {
  *major = *minor = 0;
  return n->nvrtcVersion(major, minor) == 0;
}

bool nvrtc_supports(const Nvrtc *n, uint32_t arch, Text *known) {
  int each[64], count = 0;
  bool found = false;
  if (n->nvrtcGetNumSupportedArchs(&count) || count > (int)COUNT_OF(each)) return true; /* unknown */
  if (n->nvrtcGetSupportedArchs(each)) return true;
  for (int i = 0; i < count; i++) {
    found |= each[i] == (int)arch;
    text_add(known, "%ssm_%d", i ? " " : "", each[i]);
  }
  return found;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static char *log_read(const Nvrtc *n, Arena *arena, NvrtcProgram program) {
  size_t size = 0;
  if (n->nvrtcGetProgramLogSize(program, &size) || !size) size = 1;
  char *log = arena_alloc(arena, size + 1);
  if (size > 1) n->nvrtcGetProgramLog(program, log);
  return log;
}

/* Takes the folder out of `.file 1 "FOLDER/mlp.lcwnet"`: the same text, the same bytes anywhere.
 * What is not wanted becomes spaces before the quotation mark; PTX is as long as before. */
static void folder_remove(char *ptx) {
  char folder[1024];
  if (!getcwd(folder, sizeof folder - 1)) return;
  size_t n = strlen(folder);
  folder[n++] = '/';
  for (char *at = ptx; (at = strstr(at, "\n\t.file\t"));) {
    char *quote = strchr(at + 1, '"');
    at++;
    if (!quote || strncmp(quote + 1, folder, n)) continue;
    memset(quote, ' ', n);
    quote[n] = '"';
  }
}

static bool result_read(const Nvrtc *n, Arena *arena, NvrtcProgram program, bool ptx,
                        CudaImage *out) {
  if ((ptx ? n->nvrtcGetPTXSize : n->nvrtcGetCUBINSize)(program, &out->size) || !out->size)
    return false;
  out->bytes = arena_alloc(arena, out->size + 1);
  if ((ptx ? n->nvrtcGetPTX : n->nvrtcGetCUBIN)(program, out->bytes)) return false;
  if (ptx) folder_remove(out->bytes);
  return true;
}

bool nvrtc_compile(Nvrtc *n, Arena *arena, const char *text, const char *name, const char *arch,
                   CudaImage *out) {
  NvrtcProgram program = NULL;
  bool ptx = !strncmp(arch, "compute_", 8);
  const char *option[] = {NVRTC_OPTIONS, arena_printf(arena, "--gpu-architecture=%s", arch),
                          ptx ? "--generate-line-info" : "--ptxas-options=-v"};
  *out = (CudaImage){.log = arena_text(arena, "NVRTC could not begin a program", 31)};
  if (n->nvrtcCreateProgram(&program, text, name, 0, NULL, NULL)) return false;
  bool done = n->nvrtcCompileProgram(program, (int)COUNT_OF(option), option) == 0;
  out->log = log_read(n, arena, program);
  if (done) done = result_read(n, arena, program, ptx, out);
  n->nvrtcDestroyProgram(&program);
  return done;
}
