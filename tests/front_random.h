/* front_random.h: texts for the fuzz test of the front end. Goes in: a number. Comes out: the
 * text that belongs to it, always the same: derived from the grammar with names that exist,
 * then, for two numbers of three, with up to three tokens changed. */
#ifndef LCW_FRONT_RANDOM_H
#define LCW_FRONT_RANDOM_H
#include "util.h"

typedef struct {
  uint64_t state;
  Text *out;
  int depth;               /* of expressions in hand */
  int nblock, nset, nint;  /* names b0.., s0.., k0.. declared so far */
} Random;

void random_text(Text *out, uint64_t seed);
uint32_t random_below(Random *r, uint32_t n);

#endif
