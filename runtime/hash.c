/* hash.c: XXH64 as its specification says, little-endian. */
#include "hash.h"
#include <string.h>

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u,
                      P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static uint64_t read64(const unsigned char *p) {
  uint64_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

static uint64_t read32(const unsigned char *p) {
  uint32_t x;
  memcpy(&x, p, sizeof x);
  return x;
}

/* One round of a lane. */
static uint64_t mix(uint64_t acc, uint64_t x) { return rotate(acc + x * P2, 31) * P1; }

/* Takes a lane into the result. */
static uint64_t merge(uint64_t h, uint64_t acc) { return (h ^ mix(0, acc)) * P1 + P4; }

/* The stripes of 32 bytes: four independent lanes. */
static uint64_t hash_stripes(const unsigned char **at, const unsigned char *end, uint64_t seed) {
  const unsigned char *p = *at;
  uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
  for (; end - p >= 32; p += 32) {
    a = mix(a, read64(p));
    b = mix(b, read64(p + 8));
    c = mix(c, read64(p + 16));
    d = mix(d, read64(p + 24));
  }
  *at = p;
  uint64_t h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
  return merge(merge(merge(merge(h, a), b), c), d);
}

uint64_t hash64(const void *data, size_t n, uint64_t seed) {
  const unsigned char *p = data, *end = p + n;
  uint64_t h = n >= 32 ? hash_stripes(&p, end, seed) : seed + P5;
  h += n;
  for (; end - p >= 8; p += 8) h = rotate(h ^ mix(0, read64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    h = rotate(h ^ read32(p) * P1, 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; p++) h = rotate(h ^ *p * P5, 11) * P1;
  h = (h ^ h >> 33) * P2;
  h = (h ^ h >> 29) * P3;
  return h ^ h >> 32;
}
