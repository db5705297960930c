/* runtime_train.c: the training loop on the tiny plan: it learns; the bytes of the weights do
 * not depend on threads, on interruptions or on kills; what is wrong stops it in time. Each run
 * is a child process, as a trainer is. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>
#include "checkpoint.h"
#include "plot.h"
#include "random.h"
#include "scratch.h"
#include "tiny_plan.h"
#include "train.h"

static Scratch scratch;
static const ModelCode model = {.plan = &lcw_plan.plan, .table = lcw_table};

/* ---- running it -------------------------------------------------------------------------- */

/* Both outputs of a child go to one file. */
static void redirect(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  scratch_must(fd >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0, path);
  close(fd);
}

/* Starts a run in the scratch folder with the options of `line`. */
static pid_t start(const TinyPlan *p, const char *line) {
  char copy[512], *argv[32];
  int argc = 1;
  fflush(NULL);
  pid_t pid = fork();
  scratch_must(pid >= 0, "fork");
  if (pid) return pid;
  argv[0] = copy;
  snprintf(copy, sizeof copy, "tiny %s", line);
  for (char *s = strchr(copy, ' '); s; s = strchr(s, ' ')) {
    *s++ = 0;
    if (*s) argv[argc++] = s;
  }
  scratch_must(chdir(scratch.path) == 0, "chdir");
  redirect("output");
  const ModelCode changed = {.plan = &p->plan, .table = lcw_table};
  RunOptions o;
  Fault f;
  int code =
      options_parse(&o, argc, argv, &f) ? train_run(&changed, &o) : fault_print(&f);
  fflush(NULL);
  _exit(code);
}

/* The exit code, or 128 + signal. */
static int finish(pid_t pid) {
  int status;
  while (waitpid(pid, &status, 0) < 0) scratch_must(errno == EINTR, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(const TinyPlan *p, const char *line) { return finish(start(p, line)); }

static void must_run(const TinyPlan *p, const char *line) {
  int code = run(p, line);
  size_t n;
  if (code)
    fail_msg("%s: exit %d: %s", line, code, scratch_read(scratch_path(&scratch, "output"), &n));
}

/* The output of the last run holds the text. */
static void must_say(const char *text) {
  size_t n;
  char *out = (char *)scratch_read(scratch_path(&scratch, "output"), &n);
  if (!strstr(out, text)) fail_msg("\"%s\" is not in: %s", text, out);
  free(out);
}

/* The last checkpoints of two folders are the same bytes. */
static void must_equal(const char *a, const char *b) {
  char path[2][256];
  size_t n, m;
  snprintf(path[0], sizeof path[0], "%s/%s", a, CHECKPOINT_LAST);
  snprintf(path[1], sizeof path[1], "%s/%s", b, CHECKPOINT_LAST);
  unsigned char *x = scratch_read(scratch_path(&scratch, path[0]), &n);
  unsigned char *y = scratch_read(scratch_path(&scratch, path[1]), &m);
  if (n != m || memcmp(x, y, n)) fail_msg("%s and %s differ", a, b);
  free(x);
  free(y);
}

/* A number of the JSON object that ends the output. */
static double figure(const char *key) {
  size_t n;
  char *out = (char *)scratch_read(scratch_path(&scratch, "output"), &n), name[64];
  snprintf(name, sizeof name, "\"%s\":", key);
  const char *at = strstr(out, name);
  if (!at) fail_msg("no %s in %s", key, out);
  double x = strtod(at + strlen(name), NULL);
  free(out);
  return x;
}

/* ---- learning ---------------------------------------------------------------------------- */

static void learns(void **state) {
  (void)state;
  must_run(&lcw_plan, "-o learns --json -q");
  assert_true(figure("test_acc") > 0.9 && figure("train_loss") < 0.3 && figure("steps") == 93);
  assert_true(figure("epochs") == 3 && figure("params") == 260 &&
              figure("constraint_residual") > 0);
  assert_true(figure("step_ms") > 0 && figure("images_per_second") > 0);
  assert_int_equal(run(&lcw_plan, "-o learns"), LCW_DATA);
  must_say("--resume");
  must_run(&lcw_plan, "-o learns --overwrite -q");
}

/* The evaluation counts each of the 150 samples once, though a batch holds 32. */
static void evaluates_each_once(void **state) {
  (void)state;
  must_run(&lcw_plan, "-o once --steps 0 --json -q");
  assert_true(figure("steps") == 0);
  must_run(&lcw_plan, "-o once2 --steps 31 --json -q");
  double hits = figure("test_acc") * 150;
  assert_true(hits > 0 && fabs(hits - round(hits)) < 1e-9);
}

static void threads_agree(void **state) {
  (void)state;
  must_run(&lcw_plan, "-o t1 --threads 1 -q");
  must_run(&lcw_plan, "-o t2 --threads 2 -q");
  must_run(&lcw_plan, "-o t3 --threads 3 -q");
  must_run(&lcw_plan, "-o t8 --threads 8 -q");
  must_equal("t1", "t2");
  must_equal("t1", "t3");
  must_equal("t1", "t8");
}

/* ---- going on ---------------------------------------------------------------------------- */

static void resumes(void **state) {
  (void)state;
  must_run(&lcw_plan, "-o whole -q");
  must_run(&lcw_plan, "-o parts --epochs 1 -q");
  must_run(&lcw_plan, "--resume=parts --epochs 2 -q");
  must_run(&lcw_plan, "--resume=parts -q");
  must_equal("whole", "parts");
  must_run(&lcw_plan, "--resume=parts --json -q"); /* nothing left to do */
  assert_true(figure("steps") == 93 && figure("test_acc") > 0.9);
  must_equal("whole", "parts");
  must_run(&lcw_plan, "-o inside --steps 40 -q"); /* ends within an epoch, and is evaluated there */
  must_run(&lcw_plan, "--resume=inside -q");
  must_equal("whole", "inside");
}

static void refuses_other_runs(void **state) {
  TinyPlan *p = tiny_plan_new();
  (void)state;
  assert_non_null(p);
  must_run(&lcw_plan, "-o other --epochs 1 -q");
  assert_int_equal(run(&lcw_plan, "--resume=other --seed 9"), LCW_DATA);
  must_say("seed");
  p->plan.set.synthetic_seed = 8;
  assert_int_equal(run(p, "--resume=other"), LCW_DATA);
  must_say("other data");
  *p = lcw_plan;
  p->rate[0].k = 0.06;
  assert_int_equal(run(p, "--resume=other"), LCW_DATA);
  must_say("lr");
  assert_int_equal(run(&lcw_plan, "--resume=nowhere"), LCW_DATA);
  must_say("nowhere");
  free(p);
}

/* A damaged last checkpoint is said, and the one before it is used. */
static void falls_back_aloud(void **state) {
  (void)state;
  must_run(&lcw_plan, "-o back -q");
  scratch_write(scratch_path(&scratch, "back/" CHECKPOINT_LAST), "damaged", 7);
  must_run(&lcw_plan, "--resume=back");
  must_say("previous.safetensors");
  must_equal("whole", "back");
  scratch_write(scratch_path(&scratch, "back/" CHECKPOINT_LAST), "damaged", 7);
  scratch_write(scratch_path(&scratch, "back/" CHECKPOINT_PREVIOUS), "damaged", 7);
  assert_int_equal(run(&lcw_plan, "--resume=back"), LCW_DATA);
  must_say("last.safetensors");
}

/* A plan that trains for about a second, saving after every epoch. */
static TinyPlan *long_plan(void) {
  TinyPlan *p = tiny_plan_new();
  assert_non_null(p);
  p->plan.set.epochs = 40;
  p->plan.set.synthetic_samples = 2000;
  return p;
}

static void sleep_ms(unsigned ms) {
  struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};
  nanosleep(&t, NULL);
}

/* Every step stands in metrics.jsonl exactly once, in order. */
static void steps_once(const char *folder, unsigned steps) {
  char path[256], *line = NULL;
  size_t cap = 0;
  unsigned next = 1;
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  FILE *in = fopen(scratch_path(&scratch, path), "r");
  assert_non_null(in);
  while (getline(&line, &cap, in) > 0) {
    unsigned step;
    if (sscanf(line, "{\"schema\":\"lcwc.step/1\",\"step\":%u", &step) == 1)
      assert_int_equal(step, next++);
  }
  free(line);
  fclose(in);
  assert_int_equal(next, steps + 1);
}

/* Thirty kills at random times, each followed by going on. */
static void survives_kills(void **state) {
  TinyPlan *p = long_plan();
  int killed = 0, rounds = 0;
  (void)state;
  must_run(p, "-o calm --threads 1 -q");
  for (; rounds < 30; rounds++) {
    char folder[32], again[128], first[128];
    snprintf(folder, sizeof folder, "killed%d", rounds);
    snprintf(first, sizeof first, "-o %s --threads 1 --log=step -q", folder);
    snprintf(again, sizeof again, "--resume=%s --threads 1 --log=step -q", folder);
    Random4 r = random_philox((uint32_t[4]){(uint32_t)rounds, 0, 0, 0}, (uint32_t[2]){42, 0});
    pid_t pid = start(p, first);
    sleep_ms(5 + r.word[0] % 400);
    kill(pid, SIGKILL);
    killed += finish(pid) == 137;
    snprintf(first, sizeof first, "%s/%s", folder, CHECKPOINT_LAST);
    bool saved = access(scratch_path(&scratch, first), F_OK) == 0;
    snprintf(first, sizeof first, "-o %s --overwrite --threads 1 --log=step -q", folder);
    must_run(p, saved ? again : first);
    must_equal("calm", folder);
    steps_once(folder, 40 * 62);
  }
  printf("%d of %d runs killed; %d of %d went on to equal weights\n", killed, rounds, rounds,
         rounds);
  free(p);
}

/* ---- signals ----------------------------------------------------------------------------- */

static void stops_by_signal(void **state) {
  static const int sig[] = {SIGINT, SIGTERM, SIGHUP};
  TinyPlan *p = long_plan();
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sig); i++) {
    char first[128], again[128], folder[32];
    snprintf(folder, sizeof folder, "signal%zu", i);
    snprintf(first, sizeof first, "-o %s --threads 2", folder);
    snprintf(again, sizeof again, "--resume=%s -q", folder);
    pid_t pid = start(p, first);
    sleep_ms(60);
    kill(pid, sig[i]);
    int code = finish(pid);
    assert_true(code == 128 + sig[i] || code == 0);
    if (code) must_say("stopped after step");
    must_run(p, again);
    must_equal("calm", folder);
  }
  free(p);
}

static void saves_on_demand(void **state) {
  TinyPlan *p = long_plan();
  (void)state;
  p->plan.set.save_every = 1000;
  p->plan.set.epochs = 4000;
  pid_t pid = start(p, "-o demand -q");
  const char *path = scratch_path(&scratch, "demand/" CHECKPOINT_LAST);
  for (int i = 0; i < 500 && access(scratch_path(&scratch, "demand/run.json"), F_OK); i++)
    sleep_ms(10);
  unlink(path);
  kill(pid, SIGUSR1);
  for (int i = 0; i < 500 && access(path, F_OK); i++) sleep_ms(10);
  assert_int_equal(access(path, F_OK), 0);
  assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it goes on */
  kill(pid, SIGTERM);
  assert_int_equal(finish(pid), 128 + SIGTERM);
  free(p);
}

/* ---- what stops it ----------------------------------------------------------------------- */

static void not_a_number(void **state) {
  TinyPlan *p = tiny_plan_new();
  (void)state;
  assert_non_null(p);
  must_run(p, "-o nan --epochs 1 -q");
  *p = lcw_plan;
  p->rate[0].k = 1.98e19; /* squares of the last class overflow in the first step, and no others */
  assert_int_equal(run(p, "-o nan2"), LCW_NUMBERS);
  must_say("finite is not a finite number in step 0");
  must_say("tiny.lcwnet:3");
  must_say("in layer linear");
  assert_int_equal(access(scratch_path(&scratch, "nan2/" CHECKPOINT_LAST), F_OK), -1);
  free(p);
}

static void too_much_memory(void **state) {
  (void)state;
  assert_int_equal(run(&lcw_plan, "-o memory --max-memory=1M"), LCW_LIMIT);
  must_say("--max-memory");
  assert_int_equal(access(scratch_path(&scratch, "memory"), F_OK), -1);
  assert_int_equal(run(&lcw_plan, "-o memory --cpu=avx512"), LCW_DEVICE);
  assert_int_equal(access(scratch_path(&scratch, "memory"), F_OK), -1);
}

static void too_few_samples(void **state) {
  TinyPlan *p = tiny_plan_new();
  (void)state;
  assert_non_null(p);
  p->plan.set.synthetic_samples = 20;
  assert_int_equal(run(p, "-o few"), LCW_DATA);
  must_say("20 training samples");
  free(p);
}

/* Output that cannot be written is an error, never silence. */
static void full_disk(void **state) {
  int status;
  (void)state;
  fflush(NULL);
  pid_t pid = fork();
  scratch_must(pid >= 0, "fork");
  if (pid == 0) {
    struct rlimit limit = {2000, 2000};
    RunOptions o = {.folder = scratch_path(&scratch, "full"), .quiet = true};
    redirect(scratch_path(&scratch, "output"));
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(train_run(&model, &o));
  }
  waitpid(pid, &status, 0);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == LCW_DATA);
  must_say("last.safetensors: cannot be written");
  assert_int_equal(access(scratch_path(&scratch, "full/" CHECKPOINT_LAST), F_OK), -1);
}

/* An evaluation of the best checkpoint gives what training said of it. */
static void evaluates_a_run(void **state) {
  RunOptions o = {.json = true};
  (void)state;
  must_run(&lcw_plan, "-o judged --epochs 1 --json -q");
  double acc = figure("test_acc"), loss = figure("test_loss");
  fflush(NULL);
  pid_t pid = fork();
  scratch_must(pid >= 0, "fork");
  if (pid == 0) {
    redirect(scratch_path(&scratch, "output"));
    _exit(eval_run(&model, &o, scratch_path(&scratch, "judged")));
  }
  assert_int_equal(finish(pid), LCW_OK);
  must_say("lcwc.eval/1");
  assert_true(figure("test_acc") == acc && figure("test_loss") == loss && figure("samples") == 150);
}

/* The curves of two runs: an SVG that holds their names and every kind of mark. */
static void plots(void **state) {
  static const char *const mark[] = {"<svg ", "</svg>", ">loss<", ">accuracy<", ">epoch<", ">one<",
                                     ">two &amp; more<", "stroke-dasharray", "<circle "};
  const char *folder[2];
  size_t n;
  (void)state;
  must_run(&lcw_plan, "-o one -q");
  must_run(&lcw_plan, "-o two&more -q --seed 2");
  scratch_must(rename(scratch_path(&scratch, "two&more"), scratch_path(&scratch, "two & more")) ==
                   0,
               "rename");
  folder[0] = scratch_path(&scratch, "one");
  folder[1] = scratch_path(&scratch, "two & more");
  assert_int_equal(plot_run(folder, 2, scratch_path(&scratch, "p.svg"), NULL), LCW_OK);
  char *svg = (char *)scratch_read(scratch_path(&scratch, "p.svg"), &n);
  for (size_t i = 0; i < COUNT_OF(mark); i++)
    if (!strstr(svg, mark[i])) fail_msg("no %s in the plot", mark[i]);
  free(svg);
  folder[1] = scratch_path(&scratch, "nowhere");
  assert_int_equal(plot_run(folder, 2, NULL, NULL), LCW_DATA);
}

static void profiles(void **state) {
  RunOptions o = {.quiet = true};
  Profile profile;
  (void)state;
  assert_int_equal(profile_run(&model, &o, 5, &profile), LCW_OK);
  assert_true(profile.seconds > 0 && profile.nstep == 13);
  profile_free(&profile);
}

static int setup(void **state) {
  (void)state;
  scratch = scratch_new();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(scratch.path);
  return 0;
}

int main(void) {
  const struct CMUnitTest test[] = {
      cmocka_unit_test(learns),
      cmocka_unit_test(evaluates_each_once),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(resumes),
      cmocka_unit_test(refuses_other_runs),
      cmocka_unit_test(falls_back_aloud),
      cmocka_unit_test(survives_kills),
      cmocka_unit_test(stops_by_signal),
      cmocka_unit_test(saves_on_demand),
      cmocka_unit_test(not_a_number),
      cmocka_unit_test(too_much_memory),
      cmocka_unit_test(too_few_samples),
      cmocka_unit_test(full_disk),
      cmocka_unit_test(profiles),
      cmocka_unit_test(evaluates_a_run),  cmocka_unit_test(plots),
  };
  return cmocka_run_group_tests(test, setup, teardown);
}
