/* nvrtc.c: the two compilers of generated text. In: text, an architecture. Out: a cubin by NVRTC,
 * which is opened with dlopen and needs neither headers nor a GPU; or PTX by clang, which needs
 * no CUDA SDK. What they said is in the image's log, also on success (registers, spills). */
#include "cuda.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- NVRTC ---------------------------------------------------------------------------------- */

typedef struct NvrtcProgramRecord *NvrtcProgram;

/*        name               arguments after which it returns 0 on success                        */
#define NVRTC_TABLE(X)                                                                             \
  X(nvrtcVersion,           (int *major, int *minor))                                              \
  X(nvrtcCreateProgram,     (NvrtcProgram * program, const char *text, const char *name, int n,    \
                             const char *const *headers, const char *const *names))                \
  X(nvrtcCompileProgram,    (NvrtcProgram program, int n, const char *const *options))             \
  X(nvrtcDestroyProgram,    (NvrtcProgram * program))                                              \
  X(nvrtcGetProgramLogSize, (NvrtcProgram program, size_t *size))                                  \
  X(nvrtcGetProgramLog,     (NvrtcProgram program, char *log))                                     \
  X(nvrtcGetCUBINSize,      (NvrtcProgram program, size_t *size))                                  \
  X(nvrtcGetCUBIN,          (NvrtcProgram program, char *cubin))

struct Nvrtc {
  void *library;
#define X(name, arguments) int(*name) arguments;
  NVRTC_TABLE(X)
#undef X
};

static const char *const nvrtc_place[] = {
  "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13",
  "/usr/local/cuda/lib64/libnvrtc.so.12",
};

static void *library_open(const char *path) {
  if (path) return dlopen(path, RTLD_NOW | RTLD_LOCAL);
  for (size_t i = 0; i < COUNT_OF(nvrtc_place); i++) {
    void *library = dlopen(nvrtc_place[i], RTLD_NOW | RTLD_LOCAL);
    if (library) return library;
  }
  return NULL;
}

/* Stores the address of a symbol in a function pointer; false if there is none. */
static bool symbol_find(void *library, const char *name, void *pointer) {
  void *symbol = dlsym(library, name);
  memcpy(pointer, &symbol, sizeof symbol);
  return symbol != NULL;
}

Nvrtc *nvrtc_open(Arena *arena, const char *path, Text *why) {
  Nvrtc *n = NEW(arena, Nvrtc);
  n->library = library_open(path);
  if (!n->library) {
    text_add(why, "NVRTC was not found (%s): it is part of the CUDA toolkit 12 or 13",
             path ? path : "libnvrtc.so.13, libnvrtc.so.12");
    return NULL;
  }
#define X(name, arguments)                                                                         \
  if (!symbol_find(n->library, #name, &n->name)) {                                                 \
    text_add(why, "this NVRTC has no %s", #name);                                                  \
    nvrtc_close(n);                                                                                \
    return NULL;                                                                                   \
  }
  NVRTC_TABLE(X)
#undef X
  return n;
}

void nvrtc_close(Nvrtc *n) {
  if (n) dlclose(n->library);
}

static void log_read(Nvrtc *n, Arena *arena, NvrtcProgram program, CudaImage *out) {
  size_t size = 0;
  if (n->nvrtcGetProgramLogSize(program, &size) || !size) size = 1;
  out->log = arena_alloc(arena, size + 1);
  if (size > 1) n->nvrtcGetProgramLog(program, out->log);
}

static bool cubin_read(Nvrtc *n, Arena *arena, NvrtcProgram program, CudaImage *out) {
  if (n->nvrtcGetCUBINSize(program, &out->size) || !out->size) return false;
  out->bytes = arena_alloc(arena, out->size);
  return n->nvrtcGetCUBIN(program, out->bytes) == 0;
}

bool nvrtc_compile(Nvrtc *n, Arena *arena, const char *text, const char *name, const char *arch,
                   CudaImage *out) {
  NvrtcProgram program = NULL;
  const char *option[] = {arena_printf(arena, "--gpu-architecture=%s", arch), "--ptxas-options=-v"};
  *out = (CudaImage){.log = arena_text(arena, "NVRTC could not begin a program", 31)};
  if (n->nvrtcCreateProgram(&program, text, name, 0, NULL, NULL)) return false;
  bool done = n->nvrtcCompileProgram(program, (int)COUNT_OF(option), option) == 0;
  log_read(n, arena, program, out);
  if (done) done = cubin_read(n, arena, program, out);
  n->nvrtcDestroyProgram(&program);
  return done;
}

/* ---- clang ---------------------------------------------------------------------------------- */

/* A whole file, with a NUL behind it; NULL if it can't be read. */
static char *file_read(Arena *arena, const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  struct stat st;
  if (!f) return NULL;
  char *bytes =
      fstat(fileno(f), &st) || st.st_size < 0 ? NULL : arena_alloc(arena, (size_t)st.st_size + 1);
  if (bytes) *size = fread(bytes, 1, (size_t)st.st_size, f);
  fclose(f);
  return bytes;
}

static bool file_write(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  if (!f) return false;
  bool done = fputs(text, f) >= 0;
  return fclose(f) == 0 && done;
}

/* Runs a program with its messages in a file; true if it ended with 0. */
static bool program_run(const char *const *argument, const char *log) {
  posix_spawn_file_actions_t actions;
  pid_t child;
  int status = -1;
  if (posix_spawn_file_actions_init(&actions)) return false;
  posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  char *argv[16] = {0};
  for (size_t i = 0; i < COUNT_OF(argv) - 1 && argument[i]; i++)
    memcpy(&argv[i], &argument[i], sizeof *argv);
  bool started = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ) == 0;
  while (started && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  posix_spawn_file_actions_destroy(&actions);
  return started && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Compiles within `folder`, which the caller made and removes. */
static bool clang_in(Arena *arena, const char *folder, const char *text, const char *arch,
                     CudaImage *out) {
  const char *source = arena_printf(arena, "%s/text.cu", folder),
             *ptx = arena_printf(arena, "%s/text.ptx", folder);
  const char *log = arena_printf(arena, "%s/log", folder);
  const char *argument[] = {
    "clang-19", "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-O2", "-S",
    arena_printf(arena, "--cuda-gpu-arch=%s", arch), "-o", ptx, source, NULL,
  };
  size_t size = 0;
  bool done = file_write(source, text) && program_run(argument, log);
  char *said = file_read(arena, log, &size);
  out->log = said ? said : arena_text(arena, "clang-19 could not be started", 29);
  if (done) out->bytes = file_read(arena, ptx, &out->size);
  unlink(source), unlink(ptx), unlink(log);
  return done && out->bytes;
}

bool clang_compile(Arena *arena, const char *text, const char *arch, CudaImage *out) {
  const char *root = getenv("TMPDIR");
  char *folder = arena_printf(arena, "%s/lcwc-XXXXXX", root && *root ? root : "/tmp");
  *out = (CudaImage){.log = arena_text(arena, "no folder for temporary files", 29)};
  if (!mkdtemp(folder)) return false;
  bool done = clang_in(arena, folder, text, arch, out);
  rmdir(folder);
  return done;
}
