/* cuda_trial.c: see cuda_trial.h. */
#include "cuda_trial.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const trial_compiler[TRIAL_COMPILERS] = {"nvrtc", "clang"};

/* ---- compilers ------------------------------------------------------------------------------- */

static bool text_compile(Trial *t, Arena *arena, const char *text, CudaImage *out) {
  if (t->compiler == TRIAL_CLANG) return clang_compile(arena, text, "sm_80", out);
  return nvrtc_compile(t->nvrtc, arena, text, "kernels.cu", "compute_80", out);
}

bool trial_open(Trial *t, Arena *arena, TrialCompiler compiler, Text *why) {
  SimText said = {0};
  CudaImage image;
  *t = (Trial){.compiler = compiler, .options = {.arch = 80}};
  if (compiler == TRIAL_NVRTC && !(t->nvrtc = nvrtc_open(arena, NULL, why))) return false;
  if (!text_compile(t, arena, prelude_files[0].text, &image)) {
    text_add(why, "%s", image.log);
    return trial_close(t), false;
  }
  SimSettings settings = {.threads = 2, .checks = SIM_CHECKS_ALL, .architecture = 80};
  t->sim = sim_create(&settings, &said);
  if (t->sim) sim_count_memory(t->sim, true);
  else text_add(why, "%s", said.text);
  sim_text_release(&said);
  return t->sim != NULL;
}

void trial_close(Trial *t) {
  if (t->module) sim_unload(t->module);
  if (t->sim) sim_destroy(t->sim);
  nvrtc_close(t->nvrtc);
}

bool trial_load(Trial *t, Arena *arena, const char *text, Text *why) {
  CudaImage image;
  SimText said = {0};
  if (t->module) sim_unload(t->module);
  t->module = NULL;
  if (!text_compile(t, arena, text, &image)) return text_add(why, "%s", image.log), false;
  t->module = sim_load(t->sim, image.bytes, strlen(image.bytes), "kernels", &said);
  if (!t->module) text_add(why, "%s", said.text);
  sim_text_release(&said);
  return t->module != NULL;
}

/* The text of a program. */
static bool program_text(Arena *arena, Kernel *const *k, uint32_t n, CudaOptions options,
                         Text *text, Text *why) {
  text_init(text, arena);
  text_bytes(text, prelude_files[0].text, prelude_files[0].size);
  for (uint32_t i = 0; i < n; i++)
    if (!cuda_text(k[i], &options, text, why)) return false;
  return true;
}

bool trial_compile(Trial *t, Arena *arena, Kernel *const *k, uint32_t n, Text *why) {
  Text text;
  return program_text(arena, k, n, t->options, &text, why) && trial_load(t, arena, text.s, why);
}

bool trial_cubin(Trial *t, Arena *arena, Kernel *const *k, uint32_t n, uint32_t arch, Text *why) {
  Text text;
  CudaImage image;
  SassCount count;
  if (!program_text(arena, k, n, (CudaOptions){.arch = arch}, &text, why)) return false;
  const char *word = arena_printf(arena, "sm_%u", arch);
  if (!nvrtc_compile(t->nvrtc, arena, text.s, "kernels.cu", word, &image))
    return text_add(why, "%s", image.log), false;
  for (uint32_t i = 0; i < n; i++) {
    if (!sass_count(image.bytes, image.size, k[i]->name, &count, why) || !count.total)
      return text_add(why, "%s has no code", k[i]->name), false;
    if (count.spills) return text_add(why, "%s spills %u times", k[i]->name, count.spills), false;
  }
  return true;
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* Takes what was said over, and forgets it. */
static bool say(SimText *said, const Kernel *k, Text *why) {
  text_add(why, "%s: %s", k->name, said->text ? said->text : "?");
  sim_text_release(said);
  return false;
}

/* The parameters as the function has them, each at a multiple of its size: addresses of buffers,
 * numbers, the workspace. */
static void parameters_pack(const Kernel *k, const CudaLaunch *l, const uint64_t *address,
                            unsigned char *out) {
  size_t at = (size_t)k->narg * 8;
  memcpy(out, address, at);
  memcpy(out + at, l->number, (size_t)l->nnumber * 4);
  at = (at + (size_t)l->nnumber * 4 + 7) / 8 * 8;
  memcpy(out + at, &address[k->narg], 8);
}

static bool launch(Trial *t, const Kernel *k, const CudaLaunch *l, const uint64_t *address,
                   Text *why) {
  unsigned char parameters[(MAX_ARG + MAX_NUMBER + 1) * 8];
  SimText said = {0};
  parameters_pack(k, l, address, parameters);
  SimLaunch launch = {.function = sim_function(t->module, k->name), .block = {l->block, 1, 1},
                      .shared = l->shared, .parameters = parameters};
  memcpy(launch.grid, l->grid, sizeof launch.grid);
  if (!launch.function) return text_add(why, "%s: no such function", k->name), false;
  t->fault = sim_launch(t->sim, &launch, &said);
  if (t->fault != SIM_FAULT_NONE) return say(&said, k, why);
  sim_text_release(&said);
  return true;
}

/* The workspace as the runtime keeps it: tickets of zero, the rest written by nobody. */
static bool workspace_make(Trial *t, const Kernel *k, uint64_t bytes, uint64_t *address,
                           Text *why) {
  SimText said = {0};
  *address = sim_alloc(t->sim, bytes);
  return sim_set(t->sim, *address, 0, 4, PLAN_TICKETS, &said) || say(&said, k, why);
}

static bool tickets_zero(Trial *t, const Kernel *k, uint64_t address, Text *why) {
  static uint32_t ticket[PLAN_TICKETS];
  SimText said = {0};
  if (!sim_read(t->sim, ticket, address, sizeof ticket, &said)) return say(&said, k, why);
  for (uint32_t i = 0; i < PLAN_TICKETS; i++)
    if (ticket[i]) return text_add(why, "%s: ticket %u is left behind", k->name, i), false;
  return true;
}

bool trial_run(Trial *t, const Kernel *k, Buffers *b, Text *why) {
  uint64_t address[MAX_ARG + 1] = {0};
  SimText said = {0};
  CudaLaunch l;
  bool good = true;
  cuda_launch(k, &t->options, &l);
  for (uint32_t a = 0; a < k->narg && good; a++) {
    address[a] = sim_alloc(t->sim, b->bytes[a]);
    good = sim_write(t->sim, address[a], b->arg[a], b->bytes[a], &said) || say(&said, k, why);
  }
  uint64_t *workspace = &address[k->narg];
  if (good && l.workspace) good = workspace_make(t, k, l.workspace, workspace, why);
  good = good && launch(t, k, &l, address, why);
  if (good && l.workspace) good = tickets_zero(t, k, *workspace, why);
  for (uint32_t a = 0; a < k->narg && good; a++)
    good = sim_read(t->sim, b->arg[a], address[a], b->bytes[a], &said) || say(&said, k, why);
  for (uint32_t a = 0; a <= k->narg; a++)
    if (address[a]) sim_free(t->sim, address[a]);
  return good;
}

bool trial_agrees(Trial *t, Arena *arena, const Kernel *k, uint32_t seed, Text *why) {
  Shadow shadow[MAX_ARG];
  Buffers b;
  buffers_fill(arena, k, seed, &b);
  buffers_round(k, &b);
  kernel_eval(arena, k, b.arg, shadow);
  return trial_run(t, k, &b, why) && buffers_agree(k, shadow, &b, why);
}

const SimCounters *trial_counters(const Trial *t, const char *name) {
  for (size_t i = 0; i < sim_counted_functions(t->sim); i++) {
    const char *one = NULL;
    const SimCounters *c = sim_function_counters(t->sim, i, &one);
    if (!strcmp(one, name)) return c;
  }
  return NULL;
}

double trial_sectors(const Trial *t, const char *name) {
  const SimCounters *c = trial_counters(t, name);
  return c && c->global_ideal ? (double)c->global_sectors / (double)c->global_ideal : 0;
}

/* ---- programmes ------------------------------------------------------------------------------ */

void trial_verdict(Count *c, bool good, const Trial *t, const char *what, const char *detail) {
  good ? c->passed++ : c->failed++;
  if (!good) printf("FAIL %s %s: %s\n", trial_compiler[t->compiler], what, detail);
}

static void compiler_run(Count *c, TrialCompiler compiler, TrialCheck *check, const void *context) {
  Arena arena;
  Text why;
  Trial t;
  arena_init(&arena, "trial", 0);
  text_init(&why, &arena);
  if (trial_open(&t, &arena, compiler, &why)) {
    check(&t, &arena, c, context);
    trial_close(&t);
  } else {
    printf("skip %s: %s\n", trial_compiler[compiler], why.s);
    c->skipped++;
  }
  arena_release(&arena);
}

int trials_run(const char *only, TrialCheck *check, const void *context) {
  Count c = {0};
  for (TrialCompiler i = 0; i < TRIAL_COMPILERS; i++)
    if (!only || !strcmp(only, trial_compiler[i])) compiler_run(&c, i, check, context);
  printf("%u passed, %u failed, %u skipped\n", c.passed, c.failed, c.skipped);
  return c.failed || !(c.passed + c.skipped) ? EXIT_FAILURE : EXIT_SUCCESS;
}
