/* host_build.c: a thin layer over the LLVM C API. In: small requests (a loop, a slot, an
 * intrinsic). Out: instructions at the builder's position. Variables are stack slots that
 * the first pass turns into registers, so no code here writes a phi but a loop's own. */
#include "host.h"
#include <llvm-c/DebugInfo.h>
#include <string.h>

static const Isa isa_table[] = {
  {"avx512", "x86-64-v4", 16, true, 12},
  {"avx2", "x86-64-v3", 8, true, 6},
  {"baseline", "x86-64", 4, false, 6},
  {"avx512_on_avx2", "x86-64-v3", 16, true, 12}, /* its shape, for tests on machines without it */
};

const Isa *isa_find(const char *name) {
  for (size_t i = 0; i < COUNT_OF(isa_table); i++)
    if (!strcmp(isa_table[i].name, name)) return &isa_table[i];
  return NULL;
}

/* ---- a module ---------------------------------------------------------------------------- */

/* An empty module for one instruction set. */
void build_open(Build *b, const Isa *isa, LLVMTargetMachineRef machine) {
  b->isa = isa;
  b->context = LLVMContextCreate();
  b->module = LLVMModuleCreateWithNameInContext("lcw", b->context);
  b->at = LLVMCreateBuilderInContext(b->context);
  char *triple = LLVMGetTargetMachineTriple(machine);
  LLVMSetTarget(b->module, triple);
  LLVMDisposeMessage(triple);
  LLVMTargetDataRef data = LLVMCreateTargetDataLayout(machine);
  LLVMSetModuleDataLayout(b->module, data);
  LLVMDisposeTargetData(data);
  b->f32 = LLVMFloatTypeInContext(b->context), b->f64 = LLVMDoubleTypeInContext(b->context);
  b->i1 = LLVMInt1TypeInContext(b->context), b->i8 = LLVMInt8TypeInContext(b->context);
  b->i16 = LLVMInt16TypeInContext(b->context), b->i32 = LLVMInt32TypeInContext(b->context);
  b->i64 = LLVMInt64TypeInContext(b->context);
  b->pointer = LLVMPointerTypeInContext(b->context, 0);
  b->vector = LLVMVectorType(b->f32, isa->width);
}

void build_close(Build *b) {
  LLVMDisposeBuilder(b->at);
  if (b->module) LLVMDisposeModule(b->module);
  LLVMContextDispose(b->context);
}

static void attribute_flag(Build *b, LLVMAttributeIndex where, const char *name) {
  unsigned id = LLVMGetEnumAttributeKindForName(name, strlen(name));
  LLVMAddAttributeAtIndex(b->function, where, LLVMCreateEnumAttribute(b->context, id, 0));
}

static void attribute_text(Build *b, const char *name, const char *text) {
  LLVMAttributeRef a = LLVMCreateStringAttribute(b->context, name, (unsigned)strlen(name), text,
                                                 (unsigned)strlen(text));
  LLVMAddAttributeAtIndex(b->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}

/* Starts a void function; its pointers overlap nothing. */
Value build_function(Build *b, const char *name, uint32_t nparam, const Type *param) {
  Type t = LLVMFunctionType(LLVMVoidTypeInContext(b->context), (Type *)(uintptr_t)param, nparam, 0);
  b->function = LLVMAddFunction(b->module, name, t);
  attribute_flag(b, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, "nounwind");
  attribute_text(b, "target-cpu", b->isa->cpu);
  attribute_text(b, "no-trapping-math", "true");
  if (b->isa->width == 16) {
    attribute_text(b, "prefer-vector-width", "512");
    attribute_text(b, "min-legal-vector-width", "512");
  }
  for (uint32_t i = 0; i < nparam; i++)
    if (param[i] == b->pointer) attribute_flag(b, i + 1, "noalias");
  LLVMPositionBuilderAtEnd(b->at, LLVMAppendBasicBlockInContext(b->context, b->function, "entry"));
  return b->function;
}

/* In the entry block, where the first pass looks for what can be a register. */
Value build_slot(Build *b, Type t) {
  LLVMBasicBlockRef here = LLVMGetInsertBlock(b->at), entry = LLVMGetEntryBasicBlock(b->function);
  Value first = LLVMGetFirstInstruction(entry);
  if (first) LLVMPositionBuilderBefore(b->at, first);
  else LLVMPositionBuilderAtEnd(b->at, entry);
  Value slot = LLVMBuildAlloca(b->at, t, "");
  LLVMPositionBuilderAtEnd(b->at, here);
  return slot;
}

void build_set(Build *b, Value slot, Value v) { LLVMBuildStore(b->at, v, slot); }
Value build_get(Build *b, Value slot, Type t) { return LLVMBuildLoad2(b->at, t, slot, ""); }

/* ---- values ------------------------------------------------------------------------------ */

bool value_wide(Value v) { return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind; }

Type type_like(Build *b, Type element, Value like) {
  (void)b;
  return value_wide(like) ? LLVMVectorType(element, LLVMGetVectorSize(LLVMTypeOf(like))) : element;
}

Value int_of(Build *b, int64_t n) { return LLVMConstInt(b->i64, (unsigned long long)n, 1); }

/* A scalar constant, repeated if `like` is a vector. */
static Value constant_like(Value c, Value like) {
  if (!value_wide(like)) return c;
  Value each[MAX_WIDTH];
  uint32_t n = LLVMGetVectorSize(LLVMTypeOf(like));
  for (uint32_t i = 0; i < n; i++) each[i] = c;
  return LLVMConstVector(each, n);
}

Value real_like(Build *b, double x, Value like) {
  (void)b;
  Type t = LLVMTypeOf(like);
  return constant_like(LLVMConstReal(value_wide(like) ? LLVMGetElementType(t) : t, x), like);
}

Value word_like(Build *b, uint32_t x, Value like) {
  return constant_like(LLVMConstInt(b->i32, x, 0), like);
}

/* A vector whose lanes all hold v; a vector stays as it is. */
Value value_splat(Build *b, Value v, uint32_t width) {
  if (value_wide(v)) return v;
  Type t = LLVMVectorType(LLVMTypeOf(v), width);
  Value one = LLVMBuildInsertElement(b->at, LLVMGetPoison(t), v, LLVMConstInt(b->i32, 0, 0), "");
  return LLVMBuildShuffleVector(b->at, one, LLVMGetPoison(t),
                                LLVMConstNull(LLVMVectorType(b->i32, width)), "");
}

/* Folds sums with 0 while emitting: most offsets are constants. */
static bool int_known(Value v, int64_t n) {
  return LLVMIsAConstantInt(v) && LLVMConstIntGetSExtValue(v) == n;
}

Value value_add(Build *b, Value x, Value y) {
  if (int_known(x, 0)) return y;
  return int_known(y, 0) ? x : LLVMBuildNSWAdd(b->at, x, y, "");
}

Value value_mul(Build *b, Value x, int64_t n) {
  return n == 1 ? x : LLVMBuildNSWMul(b->at, x, int_of(b, n), "");
}

Value value_less(Build *b, Value x, Value y) { return LLVMBuildICmp(b->at, LLVMIntSLT, x, y, ""); }
Value value_min(Build *b, Value x, Value y) { return value_choose(b, value_less(b, x, y), x, y); }

Value value_choose(Build *b, Value condition, Value yes, Value no) {
  return LLVMBuildSelect(b->at, condition, yes, no, "");
}

Value call_intrinsic(Build *b, const char *name, Type overload, Value *arg, uint32_t n) {
  unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
  Value f = LLVMGetIntrinsicDeclaration(b->module, id, &overload, 1);
  return LLVMBuildCall2(b->at, LLVMIntrinsicGetType(b->context, id, &overload, 1), f, arg, n, "");
}

Value value_fma(Build *b, Value x, Value y, Value z) {
  if (!b->isa->fma) return LLVMBuildFAdd(b->at, LLVMBuildFMul(b->at, x, y, ""), z, "");
  return call_intrinsic(b, "llvm.fma", LLVMTypeOf(x), (Value[]){x, y, z}, 3);
}

Value lane_mask(Build *b, uint32_t lanes) {
  Value bit[MAX_WIDTH];
  for (uint32_t i = 0; i < b->isa->width; i++) bit[i] = LLVMConstInt(b->i1, i < lanes, 0);
  return LLVMConstVector(bit, b->isa->width);
}

Value at_element(Build *b, Type t, Value base, Value index) {
  return LLVMBuildInBoundsGEP2(b->at, t, base, &index, 1, "");
}

Value at_offset(Build *b, Type t, Value base, int64_t index) {
  return index ? at_element(b, t, base, int_of(b, index)) : base;
}

Value load_as(Build *b, Type t, Value address, uint32_t align) {
  Value v = LLVMBuildLoad2(b->at, t, address, "");
  LLVMSetAlignment(v, align);
  return v;
}

void store_to(Build *b, Value v, Value address, uint32_t align) {
  LLVMSetAlignment(LLVMBuildStore(b->at, v, address), align);
}

/* ---- control ----------------------------------------------------------------------------- */

static LLVMBasicBlockRef block_new(Build *b) {
  return LLVMAppendBasicBlockInContext(b->context, b->function, "");
}

/* Tells LLVM to leave a loop as it is: tiles are unrolled here, by hand. */
static void loop_keep(Build *b, Value branch) {
  static const char word[] = "llvm.loop.unroll.disable";
  LLVMMetadataRef name = LLVMMDStringInContext2(b->context, word, sizeof word - 1);
  LLVMMetadataRef hint = LLVMMDNodeInContext2(b->context, &name, 1);
  LLVMMetadataRef self = LLVMTemporaryMDNode(b->context, NULL, 0);
  LLVMMetadataRef pair[2] = {self, hint};
  LLVMMetadataRef node = LLVMMDNodeInContext2(b->context, pair, 2);
  LLVMMetadataReplaceAllUsesWith(self, node);
  unsigned kind = LLVMGetMDKindIDInContext(b->context, "llvm.loop", 9);
  LLVMSetMetadata(branch, kind, LLVMMetadataAsValue(b->context, node));
}

/* Tested once before it starts and then at its end, so the body is one block long. */
Loop loop_begin(Build *b, Value from, Value to, int64_t step) {
  Loop l = {.body = block_new(b), .exit = block_new(b), .to = to};
  LLVMBasicBlockRef before = LLVMGetInsertBlock(b->at);
  LLVMBuildCondBr(b->at, value_less(b, from, to), l.body, l.exit);
  LLVMPositionBuilderAtEnd(b->at, l.body);
  l.index = LLVMBuildPhi(b->at, b->i64, "");
  LLVMAddIncoming(l.index, &from, &before, 1);
  l.next = int_of(b, step);
  return l;
}

void loop_end(Build *b, Loop *l) {
  Value next = value_add(b, l->index, l->next);
  LLVMBasicBlockRef here = LLVMGetInsertBlock(b->at);
  loop_keep(b, LLVMBuildCondBr(b->at, value_less(b, next, l->to), l->body, l->exit));
  LLVMAddIncoming(l->index, &next, &here, 1);
  LLVMMoveBasicBlockAfter(l->exit, here);
  LLVMPositionBuilderAtEnd(b->at, l->exit);
}

Branch branch_begin(Build *b, Value condition) {
  LLVMBasicBlockRef yes = block_new(b);
  Branch br = {block_new(b)};
  LLVMBuildCondBr(b->at, condition, yes, br.exit);
  LLVMPositionBuilderAtEnd(b->at, yes);
  return br;
}

void branch_end(Build *b, Branch *br) {
  LLVMBuildBr(b->at, br->exit);
  LLVMMoveBasicBlockAfter(br->exit, LLVMGetInsertBlock(b->at));
  LLVMPositionBuilderAtEnd(b->at, br->exit);
}
