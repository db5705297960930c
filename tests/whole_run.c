/* whole_run.c: whole runs of the compiler and of a trainer that it built. In:
 * tests/whole/mlp.lcwnet. Out: equal bytes of weights whatever the threads, the program, the
 * surroundings, the kills and the signals; the sizes and times that are promised; the parameter
 * counts of the paper.
 *
 * A folder of a run is named in the scratch folder; its weights are last.safetensors, compared
 * whole. Random times come from the number of the round, so that a failure names its round. */
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "process.h"
#include "scratch.h"

typedef struct {
  Tally t;
  Scratch s;
  char net[4096], trainer[600];
} Runs;

/* SLACK: how many times slower than the figures a machine may be that is busy or old. */
enum { SLACK = 3, KILLS = 30, KILLS_COMPILED = 4, LONG_EPOCHS = 60, STEPS_PER_EPOCH = 15 };

/* ---- weights ----------------------------------------------------------------------------------
 */

static const char *weights_of(const Runs *r, const char *folder) {
  char name[200];
  snprintf(name, sizeof name, "%s/last.safetensors", folder);
  return scratch_path(&r->s, name);
}

static bool saved(const Runs *r, const char *folder) {
  return access(weights_of(r, folder), F_OK) == 0;
}

/* Whether two runs left the same bytes. */
static bool equal(const Runs *r, const char *a, const char *b) {
  size_t n = 0, m = 0;
  if (!saved(r, a) || !saved(r, b)) return false;
  unsigned char *x = scratch_read(weights_of(r, a), &n), *y = scratch_read(weights_of(r, b), &m);
  bool same = n == m && !memcmp(x, y, n);
  free(x), free(y);
  return same;
}

/* Runs a line in the scratch folder, which must succeed. */
static bool must_run(Runs *r, const Process *more, const char *line) {
  Process how = more ? *more : (Process){0};
  if (!how.folder) how.folder = r->s.path;
  const Ran *ran = process_run(&how, "%s", line);
  if (ran->code) tally(&r->t, 0, "%s: exit %d: %s", line, ran->code, ran->err);
  return !ran->code;
}

/* ---- determinism ------------------------------------------------------------------------------
 */

#define WIDE "-D width=130 --set batch=130"

static void deterministic(Runs *r) {
  static const struct {
    const char *options, *env;
  } how[] = {{"--threads=2", NULL},
             {"--threads=3", NULL},
             {"--threads=8", NULL},
             {"--threads=1", NULL},
             {"--threads=2", "LC_ALL=tr_TR.UTF-8"},
             {"--threads=3", "TZ=Asia/Kathmandu"},
             {"--log=step --progress=plain", NULL}};
  char line[5000], lcwc[300];
  snprintf(line, sizeof line, "lcwc train %s " WIDE " --steps 50 -q --threads=1 -o calm", r->net);
  must_run(r, NULL, line);
  snprintf(lcwc, sizeof lcwc, "LCWC=%s", process_lcwc());
  for (size_t i = 0; i < COUNT_OF(how); i++) {
    const char *env[] = {lcwc, how[i].env ? how[i].env : "LANG=C", NULL};
    Process other = {.env = env, .folder = i % 2 ? "/" : NULL};
    snprintf(line, sizeof line, "lcwc train %s " WIDE " --steps 50 -q %s -o %s/other --overwrite",
             r->net, how[i].options, r->s.path);
    if (must_run(r, &other, line))
      tally(&r->t, equal(r, "calm", "other"), "%s %s: other weights than --threads=1",
            how[i].options, env[1]);
  }
}

/* ---- the trainer ------------------------------------------------------------------------------
 */

static void trainer_same(Runs *r) {
  char line[5000];
  snprintf(line, sizeof line, "lcwc build %s " WIDE " -o wide", r->net);
  if (!must_run(r, NULL, line)) return;
  const char *empty[] = {NULL};
  for (int threads = 1; threads <= 3; threads++) {
    snprintf(line, sizeof line, "%s/wide --steps 50 -q --threads=%d -o built --overwrite",
             r->s.path, threads);
    if (must_run(r, &(Process){.env = empty}, line))
      tally(&r->t, equal(r, "calm", "built"),
            "the trainer with %d threads has other weights than lcwc train", threads);
  }
}

/* Milliseconds from start to end, the best of five: of the clock or of the processor, whichever is
 * less, since other tests run beside this one. */
static double best_of_five(Runs *r, const char *line) {
  double best = 1e9;
  for (int i = 0; i < 5; i++) {
    const Ran *ran = process_run(&(Process){.folder = r->s.path}, "%s", line);
    if (ran->code) tally(&r->t, 0, "%s: exit %d: %s", line, ran->code, ran->err);
    best = ran->ms < best ? ran->ms : best;
    best = ran->cpu < best ? ran->cpu : best;
  }
  return best;
}

static void trainer_small(Runs *r) {
  static const char *const starts[] = {"--help", "--print-plan", "--version"};
  char line[700];
  struct stat st;
  scratch_must(stat(r->trainer, &st) == 0, r->trainer);
  tally(&r->t, st.st_size <= 1 << 20, "the trainer has %lld bytes", (long long)st.st_size);
  for (size_t i = 0; i < COUNT_OF(starts); i++) {
    snprintf(line, sizeof line, "%s %s", r->trainer, starts[i]);
    double ms = best_of_five(r, line);
    printf("trainer %s: %.1f ms; %.0f KiB\n", starts[i], ms, (double)st.st_size / 1024);
    tally(&r->t, ms <= 20, "trainer %s takes %.1f ms", starts[i], ms);
  }
}

/* Nothing but libc and its parts. */
static void trainer_libraries(Runs *r) {
  static const char *const known[] = {"linux-vdso.so.1", "libm.so.6", "libc.so.6", "ld-linux"};
  const Ran *ran = process_run(&(Process){0}, "/usr/bin/ldd %s", r->trainer);
  char text[4096], *save;
  snprintf(text, sizeof text, "%.4000s", ran->out);
  for (char *s = strtok_r(text, "\n", &save); s; s = strtok_r(NULL, "\n", &save)) {
    size_t i = 0;
    while (i < COUNT_OF(known) && !strstr(s, known[i])) i++;
    tally(&r->t, i < COUNT_OF(known), "the trainer needs %s", s);
  }
}

/* ---- kills ------------------------------------------------------------------------------------
 */

/* Every step of 1..steps once in the metrics of a run; what a resumed run repeats stands once. */
static void steps_once(Runs *r, const char *folder, int steps, int round) {
  char name[200], line[4096];
  snprintf(name, sizeof name, "%s/metrics.jsonl", folder);
  int *seen = calloc((size_t)steps + 2, sizeof *seen), wrong = 0;
  FILE *f = fopen(scratch_path(&r->s, name), "r");
  scratch_must(f && seen, name);
  while (fgets(line, sizeof line, f)) {
    json_t *o = json_loads(line, 0, NULL);
    const char *schema = json_string_value(json_object_get(o, "schema"));
    int step = (int)json_integer_value(json_object_get(o, "step"));
    if (!schema) wrong++;
    else if (!strcmp(schema, "lcwc.step/1")) seen[step >= 1 && step <= steps ? step : steps + 1]++;
    json_decref(o);
  }
  fclose(f);
  for (int i = 1; i <= steps; i++) wrong += seen[i] != 1;
  tally(&r->t, !wrong && !seen[steps + 1], "round %d: %d steps are not once in %s", round, wrong,
        name);
  free(seen);
}

static uint32_t random_of(uint32_t round) {
  uint32_t x = round * 2654435761u + 12345u;
  x ^= x >> 16, x *= 0x7feb352du, x ^= x >> 15, x *= 0x846ca68bu;
  return x ^ x >> 16;
}

static void sleep_ms(double ms) {
  struct timespec t = {(time_t)(ms / 1000), (long)((ms - 1000 * (double)(long)(ms / 1000)) * 1e6)};
  nanosleep(&t, NULL);
}

/* One kill at a random time up to `whole` milliseconds, then on to the end. */
static int kill_once(Runs *r, const char *program, const char *options, double whole,
                     uint32_t round) {
  char line[5000];
  snprintf(line, sizeof line, "%s %s -o killed --overwrite", program, options);
  pid_t pid = process_start(&(Process){.folder = r->s.path}, "%s", line);
  sleep_ms(whole * (double)(random_of(round) % 1000) / 1000);
  int killed = process_end(pid, SIGKILL) == 128 + SIGKILL;
  snprintf(line, sizeof line, "%s %s -o killed %s", program, options,
           saved(r, "killed") ? "--resume" : "--overwrite");
  if (!must_run(r, NULL, line)) return killed;
  tally(&r->t, equal(r, "whole", "killed"), "round %u: killed and resumed, other weights", round);
  steps_once(r, "killed", LONG_EPOCHS * STEPS_PER_EPOCH, (int)round);
  return killed;
}

static void kills(Runs *r) {
  char line[5000], compile[4500], options[200];
  snprintf(options, sizeof options, "--epochs %d -q --log=step --threads=2", LONG_EPOCHS);
  snprintf(compile, sizeof compile, "lcwc train %s", r->net);
  snprintf(line, sizeof line, "%s %s -o whole", r->trainer, options);
  double begin = process_now();
  if (!must_run(r, NULL, line)) return;
  double whole = process_now() - begin;
  int killed = 0;
  for (uint32_t i = 0; i < KILLS; i++) {
    bool compiled = i < KILLS_COMPILED;
    killed += kill_once(r, compiled ? compile : r->trainer, options, whole + 400 * compiled, i);
  }
  printf("%d of %d runs were killed before their end (%.0f ms)\n", killed, KILLS, whole);
}

/* SIGINT and SIGTERM: a checkpoint, 130 and 143, and on to the same bytes. */
static void signals(Runs *r) {
  static const int number[] = {SIGINT, SIGTERM, SIGINT, SIGTERM};
  char line[5000];
  for (uint32_t i = 0; i < COUNT_OF(number); i++) {
    pid_t pid = process_start(&(Process){.folder = r->s.path},
                              "%s --epochs %d -q --log=step --threads=2 -o ended --overwrite",
                              r->trainer, LONG_EPOCHS);
    sleep_ms(60 + random_of(i) % 60);
    int code = process_end(pid, number[i]);
    tally(&r->t, code == 128 + number[i] && saved(r, "ended"), "signal %d: exit %d, saved: %d",
          number[i], code, saved(r, "ended"));
    snprintf(line, sizeof line, "%s --epochs %d -q --log=step --threads=2 -o ended --resume",
             r->trainer, LONG_EPOCHS);
    if (must_run(r, NULL, line))
      tally(&r->t, equal(r, "whole", "ended"), "signal %d: resumed, other weights", number[i]);
    steps_once(r, "ended", LONG_EPOCHS * STEPS_PER_EPOCH, (int)i);
  }
}

/* ---- what the compiler promises ---------------------------------------------------------------
 */

static void counts(Runs *r) {
  static const struct {
    const char *net;
    int classes;
    long full, lcw;
  } golden[] = {{"mlp", 10, 4013066, 4000256},        {"mlp", 100, 4036196, 4023296},
                {"vgg19", 10, 20567882, 20561344},    {"vgg19", 100, 20614052, 20607424},
                {"resnet18", 10, 11172170, 11167360}, {"resnet18", 100, 11218340, 11213440}};
  for (size_t i = 0; i < 2 * COUNT_OF(golden); i++) {
    int lcw = i % 2, k = golden[i / 2].classes;
    const char *net = golden[i / 2].net;
    const Ran *ran = process_run(&(Process){0},
                                 "lcwc check --json examples/paper.lcwnet %s --on cifar%d -D W=%s",
                                 net, k, lcw ? "lcw" : "free");
    json_t *doc = json_loads(ran->out, 0, NULL),
           *o = json_array_get(json_object_get(doc, "nets"), 0);
    long full = (long)json_integer_value(json_object_get(o, "full")),
         left = (long)json_integer_value(json_object_get(o, "free"));
    tally(&r->t, full == golden[i / 2].full && left == (lcw ? golden[i / 2].lcw : full),
          "%s, %d classes, %s: %ld / %ld; %s", net, k, lcw ? "lcw" : "free", full, left, ran->err);
    json_decref(doc);
  }
}

static void check_quick(Runs *r) {
  char line[4200];
  snprintf(line, sizeof line, "lcwc check %s", process_path("examples/paper.lcwnet"));
  double ms = best_of_five(r, line);
  printf("check paper.lcwnet: %.1f ms\n", ms);
  tally(&r->t, ms <= 50, "lcwc check examples/paper.lcwnet takes %.1f ms", ms);
}

/* File to first step of 50, 500 and 5,000 layers; fails only when grossly off. */
static void growth(Runs *r) {
  static const struct {
    int depth;
    double seconds;
  } of[] = {{50, 1}, {500, 1.5}, {5000, 6}};
  double first = 0, kib = 0;
  for (size_t i = 0; i < COUNT_OF(of); i++) {
    const Ran *ran =
        process_run(&(Process){.folder = r->s.path},
                    "lcwc train %s -D depth=%d -D width=16 --steps 1 -q -o grown --overwrite",
                    r->net, of[i].depth);
    tally(&r->t, !ran->code && ran->ms <= SLACK * 1000 * of[i].seconds,
          "%d layers: exit %d, %.1f s; the bound is %.1f s", of[i].depth, ran->code, ran->ms / 1000,
          of[i].seconds);
    printf("%d layers: %.2f s to the first step, %.0f MiB\n", of[i].depth, ran->ms / 1000,
           (double)ran->kib / 1024);
    if (i == 1) first = ran->ms, kib = (double)ran->kib;
    if (i == 2)
      tally(&r->t, ran->ms <= 10 * SLACK * first && (double)ran->kib <= 10 * 1.5 * kib,
            "from 500 to 5,000 layers: %.1f times the time, %.1f the memory", ran->ms / first,
            (double)ran->kib / kib);
  }
}

int main(void) {
  static Runs r;
  char line[5000];
  r.s = scratch_new();
  snprintf(r.net, sizeof r.net, "%s", process_path("tests/whole/mlp.lcwnet"));
  snprintf(r.trainer, sizeof r.trainer, "%s/trainer", r.s.path);
  snprintf(line, sizeof line, "lcwc build %s -o %s", r.net, r.trainer);
  if (must_run(&r, NULL, line)) {
    trainer_small(&r);
    trainer_libraries(&r);
    check_quick(&r);
    counts(&r);
    deterministic(&r);
    trainer_same(&r);
    kills(&r);
    signals(&r);
    growth(&r);
  }
  scratch_remove(r.s.path);
  return tally_end(&r.t);
}
