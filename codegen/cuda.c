/* cuda.c: the CUDA target: from a Kernel to its text and its launch, by kind. In: Kernels.
 * Out: CUDA C (cuda.h); the choices that are not the kernel's are in CudaOptions. */
#include "cuda_emit.h"
#include "cuda_model.h"
#include "target.h"
#include <string.h>

/* The parts over which every instruction varies. */
static void parts_find(Emit *e) {
  uint16_t varies[MAX_INSTR];
  kernel_varies(e->k, varies);
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    for (uint32_t a = 0; a < e->k->naxis; a++)
      if (varies[i] >> a & 1) e->parts[i] |= 1u << e->k->part[a];
}

/* The printed kernel, as the comment above its text. */
static void description_print(const Kernel *k, Text *out) {
  Text t;
  text_init(&t, out->arena);
  kernel_print(k, &t);
  text_add(out, "\n/* ");
  for (size_t i = 0; i + 1 < t.n; i++) text_add(out, t.s[i] == '\n' ? "\n * " : "%c", t.s[i]);
  text_add(out, " */\n");
}

bool cuda_function(const Kernel *k, const CudaOptions *o, Text *out, Text *why) {
  Emit e = {.k = k, .o = o, .out = out, .why = why};
  parts_find(&e);
  switch ((KernelKind)k->kind) {
  case KERNEL_MAP: map_print(&e); return true;
  case KERNEL_ROW: row_print(&e); return true;
  case KERNEL_CONTRACT: return contract_print(&e);
  case KERNEL_KINDS: break;
  }
  text_add(why, "%s: no such kind of kernel", k->name);
  return false;
}

bool cuda_text(const Kernel *k, const CudaOptions *o, Text *out, Text *why) {
  description_print(k, out);
  return cuda_function(k, o, out, why);
}

void cuda_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch) {
  *launch = (CudaLaunch){.grid = {1, 1, 1}, .block = 256};
  if (k->kind == KERNEL_MAP) map_launch(k, launch);
  if (k->kind == KERNEL_ROW) row_launch(k, launch);
  if (k->kind == KERNEL_CONTRACT) contract_launch(k, o, launch);
}

void cuda_tile(Kernel *k, uint32_t arch) {
  const CudaOptions options = {.arch = arch};
  CudaLaunch launch;
  cuda_launch(k, &options, &launch);
  memcpy(k->launch.grid, launch.grid, sizeof k->launch.grid);
  k->launch.block[0] = launch.block;
  k->launch.block[1] = k->launch.block[2] = 1;
  k->launch.shared = launch.shared;
  k->launch.workspace = launch.workspace;
  k->launch.nnumber = launch.nnumber;
  memcpy(k->launch.number, launch.number, sizeof k->launch.number);
}

static const CudaOptions cuda_default = {.arch = 80};

static void tile_default(Kernel *k) { cuda_tile(k, cuda_default.arch); }

static bool cuda_emit(const Kernel *k, const char *kind, const char *isa, Text *out, Text *why) {
  (void)isa; /* one text for every architecture that has the shared memory of sm_80 */
  if (strcmp(kind, "cuda")) {
    text_add(why, "the CUDA target prints `cuda`, not `%s`", kind);
    return false;
  }
  text_bytes(out, prelude_files[0].text, prelude_files[0].size);
  return cuda_text(k, &cuda_default, out, why);
}

const Target target_cuda = {"cuda", tile_default, cuda_emit};
