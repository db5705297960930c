/* runtime_cuda.c: the CUDA device on the simulated driver, with the tiny plan: it computes what the
 * host computes, its bytes do not depend on how it was run, and whatever fails says so. Each run is a
 * child process, as a trainer is; `make test` has it run under the address sanitizer, which gives
 * another exit code to one that leaks. */
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "checkpoint.h"
#include "scratch.h"
#include "session.h"
#include "tiny_cuda.h"
#include "train.h"

static Scratch scratch;
static char library[1200];   /* liblcwsim.so */
static TinyPlan *cuda_plan;
static PlanImage image[3];   /* what a run gets; ends with IMAGE_NONE */
static PlanImage ptx(uint32_t arch) { return (PlanImage){IMAGE_PTX, arch, tiny_ptx, 0}; }

/* ---- running it -------------------------------------------------------------------------- */

/* Sets the environment "A=1 B=2" and splits the options. */
static int prepare(char *env, char *line, char **argv) {
  int argc = 1;
  for (char *s = strtok(env, " "); s; s = strtok(NULL, " ")) putenv(s);
  argv[0] = "tiny";
  for (char *s = strtok(line, " "); s; s = strtok(NULL, " ")) argv[argc++] = s;
  return argc;
}

static void redirect(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  scratch_must(fd >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0, path);
  close(fd);
}

/* What a child does with its options. */
typedef int Job(const ModelCode *m, const RunOptions *o);

/* Runs `job` in a child; the exit code, or 128 + signal. The driver is the simulated one, unless the
 * options name another. */
static int child(Job *job, const char *env, const char *line) {
  char env_copy[512], copy[2048], *argv[48];
  int status;
  bool cuda = !strstr(line, "--device=");
  bool sim = cuda && !strstr(line, "--driver=");
  snprintf(env_copy, sizeof env_copy, "%s", env);
  snprintf(copy, sizeof copy, "%s%s%s%s", line, cuda ? " --device=cuda" : "",
           sim ? " --driver=" : "", sim ? library : "");
  fflush(NULL);
  pid_t pid = fork();
  scratch_must(pid >= 0, "fork");
  if (pid == 0) {
    const ModelCode m = {.plan = &lcw_plan.plan, .table = lcw_table,
                         .cuda_plan = &cuda_plan->plan, .image = image};
    RunOptions o;
    Fault f;
    int argc = prepare(env_copy, copy, argv);
    scratch_must(chdir(scratch.path) == 0, "chdir");
    redirect("output");
    exit(options_parse(&o, argc, argv, &f) ? job(&m, &o) : fault_print(&f));
  }
  while (waitpid(pid, &status, 0) < 0) scratch_must(errno == EINTR, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const char *env, const char *line) { return child(train_run, env, line); }

static char *output(void) {
  size_t n;
  return (char *)scratch_read(scratch_path(&scratch, "output"), &n);
}

static void must_run(const char *env, const char *line) {
  int code = run(env, line);
  if (code) fail_msg("%s %s: exit %d: %s", env, line, code, output());
}

/* Every text, up to a NULL, is in the output of the last run. */
static void must_say(const char *first, ...) {
  char *out = output();
  va_list ap;
  va_start(ap, first);
  for (const char *text = first; text; text = va_arg(ap, const char *))
    if (!strstr(out, text)) fail_msg("\"%s\" is not in: %s", text, out);
  va_end(ap);
  free(out);
}

/* The run fails with that code. */
static void must_fail(int code, const char *env, const char *line) {
  int got = run(env, line);
  if (got != code) fail_msg("%s %s: exit %d, not %d: %s", env, line, got, code, output());
}

static unsigned char *weights(const char *folder, size_t *n) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, CHECKPOINT_LAST);
  return scratch_read(scratch_path(&scratch, path), n);
}

static void must_equal(const char *a, const char *b) {
  size_t n, m;
  unsigned char *x = weights(a, &n), *y = weights(b, &m);
  if (n != m || memcmp(x, y, n)) fail_msg("%s and %s differ", a, b);
  free(x);
  free(y);
}

/* A number of the report of the stand-in, or of the last output. */
static double number(const char *text, const char *key) {
  char name[80];
  snprintf(name, sizeof name, "\"%s\":", key);
  const char *at = strstr(text, name);
  return at ? strtod(at + strlen(name), NULL) : NAN;
}

static double reported(const char *key) {
  size_t n;
  char *text = (char *)scratch_read(scratch_path(&scratch, "report"), &n);
  double x = number(text, key);
  free(text);
  return x;
}

/* ---- what it computes ---------------------------------------------------------------------- */

/* Same weights as the host's but for the rounding of exp and log. */
static void agrees_with_host(void **state) {
  (void)state;
  Fault f = {0};
  Checkpoint c[2];
  float x[2][TINY_INPUTS * TINY_CLASSES], most = 0, large = 0;
  must_run("", "--device=host -o host --steps 20 -q");
  must_run("LCWC_SIM_REPORT=report", "-o sim --steps 20 --json -q");
  char *out = output();
  assert_true(strstr(out, "\"device\":\"cuda\"") && number(out, "test_acc") > 0.9);
  free(out);
  assert_true(reported("leaks") == 0);
  for (int i = 0; i < 2; i++) {
    assert_true(checkpoint_open(&c[i], AT_FDCWD, scratch_path(&scratch, i ? "sim/last.safetensors" :
                                "host/last.safetensors"), NULL, &f));
    assert_true(checkpoint_read(&c[i], checkpoint_find(&c[i], "linear.v"), 0, x[i], sizeof x[i], &f));
    checkpoint_close(&c[i]);
  }
  for (int i = 0; i < TINY_INPUTS * TINY_CLASSES; i++) {
    most = fmaxf(most, fabsf(x[0][i] - x[1][i]));
    large = fmaxf(large, fabsf(x[0][i]));
  }
  if (!(most <= 1e-5f * large)) fail_msg("%g of %g", (double)most, (double)large);
  must_run("", "--device=host --resume=sim --steps 22 -q"); /* and goes on on the host */
}

/* One graph for each phase, replayed; the data set goes up once, a step brings up its rows only. */
static void replays(void **state) {
  (void)state;
  must_run("LCWC_SIM_REPORT=report", "-o short --steps 5 -q");
  double graphs = reported("cuGraphInstantiateWithFlags"), up = reported("cuMemcpyHtoDAsync_v2");
  double launched = reported("cuGraphLaunch"), kernels = reported("cuLaunchKernel");
  must_run("LCWC_SIM_REPORT=report", "-o long --steps 25 -q");
  assert_true(graphs == 4 && reported("cuGraphInstantiateWithFlags") == 4);
  assert_true(reported("cuGraphLaunch") == launched + 20);
  assert_true(reported("cuMemcpyHtoDAsync_v2") == up && reported("cuLaunchKernel") == kernels);
}

static void resumes_to_the_bit(void **state) {
  (void)state;
  must_run("", "-o whole --steps 40 -q");
  must_run("", "-o parts --steps 17 -q");
  must_run("", "--resume=parts --steps 40 -q");
  must_equal("whole", "parts");
  must_run("LCWC_SIM_THREADS=3", "-o three --steps 40 -q");
  must_equal("whole", "three");
  must_run("", "-o plain --steps 40 --sim-threads 1 --sim-checks none -q");
  must_equal("whole", "plain");
}

/* Without the recorder every step is done as it comes: the same bytes. */
static int eager(const ModelCode *m, const RunOptions *o) {
  Session s;
  Fault f = {0};
  Figures sum = {0};
  float v[2][TINY_INPUTS * TINY_CLASSES];
  for (int i = 0; i < 2; i++) {
    bool ok = session_open(&s, m, o, &f);
    if (ok && i) s.device->recorder = NULL;
    ok = ok && session_init(&s, 1, &f);
    for (uint64_t k = 0; ok && k < 4; k++) ok = session_step(&s, 1, k, k, 0.05f, &sum, &f);
    ok = ok && session_evaluate(&s, 1, 4, &sum, &f);
    if (ok) s.device->get(s.device, v[i], cuda_plan->buf[6].offset, sizeof v[i]);
    ok = ok && device_ok(s.device, &f);
    session_close(&s);
    if (!ok) return fault_print(&f);
  }
  return memcmp(v[0], v[1], sizeof v[0]) ? LCW_NUMBERS : LCW_OK;
}

static void records_what_it_does(void **state) {
  (void)state;
  int code = child(eager, "", "-q");
  if (code) fail_msg("exit %d: %s", code, output());
}

static int measure(const ModelCode *m, const RunOptions *o) {
  Profile p;
  int code = profile_run(m, o, 3, &p);
  if (!code && !(p.seconds > 0 && p.nstep == 13 && p.step_seconds[5] > 0)) code = LCW_NUMBERS;
  profile_free(&p);
  return code;
}

static int judge(const ModelCode *m, const RunOptions *o) { return eval_run(m, o, "whole"); }

static void measures_and_evaluates(void **state) {
  (void)state;
  assert_int_equal(child(measure, "", "-q"), LCW_OK);
  assert_int_equal(child(judge, "", "-q"), LCW_OK);
  must_say("150 samples", NULL);
}

/* A data set that does not fit is fed from the host, which is said; the bytes are the same. */
static void stages_what_does_not_fit(void **state) {
  (void)state;
  must_run("LCWC_SIM_FAIL=cuMemAlloc:4 LCWC_SIM_REPORT=report", "-o staged --steps 40 -q");
  must_say("note: the data set", "does not fit", NULL);
  must_equal("whole", "staged");
  assert_true(reported("leaks") == 0);
  must_run("LCWC_SIM_MEMORY=1048576 LCWC_SIM_REPORT=report", "-o small --steps 40 -q");
  must_say("note: the data set", NULL);
  must_equal("whole", "small");
}

/* ---- what fails ---------------------------------------------------------------------------- */

static const char ALL[] = "1 3 4 46 201 999 1234";
static const char MEMORY[] = "2 1 3 4 201 999";
static const char WORK[] = "700 719 214 702 714 715 716 717 718 1 4 201 999";

/* The codes of an entry point. */
static const struct { const char *name, *codes; } can_fail[] = {
    {"cuInit", "100 34 46 304 800 802 803 1 999"},
    {"cuDriverGetVersion", "1 34"},
    {"cuDeviceGetCount", "100 1 3 4"},
    {"cuDeviceGet", "101 1 3 4"},
    {"cuDeviceGetName", "101 1 3 4"},
    {"cuDeviceGetAttribute", "101 1 3 4"},
    {"cuDevicePrimaryCtxRetain", "2 46 101 1 3 4 201 999"},
    {"cuCtxSetCurrent", "1 3 4 201"},
    {"cuModuleLoadDataEx", "209 218 222 221 200 300 500 2 304 1 3 4 201"},
    {"cuModuleGetFunction", "500 1 3 4 201 400"},
    {"cuFuncSetAttribute", "1 3 4 201 400"},
    {"cuMemAlloc", MEMORY},
    {"cuMemGetInfo", "1 3 4 201"},
    {"cuMemHostAlloc", MEMORY},
    {"cuMemcpyHtoDAsync", WORK},
    {"cuMemcpyDtoHAsync", WORK},
    {"cuMemsetD32Async", WORK},
    {"cuStreamCreate", MEMORY},
    {"cuStreamSynchronize", WORK},
    {"cuLaunchKernel", "701 700 719 2 1 3 4 201 400 304"},
    {"cuStreamBeginCapture", "1 3 4 900 401"},
    {"cuStreamEndCapture", "901 903 1 3 4 2"},
    {"cuGraphInstantiateWithFlags", "1 2 3 4 801"},
    {"cuGraphLaunch", WORK},
    {"cuGraphDestroy", "1 3 4"},
    {"cuGraphExecDestroy", ALL},
    {"cuMemFree", ALL},
    {"cuMemFreeHost", ALL},
    {"cuModuleUnload", ALL},
    {"cuStreamDestroy", ALL},
    {"cuDevicePrimaryCtxRelease", ALL},
};

/* The old run is as it was, or has gone on to its end. */
static void must_be_whole(const char *why) {
  size_t n, o, d;
  unsigned char *now = weights("resumed", &n), *old = weights("old", &o), *done = weights("done", &d);
  bool whole = (n == o && !memcmp(now, old, n)) || (n == d && !memcmp(now, done, n));
  if (!whole) fail_msg("%s: the checkpoint is neither the old nor the new one", why);
  free(now);
  free(old);
  free(done);
}

static void copy_run(void) {
  static const char *const file[] = {"run.json", "source.lcwnet", "metrics.jsonl", CHECKPOINT_LAST};
  char from[300], to[300];
  mkdir(scratch_path(&scratch, "resumed"), 0700);
  for (size_t i = 0; i < COUNT_OF(file); i++) {
    size_t n;
    snprintf(from, sizeof from, "%s/old/%s", scratch.path, file[i]);
    snprintf(to, sizeof to, "%s/resumed/%s", scratch.path, file[i]);
    unsigned char *bytes = scratch_read(from, &n);
    scratch_write(to, bytes, n);
    free(bytes);
  }
}

/* Call n of an entry point fails with a code in a run that goes on with an old one. */
static void fail_once(const char *name, unsigned n, int code) {
  char env[200], what[200];
  bool gives_back = strstr(name, "Destroy") || strstr(name, "Free") || strstr(name, "Unload") ||
                    strstr(name, "Release");
  snprintf(env, sizeof env, "LCWC_SIM_FAIL=%s:%u:%d LCWC_SIM_REPORT=report", name, n, code);
  snprintf(what, sizeof what, "%s, call %u, code %d", name, n, code);
  copy_run();
  int exit = run(env, "--resume=resumed --steps 6 -q");
  char *out = output();
  bool said = strstr(out, exit ? "error: " : "note: ") && strstr(out, "runtime/cuda_");
  said = (said && strstr(out, name)) || (exit == 0 && strstr(out, "does not fit"));
  if (!said) fail_msg("%s: exit %d: %s", what, exit, out);
  bool expected = exit == (code == 2 ? LCW_LIMIT : LCW_DEVICE);
  if (exit && !expected) fail_msg("%s: exit %d: %s", what, exit, out);
  if (exit == 0) must_equal("resumed", "done"); /* it was got over, or came after the last save */
  else must_be_whole(what);
  if (!gives_back && reported("leaks") > 0) fail_msg("%s: not all was given back: %s", what, out);
  free(out);
}

/* How often an entry point was called; NaN: never. */
static double calls_of(const char *report, const char *name) {
  char symbol[80];
  double calls = number(report, name);
  for (int v = 2; isnan(calls) && v < 4; v++) {
    snprintf(symbol, sizeof symbol, "%s_v%d", name, v);
    calls = number(report, symbol);
  }
  return calls;
}

/* What is called can fail, and has its row. */
static void must_have_row(const char *report, const char *name) {
  if (strstr(name, "cuGetError") || isnan(calls_of(report, name))) return;
  for (size_t i = 0; i < COUNT_OF(can_fail); i++)
    if (!strcmp(can_fail[i].name, name)) return;
  fail_msg("%s is called: its codes are missing here", name);
}

/* Every call with all of its codes; its last and its middle call with the first of them. */
static void every_call_fails(void **state) {
  (void)state;
  size_t n;
  must_run("", "-o old --steps 4 -q");
  must_run("", "-o done --steps 4 -q");
  must_run("LCWC_SIM_REPORT=report", "--resume=done --steps 6 -q");
  char *report = (char *)scratch_read(scratch_path(&scratch, "report"), &n);
#define CALL(name, symbol, parameters, arguments) must_have_row(report, #name);
#include "cuda_api.def"
  for (size_t i = 0; i < COUNT_OF(can_fail); i++) {
    const char *name = can_fail[i].name;
    double calls = calls_of(report, name);
    if (isnan(calls)) fail_msg("%s is not called", name);
    for (const char *s = can_fail[i].codes; *s; s += strspn(s, " "))
      fail_once(name, 1, (int)strtol(s, (char **)&s, 10));
    int first = atoi(can_fail[i].codes);
    if (calls > 1) fail_once(name, (unsigned)calls, first);
    if (calls > 2) fail_once(name, (unsigned)calls / 2 + 1, first);
  }
  free(report);
}

/* The one operation that the tiny plan has not. */
static int copy(const ModelCode *m, const RunOptions *o) {
  Session s;
  Fault f = {0};
  unsigned char there[64], back[64];
  bool ok = session_open(&s, m, o, &f);
  for (unsigned i = 0; i < sizeof there; i++) there[i] = (unsigned char)(i * 7);
  if (ok) s.device->put(s.device, 0, there, sizeof there);
  if (ok) s.device->zero(s.device, 61, 3); /* from within a word */
  if (ok) s.device->copy(s.device, 4096, 0, sizeof there);
  if (ok) s.device->get(s.device, back, 4096, sizeof back);
  ok = ok && device_ok(s.device, &f);
  session_close(&s);
  if (!ok) return fault_print(&f);
  return memcmp(there, back, 61) || back[61] || back[63] ? LCW_NUMBERS : LCW_OK;
}

static void copies(void **state) {
  (void)state;
  char env[64];
  assert_int_equal(child(copy, "", "-q"), LCW_OK);
  for (const char *s = WORK; *s; s += strspn(s, " ")) {
    snprintf(env, sizeof env, "LCWC_SIM_FAIL=cuMemcpyDtoDAsync:1:%ld", strtol(s, (char **)&s, 10));
    assert_int_equal(child(copy, env, "-q"), LCW_DEVICE);
    must_say("cuMemcpyDtoDAsync", NULL);
  }
}

/* ---- what is missing ------------------------------------------------------------------------ */

static void no_driver(void **state) {
  (void)state;
  must_fail(LCW_DEVICE, "", "-o no --driver=/nowhere/libcuda.so.1 -q");
  must_say("error: --driver=/nowhere/libcuda.so.1", NULL);
  must_fail(LCW_DEVICE, "", "-o no --driver=libm.so.6 -q");
  must_say("is not a CUDA driver", NULL);
  must_fail(LCW_DEVICE, "", "-o no --driver=sim -q"); /* none is beside this program */
  must_say("there is no simulated device at", "--driver=PATH", NULL);
  if (dlopen("libcuda.so.1", RTLD_NOW)) return; /* a machine that has one */
  must_fail(LCW_DEVICE, "", "-o no --device=cuda -q");
  must_say("there is no CUDA driver", "nvidia-driver", "--driver=sim", "--device=host", NULL);
}

static void wrong_device(void **state) {
  (void)state;
  must_fail(LCW_DEVICE, "LCWC_SIM_DEVICES=0", "-o no -q");
  must_say("CUDA_ERROR_NO_DEVICE", "nvidia-smi", NULL);
  must_fail(LCW_DEVICE, "LCWC_SIM_VERSION=11080", "-o no -q");
  must_say("CUDA 11.8", "525 or later", NULL);
  must_fail(LCW_DEVICE, "LCWC_SIM_ARCH=75", "-o no -q");
  must_say("no code for simulated sm_75", "ptx_80", "--target=sm_75", NULL);
  must_fail(LCW_USAGE, "LCWC_SIM_ARCH=80", "-o no --device=cuda:x -q");
  char line[1300];
  snprintf(line, sizeof line, "-o no --device=cuda:3 --driver=%s -q", library);
  must_fail(LCW_DEVICE, "", line);
  must_say("the driver sees 1 device", "cuda:0 is simulated sm_80", NULL);
  assert_int_not_equal(access(scratch_path(&scratch, "no"), F_OK), 0);
}

static void wrong_code(void **state) {
  (void)state;
  static const char elf[64] = "\x7f" "ELF", old[] = ".version 13.0\n.target sm_80\n";
  image[0] = (PlanImage){IMAGE_CUBIN, 80, elf, sizeof elf};
  must_fail(LCW_DEVICE, "", "-o no -q");
  must_say("CUDA_ERROR_NO_BINARY_FOR_GPU", "loading sm_80", NULL);
  image[1] = ptx(80);
  must_run("", "-o second --steps 2 -v");
  must_say("code for ptx_80", "simulated sm_80", NULL);
  image[0] = (PlanImage){IMAGE_PTX, 80, old, sizeof old};
  image[1] = (PlanImage){0};
  must_fail(LCW_DEVICE, "", "-o no -q");
  must_say("CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "newer driver", NULL);
  image[0] = (PlanImage){IMAGE_PTX, 80, ".version 8.0\n.target sm_80\n.address_size 64\nnonsense\n", 0};
  must_fail(LCW_DEVICE, "", "-o no -q");
  must_say("CUDA_ERROR_INVALID_PTX", "the driver says", "nonsense", NULL);
  image[0] = ptx(80);
}

static void wrong_kernel(void **state) {
  (void)state;
  cuda_plan->kernel[2].shared = 200000;
  must_fail(LCW_DEVICE, "", "-o no -q");
  must_say("kernel tiny_forward asks for 200000 bytes of shared memory", "has 166912", NULL);
  cuda_plan->kernel[2].shared = 4 * (TINY_INPUTS + TINY_CLASSES);
  strcpy(cuda_plan->text.kernel[3], "tiny_upday");
  must_fail(LCW_DEVICE, "", "-o no -q");
  must_say("CUDA_ERROR_NOT_FOUND", "kernel tiny_upday", NULL);
  strcpy(cuda_plan->text.kernel[3], "tiny_update");
  cuda_plan->kernel[5].grid[0] = 1u << 20; /* columns far behind v */
  must_fail(LCW_DEVICE, "", "-o lost --steps 3 -q --sim-checks=none");
  must_say("lcwsim: ", "tiny_watch", "CUDA_ERROR_ILLEGAL_ADDRESS", "--sim-checks=all", NULL);
  must_fail(LCW_DEVICE, "", "-o race --steps 3 -q");
  must_say("lcwsim: ", "tiny_watch", "nothing to order them", "CUDA_ERROR_LAUNCH_FAILED", NULL);
  cuda_plan->kernel[5].grid[0] = TINY_CLASSES;
}

static void wrong_options(void **state) {
  (void)state;
  must_fail(LCW_USAGE, "", "--device=host --driver=sim -o no");
  must_say("--device=cuda", NULL);
  must_fail(LCW_USAGE, "", "--device=cuda --sim-threads 2 -o no");
  must_say("--driver=sim", NULL);
  must_fail(LCW_USAGE, "", "--cpu baseline -o no");
  must_fail(LCW_USAGE, "", "--sim-checks some -o no");
  must_fail(LCW_DEVICE, "LCWC_SIM_CHECKS=some", "-o no");
  must_say("\"some\" is not all, fast or none", NULL);
}

/* ---- main ---------------------------------------------------------------------------------- */

/* LCWC_SIM_LIBRARY, else beside the folder of this program. */
static bool find_library(void) {
  const char *named = getenv("LCWC_SIM_LIBRARY");
  char self[1000];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  self[n > 0 ? n : 0] = 0;
  for (int i = 0; i < 2; i++)
    if (strrchr(self, '/')) *strrchr(self, '/') = 0;
  if (named) snprintf(library, sizeof library, "%s", named);
  else snprintf(library, sizeof library, "%s/liblcwsim.so", self);
  return access(library, F_OK) == 0;
}

static int setup(void **state) {
  (void)state;
  scratch = scratch_new();
  cuda_plan = tiny_cuda_plan_new();
  image[0] = ptx(80);
  if (find_library()) return cuda_plan ? 0 : -1;
  fprintf(stderr, "%s is missing\n", library);
  return -1;
}

static int teardown(void **state) {
  (void)state;
  free(cuda_plan);
  scratch_remove(scratch.path);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_host),   cmocka_unit_test(replays),
      cmocka_unit_test(resumes_to_the_bit), cmocka_unit_test(records_what_it_does),
      cmocka_unit_test(measures_and_evaluates), cmocka_unit_test(stages_what_does_not_fit),
      cmocka_unit_test(no_driver),          cmocka_unit_test(wrong_device),
      cmocka_unit_test(wrong_code),         cmocka_unit_test(wrong_kernel),
      cmocka_unit_test(wrong_options),      cmocka_unit_test(copies),
      cmocka_unit_test(every_call_fails),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
