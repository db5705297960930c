/* cuda_driver.h: the CUDA driver, found when it is asked for and never linked: a table of pointers
 * to the entry points of cuda_api.def. Every call goes through cuda_try(), so that every failure
 * names the call, the driver's error and the place, and says what can be done. */
#ifndef LCW_CUDA_DRIVER_H
#define LCW_CUDA_DRIVER_H
#include "cuda_api.h"
#include "fault.h"
#include "meter.h"

typedef struct CudaDriver {
#define CALL(name, symbol, parameters, arguments) CUresult (*name) parameters;
#include "cuda_api.def"
  bool (*counters)(SimCounters *out, size_t bytes); /* lcwsim_counters(); NULL: a real device */
  void *library;
  int version; /* 12040 for 12.4 */
  bool interprets; /* it executes PTX and takes nothing else: the simulated device */
} CudaDriver;

/* Opens and initialises a driver. `choice`: NULL, libcuda.so.1 of the system; "sim", the simulated
 * device that comes with lcwc (liblcwsim.so beside the program, or in ../lib/lcwc); else a path. */
/* It stays loaded to the end of the program: threads of its own may outlive what is closed. */
bool cuda_driver_open(CudaDriver *cu, const char *choice, Fault *f);

/* False with the fault, if a call to the driver gave `code`; `call` is its text. */
bool cuda_result(const CudaDriver *cu, CUresult code, const char *call, const char *file, int line,
                 Fault *f);

/* cuda_try(cu, f, cuMemAlloc, &address, bytes): the call; true if it succeeded. */
#define cuda_try(cu, f, name, ...) \
  cuda_result(cu, (cu)->name(__VA_ARGS__), #name, __FILE__, __LINE__, f)
#endif
