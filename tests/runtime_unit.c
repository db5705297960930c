/* runtime_unit.c: the small parts of the runtime, each against known answers: reader, numbers,
 * JSON, hash, random numbers, the shuffle, the schedule, the options, the pool, plan_check. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "decimal.h"
#include "device.h"
#include "hash.h"
#include "json.h"
#include "options.h"
#include "plan_check.h"
#include "pool.h"
#include "random.h"
#include "rate.h"
#include "reader.h"
#include "tiny_plan.h"

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

static void reader_stays_bad(void **state) {
  static const unsigned char bytes[] = {1, 2, 3, 4, 5};
  Reader r = reader_of(bytes, sizeof bytes);
  (void)state;
  assert_int_equal(reader_u32be(&r), 0x01020304);
  assert_int_equal(reader_u16le(&r), 0);
  assert_true(r.bad);
  assert_int_equal(reader_u8(&r), 0); /* one byte is left, but the reader has failed */
  assert_null(reader_take(&r, 0));
}

static void decimals(void **state) {
  char text[32];
  uint64_t x;
  (void)state;
  decimal_text(text, 0.1);
  assert_string_equal(text, "0.1");
  decimal_text(text, 1.0 / 3);
  assert_true(strtod(text, NULL) == 1.0 / 3);
  decimal_text(text, NAN);
  assert_string_equal(text, "null");
  assert_true(decimal_whole("18446744073709551615", &x) && x == UINT64_MAX);
  static const char *const wrong[] = {"",     "-1", "+1", "1x", " 1", "1 ", "18446744073709551616",
                                      "0x10", "1e3"};
  for (size_t i = 0; i < COUNT_OF(wrong); i++) assert_false(decimal_whole(wrong[i], &x));
  assert_true(decimal_bytes("2GiB", &x) && x == UINT64_C(2) << 30);
  assert_true(decimal_bytes("512M", &x) && x == UINT64_C(512) << 20);
  assert_false(decimal_bytes("512m", &x) || decimal_bytes("99999999999999G", &x));
}

static void json_in_place(void **state) {
  char text[] = " { \"a\\u00e9\\n\" : [1, 2.5, {\"x\":null}], \"b\":7 } ";
  Json j = json_of(text, strlen(text));
  uint64_t n;
  (void)state;
  assert_true(json_expect(&j, '{'));
  assert_string_equal(json_string(&j), "a\xc3\xa9\n");
  assert_true(json_expect(&j, ':') && json_skip(&j) && json_expect(&j, ','));
  assert_string_equal(json_string(&j), "b");
  assert_true(json_expect(&j, ':') && json_whole(&j, &n) && n == 7);
  assert_true(json_expect(&j, '}') && json_end(&j));
}

static void json_refused(void **state) {
  static const char *const wrong[] = {"\"",
                                      "\"\\x\"",
                                      "\"\\u0000\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"a\nb\"",
                                      "[[[[[[[[[1]]]]]]]]]",
                                      "{",
                                      "[1",
                                      "tru",
                                      "01x",
                                      "--1"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    char text[64];
    snprintf(text, sizeof text, "%s", wrong[i]);
    Json j = json_of(text, strlen(text));
    if (json_skip(&j) && json_end(&j)) fail_msg("accepted: %s", wrong[i]);
  }
  assert_false(utf8_proper("\xc0\x80", 2) || utf8_proper("\xed\xa0\x80", 3) ||
               utf8_proper("\xf4\x90\x80\x80", 4));
  assert_true(utf8_proper("\xf0\x9f\x99\x82 \xe2\x82\xac", 8));
}

/* The vectors of the authors. */
static void known_answers(void **state) {
  Random4 zero = random_philox((uint32_t[4]){0}, (uint32_t[2]){0});
  Random4 ones = random_philox((uint32_t[4]){~0u, ~0u, ~0u, ~0u}, (uint32_t[2]){~0u, ~0u});
  (void)state;
  assert_int_equal(zero.word[0], 0x6627e8d5);
  assert_int_equal(zero.word[3], 0x9b00dbd8);
  assert_int_equal(ones.word[0], 0x408f276d);
  assert_int_equal(ones.word[3], 0x6d5451fd);
  assert_true(hash64("", 0, 0) == 0xEF46DB3751D8E999u);
  assert_true(hash64("abc", 3, 0) == 0x44BC2CF5AD770999u);
}

/* Every sample once; another seed or epoch is another order; no place is preferred. */
static void permutation(void **state) {
  enum { N = 1000 };
  uint32_t a[N], b[N], seen[N] = {0}, first[10] = {0};
  (void)state;
  random_permutation(a, N, 5, 3);
  for (int i = 0; i < N; i++) seen[a[i]]++;
  for (int i = 0; i < N; i++) assert_int_equal(seen[i], 1);
  random_permutation(b, N, 5, 3);
  assert_memory_equal(a, b, sizeof a);
  random_permutation(b, N, 5, 4);
  assert_true(memcmp(a, b, sizeof a));
  random_permutation(b, N, 6, 3);
  assert_true(memcmp(a, b, sizeof a));
  for (uint32_t epoch = 0; epoch < 10000; epoch++) {
    random_permutation(b, 10, 1, epoch);
    first[b[0]]++;
  }
  for (int i = 0; i < 10; i++) assert_in_range(first[i], 850, 1150);
}

/* ---- the schedule ------------------------------------------------------------------------ */

static TinyPlan *with_rate(const PlanRate *rate, uint32_t n) {
  TinyPlan *p = tiny_plan_new();
  assert_non_null(p);
  p->plan.nrate = n;
  memcpy(p->rate, rate, n * sizeof *rate);
  return p;
}

static void schedule(void **state) {
  static const struct { PlanRate rate[5]; uint32_t n; double value; const char *text;
  } row[] = {
      {{{RATE_CONST, 0, 0.1}}, 1, 0.1, "0.1"},
      {{{RATE_EPOCH, 0, 0}, {RATE_CONST, 0, 3}, {RATE_IDIV, 0, 0}}, 3, 2, "int(epoch / 3)"},
      {{{RATE_CONST, 0, -7}, {RATE_CONST, 0, 3}, {RATE_IMOD, 0, 0}}, 3, -1, "int(-7 % 3)"},
      {{{RATE_CONST, 0, -7}, {RATE_CONST, 0, 3}, {RATE_IDIV, 0, 0}}, 3, -2, "int(-7 / 3)"},
      {{{RATE_CONST, 0, 0.5}, {RATE_STEP, 0, 0}, {RATE_MAX, 0, 0}}, 3, 70, "max(0.5, step)"},
      {{{RATE_PROGRESS, 0, 0}, {RATE_EPOCHS, 0, 0}, {RATE_STEPS, 0, 0}, {RATE_SELECT, 0, 0}},
       4,
       10,
       "(progress ? epochs : steps)"},
      {{{RATE_EPOCH, 0, 0}, {RATE_EPOCH, 0, 0}, {RATE_SUB, 0, 0}, {RATE_NOT, 0, 0}},
       4,
       1,
       "!(epoch - epoch)"},
      {{{RATE_CONST, 0, 4},
        {RATE_SQRT, 0, 0},
        {RATE_NEG, 0, 0},
        {RATE_CONST, 0, 3},
        {RATE_POW, 0, 0}},
       5,
       -8,
       "pow(-sqrt(4), 3)"},
  };
  RateTime t = {7, 70, 10, 100};
  char text[256];
  Fault f;
  (void)state;
  for (size_t i = 0; i < COUNT_OF(row); i++) {
    TinyPlan *p = with_rate(row[i].rate, row[i].n);
    assert_true(plan_check(&p->plan, 0, &f));
    assert_true(rate_of(&p->plan, &t) == row[i].value);
    rate_text(&p->plan, text, sizeof text);
    assert_string_equal(text, row[i].text);
    free(p);
  }
}

/* ---- options ----------------------------------------------------------------------------- */

static bool parse(RunOptions *o, Fault *f, const char *line) {
  static char copy[512];
  static char *argv[32];
  int argc = 1;
  argv[0] = copy;
  snprintf(copy, sizeof copy, "trainer %s", line);
  for (char *s = strchr(copy, ' '); s; s = strchr(s, ' ')) {
    *s++ = 0;
    if (*s) argv[argc++] = s;
  }
  *f = (Fault){0};
  return options_parse(o, argc, argv, f);
}

static void options_good(void **state) {
  RunOptions o;
  Fault f;
  (void)state;
  assert_true(parse(
      &o, &f,
      "-o run --data=d --steps 20 --seed=7 --threads 3 --json --log=step -q --max-memory=1G"));
  assert_string_equal(o.folder, "run");
  assert_true(o.steps.given && o.steps.n == 20 && o.seed.n == 7 && o.threads.n == 3 && o.json &&
              o.quiet);
  assert_int_equal(o.log, LOG_STEP);
  assert_true(o.max_memory.n == 1u << 30 && !o.epochs.given && !o.resume);
  assert_true(parse(&o, &f, "--resume -oX --progress=plain --"));
  assert_string_equal(o.resume, "");
  assert_string_equal(o.folder, "X");
  assert_int_equal(o.progress, PROGRESS_PLAIN);
}

/* Each is exit 2 and a message of at most three lines that names the argument. */
static void options_bad(void **state) {
  static const struct { const char *line, *names;
  } row[] = {
      {"--epoch 3", "did you mean --epochs"},
      {"--sed=1", "did you mean --seed"},
      {"--bogus", "--bogus"},
      {"--step", "--step"},
      {"--steps", "--steps"},
      {"--steps=", "--steps"},
      {"--steps x", "x"},
      {"--steps -1", "-1"},
      {"--steps 99999999999", "99999999999"},
      {"--threads 0", "0"},
      {"--threads 1e9", "1e9"},
      {"--threads 0x", "0x"},
      {"--threads -1", "-1"},
      {"--threads 5000", "5000"},
      {"--json=1", "--json"},
      {"-q -v", "--quiet"},
      {"--log=all", "all"},
      {"--log=", "--log"},
      {"--progress=maybe", "maybe"},
      {"--color=red", "red"},
      {"--max-memory=12x", "12x"},
      {"--max-memory=-5", "-5"},
      {"--resume --overwrite", "--overwrite"},
      {"--resume=a -o b", "a"},
      {"--resume=", "--resume"},
      {"file", "file"},
      {"-- file", "file"},
      {"-x", "-x"},
      {"-", "-"},
      {"-o", "--output"},
      {"--seed=4294967296", "4294967296"},
      {"--epochs=2000000", "2000000"},
      {"--seed=1.5", "1.5"},
      {"--data=", "--data"},
      {"--cpu", "--cpu"},
      {"-qv", "-qv"},
      {"--Steps=1", "--Steps"},
      {"--no-json", "--no-json"},
      {"--steps==3", "=3"},
      {"---json", "---json"},
      {"--help=x", "--help"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(row); i++) {
    RunOptions o;
    Fault f;
    int lines = 1;
    if (parse(&o, &f, row[i].line)) fail_msg("accepted: %s", row[i].line);
    assert_int_equal(f.code, LCW_USAGE);
    if (!strstr(f.text, row[i].names))
      fail_msg("%s: \"%s\" does not say %s", row[i].line, f.text, row[i].names);
    for (const char *s = f.text; *s; s++) lines += *s == '\n';
    assert_true(lines <= 3);
  }
}

/* ---- the pool ---------------------------------------------------------------------------- */

enum { ITEMS = 1003 };
static void fill(void *ctx, int64_t begin, int64_t end, uint32_t thread) {
  int *x = ctx;
  (void)thread;
  for (int64_t i = begin; i < end; i++) x[i]++;
}

/* Every item once, for any number of threads and items, in rounds that come fast and slowly. */
static void pool_covers(void **state) {
  static const uint32_t count[] = {0, 1, 2, 3, 7, 64, ITEMS};
  Fault f;
  (void)state;
  for (uint32_t threads = 1; threads <= 8; threads++) {
    int x[ITEMS] = {0}, want[ITEMS] = {0};
    Pool *p = pool_open(threads, &f);
    assert_non_null(p);
    for (int round = 0; round < 50; round++)
      for (size_t k = 0; k < COUNT_OF(count); k++) {
        pool_run(p, fill, x, count[k]);
        for (uint32_t i = 0; i < count[k]; i++) want[i]++;
      }
    assert_memory_equal(x, want, sizeof x);
    pool_close(p);
  }
}

/* ---- plan_check -------------------------------------------------------------------------- */

/* One 32-bit word of the plan at a time is set to wild values: no verdict is wrong enough to
 * read outside the block (the sanitizers watch), and what is accepted can be printed. */
static void plan_damaged(void **state) {
  static const uint32_t wild[] = {0, 1, 77, 0x7fffffff, 0x80000000, 0xffffffff};
  FILE *nowhere = fopen("/dev/null", "w");
  uint32_t refused = 0;
  Fault f;
  (void)state;
  assert_non_null(nowhere);
  for (size_t at = 0; at + 4 <= offsetof(TinyPlan, text); at += 4)
    for (size_t w = 0; w < COUNT_OF(wild); w++) {
      TinyPlan *p = tiny_plan_new();
      assert_non_null(p);
      memcpy((char *)p + at, &wild[w], 4);
      if (plan_check(&p->plan, sizeof *p, &f)) plan_print(&p->plan, nowhere);
      else refused++;
      free(p);
    }
  fclose(nowhere);
  assert_true(refused > 1000);
}

static void plan_good(void **state) {
  Fault f;
  (void)state;
  assert_true(plan_check(&lcw_plan.plan, sizeof lcw_plan, &f));
  assert_int_equal(plan_params(&lcw_plan.plan), 260);
}

static void cpu_choice(void **state) {
  Fault f;
  (void)state;
  assert_ptr_equal(cpu_select(lcw_table, "native", &f), lcw_table);
  assert_ptr_equal(cpu_select(lcw_table, "baseline", &f), lcw_table);
  assert_null(cpu_select(lcw_table, "avx512", &f));
  assert_int_equal(f.code, LCW_DEVICE);
  assert_non_null(strstr(f.text, "baseline"));
}

int main(void) {
  const struct CMUnitTest test[] = {
      cmocka_unit_test(reader_stays_bad), cmocka_unit_test(decimals),
      cmocka_unit_test(json_in_place),    cmocka_unit_test(json_refused),
      cmocka_unit_test(known_answers),    cmocka_unit_test(permutation),
      cmocka_unit_test(schedule),         cmocka_unit_test(options_good),
      cmocka_unit_test(options_bad),      cmocka_unit_test(pool_covers),
      cmocka_unit_test(plan_good),        cmocka_unit_test(plan_damaged),
      cmocka_unit_test(cpu_choice),
  };
  return cmocka_run_group_tests(test, NULL, NULL);
}
