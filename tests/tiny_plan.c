/* tiny_plan.c: see tiny_plan.h. The kernels obey the contract of plan.h: chunks are independent,
 * every sum has a fixed order, and what a kernel keeps for itself is in its scratch. */
#include "tiny_plan.h"
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "random.h"

enum {
  X,
  Y,
  SCALE,
  SHIFT,
  RATE,
  STEP_KEYS,
  V,
  BIAS,
  MOMENTUM,
  COPY,
  DELTA,
  LOSS,
  HIT,
  FINITE,
  RESIDUAL
};
enum { INIT, TRANSPOSE, FORWARD, UPDATE, UPDATE_BIAS, WATCH };
enum { N = TINY_BATCH, M = TINY_INPUTS, K = TINY_CLASSES };

/* ---- kernels ----------------------------------------------------------------------------- */

/* V, BIAS, MOMENTUM, STEP: one chunk is a row of V. */
static void init(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  float *v = arg[0], *bias = arg[1], *momentum = arg[2];
  const uint32_t *key = arg[3];
  (void)scratch;
  for (int64_t j = begin; j < end; j++)
    for (int k = 0; k < K; k++) {
      Random4 r =
          random_philox((uint32_t[4]){(uint32_t)j, (uint32_t)k, 0, 99}, (uint32_t[2]){key[1], 0});
      v[j * K + k] = 0.02f * ((float)r.word[0] * 0x1p-32f - 0.5f);
      momentum[j * K + k] = 0;
    }
  for (int k = 0; begin == 0 && k < K; k++) bias[k] = 0;
}

/* V -> COPY */
static void transpose(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  const float *v = arg[0];
  float *copy = arg[1];
  (void)scratch;
  for (int64_t k = begin; k < end; k++)
    for (int j = 0; j < M; j++) copy[k * M + j] = v[j * K + k];
}

static float decode(const unsigned char *x, int64_t i, const float *scale, const float *shift) {
  return (float)x[i] * scale[0] + shift[0];
}

/* Softmax of z in place; returns log sum exp. */
static float softmax(float *z) {
  float most = z[0], sum = 0;
  for (int k = 1; k < K; k++) most = z[k] > most ? z[k] : most;
  for (int k = 0; k < K; k++) sum += expf(z[k] - most);
  float log_sum = most + logf(sum);
  for (int k = 0; k < K; k++) z[k] = expf(z[k] - log_sum);
  return log_sum;
}

/* X, SCALE, SHIFT, COPY, BIAS, Y -> DELTA, LOSS, HIT: one chunk is a sample. */
static void forward(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  const float *copy = arg[3], *bias = arg[4];
  const int32_t *y = arg[5];
  float *delta = arg[6], *loss = arg[7], *hit = arg[8], *a = scratch;
  for (int64_t i = begin; i < end; i++) {
    float z[K], right;
    int best = 0;
    for (int j = 0; j < M; j++) a[j] = decode(arg[0], i * M + j, arg[1], arg[2]);
    for (int k = 0; k < K; k++) {
      z[k] = bias[k];
      for (int j = 0; j < M; j++) z[k] += copy[k * M + j] * a[j];
      if (z[k] > z[best]) best = k;
    }
    right = z[y[i]];
    loss[i] = softmax(z) - right;
    hit[i] = best == y[i] ? 1.0f : 0.0f;
    for (int k = 0; k < K; k++) delta[i * K + k] = (z[k] - (k == y[i] ? 1.0f : 0.0f)) / (float)N;
  }
}

/* X, SCALE, SHIFT, DELTA, RATE -> V, MOMENTUM, COPY: one chunk is a row of V. */
static void update(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  const float *delta = arg[3], *rate = arg[4];
  float *v = arg[5], *momentum = arg[6], *copy = arg[7];
  (void)scratch;
  for (int64_t j = begin; j < end; j++)
    for (int k = 0; k < K; k++) {
      float g = 0;
      for (int i = 0; i < N; i++) g += decode(arg[0], i * M + j, arg[1], arg[2]) * delta[i * K + k];
      float *buf = &momentum[j * K + k];
      *buf = 0.9f * *buf + g;
      v[j * K + k] -= rate[0] * *buf;
      copy[k * M + j] = v[j * K + k];
    }
}

/* DELTA, RATE -> BIAS */
static void update_bias(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  const float *delta = arg[0], *rate = arg[1];
  float *bias = arg[2];
  (void)begin;
  (void)end;
  (void)scratch;
  for (int k = 0; k < K; k++) {
    float g = 0;
    for (int i = 0; i < N; i++) g += delta[i * K + k];
    bias[k] -= rate[0] * g;
  }
}

/* V -> FINITE, RESIDUAL, one number for each class */
static void watch(void *const *arg, int64_t begin, int64_t end, void *scratch) {
  const float *v = arg[0];
  float *finite = arg[1], *residual = arg[2];
  (void)begin;
  (void)end;
  (void)scratch;
  for (int k = 0; k < K; k++) {
    float sum = 0, squares = 0;
    for (int j = 0; j < M; j++) sum += v[j * K + k], squares += v[j * K + k] * v[j * K + k];
    finite[k] = squares;
    residual[k] = fabsf(sum);
  }
}

static HostKernel *const kernels[] = {init, transpose, forward, update, update_bias, watch};
const HostTable lcw_table[] = {{"baseline", kernels}, {NULL, NULL}};

/* ---- the plan ---------------------------------------------------------------------------- */

#define TEXT(field) (offsetof(TinyText, field))
#define BUF(i, role_, dtype_, rank_, d0, d1, feed_, out_, bytes_, offset_)                      \
  [i] = {.name = TEXT(buf) + (i) * 24, .role = role_, .dtype = dtype_, .rank = rank_,            \
         .dim = {d0, d1}, .feed = feed_, .out = out_, .line = 3, .layer = TEXT(layer),           \
         .bytes = bytes_, .offset = offset_}
#define KERNEL(i, narg_, chunks_, scratch_)                                                      \
  [i] = {.name = TEXT(kernel) + (i) * 16, .line = 3, .code = i, .narg = narg_, .chunks = chunks_, \
         .scratch = scratch_, .flops = 2 * N * M * K, .bytes = N * M}

const TinyPlan lcw_plan = {
    .plan = {.magic = PLAN_MAGIC,
             .version = PLAN_VERSION,
             .size = sizeof(TinyPlan),
             .nbuf = TINY_BUFS,
             .nkernel = TINY_KERNELS,
             .nstep = TINY_STEPS,
             .narg = TINY_ARGS,
             .nrate = TINY_RATES,
             .ncode = TINY_KERNELS,
             .buf = offsetof(TinyPlan, buf),
             .kernel = offsetof(TinyPlan, kernel),
             .step = offsetof(TinyPlan, step),
             .arg = offsetof(TinyPlan, arg),
             .rate = offsetof(TinyPlan, rate),
             .str = offsetof(TinyPlan, text),
             .nstr = sizeof(TinyText),
             .phase = {0, 2, 3, 16, 23, 23},
             .arena = 8192,
             .set = {.seed = 1,
                     .epochs = 3,
                     .batch = N,
                     .eval_every = 1,
                     .save_every = 1,
                     .classes = K,
                     .has_labels = 1,
                     .params_lo = M * K + K,
                     .file = TEXT(file),
                     .net = TEXT(net),
                     .recipe = TEXT(recipe),
                     .data = TEXT(data),
                     .lower = TEXT(lower),
                     .precision = TEXT(precision),
                     .source = TEXT(source),
                     .arguments = TEXT(arguments),
                     .source_kind = DATA_SYNTHETIC,
                     .source_path = TEXT(path),
                     .source_path2 = TEXT(path2),
                     .test_path = TEXT(test),
                     .test_path2 = TEXT(test2),
                     .normalize = NORMALIZE_GLOBAL,
                     .sample_rank = 3,
                     .sample_dim = {8, 8, 1},
                     .synthetic_samples = 1000,
                     .synthetic_test = 150,
                     .synthetic_seed = 7}},
    .buf = {BUF(X, BUF_INPUT, DTYPE_U8, 2, N, M, FEED_SAMPLE, 0, N *M, 0),
            BUF(Y, BUF_INPUT, DTYPE_I32, 1, N, 0, FEED_LABEL, 0, 4 * N, 2048),
            BUF(SCALE, BUF_INPUT, DTYPE_F32, 1, 1, 0, FEED_SCALE, 0, 4, 2176),
            BUF(SHIFT, BUF_INPUT, DTYPE_F32, 1, 1, 0, FEED_SHIFT, 0, 4, 2240),
            BUF(RATE, BUF_INPUT, DTYPE_F32, 1, 1, 0, FEED_RATE, 0, 4, 2304),
            BUF(STEP_KEYS, BUF_INPUT, DTYPE_U32, 1, 2, 0, FEED_STEP, 0, 8, 2368),
            [V] = {.name = TEXT(buf) + V * 24,
                   .role = BUF_PARAM,
                   .dtype = DTYPE_F32,
                   .rank = 2,
                   .dim = {M, K},
                   .line = 3,
                   .layer = TEXT(layer),
                   .fold = TEXT(fold),
                   .bytes = 4 * M * K,
                   .offset = 2432},
            BUF(BIAS, BUF_PARAM, DTYPE_F32, 1, K, 0, 0, 0, 4 * K, 3456),
            BUF(MOMENTUM, BUF_STATE, DTYPE_F32, 2, M, K, 0, 0, 4 * M * K, 3520),
            BUF(COPY, BUF_DERIVED, DTYPE_F32, 2, K, M, 0, 0, 4 * M * K, 4544),
            BUF(DELTA, BUF_TEMP, DTYPE_F32, 2, N, K, 0, 0, 4 * N * K, 5568),
            BUF(LOSS, BUF_OUTPUT, DTYPE_F32, 1, N, 0, 0, OUT_LOSS, 4 * N, 6080),
            BUF(HIT, BUF_OUTPUT, DTYPE_F32, 1, N, 0, 0, OUT_HIT, 4 * N, 6208),
            BUF(FINITE, BUF_OUTPUT, DTYPE_F32, 1, K, 0, 0, OUT_FINITE, 4 * K, 6336),
            BUF(RESIDUAL, BUF_OUTPUT, DTYPE_F32, 1, K, 0, 0, OUT_RESIDUAL, 4 * K, 6400)},
    .kernel = {KERNEL(INIT, 4, M, 0), KERNEL(TRANSPOSE, 2, K, 0), KERNEL(FORWARD, 9, N, 4 * M),
               KERNEL(UPDATE, 8, M, 0), KERNEL(UPDATE_BIAS, 3, 1, 0), KERNEL(WATCH, 3, 1, 0)},
    .step = {{STEP_FEED, STEP_KEYS, 0, 0},
             {STEP_LAUNCH, INIT, 0, 4},      /* init */
             {STEP_LAUNCH, TRANSPOSE, 4, 2}, /* prepare */
             {STEP_FEED, X, 0, 0},
             {STEP_FEED, Y, 0, 0},
             {STEP_FEED, SCALE, 0, 0}, /* train */
             {STEP_FEED, SHIFT, 0, 0},
             {STEP_FEED, RATE, 0, 0},
             {STEP_LAUNCH, FORWARD, 6, 9},
             {STEP_LAUNCH, UPDATE, 15, 8},
             {STEP_LAUNCH, UPDATE_BIAS, 23, 3},
             {STEP_LAUNCH, WATCH, 26, 3},
             {STEP_FETCH, LOSS, 0, 0},
             {STEP_FETCH, HIT, 0, 0},
             {STEP_FETCH, FINITE, 0, 0},
             {STEP_FETCH, RESIDUAL, 0, 0},
             {STEP_FEED, X, 0, 0},
             {STEP_FEED, Y, 0, 0},
             {STEP_FEED, SCALE, 0, 0}, /* eval */
             {STEP_FEED, SHIFT, 0, 0},
             {STEP_LAUNCH, FORWARD, 6, 9},
             {STEP_FETCH, LOSS, 0, 0},
             {STEP_FETCH, HIT, 0, 0}},
    .arg = {V,    BIAS,     MOMENTUM, STEP_KEYS, V,    COPY, X,     SCALE,  SHIFT,   COPY,
            BIAS, Y,        DELTA,    LOSS,      HIT,  X,    SCALE, SHIFT,  DELTA,   RATE,
            V,    MOMENTUM, COPY,     DELTA,     RATE, BIAS, V,     FINITE, RESIDUAL},
    .rate = {{RATE_CONST, 0, 0.05},
             {RATE_CONST, 0, 0.5},
             {RATE_EPOCH, 0, 0},
             {RATE_POW, 0, 0},
             {RATE_MUL, 0, 0}},
    .text = {.net = "tiny",
             .recipe = "plain",
             .data = "blobs",
             .lower = "fused",
             .precision = "fp32",
             .file = "tiny.lcwnet",
             .arguments = "classes = 4",
             .layer = "linear",
             .fold = "0:64",
             .source = "net tiny(...)\n",
             .buf = {"x", "y", "scale", "shift", "rate", "step", "linear.v", "linear.bias",
                     "linear.v.momentum", "linear.v.copy", "delta", "loss", "hit", "finite",
                     "residual"},
             .kernel = {"k0_init", "k1_transpose", "k2_forward", "k3_update", "k4_bias",
                        "k5_watch"}},
};

TinyPlan *tiny_plan_new(void) {
  TinyPlan *p = malloc(sizeof *p);
  if (p) memcpy(p, &lcw_plan, sizeof *p);
  return p;
}
