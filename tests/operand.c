/* operand.c: see operand.h. */
#include "operand.h"
#include <math.h>
#include <string.h>

enum { EDGES = 16 };

static const float edge[EDGES] = {0.0f,    -0.0f,         1.0f,           -1.0f,     2.0f, -2.0f,
                                  0.5f,    -3.0f,         INFINITY,       -INFINITY, NAN,  1e-45f,
                                  -1e-40f, 3.4028235e38f, -3.4028235e38f, 88.7f};

float operand_draw(uint32_t i, uint32_t which, uint32_t random) {
  if (i < EDGES * EDGES) return edge[which ? i / EDGES : i % EDGES];
  float f = (float)(random >> 8) * 0x1p-23f - 1.0f;
  if (i % 4 == 1) return f * 100;
  if (i % 4 == 2) return f * 8;
  if (i % 4 == 3) return f;
  memcpy(&f, &random, sizeof f);
  return f;
}
