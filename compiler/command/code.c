/* code.c: see code.h. */
#include "code.h"
#include <string.h>
#include "ahead.h"
#include "device.h"

bool isa_choose(const Arguments *a, Compile *c, const char **isa) {
  static const char *const known[] = {"avx512", "avx2", "baseline"};
  isa[0] = host_isa(), isa[1] = NULL;
  const char *want = a->run.cpu;
  c->isa = isa;
  c->threads = a->run.threads.given ? (uint32_t)a->run.threads.n : 0;
  if (!want || !strcmp(want, "native")) return true;
  size_t i = 0, best = 0;
  while (i < COUNT_OF(known) && strcmp(known[i], want)) i++;
  while (strcmp(known[best], isa[0])) best++;
  if (i == COUNT_OF(known))
    return compile_fail(c, LCW_USAGE, "--cpu=%s: not one of native, avx512, avx2, baseline", want);
  if (i < best)
    return compile_fail(c, LCW_DEVICE, "--cpu=%s: this machine has no %s; its best is %s", want,
                        want, isa[0]);
  isa[0] = want;
  return true;
}

/* For a CUDA device code is made for what is there: a cubin, or PTX where the compiler makes no
 * cubins (clang) or the driver takes none (the simulated device, wherever its library is). */
static bool device_choose(const Arguments *a, Compile *c) {
  Fault f = {0};
  uint32_t arch;
  bool ptx_only;
  if (c->target != &target_cuda) return true;
  if (!device_arch(&a->run, &arch, &ptx_only, &f)) return c->exit = fault_print(&f), false;
  c->cuda.tiled = arch;
  if (ptx_only || c->cuda.compiler == COMPILER_CLANG) c->cuda.ptx = arch;
  else c->cuda.arch[c->cuda.narch++] = arch;
  return true;
}

/* Bytes of the parameters, as they will lie in the arena. */
static uint64_t parameter_bytes(const Graph *g) {
  uint64_t bytes = 0;
  for (Val v = 1; v < g->nnode; v++)
    if (g->node[v].op == OP_PARAM) bytes += shape_elements(&g->node[v].shape) * sizeof(float);
  return bytes;
}

/* Reads the data and takes memory while the passes to come run; not where a run may only compute
 * with one thread, or must not exceed a bound that is known when they have run. */
static void code_begin(const Arguments *a, Compile *c, Code *out) {
  if (c->stop < PASS_COUNT || a->run.max_memory.given) return;
  if ((a->run.threads.given ? a->run.threads.n : cpu_count()) < 2) return;
  out->request = compile_data(c);
  uint64_t bytes = c->target == &target_host ? parameter_bytes(&c->model.graph) : 0;
  out->model.ahead = ahead_begin(&out->request, bytes);
}

/* What the last pass made, loaded. */
static bool code_load(Compile *c, Code *out) {
  Text why;
  if (c->target == &target_cuda) {
    out->plan = out->model.cuda_plan = c->plan, out->model.image = c->device.image;
    return true;
  }
  text_init(&why, &c->perm);
  out->jit = host_load(&c->host, &out->model.plan, &out->model.table, &why);
  out->plan = out->model.plan;
  return out->jit ||
         compile_fail(c, LCW_INTERNAL, "the compiled kernels cannot be loaded: %s", why.s);
}

bool code_make(Arguments *a, Compile *c, const char *path, Code *out) {
  *out = (Code){0};
  if (!isa_choose(a, c, out->isa) || !device_choose(a, c) || !compile_run(c, path, PASS_simplify))
    return false;
  a->run.file_folder = compile_folder(c);
  code_begin(a, c, out);
  if (compile_run(c, path, PASS_object) && code_load(c, out)) return true;
  return code_close(out), false;
}

void code_close(Code *code) {
  ahead_close(code->model.ahead);
  code->model.ahead = NULL;
  if (code->jit) host_unload(code->jit);
  code->jit = NULL;
}
