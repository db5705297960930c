/* driver_memory.c: memory of the device and pinned memory of the host, and the copies between them,
 * which are given to a stream. Freeing waits for all streams, as a driver's does. */
#include <stdlib.h>
#include <string.h>
#include "driver.h"

enum { PINNED_ALIGN = 4096, FILL = 0xa5 };

CUresult do_cuMemAlloc(CUdeviceptr *address, size_t bytes) {
  if (!address || !bytes) return CUDA_ERROR_INVALID_VALUE;
  Memory *m = object_new(OBJECT_MEMORY, sizeof *m);
  if (m) m->address = sim_alloc(driver()->sim, m->bytes = bytes);
  if (m && m->address) return *address = m->address, CUDA_SUCCESS;
  if (m) object_free(m);
  return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult do_cuMemFree(CUdeviceptr address) {
  CUresult code = streams_drain();
  if (code != CUDA_SUCCESS || !address) return code;
  for (Object *o = driver()->object; o; o = o->next) {
    if (o->kind != OBJECT_MEMORY || ((Memory *)(void *)o)->address != address) continue;
    sim_free(driver()->sim, address);
    object_free(o);
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

CUresult do_cuMemGetInfo(size_t *free_bytes, size_t *total) {
  uint64_t have = 0, all = 0;
  if (!free_bytes || !total) return CUDA_ERROR_INVALID_VALUE;
  sim_memory_info(driver()->sim, &have, &all);
  *free_bytes = have;
  *total = all;
  return CUDA_SUCCESS;
}

/* Filled with what nobody would take for data. */
CUresult do_cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  if (!address || !bytes || flags > 7) return CUDA_ERROR_INVALID_VALUE;
  size_t room = (bytes + PINNED_ALIGN - 1) / PINNED_ALIGN * PINNED_ALIGN;
  Pinned *p = object_new(OBJECT_PINNED, sizeof *p);
  if (p) p->bytes = room < bytes ? NULL : aligned_alloc(PINNED_ALIGN, room);
  if (!p || !p->bytes) {
    if (p) object_free(p);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  memset(p->bytes, FILL, room);
  p->n = bytes;
  *address = p->bytes;
  return CUDA_SUCCESS;
}

CUresult do_cuMemFreeHost(void *address) {
  Pinned *p = pinned_find(address);
  CUresult code = streams_drain();
  if (code != CUDA_SUCCESS) return code;
  if (!p || p->bytes != address) return CUDA_ERROR_INVALID_VALUE;
  free(p->bytes);
  object_free(p);
  return CUDA_SUCCESS;
}

/* ---- copies -------------------------------------------------------------------------------- */

/* The whole range of device memory is in one allocation. */
static bool on_device(CUdeviceptr address, uint64_t bytes) {
  uint64_t begin = 0, n = 0;
  return sim_find(driver()->sim, address, &begin, &n) && bytes <= begin + n - address;
}

/* A range that begins in pinned memory ends there, too. */
static bool on_host(const void *address, size_t bytes) {
  const Pinned *p = pinned_find(address);
  return address && (!p || bytes <= (size_t)(p->bytes + p->n - (const char *)address));
}

/* Pinned memory is read when the copy is done, pageable memory at once. */
CUresult do_cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  Stream *s = stream_find(stream);
  Op op = {.kind = OP_IN, .to = to, .bytes = bytes};
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  if (!on_device(to, bytes) || !on_host(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  if (pinned_find(from) || s->capture) memcpy(&op.host, &from, sizeof op.host);
  else if ((op.own = malloc(bytes))) op.host = memcpy(op.own, from, bytes);
  if (!op.host) return CUDA_ERROR_OUT_OF_MEMORY;
  return stream_give(s, &op);
}

/* Pageable memory makes the copy one that is waited for. */
CUresult do_cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Stream *s = stream_find(stream);
  Op op = {.kind = OP_OUT, .host = to, .from = from, .bytes = bytes};
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  if (!on_device(from, bytes) || !on_host(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  CUresult code = stream_give(s, &op);
  return code == CUDA_SUCCESS && !s->capture && !pinned_find(to) ? streams_drain() : code;
}

CUresult do_cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  Stream *s = stream_find(stream);
  Op op = {.kind = OP_COPY, .to = to, .from = from, .bytes = bytes};
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  if (!on_device(to, bytes) || !on_device(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  return stream_give(s, &op);
}

CUresult do_cuMemsetD32Async(CUdeviceptr to, unsigned word, size_t words, CUstream stream) {
  Stream *s = stream_find(stream);
  Op op = {.kind = OP_SET, .to = to, .word = word, .bytes = words};
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (!words) return CUDA_SUCCESS;
  if (to % 4 || words > SIZE_MAX / 4 || !on_device(to, 4 * words)) return CUDA_ERROR_INVALID_VALUE;
  return stream_give(s, &op);
}
