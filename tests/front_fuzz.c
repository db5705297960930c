/* front_fuzz.c: random texts through parser, checker and formatter, in one process. Goes in:
 * `front_fuzz [COUNT]` for the numbers 0 .. COUNT-1 (default 200000), or `front_fuzz --seed N`
 * for one of them, its text and messages shown. Comes out: a line `N passed, N failed, N
 * skipped`. What must hold of every text: no sanitizer finding, at most a second, a message
 * when it is refused; and of every text that parses: formatting it keeps its tree and all but
 * its white space, and formatting it again changes nothing. At least a quarter of the texts must
 * be valid. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "check.h"
#include "fmt.h"
#include "front_random.h"
#include "limits.h"
#include "parse.h"

typedef struct {
  uint64_t valid, parsed, failed;
  bool show;
} Tally;

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* True when both trees say the same; spans and ids may differ. */
static bool same_tree(const Ast *a, const Ast *b) {
  bool text = a->text == b->text || (a->text && b->text && strcmp(a->text, b->text) == 0);
  if (a->kind != b->kind || a->name != b->name || a->type != b->type || a->op != b->op ||
      a->nchild != b->nchild)
    return false;
  if (a->kind != AST_FILE &&
      (!text || a->integer != b->integer || memcmp(&a->real, &b->real, sizeof a->real) != 0))
    return false;
  for (uint32_t i = 0; i < a->nchild; i++)
    if (!same_tree(a->child[i], b->child[i])) return false;
  return true;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/* True when both texts are equal but for white space: nothing is lost, comments neither. */
static bool same_ink(const Text *a, const Text *b) {
  size_t i = a->n >= 3 && memcmp(a->s, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0, k = 0;
  for (;; i++, k++) {
    while (i < a->n && is_blank(a->s[i])) i++;
    while (k < b->n && is_blank(b->s[k])) k++;
    if (i == a->n || k == b->n) return i == a->n && k == b->n;
    if (a->s[i] != b->s[k]) return false;
  }
}

static void fail(Tally *t, uint64_t seed, const char *what) {
  printf("FAILED: %s; reproduce with: front_fuzz --seed %" PRIu64 "\n", what, seed);
  t->failed++;
}

/* Formats a text that parsed; the result must parse to the same tree and be a fixpoint. */
static void try_format(Tally *t, uint64_t seed, Front *f, const Ast *tree, const Text *text) {
  Text once, twice;
  text_init(&once, f->perm);
  text_init(&twice, f->perm);
  format_text(&once, text->s, text->n);
  format_text(&twice, once.s, once.n);
  if (once.n != twice.n || memcmp(once.s, twice.s, once.n) != 0)
    fail(t, seed, "formatting twice differs from once");
  if (!same_ink(text, &once)) fail(t, seed, "formatting loses something");
  if (t->show) printf("---- formatted\n%s", once.s);
  uint32_t errors = f->diags.errors;
  const Ast *again = parse_buffer(f, "formatted", once.s, once.n, NULL);
  if (!again || f->diags.errors != errors || !same_tree(tree, again))
    fail(t, seed, "formatting changes the tree");
}

/* Renders the messages; nobody reads them, but they must render. */
static void print_messages(const Tally *t, Front *f) {
  FILE *sink = t->show ? stdout : fopen("/dev/null", "w");
  if (!sink) return;
  diags_print(&f->diags, sink);
  if (sink != stdout) fclose(sink);
}

static void try_text(Tally *t, uint64_t seed, Front *f, const Text *text) {
  Ast *tree = parse_buffer(f, "random", text->s, text->n, NULL);
  bool parsed = tree && !diags_exit(&f->diags);
  if (!tree && !diags_exit(&f->diags)) fail(t, seed, "refused without a message");
  if (parsed) t->parsed++, t->valid += check(f);
  print_messages(t, f);
  if (parsed && !strstr(text->s, "import")) try_format(t, seed, f, tree, text);
}

/* A compilation that only knows the prelude: a batch of texts shares it. */
typedef struct {
  Arena perm;
  Front front;
} Bench;

static void bench_open(Bench *b) {
  arena_init(&b->perm, "perm", LIMIT_ARENA);
  front_init(&b->front, &b->perm);
  parse_prelude(&b->front);
}

static void try_seed(Tally *t, uint64_t seed, Bench *b) {
  Text text;
  Front *f = &b->front;
  double begin = seconds();
  f->nfile = f->nprelude;
  f->root = NULL;
  diags_init(&f->diags, &b->perm, &f->sources);
  text_init(&text, &b->perm);
  random_text(&text, seed);
  if (t->show) printf("---- text\n%s\n", text.s);
  try_text(t, seed, f, &text);
  if (seconds() - begin > 1.0) fail(t, seed, "took more than a second");
}

static void try_range(Tally *t, uint64_t from, uint64_t to) {
  enum { BATCH = 100 };
  Bench b;
  for (uint64_t seed = from; seed < to && t->failed < 20; seed++) {
    if ((seed - from) % BATCH == 0) bench_open(&b);
    try_seed(t, seed, &b);
    if ((seed - from) % BATCH == BATCH - 1 || seed + 1 == to) arena_release(&b.perm);
  }
}

int main(int argc, char **argv) {
  Tally t = {0};
  uint64_t count = argc > 1 ? strtoull(argv[argc - 1], NULL, 10) : 200000;
  if (argc == 3 && strcmp(argv[1], "--seed") == 0) {
    t.show = true;
    try_range(&t, count, count + 1);
    return t.failed != 0;
  }
  try_range(&t, 0, count);
  if (count && t.valid * 4 < count && t.failed == 0) {
    printf("FAILED: only %" PRIu64 " of %" PRIu64 " texts are valid\n", t.valid, count);
    t.failed++;
  }
  printf("front_fuzz: %" PRIu64 " texts, %" PRIu64 " parse, %" PRIu64 " are valid\n", count,
         t.parsed, t.valid);
  printf("%" PRIu64 " passed, %" PRIu64 " failed, 0 skipped\n", count - t.failed, t.failed);
  return t.failed != 0 || count == 0;
}
