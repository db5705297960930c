/* cuda_arch.c: occupancy and predicted time against known answers: what NVIDIA's occupancy
 * calculator (cuda_occupancy.h of CUDA 13.0) says of the same kernels, peaks of data sheets, and
 * times worked out by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cuda_arch.h"

/* Architecture; threads, registers, bytes of shared memory; blocks of a processor, and all that
 * there is too little of for one more: a bit each. */
enum { R = 1 << HELD_REGISTERS, S = 1 << HELD_SHARED, W = 1 << HELD_WARPS, B = 1 << HELD_BLOCKS };
static const struct { uint32_t arch, threads, registers, shared, blocks, by; } known[] = {
  {75, 256, 32, 0, 4, W},       {75, 256, 64, 0, 4, R | W},    {75, 256, 128, 0, 2, R},
  {75, 32, 16, 0, 16, B},       {75, 1024, 64, 0, 1, R | W},   {75, 256, 40, 32768, 2, S},
  {75, 256, 128, 65536, 1, S},  {80, 256, 32, 0, 8, R | W},    {80, 256, 64, 0, 4, R},
  {80, 256, 128, 98304, 1, S},  {80, 256, 102, 49152, 2, R},   {80, 32, 16, 0, 32, B},
  {80, 1024, 64, 0, 1, R},      {80, 1024, 65, 0, 0, R},       {80, 96, 33, 0, 16, R},
  {80, 256, 255, 0, 1, R},      {80, 128, 80, 8192, 6, R},     {80, 256, 32, 166912, 1, S},
  {86, 256, 32, 0, 6, W},       {86, 256, 128, 98304, 1, S},   {86, 256, 40, 20480, 4, S},
  {86, 32, 16, 0, 16, B},       {86, 768, 40, 0, 2, R | W},    {89, 32, 16, 0, 24, B},
  {89, 256, 168, 49152, 1, R},  {90, 256, 128, 131072, 1, S},  {90, 256, 128, 65536, 2, R},
  {90, 128, 168, 57344, 3, R},  {90, 64, 24, 0, 32, W | B},    {90, 256, 32, 232448, 1, S},
  {100, 256, 96, 73728, 2, R},  {100, 192, 56, 16384, 6, R},   {120, 256, 128, 98304, 1, S},
  {120, 256, 48, 24576, 4, S},  {120, 512, 128, 0, 1, R},      {120, 256, 32, 101377, 0, S},
};

static void occupancy(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(known); i++) {
    const CudaArch *a = cuda_arch_find(known[i].arch);
    CudaOccupancy o =
        cuda_occupancy(a, known[i].threads, known[i].registers, known[i].shared);
    if (o.blocks != known[i].blocks || !(known[i].by >> o.by & 1))
      fail_msg("row %zu: %u blocks by %s", i, o.blocks, cuda_held[o.by]);
    assert_int_equal(o.warps, o.blocks * ((known[i].threads + 31) / 32));
    assert_float_equal(o.share, (double)o.warps / a->warps, 1e-12);
  }
}

static void limits(void **state) {
  (void)state;
  assert_int_equal(cuda_shared_limit(75), 65536);
  assert_int_equal(cuda_shared_limit(80), 166912);
  assert_int_equal(cuda_shared_limit(86), 101376);
  assert_int_equal(cuda_shared_limit(90), 232448);
  assert_int_equal(cuda_shared_limit(121), 101376); /* not in the table: what all have */
  assert_null(cuda_arch_find(121));
}

/* TFLOP/s of data sheets: fp32, tf32, bf16. sm_90 and sm_100 have others (cuda_arch.def). */
static void peaks(void **state) {
  static const struct { uint32_t arch; double peak[PRECISIONS]; } sheet[] = {
    {75, {8.1, 0, 0}},       {80, {19.5, 156, 312}},     {86, {37.4, 74.8, 149.7}},
    {89, {82.6, 82.6, 165.2}}, {120, {104.8, 104.8, 209.5}},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sheet); i++)
    for (Precision p = 0; p < PRECISIONS; p++) {
      const CudaArch *a = cuda_arch_find(sheet[i].arch);
      double peak = 2.0 * a->rate[p] * a->processors * a->clock * 1e-6;
      assert_true(fabs(peak - sheet[i].peak[p]) <= 0.006 * peak);
    }
}

/* A contraction of 2048 x 2048 x 256 in tf32, tiles of 128 x 128, on 108 processors: 256 blocks are
 * 3 turns; a block's products take 8192 clocks, 8 warps of 8 * 150 + 1000 instructions 4400. */
static void time_of_contraction(void **state) {
  const CudaArch *a = cuda_arch_find(80);
  const Kernel k = {.kind = KERNEL_CONTRACT, .precision = PRECISION_TF32, .bytes = 4 << 20};
  CudaLaunch l = {.grid = {256, 1, 1}, .block = 256, .rows = 128, .columns = 128, .slab = 32,
                  .slabs = 8};
  SassCount few = {.loop = 150, .total = 1150}, many = {.loop = 600, .total = 1600};
  (void)state;
  CudaEstimate e = cuda_estimate(a, &k, &l, NULL);
  assert_float_equal(e.part[BOUND_COMPUTE], 3 * 8192 / 1.41e9, 1e-12);
  assert_float_equal(e.part[BOUND_BANDWIDTH], (4 << 20) / 1555e9, 1e-12);
  assert_float_equal(e.seconds, 3 * 8192 / 1.41e9 + CUDA_LAUNCH_SECONDS, 1e-12);
  assert_int_equal(e.by, BOUND_COMPUTE);
  e = cuda_estimate(a, &k, &l, &few);
  assert_float_equal(e.part[BOUND_COMPUTE], 3 * 8192 / 1.41e9, 1e-12);
  e = cuda_estimate(a, &k, &l, &many);
  assert_float_equal(e.part[BOUND_COMPUTE], 3 * (8 * 600 + 1000) * 2 / 1.41e9, 1e-12);
  const SassCount twice = {.loop = 1200, .multiplies = 128, .total = 2200};
  e = cuda_estimate(a, &k, &l, &twice); /* 64 HMMA a slab: unrolled to two */
  assert_float_equal(e.part[BOUND_COMPUTE], 3 * (4 * 1200 + 1000) * 2 / 1.41e9, 1e-12);
  assert_int_equal(cuda_unrolled(&k, &l, &few), 1);
  l.grid[0] = 4;
  assert_float_equal(cuda_estimate(a, &k, &l, NULL).part[BOUND_COMPUTE], 8192 / 1.41e9, 1e-12);
}

static void time_of_map(void **state) {
  const CudaArch *a = cuda_arch_find(90);
  Kernel k = {.kind = KERNEL_MAP, .flops = 1 << 20, .bytes = 335 << 20};
  const CudaLaunch l = {.grid = {1320, 1, 1}, .block = 256};
  (void)state;
  CudaEstimate e = cuda_estimate(a, &k, &l, NULL);
  assert_int_equal(e.by, BOUND_BANDWIDTH);
  assert_float_equal(e.part[BOUND_BANDWIDTH], (335 << 20) / 3350e9, 1e-12);
  assert_float_equal(e.part[BOUND_COMPUTE], (1 << 20) / 132.0 / 128 / 1.83e9, 1e-12);
  k.bytes = 1000;
  assert_int_equal(cuda_estimate(a, &k, &l, NULL).by, BOUND_LAUNCH);
}

int main(void) {
  const struct CMUnitTest test[] = {
    cmocka_unit_test(occupancy), cmocka_unit_test(limits),
    cmocka_unit_test(peaks),     cmocka_unit_test(time_of_contraction),
    cmocka_unit_test(time_of_map),
  };
  return cmocka_run_group_tests(test, NULL, NULL);
}
