/* driver_code.c: modules (PTX only: what has no text is for another device), functions, what they
 * have, and whether a launch is one that the device can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"

/* ---- modules ------------------------------------------------------------------------------- */

/* The driver's log: as much of the reason as fits where the caller wants it. */
static void log_write(unsigned options, const int *option, void **value, const char *why) {
  char *buffer = NULL;
  size_t room = 0;
  for (unsigned i = 0; i < options; i++) {
    if (option[i] == CU_JIT_ERROR_LOG_BUFFER) buffer = value[i];
    if (option[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) room = (size_t)(uintptr_t)value[i];
  }
  if (buffer && room) snprintf(buffer, room, "%s", why ? why : "");
}

/* The oldest driver that knows a version of PTX: 8.5 came with CUDA 12.5. */
static int driver_of_ptx(const char *text) {
  const char *at = strstr(text, ".version");
  int major = 0, minor = 0;
  if (!at || sscanf(at, ".version %d.%d", &major, &minor) != 2) return 0;
  return (major + 4) * 1000 + minor * 10;
}

/* True for cubins and fat binaries. */
static bool is_binary(const char *image) {
  return !memcmp(image, "\x7f" "ELF", 4) || !memcmp(image, "\x50\xed\x55\xba", 4);
}

CUresult do_cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned options, int *option,
                               void **value) {
  Driver *d = driver();
  SimText why = {0};
  int version = 0;
  if (!module || !image || (options && (!option || !value))) return CUDA_ERROR_INVALID_VALUE;
  const char *text = image;
  if (*text && is_binary(text)) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  do_cuDriverGetVersion(&version);
  if (driver_of_ptx(text) > version) return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  Module *m = object_new(OBJECT_MODULE, sizeof *m);
  if (!m) return CUDA_ERROR_OUT_OF_MEMORY;
  m->module = sim_load(d->sim, text, strlen(text), "module", &why);
  if (!m->module) {
    log_write(options, option, value, why.text);
    object_free(m);
    sim_text_release(&why);
    return CUDA_ERROR_INVALID_PTX;
  }
  *module = (CUmodule)(void *)m;
  return CUDA_SUCCESS;
}

/* Its functions go with it. */
CUresult do_cuModuleUnload(CUmodule module) {
  Module *m = object_find(OBJECT_MODULE, module);
  if (!m) return CUDA_ERROR_INVALID_HANDLE;
  CUresult code = streams_drain();
  for (Object *o = driver()->object, *next; o; o = next) {
    next = o->next;
    if (o->kind == OBJECT_FUNCTION && ((Function *)(void *)o)->module == m) object_free(o);
  }
  sim_unload(m->module);
  object_free(m);
  return code;
}

/* ---- functions ------------------------------------------------------------------------------- */

CUresult do_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  Module *m = object_find(OBJECT_MODULE, module);
  if (!function || !name) return CUDA_ERROR_INVALID_VALUE;
  if (!m) return CUDA_ERROR_INVALID_HANDLE;
  SimFunction *code = sim_function(m->module, name);
  if (!code) return CUDA_ERROR_NOT_FOUND;
  for (Object *o = driver()->object; o; o = o->next) {
    Function *f = (Function *)(void *)o;
    if (o->kind == OBJECT_FUNCTION && f->code == code)
      return *function = (CUfunction)(void *)f, CUDA_SUCCESS;
  }
  Function *f = object_new(OBJECT_FUNCTION, sizeof *f);
  if (!f) return CUDA_ERROR_OUT_OF_MEMORY;
  f->module = m;
  f->code = code;
  f->dynamic_shared = driver()->chip->shared - (int)sim_function_info(code)->shared;
  *function = (CUfunction)(void *)f;
  return CUDA_SUCCESS;
}

CUresult do_cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  Function *f = object_find(OBJECT_FUNCTION, function);
  if (!f) return CUDA_ERROR_INVALID_HANDLE;
  int most = driver()->chip->shared_optin - (int)sim_function_info(f->code)->shared;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES || value < 0 || value > most)
    return CUDA_ERROR_INVALID_VALUE;
  f->dynamic_shared = value;
  return CUDA_SUCCESS;
}

CUresult do_cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  const Function *f = object_find(OBJECT_FUNCTION, function);
  if (!value) return CUDA_ERROR_INVALID_VALUE;
  if (!f) return CUDA_ERROR_INVALID_HANDLE;
  const SimFunctionInfo *i = sim_function_info(f->code);
  const struct { int attribute, value; } row[] = {
      {CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, (int)i->max_threads},
      {CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, (int)i->shared},
      {CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES, (int)i->constants},
      {CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES, (int)i->local},
      {CU_FUNC_ATTRIBUTE_NUM_REGS, (int)i->registers},
      {CU_FUNC_ATTRIBUTE_PTX_VERSION, (int)i->architecture},
      {CU_FUNC_ATTRIBUTE_BINARY_VERSION, (int)driver()->chip->arch},
      {CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f->dynamic_shared},
  };
  for (size_t k = 0; k < sizeof row / sizeof *row; k++)
    if (row[k].attribute == attribute) return *value = row[k].value, CUDA_SUCCESS;
  return CUDA_ERROR_INVALID_VALUE;
}

static int least(int a, int b) { return a < b ? a : b; }

/* By threads and shared memory; by registers it would need those of ptxas. */
CUresult do_cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function,
                                                        int threads, size_t shared) {
  const Function *f = object_find(OBJECT_FUNCTION, function);
  const Chip *c = driver()->chip;
  if (!blocks || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
  if (!f) return CUDA_ERROR_INVALID_HANDLE;
  size_t bytes = shared + sim_function_info(f->code)->shared + 1024;
  *blocks = least(c->blocks_sm, c->threads_sm / ((threads + 31) / 32 * 32));
  *blocks = bytes > (size_t)c->shared_sm ? 0 : least(*blocks, (int)((size_t)c->shared_sm / bytes));
  return CUDA_SUCCESS;
}

/* ---- launches -------------------------------------------------------------------------------- */

CUresult launch_check(const Function *f, const uint32_t *grid, const uint32_t *block,
                      uint32_t shared) {
  const SimFunctionInfo *i = sim_function_info(f->code);
  uint64_t threads = (uint64_t)block[0] * block[1] * block[2];
  bool empty = !threads || !grid[0] || !grid[1] || !grid[2];
  if (empty || grid[0] > INT32_MAX || grid[1] > 65535 || grid[2] > 65535 || block[2] > 64)
    return CUDA_ERROR_INVALID_VALUE;
  if (threads > 1024 || threads > i->max_threads || shared > (uint32_t)f->dynamic_shared)
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

/* What a GPU would say of it, if it noticed. */
static CUresult result_of(SimFault fault) {
  switch (fault) {
  case SIM_FAULT_NONE: return CUDA_SUCCESS;
  case SIM_FAULT_ADDRESS: return CUDA_ERROR_ILLEGAL_ADDRESS;
  case SIM_FAULT_MISALIGNED: return CUDA_ERROR_MISALIGNED_ADDRESS;
  case SIM_FAULT_DEADLOCK: return CUDA_ERROR_LAUNCH_TIMEOUT;
  default: return CUDA_ERROR_LAUNCH_FAILED;
  }
}

CUresult fault_take(SimFault fault, const SimText *report) {
  Driver *d = driver();
  CUresult code = result_of(fault);
  if (code == CUDA_SUCCESS) return code;
  const char *text = report->text ? report->text : sim_fault_text(fault);
  if (!d->said) fprintf(stderr, "lcwsim: %s\n", text);
  d->said = true;
  d->fault = code;
  return code;
}
