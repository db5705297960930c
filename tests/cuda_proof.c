/* cuda_proof.c: kernel.h drives a fast CUDA generator. Each proof kernel is
 *
 *   printed     twice: the same bytes
 *   run         on the CPU by cuda_shim.h, in fp32 and in tf32 (operands that tf32 holds exactly),
 *               at shapes that straddle the tile, against the float64 of kernel_reference.c
 *   compiled    for sm_80 by NVRTC, else by clang-19; skipped by name when neither is there
 *   counted     instructions of its main loop per 32 values of K from the cubin, against DESIGN
 *               section 8; no spills; the lcw terms add none to the loop
 *
 * Usage: cuda_proof [FOLDER]: the texts are left in FOLDER. Run from the root of the sources. */
#include "cuda.h"
#include "kernel_reference.h"
#include "proof_kernels.h"
#include <dlfcn.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct {
  uint32_t passed, failed, skipped;
  Arena arena;
  const char *folder;
  Nvrtc *nvrtc;
} Proofs;

static void verdict(Proofs *p, bool good, const char *what, const char *name, const char *detail) {
  printf("%-4s %-8s %-20s %s\n", good ? "ok" : "FAIL", what, name, detail);
  good ? p->passed++ : p->failed++;
}

static void skip(Proofs *p, const char *what, const char *name, const char *why) {
  printf("skip %-8s %-20s %s\n", what, name, why);
  p->skipped++;
}

/* The text of one kernel; `whole`: with the prelude before it. */
static bool text_of(Proofs *p, const Kernel *k, CudaPrecision precision, bool whole, Text *out) {
  const CudaOptions options = {.precision = precision, .stages = precision == CUDA_TF32 ? 4 : 3};
  Text why;
  text_init(out, &p->arena);
  text_init(&why, &p->arena);
  if (whole) text_bytes(out, prelude_files[0].text, prelude_files[0].size);
  bool good = kernel_verify(k, &why) && cuda_text(k, &options, out, &why);
  if (!good) verdict(p, false, "print", k->name, why.s ? why.s : "");
  return good;
}

/* ---- printed ---------------------------------------------------------------------------------- */

static void proof_print(Proofs *p, const Kernel *k) {
  Text one, two;
  if (!text_of(p, k, CUDA_TF32, false, &one) || !text_of(p, k, CUDA_TF32, false, &two)) return;
  bool same = one.n == two.n && !memcmp(one.s, two.s, one.n);
  verdict(p, same, "print", k->name, arena_printf(&p->arena, "%zu bytes", one.n));
}

/* ---- run on the CPU ---------------------------------------------------------------------------- */

typedef void (*Piece)(void **arguments, int grid_x, int grid_y);

/* Adds a function that calls one piece of the kernel with the pointers of an array. */
static void call_print(Text *out, const char *name, uint32_t index, uint32_t narg) {
  text_add(out, "static void call_%u(void **a) { %s(", index, name);
  for (uint32_t i = 0; i < narg; i++) text_add(out, "%sa[%u]", i ? ", " : "", i);
  text_add(out, "); }\nvoid piece_%u(void **a, int x, int y) { grid_run(call_%u, x, y, a); }\n", index, index);
}

/* The kernel as C for the CPU: shim, plain part of the prelude, text, callers. */
static const char *shim_text(Proofs *p, const char *kernel, const Kernel *k, const CudaLaunch *launch) {
  Text out;
  text_init(&out, &p->arena);
  text_add(&out, "#include \"cuda_shim.h\"\n%s%s", strstr(prelude_files[0].text, "/* ---- scalars"), kernel);
  for (uint32_t i = 0; i < launch->npiece; i++)
    call_print(&out, launch->piece[i].name, i, k->narg + (launch->partial ? 1u : 0u));
  return out.s;
}

/* Compiles C text to a shared object and loads it; NULL: could not. */
static void *shim_load(Proofs *p, const char *text, const char *name) {
  char *source = arena_printf(&p->arena, "%s/%s.shim.c", p->folder, name);
  char *object = arena_printf(&p->arena, "%s/%s.so", p->folder, name);
  char *argv[] = {"cc", "-std=gnu11", "-O1", "-w", "-Itests", "-shared", "-fPIC", "-o", object, source, "-lm", NULL};
  FILE *f = fopen(source, "wb");
  pid_t child;
  int status = -1;
  if (!f || fputs(text, f) < 0 || fclose(f)) return NULL;
  if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ)) return NULL;
  if (waitpid(child, &status, 0) != child || status) return NULL;
  return dlopen(object, RTLD_NOW | RTLD_LOCAL);
}

enum { SENTINELS = 64 };
typedef struct { void *device[MAX_ARG + 1]; double *host[MAX_ARG]; uint64_t n[MAX_ARG]; } Data;

/* Small multiples of 1/8, which tf32 holds exactly; labels and iota count. */
static double fill_value(const Kernel *k, uint32_t arg, uint64_t i) {
  bool softmax = !strcmp(k->name, "softmax_loss");
  if (k->arg[arg].dtype == DTYPE_I32) return (double)(i * 7 % (uint64_t)k->extent[1]);
  if (softmax && arg == 2) return (double)i;
  return ((double)(hash_bytes(&i, sizeof i, arg) % 17) - 8) / 8;
}

static void data_fill(Proofs *p, const Kernel *k, const CudaLaunch *launch, Data *d) {
  for (uint32_t a = 0; a < k->narg; a++) {
    uint64_t n = d->n[a] = arg_elements(k, a);
    float *device = d->device[a] = arena_alloc(&p->arena, (n + SENTINELS) * 4);
    d->host[a] = arena_alloc(&p->arena, n * 8);
    for (uint64_t i = 0; i < n + SENTINELS; i++) {
      double x = i < n && k->arg[a].use & ARG_READ ? fill_value(k, a, i) : -77;
      if (i < n) d->host[a][i] = x;
      if (k->arg[a].dtype == DTYPE_I32) ((int32_t *)d->device[a])[i] = (int32_t)x;
      else device[i] = (float)x;
    }
  }
  d->device[k->narg] = arena_alloc(&p->arena, launch->partial + 16);
}

/* The largest difference from the reference, relative to the largest value of each result; 1
 * where something behind an argument was written. */
static double data_difference(const Kernel *k, const Data *d) {
  double worst = 0;
  for (uint32_t a = 0; a < k->narg; a++) {
    const float *device = d->device[a];
    double difference = 0, scale = 1e-30;
    if (!(k->arg[a].use & ARG_WRITE)) continue;
    for (uint64_t i = 0; i < d->n[a]; i++) {
      difference = fmax(difference, fabs((double)device[i] - d->host[a][i]));
      scale = fmax(scale, fabs(d->host[a][i]));
      if (isnan(device[i])) return INFINITY;
    }
    for (uint64_t i = 0; i < SENTINELS; i++)
      if (device[d->n[a] + i] != -77.0f) return 1;
    worst = fmax(worst, difference / scale);
  }
  return worst;
}

static void proof_run(Proofs *p, const Kernel *k, CudaPrecision precision, const char *shape) {
  const CudaOptions options = {.precision = precision, .stages = precision == CUDA_TF32 ? 4 : 3};
  Text text;
  CudaLaunch launch;
  Data d = {0};
  if (!text_of(p, k, precision, false, &text)) return;
  cuda_launch(k, &options, &launch);
  const char *name = arena_printf(&p->arena, "%s_%s_%s", k->name, precision == CUDA_TF32 ? "tf32" : "fp32", shape);
  void *object = shim_load(p, shim_text(p, text.s, k, &launch), name);
  if (!object) {
    verdict(p, false, "run", name, "no shared object from cc");
    return;
  }
  data_fill(p, k, &launch, &d);
  for (uint32_t i = 0; i < launch.npiece; i++) {
    Piece piece;
    void *symbol = dlsym(object, i ? "piece_1" : "piece_0");
    memcpy(&piece, &symbol, sizeof piece);
    piece(d.device, (int)launch.piece[i].grid[0], (int)launch.piece[i].grid[1]);
  }
  dlclose(object);
  kernel_reference(k, d.host);
  double worst = data_difference(k, &d);
  verdict(p, worst <= 2e-6, "run", name, arena_printf(&p->arena, "relative difference %.1e (bound 2e-6)", worst));
}

/* Batches, widths and images smaller than a tile, equal, a little more; one slab and several. */
static const struct { const char *name; ProofShape shape; } run_shape[] = {
  {"a", {.batch = 130, .in = 68, .out = 132, .size = 4, .row = 1, .column = 1, .copy = true}},
  {"b", {.batch = 64, .in = 32, .out = 128, .size = 8, .row = 0, .column = 1, .copy = true}},
  {"c", {.batch = 7, .in = 161, .out = 10, .size = 6, .row = 1, .column = 0, .copy = false}},
  {"d", {.batch = 3, .in = 3, .out = 40, .size = 10, .row = 0, .column = 0, .copy = false}},
};

static void proof_runs(Proofs *p, const ProofKernel *proof) {
  for (size_t i = 0; i < COUNT_OF(run_shape); i++) {
    Kernel k;
    proof->build(&k, &run_shape[i].shape);
    proof_run(p, &k, CUDA_FP32, run_shape[i].name);
    if (k.kind == KERNEL_CONTRACT) proof_run(p, &k, CUDA_TF32, run_shape[i].name);
  }
}

/* ---- compiled and counted ----------------------------------------------------------------------- */

/* Largest number of instructions per slab; 0: not a contraction. The wgrad of a convolution is
 * wgrad and convolution at once. */
static const struct { uint32_t tf32, fp32; } loop_bound[PROOF_COUNT] = {
  [PROOF_linear_forward] = {140, 2400}, [PROOF_linear_dgrad] = {140, 2400},
  [PROOF_linear_wgrad] = {250, 2400},   [PROOF_linear_update] = {250, 2400},
  [PROOF_conv_forward] = {175, 2500},   [PROOF_conv_dgrad] = {175, 2500},
  [PROOF_conv_wgrad] = {250, 2500},
};

static const ProofShape count_shape = {
  .batch = 256, .in = 256, .out = 256, .size = 16, .row = 1, .column = 1, .copy = true,
};

static bool kernel_count_loop(Proofs *p, const Kernel *k, CudaPrecision precision, const char *name, SassCount *count) {
  Text text, why;
  CudaImage image;
  text_init(&why, &p->arena);
  if (!text_of(p, k, precision, true, &text)) return false;
  if (!nvrtc_compile(p->nvrtc, &p->arena, text.s, name, "sm_80", &image)) {
    verdict(p, false, "compile", name, image.log);
    return false;
  }
  if (sass_count(image.bytes, image.size, k->name, count, &why)) return true;
  verdict(p, false, "count", name, why.s);
  return false;
}

static void proof_count(Proofs *p, Proof which, CudaPrecision precision) {
  ProofShape shape = count_shape;
  Kernel k;
  SassCount fused, plain;
  proof_kernel[which].build(&k, &shape);
  const char *name = arena_printf(&p->arena, "%s_%s", k.name, precision == CUDA_TF32 ? "tf32" : "fp32");
  if (!kernel_count_loop(p, &k, precision, name, &fused)) return;
  shape.plain = true;
  proof_kernel[which].build(&k, &shape);
  if (!kernel_count_loop(p, &k, precision, name, &plain)) return;
  uint32_t slabs = precision == CUDA_TF32 ? 1 : 2; /* per 32 values of K; an fp32 slab holds 16 */
  uint32_t bound = precision == CUDA_TF32 ? loop_bound[which].tf32 : loop_bound[which].fp32;
  bool good = fused.spills == 0 && (!bound || (fused.loop * slabs <= bound && fused.loop <= plain.loop + 1));
  const char *detail = arena_printf(
      &p->arena, bound ? "%u in the loop (bound %u, plain %u), %u spills, %u registers"
                       : "%u in the loop%.0u%.0u, %u spills, %u registers",
      fused.loop * slabs, bound, bound ? plain.loop * slabs : 0, fused.spills, fused.registers);
  verdict(p, good, "count", name, detail);
}

static void proof_compile(Proofs *p, Proof which) {
  Kernel k;
  Text text;
  CudaImage image;
  proof_kernel[which].build(&k, &count_shape);
  if (!text_of(p, &k, CUDA_TF32, true, &text)) return;
  bool good = clang_compile(&p->arena, text.s, "sm_80", &image);
  verdict(p, good, "clang", k.name, good ? arena_printf(&p->arena, "%zu bytes of PTX", image.size) : image.log);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static bool clang_there(Proofs *p) {
  CudaImage image;
  return clang_compile(&p->arena, "__attribute__((global)) void nothing() {}\n", "sm_80", &image);
}

int main(int argc, char **argv) {
  static Proofs p;
  Text why;
  char folder[] = "/tmp/cuda_proof-XXXXXX";
  arena_init(&p.arena, "perm", (size_t)2 << 30);
  text_init(&why, &p.arena);
  p.folder = argc > 1 ? argv[1] : mkdtemp(folder);
  p.nvrtc = nvrtc_open(&p.arena, NULL, &why);
  bool clang = clang_there(&p);
  for (Proof i = 0; i < PROOF_COUNT; i++) {
    Kernel k;
    proof_kernel[i].build(&k, &count_shape);
    proof_print(&p, &k);
    proof_runs(&p, &proof_kernel[i]);
    if (!p.nvrtc) skip(&p, "count", k.name, why.s);
    else proof_count(&p, i, CUDA_TF32);
    if (p.nvrtc && k.kind == KERNEL_CONTRACT) proof_count(&p, i, CUDA_FP32);
    if (clang) proof_compile(&p, i);
    else skip(&p, "clang", k.name, "clang-19 is not installed");
  }
  nvrtc_close(p.nvrtc);
  printf("%u passed, %u failed, %u skipped\n", p.passed, p.failed, p.skipped);
  arena_release(&p.arena);
  return p.failed || !p.passed;
}
