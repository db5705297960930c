/* pool.h: threads that stay. pool_run() shares the chunks [0, n) among them, [t n / T, (t+1) n / T)
 * for thread t, and returns when all are done; thread 0 is the caller. A thread that is done
 * helps with shares that were not begun. A worker that has no work spins for a moment, because
 * the next launch comes within microseconds, and then sleeps. */
#ifndef LCW_POOL_H
#define LCW_POOL_H
#include "fault.h"

typedef struct Pool Pool;
typedef void PoolWork(void *ctx, int64_t begin, int64_t end, uint32_t thread);

Pool *pool_open(uint32_t threads, Fault *f);
/* Chunks must not depend on each other: which thread computes which is chance. */
void pool_run(Pool *p, PoolWork *work, void *ctx, uint32_t n);
void pool_close(Pool *p);
/* Denormals are flushed to zero on every thread that computes: returns the old state. */
unsigned pool_float_mode(void);
void pool_float_restore(unsigned state);
#endif
