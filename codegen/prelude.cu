/* prelude.cu: what generated kernels stand on, without any header: one function per PTX
 * instruction, the sums of a warp or a block in a fixed order, the random generator. In the C
 * subset; compiled by NVRTC as it is, and by clang with the few names that NVRTC has built in. */
#ifdef __clang__
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
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
/* A kernel, of blocks of 256 threads (one on a processor is enough: nothing need be spilled to fit
 * more); shared memory whose size the launch gives. */
#define entry extern "C" __global__ void __launch_bounds__(256, 1)
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

/* Copies 16 bytes in the background; those from `bytes` on are zeros and not read. A commit ends a
 * group of copies; a wait returns when at most `n`, a literal, groups are under way. Before sm_80
 * a copy is a load and a store of the thread. */
#if defined __CUDA_ARCH__ && __CUDA_ARCH__ < 800
device void copy_16(u32 to, const void *from, int bytes) {
  asm volatile("{ .reg .u64 t; .reg .u32 x<4>; .reg .pred p; cvta.to.global.u64 t, %1; "
               "mov.u32 x0, 0; mov.u32 x1, 0; mov.u32 x2, 0; mov.u32 x3, 0; setp.ne.s32 p, %2, 0; "
               "@p ld.global.v4.u32 {x0, x1, x2, x3}, [t]; "
               "st.shared.v4.u32 [%0], {x0, x1, x2, x3}; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}
device void copy_4(u32 to, const void *from, int bytes) {
  asm volatile("{ .reg .u64 t; .reg .u32 x; .reg .pred p; cvta.to.global.u64 t, %1; "
               "mov.u32 x, 0; setp.ne.s32 p, %2, 0; @p ld.global.u32 x, [t]; "
               "st.shared.u32 [%0], x; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}
device void copy_commit(void) {}
#define copy_wait(n) ((void)0)
#else
device void copy_16(u32 to, const void *from, int bytes) {
  asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; "
               "cp.async.cg.shared.global [%0], [t], 16, %2; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}
device void copy_4(u32 to, const void *from, int bytes) {
  asm volatile("{ .reg .u64 t; cvta.to.global.u64 t, %1; "
               "cp.async.ca.shared.global [%0], [t], 4, %2; }"
               :: "r"(to), "l"(from), "r"(bytes) : "memory");
}
device void copy_commit(void) { asm volatile("cp.async.commit_group;" ::: "memory"); }
#define copy_wait(n) asm volatile("cp.async.wait_group " #n ";" ::: "memory")
#endif

/* Stores to shared memory in the order of the program. */
device void value_store(u32 to, float x) {
  asm volatile("st.shared.f32 [%0], %1;" :: "r"(to), "f"(x) : "memory");
}

device void short_store(u32 to, unsigned short x) {
  asm volatile("st.shared.u16 [%0], %1;" :: "r"(to), "h"(x) : "memory");
}

/* ---- tensor cores: tf32 as bit patterns of float, bf16 in pairs ---------------------------- */

/* Four 8x4 matrices of words; lane l holds word l % 4 of row l / 4 of each. */
device void matrix_load(u32 *r, u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

/* Four 8x8 matrices of bf16, transposed: lane l holds rows l % 4 * 2 and one more of column l / 4. */
device void matrix_load_transposed(u32 *r, u32 at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at) : "memory");
}

device u32 word_load(u32 at) {
  u32 x;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(x) : "r"(at) : "memory");
  return x;
}

/* d += a b: 16 rows, 8 columns, 8 terms (16 in bf16). */
device void matrix_multiply_bf16(float *d, const u32 *a, const u32 *b) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
device void matrix_multiply_tf32(float *d, const u32 *a, const u32 *b) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* To nearest, ties away: where a value is produced, never where it is multiplied. `bits`: the same
 * for tensor cores. */
device float round_tf32_kept(float x, u32 *bits) {
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(*bits) : "f"(x));
  asm("mov.b32 %0, %1;" : "=f"(x) : "r"(*bits));
  return x;
}
device float round_tf32(float x) {
  u32 bits;
  return round_tf32_kept(x, &bits);
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

/* ---- approximations ------------------------------------------------------------------------- */

/* 2^x, at most 2 units in the last place off, and 1 / x, at most one; results below the smallest
 * normal number are 0. */
device float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
device float reciprocal_approximate(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/* x y + z: kept in [0, 1], NaN as 0; rounded down. */
device float fma_saturate(float x, float y, float z) {
  float r;
  asm("fma.rn.sat.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z));
  return r;
}
device float fma_down(float x, float y, float z) {
  float r;
  asm("fma.rm.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(x), "f"(y), "f"(z));
  return r;
}

#ifdef __clang__
device float sqrtf(float x) {
  float y;
  asm("sqrt.rn.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
#endif

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
device float larger(float a, float b) { return b > a ? b : a; } /* NaN in b is passed over */
device float from_bf16(unsigned short x) { return bits_float((u32)x << 16); }
device unsigned short to_bf16(float x) { /* to nearest even; NaN stays NaN */
  u32 b = float_bits(x);
  if (x != x) return (unsigned short)(b >> 16 | 64);
  return (unsigned short)((b + 0x7fff + (b >> 16 & 1)) >> 16);
}

/* Adjacent elements as one access of 4, 8 or 16 bytes. */
typedef struct __align__(8) { float x[2]; } F32x2;
typedef struct __align__(16) { float x[4]; } F32x4;
typedef struct __align__(4) { unsigned short x[2]; } Bf16x2;
typedef struct __align__(8) { unsigned short x[4]; } Bf16x4;
#define GROUP_ACCESS(name, n, Element, Group, load, store)                                        \
  device void name##_load_##n(float *r, const Element *at) {                                      \
    Group g = *(const Group *)at;                                                                 \
    _Pragma("unroll") for (int i = 0; i < n; i++) r[i] = load(g.x[i]);                            \
  }                                                                                               \
  device void name##_store_##n(Element *at, const float *r) {                                     \
    Group g;                                                                                      \
    _Pragma("unroll") for (int i = 0; i < n; i++) g.x[i] = store(r[i]);                           \
    *(Group *)at = g;                                                                             \
  }
typedef struct __align__(4) { unsigned char x[4]; } U8x4;
typedef struct __align__(16) { int x[4]; } I32x4;
typedef struct __align__(16) { u32 x[4]; } U32x4;
GROUP_ACCESS(u8, 4, unsigned char, U8x4, (float), (unsigned char))
GROUP_ACCESS(i32, 4, int, I32x4, (float), (int))
GROUP_ACCESS(u32, 4, u32, U32x4, (float), (u32))
GROUP_ACCESS(f32, 2, float, F32x2, , )
GROUP_ACCESS(f32, 4, float, F32x4, , )
GROUP_ACCESS(bf16, 2, unsigned short, Bf16x2, from_bf16, to_bf16)
GROUP_ACCESS(bf16, 4, unsigned short, Bf16x4, from_bf16, to_bf16)

/* ---- sums by tensor cores ------------------------------------------------------------------- */

device float round_bf16_kept(float x, u32 *bits) {
  *bits = (u32)to_bf16(x) << 16;
  return bits_float(*bits);
}

/* The rhs that brings two columns of a lane, as k = lane % 4 and 4 more, to those of its results. */
device void matrix_unit(u32 *unit, int lane) {
  int column = lane % 4 * 2, row = lane / 4;
  unit[0] = row == column ? 0x3f800000u : 0;
  unit[1] = row == column + 1 ? 0x3f800000u : 0;
}

/* The sums of a lane's two columns over `rows`, an even number; they begin with the first two. */
device void matrix_sum(float *sum, float (*first)[2], u32 (*bits)[2], int rows, const u32 *unit) {
  float d[4] = {first[0][0], first[0][1], first[1][0], first[1][1]};
  _Pragma("unroll") for (int i = 2; i < rows; i += 2) {
    const u32 a[4] = {bits[i][0], bits[i + 1][0], bits[i][1], bits[i + 1][1]};
    matrix_multiply_tf32(d, a, unit);
  }
  sum[0] = d[0] + d[2], sum[1] = d[1] + d[3];
}

/* ---- functions: the same under every compiler ------------------------------------------------ */

/* Each is within 2^-21 of its value, as the host's are; NaN goes in and comes out; results below
 * the smallest normal number may be 0. What the approximate instructions of PTX may be off is
 * part of that bound. */
#if defined __clang__ && defined __CUDA__
device float fabsf(float x) { return __builtin_fabsf(x); }
device float floorf(float x) { return __builtin_floorf(x); }
device float fmaf(float x, float y, float z) { return __builtin_fmaf(x, y, z); }
device double fma(double x, double y, double z) { return __builtin_fma(x, y, z); }
#endif

/* 2^n 2^f with n = floor(x log2 e), held in [-126, 126] by the saturation; f takes up the rest, so
 * that overflow and gradual underflow come out right. */
device float exp_of(float x) {
  float shifted = fma_saturate(x, 1.4426950408889634f / 252.0f, 0.5f);
  shifted = fma_down(shifted, 252.0f, 12582913.0f);
  float n = shifted - 12583039.0f;
  float f = fmaf(x, 1.925963033500011e-8f, fmaf(x, 1.4426950216293335f, -n));
  return exp2_approximate(f) * bits_float(float_bits(shifted) << 23);
}

device float sigmoid_of(float x) { return reciprocal_approximate(1.0f + exp_of(-x)); }

device float sign_like(float size, float x) {
  return bits_float(float_bits(size) | (float_bits(x) & 0x80000000u));
}

/* An odd polynomial near 0, 1 - 2 / (exp(2|x|) + 1) elsewhere. */
device float tanh_of(float x) {
  float size = fabsf(x), s = x * x, p = -5.52863348e-3f;
  p = fmaf(p, s, 2.04833169e-2f);
  p = fmaf(p, s, -5.36929667e-2f);
  p = fmaf(p, s, 0.133308992f);
  p = fmaf(p, s, -0.333332628f);
  float near = fmaf(p * s, x, x);
  float far = fmaf(-2.0f, reciprocal_approximate(exp_of(size + size) + 1.0f), 1.0f);
  return size < 0.65f ? near : sign_like(far, x);
}

/* A polynomial below 0.93, 1 - exp(polynomial) above. */
device float erf_of(float x) {
  float s = x * x, size = fabsf(x), p = -5.96761703e-4f, q = -1.72853470e-5f;
  p = fmaf(p, s, 4.99119423e-3f);
  p = fmaf(p, s, -2.67681349e-2f);
  p = fmaf(p, s, 1.12819925e-1f);
  p = fmaf(p, s, -3.76125336e-1f);
  p = fmaf(p, s, 1.28379166e-1f);
  float u = size > 10.0f ? 10.0f : size; /* erf is 1 from 4 on */
  q = fmaf(q, u, 3.83197126e-4f);
  q = fmaf(q, u, -3.88396438e-3f);
  q = fmaf(q, u, 2.42546219e-2f);
  q = fmaf(q, u, -1.06777877e-1f);
  q = fmaf(q, u, -6.34846687e-1f);
  q = fmaf(q, u, -1.28717512e-1f);
  float far = 1.0f - exp_of(fmaf(q, u, -u));
  return size > 0.927734375f ? sign_like(far, x) : fmaf(p, x, x);
}

/* x = m 2^e with sqrt(1/2) <= m < sqrt(2), for positive x. */
device float log_parts(float x, float *e) {
  int small = x < 1.17549435e-38f;
  u32 bits = float_bits(small ? x * 8388608.0f : x), n = (u32)((int)(bits - 0x3f3504f3u) >> 23);
  *e = (float)(int)n - (small ? 23.0f : 0.0f);
  return bits_float(bits - (n << 23));
}

/* The logarithm of 0, infinity, NaN and negative numbers; elsewhere y. */
device float log_edges(float x, float y) {
  if (!(x < infinity())) y = x; /* infinity or NaN */
  if (x == 0.0f) y = -infinity();
  return x < 0.0f ? not_a_number() : y;
}

/* log(1 + f) as f - f^2 / 2 + f^3 P(f), log 2 in two parts. */
device float log_of(float x) {
  float e, f = log_parts(x, &e) - 1.0f, s = f * f, p = 7.0376836292e-2f;
  p = fmaf(p, f, -1.1514610310e-1f);
  p = fmaf(p, f, 1.1676998740e-1f);
  p = fmaf(p, f, -1.2420140846e-1f);
  p = fmaf(p, f, 1.4249322787e-1f);
  p = fmaf(p, f, -1.6668057665e-1f);
  p = fmaf(p, f, 2.0000714765e-1f);
  p = fmaf(p, f, -2.4999993993e-1f);
  p = fmaf(p, f, 3.3333331174e-1f);
  float r = fmaf(e, -2.12194440e-4f, p * f * s);
  r = fmaf(s, -0.5f, r);
  return log_edges(x, fmaf(e, 0.693359375f, f + r));
}

/* In double: log of positive finite floats, 2 artanh((m - 1) / (m + 1)) + e log 2. */
device double log_double(float x) {
  float e;
  double m = log_parts(x, &e), f = (m - 1.0) / (m + 1.0), s = f * f, p = 2.0 / 17;
#pragma unroll
  for (int n = 15; n > 0; n -= 2) p = fma(p, s, 2.0 / n);
  return fma((double)e, 0.693147180559945309417, p * f);
}

/* exp of doubles in [-110, 110], to a float. */
device float exp_double(double x) {
  double shifted = fma(x, 1.4426950408889634, 6755399441055744.0), n = shifted - 6755399441055744.0;
  double r = fma(n, -0.69314718055994530942, x), p = 1.0 / 479001600, f = 479001600;
#pragma unroll
  for (int i = 12; i > 0; i--) f /= i, p = fma(p, r, 1.0 / f);
  int half = (int)n / 2, rest = (int)n - half; /* 2^n in two halves: the result may be tiny */
  return (float)(p * (double)bits_float((u32)(half + 127) << 23) *
                 (double)bits_float((u32)(rest + 127) << 23));
}

/* |x|^y, with the sign of x if y is odd; NaN for a negative number and a broken y; 1 for x^0,
 * 1^y and (-1)^infinity. */
device float pow_of(float x, float y) {
  float size = fabsf(x);
  int finite = size > 0.0f && size < infinity(), whole = floorf(y) == y;
  int odd = whole && floorf(0.5f * y) != 0.5f * y;
  double power = (finite ? log_double(size) : (double)log_edges(size, 0.0f)) * (double)y;
  power = power > 110.0 ? 110.0 : power < -110.0 ? -110.0 : power;
  float z = power != power ? not_a_number() : exp_double(power);
  if (odd) z = sign_like(z, x);
  if (x < 0.0f && finite && !whole) z = not_a_number();
  int one = y == 0.0f || x == 1.0f || (size == 1.0f && fabsf(y) == infinity());
  return one ? 1.0f : z;
}

/* The sine of x + quarter * pi / 2, through r = x - n pi / 2 in double, for |x| up to 2^29. */
device float sine(float x, u32 quarter) {
  double shifted = fma((double)x, 0.63661977236758134308, 6755399441055744.0);
  double n = shifted - 6755399441055744.0, d = fma(n, -1.5707963267341256, (double)x);
  d = fma(n, -6.077100506303966e-11, d);
  float r = (float)fma(n, -2.0222662487959506e-21, d), s = r * r;
  u32 place = (u32)(int)n + quarter;
  float sin = fmaf(-1.9515295891e-4f, s, 8.3321608736e-3f);
  sin = fmaf(fmaf(sin, s, -1.6666654611e-1f), s * r, r);
  float cos = fmaf(fmaf(2.4433157118e-5f, s, -1.3887316255e-3f), s, 4.1666645683e-2f);
  cos = fmaf(fmaf(cos, s, -0.5f), s, 1.0f);
  float y = place & 1 ? cos : sin;
  return place & 2 ? -y : y;
}
device float sin_of(float x) { return sine(x, 0); }
device float cos_of(float x) { return sine(x, 1); }

/* ---- sums and maxima in a fixed order ------------------------------------------------------ */

device float plus(float a, float b) { return a + b; }

/* warp: over neighbouring lanes, 2 to 32. block: over the 256 threads. column: over the threads of
 * a block that are `rows` apart, `lanes` of them. Every thread gets the result. */
#define REDUCTIONS(name, combine)                                                                  \
  device float warp_##name(float x, int lanes) {                                                   \
    _Pragma("unroll") for (int away = lanes / 2; away; away /= 2)                                  \
      x = combine(x, __shfl_xor_sync(0xffffffffu, x, away));                                       \
    return x;                                                                                      \
  }                                                                                                \
  device float block_##name(float x, float *share) {                                               \
    x = warp_##name(x, 32);                                                                        \
    if (thread_index() % 32 == 0) share[thread_index() / 32] = x;                                  \
    __syncthreads();                                                                               \
    x = share[0];                                                                                  \
    _Pragma("unroll") for (int w = 1; w < 8; w++) x = combine(x, share[w]);                        \
    __syncthreads();                                                                               \
    return x;                                                                                      \
  }                                                                                                \
  device float column_##name(float x, float *share, int rows, int lanes) {                         \
    int at = thread_index(), lane = at / rows;                                                     \
    share[at] = x;                                                                                 \
    _Pragma("unroll") for (int n = lanes; n > 1; n = (n + 1) / 2) {                                \
      __syncthreads();                                                                             \
      if (lane < n / 2) share[at] = combine(share[at], share[at + (n + 1) / 2 * rows]);            \
    }                                                                                              \
    __syncthreads();                                                                               \
    x = share[at % rows];                                                                          \
    __syncthreads();                                                                               \
    return x;                                                                                      \
  }
REDUCTIONS(add, plus)
REDUCTIONS(max, larger)

/* True, in all threads, in the block that is the last of `count` to arrive: what the others
 * wrote before is there, and the ticket is 0 again. */
device int block_last(u32 *ticket, u32 count) {
  __shared__ u32 before;
  __syncthreads();
  if (thread_index() == 0) before = ticket_take(ticket, count - 1);
  __syncthreads();
  return before == count - 1;
}

/* The same for two tickets at once: bit 0 for the first, bit 1 for the second. */
device u32 blocks_last(u32 *a, u32 count_a, u32 *b, u32 count_b) {
  __shared__ u32 last;
  __syncthreads();
  if (thread_index() == 0)
    last = (ticket_take(a, count_a - 1) == count_a - 1 ? 1 : 0) +
           (ticket_take(b, count_b - 1) == count_b - 1 ? 2 : 0);
  __syncthreads();
  return last;
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

/* ---- what a phase is fed from, and what it gives: not of a network ---------------------------- */

/* `rows` times `bytes` to `to`: from `from`, or, for table 1 (samples) and 2 (labels), the rows of
 * the batch, and zeros behind its last one. */
typedef struct { u64 to, from; u32 bytes, rows, table, pad; } Move;
/* What changes from step to step. */
typedef struct { u64 table[2]; float rate; u32 key[2], rows, row[1]; } Feeding;

/* A block for each row and each move. */
entry lcw_gather(const Move *move, const Feeding *feed) {
  const Move m = move[block_y()];
  u32 r = (u32)block_x();
  if (r >= m.rows) return;
  u64 to = m.to + (u64)r * m.bytes, from = m.from;
  if (m.table) from = r < feed->rows ? feed->table[m.table - 1] + (u64)feed->row[r] * m.bytes : 0;
  if (m.bytes % 4 == 0) {
    for (u32 i = (u32)thread_index(); i < m.bytes / 4; i += 256)
      ((u32 *)to)[i] = from ? ((const u32 *)from)[i] : 0;
  } else {
    for (u32 i = (u32)thread_index(); i < m.bytes; i += 256)
      ((unsigned char *)to)[i] = from ? ((const unsigned char *)from)[i] : 0;
  }
}

/* ---- the kernels ---------------------------------------------------------------------------- */
