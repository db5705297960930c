/* cuda_shim.h: enough of a GPU to run generated CUDA text on the CPU, as C: it stands in for the
 * part of prelude.cu that is PTX. A block is 256 fibers. Warps run one after the other, each
 * until all its lanes wait at a barrier; what the lanes of a warp do together (shuffle, matrix
 * load and multiply) is one round in which each lane shows its operands and yields. A fiber starts
 * by its context and is resumed by longjmp(), which asks nothing of the system; it lives as long as
 * the grid and runs its thread of one block after the other.
 *
 * Copies land as late as the program's waits allow, shared memory starts as NaN, and lanes that
 * diverge at a warp's operation or a barrier end the run: a missing wait or barrier shows as wrong
 * numbers or as an error. The state is global, as it is on a GPU: kernels pass no context. */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

typedef unsigned u32;
typedef unsigned long long u64;

enum { THREADS = 256, LANES = 32, WARPS = THREADS / LANES };
enum { STACK = 64 << 10, SHARED = 200 << 10, COPIES = 512 };
typedef enum { FRESH, READY, TOGETHER, BARRIER, DONE } State;
typedef union { float f[8]; u32 u[8]; } Shown;
typedef struct { u32 to; const void *from; int bytes, size, group; } Copy;
typedef struct {
  ucontext_t start;
  jmp_buf at;
  State state;
  int parity, groups, ncopy;
  Copy copy[COPIES];
  char stack[STACK];
} Fiber;

static unsigned char memory[SHARED] __attribute__((aligned(128)));
static Fiber *fiber;
static Shown shown[WARPS][2][LANES];
static jmp_buf scheduler;
static int current, grid_x, grid_y;
static void (*body)(void **);
static void **arguments;

#define entry static void
#define device static inline __attribute__((unused))
#define dynamic_shared extern
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define __syncthreads() yield(BARRIER)
#define __syncwarp() yield(TOGETHER)
#define thread_index() current
#define block_x() grid_x
#define block_y() grid_y

static void die(const char *what) {
  fprintf(stderr, "cuda_shim: thread %d of block (%d, %d): %s\n", current, grid_x, grid_y, what);
  exit(5);
}

static void yield(State state) {
  fiber[current].state = state;
  if (!_setjmp(fiber[current].at)) _longjmp(scheduler, 1);
}

/* ---- shared memory and copies ------------------------------------------------------------- */

static u32 shared_address(const void *p) { return (u32)((const unsigned char *)p - memory); }

static unsigned char *shared_at(u32 at, u32 bytes) {
  if (at > SHARED - bytes || at % bytes) die("shared memory: outside or misaligned");
  return memory + at;
}

static void copy_later(u32 to, const void *from, int bytes, int size) {
  Fiber *f = &fiber[current];
  if (f->ncopy == COPIES) die("too many copies under way");
  if ((size_t)from % (size_t)size) die("global memory: a misaligned copy");
  f->copy[f->ncopy++] = (Copy){to, from, bytes, size, f->groups};
}
device void copy_16(u32 to, const void *from, int bytes) { copy_later(to, from, bytes, 16); }
device void copy_4(u32 to, const void *from, int bytes) { copy_later(to, from, bytes, 4); }
device void copy_commit(void) { fiber[current].groups++; }

/* Lets the copies of all but the newest n groups land. */
device void copy_wait(int n) {
  Fiber *f = &fiber[current];
  int left = 0;
  for (int i = 0; i < f->ncopy; i++) {
    Copy c = f->copy[i];
    if (c.group >= f->groups - n) f->copy[left++] = c;
    else {
      unsigned char *to = shared_at(c.to, (u32)c.size);
      memset(to, 0, (size_t)c.size);
      if (c.bytes) memcpy(to, c.from, (size_t)c.bytes);
    }
  }
  f->ncopy = left;
}

device void value_store(u32 to, float x) { memcpy(shared_at(to, 4), &x, 4); }

device void short_store(u32 to, unsigned short x) { memcpy(shared_at(to, 2), &x, 2); }

device u32 word_load(u32 at) {
  u32 x;
  memcpy(&x, shared_at(at, 4), 4);
  return x;
}
device void four_load(float *r, u32 at) { memcpy(r, shared_at(at, 16), 16); }

/* Blocks run one after the other: the last to arrive is the last to run. */
device u32 ticket_take(u32 *ticket, u32 last) {
  u32 was = *ticket;
  *ticket = was >= last ? 0 : was + 1;
  return was;
}

/* ---- what a warp does together -------------------------------------------------------------- */

/* Shows a lane's operands; returns those of all lanes. */
static const Shown *together(Shown mine) {
  Fiber *f = &fiber[current];
  Shown *all = shown[current / LANES][f->parity ^= 1];
  all[current % LANES] = mine;
  yield(TOGETHER);
  return all;
}

device float __shfl_xor_sync(u32 mask, float x, int lanes) {
  (void)mask;
  return together((Shown){{x}})[(current ^ lanes) % LANES].f[0];
}

device void matrix_load(u32 *r, u32 at) {
  Shown mine = {{0}};
  mine.u[0] = at;
  const Shown *all = together(mine);
  for (int i = 0; i < 4; i++) {
    unsigned char *row = shared_at(all[i * 8 + current % LANES / 4].u[0], 16);
    memcpy(&r[i], row + current % 4 * 4, 4);
  }
}

device void matrix_load_transposed(u32 *r, u32 at) {
  Shown mine = {{0}};
  mine.u[0] = at;
  const Shown *all = together(mine);
  for (int i = 0; i < 8; i++) {
    unsigned char *row = shared_at(all[i / 2 * 8 + current % 4 * 2 + i % 2].u[0], 16);
    memcpy((unsigned char *)r + i * 2, row + current % LANES / 4 * 2, 2);
  }
}

device float tf32_of(u32 x) {
  float y;
  x &= 0xffffe000u;
  memcpy(&y, &x, 4);
  return y;
}

device void matrix_multiply_tf32(float *d, const u32 *a, const u32 *b) {
  Shown mine = {{0}};
  memcpy(mine.u, a, 16), memcpy(mine.u + 4, b, 8);
  const Shown *all = together(mine);
  int g = current % LANES / 4, q = current % 4;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 8; k++)
      d[i] += tf32_of(all[g * 4 + k % 4].u[i / 2 + k / 4 * 2]) *
              tf32_of(all[(q * 2 + i % 2) * 4 + k % 4].u[4 + k / 4]);
}

device float bf16_of(u32 pair, int i) {
  float y;
  pair = i ? pair & 0xffff0000u : pair << 16;
  memcpy(&y, &pair, 4);
  return y;
}

device void matrix_multiply_bf16(float *d, const u32 *a, const u32 *b) {
  Shown mine = {{0}};
  memcpy(mine.u, a, 16), memcpy(mine.u + 4, b, 8);
  const Shown *all = together(mine);
  int g = current % LANES / 4, q = current % 4;
  for (int i = 0; i < 4; i++)
    for (int k = 0; k < 16; k++)
      d[i] += bf16_of(all[g * 4 + k / 2 % 4].u[i / 2 + k / 8 * 2], k % 2) *
              bf16_of(all[(q * 2 + i % 2) * 4 + k / 2 % 4].u[4 + k / 8], k % 2);
}

device float round_tf32(float x) {
  u32 u;
  memcpy(&u, &x, 4);
  return tf32_of(u + 0x1000);
}
device float round_tf32_kept(float x, u32 *bits) {
  x = round_tf32(x);
  memcpy(bits, &x, 4);
  return x;
}

device float exp2_approximate(float x) { return exp2f(x); }
device float reciprocal_approximate(float x) { return 1.0f / x; }
device float fma_saturate(float x, float y, float z) {
  x = fmaf(x, y, z);
  return x > 1.0f ? 1.0f : x > 0.0f ? x : 0.0f;
}
device float fma_down(float x, float y, float z) { /* of values whose product and sum a double holds */
  double exact = (double)x * (double)y + (double)z;
  float r = (float)exact;
  return (double)r > exact ? nextafterf(r, -INFINITY) : r;
}

/* ---- blocks --------------------------------------------------------------------------------- */

static void fiber_main(void) {
  for (;;) {
    body(arguments);
    yield(DONE);
  }
}

/* Runs the current fiber until it yields. */
static void fiber_run(void) {
  Fiber *f = &fiber[current];
  if (_setjmp(scheduler)) return;
  if (f->state == FRESH) setcontext(&f->start);
  else _longjmp(f->at, 1);
}

/* Runs a warp to its barrier or its end. */
static void warp_run(int warp) {
  for (;;) {
    int count[DONE + 1] = {0};
    for (int lane = 0; lane < LANES; lane++) {
      current = warp * LANES + lane;
      if (fiber[current].state <= TOGETHER) fiber_run();
      count[fiber[current].state]++;
    }
    if (count[TOGETHER] == 0) return;
    if (count[TOGETHER] != LANES) die("the lanes of a warp diverge");
  }
}

static void block_run(void) {
  memset(memory, 0xff, sizeof memory);
  for (int i = 0; i < THREADS; i++) {
    Fiber *f = &fiber[i];
    if (f->state != FRESH) f->state = READY;
    f->parity = f->ncopy = f->groups = 0;
  }
  for (int done = 0; done < THREADS;) {
    for (int w = 0; w < WARPS; w++) warp_run(w);
    done = 0;
    for (int i = 0; i < THREADS; i++) done += fiber[i].state == DONE;
    if (done && done < THREADS) die("some threads wait at a barrier, some have ended");
    for (int i = 0; i < THREADS; i++)
      if (fiber[i].state == BARRIER) fiber[i].state = READY;
  }
}

static void fibers_make(void) {
  fiber = malloc(THREADS * sizeof *fiber);
  if (!fiber) die("out of memory");
  for (Fiber *f = fiber; f < fiber + THREADS; f++) {
    f->state = FRESH;
    getcontext(&f->start);
    f->start.uc_stack.ss_sp = f->stack, f->start.uc_stack.ss_size = STACK;
    makecontext(&f->start, fiber_main, 0);
  }
}

/* Runs a kernel: `call` hands the pointers of `a` to it. */
static void grid_run(void (*call)(void **), int x, int y, void **a) {
  fibers_make();
  body = call, arguments = a;
  for (grid_y = 0; grid_y < y; grid_y++)
    for (grid_x = 0; grid_x < x; grid_x++) block_run();
  free(fiber);
}

/* What a launch must leave behind. */
static void tickets_check(const u32 *ticket, int count) {
  for (int i = 0; i < count; i++)
    if (ticket[i]) die("a ticket is left behind");
}
