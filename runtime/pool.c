/* pool.c: see pool.h. The protocol: the caller writes the job, then `left`, then the share of
 * every thread, and increments `round`. A share is one word, next | end << 32, and is claimed
 * with compare-and-swap: a thread takes half of what is left of its own until nothing is, and then
 * of what others have not begun, so that nobody waits for a thread that the system has put aside. Whoever claims chunks
 * takes them off `left` when they are done; the round ends when none is left, so the job stays
 * as it is as long as a claim is open, and a worker that wakes late finds nothing to claim.
 *
 * Both waits are a spin of SPINS turns, which soon gives the processor to whoever else wants it,
 * and then a futex; `sleepers` and `waiting` tell the other side that a wake-up is needed. They
 * are sequentially consistent: whoever goes to sleep has published it before the futex compares
 * the value, so no wake-up is lost. */
#include "pool.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "seed.h"
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

enum {
  SPINS = 20000,
  YIELD_AFTER = 1000,
  YIELD_EVERY = 64,
  FLUSH_TO_ZERO = 0x8040,
  STACK_BYTES = 1 << 20
};

typedef struct { Pool *pool; uint32_t index; pthread_t thread; } Worker;
typedef struct { _Alignas(64) atomic_uint_fast64_t range; } Share; /* next | end << 32 */

struct Pool {
  _Alignas(64) atomic_uint round;
  atomic_uint sleepers;
  atomic_bool stop;
  PoolWork *work;
  void *ctx;
  _Alignas(64) atomic_uint left; /* chunks that are not done */
  atomic_uint waiting;
  _Alignas(64) uint32_t threads;
  Worker *worker; /* threads - 1 of them */
  Share *share;   /* one of each thread */
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
    if (i > YIELD_AFTER && i % YIELD_EVERY == 0) sched_yield();
  }
  atomic_fetch_add(asleep, 1);
  unsigned now;
  while ((now = atomic_load(word)) == value) futex_wait(word, value);
  atomic_fetch_sub(asleep, 1);
  return now;
}

/* Claims half of the chunks that are left in a share, one's own or another's: [*begin, *end). */
static bool claim(Share *s, uint32_t *begin, uint32_t *end) {
  uint_fast64_t now = atomic_load_explicit(&s->range, memory_order_acquire), after;
  do {
    uint32_t next = (uint32_t)now, left = (uint32_t)(now >> 32) - next;
    if (left == 0) return false;
    *begin = next;
    *end = next + (left + 1) / 2;
    after = (now & ~(uint_fast64_t)UINT32_MAX) | *end;
  } while (!atomic_compare_exchange_weak(&s->range, &now, after));
  return true;
}

/* Computes what can be claimed, one's own share first. */
static void run_share(Pool *p, uint32_t thread) {
  uint32_t begin, end;
  for (uint32_t k = 0; k < p->threads; k++)
    while (claim(&p->share[(thread + k) % p->threads], &begin, &end)) {
      uint32_t last = end - SEED(308, thread > 0, 0); /* caught by runtime_unit.c */
      p->work(p->ctx, begin, last, thread);
      bool done = atomic_fetch_sub(&p->left, end - begin) == end - begin;
      if (done && atomic_load(&p->waiting)) futex_wake(&p->left);
    }
}

/* A worker's life: wait for a round, do its share, say so. */
static void *worker_main(void *arg) {
  Worker *w = arg;
  Pool *p = w->pool;
  pool_float_mode();
  for (unsigned round = 0;;) {
    round = wait_change(&p->round, round, &p->sleepers);
    if (atomic_load(&p->stop)) return NULL;
    run_share(p, w->index);
  }
}

/* Publishes the job that is already written in `p`. */
static void start_round(Pool *p) {
  atomic_fetch_add(&p->round, 1);
  if (atomic_load(&p->sleepers)) futex_wake(&p->round);
}

void pool_run(Pool *p, PoolWork *work, void *ctx, uint32_t n) {
  if (n <= 1 || p->threads == 1) {
    if (n > 0) work(ctx, 0, n, 0);
    return;
  }
  p->work = work;
  p->ctx = ctx;
  atomic_store_explicit(&p->left, n, memory_order_relaxed);
  for (uint64_t t = 0; t < p->threads; t++) {
    uint64_t begin = n * t / p->threads, end = n * (t + 1) / p->threads;
    atomic_store_explicit(&p->share[t].range, begin | end << 32, memory_order_release);
  }
  start_round(p);
  run_share(p, 0);
  for (unsigned left; (left = atomic_load_explicit(&p->left, memory_order_acquire)) != 0;)
    wait_change(&p->left, left, &p->waiting);
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
  atomic_store(&p->stop, true);
  start_round(p);
  for (uint32_t i = 0; i < started; i++) pthread_join(p->worker[i].thread, NULL);
}

/* Frees the memory of a pool whose workers are gone. */
static void pool_free(Pool *p) {
  free(p->worker);
  free(p->share);
  free(p);
}

Pool *pool_open(uint32_t threads, Fault *f) {
  Pool *p = aligned_alloc(64, sizeof *p);
  if (!p) return fault_set(f, LCW_LIMIT, "no memory for the threads"), NULL;
  memset(p, 0, sizeof *p);
  p->threads = threads;
  p->worker = memory_new(threads, sizeof *p->worker, "the threads", f);
  p->share = aligned_alloc(64, threads * sizeof *p->share);
  if (p->share) memset(p->share, 0, threads * sizeof *p->share);
  bool ok = p->worker && (p->share || fault_set(f, LCW_LIMIT, "no memory for the threads"));
  for (uint32_t i = 0; ok && i + 1 < threads; i++)
    if (!(ok = worker_start(p, i, f))) stop_workers(p, i);
  if (ok) return p;
  pool_free(p);
  return NULL;
}

void pool_close(Pool *p) {
  if (!p) return;
  stop_workers(p, p->threads - 1);
  pool_free(p);
}
