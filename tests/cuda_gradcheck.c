/* cuda_gradcheck.c: `lcwc gradcheck --device=cuda` on the simulated device.
 *
 *   right    every network of tests/whole, and one with the stages that they lack, in fp32, tf32
 *            or bf16: every kernel of the step within its bound, the whole step as it should be
 *   broken   a word of the emitted text is replaced before it is compiled (by a script that stands
 *            before clang): gradcheck must say that numbers are wrong, by exit 5
 *
 * Without a compiler of CUDA text all of it is skipped, without clang the second part; that is
 * said. */
#include <glob.h>
#include "process.h"
#include "scratch.h"

static const char stages[] =
    "net stages(tensor x[n], int classes, int width = 20, weight W = lcw) -> tensor[classes]\n"
    "{\n"
    "    use @W;\n"
    "    h = x -> linear(width) @bias(false) -> standardize -> sigmoid;\n"
    "    h = h -> reshape([4, 5]) -> flatten -> linear(width) -> layernorm -> tanh;\n"
    "    a = exp(h) * 0.5 + sqrt(abs(h) + 1.0) - log(h * h + 1.0);\n"
    "    b = max(h, a * 0.3) + min(h, a) / (pow(a, 2.0) + 2.0);\n"
    "    return concat(a, b) -> linear(classes);\n"
    "}\n"
    "data points { source = synthetic(shape = [23], classes = 4, samples = 520, test = 40); }\n"
    "train recipe { loss = cross_entropy(smoothing = 0.1); batch = 33; decay = 1e-3; lr = 0.01; }"
    "\n";

static const char *const precision[] = {"fp32", "tf32", "bf16"};
static const char *const more[] = { /* options of the network of stages */
    "", "-D W=free", "--set optimizer=adam(eps=0.001)", "--set optimizer=adamw(eps=0.001)",
    "--set optimizer=sgd(momentum=0.5,nesterov=true)", "--lower=unfused", "--lower=dense"};

/* ---- right --------------------------------------------------------------------------------- */

static void agrees(Tally *t, const char *path, const char *options) {
  const Ran *r = process_run(&(Process){0}, "lcwc gradcheck %s --device=cuda --driver=sim %s", path,
                             options);
  int all = strstr(r->out, "all agree") && !strstr(r->out, "by the whole step only");
  tally(t, !r->code && all, "gradcheck %s %s: exit %d\n%s%.2000s", path, options, r->code, r->out,
        r->err);
}

static void networks(Tally *t, const char *own) {
  glob_t files;
  char options[100];
  scratch_must(glob("tests/whole/*.lcwnet", 0, NULL, &files) == 0, "tests/whole");
  for (size_t i = 0; i < files.gl_pathc; i++)
    for (size_t p = 0; p < COUNT_OF(precision); p++) {
      if (p != i % 3 && !strstr(files.gl_pathv[i], "tiny")) continue;
      snprintf(options, sizeof options, "--precision=%s", precision[p]);
      agrees(t, files.gl_pathv[i], options);
    }
  globfree(&files);
  for (size_t i = 0; i < COUNT_OF(more); i++) {
    size_t p = strstr(more[i], "unfused") || strstr(more[i], "dense") ? 0 : i % 3;
    snprintf(options, sizeof options, "--precision=%s %s", precision[p], more[i]);
    agrees(t, own, options);
  }
}

/* ---- broken -------------------------------------------------------------------------------- */

/* What sed does to the text, and the precision in which it is wrong. */
static const struct { const char *name, *edit, *precision; } planted[] = {
    {"derivative of sigmoid", "s/ 1[.]0f - v/ 0.999f - v/", "fp32"},
    {"gradient of the loss", "s/(-0[.]125f)/(-0.12501f)/", "fp32"},
    {"weight decay", "s/ 0[.]0001f [*] v/ 0.0002f * v/", "fp32"},
    {"rank-1 term of the set", "s/\\(v[0-9]*\\[h\\] = sum.*\\) + v/\\1 - v/", "fp32"},
    {"rounding left out", "s/= round_tf32(\\(v[^;]*\\));/= \\1;/", "tf32"},
};

/* A compiler that edits what it is given. */
static void compiler_write(const char *path, const char *edit) {
  char text[400];
  int n = snprintf(text, sizeof text,
                   "#!/bin/sh\n[ \"$1\" = --version ] && exec clang-19 \"$@\"\n"
                   "sed '%s' | clang-19 \"$@\"\n", edit);
  scratch_write(path, text, (size_t)n);
  scratch_must(chmod(path, 0700) == 0, path);
}

static void bugs(Tally *t, const Scratch *s) {
  const char *compiler = scratch_path(s, "clang");
  scratch_must(setenv("LCWC_CLANG", compiler, 1) == 0, "setenv");
  for (size_t i = 0; i <= COUNT_OF(planted); i++) { /* the last one changes nothing */
    int right = i == COUNT_OF(planted);
    compiler_write(compiler, right ? "" : planted[i].edit);
    const Ran *r = process_run(&(Process){0}, "lcwc gradcheck tests/whole/tiny.lcwnet --device=cuda"
                               " --driver=sim --cuda-compiler=clang --no-cache --precision=%s",
                               right ? "fp32" : planted[i].precision);
    int noticed = r->code == 5 && strstr(r->out, "WRONG");
    tally(t, right ? r->code == 0 : noticed, "%s: exit %d\n%s%.1000s",
          right ? "nothing changed" : planted[i].name, r->code, r->out, r->err);
  }
}

int main(void) {
  Tally t = {0};
  Scratch s = scratch_new();
  const char *own = scratch_path(&s, "stages.lcwnet");
  scratch_write(own, stages, sizeof stages - 1);
  scratch_must(setenv("XDG_CACHE_HOME", s.path, 1) == 0, "setenv");
  const Ran *info = process_run(&(Process){0}, "lcwc info");
  int none = strstr(info->out, "CUDA compiler  ") && strstr(info->out, " none");
  if (none) printf("skipped: no compiler of CUDA text (NVRTC or clang-19)\n"), t.skipped++;
  else networks(&t, own);
  int clang = access("/usr/bin/clang-19", X_OK) == 0;
  if (!clang) printf("skipped: planted bugs: clang-19 is not installed\n"), t.skipped++;
  else bugs(&t, &s);
  scratch_remove(s.path);
  printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped);
  return t.failed || !(t.passed + t.skipped);
}
