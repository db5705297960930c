/* tensors.c: see tensors.h. */
#include "tensors.h"
#include <math.h>
#include <stdint.h>
#include <string.h>
#include "scratch.h"

Tensors tensors_open(const char *path) {
  size_t size;
  uint64_t n;
  Tensors t = {.bytes = scratch_read(path, &size)};
  scratch_must(size > 8, path);
  memcpy(&n, t.bytes, 8);
  scratch_must(n <= size - 8, path);
  t.header = json_loadb((const char *)t.bytes + 8, n, 0, NULL);
  scratch_must(t.header != NULL, path);
  t.data = t.bytes + 8 + n;
  return t;
}

void tensors_close(Tensors *t) {
  free(t->bytes);
  json_decref(t->header);
}

static double element(const unsigned char *p, size_t i, size_t width) {
  double d;
  float f;
  if (width == 8) return memcpy(&d, p + 8 * i, 8), d;
  return memcpy(&f, p + 4 * i, 4), (double)f;
}

double *tensors_get(const Tensors *t, const char *name, size_t *n) {
  const json_t *entry = json_object_get(t->header, name),
               *at = json_object_get(entry, "data_offsets");
  if (!entry) return NULL;
  const char *type = json_string_value(json_object_get(entry, "dtype"));
  size_t width = !strcmp(type, "F64") ? 8 : 4;
  scratch_must(width == 8 || !strcmp(type, "F32"), type);
  size_t begin = (size_t)json_integer_value(json_array_get(at, 0));
  *n = ((size_t)json_integer_value(json_array_get(at, 1)) - begin) / width;
  double *x = malloc(*n * sizeof *x + 1);
  scratch_must(x != NULL, name);
  for (size_t i = 0; i < *n; i++) x[i] = element(t->data + begin, i, width);
  return x;
}

/* The largest difference of one tensor, relative. */
static double apart(const double *x, size_t n, const double *y, size_t m, double least) {
  double far = 0, most = least;
  if (!y || n != m) return INFINITY;
  for (size_t i = 0; i < n; i++) {
    double d = fabs(x[i] - y[i]);
    if (!isfinite(d)) return INFINITY;
    far = fmax(far, d), most = fmax(most, fabs(x[i]));
  }
  return far / most;
}

Distance tensors_distance(const Tensors *a, const Tensors *b, double least) {
  Distance worst = {"", 0};
  const char *name;
  json_t *entry;
  if (json_object_size(a->header) != json_object_size(b->header))
    worst = (Distance){"(names)", INFINITY};
  json_object_foreach(a->header, name, entry) {
    size_t n = 0, m = 0;
    if (!strcmp(name, "__metadata__")) continue;
    double *x = tensors_get(a, name, &n), *y = tensors_get(b, name, &m);
    double d = apart(x, n, y, m, least);
    if (d > worst.difference || !*worst.name)
      snprintf(worst.name, sizeof worst.name, "%s", name), worst.difference = d;
    free(x), free(y);
  }
  return worst;
}
