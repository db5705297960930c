/* edits.c: which kernels of a folder were edited. In: the kernels of a program with their geometry,
 * and a folder of files NAME.cu or NAME.sm_80.cu, each the prelude and one kernel. Out: the texts
 * that differ from what is emitted, without the prelude, which all kernels of a program share. */
#include "edits.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "read.h"

/* The kernel with a text of its own that a file is named after, nkernel: none; and the architecture in its name, or 0. */
static uint32_t kernel_named(const Program *p, const char *file, uint32_t *arch) {
  size_t n = strcspn(file, ".");
  uint32_t i = 0;
  *arch = strncmp(file + n, ".sm_", 4) ? 0 : (uint32_t)strtoul(file + n + 4, NULL, 10);
  for (; i < p->nkernel; i++)
    if (!p->kernel[i]->launch.text && strlen(p->kernel[i]->name) == n &&
        !strncmp(p->kernel[i]->name, file, n))
      break;
  return i;
}

static bool name_unknown(Compile *c, const char *file) {
  const Program *p = c->program;
  Name *candidate = NEW_ARRAY(&c->perm, Name, p->nkernel + 1);
  for (uint32_t i = 0; i < p->nkernel; i++)
    candidate[i] = name_of_text(c->names, kernel_text(p->kernel[i])->name);
  Name near = name_nearest(c->names, name_of(c->names, file, strcspn(file, ".")), candidate,
                           p->nkernel);
  const char *help = near ? arena_printf(&c->perm, "did you mean %s.cu?", name_text(c->names, near))
                          : "lcwc emit --emit=kernels lists them";
  return compile_fail(c, LCW_USAGE, "%s/%s: this network has no kernel of that name\nhelp: %s",
                      c->cuda.folder, file, help);
}

/* What is emitted for the kernel. */
static bool text_emitted(Compile *c, uint32_t kernel, Text *out) {
  const CudaOptions o = {.arch = c->cuda.tiled, .sources = c->cuda.sources};
  Text why;
  text_init(&why, &c->perm);
  text_init(out, &c->perm);
  return cuda_text(c->program->kernel[kernel], &o, out, &why) ||
         compile_fail(c, LCW_INTERNAL, "%s", why.s);
}

static bool text_refused(Compile *c, const char *file, const char *what) {
  return compile_fail(c, LCW_INPUT, "%s/%s: %s", c->cuda.folder, file, what);
}

/* One file: noted if its kernel differs from the emitted one. */
static bool file_take(Compile *c, int folder, const char *file, const char **edited) {
  uint32_t arch, k = kernel_named(c->program, file, &arch);
  size_t prelude = prelude_files[0].size;
  Text emitted;
  if (k == c->program->nkernel) return name_unknown(c, file);
  if (arch && arch != c->cuda.tiled) return true;
  ReadFile f = read_beneath(&c->perm, folder, file);
  if (!f.text) return compile_fail(c, LCW_DATA, "%s/%s: %s", c->cuda.folder, file, f.why);
  if (strlen(f.text) != f.size) return text_refused(c, file, "it holds a zero byte");
  if (f.size < prelude || memcmp(f.text, prelude_files[0].text, prelude))
    return text_refused(c, file, "what stands above the kernel is not the prelude any more\n"
                                 "help: all kernels share it; what one needs goes into the kernel");
  if (!text_emitted(c, k, &emitted)) return false;
  if (!strcmp(f.text + prelude, emitted.s)) return true;
  if (!strstr(f.text + prelude, arena_printf(&c->perm, "%s(", c->program->kernel[k]->name)))
    return text_refused(c, file, "it has no function of the kernel's name any more");
  edited[k] = f.text + prelude;
  return true;
}

/* True for NAME.cu: what an editor or a compiler leaves beside it is not ours. */
static bool is_kernel_file(const char *name) {
  size_t n = strlen(name);
  return *name != '.' && n > 3 && !strcmp(name + n - 3, ".cu");
}

bool edits_read(Compile *c) {
  const char **edited = NEW_ARRAY(&c->perm, const char *, c->program->nkernel);
  DIR *d = opendir(c->cuda.folder);
  bool ok = true;
  uint32_t files = 0;
  if (!d) return compile_fail(c, LCW_DATA, "--kernels=%s: %s", c->cuda.folder, strerror(errno));
  for (struct dirent *e; ok && (e = readdir(d));)
    if (is_kernel_file(e->d_name)) files++, ok = file_take(c, dirfd(d), e->d_name, edited);
  closedir(d);
  if (ok && !files)
    ok = compile_fail(c, LCW_DATA, "--kernels=%s: there is no kernel in it\n"
                                   "help: lcwc emit --emit=cuda -o DIR writes them",
                      c->cuda.folder);
  c->cuda.edited = edited;
  return ok;
}
