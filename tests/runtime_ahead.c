/* runtime_ahead.c: what is made ready while a network is compiled is what the run would have made
 * itself: data, faults and memory; and it does without where there is nothing ready. */
#include "ahead.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include <sys/mman.h>

static DataRequest synthetic(uint64_t samples) {
  return (DataRequest){.kind = DATA_SYNTHETIC, .normalize = NORMALIZE_CHANNEL, .classes = 10,
                       .rank = 3, .dim = {8, 8, 1}, .samples = samples, .test_samples = 50,
                       .seed = 3};
}

/* Samples, labels and scales of two equal sets. */
static void assert_same(const Data *a, const Data *b) {
  assert_int_equal(a->train.count, b->train.count);
  assert_int_equal(a->fingerprint, b->fingerprint);
  assert_memory_equal(a->train.sample, b->train.sample,
                      (size_t)a->train.count * a->train.sample_bytes);
  assert_memory_equal(a->scale, b->scale, a->channels * sizeof *a->scale);
}

static void test_data(void **state) {
  (void)state;
  Fault f = {0};
  Data own, ready, again, other;
  DataRequest r = synthetic(200), more = synthetic(300);
  assert_true(data_open(&own, &r, &f));
  Ahead *a = ahead_begin(&r, 0);
  assert_non_null(a);
  assert_true(ahead_data(a, &more, &other, &f)); /* not what was asked for */
  assert_int_equal(300, other.train.count);
  assert_true(ahead_data(a, &r, &ready, &f));
  assert_true(ahead_data(a, &r, &again, &f)); /* it was given away */
  assert_same(&own, &ready);
  assert_same(&own, &again);
  assert_ptr_not_equal(ready.train.sample, again.train.sample);
  ahead_close(a);
  data_close(&own), data_close(&ready), data_close(&again), data_close(&other);
}

/* A data set that is wrong is refused with the text of data_open(). */
static void test_fault(void **state) {
  (void)state;
  Fault own = {0}, f = {0};
  Data d;
  DataRequest r = {.kind = DATA_IDX, .path = "no-such-folder", .root = {"/tmp"}};
  assert_false(data_open(&d, &r, &own));
  Ahead *a = ahead_begin(&r, 0);
  assert_false(ahead_data(a, &r, &d, &f));
  assert_int_equal(own.code, f.code);
  assert_string_equal(own.text, f.text);
  ahead_close(a);
}

static void test_memory(void **state) {
  (void)state;
  enum { PARAMETERS = 20 << 20, ARENA = 50 << 20 };
  DataRequest r = synthetic(20);
  Ahead *a = ahead_begin(&r, PARAMETERS);
  assert_null(ahead_memory(a, UINT64_MAX)); /* more than there is room for */
  char *map = ahead_memory(a, ARENA);
  assert_non_null(map);
  for (size_t i = 0; i < ARENA; i++) assert_int_equal(0, map[i]);
  memset(map, 1, ARENA);
  assert_null(ahead_memory(a, ARENA)); /* it was given away */
  ahead_close(a);
  assert_int_equal(1, map[ARENA - 1]);
  munmap(map, ARENA);
}

/* No thread, nobody waits for it, nothing is taken: all of it is allowed. */
static void test_none(void **state) {
  (void)state;
  Fault f = {0};
  Data d;
  DataRequest r = synthetic(20);
  assert_true(ahead_data(NULL, &r, &d, &f));
  assert_null(ahead_memory(NULL, 4096));
  ahead_close(NULL);
  ahead_close(ahead_begin(&r, 1 << 20));
  data_close(&d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_data), cmocka_unit_test(test_fault),
                                     cmocka_unit_test(test_memory), cmocka_unit_test(test_none)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
