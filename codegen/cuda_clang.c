/* cuda_clang.c: clang-19, a Debian package, compiles the same text to PTX with no CUDA SDK. In: text,
 * an architecture. Out: PTX and what it said. Nothing is written to a disk: source, PTX and messages are files in
 * memory, at the other end of its standard input and outputs. */
#include "cuda.h"
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *clang_find(Text *why) {
  static const char *const place[] = {"/usr/bin/clang-19", "/usr/lib/llvm-19/bin/clang"};
  const char *named = secure_getenv("LCWC_CLANG");
  if (named && access(named, X_OK) == 0) return named;
  for (size_t i = 0; !named && i < COUNT_OF(place); i++)
    if (access(place[i], X_OK) == 0) return place[i];
  text_add(why, "clang-19 was not found (%s)\nhelp: apt-get install clang-19",
           named ? named : place[0]);
  return NULL;
}

/* ---- a program with its streams in memory ----------------------------------------------------- */

/* All that was written to a file in memory, with a NUL behind it. */
static char *memory_read(Arena *arena, int fd, size_t *size) {
  struct stat st;
  if (fstat(fd, &st) || st.st_size < 0) return NULL;
  char *bytes = arena_alloc(arena, (size_t)st.st_size + 1);
  *size = 0;
  while (*size < (size_t)st.st_size) {
    ssize_t n = pread(fd, bytes + *size, (size_t)st.st_size - *size, (off_t)*size);
    if (n <= 0 && errno != EINTR) return NULL;
    *size += n > 0 ? (size_t)n : 0;
  }
  return bytes;
}

static bool memory_write(int fd, const char *s, size_t n) {
  while (n) {
    ssize_t done = write(fd, s, n);
    if (done < 0 && errno != EINTR) return false;
    s += done > 0 ? done : 0;
    n -= done > 0 ? (size_t)done : 0;
  }
  return lseek(fd, 0, SEEK_SET) == 0;
}

/* Runs a program with `stream` as its first three descriptors; true if it ended with 0. */
static bool program_run(char **argv, const int *stream) {
  char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LC_ALL=C";
  char *environment[] = {path, lang, NULL};
  posix_spawn_file_actions_t actions;
  pid_t child;
  int status = -1;
  if (posix_spawn_file_actions_init(&actions)) return false;
  for (int i = 0; i < 3; i++) posix_spawn_file_actions_adddup2(&actions, stream[i], i);
  bool started = posix_spawn(&child, argv[0], &actions, NULL, argv, environment) == 0;
  while (started && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  posix_spawn_file_actions_destroy(&actions);
  return started && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Runs it on `text`; what it wrote to its outputs is in `out`. */
static bool program_filter(Arena *arena, char **argv, const char *text, CudaImage *out) {
  int stream[3];
  bool good = true;
  size_t size;
  for (int i = 0; i < 3; i++) good &= (stream[i] = memfd_create("lcwc", MFD_CLOEXEC)) >= 0;
  *out = (CudaImage){.log = arena_text(arena, "no memory for its files", 23)};
  if (good && memory_write(stream[0], text, strlen(text))) {
    good = program_run(argv, stream);
    out->bytes = memory_read(arena, stream[1], &out->size);
    out->log = memory_read(arena, stream[2], &size);
  } else good = false;
  for (int i = 0; i < 3; i++)
    if (stream[i] >= 0) close(stream[i]);
  return good && out->bytes && out->log;
}

/* ---- compiling ------------------------------------------------------------------------------- */

bool clang_version(Arena *arena, const char **version) {
  CudaImage said;
  Text why;
  text_init(&why, arena);
  const char *clang = clang_find(&why);
  if (!clang) return false;
  char *argv[] = {arena_printf(arena, "%s", clang), arena_printf(arena, "--version"), NULL};
  if (!program_filter(arena, argv, "", &said)) return false;
  const char *at = strstr(said.bytes, "version ");
  if (!at) return false;
  *version = arena_text(arena, at + 8, strcspn(at + 8, " \n"));
  return true;
}

/* The oldest PTX that has the instructions of an architecture: 7.0 is of CUDA 11. */
static uint32_t ptx_version(uint32_t arch) {
  static const struct { uint32_t arch, version; } since[] = {
    {90, 78}, {89, 78}, {87, 74}, {86, 71}, {80, 70},
  };
  for (size_t i = 0; i < COUNT_OF(since); i++)
    if (arch >= since[i].arch) return since[i].version;
  return 63;
}

bool clang_compile(Arena *arena, const char *text, const char *arch, CudaImage *out) {
  static const char *const option[] = {CLANG_OPTIONS};
  Text why;
  text_init(&why, arena);
  const char *clang = clang_find(&why);
  *out = (CudaImage){.log = why.s};
  if (!clang) return false;
  char *argv[COUNT_OF(option) + 8];
  size_t n = 0;
  argv[n++] = arena_printf(arena, "%s", clang);
  for (size_t i = 0; i < COUNT_OF(option); i++) argv[n++] = arena_printf(arena, "%s", option[i]);
  argv[n++] = arena_printf(arena, "--cuda-gpu-arch=%s", arch);
  argv[n++] = arena_printf(arena, "--cuda-feature=+ptx%u",
                           ptx_version((uint32_t)strtoul(arch + 3, NULL, 10)));
  argv[n++] = arena_printf(arena, "-o"), argv[n++] = arena_printf(arena, "-");
  argv[n++] = arena_printf(arena, "-"), argv[n] = NULL;
  return program_filter(arena, argv, text, out);
}
