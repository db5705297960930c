/* expand_counts.c: the parameter counts of the paper's networks, free and full.
 *
 * In: the path of paper.lcwnet. Out: a line for each count that differs from LANGUAGE.md,
 * section 7, and `N passed, N failed`. */
#include "check.h"
#include "limits.h"
#include "model.h"
#include "parse.h"
#include <inttypes.h>

typedef struct { const char *net; int classes; uint64_t full, free; } Golden;
static const Golden golden[] = {
    {"mlp", 10, 4013066, 4000256},         {"mlp", 100, 4036196, 4023296},
    {"vgg19", 10, 20567882, 20561344},     {"vgg19", 100, 20614052, 20607424},
    {"resnet18", 10, 11172170, 11167360},  {"resnet18", 100, 11218340, 11213440}};

/* Expands one net with one weight set; false when a count differs. */
static bool count(const char *path, const Golden *g, const char *set) {
  Arena perm;
  Front f;
  Model m;
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  bool lcw = set[2] == 'l';
  const char *define[] = {set, arena_printf(&perm, "classes=%d", g->classes)};
  ModelRequest r = {.net = g->net, .define = define, .ndefine = 2, .checks = true,
                    .facts = {.rank = 3, .dim = {32, 32, 3}}};
  bool ok = parse_file(&f, path) && check(&f) && model_expand(&f, &r, &m);
  diags_print(&f.diags, stderr);
  ok = ok && m.full == g->full && m.free == (lcw ? g->free : g->full);
  if (!ok)
    printf("FAIL %s, %d classes, %s: full %" PRIu64 ", free %" PRIu64 "\n", g->net, g->classes, set,
           m.full, m.free);
  arena_release(&perm);
  return ok;
}

int main(int n, char **arg) {
  int failed = 0, passed = 0;
  if (n != 2) return 2;
  for (size_t i = 0; i < COUNT_OF(golden); i++)
    for (int lcw = 0; lcw < 2; lcw++)
      if (count(arg[1], &golden[i], lcw ? "W=lcw" : "W=free")) passed++;
      else failed++;
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
