/* driver.c: what all entry points of the stand-in share: the exported functions themselves, made
 * from cuda_api.def, with lock, injected failures and order of calls; objects; the beginning and
 * the end of the process. Settings come from the environment:
 *
 *   LCWC_SIM_THREADS=N           threads that simulate
 *   LCWC_SIM_CHECKS=WORD         all (default), fast, none
 *   LCWC_SIM_ARCH=80             the device's architecture; LCWC_SIM_DEVICES=1, how many there are
 *   LCWC_SIM_VERSION=13000       what cuDriverGetVersion says; LCWC_SIM_MEMORY=BYTES of the device
 *   LCWC_SIM_FAIL=CALL:N[:CODE]  call N fails, with a code by number or name; "," between several
 *   LCWC_SIM_REPORT=FILE         counters, calls and leaks as JSON, at the end */
#include "driver.h"
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* The library is one driver for its process: the only state here. */
static Driver the_driver;
static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
/* In the part of a thread that is there from the start: leak checkers misread the other. */
static _Thread_local __attribute__((tls_model("initial-exec"))) bool has_context;

Driver *driver(void) { return &the_driver; }

static const struct { const char *name, *symbol; } call_row[] = {
#define CALL(name, symbol, parameters, arguments) {#name, #symbol},
#include "cuda_api.def"
};

static const struct { CUresult number; const char *name, *text; } code_row[] = {
#define CODE(name, number, text) {number, #name, text},
#include "cuda_api.def"
};
enum { CODES = sizeof code_row / sizeof *code_row };

/* ---- objects ------------------------------------------------------------------------------- */

void *object_new(ObjectKind kind, size_t bytes) {
  Object *o = calloc(1, bytes);
  if (!o) return NULL;
  *o = (Object){kind, the_driver.object};
  return the_driver.object = o;
}

void *object_find(ObjectKind kind, const void *handle) {
  Object *o = the_driver.object;
  while (o && ((const void *)o != handle || o->kind != kind)) o = o->next;
  return o;
}

void object_free(void *object) {
  Object **at = &the_driver.object;
  while (*at && *at != object) at = &(*at)->next;
  if (*at) *at = (*at)->next;
  free(object);
}

Pinned *pinned_find(const void *address) {
  const char *a = address;
  for (Object *o = the_driver.object; o; o = o->next) {
    Pinned *p = (Pinned *)(void *)o;
    if (o->kind == OBJECT_PINNED && a >= p->bytes && a < p->bytes + p->n) return p;
  }
  return NULL;
}

/* ---- order of calls -------------------------------------------------------------------------- */

/* What has to be before a call, unless it is a plain one, which needs a context. */
enum { FREE = 1, STARTED = 2, ALONE = 4 }; /* no need of anything; cuInit; not while capturing */

static int needs_of(CallId id) {
  switch (id) {
  case CALL_cuInit: case CALL_cuDriverGetVersion: case CALL_cuGetErrorName:
  case CALL_cuGetErrorString: return FREE;
  case CALL_cuDeviceGetCount: case CALL_cuDeviceGet: case CALL_cuDeviceGetName:
  case CALL_cuDeviceGetAttribute: case CALL_cuDeviceTotalMem: case CALL_cuDevicePrimaryCtxRetain:
  case CALL_cuDevicePrimaryCtxRelease: case CALL_cuCtxSetCurrent: return STARTED;
  case CALL_cuMemAlloc: case CALL_cuMemFree: case CALL_cuMemHostAlloc: case CALL_cuMemFreeHost:
  case CALL_cuModuleLoadDataEx: case CALL_cuModuleUnload: return ALONE;
  default: return 0;
  }
}

/* True for faults after which a context is of no more use. */
static bool loses_context(CUresult code) {
  return code == CUDA_ERROR_ECC_UNCORRECTABLE || code == CUDA_ERROR_ILLEGAL_ADDRESS ||
         (code >= CUDA_ERROR_LAUNCH_TIMEOUT && code <= CUDA_ERROR_LAUNCH_FAILED);
}

/* The number of a code that is written as one, or by name; -1: neither. */
static CUresult code_of(const char *word, size_t n) {
  if (n && isdigit((unsigned char)*word)) return atoi(word);
  for (int i = 0; i < CODES; i++)
    if (strlen(code_row[i].name) == n && !memcmp(code_row[i].name, word, n))
      return code_row[i].number;
  return -1;
}

/* The code that this call has to fail with; CUDA_SUCCESS: none. */
static CUresult injected(CallId id) {
  const char *s = getenv("LCWC_SIM_FAIL");
  for (; s && *s; s += strcspn(s, ","), s += *s == ',') {
    size_t name = strcspn(s, ":,");
    bool this = !strncmp(s, call_row[id].name, name) && !call_row[id].name[name];
    this = this || (!strncmp(s, call_row[id].symbol, name) && !call_row[id].symbol[name]);
    if (!this || s[name] != ':') continue;
    const char *number = s + name + 1, *code = number + strcspn(number, ":,");
    if (strtoull(number, NULL, 10) != the_driver.calls[id]) continue;
    if (*code == ':') return code_of(code + 1, strcspn(code + 1, ","));
    return strstr(call_row[id].name, "Alloc") ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_UNKNOWN;
  }
  return CUDA_SUCCESS;
}

/* Takes the lock; what stands against the call. */
static CUresult call_enter(CallId id) {
  Driver *d = &the_driver;
  int needs = needs_of(id);
  pthread_mutex_lock(&the_lock);
  d->calls[id]++;
  CUresult fail = injected(id);
  if (fail != CUDA_SUCCESS) {
    if (loses_context(fail)) d->fault = fail;
    if (id == CALL_cuStreamEndCapture) captures_drop(); /* also an end that fails is one */
    return fail;
  }
  if (needs == FREE) return CUDA_SUCCESS;
  if (!d->chip) return CUDA_ERROR_NOT_INITIALIZED;
  if (needs == STARTED) return CUDA_SUCCESS;
  if (!has_context || !d->retained) return CUDA_ERROR_INVALID_CONTEXT;
  if (d->fault) return d->fault;
  if (needs == ALONE && capture_broken()) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  return CUDA_SUCCESS;
}

static CUresult call_leave(CUresult code) {
  pthread_mutex_unlock(&the_lock);
  return code;
}

/* Every entry point: what may stand against it, then what it does. */
#define CALL(name, symbol, parameters, arguments)                               \
  EXPORT CUresult symbol parameters;                                            \
  EXPORT CUresult symbol parameters {                                           \
    CUresult against = call_enter(CALL_##name);                                 \
    return call_leave(against == CUDA_SUCCESS ? do_##name arguments : against); \
  }
#include "cuda_api.def"

EXPORT CudaGetProcAddress cuGetProcAddress_v2;

/* The exported function of a name, under our own numbering: every prototype is that of 12.0. */
EXPORT CUresult cuGetProcAddress_v2(const char *name, void **address, int version, uint64_t flags,
                                    int *status) {
  static const struct { const char *name; void (*address)(void); } row[] = {
#define CALL(name, symbol, parameters, arguments) {#name, (void (*)(void))symbol},
#include "cuda_api.def"
  };
  (void)flags;
  *address = NULL;
  if (status) *status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    if (strcmp(name, row[i].name)) continue;
    int found = version < CUDA_API_VERSION ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                                           : CU_GET_PROC_ADDRESS_SUCCESS;
    if (found == CU_GET_PROC_ADDRESS_SUCCESS) memcpy(address, &row[i].address, sizeof *address);
    if (status) *status = found;
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

/* ---- the beginning --------------------------------------------------------------------------- */

static bool refuse(const char *name, const char *value, const char *wanted) {
  fprintf(stderr, "lcwsim: %s: \"%s\" is not %s\n", name, value, wanted);
  return false;
}

/* A whole number of the environment, from `least` to `most`. */
static bool setting_number(const char *name, uint64_t least, uint64_t most, uint64_t *out) {
  const char *value = getenv(name);
  char *end, wanted[96];
  if (!value) return true;
  uint64_t n = strtoull(value, &end, 10);
  if (*value && !*end && isdigit((unsigned char)*value) && n >= least && n <= most) {
    *out = n;
    return true;
  }
  snprintf(wanted, sizeof wanted, "a whole number from %llu to %llu", (unsigned long long)least,
           (unsigned long long)most);
  return refuse(name, value, wanted);
}

static bool setting_checks(SimChecks *out) {
  static const char *const word[] = {"none", "fast", "all"};
  const char *value = getenv("LCWC_SIM_CHECKS");
  *out = SIM_CHECKS_ALL;
  if (!value) return true;
  for (int i = 0; i < 3; i++) {
    if (strcmp(value, word[i])) continue;
    *out = (SimChecks)i;
    return true;
  }
  return refuse("LCWC_SIM_CHECKS", value, "all, fast or none");
}

/* Entry points and codes that LCWC_SIM_FAIL names have to exist. */
static bool setting_fail(void) {
  const char *s = getenv("LCWC_SIM_FAIL"), *all = s;
  for (; s && *s; s += strcspn(s, ","), s += *s == ',') {
    size_t n = strcspn(s, ":,"), known = 0;
    const char *number = s + n + (s[n] == ':'), *code = number + strcspn(number, ":,");
    for (int i = 0; i < CALL_COUNT; i++)
      known += (!strncmp(s, call_row[i].name, n) && !call_row[i].name[n]) ||
               (!strncmp(s, call_row[i].symbol, n) && !call_row[i].symbol[n]);
    bool good = known && s[n] == ':' && isdigit((unsigned char)*number);
    if (!good || (*code == ':' && code_of(code + 1, strcspn(code + 1, ",")) <= 0))
      return refuse("LCWC_SIM_FAIL", all, "CALL:N or CALL:N:CODE");
  }
  return true;
}

CUresult do_cuInit(unsigned flags) {
  Driver *d = driver();
  uint64_t threads = 0, arch = 80, devices = 1, memory = 0;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  if (d->chip) return CUDA_SUCCESS;
  if (!setting_number("LCWC_SIM_THREADS", 1, 1024, &threads) ||
      !setting_checks(&d->settings.checks) || !setting_fail() ||
      !setting_number("LCWC_SIM_ARCH", 10, 999, &arch) ||
      !setting_number("LCWC_SIM_DEVICES", 0, 8, &devices) ||
      !setting_number("LCWC_SIM_MEMORY", 1 << 20, UINT64_C(1) << 40, &memory))
    return CUDA_ERROR_INVALID_VALUE;
  const Chip *chip = chip_find((uint32_t)arch);
  if (!chip)
    return refuse("LCWC_SIM_ARCH", getenv("LCWC_SIM_ARCH"), "75, 80, 86, 89, 90, 100 or 120"),
           CUDA_ERROR_INVALID_VALUE;
  if (devices == 0) return CUDA_ERROR_NO_DEVICE;
  d->settings.threads = (uint32_t)threads;
  d->settings.architecture = (uint32_t)arch;
  d->settings.memory = memory;
  d->devices = (int)devices;
  d->chip = chip;
  return CUDA_SUCCESS;
}

CUresult do_cuDriverGetVersion(int *version) {
  uint64_t n = 13000;
  if (!version || !setting_number("LCWC_SIM_VERSION", 1000, 99990, &n))
    return CUDA_ERROR_INVALID_VALUE;
  *version = (int)n;
  return CUDA_SUCCESS;
}

CUresult do_cuGetErrorName(CUresult code, const char **text) {
  for (int i = 0; i < CODES; i++)
    if (code_row[i].number == code) return *text = code_row[i].name, CUDA_SUCCESS;
  return *text = NULL, CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuGetErrorString(CUresult code, const char **text) {
  for (int i = 0; i < CODES; i++)
    if (code_row[i].number == code) return *text = code_row[i].text, CUDA_SUCCESS;
  return *text = NULL, CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuCtxSetCurrent(CUcontext context) {
  Driver *d = driver();
  if (context && ((void *)context != (void *)d || !d->retained)) return CUDA_ERROR_INVALID_CONTEXT;
  has_context = context != NULL;
  return CUDA_SUCCESS;
}

/* ---- beside CUDA ------------------------------------------------------------------------------ */

bool lcwsim_counters(SimCounters *out, size_t bytes) {
  Driver *d = driver();
  pthread_mutex_lock(&the_lock);
  bool counts = d->sim && bytes == sizeof *out && streams_drain() == CUDA_SUCCESS;
  if (counts) {
    sim_count_memory(d->sim, true);
    *out = *sim_counters(d->sim);
  }
  pthread_mutex_unlock(&the_lock);
  return counts;
}

/* ---- the end --------------------------------------------------------------------------------- */

/* The counters, with how often each entry point was called and what was not given back. */
static void report_write(const char *path) {
  Driver *d = driver();
  SimText out = {0};
  FILE *file = fopen(path, "w");
  if (!file) {
    fprintf(stderr, "lcwsim: LCWC_SIM_REPORT: %s cannot be written\n", path);
    return;
  }
  if (d->sim) sim_counters_json(d->sim, &out);
  size_t n = out.length;
  while (n && out.text[n - 1] != '}') n--;
  if (n) fwrite(out.text, 1, n - 1, file);
  fprintf(file, "%s\"leaks\":%zu,\"calls\":{", n ? "," : "{\"schema\":\"lcwc.sim/1\",", d->leaks);
  const char *between = "";
  for (int i = 0; i < CALL_COUNT; i++) {
    if (!d->calls[i]) continue;
    fprintf(file, "%s\"%s\":%llu", between, call_row[i].symbol, (unsigned long long)d->calls[i]);
    between = ",";
  }
  fputs("}}\n", file);
  fclose(file);
  sim_text_release(&out);
}

/* When the library is unloaded, which is at the end of the process or at dlclose(). */
__attribute__((destructor)) static void driver_end(void) {
  Driver *d = driver();
  const char *report = getenv("LCWC_SIM_REPORT");
  if (d->retained) {
    fprintf(stderr, "lcwsim: the primary context was not released\n");
    d->retained = 1;
    do_cuDevicePrimaryCtxRelease(0);
  }
  if (report) report_write(report);
  if (d->sim) sim_destroy(d->sim);
  *d = (Driver){0};
}
