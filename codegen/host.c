/* host.c: the host target. In: kernels and a Plan. Out: text for people, relocatable objects, or
 * code in this process. Each group of kernels is one LLVM module in a context of its own, so
 * groups compile side by side; which kernel is in which group changes no code. */
#include "host.h"
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "exit.h"

/* The tiles are scheduled and unrolled by hand: this cleans up what the emitter wrote. */
static const char passes[] =
  "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),early-cse)";

static double clock_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

const char *host_isa(void) {
  __builtin_cpu_init();
  bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
  bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl");
  return v4 ? "avx512" : v3 ? "avx2" : "baseline";
}

/* ---- LLVM -------------------------------------------------------------------------------- */

/* LLVM gave up: it cannot be gone on with, and must not be unsaid. */
static void fatal(const char *reason) {
  fprintf(stderr, "lcwc: internal error: LLVM: %s\n", reason);
  exit(LCW_INTERNAL);
}

/* May be called again; always before threads that compile. */
void llvm_start(void) {
  LLVMResetFatalErrorHandler();
  LLVMInstallFatalErrorHandler(fatal);
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
}

/* Takes over a message of LLVM's. False. */
static bool refuse(Text *why, const char *doing, char *message) {
  text_add(why, "%s: %s", doing, message ? message : "unknown error");
  if (message) LLVMDisposeMessage(message);
  return false;
}

/* By name, not by this machine: a trainer may run on another. */
LLVMTargetMachineRef machine_new(const Isa *isa, Text *why) {
  static const char triple[] = "x86_64-pc-linux-gnu";
  LLVMTargetRef target;
  char *message = NULL;
  if (LLVMGetTargetFromTriple(triple, &target, &message)) {
    refuse(why, "LLVM has no x86-64 target", message);
    return NULL;
  }
  return LLVMCreateTargetMachine(target, triple, isa->cpu, "", LLVMCodeGenLevelDefault,
                                 LLVMRelocPIC, LLVMCodeModelSmall);
}

/* ---- one kernel --------------------------------------------------------------------------- */

/* See the heads of host_row.c and host_contract.c for what Launch.chunk means. */
static void target_host_tile(Kernel *k) {
  kernel_keep(k);
  if (k->kind == KERNEL_CONTRACT) contract_tile(k);
  else row_tile(k);
}

/* The exported function: fetches the buffers' addresses, the workspace's last, and passes them on. */
static void entry_emit(Emit *e, const char *symbol, Value body, uint32_t narg) {
  Build *b = &e->b;
  Type param[4] = {b->pointer, b->i64, b->i64, b->pointer};
  Value f = build_function(b, symbol, 4, param), arg[MAX_ARG + 4];
  for (uint32_t i = 0; i < narg; i++)
    arg[i] = load_as(b, b->pointer, at_offset(b, b->pointer, LLVMGetParam(f, 0), i), 8);
  for (uint32_t i = 0; i < 3; i++) arg[narg + i] = LLVMGetParam(f, i + 1);
  LLVMBuildCall2(b->at, LLVMGlobalGetValueType(body), body, arg, narg + 3, "");
  LLVMBuildRetVoid(b->at);
}

/* The work is in a function whose parameters are the buffers: that is how LLVM learns that they
 * do not overlap. */
void kernel_emit(Emit *e, const char *symbol) {
  Build *b = &e->b;
  const Kernel *k = e->k;
  Type param[MAX_ARG + 4];
  uint32_t n = k->narg + (k->launch.workspace ? 1u : 0u);
  for (uint32_t i = 0; i < n; i++) param[i] = b->pointer;
  param[n] = param[n + 1] = b->i64, param[n + 2] = b->pointer;
  char name[160];
  snprintf(name, sizeof name, "%s_body", symbol);
  Value f = build_function(b, name, n + 3, param);
  LLVMSetLinkage(f, LLVMInternalLinkage);
  for (uint32_t i = 0; i < k->narg; i++) e->arg[i] = LLVMGetParam(f, i);
  if (n > k->narg) { /* other threads write it too */
    e->workspace = LLVMGetParam(f, k->narg);
    LLVMRemoveEnumAttributeAtIndex(f, n, LLVMGetEnumAttributeKindForName("noalias", 7));
  }
  Value begin = LLVMGetParam(f, n), end = LLVMGetParam(f, n + 1);
  e->scratch = LLVMGetParam(f, n + 2);
  e->beyond = NO_AXIS;
  kernel_varies(k, e->varies);
  LLVMBasicBlockRef entry = LLVMGetInsertBlock(b->at); /* slots only; the code starts after it */
  LLVMBasicBlockRef code = LLVMAppendBasicBlockInContext(b->context, f, "");
  LLVMPositionBuilderAtEnd(b->at, code);
  if (k->kind == KERNEL_CONTRACT) contract_emit(e, begin, end);
  else row_emit(e, begin, end);
  LLVMBuildRetVoid(b->at);
  LLVMPositionBuilderAtEnd(b->at, entry);
  LLVMBuildBr(b->at, code);
  entry_emit(e, symbol, f, n);
}

/* One more kernel in the module, as NAME_ISA. */
static void kernel_add(Build *b, const Kernel *k) {
  char symbol[128];
  snprintf(symbol, sizeof symbol, "%s_%s", k->name, b->isa->name);
  Emit e = {.b = *b, .k = k};
  kernel_emit(&e, symbol);
}

/* Verifies always: a wrong module must not reach the code generator. */
static bool module_optimise(Build *b, LLVMTargetMachineRef machine, Text *why) {
  char *message = NULL;
  if (LLVMVerifyModule(b->module, LLVMReturnStatusAction, &message))
    return refuse(why, "the emitted code is not well formed", message);
  LLVMDisposeMessage(message);
  LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
  LLVMErrorRef error = LLVMRunPasses(b->module, passes, machine, options);
  LLVMDisposePassBuilderOptions(options);
  if (!error) return true;
  char *text = LLVMGetErrorMessage(error);
  text_add(why, "optimising: %s", text);
  LLVMDisposeErrorMessage(text);
  return false;
}

/* Machine code, as an object or as assembly. */
static bool module_code(Build *b, LLVMTargetMachineRef machine, LLVMCodeGenFileType type,
                        LLVMMemoryBufferRef *out, Text *why) {
  char *message = NULL;
  if (LLVMTargetMachineEmitToMemoryBuffer(machine, b->module, type, &message, out))
    return refuse(why, "writing machine code", message);
  return true;
}

/* The module for people: "llvm" after optimisation, or "asm". */
static bool module_text(Build *b, LLVMTargetMachineRef machine, const char *kind, Text *out,
                        Text *why) {
  if (!module_optimise(b, machine, why)) return false;
  if (!strcmp(kind, "llvm")) {
    char *text = LLVMPrintModuleToString(b->module);
    text_bytes(out, text, strlen(text));
    LLVMDisposeMessage(text);
    return true;
  }
  LLVMMemoryBufferRef code;
  if (!module_code(b, machine, LLVMAssemblyFile, &code, why)) return false;
  text_bytes(out, LLVMGetBufferStart(code), LLVMGetBufferSize(code));
  LLVMDisposeMemoryBuffer(code);
  return true;
}

/* One kernel, as `lcwc emit` prints it. */
static bool target_host_emit(const Kernel *k, const char *kind, const char *isa, Text *out,
                             Text *why) {
  const Isa *set = isa_find(isa);
  if (!set) return text_add(why, "no instruction set '%s'", isa), false;
  if (strcmp(kind, "llvm") && strcmp(kind, "asm"))
    return text_add(why, "the host target emits llvm or asm, not '%s'", kind), false;
  llvm_start();
  LLVMTargetMachineRef machine = machine_new(set, why);
  if (!machine) return false;
  Build b = {0};
  build_open(&b, set, machine);
  kernel_add(&b, k);
  bool ok = module_text(&b, machine, kind, out, why);
  build_close(&b);
  LLVMDisposeTargetMachine(machine);
  return ok;
}

const Target target_host = {"host", target_host_tile, target_host_emit};

/* ---- compile ------------------------------------------------------------------------------ */

/* What one thread compiles: for every instruction set, the kernels whose group it is. */
typedef struct {
  Kernel *const *kernel;
  const uint32_t *group;
  uint32_t nkernel, number;
  const Plan *plan;                /* group 0 also makes the model's data */
  const char *const *isa;
  LLVMMemoryBufferRef *object;     /* one per instruction set, then the data */
  HostModel time;
  Arena arena;                     /* of the message */
  Text why;
  bool ok;
} Work;

/* Optimises and compiles what was emitted since `start`; adds up the times. */
static bool work_object(Work *w, Build *b, LLVMTargetMachineRef machine, double start,
                        LLVMMemoryBufferRef *out) {
  double emitted = clock_ms();
  bool ok = module_optimise(b, machine, &w->why);
  double optimised = clock_ms();
  ok = ok && module_code(b, machine, LLVMObjectFile, out, &w->why);
  w->time.emit_ms += emitted - start;
  w->time.optimise_ms += optimised - emitted;
  w->time.code_ms += clock_ms() - optimised;
  return ok;
}

/* The group's kernels for one instruction set. */
static bool work_isa(Work *w, const char *name, LLVMMemoryBufferRef *out) {
  double start = clock_ms();
  const Isa *isa = isa_find(name);
  if (!isa) return text_add(&w->why, "no instruction set '%s'", name), false;
  LLVMTargetMachineRef machine = machine_new(isa, &w->why);
  if (!machine) return false;
  Build b = {0};
  build_open(&b, isa, machine);
  for (uint32_t i = 0; i < w->nkernel; i++)
    if (w->group[i] == w->number) kernel_add(&b, w->kernel[i]);
  bool ok = work_object(w, &b, machine, start, out);
  build_close(&b);
  LLVMDisposeTargetMachine(machine);
  return ok;
}

/* The Plan and the tables. */
static bool work_data(Work *w, LLVMMemoryBufferRef *out) {
  double start = clock_ms();
  const Isa *isa = isa_find("baseline");
  LLVMTargetMachineRef machine = machine_new(isa, &w->why);
  if (!machine) return false;
  Build b = {0};
  build_open(&b, isa, machine);
  bool ok = model_module(&b, w->kernel, w->nkernel, w->plan, w->isa);
  if (!ok) text_add(&w->why, "out of memory");
  ok = ok && work_object(w, &b, machine, start, out);
  build_close(&b);
  LLVMDisposeTargetMachine(machine);
  return ok;
}

/* The body of a thread. */
static void *work_run(void *p) {
  Work *w = p;
  uint32_t n = 0;
  w->ok = true;
  for (; w->ok && w->isa[n]; n++) w->ok = work_isa(w, w->isa[n], &w->object[n]);
  if (w->ok && w->number == 0) w->ok = work_data(w, &w->object[n]);
  return NULL;
}

/* Rough compile time of a kernel, to keep the groups equal. */
static uint64_t kernel_weight(const Kernel *k) {
  return (k->kind == KERNEL_CONTRACT ? 60u : 10u) + k->ninstr;
}

/* At least one, for the model's data. */
static uint32_t groups_of(uint32_t nkernel, uint32_t threads) {
  if (threads > nkernel) threads = nkernel;
  return threads ? threads : 1;
}

/* Each kernel joins the group that is lightest so far. */
static void groups_assign(Arena *arena, Kernel *const *kernel, uint32_t n, uint32_t groups,
                          uint32_t *group) {
  uint64_t *load = NEW_ARRAY(arena, uint64_t, groups);
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t g = 1; g < groups; g++)
      if (load[g] < load[group[i]]) group[i] = g;
    load[group[i]] += kernel_weight(kernel[i]);
  }
}

/* Runs all but the first group in threads of their own; one that cannot start runs here. */
static void works_run(Arena *arena, Work *work, uint32_t n) {
  pthread_t *thread = NEW_ARRAY(arena, pthread_t, n);
  bool *started = NEW_ARRAY(arena, bool, n);
  for (uint32_t i = 1; i < n; i++)
    started[i] = !pthread_create(&thread[i], NULL, work_run, &work[i]);
  for (uint32_t i = 0; i < n; i++)
    if (!started[i]) work_run(&work[i]);
  for (uint32_t i = 1; i < n; i++)
    if (started[i]) pthread_join(thread[i], NULL);
}

/* Moves a group's objects into the arena, its times and messages into the result. */
static bool work_collect(Arena *arena, Work *w, uint32_t nobject, HostModel *out, Text *why) {
  for (uint32_t i = 0; i < nobject; i++) {
    if (!w->object[i]) continue;
    HostObject *o = &out->object[out->nobject++];
    o->size = LLVMGetBufferSize(w->object[i]);
    o->bytes = memcpy(arena_alloc(arena, o->size), LLVMGetBufferStart(w->object[i]), o->size);
    LLVMDisposeMemoryBuffer(w->object[i]);
  }
  out->emit_ms += w->time.emit_ms;
  out->optimise_ms += w->time.optimise_ms;
  out->code_ms += w->time.code_ms;
  if (!w->ok) text_add(why, "%s", w->why.s ? w->why.s : "compilation failed");
  arena_release(&w->arena);
  return w->ok;
}

/* Every thread gets a share of the kernels, for all instruction sets. */
bool host_compile(Arena *arena, Kernel *const *kernel, uint32_t nkernel, const Plan *plan,
                  const char *const *isa, uint32_t threads, HostModel *out, Text *why) {
  uint32_t nisa = 0, groups = groups_of(nkernel, threads);
  while (isa[nisa]) nisa++;
  llvm_start();
  *out = (HostModel){.object = NEW_ARRAY(arena, HostObject, groups * (nisa + 1))};
  uint32_t *group = NEW_ARRAY(arena, uint32_t, nkernel ? nkernel : 1);
  groups_assign(arena, kernel, nkernel, groups, group);
  Work *work = NEW_ARRAY(arena, Work, groups);
  for (uint32_t g = 0; g < groups; g++) {
    Work *w = &work[g];
    *w = (Work){.kernel = kernel, .group = group, .nkernel = nkernel, .number = g};
    w->plan = plan, w->isa = isa;
    w->object = NEW_ARRAY(arena, LLVMMemoryBufferRef, nisa + 1);
    arena_init(&w->arena, "pass", 1 << 20);
    text_init(&w->why, &w->arena);
  }
  works_run(arena, work, groups);
  bool ok = true;
  for (uint32_t g = 0; g < groups; g++) ok &= work_collect(arena, &work[g], nisa + 1, out, why);
  return ok;
}

/* ---- in process ---------------------------------------------------------------------------- */

struct HostJit { LLVMOrcLLJITRef jit; };

/* True, and the message passed on, if the loader reported an error. */
static bool orc_failed(LLVMErrorRef error, const char *doing, Text *why) {
  if (!error) return false;
  char *text = LLVMGetErrorMessage(error);
  text_add(why, "%s: %s", doing, text);
  LLVMDisposeErrorMessage(text);
  return true;
}

/* Gives the loader its own copy of every object. */
static bool jit_fill(LLVMOrcLLJITRef jit, const HostModel *m, Text *why) {
  LLVMOrcJITDylibRef library = LLVMOrcLLJITGetMainJITDylib(jit);
  for (uint32_t i = 0; i < m->nobject; i++) {
    LLVMMemoryBufferRef copy =
      LLVMCreateMemoryBufferWithMemoryRangeCopy(m->object[i].bytes, m->object[i].size, "model");
    if (orc_failed(LLVMOrcLLJITAddObjectFile(jit, library, copy), "loading compiled kernels", why))
      return false;
  }
  return true;
}

/* `plan` may be NULL: a model without one. */
HostJit *host_load(const HostModel *m, const Plan **plan, const HostTable **table, Text *why) {
  LLVMOrcLLJITRef jit;
  llvm_start();
  if (orc_failed(LLVMOrcCreateLLJIT(&jit, NULL), "starting the code loader", why)) return NULL;
  HostJit *j = calloc(1, sizeof *j);
  LLVMOrcExecutorAddress at_plan = 0, at_table = 0;
  bool ok = j && jit_fill(jit, m, why);
  if (ok && plan)
    ok = !orc_failed(LLVMOrcLLJITLookup(jit, &at_plan, "lcw_plan"), "finding the plan", why);
  if (ok)
    ok = !orc_failed(LLVMOrcLLJITLookup(jit, &at_table, "lcw_table"), "finding the kernels", why);
  if (!ok) {
    free(j);
    LLVMOrcDisposeLLJIT(jit);
    return NULL;
  }
  j->jit = jit;
  if (plan) *plan = (const Plan *)(uintptr_t)at_plan;
  *table = (const HostTable *)(uintptr_t)at_table;
  return j;
}

void host_unload(HostJit *j) {
  if (!j) return;
  LLVMErrorRef error = LLVMOrcDisposeLLJIT(j->jit);
  if (error) LLVMConsumeError(error);
  free(j);
}
