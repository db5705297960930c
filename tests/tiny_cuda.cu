/* tiny_cuda.cu: the kernels of tiny_plan.c as device code, each sum in the order of the host's, so
 * that the runtime's CUDA device can be tested without the compiler. tests/tiny_cuda.ptx is made of it:
 *
 *   cat codegen/prelude.cu tests/tiny_cuda.cu | clang-19 -x cuda -nocudainc -nocudalib -O2 -S \
 *     --cuda-device-only --cuda-gpu-arch=sm_80 --cuda-feature=+ptx70 -ffp-contract=off -o - - */
enum { N = 32, M = 64, K = 4 };

/* The first word of Philox4x32-10. */
device u32 philox(u32 c0, u32 c1, u32 c2, u32 c3, u32 k0) {
  u32 k1 = 0;
  for (int round = 0; round < 10; round++) {
    u64 a = (u64)0xD2511F53u * c0, b = (u64)0xCD9E8D57u * c2;
    c0 = (u32)(b >> 32) ^ c1 ^ k0;
    c1 = (u32)b;
    c2 = (u32)(a >> 32) ^ c3 ^ k1;
    c3 = (u32)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c0;
}

device float decoded(const unsigned char *x, int i, const float *scale, const float *shift) {
  return (float)x[i] * scale[0] + shift[0];
}

/* A block is a row of v, a thread a class. */
entry tiny_init(float *v, float *bias, float *momentum, const u32 *key) {
  int j = block_x(), k = thread_index();
  v[j * K + k] = 0.02f * ((float)philox((u32)j, (u32)k, 0, 99, key[1]) * 0x1p-32f - 0.5f);
  momentum[j * K + k] = 0;
  if (j == 0) bias[k] = 0;
}

entry tiny_transpose(const float *v, float *copy) {
  int k = block_x(), j = thread_index();
  copy[k * M + j] = v[j * K + k];
}

/* A block is a sample: its decoded inputs are in shared memory, a thread is a class. */
entry tiny_forward(const unsigned char *x, const float *scale, const float *shift,
                   const float *copy, const float *bias, const int *y, float *delta, float *loss,
                   float *hit) {
  dynamic_shared float a[];
  float *z = a + M;
  int i = block_x(), t = thread_index();
  a[t] = decoded(x, i * M + t, scale, shift);
  __syncthreads();
  if (t < K) {
    float sum = bias[t];
    for (int j = 0; j < M; j++) sum += copy[t * M + j] * a[j];
    z[t] = sum;
  }
  __syncthreads();
  if (t) return;
  int best = 0;
  float most = z[0], sum = 0, right = z[y[i]];
  for (int k = 1; k < K; k++)
    if (z[k] > z[best]) best = k;
  for (int k = 1; k < K; k++) most = z[k] > most ? z[k] : most;
  for (int k = 0; k < K; k++) sum += exp_of(z[k] - most);
  float log_sum = most + log_of(sum);
  loss[i] = log_sum - right;
  hit[i] = best == y[i] ? 1.0f : 0.0f;
  for (int k = 0; k < K; k++)
    delta[i * K + k] = (exp_of(z[k] - log_sum) - (k == y[i] ? 1.0f : 0.0f)) / (float)N;
}

entry tiny_update(const unsigned char *x, const float *scale, const float *shift,
                  const float *delta, const float *rate, float *v, float *momentum, float *copy) {
  int j = block_x(), k = thread_index();
  float g = 0;
  for (int i = 0; i < N; i++) g += decoded(x, i * M + j, scale, shift) * delta[i * K + k];
  float step = 0.9f * momentum[j * K + k] + g;
  momentum[j * K + k] = step;
  v[j * K + k] -= rate[0] * step;
  copy[k * M + j] = v[j * K + k];
}

entry tiny_bias(const float *delta, const float *rate, float *bias) {
  int k = thread_index();
  float g = 0;
  for (int i = 0; i < N; i++) g += delta[i * K + k];
  bias[k] -= rate[0] * g;
}

/* A block is a class; the last one to arrive puts the parts together. */
entry tiny_watch(const float *v, float *finite, float *residual, u32 *ticket) {
  float *part = (float *)(ticket + 1024), sum = 0, squares = 0;
  int k = block_x();
  for (int j = 0; j < M; j++) {
    sum += v[j * K + k];
    squares += v[j * K + k] * v[j * K + k];
  }
  part[k] = sum;
  part[K + k] = squares;
  if (!block_last(ticket, K)) return;
  sum = squares = 0;
  for (int i = 0; i < K; i++) {
    squares += part[K + i];
    sum = larger(sum, fabsf(part[i]));
  }
  finite[0] = squares;
  residual[0] = sum;
}
