/* expand_fuzz.c: random texts through the expansion.
 *
 *   expand_fuzz [COUNT]      the numbers 0 .. COUNT-1 (default 20000)
 *   expand_fuzz --seed N     one of them, its text and messages shown
 *
 * What must hold of every text: no sanitizer finding, at most four seconds (in a build with
 * sanitizers), and where a net does not expand, a message that says why. Graphs that come out
 * keep every invariant. Out: `N passed, N failed`, and how many nets were expanded. */
#include "check.h"
#include "front_random.h"
#include "limits.h"
#include "model.h"
#include "parse.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct { uint64_t nets, refused, failed; bool show; } Tally;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(Tally *t, uint64_t seed, const char *what) {
  printf("FAILED: %s; reproduce with: expand_fuzz --seed %" PRIu64 "\n", what, seed);
  t->failed++;
}

/* Expands one net, for check or for a run. */
static void try_net(Tally *t, uint64_t seed, Front *f, const Ast *net, bool checks) {
  const char *lower[] = {"fused", "dense", "projected"};
  const char *define[] = {"n=4", "W=lcw", "pre=dropout(0.1) -> bn"};
  ModelRequest r = {.net = name_text(f->names, net->name),
                    .checks = checks,
                    .lower = lower[seed % 3],
                    .define = define,
                    .ndefine = 1 + (uint32_t)(seed / 3 % 3),
                    .facts = {.rank = 3, .dim = {8, 8, 3}, .classes = 4}};
  uint32_t errors = f->diags.errors;
  Model *m = NEW(f->perm, Model);
  Text why;
  text_init(&why, f->perm);
  if (!model_expand(f, &r, m)) {
    t->refused++;
    if (f->diags.errors == errors && !diags_exit(&f->diags)) fail(t, seed, "refused in silence");
    return;
  }
  t->nets++;
  if (f->diags.errors != errors) fail(t, seed, "expanded in spite of an error");
  if (!graph_verify(&m->graph, &why)) fail(t, seed, why.s);
}

/* Every net of a text. */
static void try_text(Tally *t, uint64_t seed) {
  Arena perm;
  Front f;
  Text text, report;
  double begin = seconds();
  arena_init(&perm, "perm", (size_t)4 << 30);
  front_init(&f, &perm);
  text_init(&text, &perm);
  text_init(&report, &perm);
  random_text(&text, seed);
  if (t->show) printf("%s\n----\n", text.s);
  Ast *tree = parse_buffer(&f, "random", text.s, text.n, NULL);
  bool good = tree && !diags_exit(&f.diags) && check(&f);
  for (uint32_t i = 0; good && i < tree->nchild; i++) {
    if (tree->child[i]->kind != AST_NET) continue;
    try_net(t, seed, &f, tree->child[i], true);
    try_net(t, seed, &f, tree->child[i], false);
  }
  ModelRequest all = {0};
  if (good) check_report(&f, &all, seed % 2, "random", &report);
  if (t->show) diags_print(&f.diags, stdout);
  arena_release(&perm);
  if (seconds() - begin > 4.0) fail(t, seed, "more than four seconds");
}

int main(int n, char **arg) {
  Tally t = {0};
  uint64_t count = n == 2 ? strtoull(arg[1], NULL, 10) : 20000;
  t.show = n == 3 && !strcmp(arg[1], "--seed");
  if (t.show) try_text(&t, strtoull(arg[2], NULL, 10));
  for (uint64_t i = 0; !t.show && i < count; i++) try_text(&t, i);
  printf("%" PRIu64 " nets expanded, %" PRIu64 " refused\n", t.nets, t.refused);
  printf("%" PRIu64 " passed, %" PRIu64 " failed\n", (t.show ? 1 : count) - t.failed, t.failed);
  return t.failed != 0;
}
