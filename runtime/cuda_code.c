/* cuda_code.c: the code of a model on one device: the image that suits it best, its functions, and
 * whether the device can launch them. A cubin runs on devices of the same major version and a
 * minor one not below its own; PTX on every device not older than its architecture. */
#include "cuda_device.h"
#include <stdio.h>
#include <string.h>

enum { LOG_BYTES = 600 };

static const char GATHER[] = "lcw_gather";

/* ---- the image --------------------------------------------------------------------------- */

/* How well an image suits: 0 not at all; cubins before PTX, later architectures before earlier. */
static uint32_t suits(const PlanImage *i, uint32_t arch) {
  bool cubin = i->kind == IMAGE_CUBIN && i->arch / 10 == arch / 10 && i->arch <= arch;
  bool ptx = i->kind == IMAGE_PTX && i->arch <= arch;
  return cubin ? 100000 + i->arch : ptx ? i->arch : 0;
}

/* The best image that suits less than `below`; NULL: none is left. */
static const PlanImage *next_image(const PlanImage *image, uint32_t arch, uint32_t *below) {
  const PlanImage *best = NULL;
  uint32_t most = 0;
  for (const PlanImage *i = image; i->kind != IMAGE_NONE; i++) {
    uint32_t s = suits(i, arch);
    if (s <= most || s >= *below) continue;
    best = i;
    most = s;
  }
  *below = most;
  return best;
}

/* What there is, none of which suits. */
static bool no_image(const Cuda *c, const PlanImage *image, Fault *f) {
  fault_set(f, LCW_DEVICE, "the network has no code for %s, which is sm_%u\n = compiled for",
            c->name, c->arch);
  for (const PlanImage *i = image; i->kind != IMAGE_NONE; i++)
    fault_add(f, "%s %s_%u", i == image ? "" : ",", i->kind == IMAGE_PTX ? "ptx" : "sm", i->arch);
  fault_add(f, "\nhelp: build with --target=sm_%u, or with ptx", c->arch);
  return false;
}

/* Loads one image; what the driver's compiler says is added to the fault. */
static CUresult load(Cuda *c, const PlanImage *i, Fault *f) {
  char log[LOG_BYTES] = "";
  int option[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *value[] = {log, (void *)(uintptr_t)(sizeof log - 1)};
  CUresult code = c->cu.cuModuleLoadDataEx(&c->module, i->bytes, 2, option, value);
  if (cuda_result(&c->cu, code, "cuModuleLoadDataEx", __FILE__, __LINE__, f)) return code;
  c->module = NULL;
  if (*log) fault_add(f, "\n = the driver says: %s", log);
  fault_add(f, "\n = loading %s_%u on %s, sm_%u", i->kind == IMAGE_PTX ? "ptx" : "sm", i->arch,
            c->name, c->arch);
  return code;
}

/* The best one that the driver takes: it may refuse a cubin where it would take PTX. */
static bool open_image(Cuda *c, const PlanImage *image, Fault *f) {
  uint32_t below = UINT32_MAX;
  const PlanImage *i = next_image(image, c->arch, &below);
  if (!i) return no_image(c, image, f);
  for (; i; i = next_image(image, c->arch, &below)) {
    CUresult code = load(c, i, f);
    if (code == CUDA_SUCCESS) {
      size_t n = strlen(c->about);
      snprintf(c->about + n, sizeof c->about - n, "; code for %s_%u",
               i->kind == IMAGE_PTX ? "ptx" : "sm", i->arch);
      *f = (Fault){0};
      return true;
    }
    if (code != CUDA_ERROR_NO_BINARY_FOR_GPU) return false;
  }
  return false;
}

/* ---- the functions ------------------------------------------------------------------------- */

typedef struct { int threads, shared, grid[3], block[3]; } Limits;

static bool read_limits(const Cuda *c, Limits *l, Fault *f) {
  const struct { int attribute, *to; } row[] = {
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &l->threads},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &l->shared},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, &l->grid[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, &l->grid[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, &l->grid[2]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, &l->block[0]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, &l->block[1]},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, &l->block[2]},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (!cuda_try(&c->cu, f, cuDeviceGetAttribute, row[i].to, row[i].attribute, c->gpu))
      return false;
  return true;
}

/* What of a launch is more than the device can, or NULL; *need, *have: the figures. */
static const char *exceeds(const PlanKernel *k, const Limits *l, uint64_t *need, uint64_t *have) {
  const struct { const char *what; uint64_t need; int have; } row[] = {
      {"bytes of shared memory", k->shared, l->shared},
      {"threads in a block", (uint64_t)k->block[0] * k->block[1] * k->block[2], l->threads},
      {"threads along x", k->block[0], l->block[0]},
      {"threads along y", k->block[1], l->block[1]},
      {"threads along z", k->block[2], l->block[2]},
      {"blocks along x", k->grid[0], l->grid[0]},
      {"blocks along y", k->grid[1], l->grid[1]},
      {"blocks along z", k->grid[2], l->grid[2]},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    *need = row[i].need;
    *have = (uint64_t)row[i].have;
    if (*need > *have || (i && *need == 0)) return row[i].what;
  }
  return NULL;
}

/* Kernels are tiled for an architecture; another one may have less room. */
static bool check_launch(const Cuda *c, const PlanKernel *k, const Limits *l, Fault *f) {
  uint64_t need, have;
  const char *what = exceeds(k, l, &need, &have);
  if (!what) return true;
  return fault_set(f, LCW_DEVICE,
                   "kernel %s asks for %llu %s, %s has %llu\nhelp: build with --target=sm_%u",
                   plan_text(c->plan, k->symbol), (unsigned long long)need, what, c->name,
                   (unsigned long long)have, c->arch);
}

static bool find_function(const Cuda *c, CUfunction *out, const char *name, Fault *f) {
  if (cuda_try(&c->cu, f, cuModuleGetFunction, out, c->module, name)) return true;
  fault_add(f, "\n = kernel %s", name);
  return false;
}

/* The function of a kernel, with the dynamic shared memory that its launches ask for. */
static bool open_kernel(Cuda *c, const PlanKernel *k, Fault *f) {
  CUfunction *function = &c->code[k->code];
  const char *symbol = plan_text(c->plan, k->symbol);
  if (*function) return true;
  if (!find_function(c, function, symbol, f)) return false;
  if (k->shared == 0 ||
      cuda_try(&c->cu, f, cuFuncSetAttribute, *function,
               CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, (int)k->shared))
    return true;
  fault_add(f, "\n = kernel %s, %u bytes of shared memory", symbol, k->shared);
  return false;
}

bool cuda_code_open(Cuda *c, const PlanImage *image, Fault *f) {
  const PlanKernel *kernel = PLAN_AT(c->plan, PlanKernel, c->plan->kernel);
  Limits limits;
  if (!read_limits(c, &limits, f) || !open_image(c, image, f)) return false;
  c->code = memory_new(c->plan->ncode, sizeof *c->code, "the functions", f);
  if (!c->code) return false;
  for (uint32_t i = 0; i < c->plan->nkernel; i++)
    if (!check_launch(c, &kernel[i], &limits, f) || !open_kernel(c, &kernel[i], f)) return false;
  return find_function(c, &c->gather, GATHER, f);
}
