/* whole_examples.c: what examples/ promise. In: the first comments of examples/NAME.lcwnet, where a
 * line reads `lcwc train NAME.lcwnet OPTIONS  words  expect METRIC >= VALUE` (two blanks end the
 * options). Out: the line is run, and METRIC of its result is as promised.
 *
 *   whole_examples          in seconds: with the options and the bound of `reduced`
 *   whole_examples --full   as the examples say
 *
 * An example that promises what `reduced` does not know fails, as does one that promises nothing
 * (paper.lcwnet states its results as experiments). */
#include <dirent.h>
#include <jansson.h>
#include <stdbool.h>
#include "process.h"
#include "scratch.h"

typedef struct {
  char file[80], options[200], metric[40], relation;
  double value;
} Promise;

/* A smaller net, or fewer steps; and what PyTorch's run of the full one leads to expect of it. Free
 * weights need all 50 layers to stay at chance, and 60 steps show that they do. */
static const struct {
  const char *file, *options, *instead;
  double value;
} reduced[] = {
    {"mlp.lcwnet", "", "-D depth=10 --epochs 1", 0.80},
    {"mlp.lcwnet", "-D W=free", "--steps 60", 0.12},
    {"mlp-bn.lcwnet", "", "-D depth=5 -D width=128 --epochs 1", 0.80},
    {"halves.lcwnet", "", "--epochs 1", 0.78},
};

/* Reads a line of a comment; false if it promises nothing. */
static bool promise_read(const char *line, Promise *p) {
  const char *run = strstr(line, "lcwc train "), *expect = strstr(line, "expect ");
  char relation[3];
  *p = (Promise){0};
  if (!run || !expect || sscanf(run, "lcwc train %79s", p->file) != 1) return false;
  if (sscanf(expect, "expect %39s %2s %lf", p->metric, relation, &p->value) != 3) return false;
  p->relation = relation[0];
  const char *s = run + strlen("lcwc train ") + strlen(p->file);
  const char *end = strstr(s, "  ");
  if (!strncmp(s, " -", 2) && end)
    snprintf(p->options, sizeof p->options, "%.*s", (int)(end - s - 1), s + 1);
  return true;
}

static void promise_check(Tally *t, const Promise *p, const char *more, double value,
                          const char *folder) {
  const Ran *r =
      process_run(&(Process){0}, "lcwc train examples/%s %s %s --json -q -o %s --overwrite",
                  p->file, p->options, more, folder);
  json_t *doc = json_loads(r->out, 0, NULL), *metric = json_object_get(doc, p->metric);
  double is = json_is_number(metric) ? json_number_value(metric) : -1;
  printf("%s %s %s: %s %.4f, promised %c= %g\n", p->file, p->options, more, p->metric, is,
         p->relation, value);
  tally(t, !r->code && json_is_number(metric) && (p->relation == '<' ? is <= value : is >= value),
        "lcwc train examples/%s %s %s: exit %d, %s = %g, not %c= %g\n%s", p->file, p->options, more,
        r->code, p->metric, is, p->relation, value, r->err);
  json_decref(doc);
}

static void promise_reduced(Tally *t, const Promise *p, const char *folder) {
  for (size_t i = 0; i < COUNT_OF(reduced); i++)
    if (!strcmp(reduced[i].file, p->file) && !strcmp(reduced[i].options, p->options)) {
      promise_check(t, p, reduced[i].instead, reduced[i].value, folder);
      return;
    }
  tally(t, 0, "examples/%s promises something of `%s` that has no reduced form", p->file,
        p->options);
}

/* The promises of one example: lines of its first comment. */
static void example(Tally *t, const char *name, bool full, const char *folder) {
  char path[400], line[400];
  Promise p;
  int promises = 0;
  snprintf(path, sizeof path, "examples/%s", name);
  FILE *f = fopen(path, "r");
  scratch_must(f != NULL, path);
  while (fgets(line, sizeof line, f) && !strncmp(line, "//", 2)) {
    line[strcspn(line, "\n")] = 0;
    if (!promise_read(line, &p)) continue;
    promises++;
    if (full) promise_check(t, &p, "", p.value, folder);
    else promise_reduced(t, &p, folder);
  }
  fclose(f);
  tally(t, promises || !strcmp(name, "paper.lcwnet"), "%s promises nothing", path);
}

int main(int argc, char **argv) {
  Tally t = {0};
  Scratch s = scratch_new();
  struct dirent **file = NULL;
  bool full = argc > 1 && !strcmp(argv[1], "--full");
  int n = scandir("examples", &file, NULL, alphasort);
  for (int i = 0; i < n; i++)
    if (strstr(file[i]->d_name, ".lcwnet"))
      example(&t, file[i]->d_name, full, scratch_path(&s, "run"));
  scratch_remove(s.path);
  return tally_end(&t);
}
