/* operand.h: what the functions of scalars.def are tried on. */
#ifndef LCW_TEST_OPERAND_H
#define LCW_TEST_OPERAND_H
#include <stdint.h>

/* Operand `which` of case i: first the edges in all pairs (zeros, infinities, NaN, the smallest and
 * the largest); then all sizes, which is any bits, and the ranges in which activations live. */
float operand_draw(uint32_t i, uint32_t which, uint32_t random);

#endif
