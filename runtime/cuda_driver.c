/* cuda_driver.c: see cuda_driver.h. What cannot be had is said with what to install; nothing else
 * is ever used in its place. */
#include "cuda_driver.h"
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
#include <stdio.h>

static const char SYSTEM_LIBRARY[] = "libcuda.so.1", SIM_LIBRARY[] = "liblcwsim.so";

typedef struct { const char *name, *symbol; size_t at; } Entry;

static const Entry entry[] = {
#define CALL(name, symbol, parameters, arguments) {#name, #symbol, offsetof(CudaDriver, name)},
#include "cuda_api.def"
};

/* ---- results ----------------------------------------------------------------------------- */

static const char LOST[] = "the device gave up this run; the last checkpoint is untouched: "
                           "--resume goes on from it. --driver=sim --sim-checks=all names the "
                           "kernel, the line and the thread";
static const char NO_DEVICE[] = "nvidia-smi lists the GPUs that the driver sees; --driver=sim runs "
                                "on a simulated one";
static const char BUSY[] = "nvidia-smi shows who uses the GPU; --device=cuda:N takes another one";
static const char BROKEN[] = "the driver's parts do not fit together: reinstall it, then restart "
                             "the machine";

/* What can be done about a result, and its exit code; the others: LCW_DEVICE and no help. */
static const struct { CUresult code; int exit; const char *help; } advice[] = {
    {CUDA_ERROR_OUT_OF_MEMORY, LCW_LIMIT,
     "a smaller batch needs less; nvidia-smi shows who else uses the GPU's memory"},
    {CUDA_ERROR_STUB_LIBRARY, LCW_DEVICE,
     "this libcuda is the toolkit's stub for linking: install the driver of the GPU, and take "
     "the stubs folder out of LD_LIBRARY_PATH"},
    {CUDA_ERROR_NO_DEVICE, LCW_DEVICE, NO_DEVICE},
    {CUDA_ERROR_INVALID_DEVICE, LCW_DEVICE, NO_DEVICE},
    {CUDA_ERROR_DEVICE_UNAVAILABLE, LCW_DEVICE, BUSY},
    {CUDA_ERROR_OPERATING_SYSTEM, LCW_DEVICE, BUSY},
    {CUDA_ERROR_NOT_PERMITTED, LCW_DEVICE, BUSY},
    {CUDA_ERROR_SYSTEM_NOT_READY, LCW_DEVICE, BROKEN},
    {CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, LCW_DEVICE, BROKEN},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, LCW_DEVICE,
     "build with --target=sm_NN of this GPU, or with ptx"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, LCW_DEVICE,
     "the driver is older than the compiler of this code: a newer driver, or "
     "--target=sm_NN of this GPU, which needs no compiler in the driver"},
    {CUDA_ERROR_JIT_COMPILER_NOT_FOUND, LCW_DEVICE,
     "install the driver's compiler (Debian: libnvidia-ptxjitcompiler1), or build with "
     "--target=sm_NN of this GPU"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, LCW_DEVICE, LOST},
    {CUDA_ERROR_LAUNCH_TIMEOUT, LCW_DEVICE, LOST},
    {CUDA_ERROR_HARDWARE_STACK_ERROR, LCW_DEVICE, LOST},
    {CUDA_ERROR_ILLEGAL_INSTRUCTION, LCW_DEVICE, LOST},
    {CUDA_ERROR_MISALIGNED_ADDRESS, LCW_DEVICE, LOST},
    {CUDA_ERROR_INVALID_ADDRESS_SPACE, LCW_DEVICE, LOST},
    {CUDA_ERROR_INVALID_PC, LCW_DEVICE, LOST},
    {CUDA_ERROR_LAUNCH_FAILED, LCW_DEVICE, LOST},
    {CUDA_ERROR_ECC_UNCORRECTABLE, LCW_DEVICE,
     "the GPU's memory is damaged: nvidia-smi -q says more; the last checkpoint is untouched"},
};

/* Name and text of a result, as the driver has them; one that it does not know keeps its number. */
static void code_text(const CudaDriver *cu, CUresult code, char *out, size_t n) {
  const char *name = NULL, *text = NULL;
  if (cu->cuGetErrorName) cu->cuGetErrorName(code, &name);
  if (cu->cuGetErrorString) cu->cuGetErrorString(code, &text);
  snprintf(out, n, "%s (%s, %d)", text ? text : "an error without a text",
           name ? name : "unknown to the driver", code);
}

bool cuda_result(const CudaDriver *cu, CUresult code, const char *call, const char *file, int line,
                 Fault *f) {
  char text[300];
  if (code == CUDA_SUCCESS) return true;
  code_text(cu, code, text, sizeof text);
  fault_set(f, LCW_DEVICE, "CUDA: %s: %s\n = at %s:%d", call, text, file, line);
  for (size_t i = 0; i < sizeof advice / sizeof *advice; i++) {
    if (advice[i].code != code) continue;
    f->code = advice[i].exit;
    fault_add(f, "\nhelp: %s", advice[i].help);
  }
  return false;
}

/* ---- the library --------------------------------------------------------------------------- */

/* The folder of this program, with what follows it. */
static void beside(char *out, size_t n, const char *more) {
  char self[1024];
  ssize_t k = readlink("/proc/self/exe", self, sizeof self - 1);
  self[k > 0 ? k : 0] = 0;
  char *slash = strrchr(self, '/');
  if (slash) *slash = 0;
  snprintf(out, n, "%s/%s", slash ? self : ".", more);
}

/* The simulated device: beside the program, or where it is installed. */
static bool open_sim(CudaDriver *cu, Fault *f) {
  static const char *const place[] = {"", "../lib/lcwc/"};
  char path[2][1200], more[64];
  for (int i = 0; i < 2; i++) {
    snprintf(more, sizeof more, "%s%s", place[i], SIM_LIBRARY);
    beside(path[i], sizeof path[i], more);
    if (access(path[i], F_OK)) continue;
    cu->library = dlopen(path[i], RTLD_NOW | RTLD_LOCAL);
    return cu->library || fault_set(f, LCW_DEVICE, "--driver=sim: %s", dlerror());
  }
  return fault_set(f, LCW_DEVICE,
                   "--driver=sim: there is no simulated device at %s or %s\n"
                   "help: `make` builds %s; --driver=PATH takes it from anywhere",
                   path[0], path[1], SIM_LIBRARY);
}

/* The driver of the system. */
static bool open_system(CudaDriver *cu, Fault *f) {
  cu->library = dlopen(SYSTEM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
  return cu->library ||
         fault_set(f, LCW_DEVICE,
                   "there is no CUDA driver: %s\n"
                   "help: install the driver of the GPU (Debian: apt-get install nvidia-driver, in "
                   "non-free); --driver=sim runs on a simulated device, --device=host without one",
                   dlerror());
}

static bool open_path(CudaDriver *cu, const char *path, Fault *f) {
  cu->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  return cu->library || fault_set(f, LCW_DEVICE, "--driver=%s: %s", path, dlerror());
}

/* ISO C has no cast from an object's pointer to a function's; POSIX says that the bits are one. */
static void *symbol_of(void *library, const char *name) { return dlsym(library, name); }

/* The address of an entry point: of the version that we are written for, else by its symbol. */
static void *find_entry(const CudaDriver *cu, CudaGetProcAddress *ask, const Entry *e) {
  void *found = NULL;
  int status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (ask && ask(e->name, &found, CUDA_API_VERSION, 0, &status) == CUDA_SUCCESS && found &&
      status == CU_GET_PROC_ADDRESS_SUCCESS)
    return found;
  return symbol_of(cu->library, e->symbol);
}

/* Fills the table. */
static bool find_entries(CudaDriver *cu, const char *shown, Fault *f) {
  void *address = symbol_of(cu->library, "cuGetProcAddress_v2");
  cu->interprets = symbol_of(cu->library, "sim_create") != NULL;
  CudaGetProcAddress *ask = NULL;
  memcpy(&ask, &address, sizeof ask);
  if (!symbol_of(cu->library, "cuInit"))
    return fault_set(f, LCW_DEVICE, "%s is not a CUDA driver: it has no cuInit", shown);
  for (size_t i = 0; i < sizeof entry / sizeof *entry; i++) {
    void *found = find_entry(cu, ask, &entry[i]);
    if (!found)
      return fault_set(f, LCW_DEVICE, "%s lacks %s: it is older than CUDA %d\nhelp: install driver "
                                      "525 or later",
                       shown, entry[i].symbol, CUDA_API_VERSION / 1000);
    memcpy((char *)cu + entry[i].at, &found, sizeof found);
  }
  return true;
}

/* What only the simulated device has. */
static void find_counters(CudaDriver *cu) {
  void *found = symbol_of(cu->library, "lcwsim_counters");
  memcpy(&cu->counters, &found, sizeof found);
}

/* Starts it; one that is older than our prototypes is refused. */
static bool start(CudaDriver *cu, const char *shown, Fault *f) {
  if (!cuda_try(cu, f, cuDriverGetVersion, &cu->version)) return false;
  if (cu->version < CUDA_API_VERSION)
    return fault_set(f, LCW_DEVICE,
                     "%s is for CUDA %d.%d; CUDA %d.0 is the oldest that will do\nhelp: install "
                     "driver 525 or later",
                     shown, cu->version / 1000, cu->version % 1000 / 10, CUDA_API_VERSION / 1000);
  return cuda_try(cu, f, cuInit, 0);
}

bool cuda_driver_open(CudaDriver *cu, const char *choice, Fault *f) {
  const char *shown = !choice ? SYSTEM_LIBRARY : !strcmp(choice, "sim") ? SIM_LIBRARY : choice;
  *cu = (CudaDriver){0};
  bool ok = !choice                  ? open_system(cu, f)
            : !strcmp(choice, "sim") ? open_sim(cu, f)
                                     : open_path(cu, choice, f);
  ok = ok && find_entries(cu, shown, f) && start(cu, shown, f);
  if (ok) return find_counters(cu), true;
  if (cu->library) dlclose(cu->library);
  *cu = (CudaDriver){0};
  return false;
}
