/* object.c: the module of a model's data. In: the kernels' names, the Plan, the instruction sets.
 * Out: `lcw_plan` (its bytes), one table of functions for each instruction set, and `lcw_table`,
 * which lists them, best first, and ends with NULL (plan.h). The functions live in the objects
 * that host.c compiles beside it. For CUDA an object of its own: `lcw_cuda_plan`, and `lcw_image`,
 * the images, which end with IMAGE_NONE. */
#include "host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_IMAGES = 16 };

/* Read-only data; `shared` if other objects may name it. */
static Value global_constant(Build *b, const char *name, Value data, bool shared, uint32_t align) {
  Value g = LLVMAddGlobal(b->module, LLVMTypeOf(data), name);
  LLVMSetInitializer(g, data);
  LLVMSetGlobalConstant(g, 1);
  LLVMSetLinkage(g, shared ? LLVMExternalLinkage : LLVMPrivateLinkage);
  LLVMSetAlignment(g, align);
  return g;
}

/* The functions of all kernels for one instruction set. */
static bool table_functions(Build *b, Kernel *const *kernel, uint32_t n, const char *isa,
                            Value *out) {
  Value *each = calloc(n ? n : 1, sizeof *each);
  if (!each) return false;
  Type param[4] = {b->pointer, b->i64, b->i64, b->pointer};
  Type t = LLVMFunctionType(LLVMVoidTypeInContext(b->context), param, 4, 0);
  char symbol[128], name[32];
  for (uint32_t i = 0; i < n; i++) {
    snprintf(symbol, sizeof symbol, "%s_%s", kernel[i]->name, isa);
    each[i] = LLVMAddFunction(b->module, symbol, t);
  }
  snprintf(name, sizeof name, "lcw_kernel_%s", isa);
  *out = global_constant(b, name, LLVMConstArray2(b->pointer, each, n), false, 8);
  free(each);
  return true;
}

/* False when memory ends. */
bool model_module(Build *b, Kernel *const *kernel, uint32_t nkernel, const Plan *plan,
                  const char *const *isa) {
  if (plan) {
    Value bytes = LLVMConstStringInContext2(b->context, (const char *)plan, plan->size, 1);
    global_constant(b, "lcw_plan", bytes, true, 8);
  }
  Type field[2] = {b->pointer, b->pointer}, row = LLVMStructTypeInContext(b->context, field, 2, 0);
  Value each[8];
  uint32_t n = 0;
  for (; isa[n] && n + 1 < COUNT_OF(each); n++) {
    Value functions,
        text = LLVMConstStringInContext(b->context, isa[n], (unsigned)strlen(isa[n]), 0);
    if (!table_functions(b, kernel, nkernel, isa[n], &functions)) return false;
    text = global_constant(b, "lcw_isa", text, false, 1);
    each[n] = LLVMConstStructInContext(b->context, (Value[]){text, functions}, 2, 0);
  }
  each[n++] = LLVMConstNull(row);
  global_constant(b, "lcw_table", LLVMConstArray2(row, each, n), true, 8);
  return true;
}

/* ---- images of device code ------------------------------------------------------------------ */

static Value bytes_global(Build *b, const char *name, const void *bytes, size_t size, bool shared) {
  Value data = LLVMConstStringInContext2(b->context, bytes, size, 1);
  return global_constant(b, name, data, shared, 8);
}

static void images_module(Build *b, const Plan *plan, const PlanImage *image) {
  Type field[4] = {b->i32, b->i32, b->pointer, b->i64};
  Type row = LLVMStructTypeInContext(b->context, field, 4, 0);
  Value each[MAX_IMAGES + 1];
  uint32_t n = 0;
  for (; n < MAX_IMAGES && image[n].kind != IMAGE_NONE; n++)
    each[n] = LLVMConstStructInContext(
        b->context,
        (Value[]){LLVMConstInt(b->i32, image[n].kind, 0), LLVMConstInt(b->i32, image[n].arch, 0),
                  bytes_global(b, "lcw_code", image[n].bytes, image[n].size, false),
                  LLVMConstInt(b->i64, image[n].size, 0)},
        4, 0);
  each[n++] = LLVMConstNull(row);
  global_constant(b, "lcw_image", LLVMConstArray2(row, each, n), true, 8);
  bytes_global(b, "lcw_cuda_plan", plan, plan->size, true);
}

/* Appends an object to the model. */
static void object_append(Arena *arena, HostModel *m, LLVMMemoryBufferRef buffer) {
  HostObject *all = NEW_ARRAY(arena, HostObject, m->nobject + 1), *o = &all[m->nobject];
  if (m->nobject) memcpy(all, m->object, m->nobject * sizeof *all);
  o->size = LLVMGetBufferSize(buffer);
  o->bytes = memcpy(arena_alloc(arena, o->size), LLVMGetBufferStart(buffer), o->size);
  m->object = all, m->nobject++;
}

bool host_images(Arena *arena, const Plan *plan, const PlanImage *image, HostModel *m, Text *why) {
  LLVMMemoryBufferRef buffer = NULL;
  char *message = NULL;
  const Isa *isa = isa_find("baseline");
  llvm_start();
  LLVMTargetMachineRef machine = machine_new(isa, why);
  if (!machine) return false;
  Build b = {0};
  build_open(&b, isa, machine);
  images_module(&b, plan, image);
  bool ok = !LLVMTargetMachineEmitToMemoryBuffer(machine, b.module, LLVMObjectFile, &message,
                                                 &buffer);
  if (ok) object_append(arena, m, buffer);
  else text_add(why, "writing the images: %s", message);
  if (buffer) LLVMDisposeMemoryBuffer(buffer);
  LLVMDisposeMessage(message);
  build_close(&b);
  LLVMDisposeTargetMachine(machine);
  return ok;
}
