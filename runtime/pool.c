/* pool.c: see pool.h. The protocol: the caller writes the job and then increments `round`;
 * a worker that sees a new round runs its part and decrements `pending`. Both waits are a spin
 * of SPINS turns and then a futex; `sleepers` and `waiting` tell the other side that a wake-up
 * is needed. These four are sequentially consistent: whoever goes to sleep has published it
 * before the futex compares the value, so no wake-up is lost. */
#include "pool.h"
#include "seed.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum { SPINS = 20000, FLUSH_TO_ZERO = 0x8040, STACK_BYTES = 1 << 20 };

typedef struct { Pool *pool; uint32_t index; pthread_t thread; } Worker;

struct Pool {
  _Alignas(64) atomic_uint round;
  atomic_uint sleepers;
  bool stop;
  PoolWork *work;
  void *ctx;
  int64_t n;
  _Alignas(64) atomic_uint pending;
  atomic_uint waiting;
  _Alignas(64) uint32_t threads;
  Worker *worker; /* threads - 1 of them */
};

unsigned pool_float_mode(void) {
#if defined(__x86_64__)
  unsigned old = _mm_getcsr();
  _mm_setcsr(old | FLUSH_TO_ZERO);
  return old;
#else
  return 0;
#endif
}

void pool_float_restore(unsigned state) {
#if defined(__x86_64__)
  _mm_setcsr(state);
#else
  (void)state;
#endif
}

static void spin_pause(void) {
#if defined(__x86_64__)
  _mm_pause();
#endif
}

static void futex_wait(atomic_uint *word, unsigned value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(atomic_uint *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 20, NULL, NULL, 0);
}

/* Returns when `word` is no longer `value`; `asleep` is raised while in the kernel. */
static unsigned wait_change(atomic_uint *word, unsigned value, atomic_uint *asleep) {
  for (int i = 0; i < SPINS; i++) {
    unsigned now = atomic_load_explicit(word, memory_order_acquire);
    if (now != value) return now;
    spin_pause();
  }
  atomic_fetch_add(asleep, 1);
  unsigned now;
  while ((now = atomic_load(word)) == value) futex_wait(word, value);
  atomic_fetch_sub(asleep, 1);
  return now;
}

/* The share of one thread. */
static void run_part(Pool *p, uint32_t thread) {
  int64_t begin = p->n * thread / p->threads, end = p->n * (thread + 1) / p->threads;
  end -= SEED(308, thread + 1 == p->threads, 0); /* caught by runtime_unit.c */
  if (begin < end) p->work(p->ctx, begin, end, thread);
}

/* A worker's life: wait for a round, do its share, say so. */
static void *worker_main(void *arg) {
  Worker *w = arg;
  Pool *p = w->pool;
  pool_float_mode();
  for (unsigned round = 0;;) {
    round = wait_change(&p->round, round, &p->sleepers);
    if (p->stop) return NULL;
    run_part(p, w->index);
    if (atomic_fetch_sub(&p->pending, 1) == 1 && atomic_load(&p->waiting)) futex_wake(&p->pending);
  }
}

/* Publishes the job that is already written in `p`. */
static void start_round(Pool *p) {
  atomic_fetch_add(&p->round, 1);
  if (atomic_load(&p->sleepers)) futex_wake(&p->round);
}

void pool_run(Pool *p, PoolWork *work, void *ctx, int64_t n) {
  if (n <= 1 || p->threads == 1) {
    if (n > 0) work(ctx, 0, n, 0);
    return;
  }
  p->work = work;
  p->ctx = ctx;
  p->n = n;
  atomic_store_explicit(&p->pending, p->threads - 1, memory_order_relaxed);
  start_round(p);
  run_part(p, 0);
  for (unsigned left; (left = atomic_load_explicit(&p->pending, memory_order_acquire)) != 0;)
    wait_change(&p->pending, left, &p->waiting);
}

/* Starts worker i; its stack is small because kernels keep their memory in `scratch`. */
static bool worker_start(Pool *p, uint32_t i, Fault *f) {
  pthread_attr_t attr;
  Worker *w = &p->worker[i];
  *w = (Worker){.pool = p, .index = i + 1};
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  int error = pthread_create(&w->thread, &attr, worker_main, w);
  pthread_attr_destroy(&attr);
  if (error)
    return fault_set(f, LCW_LIMIT, "cannot start thread %u of %u: %s\nhelp: --threads=%u", i + 2,
                     p->threads, strerror(error), i + 1);
  return true;
}

/* Ends the workers that were started. */
static void stop_workers(Pool *p, uint32_t started) {
  p->stop = true;
  start_round(p);
  for (uint32_t i = 0; i < started; i++) pthread_join(p->worker[i].thread, NULL);
}

Pool *pool_open(uint32_t threads, Fault *f) {
  Pool *p = aligned_alloc(64, sizeof *p);
  Worker *worker = memory_new(threads, sizeof *worker, "the threads", f);
  if (!p || !worker) {
    if (worker) fault_set(f, LCW_LIMIT, "no memory for the threads");
    free(p);
    free(worker);
    return NULL;
  }
  memset(p, 0, sizeof *p);
  p->threads = threads;
  p->worker = worker;
  for (uint32_t i = 0; i + 1 < threads; i++)
    if (!worker_start(p, i, f)) {
      stop_workers(p, i);
      free(worker);
      free(p);
      return NULL;
    }
  return p;
}

void pool_close(Pool *p) {
  if (!p) return;
  stop_workers(p, p->threads - 1);
  free(p->worker);
  free(p);
}
