/* cpu.c: the host as a device: one arena, the work pool, and the kernels of one instruction
 * set. The arena asks for huge pages; every thread has its own scratch. Nothing depends on the
 * number of threads: a kernel's chunks are independent and each is computed by one thread. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "ahead.h"
#include "device.h"
#include "pool.h"

enum { LINE = 64, HUGE_PAGE = 2 << 20 };

typedef struct {
  Device device; /* first: a Device * is a Cpu * */
  const HostTable *table;
  Ahead *ahead;
  Pool *pool;
  char *arena;      /* begins at a huge page */
  void *map;        /* what mmap gave: the arena and up to a huge page before it */
  uint64_t bytes;   /* of the map */
  uint64_t scratch_bytes; /* of one thread */
  char *scratch;
  char *workspace;        /* of the launch under way, for all threads */
  unsigned float_state;
} Cpu;

typedef struct { Cpu *cpu; HostKernel *code; void *const *arg; } Launch;

uint32_t cpu_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set)) return 1;
  int n = CPU_COUNT(&set);
  return n > 0 ? (uint32_t)n : 1;
}

bool cpu_runs(const char *isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!strcmp(isa, "avx512"))
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
  if (!strcmp(isa, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return !strcmp(isa, "baseline");
}

/* Names of the rows, for a message. */
static void table_names(const HostTable *table, char *out, size_t n) {
  out[0] = 0;
  for (const HostTable *t = table; t->isa; t++) {
    if (t != table) strncat(out, ", ", n - strlen(out) - 1);
    strncat(out, t->isa, n - strlen(out) - 1);
  }
}

/* Rows are in order of preference: the first that runs is the best. */
const HostTable *cpu_select(const HostTable *table, const char *cpu, Fault *f) {
  bool native = !cpu || !strcmp(cpu, "native");
  char names[128];
  table_names(table, names, sizeof names);
  for (const HostTable *t = table; t->isa; t++) {
    if (!native && strcmp(cpu, t->isa)) continue;
    if (cpu_runs(t->isa)) return t;
    if (!native) {
      fault_set(f, LCW_DEVICE, "this machine does not run %s code\nhelp: compiled for: %s", cpu,
                names);
      return NULL;
    }
  }
  if (native)
    fault_set(f, LCW_DEVICE, "compiled for %s, and this machine runs none of it", names);
  else
    fault_set(f, LCW_DEVICE, "no code for --cpu=%s\nhelp: compiled for: %s", cpu, names);
  return NULL;
}

/* The arena: at a huge page, and zero as the system gives it. */
static bool cpu_alloc(Device *d, uint64_t bytes, Fault *f) {
  Cpu *c = (Cpu *)d;
  if (__builtin_add_overflow(bytes, (uint64_t)HUGE_PAGE, &c->bytes)) c->bytes = UINT64_MAX;
  c->map = ahead_memory(c->ahead, c->bytes);
  if (!c->map)
    c->map = mmap(NULL, c->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (c->map == MAP_FAILED) {
    c->map = NULL;
    return fault_set(f, LCW_LIMIT, "no memory for the network: %llu bytes",
                     (unsigned long long)bytes);
  }
  c->arena = (char *)(((uintptr_t)c->map + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  if (bytes >= HUGE_PAGE) madvise(c->arena, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
  return true;
}

static void cpu_put(Device *d, uint64_t offset, const void *from, uint64_t n) {
  memcpy(((Cpu *)d)->arena + offset, from, n);
}

static void cpu_get(Device *d, void *to, uint64_t offset, uint64_t n) {
  memcpy(to, ((Cpu *)d)->arena + offset, n);
}

static void cpu_copy(Device *d, uint64_t to, uint64_t from, uint64_t n) {
  memmove(((Cpu *)d)->arena + to, ((Cpu *)d)->arena + from, n);
}

static void cpu_zero(Device *d, uint64_t offset, uint64_t n) {
  memset(((Cpu *)d)->arena + offset, 0, n);
}

/* The part of a kernel that one thread computes, with its own scratch. */
static void launch_part(void *ctx, int64_t begin, int64_t end, uint32_t thread) {
  const Launch *l = ctx;
  char *scratch = l->cpu->scratch ? l->cpu->scratch + l->cpu->scratch_bytes * thread : NULL;
  l->code(l->arg, begin, end, scratch);
}

/* Turns buffers into pointers and shares the chunks out among the threads. */
static void cpu_launch(Device *d, const Plan *p, uint32_t k, const uint32_t *buf, uint32_t narg) {
  Cpu *c = (Cpu *)d;
  const PlanKernel *kernel = PLAN_AT(p, PlanKernel, p->kernel) + k;
  const PlanBuf *buffer = PLAN_AT(p, PlanBuf, p->buf);
  void *arg[PLAN_MAX_ARGS + 1];
  for (uint32_t i = 0; i < narg; i++) arg[i] = c->arena + buffer[buf[i]].offset;
  arg[narg] = c->workspace;
  Launch l = {c, c->table->kernel[kernel->code], arg};
  pool_run(c->pool, launch_part, &l, kernel->chunks ? kernel->chunks : 1);
}

/* Also of a device that was only half opened. */
static void cpu_close(Device *d) {
  Cpu *c = (Cpu *)d;
  pool_close(c->pool);
  if (c->map) munmap(c->map, c->bytes);
  free(c->scratch);
  free(c->workspace);
  pool_float_restore(c->float_state);
  free(c);
}

/* The largest scratch and the largest workspace that any kernel wants, in whole cache lines. */
static void memory_find(const Plan *p, uint64_t *scratch, uint64_t *workspace) {
  const PlanKernel *kernel = PLAN_AT(p, PlanKernel, p->kernel);
  *scratch = *workspace = 0;
  for (uint32_t i = 0; i < p->nkernel; i++) {
    if (kernel[i].scratch > *scratch) *scratch = kernel[i].scratch;
    if (kernel[i].workspace > *workspace) *workspace = kernel[i].workspace;
  }
  *scratch = (*scratch + LINE - 1) / LINE * LINE;
  *workspace = (*workspace + LINE - 1) / LINE * LINE;
}

/* One block of scratch for all threads, and the workspace, which begins as zeros. */
static bool memory_alloc(Cpu *c, const Plan *p, Fault *f) {
  uint64_t bytes, workspace;
  memory_find(p, &c->scratch_bytes, &workspace);
  if (workspace && !(c->workspace = aligned_alloc(LINE, workspace)))
    return fault_set(f, LCW_LIMIT, "no memory for the workspace: %llu bytes",
                     (unsigned long long)workspace);
  if (workspace) memset(c->workspace, 0, workspace);
  if (c->scratch_bytes == 0) return true;
  if (!__builtin_mul_overflow(c->scratch_bytes, (uint64_t)c->device.threads, &bytes))
    c->scratch = aligned_alloc(LINE, bytes);
  return c->scratch ||
         fault_set(f, LCW_LIMIT, "no memory for the scratch of %u threads: %llu bytes each",
                   c->device.threads, (unsigned long long)c->scratch_bytes);
}

Device *cpu_open(const ModelCode *m, const char *cpu, uint32_t threads, Fault *f) {
  const HostTable *row = cpu_select(m->table, cpu, f);
  Cpu *c = row ? memory_new(1, sizeof *c, "the device", f) : NULL;
  if (!c) return NULL;
  c->device = (Device){.name = "host", .isa = row->isa, .threads = threads ? threads : cpu_count(),
                       .alloc = cpu_alloc, .put = cpu_put, .get = cpu_get, .copy = cpu_copy,
                       .zero = cpu_zero, .launch = cpu_launch, .close = cpu_close};
  c->table = row;
  c->ahead = m->ahead;
  c->float_state = pool_float_mode();
  if (!memory_alloc(c, m->plan, f) || !(c->pool = pool_open(c->device.threads, f))) {
    cpu_close(&c->device);
    return NULL;
  }
  return &c->device;
}
