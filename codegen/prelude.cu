/* prelude.cu: what generated kernels stand on, without any header: one function per PTX
 * instruction, the sums of a warp or a block in a fixed order, the random generator. In the C
 * subset; compiled by NVRTC as it is, and by clang with the few names that NVRTC has built in. */
#ifdef __clang__
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(n) __attribute__((launch_bounds(n)))
#define __align__(n) __attribute__((aligned(n)))
#define __syncwarp() __nvvm_bar_warp_sync(0xffffffffu)
#define __shfl_xor_sync(mask, x, lanes) __nvvm_shfl_sync_bfly_f32(mask, x, lanes, 31)
#define thread_index() ((int)__nvvm_read_ptx_sreg_tid_x())
#define block_x() ((int)__nvvm_read_ptx_sreg_ctaid_x())
#define block_y() ((int)__nvvm_read_ptx_sreg_ctaid_y())
#else
#define thread_index() ((int)threadIdx.x)
#define block_x() ((int)blockIdx.x)
#define block_y() ((int)blockIdx.y)
#endif
/* A kernel, of blocks of 256 threads; shared memory whose size the launch gives. */
#define entry extern "C" __global__ void __launch_bounds__(256)
#define dynamic_shared extern __shared__ __align__(128)
#define device static __device__ __forceinline__ __attribute__((unused))

typedef unsigned u32;
typedef unsigned long long u64;

/* ---- copies to shared memory ------------------------------------------------------------ */

/* The 32-bit address of shared memory. */
device u32 shared_address(const void *p) {
  u32 at;
  asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(at) : "l"(p));
  return at;
}

/* Copies 16 bytes in the background; those from `bytes` on are zeros and not read. */
device void copy_16(u32 to, const float *from, int bytes) {
  asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; "
               "cp.async.cg.shared.global [%0], [t], 16, %2; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}

device void copy_4(u32 to, const float *from, int bytes) {
  asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; "
               "cp.async.ca.shared.global [%0], [t], 4, %2; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}

/* Ends a group of copies; waits until at most `n`, a literal, groups are under way. */
device void copy_commit(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }
#define copy_wait(n) asm volatile("cp.async.wait_group " #n ";" ::: "memory")

/* Stores to shared memory in the order of the program. */
device void value_store(u32 to, float x) {
  asm volatile("st.shared.f32 [%0], %1;" :: "r"(to), "f"(x) : "memory");
}

/* ---- tensor cores: tf32 as bit patterns of float ---------------------------------------- */

/* Four 8x4 matrices of words; lane l holds word l % 4 of row l / 4 of each. */
device void matrix_load(u32 *r, u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

device u32 word_load(u32 at) {
  u32 x;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(at) : "memory");
  return x;
}

/* d += a b: 16 rows, 8 columns, 8 terms. */
device void matrix_multiply(float *d, const u32 *a, const u32 *b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* To nearest, ties away: where a value is produced, never where it is multiplied. */
device float round_tf32(float x) {
  u32 y;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
  asm("mov.b32 %0, %1;" : "=f"(x) : "r"(y));
  return x;
}

/* ---- tickets --------------------------------------------------------------------------------- */

/* Counts up at a ticket, from `last` back to 0; returns what was there. What this block wrote before
 * is seen by who comes later. */
device u32 ticket_take(u32 *ticket, u32 last) {
  u32 was;
  asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; fence.acq_rel.gpu; "
               "atom.relaxed.gpu.global.inc.u32 %0, [t], %2; fence.acq_rel.gpu; }"
               : "=r"(was) : "l"(ticket), "r"(last) : "memory");
  return was;
}

/* ---- plain multiplication ----------------------------------------------------------------- */

device void four_load(float *r, u32 at) {
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(r[0]), "=f"(r[1]), "=f"(r[2]), "=f"(r[3]) : "r"(at) : "memory");
}

/* ---- scalars: from here on plain C, which tests also compile for the CPU --------------------- */

typedef union { float value; u32 bits; } Word;
device float bits_float(u32 x) {
  Word w;
  w.bits = x;
  return w.value;
}
device u32 float_bits(float x) {
  Word w;
  w.value = x;
  return w.bits;
}
device float infinity(void) { return bits_float(0x7f800000u); }
device float not_a_number(void) { return bits_float(0x7fc00000u); }
device float larger(float a, float b) { return a > b ? a : b; }
device float from_bf16(unsigned short x) { return bits_float((u32)x << 16); }
device unsigned short to_bf16(float x) { /* to nearest even; NaN stays NaN */
  u32 b = float_bits(x);
  if (x != x) return (unsigned short)(b >> 16 | 64);
  return (unsigned short)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

/* What NVRTC has built in, by the approximate instructions of PTX. */
#if defined __clang__ && defined __CUDA__
device float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
device float expf(float x) { /* 2^(x log2 e) in two parts, so that large x keep their digits */
  float n = __builtin_rintf(x * 1.44269504f);
  float r = __builtin_fmaf(n, -1.90465421e-9f, __builtin_fmaf(n, -0.693147182f, x));
  return exp2_approximate(n) * exp2_approximate(r * 1.44269504f);
}
device float logf(float x) {
  float y;
  asm("lg2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y * 0.693147182f;
}
device float sqrtf(float x) {
  float y;
  asm("sqrt.rn.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
device float fabsf(float x) { return __builtin_fabsf(x); }
device float floorf(float x) { return __builtin_floorf(x); }
device float tanhf(float x) { return 1.0f - 2.0f / (expf(2.0f * x) + 1.0f); }
#endif

/* ---- sums and maxima in a fixed order ------------------------------------------------------ */

device float warp_add(float x) {
#pragma unroll
  for (int lanes = 16; lanes; lanes /= 2) x += __shfl_xor_sync(0xffffffffu, x, lanes);
  return x;
}
device float warp_max(float x) {
#pragma unroll
  for (int lanes = 16; lanes; lanes /= 2) x = larger(x, __shfl_xor_sync(0xffffffffu, x, lanes));
  return x;
}

/* Over the 256 threads of a block; every thread gets the result. */
device float block_add(float x, float *share) {
  x = warp_add(x);
  if (thread_index() % 32 == 0) share[thread_index() / 32] = x;
  __syncthreads();
  x = share[0];
#pragma unroll
  for (int w = 1; w < 8; w++) x += share[w];
  __syncthreads();
  return x;
}
device float block_max(float x, float *share) {
  x = warp_max(x);
  if (thread_index() % 32 == 0) share[thread_index() / 32] = x;
  __syncthreads();
  x = share[0];
#pragma unroll
  for (int w = 1; w < 8; w++) x = larger(x, share[w]);
  __syncthreads();
  return x;
}

/* True, in all threads, in the block that is the last of `count` to arrive: what the others
 * wrote before is there, and the ticket is 0 again. */
device int block_last(u32 *ticket, u32 count) {
  __shared__ u32 before;
  __syncthreads();
  if (thread_index() == 0) before = ticket_take(ticket, count - 1);
  __syncthreads();
  return before == count - 1;
}

/* Over the 8 threads of a block that share a column of 32. */
device float column_add(float x, float *share) {
  share[thread_index()] = x;
  __syncthreads();
  x = share[thread_index() % 32];
#pragma unroll
  for (int w = 1; w < 8; w++) x += share[thread_index() % 32 + 32 * w];
  __syncthreads();
  return x;
}
device float column_max(float x, float *share) {
  share[thread_index()] = x;
  __syncthreads();
  x = share[thread_index() % 32];
#pragma unroll
  for (int w = 1; w < 8; w++) x = larger(x, share[thread_index() % 32 + 32 * w]);
  __syncthreads();
  return x;
}

/* ---- random numbers: Philox4x32-10 ---------------------------------------------------------- */

/* Uniform in [0, 1) at a position of a stream (two words), in the step and under the seed of
 * `step` (two words): the same word for word as on the host. */
device float random_uniform(const u32 *step, const u32 *stream, u64 position) {
  u32 c0 = (u32)position, c1 = (u32)(position >> 32), c2 = step[0], c3 = 0;
  u32 k0 = stream[0] ^ step[1], k1 = stream[1];
  for (int round = 0; round < 10; round++) {
    u64 a = (u64)0xD2511F53u * c0, b = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(b >> 32) ^ c1 ^ k0;
    c1 = (u32)b;
    c2 = (u32)(a >> 32) ^ c3 ^ k1;
    c3 = (u32)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (float)(c0 >> 8) * 5.9604644775390625e-8f;
}

/* ---- the kernels ---------------------------------------------------------------------------- */
