/* front_unit.c: the parts of the front end that no file shows: numbers, names, text, arenas,
 * expressions of the command line, bundles, two compilations side by side. Comes out: `N passed,
 * N failed, N skipped`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "explain.h"
#include "limits.h"
#include "parse.h"

typedef struct {
  int passed, failed;
} Tally;

#define EXPECT(t, condition) expect((t), (condition), #condition, __LINE__)
static void expect(Tally *t, bool good, const char *what, int line) {
  if (good) t->passed++;
  else t->failed++, printf("FAILED line %d: %s\n", line, what);
}

static void test_numbers(Tally *t, Arena *a) {
  static const struct {
    const char *text;
    bool good;
    double value;
  } row[] = {
      {"0", true, 0},      {"1.5", true, 1.5}, {"1e-4", true, 1e-4}, {"-2.5E+3", true, -2500},
      {"1.", false, 0},    {".5", false, 0},   {"", false, 0},       {"1e", false, 0},
      {"1e999", false, 0}, {"0x10", false, 0}, {"nan", false, 0},    {"inf", false, 0},
      {"1,5", false, 0},   {" 1", false, 0},   {"1 ", false, 0},     {"1e5f", false, 0}};
  for (size_t i = 0; i < COUNT_OF(row); i++) {
    double x = 0;
    bool good = number_parse(row[i].text, strlen(row[i].text), &x);
    EXPECT(t, good == row[i].good && (!good || x == row[i].value));
  }
  int64_t n = 0;
  EXPECT(t, integer_parse("9223372036854775807", 19, &n) && n == INT64_MAX);
  EXPECT(t, integer_parse("-9223372036854775808", 20, &n) && n == INT64_MIN);
  EXPECT(t, !integer_parse("9223372036854775808", 19, &n));
  EXPECT(t,
         !integer_parse("-", 1, &n) && !integer_parse("", 0, &n) && !integer_parse("1.0", 3, &n));
  EXPECT(t, strcmp(number_text(a, 0.1), "0.1") == 0);
  EXPECT(t, strcmp(number_text(a, 1e-4), "0.0001") == 0);
  EXPECT(t, strtod(number_text(a, 1.0 / 3.0), NULL) == 1.0 / 3.0);
}

static void test_sizes(Tally *t) {
  size_t n;
  EXPECT(t, !size_mul(SIZE_MAX, 2, &n) && !size_add(SIZE_MAX, 1, &n) &&
                !size_align(SIZE_MAX - 3, 16, &n));
  EXPECT(t, size_align(17, 16, &n) && n == 32);
}

static void test_names(Tally *t, Arena *a) {
  Names *names = names_new(a);
  Name list[3] = {name_of_text(names, "sigmoid"), name_of_text(names, "softmax"),
                  name_of_text(names, "lr")};
  EXPECT(t, name_of(names, "sigmoid!", 7) == list[0] && name_of_text(names, "") == 0);
  EXPECT(t, name_nearest(names, name_of_text(names, "sigmiod"), list, 3) == list[0]);
  EXPECT(t, name_nearest(names, name_of_text(names, "elephant"), list, 3) == 0);
  for (int i = 0; i < 5000; i++) name_of_text(names, arena_printf(a, "n%d", i));
  EXPECT(t, strcmp(name_text(names, name_of_text(names, "n4321")), "n4321") == 0);
}

static void test_text(Tally *t, Arena *a) {
  Text s;
  text_init(&s, a);
  text_escaped(&s, "a\033[31m\xC3\xA9\xFF\xE2\x80\xAE", 12);
  EXPECT(t, strcmp(s.s, "a\\x1B[31m\xC3\xA9\\xFF\\xE2\\x80\\xAE") == 0);
  text_init(&s, a);
  text_json(&s, "a\"b\\\n\x01\xFF");
  EXPECT(t, strcmp(s.s, "\"a\\\"b\\\\\\u000a\\u0001\xEF\xBF\xBD\"") == 0);
  EXPECT(t, utf8_valid("ab\xC0\xAF", 4) == 2 && utf8_valid("\xED\xA0\x80", 3) == 0 &&
                utf8_valid("\xF0\x9F\x98\x80", 4) == 4);
}

/* A full arena leaves through its jump buffer, again and again. */
static void test_arena(Tally *t) {
  Arena small;
  jmp_buf out;
  volatile int rounds = 0;
  arena_init(&small, "small", 1 << 16);
  small.fail = &out;
  if (setjmp(out) == 0)
    for (;;) arena_alloc(&small, 1000), rounds = rounds + 1;
  EXPECT(t, rounds > 10 && rounds <= 65 && small.used <= small.cap);
  arena_release(&small);
  EXPECT(t, small.used == 0 && arena_alloc(&small, 8) != NULL);
  arena_release(&small);
}

/* An array keeps its contents while it grows, moves no more once it is large, counts what it fills, is
 * zero beyond, and ends at the cap as all else does. */
static void test_growth(Tally *t) {
  struct { uint32_t *item; uint32_t nitem, capitem; } list = {0};
  Arena a;
  jmp_buf out;
  bool kept = true;
  volatile size_t moves = 0;
  arena_init(&a, "growth", 48 << 20);
  for (uint32_t i = 0; i < 3 << 20; i++) {
    const uint32_t *before = list.item;
    PUSH(&a, &list, item, i);
    moves += i > 1 << 19 && list.item != before;
  }
  for (uint32_t i = 0; i < list.nitem; i++) kept &= list.item[i] == i;
  for (uint32_t i = list.nitem; i < list.capitem; i++) kept &= list.item[i] == 0;
  EXPECT(t, kept && moves == 0 && a.used >= list.capitem * sizeof *list.item);
  EXPECT(t, a.used < (list.capitem + (1 << 20)) * sizeof *list.item);
  volatile bool ended = false;
  a.fail = &out;
  if (setjmp(out)) ended = true;
  else (void)arena_grow(&a, list.item, list.nitem * sizeof *list.item, 64 << 20);
  EXPECT(t, ended && a.used <= a.cap);
  arena_release(&a);
}

static int compile(Arena *perm, const char *text, size_t cap) {
  Front f;
  arena_init(perm, "perm", cap);
  front_init(&f, perm);
  Ast *tree = parse_buffer(&f, "text", text, strlen(text), NULL);
  if (tree && !diags_exit(&f.diags)) check(&f);
  return diags_exit(&f.diags);
}

static void test_expressions(Tally *t, Front *f) {
  Ast *e = parse_expression(f, "-D depth", "20 + 1", 6);
  EXPECT(t, e && e->kind == AST_BINARY && strcmp(ast_text(f->perm, f->names, e), "20 + 1") == 0);
  EXPECT(t, parse_expression(f, "-D depth", "20 +", 4) == NULL && diags_exit(&f->diags) == 2);
  EXPECT(t, parse_expression(f, "-D depth", "", 0) == NULL);
  EXPECT(t, parse_expression(f, "-D depth", "1; 2", 4) == NULL);
  EXPECT(t, parse_expression(f, "-D depth", "1)", 2) == NULL);
}

/* The texts of a compilation in one, parsed again without any folder. */
static void test_bundle(Tally *t, Arena *a, Arena *b) {
  Front f, g;
  front_init(&f, a);
  front_init(&g, b);
  Ast *tree = parse_file(&f, "tests/front/accept_surface.lcwnet");
  const char *bundle = parse_flattened(&f);
  Ast *again = parse_buffer(&g, "bundle", bundle, strlen(bundle), NULL);
  EXPECT(t, tree && again && tree->nchild == again->nchild && f.nfile == g.nfile);
  EXPECT(t, check(&f) && check(&g));
  EXPECT(t, check_pick(&g, AST_NET, NULL) && check_pick(&g, AST_TRAIN, "quick"));
  EXPECT(t, !check_pick(&g, AST_TRAIN, NULL) && diags_exit(&g.diags) == 2);
  Name batch = name_of_text(f.names, "batch"), rate = name_of_text(f.names, "optimizer");
  Ast *quick = check_pick(&f, AST_TRAIN, "quick");
  EXPECT(t,
         quick && check_setting(&f, quick, batch)->integer == 32 && check_setting(&f, quick, rate));
}

static void test_pages(Tally *t, Front *f) {
  Text out;
  text_init(&out, f->perm);
  int pages = 0;
  for (int id = 0; id < DIAG_COUNT; id++) pages += explain_code(&out, diag_info[id].code);
  EXPECT(t, pages == DIAG_COUNT);
  EXPECT(t, explain_code(&out, "shape-mismatch") && explain_code(&out, "e0501"));
  EXPECT(t, explain_name(f, &out, "linear") && explain_name(f, &out, "epochs") &&
                !explain_name(f, &out, "elephant"));
}

int main(void) {
  Tally t = {0, 0};
  Arena a, b;
  Front f;
  arena_init(&a, "a", LIMIT_ARENA);
  arena_init(&b, "b", LIMIT_ARENA);
  test_numbers(&t, &a);
  test_sizes(&t);
  test_names(&t, &a);
  test_text(&t, &a);
  test_arena(&t);
  test_growth(&t);
  front_init(&f, &a);
  parse_prelude(&f);
  test_expressions(&t, &f);
  test_pages(&t, &f);
  test_bundle(&t, &a, &b);
  arena_release(&a);
  arena_release(&b);
  EXPECT(&t, compile(&a, "const int k = 3;", LIMIT_ARENA) == 0);
  arena_release(&a);
  EXPECT(&t, compile(&a, "const int k = 3;", 64 << 10) == 6);
  arena_release(&a);
  printf("%d passed, %d failed, 0 skipped\n", t.passed, t.failed);
  return t.failed != 0 || t.passed == 0;
}
