/* object.c: the module of a model's data. In: the kernels' names, the Plan, the instruction sets.
 * Out: `lcw_plan` (its bytes), one table of functions for each instruction set, and `lcw_table`,
 * which lists them, best first, and ends with NULL (plan.h). The functions live in the objects
 * that host.c compiles beside it. */
#include "host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
