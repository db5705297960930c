/* cuda_device.c: a CUDA GPU as a device: opening, memory, copies, launches. Everything is put into
 * one stream, so it happens in the order in which it was asked for; only what the host must have is
 * waited for. */
#include "cuda_device.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Cuda *cuda_of(Device *d) { return (Cuda *)(void *)d; }

bool cuda_done(Cuda *c, CUresult code, const char *call, const char *file, int line) {
  return c->fault.code == 0 && cuda_result(&c->cu, code, call, file, line, &c->fault);
}

void cuda_undone(Cuda *c, CUresult code, const char *call, const char *file, int line) {
  Fault f = {0};
  if (cuda_result(&c->cu, code, call, file, line, &f) || c->fault.code) return;
  c->fault = f;
  if (c->closing) fault_note(&f);
}

/* ---- memory ------------------------------------------------------------------------------ */

static double mebibytes(uint64_t n) { return (double)n / (1 << 20); }

bool cuda_memory(Cuda *c, CUdeviceptr *out, uint64_t bytes, const char *what) {
  size_t have = 0, total = 0;
  *out = 0;
  if (cuda_do(c, cuMemAlloc, out, bytes)) return true;
  *out = 0;
  if (c->fault.code == LCW_LIMIT && c->cu.cuMemGetInfo(&have, &total) == CUDA_SUCCESS)
    fault_add(&c->fault, "\n = for %s, %.1f MiB; %s has %.1f of its %.1f MiB free", what,
              mebibytes(bytes), c->name, mebibytes(have), mebibytes(total));
  return false;
}

void cuda_upload(Cuda *c, CUdeviceptr to, const void *from, uint64_t n) {
  for (uint64_t at = 0, part; at < n && !c->fault.code; at += part) {
    part = n - at < STAGE_BYTES ? n - at : STAGE_BYTES;
    memcpy(c->stage, (const char *)from + at, part);
    cuda_do(c, cuMemcpyHtoDAsync, to + at, c->stage, part, c->stream);
    cuda_do(c, cuStreamSynchronize, c->stream);
  }
}

/* The largest workspace that a kernel wants. */
static uint64_t workspace_of(const Plan *p) {
  const PlanKernel *k = PLAN_AT(p, PlanKernel, p->kernel);
  uint64_t most = 0;
  for (uint32_t i = 0; i < p->nkernel; i++)
    if (k[i].workspace > most) most = k[i].workspace;
  return (most + 3) / 4 * 4;
}

/* The arena, which begins as zeros like that of the host, and the workspace, which has to. */
static bool cuda_alloc(Device *d, uint64_t bytes, Fault *f) {
  Cuda *c = cuda_of(d);
  uint64_t arena = (bytes + 255) / 256 * 256, workspace = workspace_of(c->plan);
  if (arena) cuda_memory(c, &c->arena, arena, "the network");
  if (workspace) cuda_memory(c, &c->workspace, workspace, "sums over blocks");
  if (arena) cuda_do(c, cuMemsetD32Async, c->arena, 0, arena / 4, c->stream);
  if (workspace) cuda_do(c, cuMemsetD32Async, c->workspace, 0, workspace / 4, c->stream);
  return device_ok(d, f);
}

static void cuda_put(Device *d, uint64_t offset, const void *from, uint64_t n) {
  cuda_upload(cuda_of(d), cuda_of(d)->arena + offset, from, n);
}

static void cuda_get(Device *d, void *to, uint64_t offset, uint64_t n) {
  Cuda *c = cuda_of(d);
  for (uint64_t at = 0, part; at < n; at += part) {
    part = n - at < STAGE_BYTES ? n - at : STAGE_BYTES;
    cuda_do(c, cuMemcpyDtoHAsync, c->stage, c->arena + offset + at, part, c->stream);
    if (!cuda_do(c, cuStreamSynchronize, c->stream)) return;
    memcpy((char *)to + at, c->stage, part);
  }
}

static void cuda_copy(Device *d, uint64_t to, uint64_t from, uint64_t n) {
  Cuda *c = cuda_of(d);
  if (n) cuda_do(c, cuMemcpyDtoDAsync, c->arena + to, c->arena + from, n, c->stream);
}

/* Whole words: buffers begin at multiples of 64, so what is behind one up to a word is nobody's. */
static void cuda_zero(Device *d, uint64_t offset, uint64_t n) {
  Cuda *c = cuda_of(d);
  uint64_t head = (4 - offset % 4) % 4;
  if (head > n) head = n;
  if (head) cuda_put(d, offset, "\0\0\0", head);
  uint64_t words = (n - head + 3) / 4;
  if (words) cuda_do(c, cuMemsetD32Async, c->arena + offset + head, 0, words, c->stream);
}

/* ---- launches ---------------------------------------------------------------------------- */

static void cuda_launch(Device *d, const Plan *p, uint32_t k, const uint32_t *buf, uint32_t narg) {
  Cuda *c = cuda_of(d);
  const PlanKernel *kernel = PLAN_AT(p, PlanKernel, p->kernel) + k;
  const PlanBuf *buffer = PLAN_AT(p, PlanBuf, p->buf);
  CUdeviceptr address[PLAN_MAX_ARGS];
  uint32_t number[PLAN_MAX_NUMBERS];
  void *parameter[PLAN_MAX_ARGS + PLAN_MAX_NUMBERS + 1];
  for (uint32_t i = 0; i < narg; i++) {
    address[i] = c->arena + buffer[buf[i]].offset;
    parameter[i] = &address[i];
  }
  for (uint32_t i = 0; i < kernel->nnumber; i++) {
    number[i] = buf[narg + i];
    parameter[narg + i] = &number[i];
  }
  parameter[narg + kernel->nnumber] = &c->workspace; /* read by those that have it */
  const uint32_t *g = kernel->grid, *b = kernel->block;
  if (!cuda_do(c, cuLaunchKernel, c->code[kernel->code], g[0], g[1], g[2], b[0], b[1], b[2],
               kernel->shared, c->stream, parameter, NULL) &&
      !strstr(c->fault.text, "\n = kernel"))
    fault_add(&c->fault, "\n = kernel %s", plan_text(p, kernel->symbol));
}

static void cuda_wait(Device *d) {
  Cuda *c = cuda_of(d);
  cuda_do(c, cuStreamSynchronize, c->stream);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* Also of a device that was only half opened: what is there is given back in reverse. */
static void cuda_close(Device *d) {
  Cuda *c = cuda_of(d);
  c->closing = true;
  if (c->stream) cuda_undo(c, cuStreamSynchronize, c->stream);
  cuda_phases_close(c);
  cuda_meter_close(c);
  if (c->stage) cuda_undo(c, cuMemFreeHost, c->stage);
  if (c->workspace) cuda_undo(c, cuMemFree, c->workspace);
  if (c->arena) cuda_undo(c, cuMemFree, c->arena);
  if (c->module) cuda_undo(c, cuModuleUnload, c->module);
  if (c->stream) cuda_undo(c, cuStreamDestroy, c->stream);
  if (c->context) cuda_undo(c, cuDevicePrimaryCtxRelease, c->gpu);
  free(c->code);
  free(c);
}

/* The names of all devices, for a message. */
static void list_devices(const CudaDriver *cu, int count, Fault *f) {
  char name[128];
  CUdevice gpu;
  for (int i = 0; i < count; i++) {
    if (cu->cuDeviceGet(&gpu, i) || cu->cuDeviceGetName(name, sizeof name, gpu)) return;
    fault_add(f, "\n = cuda:%d is %.100s", i, name);
  }
}

/* The device of that number. */
static bool find_gpu(Cuda *c, int ordinal, Fault *f) {
  int count = 0, major = 0, minor = 0;
  if (!cuda_try(&c->cu, f, cuDeviceGetCount, &count)) return false;
  if (count == 0) return cuda_result(&c->cu, CUDA_ERROR_NO_DEVICE, "cuDeviceGetCount", __FILE__,
                                     __LINE__, f);
  if (ordinal >= count) {
    fault_set(f, LCW_DEVICE, "--device=cuda:%d: the driver sees %d device%s", ordinal, count,
              count == 1 ? "" : "s");
    list_devices(&c->cu, count, f);
    return false;
  }
  if (!cuda_try(&c->cu, f, cuDeviceGet, &c->gpu, ordinal) ||
      !cuda_try(&c->cu, f, cuDeviceGetName, c->name, sizeof c->name, c->gpu) ||
      !cuda_try(&c->cu, f, cuDeviceGetAttribute, &major,
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, c->gpu) ||
      !cuda_try(&c->cu, f, cuDeviceGetAttribute, &minor,
                CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, c->gpu))
    return false;
  c->name[sizeof c->name - 1] = 0;
  c->arch = (uint32_t)(major * 10 + minor);
  snprintf(c->isa, sizeof c->isa, "sm_%u", c->arch);
  snprintf(c->about, sizeof c->about, "cuda:%d %s, sm_%u; driver for CUDA %d.%d", ordinal, c->name,
           c->arch, c->cu.version / 1000, c->cu.version % 1000 / 10);
  return true;
}

bool cuda_arch(const char *driver, int ordinal, uint32_t *arch, bool *ptx_only, Fault *f) {
  Cuda c = {0};
  if (!cuda_driver_open(&c.cu, driver, f) || !find_gpu(&c, ordinal, f)) return false;
  *arch = c.arch, *ptx_only = c.cu.interprets;
  return true;
}

/* The context that the whole process shares, the stream, the stage. */
static bool open_context(Cuda *c, Fault *f) {
  void *stage = NULL;
  if (!cuda_try(&c->cu, f, cuDevicePrimaryCtxRetain, &c->context, c->gpu)) {
    c->context = NULL;
    return false;
  }
  if (!cuda_try(&c->cu, f, cuCtxSetCurrent, c->context) ||
      !cuda_try(&c->cu, f, cuStreamCreate, &c->stream, CU_STREAM_NON_BLOCKING) ||
      !cuda_try(&c->cu, f, cuMemHostAlloc, &stage, STAGE_BYTES, 0))
    return false;
  c->stage = stage;
  return true;
}

Device *cuda_open(const Plan *p, const PlanImage *image, const char *driver, int ordinal,
                  Fault *f) {
  Cuda *c = memory_new(1, sizeof *c, "the device", f);
  if (!c) return NULL;
  c->plan = p;
  c->device = (Device){.name = "cuda", .isa = c->isa, .about = c->about, .fault = &c->fault,
                       .recorder = &cuda_recorder, .alloc = cuda_alloc, .put = cuda_put,
                       .get = cuda_get, .copy = cuda_copy, .zero = cuda_zero,
                       .launch = cuda_launch, .wait = cuda_wait, .meter = cuda_meter,
                       .close = cuda_close};
  if (cuda_driver_open(&c->cu, driver, f) && find_gpu(c, ordinal, f) && open_context(c, f) &&
      cuda_code_open(c, image, f))
    return &c->device;
  c->fault = *f; /* what is said now are only its consequences */
  cuda_close(&c->device);
  return NULL;
}
