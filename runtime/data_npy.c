/* data_npy.c: arrays as NumPy saves them: x.npy with the samples, [n, m] or [n, C, H, W], and
 * y.npy with labels (integers) or targets (floats). Little-endian, C order, f4 f8 u1 i4 i8;
 * anything else is refused by its name. The header is parsed as the one dictionary that NumPy
 * writes. Bytes stay bytes; the rest becomes f32; images become [H, W, C]. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "data_source.h"
#include "reader.h"
#include "seed.h"

enum { NPY_HEADER = 1 << 16, NPY_RANK = 6 };

typedef enum { NPY_F4, NPY_F8, NPY_U1, NPY_I4, NPY_I8, NPY_TYPES } NpyType;
static const struct { const char *text; size_t bytes; } npy_type[NPY_TYPES] = {
    {"<f4", 4}, {"<f8", 8}, {"|u1", 1}, {"<i4", 4}, {"<i8", 8}};

typedef struct {
  Stream s;
  NpyType type;
  uint32_t rank;
  uint64_t dim[NPY_RANK];
  size_t count;  /* numbers */
  uint64_t body; /* where they begin */
} Npy;

/* ---- the header ------------------------------------------------------------------------ */

static void skip_space(const char **p) { *p += strspn(*p, " \n"); }

/* Takes `text` (after spaces) if it is next. */
static bool take(const char **p, const char *text) {
  skip_space(p);
  if (strncmp(*p, text, strlen(text))) return false;
  *p += strlen(text);
  return true;
}

/* 'abc' with at most n - 1 characters. */
static bool take_string(const char **p, char *out, size_t n) {
  if (!take(p, "'")) return false;
  size_t k = strcspn(*p, "'");
  if (k >= n || (*p)[k] == 0) return false;
  memcpy(out, *p, k);
  out[k] = 0;
  *p += k + 1;
  return true;
}

/* (60000, 28, 28) or (60000,) */
static bool take_shape(const char **p, Npy *a) {
  if (!take(p, "(")) return false;
  for (a->rank = 0; !take(p, ")");) {
    uint64_t x = 0;
    skip_space(p);
    if (a->rank == NPY_RANK || **p < '0' || **p > '9') return false;
    for (; **p >= '0' && **p <= '9'; ++*p)
      if (__builtin_mul_overflow(x, 10u, &x) ||
          __builtin_add_overflow(x, (uint64_t)(**p - '0'), &x))
        return false;
    a->dim[a->rank++] = x;
    if (!take(p, ",") && (skip_space(p), **p != ')')) return false;
  }
  return true;
}

/* The type by its name; refused types are shown. */
static bool set_type(Npy *a, const char *descr, Fault *f) {
  char what[160];
  for (int t = 0; t < NPY_TYPES; t++)
    if (!strcmp(descr, npy_type[t].text) || (t == NPY_U1 && !strcmp(descr, "<u1"))) {
      a->type = (NpyType)t;
      return true;
    }
  snprintf(what, sizeof what, "type '%.40s' is not read; f4, f8, u1, i4, i8, little-endian, are",
           descr);
  return stream_fault(&a->s, f, what);
}

/* The dictionary: three keys, each once, in any order. */
static bool npy_dictionary(Npy *a, const char *p, Fault *f) {
  char key[16], descr[64];
  unsigned seen = 0;
  bool fortran = false;
  if (!take(&p, "{")) return stream_fault(&a->s, f, "its header is no dictionary");
  while (!take(&p, "}")) {
    if (!take_string(&p, key, sizeof key) || !take(&p, ":"))
      return stream_fault(&a->s, f, "its header is damaged");
    unsigned bit = !strcmp(key, "descr")           ? 1
                   : !strcmp(key, "fortran_order") ? 2
                   : !strcmp(key, "shape")         ? 4
                                                   : 0;
    bool ok = bit && !(seen & bit);
    if (bit == 1) ok = ok && take_string(&p, descr, sizeof descr);
    if (bit == 2) ok = ok && ((fortran = take(&p, "True")) || take(&p, "False"));
    if (bit == 4) ok = ok && take_shape(&p, a);
    if (!ok || (!take(&p, ",") && (skip_space(&p), *p != '}')))
      return stream_fault(&a->s, f, "its header is damaged");
    seen |= bit;
  }
  skip_space(&p);
  if (*p || seen != 7) return stream_fault(&a->s, f, "its header is damaged");
  if (fortran)
    return stream_fault(&a->s, f, "it is in Fortran order; numpy.ascontiguousarray makes it C");
  return set_type(a, descr, f);
}

/* Magic, version and the length of the dictionary; then the dictionary. */
static bool npy_head(Npy *a, Fault *f) {
  unsigned char raw[12];
  if (!stream_read(&a->s, raw, 8, f)) return false;
  if (memcmp(raw, "\x93NUMPY", 6)) return stream_fault(&a->s, f, "it is not an npy file");
  size_t width = raw[6] == 1 ? 2 : 4;
  if (raw[6] < 1 || raw[6] > 3 || raw[7]) return stream_fault(&a->s, f, "unknown npy version");
  if (!stream_read(&a->s, raw + 8, width, f)) return false;
  Reader r = reader_of(raw + 8, width);
  uint32_t n = width == 2 ? reader_u16le(&r) : reader_u32le(&r);
  if (n > NPY_HEADER)
    return fault_set(f, LCW_LIMIT, "%s: its header has %u bytes, the limit is %d", a->s.name, n,
                     NPY_HEADER);
  char *text = memory_new((size_t)n + 1, 1, a->s.name, f);
  bool ok = text && stream_read(&a->s, text, n, f);
  if (ok && strlen(text) != n) ok = stream_fault(&a->s, f, "its header is damaged");
  ok = ok && npy_dictionary(a, text, f);
  free(text);
  a->body = 8 + width + n;
  return ok;
}

/* Opens a file, proves its header and that its size is what the header says. */
static bool npy_file(Npy *a, const DataRequest *r, const char *path, Fault *f) {
  char shown[PATH_BYTES];
  size_t bytes;
  memset(a, 0, sizeof *a);
  int fd = path_find(r, path, false, shown, f);
  a->s.fd = -1;
  if (fd < 0) return false;
  bool ok = stream_open(&a->s, fd, shown, f) && npy_head(a, f);
  if (ok && a->rank == 0) ok = stream_fault(&a->s, f, "it is a single number");
  ok = ok && shape_bytes(a->s.name, a->dim, a->rank, npy_type[a->type].bytes, &bytes, f) &&
       stream_holds(&a->s, a->body + bytes, f);
  if (ok) a->count = bytes / npy_type[a->type].bytes;
  if (!ok) stream_close(&a->s);
  return ok;
}

/* ---- the numbers ----------------------------------------------------------------------- */

/* Back to the first number (stream_holds may have read on). */
static bool npy_body(Npy *a, Fault *f) {
  unsigned char skip[4096];
  if (!stream_rewind(&a->s, f)) return false;
  for (uint64_t left = a->body, n; left; left -= n) {
    n = left < sizeof skip ? left : sizeof skip;
    if (!stream_read(&a->s, skip, n, f)) return false;
  }
  return true;
}

/* Number i of a block as it came from the file. */
static double npy_value(NpyType type, const unsigned char *p) {
  Reader r = reader_of(p, 8);
  uint32_t w;
  uint64_t x;
  float single;
  double number;
  switch (type) {
  case NPY_F4:
    w = reader_u32le(&r);
    memcpy(&single, &w, sizeof w);
    return (double)single;
  case NPY_F8:
    x = reader_u64le(&r);
    memcpy(&number, &x, sizeof x);
    return number;
  case NPY_I4: return (double)(int32_t)reader_u32le(&r);
  case NPY_I8: return (double)(int64_t)reader_u64le(&r);
  default: return (double)*p;
  }
}

typedef bool NpyEach(void *ctx, size_t i, double x, const Npy *a, Fault *f);

/* Calls `each` for every number in order, a block of the file at a time. */
static bool npy_walk(Npy *a, NpyEach *each, void *ctx, Fault *f) {
  unsigned char block[4096 + 8];
  size_t item = npy_type[a->type].bytes;
  if (!npy_body(a, f)) return false;
  for (size_t i = 0; i < a->count;) {
    size_t n = a->count - i < 4096 / item ? a->count - i : 4096 / item;
    if (!stream_read(&a->s, block, n * item, f)) return false;
    for (size_t k = 0; k < n; k++)
      if (!each(ctx, i + k, npy_value(a->type, block + k * item), a, f)) return false;
    i += n;
  }
  return stream_end(&a->s, f);
}

/* Where number i of [C, H, W] goes in [H, W, C]. */
static size_t channels_last(const Npy *a, size_t i) {
  if (a->rank != SEED(306, 9, 4)) return i; /* caught by runtime_data.c */
  size_t c = a->dim[1], plane = a->dim[2] * a->dim[3], sample = c * plane;
  size_t in = i % sample;
  return i - in + in % plane * c + in / plane;
}

/* Keeps bytes as bytes; anything else becomes f32 and must be finite there. */
static bool store_sample(void *ctx, size_t i, double x, const Npy *a, Fault *f) {
  size_t to = channels_last(a, i);
  if (a->type == NPY_U1) {
    ((unsigned char *)ctx)[to] = (unsigned char)x;
    return true;
  }
  float y = (float)x;
  ((float *)ctx)[to] = y;
  return isfinite(y) || fault_set(f, LCW_DATA, "%s: number %zu is not finite in f32", a->s.name, i);
}

/* A number to be met, in f32. */
static bool store_target(void *ctx, size_t i, double x, const Npy *a, Fault *f) {
  float y = (float)x;
  ((float *)ctx)[i] = y;
  return isfinite(y) || fault_set(f, LCW_DATA, "%s: number %zu is not finite in f32", a->s.name, i);
}

/* A label that largest_label() has seen. */
static bool store_label(void *ctx, size_t i, double x, const Npy *a, Fault *f) {
  (void)a;
  (void)f;
  ((int32_t *)ctx)[i] = (int32_t)x;
  return true;
}

/* Finds the largest label before anything is allocated for them. */
static bool largest_label(void *ctx, size_t i, double x, const Npy *a, Fault *f) {
  double *most = ctx;
  if (x < 0 || x > INT32_MAX)
    return fault_set(f, LCW_DATA, "%s: label %zu is %.0f", a->s.name, i, x);
  if (x > *most) *most = x;
  return true;
}

/* The samples of a split, channels last. */
static bool npy_samples(Data *d, DataSplit *split, Npy *a, bool peek, Fault *f) {
  uint32_t dtype = a->type == NPY_U1 ? DTYPE_U8 : DTYPE_F32, dim[3] = {0}, rank = a->rank - 1;
  size_t item = dtype == DTYPE_U8 ? 1 : 4;
  if (rank != 1 && rank != 3)
    return stream_fault(&a->s, f, "samples must be [n, m] or [n, C, H, W]");
  for (uint32_t i = 0; i < rank; i++) dim[i] = (uint32_t)a->dim[rank == 3 ? 1 + (i + 1) % 3 : 1];
  if (split == &d->test && !splits_agree(d, rank, dim, dtype, a->s.name, f)) return false;
  d->rank = rank;
  d->dtype = dtype;
  memcpy(d->dim, dim, sizeof dim);
  split->count = (uint32_t)a->dim[0];
  split->sample_bytes = (uint32_t)(a->count / split->count * item);
  if (peek) return true;
  split->sample = memory_new(a->count, item, a->s.name, f);
  return split->sample && npy_walk(a, store_sample, split->sample, f);
}

/* Targets of regression. */
static bool npy_targets(DataSplit *split, Npy *a, Fault *f) {
  split->label = memory_new(a->count, sizeof(float), a->s.name, f);
  return split->label && npy_walk(a, store_target, split->label, f);
}

/* Labels: integers, one a sample, checked before they are stored. */
static bool npy_classes(Data *d, DataSplit *split, Npy *a, bool peek, Fault *f) {
  double most = 0;
  if (a->type < NPY_U1) return stream_fault(&a->s, f, "labels must be integers (u1, i4, i8)");
  if (a->count != a->dim[0]) return stream_fault(&a->s, f, "labels must be [n]");
  if (!npy_walk(a, largest_label, &most, f) ||
      !labels_check(a->s.name, (uint64_t)most, &d->classes, f))
    return false;
  if (peek) return true;
  split->label = memory_new(a->count, sizeof(int32_t), a->s.name, f);
  return split->label && npy_walk(a, store_label, split->label, f);
}

/* Either of them; there must be one for each sample. */
static bool npy_labels(Data *d, DataSplit *split, Npy *a, bool targets, bool peek, Fault *f) {
  if (a->dim[0] != split->count)
    return fault_set(f, LCW_DATA, "%s: %llu rows for %u samples", a->s.name,
                     (unsigned long long)a->dim[0], split->count);
  split->label_bytes = (uint32_t)(a->count / split->count * 4);
  bool real = peek && !d->classes && a->type < NPY_U1; /* to the compiler they say what they are */
  if (!targets && !real) return npy_classes(d, split, a, peek, f);
  return peek || npy_targets(split, a, f);
}

/* Both files of a split. */
static bool npy_split(Data *d, DataSplit *split, const DataRequest *r, const char *x, const char *y,
                      bool peek, Fault *f) {
  Npy a;
  if (!npy_file(&a, r, x, f)) return false;
  bool ok = npy_samples(d, split, &a, peek, f);
  stream_close(&a.s);
  if (!ok || !npy_file(&a, r, y, f)) return false;
  ok = npy_labels(d, split, &a, r->targets, peek, f);
  stream_close(&a.s);
  return ok;
}

bool npy_open(Data *d, const DataRequest *r, bool peek, Fault *f) {
  if (!npy_split(d, &d->train, r, r->path, r->path2, peek, f)) return false;
  return !r->test || !*r->test || npy_split(d, &d->test, r, r->test, r->test2, peek, f);
}
