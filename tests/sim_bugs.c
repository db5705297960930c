/* sim_bugs.c: planted bugs in the text of real kernels, each of which must be found.
 *
 * In: kernels of proof_kernels.h as the generator prints them, behind the prelude, and a table of
 * edits. Every kernel is first run as it is: no check may fire, and the numbers agree with
 * kernel_eval(). Then each edit by itself: a check must fire, of the kind that the table names, at
 * the line of the text that it names, with kernel, block and thread; or, where no access is
 * wrong, the numbers must differ. An edit that finds nothing to edit is a failure: whoever changes
 * the generator adapts the table.
 *
 * usage: sim_bugs [nvrtc|clang|text [NAME]]: with this compiler, else the first that is there; the
 * bugs whose name holds NAME. `text` prints the kernels. Without a compiler it is skipped. */
#include "cuda_trial.h"
#include "graph.h" /* Scalar */
#include "proof_kernels.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/* ---- kernels --------------------------------------------------------------------------------- */

static void nothing(Kernel *k) { (void)k; }

/* In its place a map of 70 x 300: x += b of the column, in place. */
static void map_make(Kernel *k) {
  *k = (Kernel){.kind = KERNEL_MAP, .naxis = 2, .extent = {70, 300}, .nstage = 1, .space = {3},
                .narg = 2, .ninstr = 4};
  k->arg[0] = (Arg){.dtype = DTYPE_F32, .use = ARG_READ | ARG_WRITE, .stride = {300, 1}};
  k->arg[1] = (Arg){.dtype = DTYPE_F32, .use = ARG_READ, .stride = {0, 1}};
  k->instr[0] = (Instr){.op = I_LOAD, .a = 0};
  k->instr[1] = (Instr){.op = I_LOAD, .a = 1};
  k->instr[2] = (Instr){.op = I_SCALAR, .fn = S_add, .a = 0, .b = 1};
  k->instr[3] = (Instr){.op = I_STORE, .a = 2, .b = 0};
}

/* Of the sums over rows, that of squares becomes one of rounded values: tensor cores add them. */
static void rounded_make(Kernel *k) {
  for (uint32_t i = 0; i < k->ninstr; i++) {
    Instr *n = &k->instr[i];
    if (n->op == I_SCALAR && n->fn == S_mul && n->a == n->b)
      n->fn = k->precision == PRECISION_TF32 ? S_tf32 : S_bf16, n->b = 0;
  }
}

/*  name          proof           precision  tile  change          shape                          */
#define SUBJECTS(X)                                                                               \
  X(forward,      linear_forward, TF32,      1,    nothing,        .batch = 130, .in = 196,       \
                                                                   .out = 132, .copy = true)      \
  X(dgrad,        linear_dgrad,   FP32,      2,    nothing,        .batch = 66, .in = 70,         \
                                                                   .out = 50, .plain = true)      \
  X(wgrad,        linear_wgrad,   BF16,      2,    nothing,        .batch = 300, .in = 72,        \
                                                                   .out = 136)                    \
  X(update,       linear_update,  TF32,      2,    nothing,        .batch = 70, .in = 130,        \
                                                                   .out = 72, .copy = true)       \
  X(rounded,      linear_update,  TF32,      1,    rounded_make,   .batch = 64, .in = 256,        \
                                                                   .out = 128)                    \
  X(rounded_bf16, linear_update,  BF16,      2,    rounded_make,   .batch = 64, .in = 128,        \
                                                                   .out = 64)                     \
  X(summed,       linear_forward, TF32,      2,    proof_add_sums, .batch = 130, .in = 68,        \
                                                                   .out = 132, .copy = true)      \
  X(convolution,  conv_forward,   TF32,      2,    nothing,        .batch = 3, .in = 8, .out = 40, \
                                                                   .size = 10, .copy = true)      \
  X(map,          linear_forward, FP32,      0,    map_make,       .batch = 1, .in = 1, .out = 1) \
  X(statistics,   bn_backward,    FP32,      0,    nothing,        .batch = 5, .in = 40, .size = 6) \
  X(softmax,      softmax_loss,   FP32,      0,    nothing,        .batch = 20, .out = 100)       \
  X(long_softmax, softmax_loss,   FP32,      0,    nothing,        .batch = 3, .out = 2100)

typedef enum {
#define X(name, ...) SUBJECT_##name,
  SUBJECTS(X)
#undef X
  SUBJECT_COUNT
} Subject;

static const struct {
  const char *name;
  Proof proof;
  uint8_t precision, tile;
  void (*change)(Kernel *);
  ProofShape shape;
} subject[] = {
#define X(name, proof, precision, tile, change, ...)                                              \
  {#name, PROOF_##proof, PRECISION_##precision, tile, change, {__VA_ARGS__}},
  SUBJECTS(X)
#undef X
};

static void subject_make(Subject which, Kernel *k, CudaOptions *options) {
  proof_kernel[subject[which].proof].build(k, &subject[which].shape);
  k->precision = subject[which].precision;
  if (k->precision == PRECISION_BF16) k->arg[k->lhs].dtype = k->arg[k->rhs].dtype = DTYPE_BF16;
  subject[which].change(k);
  snprintf(k->name, sizeof k->name, "%s", subject[which].name);
  *options = (CudaOptions){.arch = 80, .tile = subject[which].tile};
}

/* ---- bugs ------------------------------------------------------------------------------------ */

/* A row of sim_bugs.def. A blank in `find` stands for white space of any length. */
typedef struct {
  const char *name;
  Subject subject;
  SimFault fault;
  const char *at, *find, *replace;
} Bug;

#define BUG(name, subject, fault, at, find, replace)                                              \
  {name, SUBJECT_##subject, SIM_FAULT_##fault, at, find, replace},
static const Bug bug[] = {
#include "sim_bugs.def"
};

/* The first place at or behind `from` that reads like `find`, and its length; NULL: none. */
static const char *text_find(const char *from, const char *find, size_t *length) {
  for (; *from; from++) {
    const char *at = from, *f = find;
    for (; *f && *at; f++) {
      const char *before = at;
      if (*f != ' ' && *f != *at++) break;
      while (*f == ' ' && (isspace((unsigned char)*at) || *at == '\\')) at++;
      if (at == before) break;
    }
    *length = (size_t)(at - from);
    if (!*f) return from;
  }
  return NULL;
}

/* Prelude and kernel with the edit: in the kernel, else in the prelude. */
static bool text_make(const Bug *b, Kernel *k, const CudaOptions *options, Text *out, Text *why) {
  Text text;
  size_t length = 0;
  text_init(&text, out->arena);
  text_bytes(&text, prelude_files[0].text, prelude_files[0].size);
  if (!cuda_text(k, options, &text, why)) return false;
  if (!b) return text_add(out, "%s", text.s), true;
  const char *at = text_find(strstr(text.s, "\nentry "), b->find, &length);
  if (!at) at = text_find(text.s, b->find, &length);
  if (!at) return text_add(why, "nothing to edit: no `%s` in %s", b->find, k->name), false;
  text_add(out, "%.*s%s%s", (int)(at - text.s), text.s, b->replace, at + length);
  return true;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void verdict(Count *c, bool good, const char *what, const char *name, const char *detail) {
  int line = detail ? (int)strcspn(detail, "\n") : 0;
  printf("%-4s %-6s %-34s %.*s\n", good ? "ok" : "FAIL", what, name, line, detail);
  good ? c->passed++ : c->failed++;
}

/* Whether a line of the text holds a string. */
static bool line_holds(const char *text, unsigned long line, const char *string) {
  while (--line && text) text = strchr(text, '\n'), text += text != NULL;
  if (!text || line) return false;
  const char *at = strstr(text, string);
  return at && (size_t)(at - text) < strcspn(text, "\n");
}

/* `kernel: kernel: FILE:LINE, ...: block (0, 0, 0), thread (0, 0, 0) ...`. Of code that was inlined
 * clang 19 tells the line in the prelude only. */
static bool report_right(const Trial *t, const Bug *b, const Kernel *k, const char *text,
                         const char *why) {
  const char *name = strstr(why, ": ");
  const char *colon = name ? strchr(name + strlen(k->name) + 4, ':') : NULL;
  if (!colon || strncmp(name + 2, k->name, strlen(k->name))) return false;
  unsigned long line = strtoul(colon + 1, NULL, 10);
  bool prelude = line_holds(prelude_files[0].text, line, "");
  return strstr(why, ": block (") && strstr(why, "thread (") &&
         (line_holds(text, line, b->at) || (prelude && t->compiler == TRIAL_CLANG));
}

static void twin_check(Trial *t, Count *c, Subject which) {
  Kernel k;
  Arena arena;
  Text text, why;
  arena_init(&arena, "twin", 0);
  text_init(&text, &arena), text_init(&why, &arena);
  subject_make(which, &k, &t->options);
  bool good = text_make(NULL, &k, &t->options, &text, &why) &&
              trial_load(t, &arena, text.s, &why) && trial_agrees(t, &arena, &k, 1, &why);
  verdict(c, good, "clean", k.name, why.s);
  arena_release(&arena);
}

static void bug_check(Trial *t, Count *c, const Bug *b) {
  Kernel k;
  Arena arena;
  Text text, why;
  arena_init(&arena, "bug", 0);
  text_init(&text, &arena), text_init(&why, &arena);
  subject_make(b->subject, &k, &t->options);
  bool good = text_make(b, &k, &t->options, &text, &why) && trial_load(t, &arena, text.s, &why);
  if (good && trial_agrees(t, &arena, &k, 1, &why)) good = false, text_add(&why, "not found");
  else if (good && t->fault != b->fault)
    good = false, text_add(&why, "%s", sim_fault_text(t->fault));
  else if (good)
    good = b->fault ? report_right(t, b, &k, text.s, why.s) : strstr(why.s, b->at) != NULL;
  verdict(c, good, "found", b->name, why.s);
  arena_release(&arena);
}

/* ---- all ------------------------------------------------------------------------------------- */

static int texts_print(Arena *arena) {
  for (Subject i = 0; i < SUBJECT_COUNT; i++) {
    Kernel k;
    CudaOptions options;
    Text text, why;
    text_init(&text, arena), text_init(&why, arena);
    subject_make(i, &k, &options);
    if (!cuda_text(&k, &options, &text, &why)) return EXIT_FAILURE;
    printf("%s", text.s);
  }
  return EXIT_SUCCESS;
}

static bool compiler_run(Count *c, Arena *arena, TrialCompiler compiler, const char *name) {
  Trial t;
  Text why;
  text_init(&why, arena);
  if (!trial_open(&t, arena, compiler, &why)) {
    printf("skip %s: %s\n", trial_compiler[compiler], why.s);
    return false;
  }
  for (Subject i = 0; i < SUBJECT_COUNT; i++) twin_check(&t, c, i);
  for (size_t i = 0; i < COUNT_OF(bug); i++)
    if (strstr(bug[i].name, name)) bug_check(&t, c, &bug[i]);
  trial_close(&t);
  return true;
}

int main(int argc, char **argv) {
  Count c = {0};
  Arena arena;
  bool done = false;
  arena_init(&arena, "bugs", 0);
  if (argc > 1 && !strcmp(argv[1], "text")) return texts_print(&arena);
  for (TrialCompiler i = 0; i < TRIAL_COMPILERS && !done; i++)
    if (argc < 2 || !strcmp(argv[1], trial_compiler[i]))
      done = compiler_run(&c, &arena, i, argc > 2 ? argv[2] : "");
  if (!done) c.skipped = (uint32_t)COUNT_OF(bug);
  printf("%u passed, %u failed, %u skipped\n", c.passed, c.failed, c.skipped);
  arena_release(&arena);
  return c.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
