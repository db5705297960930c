/* random.h: Philox4x32-10, a counter-based generator: word i of a stream is a pure function of
 * (key, counter), so nothing has to be saved to go on, and every machine draws the same. */
#ifndef LCW_RANDOM_H
#define LCW_RANDOM_H
#include <stdint.h>

typedef struct { uint32_t word[4]; } Random4;

Random4 random_philox(const uint32_t counter[4], const uint32_t key[2]);

/* Streams of the runtime, the last word of the counter: no two uses share a draw. */
enum { RANDOM_SHUFFLE = 1, RANDOM_CENTER = 2, RANDOM_NOISE = 3 };

/* Writes the order of the samples 0..n-1 in epoch `epoch`. */
void random_permutation(uint32_t *order, uint32_t n, uint64_t seed, uint32_t epoch);
#endif
