/* decimal.c: reading and writing numbers. */
#include "decimal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void decimal_text(char *out, double x) {
  if (!isfinite(x)) {
    memcpy(out, "null", 5);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(out, 32, "%.*g", digits, x);
    if (strtod(out, NULL) == x) return;
  }
}

/* Reads digits; returns what follows them, or NULL. */
static const char *read_digits(const char *s, uint64_t *out) {
  uint64_t x = 0;
  if (*s < '0' || *s > '9') return NULL;
  for (; *s >= '0' && *s <= '9'; s++)
    if (__builtin_mul_overflow(x, 10u, &x) || __builtin_add_overflow(x, (uint64_t)(*s - '0'), &x))
      return NULL;
  *out = x;
  return s;
}

bool decimal_whole(const char *s, uint64_t *out) {
  const char *end = read_digits(s, out);
  return end && *end == 0;
}

bool decimal_bytes(const char *s, uint64_t *out) {
  static const struct { const char *name; uint64_t factor; } unit[] = {
      {"", 1},           {"K", 1 << 10},   {"KiB", 1 << 10},     {"M", 1 << 20},
      {"MiB", 1 << 20},  {"G", 1 << 30},   {"GiB", 1 << 30},
  };
  uint64_t x;
  const char *end = read_digits(s, &x);
  for (size_t i = 0; end && i < sizeof unit / sizeof *unit; i++)
    if (!strcmp(end, unit[i].name)) return !__builtin_mul_overflow(x, unit[i].factor, out);
  return false;
}
