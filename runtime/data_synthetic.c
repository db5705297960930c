/* data_synthetic.c: a data set out of nothing: every class is a random centre in the cube of
 * bytes, every sample its class's centre plus noise that is nearly Gaussian (a sum of four
 * bytes). Whole numbers only, from Philox, so that it is the same set on every machine. Labels
 * go round: sample i is of class i mod classes. */
#include <stdlib.h>
#include "data_source.h"
#include "random.h"

enum { CENTRE_RANGE = 48, NOISE_SHIFT = 2, NOISE_MEAN = 510 };

typedef struct { uint32_t key[2], classes; size_t size; const unsigned char *centre; } Synthetic;

/* Centre c, byte j: 128 +- CENTRE_RANGE / 2. */
static void draw_centres(const Synthetic *s, unsigned char *centre) {
  for (uint32_t c = 0; c < s->classes; c++)
    for (size_t j = 0; j < s->size; j++) {
      Random4 r = random_philox((uint32_t[4]){(uint32_t)j, c, 0, RANDOM_CENTER}, s->key);
      centre[c * s->size + j] =
          (unsigned char)(128 - CENTRE_RANGE / 2 + r.word[0] % (CENTRE_RANGE + 1));
    }
}

/* Nearly Gaussian, of mean NOISE_MEAN and deviation 148. */
static int sum_of_bytes(uint32_t w) {
  return (int)(w & 255) + (int)(w >> 8 & 255) + (int)(w >> 16 & 255) + (int)(w >> 24);
}

/* One sample: a draw of the generator gives the noise of four bytes. */
static void draw_sample(const Synthetic *s, uint32_t i, uint32_t split, unsigned char *out) {
  const unsigned char *centre = s->centre + i % s->classes * s->size;
  for (size_t j = 0; j < s->size; j += 4) {
    Random4 r = random_philox((uint32_t[4]){(uint32_t)j, i, split, RANDOM_NOISE}, s->key);
    for (size_t k = 0; k < 4 && j + k < s->size; k++) {
      int x = centre[j + k] + (sum_of_bytes(r.word[k]) - NOISE_MEAN) / (1 << NOISE_SHIFT);
      out[j + k] = (unsigned char)(x < 0 ? 0 : x > 255 ? 255 : x);
    }
  }
}

/* All samples of a split; the splits draw from streams of their own. */
static bool draw_split(const Synthetic *s, DataSplit *d, uint64_t count, uint32_t split, bool peek,
                       Fault *f) {
  if (count > UINT32_MAX) return fault_set(f, LCW_LIMIT, "synthetic: too many samples");
  d->count = (uint32_t)count;
  d->sample_bytes = (uint32_t)s->size;
  d->label_bytes = sizeof(int32_t);
  if (peek || count == 0) return true;
  unsigned char *sample = memory_new(count, s->size, "synthetic samples", f);
  int32_t *label = memory_new(count, sizeof *label, "synthetic labels", f);
  d->sample = sample;
  d->label = label;
  if (!sample || !label) return false;
  for (uint32_t i = 0; i < d->count; i++) {
    draw_sample(s, i, split, sample + i * s->size);
    label[i] = (int32_t)(i % s->classes);
  }
  return true;
}

bool synthetic_open(Data *d, const DataRequest *r, bool peek, Fault *f) {
  uint64_t dim[4] = {r->samples, 1, 1, 1};
  Synthetic s = {
      {(uint32_t)r->seed, (uint32_t)(r->seed >> 32)}, r->classes ? r->classes : 10, 0, NULL};
  size_t all;
  for (uint32_t i = 0; i < r->rank; i++) dim[1 + i] = d->dim[i] = r->dim[i];
  if (!shape_bytes("synthetic", dim, 4, 1, &all, f)) return false;
  s.size = all / r->samples;
  d->rank = r->rank;
  d->dtype = DTYPE_U8;
  d->classes = s.classes;
  unsigned char *centre = peek ? NULL : memory_new(s.classes, s.size, "synthetic centres", f);
  if (!peek && !centre) return false;
  if (centre) draw_centres(&s, centre);
  s.centre = centre;
  bool ok = draw_split(&s, &d->train, r->samples, 0, peek, f) &&
            draw_split(&s, &d->test, r->test_samples, 1, peek, f);
  free(centre);
  return ok;
}
