/* runtime_data.c: data sets: what is read is what was written, and every broken file is refused
 * with exit 3 (or 6 for a limit), its name and the reason, at a bounded cost of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <zlib.h>
#include <cmocka.h>
#include "data.h"
#include "scratch.h"

enum { IMAGES = 6, PIXELS = 6, TRAIN_X = 0, TRAIN_Y = 1, TEST_X = 2, TEST_Y = 3, FILES = 4 };

typedef struct { unsigned char *p; size_t n; } Bytes;

static const char *const idx_name[FILES] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                            "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
static Scratch scratch;

/* ---- making files ------------------------------------------------------------------------ */

static Bytes bytes_of(const void *p, size_t n) {
  Bytes b = {malloc(n + 64), n};
  assert_non_null(b.p);
  memcpy(b.p, p, n);
  memset(b.p + n, 0, 64);
  return b;
}

/* Images of 2 x 3 pixels (0, 1, 2, ...) or labels 0, 1, 2, 0, 1, 2. */
static Bytes good_idx(int file) {
  unsigned char images[16 + IMAGES * PIXELS] = {0, 0, 8, 3, 0, 0, 0, IMAGES,
                                                0, 0, 0, 2, 0, 0, 0, 3};
  unsigned char labels[8 + IMAGES] = {0, 0, 8, 1, 0, 0, 0, IMAGES, 0, 1, 2, 0, 1, 2};
  for (int i = 0; i < IMAGES * PIXELS; i++) images[16 + i] = (unsigned char)i;
  return file % 2 ? bytes_of(labels, sizeof labels) : bytes_of(images, sizeof images);
}

static Bytes gzip(Bytes in) {
  z_stream z = {0};
  Bytes out = {malloc(in.n + 1024), 0};
  assert_non_null(out.p);
  assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = in.p;
  z.avail_in = (uInt)in.n;
  z.next_out = out.p;
  z.avail_out = (uInt)(in.n + 1024);
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  out.n = z.total_out;
  deflateEnd(&z);
  free(in.p);
  return out;
}

static Bytes join(Bytes a, Bytes b) {
  Bytes all = {malloc(a.n + b.n + 64), a.n + b.n};
  assert_non_null(all.p);
  memcpy(all.p, a.p, a.n);
  memcpy(all.p + a.n, b.p, b.n);
  free(a.p);
  free(b.p);
  return all;
}

static void put_file(const char *name, Bytes b) {
  char path[128];
  snprintf(path, sizeof path, "set/%s", name);
  unlink(scratch_path(&scratch, path));
  scratch_write(scratch_path(&scratch, path), b.p, b.n);
  free(b.p);
}

/* A fresh folder "set" with the four good files. */
static void good_set(void) {
  scratch_remove(scratch_path(&scratch, "set"));
  assert_int_equal(mkdir(scratch_path(&scratch, "set"), 0700), 0);
  for (int i = 0; i < FILES; i++) put_file(idx_name[i], good_idx(i));
}

static DataRequest idx_request(void) {
  return (DataRequest){
      .kind = DATA_IDX, .path = "set", .root = {scratch.path}, .normalize = NORMALIZE_NONE};
}

/* ---- what is good ------------------------------------------------------------------------ */

static void check_idx(void) {
  DataRequest r = idx_request();
  Data d;
  Fault f = {0};
  if (!data_open(&d, &r, &f)) fail_msg("%s", f.text);
  assert_true(d.train.count == IMAGES && d.test.count == IMAGES && d.classes == 3);
  assert_true(d.rank == 3 && d.dim[0] == 2 && d.dim[1] == 3 && d.dim[2] == 1 && d.channels == 1);
  for (int i = 0; i < IMAGES * PIXELS; i++)
    assert_int_equal(((unsigned char *)d.train.sample)[i], i);
  for (int i = 0; i < IMAGES; i++) assert_int_equal(((int32_t *)d.test.label)[i], i % 3);
  assert_true(d.scale[0] == (float)(1.0 / 255) && d.shift[0] == 0);
  data_close(&d);
  assert_true(data_peek(&d, &r, &f) && d.train.count == IMAGES && d.classes == 3 &&
              !d.train.sample);
}

static void idx_plain_and_gzip(void **state) {
  (void)state;
  good_set();
  check_idx();
  put_file(idx_name[0], gzip(good_idx(0))); /* gzip by its bytes, not by its name */
  check_idx();
  unlink(scratch_path(&scratch, "set/train-labels-idx1-ubyte"));
  put_file("train-labels-idx1-ubyte.gz", gzip(good_idx(1)));
  check_idx();
  Bytes whole = good_idx(0), a = bytes_of(whole.p, 20), b = bytes_of(whole.p + 20, whole.n - 20);
  free(whole.p);
  put_file(idx_name[0], join(gzip(a), gzip(b))); /* two members, one stream */
  check_idx();
}

static void normalised(void **state) {
  DataRequest r = idx_request();
  Data d;
  Fault f;
  double mean = 0, square = 0;
  (void)state;
  good_set();
  r.normalize = NORMALIZE_CHANNEL;
  assert_true(data_open(&d, &r, &f));
  const unsigned char *x = d.train.sample;
  for (int i = 0; i < IMAGES * PIXELS; i++) mean += (double)((float)x[i] * d.scale[0] + d.shift[0]);
  mean /= IMAGES * PIXELS;
  for (int i = 0; i < IMAGES * PIXELS; i++) {
    double y = (double)((float)x[i] * d.scale[0] + d.shift[0]) - mean;
    square += y * y;
  }
  assert_true(mean * mean < 1e-12);
  assert_float_equal((float)(square / (IMAGES * PIXELS)), 1.0f, 1e-5f);
  data_close(&d);
}

static void synthetic(void **state) {
  DataRequest r = {.kind = DATA_SYNTHETIC, .classes = 4, .rank = 3, .dim = {8, 8, 3}, .samples = 50,
                   .test_samples = 10, .seed = 3};
  Data a, b;
  Fault f;
  (void)state;
  assert_true(data_open(&a, &r, &f) && data_open(&b, &r, &f));
  assert_true(a.train.sample_bytes == 192 && a.channels == 3 && a.classes == 4);
  assert_true(a.fingerprint == b.fingerprint);
  assert_memory_equal(a.test.sample, b.test.sample, 10 * 192);
  data_close(&b);
  r.seed = 4;
  assert_true(data_open(&b, &r, &f) && a.fingerprint != b.fingerprint);
  data_close(&a);
  data_close(&b);
}

static void roots_in_order(void **state) {
  DataRequest r = idx_request();
  Data d;
  Fault f;
  (void)state;
  good_set();
  r.root[0] = "/nonexistent-root";
  r.root[1] = scratch.path;
  assert_true(data_open(&d, &r, &f));
  data_close(&d);
  r.path = "missing";
  assert_false(data_open(&d, &r, &f));
  assert_int_equal(f.code, LCW_DATA);
  assert_non_null(strstr(f.text, "/nonexistent-root/missing"));
  assert_non_null(strstr(f.text, scratch_path(&scratch, "missing")));
}

static void not_executable_yet(void **state) {
  DataRequest r = {.kind = DATA_CIFAR, .path = "x"};
  Data d;
  Fault f;
  (void)state;
  assert_false(data_open(&d, &r, &f));
  assert_int_equal(f.code, LCW_INPUT);
}

/* ---- broken IDX -------------------------------------------------------------------------- */

/* How a good file is made bad: cut or grown to a length, some bytes set, before or after gzip. */
typedef struct {
  const char *name;
  int file, gz;
  int length; /* 0: as it is; > 0: that many bytes; < 0: that many fewer; 99xx: longer */
  int at, n;
  unsigned char to[8];
  int code;                /* 0: LCW_DATA */
} BadIdx;

enum { PLAIN = 0, BEFORE_GZIP = 1, AFTER_GZIP = 2, LONGER = 9900 };

static const BadIdx bad_idx[] = {
    {"no magic", TRAIN_X, PLAIN, 0, 0, 2, {1, 1}, 0},
    {"one byte", TRAIN_X, PLAIN, 1, 0, 0, {0}, 0},
    {"three bytes", TRAIN_X, PLAIN, 3, 0, 0, {0}, 0},
    {"half a header", TRAIN_X, PLAIN, 9, 0, 0, {0}, 0},
    {"signed bytes", TRAIN_X, PLAIN, 0, 2, 1, {9}, 0},
    {"floats", TRAIN_X, PLAIN, 0, 2, 1, {0x0d}, 0},
    {"rank 0", TRAIN_X, PLAIN, 0, 3, 1, {0}, 0},
    {"rank 1", TRAIN_X, PLAIN, 0, 3, 1, {1}, 0},
    {"rank 5", TRAIN_X, PLAIN, 0, 3, 1, {5}, 0},
    {"rank 255", TRAIN_X, PLAIN, 0, 3, 1, {255}, 0},
    {"no images", TRAIN_X, PLAIN, 0, 4, 4, {0, 0, 0, 0}, 0},
    {"height 0", TRAIN_X, PLAIN, 0, 8, 4, {0, 0, 0, 0}, 0},
    {"one image more", TRAIN_X, PLAIN, 0, 7, 1, {IMAGES + 1}, 0},
    {"one image less", TRAIN_X, PLAIN, 0, 7, 1, {IMAGES - 1}, 0},
    {"2^31 images", TRAIN_X, PLAIN, 0, 4, 4, {0x80, 0, 0, 0}, LCW_LIMIT},
    {"2^24 images", TRAIN_X, PLAIN, 0, 4, 4, {1, 0, 0, 0}, 0},
    {"huge sample", TRAIN_X, PLAIN, 0, 8, 8, {0, 1, 0, 0, 0, 1, 0, 0}, LCW_LIMIT},
    {"product wraps",
     TRAIN_X,
     PLAIN,
     0,
     4,
     8,
     {0x7f, 255, 255, 255, 0x7f, 255, 255, 255},
     LCW_LIMIT},
    {"one byte less", TRAIN_X, PLAIN, -1, 0, 0, {0}, 0},
    {"one byte more", TRAIN_X, PLAIN, LONGER + 1, 0, 0, {0}, 0},
    {"labels short", TRAIN_Y, PLAIN, -1, 0, 0, {0}, 0},
    {"labels long", TRAIN_Y, PLAIN, LONGER + 3, 0, 0, {0}, 0},
    {"labels fewer", TRAIN_Y, PLAIN, -1, 7, 1, {IMAGES - 1}, 0},
    {"labels rank 3", TRAIN_Y, PLAIN, 0, 3, 1, {3}, 0},
    {"labels type", TRAIN_Y, PLAIN, 0, 2, 1, {0x0b}, 0},
    {"label beyond", TRAIN_Y, PLAIN, 0, 9, 1, {200}, 0},
    {"test shape", TEST_X, PLAIN, 0, 8, 8, {0, 0, 0, 3, 0, 0, 0, 2}, 0},
    {"test rank", TEST_X, PLAIN, 0, 3, 1, {2}, 0},
    {"test label beyond", TEST_Y, PLAIN, 0, 8, 1, {3}, 0},
    {"test short", TEST_X, PLAIN, -5, 0, 0, {0}, 0},
    {"gzip of too few", TRAIN_X, BEFORE_GZIP, -1, 0, 0, {0}, 0},
    {"gzip of too many", TRAIN_X, BEFORE_GZIP, LONGER + 1, 0, 0, {0}, 0},
    {"gzip claims 2 GiB", TRAIN_X, BEFORE_GZIP, 0, 4, 4, {0x10, 0, 0, 0}, 0},
    {"gzip of no IDX", TRAIN_X, BEFORE_GZIP, 0, 0, 1, {7}, 0},
    {"gzip only magic", TRAIN_X, AFTER_GZIP, 2, 0, 0, {0}, 0},
    {"gzip half a header", TRAIN_X, AFTER_GZIP, 7, 0, 0, {0}, 0},
    {"gzip cut", TRAIN_X, AFTER_GZIP, -12, 0, 0, {0}, 0},
    {"gzip without length", TRAIN_X, AFTER_GZIP, -4, 0, 0, {0}, 0},
    {"gzip trailing zero", TRAIN_X, AFTER_GZIP, LONGER + 1, 0, 0, {0}, 0},
    {"gzip method", TRAIN_X, AFTER_GZIP, 0, 2, 1, {5}, 0},
    {"gzip flags", TRAIN_X, AFTER_GZIP, 0, 3, 1, {0xe0}, 0},
    {"gzip block type", TRAIN_X, AFTER_GZIP, 0, 10, 1, {7}, 0},
    {"gzip check sum", TRAIN_X, AFTER_GZIP, 0, -8, 1, {0}, 0},
    {"gzip length", TRAIN_X, AFTER_GZIP, 0, -4, 1, {1}, 0},
    {"gzip labels cut", TRAIN_Y, AFTER_GZIP, -9, 0, 0, {0}, 0},
};

static Bytes damage(Bytes b, const BadIdx *bad) {
  size_t n = bad->length == 0 ? b.n : bad->length >= LONGER ? b.n + (size_t)(bad->length - LONGER)
             : bad->length > 0 ? (size_t)bad->length : b.n - (size_t)-bad->length;
  Bytes out = {calloc(n + 64, 1), n};
  assert_non_null(out.p);
  memcpy(out.p, b.p, n < b.n ? n : b.n);
  size_t at = bad->at < 0 ? b.n - (size_t)-bad->at : (size_t)bad->at;
  for (int i = 0; i < bad->n; i++)
    out.p[at + (size_t)i] =
        bad->at < 0 ? (unsigned char)(out.p[at + (size_t)i] ^ 0x55) : bad->to[i];
  free(b.p);
  return out;
}

/* Refused, with the code, the file's name and no memory kept. */
static void must_refuse(const DataRequest *r, const char *what, const char *file, int code) {
  Data d;
  Fault f = {0};
  if (data_open(&d, r, &f)) fail_msg("accepted: %s", what);
  if (f.code != code) fail_msg("%s: exit %d, not %d: %s", what, f.code, code, f.text);
  if (file && !strstr(f.text, file)) fail_msg("%s: \"%s\" does not name %s", what, f.text, file);
  assert_null(d.train.sample);
}

static void idx_broken(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad_idx); i++) {
    const BadIdx *bad = &bad_idx[i];
    DataRequest r = idx_request();
    Bytes b = good_idx(bad->file);
    good_set();
    if (bad->gz == AFTER_GZIP) b = gzip(b);
    b = damage(b, bad);
    if (bad->gz == BEFORE_GZIP) b = gzip(b);
    put_file(idx_name[bad->file], b);
    if (strstr(bad->name, "label beyond")) r.classes = 3;
    must_refuse(&r, bad->name, idx_name[bad->file], bad->code ? bad->code : LCW_DATA);
  }
}

/* Things that are no plain files, or not where they should be. */
static void idx_odd_files(void **state) {
  DataRequest r = idx_request();
  const char *path = "set/train-images-idx3-ubyte";
  (void)state;
  for (int i = 0; i < FILES; i++) {
    good_set();
    char name[64];
    snprintf(name, sizeof name, "set/%s", idx_name[i]);
    unlink(scratch_path(&scratch, name));
    must_refuse(&r, "a file is missing", idx_name[i], LCW_DATA);
  }
  good_set();
  put_file(idx_name[0], bytes_of("", 0));
  must_refuse(&r, "empty", idx_name[0], LCW_DATA);
  unlink(scratch_path(&scratch, path));
  assert_int_equal(mkfifo(scratch_path(&scratch, path), 0600), 0);
  must_refuse(&r, "a pipe", idx_name[0], LCW_DATA);
  unlink(scratch_path(&scratch, path));
  assert_int_equal(mkdir(scratch_path(&scratch, path), 0700), 0);
  must_refuse(&r, "a folder", idx_name[0], LCW_DATA);
  rmdir(scratch_path(&scratch, path));
  assert_int_equal(symlink("/dev/zero", scratch_path(&scratch, path)), 0);
  must_refuse(&r, "a link", idx_name[0], LCW_DATA);
}

static void paths_stay_inside(void **state) {
  static const char *const path[] = {"../etc", "/etc", "set/../../etc", "link", "link/x"};
  (void)state;
  good_set();
  unlink(scratch_path(&scratch, "link"));
  assert_int_equal(symlink("/etc", scratch_path(&scratch, "link")), 0);
  for (size_t i = 0; i < COUNT_OF(path); i++) {
    DataRequest r = idx_request();
    r.path = path[i];
    must_refuse(&r, path[i], path[i], LCW_DATA);
  }
}

/* ---- npy --------------------------------------------------------------------------------- */

/* A file of version 1 with this dictionary and n bytes of body 0, 1, 2, ... */
static void put_npy(const char *name, const char *dictionary, size_t n) {
  unsigned char b[512] = "\x93NUMPY\x01";
  size_t len = strlen(dictionary);
  b[8] = (unsigned char)len;
  memcpy(b + 10, dictionary, len);
  for (size_t i = 0; i < n; i++) b[10 + len + i] = (unsigned char)(i % 3);
  scratch_write(scratch_path(&scratch, name), b, 10 + len + n);
}

#define DICT(descr, order, shape)                                                                  \
  "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }\n"

static DataRequest npy_request(void) {
  return (DataRequest){.kind = DATA_NPY, .path = "x.npy", .path2 = "y.npy", .root = {scratch.path}};
}

static void npy_read(void **state) {
  DataRequest r = npy_request();
  Data d;
  Fault f = {0};
  (void)state;
  put_npy("x.npy", DICT("|u1", "False", "(4, 2, 1, 3)"), 24);
  put_npy("y.npy", DICT("|u1", "False", "(4,)"), 4);
  if (!data_open(&d, &r, &f)) fail_msg("%s", f.text);
  assert_true(d.dtype == DTYPE_U8 && d.rank == 3 && d.dim[0] == 1 && d.dim[1] == 3 &&
              d.dim[2] == 2);
  static const unsigned char want[] = {0, 0, 1,
                                       1, 2, 2}; /* [2, 1, 3] = 0 1 2 0 1 2, channels last */
  assert_memory_equal(d.train.sample, want, 6);
  assert_int_equal(d.classes, 3);
  data_close(&d);
  float value[4] = {1.5f, -2, 0, 7};
  char head[128] = "\x93NUMPY\x01\0\0\0";
  const char *dict = DICT("<f4", "False", "(2, 2)");
  head[8] = (char)strlen(dict);
  memcpy(head + 10, dict, strlen(dict));
  memcpy(head + 10 + strlen(dict), value, sizeof value);
  scratch_write(scratch_path(&scratch, "x.npy"), head, 10 + strlen(dict) + sizeof value);
  scratch_write(scratch_path(&scratch, "y.npy"), head, 10 + strlen(dict) + sizeof value);
  r.targets = true;
  if (!data_open(&d, &r, &f)) fail_msg("%s", f.text);
  assert_true(d.dtype == DTYPE_F32 && d.rank == 1 && d.train.label_bytes == 8 && d.scale[0] == 1);
  assert_memory_equal(d.train.sample, value, sizeof value);
  assert_memory_equal(d.train.label, value, sizeof value);
  data_close(&d);
}

static void npy_broken(void **state) {
  static const struct { const char *name, *dict; size_t n; int code;
  } bad[] = {
      {"objects", DICT("|O", "False", "(4, 2)"), 8, 0},
      {"f2", DICT("<f2", "False", "(4, 2)"), 16, 0},
      {"big-endian", DICT(">f4", "False", "(4, 2)"), 32, 0},
      {"complex", DICT("<c8", "False", "(4, 2)"), 64, 0},
      {"u2", DICT("<u2", "False", "(4, 2)"), 16, 0},
      {"record", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }\n", 16, 0},
      {"fortran", DICT("|u1", "True", "(4, 2)"), 8, 0},
      {"scalar", DICT("|u1", "False", "()"), 1, 0},
      {"vector", DICT("|u1", "False", "(4,)"), 4, 0},
      {"rank 3", DICT("|u1", "False", "(4, 2, 2)"), 16, 0},
      {"rank 7", DICT("|u1", "False", "(1, 1, 1, 1, 1, 1, 1)"), 1, 0},
      {"empty", DICT("|u1", "False", "(0, 2)"), 0, 0},
      {"short", DICT("|u1", "False", "(4, 2)"), 7, 0},
      {"trailing", DICT("|u1", "False", "(4, 2)"), 9, 0},
      {"huge", DICT("|u1", "False", "(4000000000, 2)"), 8, LCW_LIMIT},
      {"wraps", DICT("<f8", "False", "(2147483647, 2147483647)"), 8, LCW_LIMIT},
      {"size overflows", DICT("|u1", "False", "(99999999999999999999, 2)"), 8, 0},
      {"negative", DICT("|u1", "False", "(-4, 2)"), 8, 0},
      {"no shape", "{'descr': '|u1', 'fortran_order': False, }\n", 8, 0},
      {"twice", "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (4, 2), }\n", 8,
       0},
      {"unknown key", "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2), 'x': 1, }\n", 8,
       0},
      {"no dictionary", "[1, 2]\n", 8, 0},
      {"open", "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 2)", 8, 0},
      {"after it", DICT("|u1", "False", "(4, 2)") "x", 8, 0},
      {"quotes", "{'descr: |u1, 'fortran_order': False, 'shape': (4, 2), }\n", 8, 0},
  };
  DataRequest r = npy_request();
  (void)state;
  put_npy("y.npy", DICT("|u1", "False", "(4,)"), 4);
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    put_npy("x.npy", bad[i].dict, bad[i].n);
    must_refuse(&r, bad[i].name, "x.npy", bad[i].code ? bad[i].code : LCW_DATA);
  }
}

static void npy_broken_labels(void **state) {
  static const struct { const char *name, *dict; size_t n; } bad[] = {
      {"floats", DICT("<f4", "False", "(4,)"), 16}, {"too few", DICT("|u1", "False", "(3,)"), 3},
      {"one-hot", DICT("|u1", "False", "(4, 3)"), 12}, {"beyond", DICT("<i4", "False", "(4,)"), 16},
      {"no integers", DICT("<f8", "False", "(4,)"), 32},
  };
  DataRequest r = npy_request();
  unsigned char junk[16] = "\x93NUMPY\x09";
  (void)state;
  r.classes = 3;
  put_npy("x.npy", DICT("|u1", "False", "(4, 2)"), 8);
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    put_npy("y.npy", bad[i].dict, bad[i].n);
    must_refuse(&r, bad[i].name, "y.npy", LCW_DATA);
  }
  scratch_write(scratch_path(&scratch, "y.npy"), junk, sizeof junk);
  must_refuse(&r, "version 9", "y.npy", LCW_DATA);
  junk[6] = 2; /* a header of 2^32 - 1 bytes */
  memset(junk + 8, 255, 4);
  scratch_write(scratch_path(&scratch, "y.npy"), junk, sizeof junk);
  must_refuse(&r, "header length", "y.npy", LCW_LIMIT);
  float nan_body[2] = {1, __builtin_nanf("")};
  char head[160] = "\x93NUMPY\x01\0\0\0";
  const char *dict = DICT("<f4", "False", "(1, 2)");
  head[8] = (char)strlen(dict);
  memcpy(head + 10, dict, strlen(dict));
  memcpy(head + 10 + strlen(dict), nan_body, sizeof nan_body);
  scratch_write(scratch_path(&scratch, "x.npy"), head, 10 + strlen(dict) + sizeof nan_body);
  must_refuse(&r, "NaN", "x.npy", LCW_DATA);
}

/* ---- memory ------------------------------------------------------------------------------ */

/* 200 MiB of zeros behind a header that asks for 36 bytes, and behind one that asks for all but
 * one byte of them: neither is ever held in memory. */
static void bombs(void **state) {
  enum { BOMB = 200 << 20 };
  DataRequest r = idx_request();
  struct rusage before, after;
  unsigned char *zeros = calloc(BOMB, 1);
  (void)state;
  assert_non_null(zeros);
  good_set();
  Bytes head = good_idx(0), bomb = gzip((Bytes){zeros, BOMB});
  Bytes small = join(gzip(bytes_of(head.p, 16)), bytes_of(bomb.p, bomb.n));
  static const unsigned char claim[8] = {0, 0, 0, 6, 0, 0x80, 0, 0}; /* 6 x 2^23 x 3 < BOMB */
  memcpy(head.p + 4, claim, sizeof claim);
  Bytes large = join(gzip(bytes_of(head.p, 16)), bomb);
  free(head.p);
  put_file(idx_name[0], small);
  getrusage(RUSAGE_SELF, &before);
  must_refuse(&r, "small claim", idx_name[0], LCW_DATA);
  put_file(idx_name[0], large);
  must_refuse(&r, "large claim", idx_name[0], LCW_DATA);
  getrusage(RUSAGE_SELF, &after);
  assert_true(after.ru_maxrss - before.ru_maxrss < 4096);
}

static int setup(void **state) {
  (void)state;
  scratch = scratch_new();
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(scratch.path);
  return 0;
}

int main(void) {
  const struct CMUnitTest test[] = {
      cmocka_unit_test(idx_plain_and_gzip), cmocka_unit_test(normalised),
      cmocka_unit_test(synthetic),          cmocka_unit_test(roots_in_order),
      cmocka_unit_test(not_executable_yet), cmocka_unit_test(idx_broken),
      cmocka_unit_test(idx_odd_files),      cmocka_unit_test(paths_stay_inside),
      cmocka_unit_test(npy_read),           cmocka_unit_test(npy_broken),
      cmocka_unit_test(npy_broken_labels),  cmocka_unit_test(bombs),
  };
  return cmocka_run_group_tests(test, setup, teardown);
}
