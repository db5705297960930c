/* link.c: writes the objects and the runtime into a private folder, calls cc as a linker without
 * a shell, and moves the result to its place. */
#include "link.h"
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "exit.h"
#include "front.h"

extern const StdlibFile trainer_files[]; /* liblcwrt.a, embedded at build */

enum { MAX_LINK = 128 };

static bool file_write(Compile *c, const char *path, const void *bytes, size_t size) {
  FILE *f = fopen(path, "wbx");
  bool ok = f && fwrite(bytes, 1, size, f) == size;
  if (f && fclose(f)) ok = false;
  return ok || compile_fail(c, LCW_DATA, "%s: cannot write: %s", path, strerror(errno));
}

/* Runs argv without a shell; true if it ended with 0. */
static bool tool_run(Compile *c, char **argv) {
  char path[] = "PATH=/usr/local/bin:/usr/bin:/bin", lang[] = "LC_ALL=C";
  char *environment[] = {path, lang, NULL};
  pid_t pid;
  int status, error = posix_spawn(&pid, argv[0], NULL, NULL, argv, environment);
  if (error) return compile_fail(c, LCW_DEVICE, "%s: %s", argv[0], strerror(error));
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  return compile_fail(c, LCW_DEVICE, "%s could not link the trainer (its messages are above)",
                      argv[0]);
}

static char *linker_find(Compile *c) {
  static const char *const tool[] = {"/usr/bin/cc", "/usr/bin/gcc", "/usr/bin/clang"};
  for (size_t i = 0; i < COUNT_OF(tool); i++)
    if (access(tool[i], X_OK) == 0) return arena_printf(&c->perm, "%s", tool[i]);
  return NULL;
}

/* The objects and the library as files in `folder`; their names go to `name`. */
static uint32_t inputs_write(Compile *c, const char *folder, char **name) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->host.nobject && n + 1 < MAX_LINK; i++, n++) {
    name[n] = arena_printf(&c->perm, "%s/%u.o", folder, i);
    if (!file_write(c, name[n], c->host.object[i].bytes, c->host.object[i].size)) return 0;
  }
  name[n] = arena_printf(&c->perm, "%s/liblcwrt.a", folder);
  return file_write(c, name[n], trainer_files[0].text, trainer_files[0].size) ? n + 1 : 0;
}

static bool trainer_link(Compile *c, char **input, uint32_t ninput, char *out) {
  static char *const head[] = {
      "-pie", "-s", "-Wl,--gc-sections,-z,relro,-z,now,-z,noexecstack,--build-id=none", "-o"};
  static char *const tail[] = {"-Wl,-Bstatic", "-lz", "-Wl,-Bdynamic", "-lm", "-lpthread"};
  char *argv[MAX_LINK + 16];
  uint32_t n = 0;
  argv[n++] = linker_find(c);
  if (!argv[0])
    return compile_fail(
        c, LCW_DEVICE,
        "no C compiler to link the trainer with\nhelp: apt-get install gcc libc6-dev zlib1g-dev");
  for (size_t i = 0; i < COUNT_OF(head); i++) argv[n++] = head[i];
  argv[n++] = out;
  /* main() is in the library, and the kernels are found from the model's table */
  for (uint32_t i = 0; i < ninput; i++) argv[n++] = input[i];
  for (size_t i = 0; i < COUNT_OF(tail); i++) argv[n++] = tail[i];
  argv[n] = NULL;
  return tool_run(c, argv);
}

static void folder_remove(const char *folder, char **input, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) unlink(input[i]);
  rmdir(folder);
}

int link_trainer(Compile *c, const char *path) {
  char *input[MAX_LINK];
  const char *slash = strrchr(path, '/');
  char *folder =
      arena_printf(&c->perm, "%.*s.lcwc-XXXXXX", slash ? (int)(slash - path + 1) : 0, path);
  if (!mkdtemp(folder))
    return compile_fail(c, LCW_DATA, "%s: cannot make a folder beside it: %s", path,
                        strerror(errno)),
           c->exit;
  char *out = arena_printf(&c->perm, "%s/trainer", folder);
  uint32_t n = inputs_write(c, folder, input);
  bool ok = n && trainer_link(c, input, n, out);
  if (ok && rename(out, path)) ok = compile_fail(c, LCW_DATA, "%s: %s", path, strerror(errno));
  if (!ok) unlink(out);
  for (uint32_t i = 0; !n && i <= c->host.nobject && i < MAX_LINK; i++)
    unlink(arena_printf(&c->perm, "%s/%u.o", folder, i));
  folder_remove(folder, input, n);
  return ok ? LCW_OK : c->exit;
}
