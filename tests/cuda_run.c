/* cuda_run.c: see cuda_run.h. */
#include "cuda_run.h"
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

/* A function that calls the kernel with the pointers of an array and the numbers of its launch. */
static void call_print(Text *out, const Kernel *k, const CudaLaunch *l) {
  text_add(out, "static void call_%s(void **a) { %s(", k->name, k->name);
  for (uint32_t i = 0; i < k->narg; i++) text_add(out, "%sa[%u]", i ? ", " : "", i);
  for (uint32_t i = 0; i < l->nnumber; i++) text_add(out, ", %d", l->number[i]);
  if (l->workspace) text_add(out, ", a[%u]", k->narg);
  text_add(out, "); }\n");
}

/* Has the form of a HostKernel: the workspace, zero before the launch, is the last argument; its
 * tickets are zero afterwards. */
static void run_print(Text *out, const Kernel *k, const CudaLaunch *launch) {
  call_print(out, k, launch);
  text_add(out, "void run_%s(void **a, long begin, long end, void *scratch) {\n", k->name);
  text_add(out, "  grid_run(call_%s, %u, %u, a);\n", k->name, launch->grid[0], launch->grid[1]);
  if (launch->workspace) text_add(out, "  tickets_check(a[%u], %u);\n", k->narg, PLAN_TICKETS);
  text_add(out, "}\n");
}

bool cuda_run_text(Kernel *k, const CudaOptions *options, const char *find, const char *replace,
                   Text *out, Text *why) {
  CudaLaunch launch;
  Text text;
  text_init(&text, out->arena);
  if (!cuda_text(k, options, &text, why)) return false;
  cuda_launch(k, options, &launch);
  k->launch.chunks = 1, k->launch.workspace = launch.workspace;
  const char *code = strstr(text.s, "\nentry "), *at = find ? strstr(code, find) : NULL;
  if (find && !at) return text_add(why, "%s: no `%s` in its text", k->name, find), false;
  if (at) text_add(out, "%.*s%s%s", (int)(at - code), code, replace, at + strlen(find));
  else text_add(out, "%s", code);
  run_print(out, k, &launch);
  return true;
}

void *cuda_run_load(Arena *arena, const char *texts, const char *folder, const char *name,
                    Text *why) {
  char *source = arena_printf(arena, "%s/%s.shim.c", folder, name);
  char *object = arena_printf(arena, "%s/%s.so", folder, name);
  char *argv[] = {"cc",    "-std=gnu11", "-O1",  "-w",   "-Itests", "-shared",
                  "-fPIC", "-o",         object, source, "-lm",     NULL};
  FILE *f = fopen(source, "wb");
  pid_t child;
  int status = -1;
  if (!f) return text_add(why, "%s can't be written", source), NULL;
  fprintf(f, "#include \"cuda_shim.h\"\n%s%s", strstr(prelude_files[0].text, "/* ---- scalars"),
          texts);
  if (fclose(f)) return text_add(why, "%s can't be written", source), NULL;
  bool done = posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) == 0 &&
              waitpid(child, &status, 0) == child;
  if (!done || status) return text_add(why, "cc refuses %s", source), NULL;
  void *loaded = dlopen(object, RTLD_NOW | RTLD_LOCAL);
  if (!loaded) text_add(why, "%s", dlerror());
  return loaded;
}

HostKernel *cuda_run_code(Arena *arena, void *object, const Kernel *k, Text *why) {
  HostKernel *code = NULL;
  void *symbol = dlsym(object, arena_printf(arena, "run_%s", k->name));
  if (!symbol) text_add(why, "no run_%s", k->name);
  memcpy(&code, &symbol, sizeof code);
  return code;
}

bool cuda_run_agrees(Arena *arena, void *object, const Kernel *k, uint32_t seed, Text *why) {
  Buffers b;
  HostKernel *code = cuda_run_code(arena, object, k, why);
  if (!code) return false;
  buffers_fill(arena, k, seed, &b);
  buffers_round(k, &b);
  return kernel_agrees(arena, k, code, &b, why);
}
