/* ahead.c: see ahead.h. The map is larger than any arena that is likely to follow, since addresses
 * cost nothing; what the arena does not want of it goes back. Only the pages where the parameters
 * will lie, its first, are touched, and none once the run waits for them: it is faster by then. */
#include "ahead.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "pool.h"

enum { PAGE = 4 << 10, HUGE_PAGE = 2 << 20, ROOM = 16 }; /* ROOM: arena over parameters, at most */

struct Ahead {
  pthread_t thread;
  bool joined;
  DataRequest request;
  Data data;
  bool read;           /* data is whole, and not taken */
  Fault fault;         /* why it is not */
  char *map;           /* NULL: none */
  uint64_t mapped;     /* bytes of it */
  uint64_t parameters; /* bytes to touch */
  atomic_bool stop;
};

uint64_t physical_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : UINT64_MAX;
}

/* Takes pages from the system by writing to them what they hold, 0: only such as parameters fill,
 * since the rest of the last one may not be part of the arena. */
static void pages_touch(Ahead *a) {
  char *first = (char *)(((uintptr_t)a->map + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  uint64_t bytes = a->parameters / HUGE_PAGE * HUGE_PAGE;
  if (bytes) madvise(first, bytes, MADV_HUGEPAGE);
  for (uint64_t i = 0; i < bytes && !atomic_load(&a->stop); i += PAGE)
    *(volatile char *)(first + i) = 0;
}

/* The data first: the run cannot do without. It is read as the device would, see cpu_open(). */
static void *ahead_main(void *arg) {
  Ahead *a = arg;
  if (a->parameters) pool_float_mode();
  a->read = data_open(&a->data, &a->request, &a->fault);
  if (a->map) pages_touch(a);
  return NULL;
}

/* Addresses for the arena; none if the parameters alone would take half of the memory. */
static void map_open(Ahead *a, uint64_t bytes) {
  if (!bytes || bytes > physical_bytes() / 2) return;
  a->mapped = bytes * ROOM + ((uint64_t)1 << 30);
  a->map = mmap(NULL, a->mapped, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (a->map == MAP_FAILED) a->map = NULL;
}

Ahead *ahead_begin(const DataRequest *request, uint64_t bytes) {
  Ahead *a = calloc(1, sizeof *a);
  if (!a) return NULL;
  a->request = *request;
  a->parameters = bytes;
  map_open(a, bytes);
  if (!pthread_create(&a->thread, NULL, ahead_main, a)) return a;
  if (a->map) munmap(a->map, a->mapped);
  free(a);
  return NULL;
}

/* Waits for the thread. */
static void ahead_join(Ahead *a) {
  atomic_store(&a->stop, true);
  if (!a->joined) pthread_join(a->thread, NULL);
  a->joined = true;
}

bool ahead_data(Ahead *a, const DataRequest *request, Data *out, Fault *f) {
  if (!a || !data_request_equal(&a->request, request)) return data_open(out, request, f);
  ahead_join(a);
  if (!a->read && !a->fault.code) return data_open(out, request, f); /* taken before */
  *out = a->data;
  if (a->fault.code) *f = a->fault;
  a->data = (Data){0};
  bool ok = a->read;
  a->read = false, a->fault.code = 0;
  return ok;
}

void *ahead_memory(Ahead *a, uint64_t bytes) {
  if (!a || !a->map || bytes > a->mapped) return NULL;
  ahead_join(a);
  uint64_t kept = (bytes + PAGE - 1) / PAGE * PAGE;
  if (kept < a->mapped) munmap(a->map + kept, a->mapped - kept);
  void *map = a->map;
  a->map = NULL;
  return map;
}

void ahead_close(Ahead *a) {
  if (!a) return;
  ahead_join(a);
  data_close(&a->data);
  if (a->map) munmap(a->map, a->mapped);
  free(a);
}
