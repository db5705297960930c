/* gpu_kernels.c: kernels on a CUDA device, through its driver, held against kernel_eval():
 *
 *   functions   every row of scalars.def, on numbers of all sizes
 *   random      maps and rows of random shapes and types (random_kernel.h)
 *   proofs      the contractions of proof_kernels.h, linear and convolution, forward and backward,
 *               in every precision and with every tile, at shapes that straddle it
 *
 * usage: gpu_kernels [DRIVER]   a library, or nothing for the driver of the system (make check-gpu).
 * Without a driver, a device or a compiler everything is skipped, and that is said. */
#include "cuda_driver.h"
#include "cuda_model.h"
#include "graph.h"
#include "kernel_run.h"
#include "process.h"
#include "proof_kernels.h"
#include "random_kernel.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY = 64, RANDOM = 120, N = 4096 };

typedef struct {
  CudaDriver cu;
  CUdevice gpu;
  CUcontext context;
  CUstream stream;
  CUmodule module;
  CudaTools tools;
  CudaOptions options;
  Tally t;
  Fault f; /* of the last call */
} Gpu;

typedef struct { Kernel *k; uint32_t tile; } Case;

/* ---- the device ---------------------------------------------------------------------------- */

static bool gpu_open(Gpu *g, Arena *arena, const char *driver) {
  int count = 0, major = 0, minor = 0;
  Fault *f = &g->f;
  if (!cuda_driver_open(&g->cu, driver, f) || !cuda_try(&g->cu, f, cuDeviceGetCount, &count))
    return false;
  if (!count) return fault_set(f, LCW_DEVICE, "the driver sees no device");
  bool ok = cuda_try(&g->cu, f, cuDeviceGet, &g->gpu, 0) &&
            cuda_try(&g->cu, f, cuDeviceGetAttribute, &major,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, g->gpu) &&
            cuda_try(&g->cu, f, cuDeviceGetAttribute, &minor,
                     CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, g->gpu) &&
            cuda_try(&g->cu, f, cuDevicePrimaryCtxRetain, &g->context, g->gpu) &&
            cuda_try(&g->cu, f, cuCtxSetCurrent, g->context) &&
            cuda_try(&g->cu, f, cuStreamCreate, &g->stream, CU_STREAM_NON_BLOCKING);
  g->options.arch = (uint32_t)(major * 10 + minor);
  cuda_tools_open(&g->tools, arena, COMPILER_ANY, false, NULL, NULL);
  if (!ok || g->tools.nvrtc || g->tools.clang_name) return ok;
  return fault_set(f, LCW_DEVICE, "%s", g->tools.missing);
}

static void gpu_close(Gpu *g) {
  if (g->module) g->cu.cuModuleUnload(g->module);
  if (g->stream) g->cu.cuStreamDestroy(g->stream);
  if (g->context) g->cu.cuDevicePrimaryCtxRelease(g->gpu);
  cuda_tools_close(&g->tools);
}

/* Compiles cases to the module that the next runs use. */
static bool cases_load(Gpu *g, Arena *arena, const Case *c, uint32_t n, Text *why) {
  Text text;
  CudaImage image;
  text_init(&text, arena);
  text_bytes(&text, prelude_files[0].text, prelude_files[0].size);
  for (uint32_t i = 0; i < n; i++) {
    CudaOptions o = g->options;
    o.tile = c[i].tile;
    if (!cuda_text(c[i].k, &o, &text, why)) return false;
  }
  const char *kind = g->cu.interprets && g->tools.nvrtc ? "compute" : "sm",
             *arch = arena_printf(arena, "%s_%u", kind, g->options.arch);
  Nvrtc *nvrtc = g->tools.nvrtc;
  bool done = nvrtc ? nvrtc_compile(nvrtc, arena, text.s, "kernels.cu", arch, &image)
                    : clang_compile(arena, text.s, arch, &image);
  if (!done) return text_add(why, "%s", image.log), false;
  if (g->module) g->cu.cuModuleUnload(g->module);
  g->module = NULL;
  return cuda_try(&g->cu, &g->f, cuModuleLoadDataEx, &g->module, image.bytes, 0, NULL, NULL) ||
         (text_add(why, "%s", g->f.text), false);
}

/* ---- one run ------------------------------------------------------------------------------- */

static bool launch(Gpu *g, const Kernel *k, const CudaLaunch *l, CUdeviceptr *address) {
  CUfunction function;
  void *parameter[MAX_ARG + MAX_NUMBER + 1];
  int32_t number[MAX_NUMBER];
  uint32_t n = 0;
  memcpy(number, l->number, sizeof number);
  for (uint32_t i = 0; i < k->narg; i++) parameter[n++] = &address[i];
  for (uint32_t i = 0; i < l->nnumber; i++) parameter[n++] = &number[i];
  parameter[n] = &address[k->narg];
  return cuda_try(&g->cu, &g->f, cuModuleGetFunction, &function, g->module, k->name) &&
         (!l->shared ||
          cuda_try(&g->cu, &g->f, cuFuncSetAttribute, function,
                   CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)l->shared)) &&
         cuda_try(&g->cu, &g->f, cuLaunchKernel, function, l->grid[0], l->grid[1], l->grid[2],
                  l->block, 1, 1, l->shared, g->stream, parameter, NULL) &&
         cuda_try(&g->cu, &g->f, cuStreamSynchronize, g->stream);
}

static bool copy_in(Gpu *g, CUdeviceptr *to, const void *from, uint64_t n) {
  return cuda_try(&g->cu, &g->f, cuMemAlloc, to, n) &&
         cuda_try(&g->cu, &g->f, cuMemcpyHtoDAsync, *to, from, n, g->stream);
}

static bool copy_out(Gpu *g, void *to, CUdeviceptr from, uint64_t n) {
  return cuda_try(&g->cu, &g->f, cuMemcpyDtoHAsync, to, from, n, g->stream) &&
         cuda_try(&g->cu, &g->f, cuStreamSynchronize, g->stream);
}

static bool tickets_zero(const uint32_t *ticket, const Kernel *k, Text *why) {
  for (uint32_t i = 0; i < PLAN_TICKETS; i++)
    if (ticket[i]) return text_add(why, "%s: ticket %u is left behind", k->name, i), false;
  return true;
}

/* Runs a kernel of the module on the buffers. */
static bool run(Gpu *g, Arena *arena, const Case *c, Buffers *b, Text *why) {
  CUdeviceptr address[MAX_ARG + 1] = {0};
  const Kernel *k = c->k;
  CudaOptions o = g->options;
  CudaLaunch l;
  o.tile = c->tile;
  cuda_launch(k, &o, &l);
  uint64_t tickets = l.workspace ? (uint64_t)4 * PLAN_TICKETS : 0;
  void *zero = arena_alloc(arena, l.workspace + 1);
  bool ok = !l.workspace || copy_in(g, &address[k->narg], zero, l.workspace);
  for (uint32_t i = 0; i < k->narg; i++) ok = ok && copy_in(g, &address[i], b->arg[i], b->bytes[i]);
  ok = ok && launch(g, k, &l, address);
  for (uint32_t i = 0; i < k->narg; i++) ok = ok && copy_out(g, b->arg[i], address[i], b->bytes[i]);
  if (tickets) ok = ok && copy_out(g, zero, address[k->narg], tickets);
  for (uint32_t i = 0; i <= k->narg; i++)
    if (address[i]) g->cu.cuMemFree(address[i]);
  if (!ok) text_add(why, "%s: %s", k->name, g->f.text);
  return ok && (!tickets || tickets_zero(zero, k, why));
}

static void case_run(Gpu *g, const Case *c, uint32_t seed) {
  Arena arena;
  Buffers b;
  Shadow shadow[MAX_ARG];
  Text why;
  arena_init(&arena, "kernel", 0);
  text_init(&why, &arena);
  buffers_fill(&arena, c->k, seed, &b);
  buffers_round(c->k, &b);
  kernel_eval(&arena, c->k, b.arg, shadow);
  bool same = run(g, &arena, c, &b, &why) && buffers_agree(c->k, shadow, &b, &why);
  tally(&g->t, same, "%s, tile %u: %s", c->k->name, c->tile, same ? "" : why.s);
  arena_release(&arena);
}

static void cases_run(Gpu *g, Arena *arena, const Case *c, uint32_t n) {
  Text why;
  text_init(&why, arena);
  bool loaded = cases_load(g, arena, c, n, &why);
  if (!loaded) tally(&g->t, 0, "%s and %u more: %s", c->k->name, n - 1, why.s);
  for (uint32_t i = 0; i < n && loaded; i++) case_run(g, &c[i], i + 1);
}

/* ---- what is run --------------------------------------------------------------------------- */

/* y = fn(a, b, c), each of a buffer of its own. */
static Kernel *function_make(Arena *arena, Scalar fn) {
  Kernel *k = NEW(arena, Kernel);
  k->kind = KERNEL_MAP, k->nstage = 1, k->naxis = 1, k->extent[0] = N, k->space[0] = 1;
  snprintf(k->name, sizeof k->name, "k%u_%s", (unsigned)fn, scalartab[fn].name);
  for (uint16_t i = 0; i < 4; i++) {
    uint8_t use = i < 3 ? ARG_READ : ARG_WRITE;
    k->arg[k->narg++] = (Arg){.dtype = DTYPE_F32, .use = use, .stride = {1}};
    if (i < 3) k->instr[k->ninstr++] = (Instr){.op = I_LOAD, .a = i};
  }
  k->instr[k->ninstr++] = (Instr){.op = I_SCALAR, .fn = (uint8_t)fn, .a = 0, .b = 1, .c = 2};
  k->instr[k->ninstr++] = (Instr){.op = I_STORE, .a = 3, .b = 3};
  return k;
}

static void functions_run(Gpu *g, Arena *arena) {
  Case c[S_COUNT];
  for (Scalar fn = 0; fn < S_COUNT; fn++) c[fn] = (Case){function_make(arena, fn), 0};
  cases_run(g, arena, c, S_COUNT);
}

static void random_run(Gpu *g, Arena *arena) {
  Case c[MANY];
  uint32_t n = 0;
  for (uint32_t i = 1; i <= RANDOM; i++) {
    Text text, why;
    text_init(&text, arena), text_init(&why, arena);
    Kernel *k = kernel_random(arena, i);
    if (kernel_verify(k, &why) && cuda_text(k, &g->options, &text, &why)) c[n++] = (Case){k, 0};
    else printf("skipped: random_%u: %s\n", i, why.s), g->t.skipped++;
    if (n == MANY || (n && i == RANDOM)) cases_run(g, arena, c, n), n = 0;
  }
}

/* One proof kernel in one precision: every tile at every shape. */
static void proof_run(Gpu *g, Arena *arena, Proof which, Precision precision) {
  static const char *const name[PRECISIONS] = {"fp32", "tf32", "bf16"};
  static const ProofShape shape[] = {
      {.batch = 130, .in = 68, .out = 132, .size = 2, .row = 1, .column = 1, .copy = true},
      {.batch = 20, .in = 32, .out = 128, .size = 8, .row = 0, .column = 1, .copy = true},
      {.batch = 7, .in = 161, .out = 10, .size = 6, .row = 1, .column = 0},
  };
  Case c[MANY];
  uint32_t n = 0;
  for (uint32_t i = 0; i < COUNT_OF(shape); i++)
    for (uint32_t tile = 1; tile <= (precision == PRECISION_FP32 ? 2u : 3u); tile++) {
      Kernel *k = NEW(arena, Kernel);
      proof_kernel[which].build(k, &shape[i]);
      if (k->kind != KERNEL_CONTRACT && (precision != PRECISION_FP32 || tile > 1)) continue;
      k->precision = (uint8_t)precision;
      if (precision == PRECISION_BF16) k->arg[k->lhs].dtype = k->arg[k->rhs].dtype = DTYPE_BF16;
      size_t end = strlen(k->name);
      snprintf(k->name + end, sizeof k->name - end, "_%s_%u_%u", name[precision], i, tile);
      c[n++] = (Case){k, tile};
    }
  if (n) cases_run(g, arena, c, n);
}

int main(int argc, char **argv) {
  static Gpu g;
  Arena arena;
  arena_init(&arena, "gpu", 0);
  if (!gpu_open(&g, &arena, argc > 1 && *argv[1] ? argv[1] : NULL)) {
    printf("skipped: %s\n0 passed, 0 failed, 1 skipped\n", g.f.text);
    gpu_close(&g);
    return 0;
  }
  functions_run(&g, &arena);
  random_run(&g, &arena);
  for (Proof i = 0; i < PROOF_COUNT; i++)
    for (Precision p = PRECISION_FP32; p < PRECISIONS; p++)
      if (p == PRECISION_FP32 || g.options.arch >= 80) proof_run(&g, &arena, i, p);
  gpu_close(&g);
  arena_release(&arena);
  return tally_end(&g.t);
}
