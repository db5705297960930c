/* data.c: opens a data set of any kind, and finds how its numbers are decoded: the mean and
 * the deviation of the training split, of values scaled to 0..1, become scale and shift. */
#include "data.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "data_source.h"
#include "hash.h"
#include "plan_check.h"
#include "reader.h"
#include "seed.h"

static const uint64_t MAX_ELEMENTS = UINT64_C(1) << 40, MAX_DIM = INT32_MAX;

bool shape_bytes(const char *name, const uint64_t *dim, uint32_t rank, size_t item, size_t *out,
                 Fault *f) {
  size_t n = 1;
  for (uint32_t i = 0; i < rank; i++) {
    if (dim[i] == 0) return fault_set(f, LCW_DATA, "%s: it is empty: size %u is 0", name, i);
    if (dim[i] > MAX_DIM || !size_times(n, dim[i], &n) || n > MAX_ELEMENTS)
      return fault_set(f, LCW_LIMIT, "%s: it claims more than 2^40 numbers or a size beyond 2^31",
                       name);
    if (i > 0 && n / dim[0] > INT32_MAX / 8)
      return fault_set(f, LCW_LIMIT, "%s: a sample has more than 2^28 numbers", name);
  }
  *out = n * item;
  return true;
}

bool labels_check(const char *name, uint64_t largest, uint32_t *classes, Fault *f) {
  if (*classes && largest >= *classes + SEED(305, 1, 0)) /* caught by runtime_data.c */
    return fault_set(f, LCW_DATA, "%s: label %llu, and there are %u classes (0 to %u)", name,
                     (unsigned long long)largest, *classes, *classes - 1);
  if (largest >= 1u << 24) return fault_set(f, LCW_LIMIT, "%s: more than 2^24 classes", name);
  if (*classes == 0) *classes = (uint32_t)largest + 1;
  return true;
}

bool splits_agree(const Data *d, uint32_t rank, const uint32_t *dim, uint32_t dtype,
                  const char *name, Fault *f) {
  if (d->rank == rank && d->dtype == dtype && !memcmp(d->dim, dim, rank * sizeof *dim)) return true;
  return fault_set(f, LCW_DATA, "%s: its samples differ in shape or type from the training samples",
                   name);
}

/* ---- mean and deviation ------------------------------------------------------------------ */

typedef struct { double mean, deviation; } Moments;

/* How often each byte occurs. Four tables, so that a run of equal bytes, of which images have
 * many, does not make every count wait for the one before it. */
static void count_bytes(const Data *d, uint64_t first, uint64_t stride, uint64_t total[256]) {
  uint64_t count[4][256] = {{0}}, bytes = (uint64_t)d->train.count * d->train.sample_bytes,
           i = first;
  const unsigned char *p = d->train.sample;
  for (; i + 3 * stride < bytes; i += 4 * stride)
    for (uint64_t k = 0; k < 4; k++) count[k][p[i + k * stride]]++;
  for (; i < bytes; i += stride) count[0][p[i]]++;
  for (int v = 0; v < 256; v++) total[v] = count[0][v] + count[1][v] + count[2][v] + count[3][v];
}

/* Bytes are counted, so that the sums are exact whatever their order. */
static Moments moments_of_bytes(const Data *d, uint32_t first, uint32_t stride) {
  uint64_t count[256], n = 0;
  double sum = 0, square = 0;
  count_bytes(d, first, stride, count);
  for (int v = 0; v < 256; v++) {
    n += count[v];
    sum += (double)count[v] * v;
  }
  double mean = sum / (double)n;
  for (int v = 0; v < 256; v++) square += (double)count[v] * (v - mean) * (v - mean);
  return (Moments){mean / 255, sqrt(square / (double)n) / 255};
}

/* Floats are summed in the order of the file. */
static Moments moments_of_floats(const Data *d, uint32_t first, uint32_t stride) {
  const float *p = d->train.sample;
  uint64_t count = (uint64_t)d->train.count * d->train.sample_bytes / sizeof *p, n = 0;
  double sum = 0, square = 0;
  for (uint64_t i = first; i < count; i += stride, n++) sum += (double)p[i];
  double mean = sum / (double)n;
  for (uint64_t i = first; i < count; i += stride)
    square += ((double)p[i] - mean) * ((double)p[i] - mean);
  return (Moments){mean, sqrt(square / (double)n)};
}

/* Scale and shift of each channel, or one pair for all. */
static bool find_scale(Data *d, Normalize how, Fault *f) {
  double unit = d->dtype == DTYPE_U8 ? 1.0 / 255 : 1.0;
  d->scale = memory_new(d->channels, sizeof *d->scale, "the channels", f);
  d->shift = memory_new(d->channels, sizeof *d->shift, "the channels", f);
  if (!d->scale || !d->shift) return false;
  for (uint32_t c = 0; c < d->channels; c++) {
    bool global = how == NORMALIZE_GLOBAL;
    Moments m = {0, 1};
    if (how != NORMALIZE_NONE && (c == 0 || !global))
      m = (d->dtype == DTYPE_U8 ? moments_of_bytes : moments_of_floats)(d, c,
                                                                        global ? 1 : d->channels);
    if (m.deviation <= 0) m.deviation = 1; /* a constant channel becomes 0 */
    d->scale[c] = c && global ? d->scale[0] : (float)(unit / m.deviation);
    d->shift[c] = c && global ? d->shift[0] : (float)(-m.mean / m.deviation);
  }
  return true;
}

/* Of shape, samples and labels of the training split. */
static uint64_t fingerprint(const Data *d) {
  const uint32_t head[] = {d->train.count, d->dtype,  d->rank,   d->dim[0],
                           d->dim[1],      d->dim[2], d->classes};
  uint64_t h = hash64(head, sizeof head, 0);
  h = hash64(d->train.sample, (size_t)d->train.count * d->train.sample_bytes, h);
  return hash64(d->train.label, (size_t)d->train.count * d->train.label_bytes, h);
}

/* ---- opening ----------------------------------------------------------------------------- */

/* The function that reads a kind of source; some kinds are for later. */
static DataSource *source_of(const DataRequest *r, Fault *f) {
  switch (r->kind) {
  case DATA_IDX: return idx_open;
  case DATA_NPY: return npy_open;
  case DATA_SYNTHETIC: return synthetic_open;
  case DATA_CIFAR:
    fault_set(f, LCW_INPUT, "the data source cifar(...) is not executable yet");
    break;
  case DATA_IMAGES:
    fault_set(f, LCW_INPUT, "the data source images(...) is not executable yet");
    break;
  case DATA_NONE: fault_set(f, LCW_INPUT, "the network has no data set"); break;
  }
  return NULL;
}

/* Splits, shape and classes; without bytes if `peek`. */
static bool data_read(Data *d, const DataRequest *r, bool peek, Fault *f) {
  *d = (Data){.classes = r->classes};
  DataSource *source = source_of(r, f);
  if (!source || !source(d, r, peek, f)) return false;
  d->channels = d->rank ? d->dim[d->rank - 1] : 1;
  return true;
}

bool data_open(Data *d, const DataRequest *r, Fault *f) {
  if (!data_read(d, r, false, f) || !find_scale(d, r->normalize, f)) {
    data_close(d);
    return false;
  }
  d->fingerprint = fingerprint(d);
  return true;
}

bool data_peek(Data *d, const DataRequest *r, Fault *f) {
  bool ok = data_read(d, r, true, f);
  data_close(d);
  return ok;
}

static void split_close(DataSplit *s) {
  free(s->sample);
  free(s->label);
  s->sample = s->label = NULL;
}

void data_close(Data *d) {
  split_close(&d->train);
  split_close(&d->test);
  free(d->scale);
  free(d->shift);
  d->scale = d->shift = NULL;
}

static uint64_t split_bytes(const DataSplit *s) {
  return (uint64_t)s->count * ((uint64_t)s->sample_bytes + s->label_bytes);
}

uint64_t data_bytes(const Data *d) { return split_bytes(&d->train) + split_bytes(&d->test); }

DataRequest data_request(const Plan *p, const char *data_root, const char *file_folder) {
  const PlanSettings *s = &p->set;
  DataRequest r = {
      .kind = (DataKind)s->source_kind,
      .path = plan_text(p, s->source_path),
      .path2 = plan_text(p, s->source_path2),
      .test = plan_text(p, s->test_path),
      .test2 = plan_text(p, s->test_path2),
      .root = {data_root, secure_getenv("LCWC_DATA"), file_folder, "/usr/share/datasets"},
      .normalize = (Normalize)s->normalize,
      .classes = s->classes,
      .targets = s->classes == 0,
      .rank = s->sample_rank,
      .samples = s->synthetic_samples,
      .test_samples = s->synthetic_test,
      .seed = s->synthetic_seed};
  memcpy(r.dim, s->sample_dim, sizeof r.dim);
  return r;
}

/* Equal texts; NULL and "" are both none. */
static bool text_equal(const char *a, const char *b) { return !strcmp(a ? a : "", b ? b : ""); }

bool data_request_equal(const DataRequest *a, const DataRequest *b) {
  for (int i = 0; i < DATA_ROOTS; i++)
    if (!text_equal(a->root[i], b->root[i])) return false;
  return a->kind == b->kind && text_equal(a->path, b->path) && text_equal(a->path2, b->path2) &&
         text_equal(a->test, b->test) && text_equal(a->test2, b->test2) &&
         a->normalize == b->normalize && a->classes == b->classes && a->targets == b->targets &&
         a->rank == b->rank && !memcmp(a->dim, b->dim, sizeof a->dim) &&
         a->samples == b->samples && a->test_samples == b->test_samples && a->seed == b->seed;
}
