/* random.c: Philox4x32-10 (Salmon et al. 2011) and the shuffle made from it. */
#include "random.h"
#include "seed.h"

Random4 random_philox(const uint32_t counter[4], const uint32_t key[2]) {
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; round++) {
    uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
    c1 = (uint32_t)b;
    c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
    c3 = (uint32_t)a;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return (Random4){{c0, c1, c2, c3}};
}

/* A whole number below n, unbiased: Lemire's multiplication, drawing again in the thin strip. */
static uint32_t random_below(uint32_t n, uint32_t index, uint32_t epoch, const uint32_t key[2]) {
  uint32_t reject = (uint32_t)-n % n;
  for (uint32_t round = 0;; round++) {
    Random4 r = random_philox((uint32_t[4]){index, epoch, round, RANDOM_SHUFFLE}, key);
    for (int i = 0; i < 4; i++) {
      uint64_t product = (uint64_t)r.word[i] * n;
      if ((uint32_t)product >= reject) return (uint32_t)(product >> 32);
    }
  }
}

/* Fisher and Yates, from the top. */
void random_permutation(uint32_t *order, uint32_t n, uint64_t seed, uint32_t epoch) {
  uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
  for (uint32_t i = 0; i < n; i++) order[i] = i;
  for (uint32_t i = n; i > 1; i--) {
    uint32_t below = SEED(304, i - 1, i); /* caught by runtime_unit.c */
    uint32_t j = random_below(below, i, epoch, key), t = order[i - 1];
    order[i - 1] = order[j];
    order[j] = t;
  }
}
