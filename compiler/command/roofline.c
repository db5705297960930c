/* roofline.c: measures the peak of multiply-add and of memory. In: an instruction set and a number
 * of threads. Out: rates. Each thread runs the same loop; the time is that until the last
 * of them is done, as it is for a kernel. */
#include "roofline.h"
#include <immintrin.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FMA_LOOPS = 2 << 20, STREAM_FLOATS = 4 << 20 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Twelve independent chains of vectors: enough to cover the latency of every machine so far. */
#define CHAINS(V, SET, FMA, STORE, LANES)                                                          \
  V x = SET(0.999f), y = SET(1e-3f), a[12];                                                        \
  for (int i = 0; i < 12; i++) a[i] = SET((float)i);                                               \
  for (long n = 0; n < FMA_LOOPS; n++) {                                                           \
    a[0] = FMA(a[0], x, y), a[1] = FMA(a[1], x, y), a[2] = FMA(a[2], x, y),                        \
    a[3] = FMA(a[3], x, y);                                                                        \
    a[4] = FMA(a[4], x, y), a[5] = FMA(a[5], x, y), a[6] = FMA(a[6], x, y),                        \
    a[7] = FMA(a[7], x, y);                                                                        \
    a[8] = FMA(a[8], x, y), a[9] = FMA(a[9], x, y), a[10] = FMA(a[10], x, y),                      \
    a[11] = FMA(a[11], x, y);                                                                      \
  }                                                                                                \
  for (int i = 0; i < 12; i++) STORE(out + i * (LANES), a[i]);                                     \
  return 24.0 * (LANES) * (double)FMA_LOOPS

__attribute__((target("avx512f"))) static double chains_avx512(float *out) {
  CHAINS(__m512, _mm512_set1_ps, _mm512_fmadd_ps, _mm512_storeu_ps, 16);
}
__attribute__((target("avx2,fma"))) static double chains_avx2(float *out) {
  CHAINS(__m256, _mm256_set1_ps, _mm256_fmadd_ps, _mm256_storeu_ps, 8);
}
#define MUL_ADD(a, x, y) _mm_add_ps(_mm_mul_ps(a, x), y)
static double chains_baseline(float *out) {
  CHAINS(__m128, _mm_set1_ps, MUL_ADD, _mm_storeu_ps, 4);
}

/* v and its momentum read and written, as an update does: 16 bytes an element. */
static double stream(float *v, float *m) {
  for (long i = 0; i < STREAM_FLOATS; i++) {
    m[i] = 0.9f * m[i] + 1e-4f * v[i];
    v[i] -= 0.1f * m[i];
  }
  return 16.0 * (double)STREAM_FLOATS;
}

typedef struct { double start, end, work; } Span;

/* What one thread did: multiply-adds, then the stream. */
typedef struct {
  const char *isa;
  pthread_barrier_t *ready;
  Span flops, bytes;
} Worker;

static void *worker_run(void *p) {
  Worker *w = p;
  float out[12 * 16], *v = malloc(2 * sizeof(float) * STREAM_FLOATS);
  if (!v) abort(); /* the barrier would never open */
  for (long i = 0; i < 2 * STREAM_FLOATS; i++) v[i] = 1e-3f; /* pages of its own */
  pthread_barrier_wait(w->ready);
  w->flops.start = now();
  w->flops.work = !strcmp(w->isa, "avx512") ? chains_avx512(out)
                  : !strcmp(w->isa, "avx2") ? chains_avx2(out)
                                            : chains_baseline(out);
  w->flops.end = now();
  pthread_barrier_wait(w->ready);
  w->bytes.start = now();
  w->bytes.work = stream(v, v + STREAM_FLOATS);
  w->bytes.end = now();
  free(v);
  return NULL;
}

/* Adds b's work to a; together they took from the first start to the last end. */
static void span_join(Span *a, const Span *b) {
  a->work += b->work;
  if (b->start < a->start) a->start = b->start;
  if (b->end > a->end) a->end = b->end;
}

static double span_rate(const Span *s) { return s->work / (s->end - s->start); }

Roofline roofline_measure(const char *isa, uint32_t threads) {
  pthread_barrier_t ready;
  pthread_t id[64];
  Worker w[64];
  if (threads > 64) threads = 64;
  if (pthread_barrier_init(&ready, NULL, threads)) return (Roofline){0};
  for (uint32_t i = 0; i < threads; i++) w[i] = (Worker){.isa = isa, .ready = &ready};
  for (uint32_t i = 1; i < threads; i++)
    if (pthread_create(&id[i], NULL, worker_run, &w[i])) abort(); /* nor here */
  worker_run(&w[0]);
  for (uint32_t i = 1; i < threads; i++) {
    pthread_join(id[i], NULL);
    span_join(&w[0].flops, &w[i].flops);
    span_join(&w[0].bytes, &w[i].bytes);
  }
  pthread_barrier_destroy(&ready);
  return (Roofline){span_rate(&w[0].flops), span_rate(&w[0].bytes)};
}
