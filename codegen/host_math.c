/* host_math.c: one function per row of scalars.def, on a float or a vector of floats; a missing
 * one fails the link. In: operands of one type. Out: the value. Polynomials in explicit fma, at
 * most 4 ulp; NaN goes in and comes out; results below the smallest normal number may be 0.
 * No libm: a trainer needs no library, and the numbers are the same on every machine. */
#include "host.h"
#include "seed.h"

#define SCALAR(name, ...) static MathRule math_##name;
#include "scalars.def"

const Math math_table[FN_COUNT] = {
#define SCALAR(name, operands, ...) {math_##name, operands},
#include "scalars.def"
};

/* A 64-bit constant, as wide as `like`. */
static Value constant_long(Build *b, uint64_t x, Value like) {
  Value c = LLVMConstInt(b->i64, x, 0);
  return value_wide(like) ? value_splat(b, c, LLVMGetVectorSize(LLVMTypeOf(like))) : c;
}

static Value f_add(Build *b, Value x, Value y) { return LLVMBuildFAdd(b->at, x, y, ""); }
static Value f_sub(Build *b, Value x, Value y) { return LLVMBuildFSub(b->at, x, y, ""); }
static Value f_mul(Build *b, Value x, Value y) { return LLVMBuildFMul(b->at, x, y, ""); }
static Value f_div(Build *b, Value x, Value y) { return LLVMBuildFDiv(b->at, x, y, ""); }

static Value compare(Build *b, LLVMRealPredicate how, Value x, Value y) {
  return LLVMBuildFCmp(b->at, how, x, y, "");
}

/* x, or `high` where x is above it, or `low` where it is below; NaN stays. */
static Value clamp(Build *b, Value x, double low, double high) {
  Value hi = real_like(b, high, x), lo = real_like(b, low, x);
  x = value_choose(b, compare(b, LLVMRealOGT, x, hi), hi, x);
  return value_choose(b, compare(b, LLVMRealOLT, x, lo), lo, x);
}

/* c[0] x^(n-1) + ... + c[n-1]. */
static Value polynomial(Build *b, Value x, const double *c, uint32_t n) {
  Value y = real_like(b, c[0], x);
  for (uint32_t i = 1; i < n; i++) y = value_fma(b, y, x, real_like(b, c[i], x));
  return y;
}
#define POLYNOMIAL(b, x, ...)                                                                      \
  polynomial(b, x, (const double[]){__VA_ARGS__},                                                  \
             sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

/* ---- arithmetic and comparisons ------------------------------------------------------------ */

#define BINARY(name, body) \
  static Value math_##name(Build *b, Value x, Value y, Value z) { (void)z; return body; }
#define UNARY(name, body) \
  static Value math_##name(Build *b, Value x, Value y, Value z) { (void)y, (void)z; return body; }

/* 1 where the comparison holds, else 0. */
static Value truth(Build *b, LLVMRealPredicate how, Value x, Value y) {
  return value_choose(b, compare(b, how, x, y), real_like(b, 1, x), real_like(b, 0, x));
}

BINARY(add, f_add(b, x, y))
BINARY(sub, f_sub(b, x, y))
BINARY(mul, f_mul(b, x, y))
BINARY(div, f_div(b, x, y))
BINARY(min, value_choose(b, compare(b, LLVMRealOLT, x, y), x, y))
BINARY(max, value_choose(b, compare(b, LLVMRealOGT, x, y), x, y))
BINARY(lt, truth(b, LLVMRealOLT, x, y))
BINARY(le, truth(b, LLVMRealOLE, x, y))
BINARY(eq, truth(b, LLVMRealOEQ, x, y))
UNARY(neg, LLVMBuildFNeg(b->at, x, ""))
UNARY(abs, call_intrinsic(b, "llvm.fabs", LLVMTypeOf(x), &x, 1))
UNARY(sqrt, call_intrinsic(b, "llvm.sqrt", LLVMTypeOf(x), &x, 1))

static Value math_select(Build *b, Value x, Value y, Value z) {
  return value_choose(b, compare(b, LLVMRealUNE, x, real_like(b, 0, x)), y, z);
}

/* Both roundings add what carries into the last bit kept, and drop the bits behind it. NaN stays. */
static Value bits_kept(Build *b, Value x, Value bits, Value half, uint32_t mask) {
  Value sum = LLVMBuildAdd(b->at, bits, half, "");
  sum = LLVMBuildAnd(b->at, sum, word_like(b, mask, bits), "");
  Value y = LLVMBuildBitCast(b->at, sum, LLVMTypeOf(x), "");
  return value_choose(b, compare(b, LLVMRealUNO, x, x), x, y);
}

/* To tf32: ties away from 0. */
static Value math_tf32(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value bits = LLVMBuildBitCast(b->at, x, type_like(b, b->i32, x), "");
  return bits_kept(b, x, bits, word_like(b, 0x1000u, bits), 0xffffe000u);
}

/* To bf16: a tie goes up only if the last bit kept is 1. */
static Value math_bf16(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value bits = LLVMBuildBitCast(b->at, x, type_like(b, b->i32, x), "");
  Value last = LLVMBuildLShr(b->at, bits, word_like(b, 16, bits), "");
  last = LLVMBuildAnd(b->at, last, word_like(b, 1, bits), "");
  Value half = LLVMBuildAdd(b->at, last, word_like(b, 0x7fffu, bits), "");
  return bits_kept(b, x, bits, half, 0xffff0000u);
}

/* Without a rounding instruction: through int32, which holds every float that has a fraction. */
static Value math_floor(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  if (b->isa->fma) return call_intrinsic(b, "llvm.floor", LLVMTypeOf(x), &x, 1);
  Value size = math_abs(b, x, NULL, NULL);
  Value small = compare(b, LLVMRealOLT, size, real_like(b, 8388608, x));
  Value safe = value_choose(b, small, x, real_like(b, 0, x));
  Value whole = LLVMBuildFPToSI(b->at, safe, type_like(b, b->i32, x), "");
  whole = LLVMBuildSIToFP(b->at, whole, LLVMTypeOf(x), "");
  Value above = compare(b, LLVMRealOGT, whole, safe);
  Value down = f_sub(b, whole, value_choose(b, above, real_like(b, 1, x), real_like(b, 0, x)));
  down = value_choose(b, compare(b, LLVMRealOEQ, down, safe), safe, down); /* -0 stays */
  return value_choose(b, small, down, x);
}

/* ---- exp and what rests on it -------------------------------------------------------------- */

/* x = n log 2 + r: n as int32, expm1(r). |x| < 2^21. */
static Value exp_parts(Build *b, Value x, Value *n) {
  Value magic = real_like(b, 12582912.0, x); /* 1.5 * 2^23: rounds to nearest in its last bit */
  Value t = value_fma(b, x, real_like(b, 1.44269504088896341, x), magic);
  Value whole = f_sub(b, t, magic);
  Value r = value_fma(b, whole, real_like(b, -0.693145752, x), x);
  r = value_fma(b, whole, real_like(b, -1.42860677e-6, x), r);
  Type words = type_like(b, b->i32, x);
  *n = LLVMBuildSub(b->at, LLVMBuildBitCast(b->at, t, words, ""), word_like(b, 0x4B400000u, x), "");
  Value q =
      POLYNOMIAL(b, r, 0.000198527617612853646, 0.00139304355252534151, 0.00833336077630519867,
                 0.0416664853692054749, SEED(204, 0.16670, 0.16666667163372039795), 0.5);
  return value_fma(b, q, f_mul(b, r, r), r);
}

/* 2^n for -127 <= n <= 128 (0 and infinity at the ends). */
static Value power_of_two(Build *b, Value n, Type t) {
  Value e = LLVMBuildShl(b->at, LLVMBuildAdd(b->at, n, word_like(b, 127, n), ""),
                         word_like(b, 23, n), "");
  return LLVMBuildBitCast(b->at, e, t, "");
}

/* 2^n in two halves, so that overflow and gradual underflow come out right. */
static Value math_exp(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Type t = LLVMTypeOf(x);
  Value n, p = exp_parts(b, clamp(b, x, -104.5, 89), &n);
  Value half = LLVMBuildAShr(b->at, n, word_like(b, 1, n), "");
  Value low = power_of_two(b, half, t), high = power_of_two(b, LLVMBuildSub(b->at, n, half, ""), t);
  return f_mul(b, value_fma(b, p, low, low), high);
}

/* 1 / (1 + exp(-x)), the activation of the paper, in as few operations as it takes: x = r - n log 2,
 * exp(-r) a polynomial (relative error 3e-9), and 2^n is the low bits of t,
 * moved. Below -88.3 the result is subnormal, and so 0. */
static Value math_sigmoid(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value magic = real_like(b, 12582912.0, x), one = real_like(b, 1, x);
  x = clamp(b, x, -88.3, 87.3);
  Value t = value_fma(b, x, real_like(b, -1.44269504088896341, x), magic);
  Value whole = f_sub(b, t, magic);
  Value r = value_fma(b, whole, real_like(b, 0.693145752, x), x);
  r = value_fma(b, whole, real_like(b, 1.42860677e-6, x), r);
  Value e = POLYNOMIAL(b, r, 0.0013814593602991289, -0.008368719271594388, 0.04166838827907009,
                       -0.16666520612004454, 0.4999999344646089, -1, 1);
  Type words = type_like(b, b->i32, x);
  Value n = LLVMBuildShl(b->at, LLVMBuildBitCast(b->at, t, words, ""), word_like(b, 23, x), "");
  Value power = LLVMBuildAdd(b->at, n, word_like(b, 127u << 23, x), "");
  power = LLVMBuildBitCast(b->at, power, LLVMTypeOf(x), "");
  return f_div(b, one, value_fma(b, e, power, one));
}

/* m / (m + 2) with m = expm1(2x). */
static Value math_tanh(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value n, p = exp_parts(b, clamp(b, f_add(b, x, x), -18.03, 18.03), &n);
  Value s = power_of_two(b, n, LLVMTypeOf(x));
  Value m = value_fma(b, p, s, f_sub(b, s, real_like(b, 1, x)));
  return f_div(b, m, f_add(b, m, real_like(b, 2, x)));
}

static Value with_sign_of(Build *b, Value size, Value x) {
  return call_intrinsic(b, "llvm.copysign", LLVMTypeOf(x), (Value[]){size, x}, 2);
}

/* A polynomial below 0.93, 1 - exp(polynomial) above. */
static Value math_erf(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value s = f_mul(b, x, x), t = math_abs(b, x, NULL, NULL);
  Value near = POLYNOMIAL(b, s, -5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1,
                          -3.76125336e-1, 1.28379166e-1);
  near = value_fma(b, near, x, x);
  Value u = clamp(b, t, 0, 10); /* erf is 1 from 4 on */
  Value far = POLYNOMIAL(b, u, -1.72853470e-5, 3.83197126e-4, -3.88396438e-3, 2.42546219e-2,
                         -1.06777877e-1, -6.34846687e-1, -1.28717512e-1);
  far = math_exp(b, value_fma(b, far, u, LLVMBuildFNeg(b->at, u, "")), NULL, NULL);
  far = with_sign_of(b, f_sub(b, real_like(b, 1, x), far), x);
  return value_choose(b, compare(b, LLVMRealOGT, t, real_like(b, 0.927734375, x)), far, near);
}

/* ---- log ----------------------------------------------------------------------------------- */

/* x = m 2^e with sqrt(1/2) <= m < sqrt(2), for positive x. */
static Value log_parts(Build *b, Value x, Value *e) {
  Value tiny = compare(b, LLVMRealOLT, x, real_like(b, 0x1p-126, x));
  x = value_choose(b, tiny, f_mul(b, x, real_like(b, 0x1p23, x)), x);
  Value bits = LLVMBuildBitCast(b->at, x, type_like(b, b->i32, x), "");
  Value top = LLVMBuildSub(b->at, bits, word_like(b, 0x3F3504F3u, bits), "");
  Value n = LLVMBuildAShr(b->at, top, word_like(b, 23, bits), "");
  Value m = LLVMBuildSub(b->at, bits, LLVMBuildShl(b->at, n, word_like(b, 23, bits), ""), "");
  *e = LLVMBuildSIToFP(b->at, n, LLVMTypeOf(x), "");
  *e = f_sub(b, *e, value_choose(b, tiny, real_like(b, 23, x), real_like(b, 0, x)));
  return LLVMBuildBitCast(b->at, m, LLVMTypeOf(x), "");
}

/* `y`, but what the logarithm of 0, infinity, NaN and negative numbers is. */
static Value log_edges(Build *b, Value x, Value y) {
  Value zero = real_like(b, 0, x), infinity = real_like(b, 1.0 / 0.0, x);
  y = value_choose(b, compare(b, LLVMRealOEQ, x, infinity), infinity, y);
  y = value_choose(b, compare(b, LLVMRealOEQ, x, zero), real_like(b, -1.0 / 0.0, x), y);
  Value positive = compare(b, LLVMRealOGE, x, zero);
  return value_choose(b, positive, y, real_like(b, 0.0 / 0.0, x));
}

/* log(1 + f) as f - f^2 / 2 + f^3 P(f), log 2 in two parts. */
static Value math_log(Build *b, Value x, Value y, Value z) {
  (void)y, (void)z;
  Value e, f = f_sub(b, log_parts(b, x, &e), real_like(b, 1, x)), f2 = f_mul(b, f, f);
  Value p = POLYNOMIAL(b, f, 7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1,
                       1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1,
                       3.3333331174e-1);
  Value r = f_mul(b, f_mul(b, p, f), f2);
  r = value_fma(b, e, real_like(b, -2.12194440e-4, x), r);
  r = value_fma(b, f2, real_like(b, -0.5, x), r);
  r = value_fma(b, e, real_like(b, 0.693359375, x), f_add(b, f, r));
  return log_edges(b, x, r);
}

/* ---- in double: pow, sin, cos -------------------------------------------------------------- */

static Value widen(Build *b, Value x) {
  return LLVMBuildFPExt(b->at, x, type_like(b, b->f64, x), "");
}
static Value narrow(Build *b, Value x) {
  return LLVMBuildFPTrunc(b->at, x, type_like(b, b->f32, x), "");
}

/* log of positive finite floats to 1e-13: 2 artanh((m - 1) / (m + 1)) + e log 2. */
static Value log_double(Build *b, Value x) {
  Value e, m = widen(b, log_parts(b, x, &e)), one = real_like(b, 1, m);
  Value f = f_div(b, f_sub(b, m, one), f_add(b, m, one)), s = f_mul(b, f, f);
  Value p = POLYNOMIAL(b, s, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5,
                       2.0 / 3, 2.0);
  return value_fma(b, widen(b, e), real_like(b, 0.693147180559945309417, m), f_mul(b, p, f));
}

/* exp of doubles in [-200, 200], to 1e-13. */
static Value exp_double(Build *b, Value x) {
  Value magic = real_like(b, 0x1.8p52, x);
  Value t = value_fma(b, x, real_like(b, 1.4426950408889634, x), magic), n = f_sub(b, t, magic);
  Value r = value_fma(b, n, real_like(b, -0.69314718055994530942, x), x);
  Value p = POLYNOMIAL(b, r, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                       1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0);
  Type longs = type_like(b, b->i64, x);
  Value e = LLVMBuildFPToSI(b->at, n, type_like(b, b->i32, x), "");
  e = LLVMBuildAdd(b->at, LLVMBuildSExt(b->at, e, longs, ""), constant_long(b, 1023, x), "");
  Value s = LLVMBuildBitCast(b->at, LLVMBuildShl(b->at, e, constant_long(b, 52, x), ""),
                             LLVMTypeOf(x), "");
  return f_mul(b, p, s);
}

static Value both(Build *b, Value p, Value q) { return LLVMBuildAnd(b->at, p, q, ""); }
static Value either(Build *b, Value p, Value q) { return LLVMBuildOr(b->at, p, q, ""); }

/* Where x^y is 1 whatever the other operand: x^0, 1^y, (-1)^infinity. */
static Value power_of_one(Build *b, Value x, Value y) {
  Value one = real_like(b, 1, x), size = math_abs(b, x, NULL, NULL);
  Value endless = compare(b, LLVMRealOEQ, math_abs(b, y, NULL, NULL), real_like(b, 1.0 / 0.0, x));
  Value unit = both(b, endless, compare(b, LLVMRealOEQ, size, one));
  Value plain = compare(b, LLVMRealOEQ, x, one);
  return either(b, either(b, compare(b, LLVMRealOEQ, y, real_like(b, 0, x)), plain), unit);
}

/* |x|^y, with the sign of x if y is odd; NaN for a negative number and a broken y. */
static Value math_pow(Build *b, Value x, Value y, Value z) {
  (void)z;
  Value zero = real_like(b, 0, x), one = real_like(b, 1, x), size = math_abs(b, x, NULL, NULL);
  Value edge = log_edges(b, size, zero), finite = compare(b, LLVMRealOEQ, edge, zero);
  Value log = log_double(b, value_choose(b, finite, size, one));
  log = value_choose(b, finite, log, widen(b, edge));
  Value power = narrow(b, exp_double(b, clamp(b, f_mul(b, log, widen(b, y)), -200, 200)));
  Value whole = compare(b, LLVMRealOEQ, math_floor(b, y, NULL, NULL), y);
  Value half = f_mul(b, y, real_like(b, 0.5, x));
  Value odd = both(b, whole, compare(b, LLVMRealONE, math_floor(b, half, NULL, NULL), half));
  power = value_choose(b, odd, with_sign_of(b, power, x), power);
  Value broken =
      both(b, compare(b, LLVMRealOLT, x, zero), both(b, finite, LLVMBuildNot(b->at, whole, "")));
  power = value_choose(b, broken, real_like(b, 0.0 / 0.0, x), power);
  return value_choose(b, power_of_one(b, x, y), one, power);
}

static Value bit_set(Build *b, Value word, uint32_t bit) {
  Value masked = LLVMBuildAnd(b->at, word, word_like(b, bit, word), "");
  return LLVMBuildICmp(b->at, LLVMIntNE, masked, word_like(b, 0, word), "");
}

/* The sine of x + quarter * pi/2, through r = x - n pi/2 in double (|x| up to 2^29). */
static Value sine(Build *b, Value x, uint32_t quarter) {
  Value d = widen(b, x), magic = real_like(b, 0x1.8p52, d);
  Value t = f_add(b, f_mul(b, d, real_like(b, 0.63661977236758134308, d)), magic);
  Value n = f_sub(b, t, magic);
  Value r = f_sub(b, d, f_mul(b, n, real_like(b, 0x1.921fb4p+0, d)));
  r = f_sub(b, r, f_mul(b, n, real_like(b, 0x1.4442d0p-24, d)));
  r = f_sub(b, r, f_mul(b, n, real_like(b, 0x1.8469898cc5170p-48, d)));
  Value s = f_mul(b, r, r), word = LLVMBuildBitCast(b->at, t, type_like(b, b->i64, d), "");
  word = LLVMBuildTrunc(b->at, word, type_like(b, b->i32, d), "");
  word = LLVMBuildAdd(b->at, word, word_like(b, quarter, d), "");
  Value sin =
      POLYNOMIAL(b, s, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6, 1.0);
  Value cos = POLYNOMIAL(b, s, 1.0 / 479001600, -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24,
                         -0.5, 1.0);
  Value odd = bit_set(b, word, 1), below = bit_set(b, word, 2);
  Value y = value_choose(b, odd, cos, f_mul(b, sin, r));
  return narrow(b, value_choose(b, below, LLVMBuildFNeg(b->at, y, ""), y));
}

UNARY(sin, sine(b, x, 0))
UNARY(cos, sine(b, x, 1))

/* ---- Philox4x32-10, as in interpret.c -------------------------------------------------------- */

/* Words of pairs of words: those of `even` at even places, those of `odd` at odd ones, both 64 bits
 * wide, of which the low half counts or the high one. */
static Value words_join(Build *b, Value even, Value odd, bool high, Type words) {
  Value half = constant_long(b, 32, even), mask = constant_long(b, UINT32_MAX, even);
  Value first = high ? LLVMBuildLShr(b->at, even, half, "") : LLVMBuildAnd(b->at, even, mask, "");
  Value second = high ? LLVMBuildAnd(b->at, odd, LLVMBuildNot(b->at, mask, ""), "")
                      : LLVMBuildShl(b->at, odd, half, "");
  return LLVMBuildBitCast(b->at, LLVMBuildOr(b->at, first, second, ""), words, "");
}

/* The high and the low word of a 32 x 32 bit product: of a vector by pairs of words, which stay
 * where they are. */
static Value product(Build *b, uint32_t by, Value x, Value *low) {
  Type words = LLVMTypeOf(x);
  if (!value_wide(x)) {
    Value p = LLVMBuildMul(b->at, LLVMBuildZExt(b->at, x, b->i64, ""), int_of(b, by), "");
    *low = LLVMBuildTrunc(b->at, p, words, "");
    return LLVMBuildTrunc(b->at, LLVMBuildLShr(b->at, p, int_of(b, 32), ""), words, "");
  }
  Value pairs = LLVMBuildBitCast(b->at, x, LLVMVectorType(b->i64, b->isa->width / 2), "");
  Value mask = constant_long(b, UINT32_MAX, pairs), factor = constant_long(b, by, pairs);
  Value even = LLVMBuildMul(b->at, LLVMBuildAnd(b->at, pairs, mask, ""), factor, "");
  Value odd = LLVMBuildLShr(b->at, pairs, constant_long(b, 32, pairs), "");
  odd = LLVMBuildMul(b->at, odd, factor, "");
  *low = words_join(b, even, odd, false, words);
  return words_join(b, even, odd, true, words);
}

/* One of ten rounds, on slots of the four words of a counter, with the two words of the key. */
static void philox_round(Build *b, const Value *slot, Value key0, Value key1) {
  Value c[4], low0, low2;
  Type words = LLVMTypeOf(key0);
  for (uint32_t i = 0; i < 4; i++) c[i] = build_get(b, slot[i], words);
  Value high0 = product(b, 0xD2511F53u, c[0], &low0), high2 = product(b, 0xCD9E8D57u, c[2], &low2);
  build_set(b, slot[0], LLVMBuildXor(b->at, LLVMBuildXor(b->at, high2, c[1], ""), key0, ""));
  build_set(b, slot[1], low2);
  build_set(b, slot[2], LLVMBuildXor(b->at, LLVMBuildXor(b->at, high0, c[3], ""), key1, ""));
  build_set(b, slot[3], low0);
}

/* A word of the key as the next round has it. */
static void key_raise(Build *b, Value slot, Value key, uint32_t by) {
  build_set(b, slot, LLVMBuildAdd(b->at, key, word_like(b, by, key), ""));
}

/* The first word of a counter's output as a float. */
static Value random_float(Build *b, Value word) {
  Value bits = LLVMBuildLShr(b->at, word, word_like(b, 8, word), "");
  Value f = LLVMBuildUIToFP(b->at, bits, type_like(b, b->f32, word), "");
  return f_mul(b, f, real_like(b, 0x1p-24, f));
}

/* A slot that holds a value. */
static Value slot_of(Build *b, Value v) {
  Value slot = build_slot(b, LLVMTypeOf(v));
  build_set(b, slot, v);
  return slot;
}

/* counter = {position low, position high, step, 0}; value = (word 0 >> 8) 2^-24. The rounds are a
 * loop: unrolled, they were most of the compile time of an initialiser. They are long chains, of
 * which those of several positions run side by side. */
void math_random(Build *b, uint32_t n, const Value *position, Value step, const Value key[2],
                 Value *out) {
  Type words = type_like(b, b->i32, position[0]);
  Value slot[MAX_CELL][4], raised[2] = {slot_of(b, key[0]), slot_of(b, key[1])};
  for (uint32_t c = 0; c < n; c++) {
    Value high = LLVMBuildLShr(b->at, position[c], constant_long(b, 32, position[c]), "");
    slot[c][0] = slot_of(b, LLVMBuildTrunc(b->at, position[c], words, ""));
    slot[c][1] = slot_of(b, LLVMBuildTrunc(b->at, high, words, ""));
    slot[c][2] = slot_of(b, step);
    slot[c][3] = slot_of(b, word_like(b, 0, step));
  }
  Loop l = loop_begin(b, int_of(b, 0), int_of(b, 10), 1);
  Value key0 = build_get(b, raised[0], words), key1 = build_get(b, raised[1], words);
  for (uint32_t c = 0; c < n; c++) philox_round(b, slot[c], key0, key1);
  key_raise(b, raised[0], key0, 0x9E3779B9u);
  key_raise(b, raised[1], key1, 0xBB67AE85u);
  loop_end(b, &l);
  for (uint32_t c = 0; c < n; c++) out[c] = random_float(b, build_get(b, slot[c][0], words));
}
