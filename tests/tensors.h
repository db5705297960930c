/* tensors.h: a safetensors file in memory, read without the runtime, so that what it writes is
 * seen by another reader. F32 and F64 only; anything wrong stops the program. */
#ifndef LCW_TEST_TENSORS_H
#define LCW_TEST_TENSORS_H
#include <jansson.h>
#include <stddef.h>

typedef struct {
  unsigned char *bytes;
  const unsigned char *data;
  json_t *header;
} Tensors;

Tensors tensors_open(const char *path);
void tensors_close(Tensors *t);
/* The elements of one as float64 (free them) and how many; NULL: no such tensor. */
double *tensors_get(const Tensors *t, const char *name, size_t *n);

/* How far two files are apart: the tensor with the largest difference, measured against the
 * largest element of that tensor, or `least` where that is smaller. Infinite if one lacks a tensor
 * of the other. */
typedef struct {
  char name[128];
  double difference;
} Distance;
Distance tensors_distance(const Tensors *a, const Tensors *b, double least);
#endif
