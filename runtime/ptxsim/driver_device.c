/* driver_device.c: the simulated devices: what they have, the primary context, and what it leaves
 * behind when it goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

/* Shared memory of a block: without asking, and the most. */
static const Chip chip[] = {
#define ARCH(arch, device, processors, clock, shared, block, warps, blocks, ffma, tf32, bf16, gb)  \
  {arch, 48 << 10, (block) << 10, (shared) << 10, processors, (warps) * 32, blocks, 65536},
#include "cuda_arch.def"
};

const Chip *chip_find(uint32_t arch) {
  for (size_t i = 0; i < sizeof chip / sizeof *chip; i++)
    if (chip[i].arch == arch) return &chip[i];
  return NULL;
}

static bool device_lives(CUdevice device) { return device >= 0 && device < driver()->devices; }

CUresult do_cuDeviceGetCount(int *count) {
  if (!count) return CUDA_ERROR_INVALID_VALUE;
  *count = driver()->devices;
  return CUDA_SUCCESS;
}

CUresult do_cuDeviceGet(CUdevice *device, int ordinal) {
  if (!device) return CUDA_ERROR_INVALID_VALUE;
  if (!device_lives(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult do_cuDeviceGetName(char *name, int bytes, CUdevice device) {
  if (!name || bytes <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!device_lives(device)) return CUDA_ERROR_INVALID_DEVICE;
  snprintf(name, (size_t)bytes, "simulated sm_%u", driver()->chip->arch);
  return CUDA_SUCCESS;
}

CUresult do_cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  const Chip *c = driver()->chip;
  const struct { int attribute, value; } row[] = {
      {CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
      {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 2147483647},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
      {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, c->shared},
      {CU_DEVICE_ATTRIBUTE_WARP_SIZE, 32},
      {CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, c->registers_sm},
      {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, 1000000},
      {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, c->processors},
      {CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, 1000000},
      {CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, 4096},
      {CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 32 << 20},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, (int)c->arch / 10},
      {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, (int)c->arch % 10},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, c->shared_sm},
      {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, c->shared_optin},
  };
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  if (!device_lives(device)) return CUDA_ERROR_INVALID_DEVICE;
  for (size_t i = 0; i < sizeof row / sizeof *row; i++)
    if (row[i].attribute == attribute) return *value = row[i].value, CUDA_SUCCESS;
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuDeviceTotalMem(size_t *bytes, CUdevice device) {
  uint64_t have = UINT64_C(16) << 30;
  if (!bytes) return CUDA_ERROR_INVALID_VALUE;
  if (!device_lives(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (driver()->settings.memory) have = driver()->settings.memory;
  *bytes = have;
  return CUDA_SUCCESS;
}

/* ---- the context ----------------------------------------------------------------------------- */

CUresult do_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  Driver *d = driver();
  SimText why = {0};
  if (!context) return CUDA_ERROR_INVALID_VALUE;
  if (!device_lives(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (!d->sim && !(d->sim = sim_create(&d->settings, &why))) {
    fprintf(stderr, "lcwsim: %s\n", why.text ? why.text : "no device can be made");
    sim_text_release(&why);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  if (!d->retained) d->null_stream = object_new(OBJECT_STREAM, sizeof *d->null_stream);
  if (!d->null_stream) return CUDA_ERROR_OUT_OF_MEMORY;
  d->null_stream->blocking = true;
  d->retained++;
  *context = (CUcontext)(void *)d;
  return CUDA_SUCCESS;
}

/* Gives back one object that its owner forgot, or that goes with the context. */
static void object_drop(Object *o) {
  switch (o->kind) {
  case OBJECT_MODULE: sim_unload(((Module *)(void *)o)->module); break;
  case OBJECT_STREAM: ops_free(&((Stream *)(void *)o)->queue); break;
  case OBJECT_GRAPH: ops_free(&((Graph *)(void *)o)->ops); break;
  case OBJECT_EXEC: ops_free(&((Exec *)(void *)o)->ops); break;
  case OBJECT_MEMORY: sim_free(driver()->sim, ((Memory *)(void *)o)->address); break;
  case OBJECT_PINNED: free(((Pinned *)(void *)o)->bytes); break;
  case OBJECT_FUNCTION: case OBJECT_EVENT: case OBJECT_KINDS: break;
  }
  if (o->kind == OBJECT_STREAM) ops_free(&((Stream *)(void *)o)->captured);
  object_free(o);
}

/* What is left is a leak, unless a fault has made it impossible to give it back. */
static void leaks_count(void) {
  static const char *const word[] = {"module", "function", "stream", "event", "graph",
                                     "executable graph", "allocation", "pinned allocation"};
  Driver *d = driver();
  size_t count[OBJECT_KINDS] = {0};
  for (const Object *o = d->object; o; o = o->next) count[o->kind]++;
  count[OBJECT_FUNCTION] = 0;
  for (int i = 0; i < OBJECT_KINDS && !d->fault; i++) {
    d->leaks += count[i];
    if (count[i])
      fprintf(stderr, "lcwsim: not given back: %zu %s%s\n", count[i], word[i],
              count[i] > 1 ? "s" : "");
  }
}

CUresult do_cuDevicePrimaryCtxRelease(CUdevice device) {
  Driver *d = driver();
  if (!device_lives(device)) return CUDA_ERROR_INVALID_DEVICE;
  if (!d->retained) return CUDA_ERROR_INVALID_CONTEXT;
  if (--d->retained) return CUDA_SUCCESS;
  if (!d->fault) streams_drain();
  object_drop(&d->null_stream->object);
  d->null_stream = NULL;
  leaks_count();
  while (d->object) object_drop(d->object);
  d->fault = CUDA_SUCCESS;
  return CUDA_SUCCESS;
}
