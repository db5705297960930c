/* cuda_arch.c: see cuda_arch.h. Occupancy by the rules of NVIDIA's occupancy calculator: registers
 * are given to warps in units of 256, and warps to four partitions of the processor; shared memory
 * comes in units, and from sm_80 on each block has 1 KB for the system. */
#include "cuda_arch.h"

static const CudaArch arch_row[] = {
#define ARCH(arch, device, processors, clock, shared, block, warps, blocks, ffma, tf32, bf16, gb)  \
  {arch, device, processors, clock, (shared) << 10, (block) << 10, warps, blocks,                  \
   {ffma, tf32, bf16}, (gb) * 1e9},
#include "cuda_arch.def"
};

const char *const cuda_held[HELD_COUNT] = {"registers", "shared memory", "warps", "blocks"};
const char *const cuda_bound[BOUND_COUNT] = {"compute", "bandwidth", "launch"};

const CudaArch *cuda_arch_find(uint32_t arch) {
  for (size_t i = 0; i < COUNT_OF(arch_row); i++)
    if (arch_row[i].arch == arch) return &arch_row[i];
  return NULL;
}

void cuda_arch_list(Text *out) {
  for (size_t i = 0; i < COUNT_OF(arch_row); i++)
    text_add(out, "%ssm_%u", i ? ", " : "", arch_row[i].arch);
}

/* Of one that is not in the table: what all from sm_80 on have. */
uint32_t cuda_shared_limit(uint32_t arch) {
  const CudaArch *a = cuda_arch_find(arch);
  return a ? a->block : 99 << 10;
}

/* ---- occupancy ----------------------------------------------------------------------------- */

static uint32_t round_up(uint32_t n, uint32_t unit) { return (n + unit - 1) / unit * unit; }

/* Blocks that the registers of a processor are enough for. */
static uint32_t held_by_registers(uint32_t warps, uint32_t registers) {
  uint32_t of_warp = round_up(registers * 32, 256);
  if (!of_warp) return UINT32_MAX;
  bool fits = registers <= 256 && of_warp * round_up(warps, CUDA_SCHEDULERS) <= CUDA_REGISTERS;
  return fits ? CUDA_REGISTERS / CUDA_SCHEDULERS / of_warp * CUDA_SCHEDULERS / warps : 0;
}

static uint32_t held_by_shared(const CudaArch *a, uint32_t shared) {
  uint32_t system = a->arch < 80 ? 0 : 1024, unit = a->arch < 80 ? 256 : 128;
  uint32_t all = round_up(shared + system, unit);
  if (!all) return UINT32_MAX;
  return shared <= a->block ? a->shared / all : 0;
}

CudaOccupancy cuda_occupancy(const CudaArch *a, uint32_t threads, uint32_t registers,
                             uint32_t shared) {
  CudaOccupancy o = {0};
  uint32_t warps = (threads + 31) / 32;
  if (!warps || threads > 1024) return o;
  const uint32_t most[HELD_COUNT] = {
    [HELD_REGISTERS] = held_by_registers(warps, registers),
    [HELD_SHARED] = held_by_shared(a, shared),
    [HELD_WARPS] = a->warps / warps,
    [HELD_BLOCKS] = a->blocks,
  };
  for (CudaHeld i = 1; i < HELD_COUNT; i++)
    if (most[i] < most[o.by]) o.by = i;
  o.blocks = most[o.by], o.warps = o.blocks * warps;
  o.share = (double)o.warps / a->warps;
  return o;
}

/* ---- time ---------------------------------------------------------------------------------- */

/* Multiply-adds of a block; of a kernel that is no contraction, its flops count as many. */
static double block_work(const Kernel *k, const CudaLaunch *l, double blocks) {
  if (!l->slabs) return (double)k->flops / blocks;
  return (double)l->rows * l->columns * l->slab * l->slabs;
}

/* By the number of its multiplications: a warp's FFMA does 32, its mma.sync 16 x 8 x 8 or 16. */
uint32_t cuda_unrolled(const Kernel *k, const CudaLaunch *l, const SassCount *n) {
  static const uint32_t work[PRECISIONS] = {32, 1024, 2048};
  uint32_t slab = l->rows * l->columns * l->slab / (l->block / 32) / work[k->precision];
  return slab && n->multiplies > slab ? (n->multiplies + slab / 2) / slab : 1;
}

/* Instructions that a warp issues. */
static double warp_issues(const Kernel *k, const CudaLaunch *l, const SassCount *n) {
  if (!n) return 0;
  if (!l->slabs) return n->total;
  return (double)n->loop * l->slabs / cuda_unrolled(k, l, n) + n->total - n->loop;
}

CudaEstimate cuda_estimate(const CudaArch *a, const Kernel *k, const CudaLaunch *launch,
                           const SassCount *count) {
  CudaEstimate e = {.part[BOUND_LAUNCH] = CUDA_LAUNCH_SECONDS, .by = BOUND_LAUNCH};
  double blocks = (double)launch->grid[0] * launch->grid[1] * launch->grid[2];
  double turns = (double)(((uint64_t)blocks + a->processors - 1) / a->processors);
  double hertz = a->clock * 1e6;
  uint32_t rate = a->rate[launch->slabs ? k->precision : PRECISION_FP32];
  double work = turns * block_work(k, launch, blocks) / rate;
  double issues = turns * warp_issues(k, launch, count) * (launch->block / 32) /
                  (double)CUDA_SCHEDULERS;
  e.part[BOUND_COMPUTE] = (work > issues ? work : issues) / hertz;
  e.part[BOUND_BANDWIDTH] = (double)k->bytes / a->bytes;
  for (CudaBound i = 0; i < BOUND_COUNT; i++)
    if (e.part[i] > e.part[e.by]) e.by = i;
  bool computes = e.part[BOUND_COMPUTE] > e.part[BOUND_BANDWIDTH];
  e.seconds = e.part[BOUND_LAUNCH] + e.part[computes ? BOUND_COMPUTE : BOUND_BANDWIDTH];
  return e;
}
