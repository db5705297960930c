/* whole_agree.c: whole networks against the float64 interpreter, and the lowerings against each
 * other.
 *
 * In: tests/whole/NAME.lcwnet (or those named), whose comments say what to do: `// lower: WORDS`
 * the lowerings that are legal for it; each `// with: OPTIONS` one more case, in the first and the
 * last of them; `// least: X` see below. A case is: init on both sides; then, from the host's
 * start, three training steps on equal batches. A new test is a new file.
 *
 *   whole_agree [--first] [FILE...]      --first: stop at the first failure
 *
 * Tolerances. After one step: within the running error bound that the interpreter carries. That
 * bound grows with every layer, so that it says little of the first one; hence also, after each
 * step, every PARAM and STATE within RELATIVE of its largest element or of `least`, whichever is
 * larger (0.01; more where values cancel: the mean of what bn is given, the gradient of a bias
 * before it). The state of momentum is the gradient, so this is a bound on gradients. After 20
 * steps the plain weights of all lowerings, as exported, are within the same. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "agree.h"
#include "process.h"
#include "scratch.h"
#include "tensors.h"

#define RELATIVE 1e-5
enum { STEPS = 3, CASES = 8, WORDS = 32 };

typedef struct {
  char path[300];
  char lower[8][24];
  int nlower;
  char with[CASES][200];
  int ncase;
  double least;
} Net;

/* ---- what a file asks for ------------------------------------------------------------------ */

static Net net_read(const char *path) {
  Net net = {.ncase = 1, .least = 1e-2};
  char line[400], *save;
  FILE *f = fopen(path, "r");
  scratch_must(f != NULL, path);
  snprintf(net.path, sizeof net.path, "%s", path);
  while (fgets(line, sizeof line, f)) {
    line[strcspn(line, "\n")] = 0;
    if (!strncmp(line, "// with: ", 9) && net.ncase < CASES)
      snprintf(net.with[net.ncase++], sizeof net.with[0], "%.199s", line + 9);
    if (!strncmp(line, "// least: ", 10)) net.least = strtod(line + 10, NULL);
    if (strncmp(line, "// lower: ", 10)) continue;
    for (char *w = strtok_r(line + 10, " ", &save); w; w = strtok_r(NULL, " ", &save))
      snprintf(net.lower[net.nlower++ % 8], sizeof net.lower[0], "%.23s", w);
  }
  fclose(f);
  return net;
}

/* ---- against the interpreter ---------------------------------------------------------------- */

/* What is wrong after a step or init; NULL: nothing. */
static const char *beyond(const Agree *a, bool bounded, double relative, double least) {
  static char text[300];
  Apart far = agree_apart(a, least), bound = agree_beyond(a);
  if (bounded && bound.difference > 1 && !isinf(bound.difference))
    return snprintf(text, sizeof text, "%s is %.3g times its error bound away", bound.name,
                    bound.difference),
           text;
  if (far.difference > relative)
    return snprintf(text, sizeof text, "%s is %.3g away, relative to %.3g", far.name,
                    far.difference, far.largest),
           text;
  return NULL;
}

static const char *steps(Agree *a, double least, int *at) {
  interpreter_track(a->interpreter);
  *at = -1;
  if (!agree_init(a)) return "init failed";
  const char *wrong = beyond(a, true, RELATIVE / 10, least);
  agree_copy(a);
  for (*at = 1; !wrong && *at <= STEPS; ++*at) {
    if (!agree_step(a)) return "a step failed";
    if ((wrong = beyond(a, *at == 1, RELATIVE, least))) return wrong;
  }
  return wrong;
}

static void case_run(Tally *t, const Net *net, const char *lower, const char *with) {
  static Agree a;
  char text[700], *argv[WORDS], *save;
  int argc = 0, at = 0;
  snprintf(text, sizeof text, "%s --lower=%s -w %s", net->path, lower, with);
  for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) argv[argc++] = w;
  const char *wrong =
      agree_open(&a, argc, argv) ? steps(&a, net->least, &at) : "it does not compile";
  tally(t, !wrong, "%s --lower=%s %s: step %d: %s", net->path, lower, with, at, wrong ? wrong : "");
  if (at) agree_close(&a);
}

/* ---- the lowerings against each other ------------------------------------------------------- */

static bool trained(Tally *t, const char *folder, const Net *net, const char *lower,
                    const char *with, const char *out) {
  const Ran *r = process_run(&(Process){0},
                             "lcwc train %s --lower=%s -w %s --steps 20 -q -o %s/run --overwrite",
                             net->path, lower, with, folder);
  if (!r->code)
    r = process_run(&(Process){0}, "lcwc export %s/run/last.safetensors --to=safetensors -o %s",
                    folder, out);
  if (r->code)
    tally(t, 0, "%s --lower=%s %s: exit %d: %s", net->path, lower, with, r->code, r->err);
  return !r->code;
}

static void lowerings(Tally *t, const Scratch *s, const Net *net, const char *with) {
  char first[600];
  Distance worst = {"", 0};
  const char *of = "";
  snprintf(first, sizeof first, "%s/first", s->path);
  if (!trained(t, s->path, net, net->lower[0], with, first)) return;
  Tensors a = tensors_open(first);
  for (int i = 1; i < net->nlower; i++) {
    const char *other = scratch_path(s, "other");
    if (!trained(t, s->path, net, net->lower[i], with, other)) continue;
    Tensors b = tensors_open(other);
    Distance d = tensors_distance(&a, &b, net->least);
    if (d.difference >= worst.difference) worst = d, of = net->lower[i];
    tally(t, d.difference <= RELATIVE, "%s %s: after 20 steps %s of %s is %.3g from that of %s",
          net->path, with, d.name, net->lower[i], d.difference, net->lower[0]);
    tensors_close(&b);
  }
  tensors_close(&a);
  printf("%s: after 20 steps %s and %s are at most %.2g apart (%s)\n", net->path, net->lower[0], of,
         worst.difference, worst.name);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void net_run(Tally *t, const Scratch *s, const char *path, bool first) {
  Net net = net_read(path);
  for (int c = 0; c < net.ncase; c++)
    for (int l = 0; l < net.nlower && !(first && t->failed); l++)
      if (!c || !l || l + 1 == net.nlower) case_run(t, &net, net.lower[l], net.with[c]);
  if (net.nlower > 1 && !(first && t->failed)) lowerings(t, s, &net, "");
}

static int is_net(const struct dirent *e) {
  size_t n = strlen(e->d_name);
  return n > 7 && !strcmp(e->d_name + n - 7, ".lcwnet");
}

int main(int argc, char **argv) {
  Tally t = {0};
  Scratch s = scratch_new();
  struct dirent **file = NULL;
  char path[300];
  bool first = argc > 1 && !strcmp(argv[1], "--first");
  for (int i = 1 + first; i < argc; i++) net_run(&t, &s, argv[i], first);
  int n = argc > 1 + first ? 0 : scandir("tests/whole", &file, is_net, alphasort);
  for (int i = 0; i < n; i++) {
    snprintf(path, sizeof path, "tests/whole/%.200s", file[i]->d_name);
    net_run(&t, &s, path, first);
  }
  scratch_remove(s.path);
  return tally_end(&t);
}
