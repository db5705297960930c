/* cuda_device.h: what the files of the CUDA device share: the device itself. One context (the
 * device's primary one), one stream, one module; the arena of the plan, the workspace of its
 * kernels, and pinned memory through which everything passes. */
#ifndef LCW_CUDA_DEVICE_H
#define LCW_CUDA_DEVICE_H
#include "cuda_driver.h"
#include "device.h"

enum { STAGE_BYTES = 4 << 20 };

typedef struct CudaPhases CudaPhases;

typedef struct Cuda {
  Device device; /* first: a Device * is a Cuda * */
  Fault fault;   /* the first; from then on nothing is done */
  CudaDriver cu;
  const Plan *plan;
  CUdevice gpu;
  uint32_t arch; /* 86 for compute capability 8.6 */
  CUcontext context;
  CUstream stream;
  CUmodule module;
  CUfunction *code;  /* by PlanKernel.code */
  CUfunction gather; /* lcw_gather of prelude.cu: what is fed and fetched */
  CUdeviceptr arena, workspace;
  char *stage; /* pinned, STAGE_BYTES */
  CUevent event[2];  /* around a phase; NULL: nobody measures */
  double ms;         /* between them so far */
  CudaPhases *phases;
  bool closing;
  char isa[16], name[128], about[256];
} Cuda;

/* A call to the driver, unless something went wrong before; true if it succeeded. */
#define cuda_do(c, call, ...)                                                                   \
  cuda_done(c, (c)->fault.code ? CUDA_SUCCESS : (c)->cu.call(__VA_ARGS__), #call, __FILE__, \
            __LINE__)
bool cuda_done(Cuda *c, CUresult code, const char *call, const char *file, int line);

/* What was taken is given back even after a fault. At the close a failure of that alone is a note. */
#define cuda_undo(c, call, ...) \
  cuda_undone(c, (c)->cu.call(__VA_ARGS__), #call, __FILE__, __LINE__)
void cuda_undone(Cuda *c, CUresult code, const char *call, const char *file, int line);

/* Device memory; a refusal says what it was for and how much there is. */
bool cuda_memory(Cuda *c, CUdeviceptr *out, uint64_t bytes, const char *what);
/* Bytes of this process to the device, through the stage; done when it returns. */
void cuda_upload(Cuda *c, CUdeviceptr to, const void *from, uint64_t n);

/* ---- cuda_code.c --------------------------------------------------------------------------- */

/* Loads the best image and finds the functions of the plan in it; proves that the device can launch
 * them. */
bool cuda_code_open(Cuda *c, const PlanImage *image, Fault *f);

/* ---- cuda_meter.c -------------------------------------------------------------------------- */

void cuda_meter(Device *d, Reading *out);
void cuda_meter_mark(Cuda *c, int end);
void cuda_meter_add(Cuda *c);
void cuda_meter_close(Cuda *c);

/* ---- cuda_phase.c -------------------------------------------------------------------------- */

extern const Recorder cuda_recorder;
void cuda_phases_close(Cuda *c);

#endif
