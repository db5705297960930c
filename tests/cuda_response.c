/* cuda_response.c: what a row of a fused lcw layer answers to the activation that is 1 everywhere.
 *
 * In exact arithmetic it is 0, since a row of lcw sums to zero: the property that the set exists
 * for. In tf32 and bf16 it must stay 0 but for the rounding of the accumulation: at most BOUND of the
 * row's sum of |v|. That holds if s is the sum of the rounded v; it does not if W = B v is rounded, which
 * is what --lower=fused:update does (and warning W0902 says). Both are run on the simulated device
 * with every check, through the whole compiler, in one training step with mean squared error
 * against 0: the gradient of the layer's result, which the forward kernel stores, is that result
 * times 2 / (batch rows), and the loss, which another kernel computes, must be the mean of its
 * square. */
#include <math.h>
#include "code.h"
#include "process.h"
#include "scratch.h"
#include "session.h"

enum { BATCH = 32, SAMPLES = 64 };
#define BOUND 2e-6

static const char net[] =
    "net row(tensor x[n], int rows) -> tensor[rows]\n"
    "{\n    return x -> linear(rows) @lcw @bias(false);\n}\n"
    "data ones { source = npy(\"ones.npy\", \"zeros.npy\"); }\n"
    "train recipe { loss = mse; batch = 32; }\n";

/* A file of SAMPLES rows that hold one number. */
static void numbers_write(const Scratch *s, const char *name, int columns, float value) {
  static char file[128 + 4 * SAMPLES * 1024];
  char head[118];
  snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }",
           SAMPLES, columns);
  int n = snprintf(file, 129, "\x93NUMPY\x01%cv%c%-117s\n", 0, 0, head);
  memcpy(file + 6, "\1\0\x76\0", 4); /* version 1.0; the head has 118 bytes */
  scratch_must(n == 128, "head");
  for (int i = 0; i < SAMPLES * columns; i++) memcpy(file + 128 + 4 * i, &value, 4);
  scratch_write(scratch_path(s, name), file, (size_t)(128 + 4 * SAMPLES * columns));
}

/* ---- a device that notes what the forward kernel stores ------------------------------------ */

typedef struct {
  Device device, *real;
  const Program *program;
  int rows;
  double *result; /* [BATCH][rows] */
} Probe;

static Device *real_of(Device *d) { return ((Probe *)(void *)d)->real; }
static void probe_put(Device *d, uint64_t at, const void *from, uint64_t n) {
  real_of(d)->put(real_of(d), at, from, n);
}
static void probe_get(Device *d, void *to, uint64_t at, uint64_t n) {
  real_of(d)->get(real_of(d), to, at, n);
}
static void probe_zero(Device *d, uint64_t at, uint64_t n) { real_of(d)->zero(real_of(d), at, n); }

static void result_take(Probe *p, const PlanBuf *b) {
  static uint32_t word[BATCH * 1024];
  p->real->get(p->real, word, b->offset, b->bytes);
  for (int i = 0; i < BATCH * p->rows; i++) {
    uint32_t bits = b->dtype == DTYPE_BF16 ? (uint32_t)((uint16_t *)word)[i] << 16 : word[i];
    float x;
    memcpy(&x, &bits, sizeof x);
    p->result[i] = (double)x * BATCH * p->rows / 2;
  }
}

static void probe_launch(Device *d, const Plan *plan, uint32_t k, const uint32_t *buf,
                         uint32_t narg) {
  Probe *p = (Probe *)(void *)d;
  const Kernel *kernel = p->program->kernel[p->program->call[k].kernel];
  p->real->launch(p->real, plan, k, buf, narg);
  for (uint32_t j = 0; j < narg && kernel->kind == KERNEL_CONTRACT; j++) {
    const PlanBuf *b = PLAN_AT(plan, PlanBuf, plan->buf) + buf[j];
    bool fits = p->program->buffer[buf[j] + 1].elements == (uint64_t)(BATCH * p->rows);
    if (fits && kernel->arg[j].use & ARG_WRITE) result_take(p, b);
  }
}

static Probe probe_of(Device *real, const Program *program, int rows) {
  Probe p = {.device = *real, .real = real, .program = program, .rows = rows};
  p.device.put = probe_put, p.device.get = probe_get, p.device.zero = probe_zero;
  p.device.launch = probe_launch;
  p.device.recorder = NULL;
  p.result = malloc((size_t)(BATCH * rows) * sizeof *p.result);
  scratch_must(p.result != NULL, "memory");
  for (int i = 0; i < BATCH * rows; i++) p.result[i] = NAN; /* until it is taken */
  return p;
}

/* ---- a step -------------------------------------------------------------------------------- */

/* The sum of |v| of each row, v rounded as the product reads it. */
static void sums_take(const Session *s, Precision precision, int columns, int rows, double *sum) {
  const PlanBuf *b = PLAN_AT(s->plan, PlanBuf, s->plan->buf);
  while (b->role != BUF_PARAM) b++;
  float *v = malloc(b->bytes);
  scratch_must(v && b->bytes == (uint64_t)(4 * columns * rows), "linear.v");
  s->device->get(s->device, v, b->offset, b->bytes);
  Scalar round = precision == PRECISION_TF32 ? S_tf32 : S_bf16;
  for (int i = 0; i < rows; i++) sum[i] = 0;
  for (int j = 0; j < columns * rows; j++)
    sum[j % rows] += fabs(scalar_apply(round, (double)v[j], 0, 0));
  free(v);
}

/* The largest answer of a row to 1, over its sum of |v|; NaN: the loss says otherwise. */
static double response(Session *s, const Compile *c, uint64_t seed, int columns, int rows) {
  double sum[1024], worst = 0, squares = 0;
  Figures figures = {0};
  Fault f = {0};
  Probe p = probe_of(s->device, c->program, rows);
  sums_take(s, c->precision, columns, rows, sum);
  s->exec.device = &p.device;
  bool ok = session_step(s, seed, 0, 0, 0, &figures, &f);
  s->exec.device = p.real;
  if (!ok) fault_print(&f);
  for (int i = 0; i < BATCH * rows; i++) {
    squares += p.result[i] * p.result[i] / rows;
    worst = fmax(worst, fabs(p.result[i]) / sum[i % rows]);
  }
  free(p.result);
  bool same = ok && fabs(squares - figures.loss) <= 0.01 * figures.loss;
  return same ? worst : NAN;
}

static double measure(const char *file, const char *driver, const char *precision,
                      const char *lower, int columns, int rows) {
  static Arguments a;
  Compile c;
  Code code = {0};
  Session s;
  Fault f = {0};
  char define[32], driver_word[1100], precision_word[32], lower_word[32];
  snprintf(define, sizeof define, "-Drows=%d", rows);
  snprintf(driver_word, sizeof driver_word, "--driver=%s", driver);
  snprintf(precision_word, sizeof precision_word, "--precision=%s", precision);
  snprintf(lower_word, sizeof lower_word, "--lower=%s", lower);
  char device[] = "--device=cuda", checks[] = "--sim-checks=all", path[1100], quiet[] = "-w";
  snprintf(path, sizeof path, "%s", file);
  char *argv[] = {path, define, driver_word, precision_word, lower_word, device, checks, quiet};
  double worst = NAN;
  bool ok = arguments_parse(&a, "train", true, 1, 2, COUNT_OF(argv), argv) < 0 &&
            arguments_compile(&a, &c) && code_make(&a, &c, a.place[0], &code);
  if (ok && session_open(&s, &code.model, &a.run, &f)) {
    if (session_init(&s, 1, &f)) worst = response(&s, &c, 1, columns, rows);
    session_close(&s);
  }
  if (f.code) fault_print(&f);
  code_close(&code);
  compile_release(&c);
  return worst;
}

/* ---- all ----------------------------------------------------------------------------------- */

static void sizes_check(Tally *t, const Scratch *s, const char *driver, int columns, int rows) {
  static const char *const precision[] = {"tf32", "bf16"};
  const char *file = scratch_path(s, "row.lcwnet");
  numbers_write(s, "ones.npy", columns, 1), numbers_write(s, "zeros.npy", rows, 0);
  for (size_t i = 0; i < COUNT_OF(precision); i++) {
    double fused = measure(file, driver, precision[i], "fused", columns, rows),
           after = measure(file, driver, precision[i], "fused:update", columns, rows);
    printf("%d to %d, %s: fused %.2g of the sum of |v|, rounded after B %.2g\n", columns, rows,
           precision[i], fused, after);
    tally(t, fused <= BOUND, "%s: a row answers %g to 1", precision[i], fused);
    tally(t, after > 2 * BOUND, "%s: rounded after B a row answers only %g", precision[i], after);
  }
}

int main(void) {
  Tally t = {0};
  Scratch s = scratch_new();
  CudaTools tools;
  Arena arena;
  arena_init(&arena, "tools", 0);
  cuda_tools_open(&tools, &arena, COMPILER_ANY, false, NULL, NULL);
  const char *build = getenv("BUILD");
  char sim[600];
  snprintf(sim, sizeof sim, "%s/liblcwsim.so", build ? build : "build");
  scratch_write(scratch_path(&s, "row.lcwnet"), net, sizeof net - 1);
  scratch_must(setenv("XDG_CACHE_HOME", s.path, 1) == 0, "setenv");
  if (*tools.missing && !tools.clang_name) printf("skipped: %s\n", tools.missing), t.skipped++;
  else {
    const char *driver = process_path(sim);
    sizes_check(&t, &s, driver, 256, 40);
    sizes_check(&t, &s, driver, 1000, 33);
  }
  cuda_tools_close(&tools);
  arena_release(&arena);
  scratch_remove(s.path);
  printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped);
  return t.failed || !(t.passed + t.skipped);
}
