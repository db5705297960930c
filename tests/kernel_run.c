/* kernel_run.c: see kernel_run.h. */
#include "kernel_run.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CANARY = 64 };

static uint64_t dtype_bytes(uint32_t dtype) {
  static const uint8_t size[DTYPE_COUNT] = {4, 1, 4, 4, 8, 2};
  return size[dtype];
}

static uint32_t draw(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static void element_fill(void *p, uint32_t dtype, uint64_t i, uint32_t r) {
  float f = (float)(r & 0xFFFF) / 32768.0f - 1.0f;
  uint32_t w;
  memcpy(&w, &f, sizeof w);
  switch ((DType)dtype) {
  case DTYPE_U8: ((uint8_t *)p)[i] = (uint8_t)r; break;
  case DTYPE_I32: ((int32_t *)p)[i] = (int32_t)(r % 10); break;
  case DTYPE_U32: ((uint32_t *)p)[i] = r; break;
  case DTYPE_F64: ((double *)p)[i] = (double)f; break;
  case DTYPE_BF16: ((uint16_t *)p)[i] = (uint16_t)(w >> 16); break;
  default: ((float *)p)[i] = f; break;
  }
}

/* What is known of a constant beforehand holds. */
static void tail_fill(const Kernel *k, const Arg *a, float *p) {
  for (uint32_t x = 0; a->tail.known && x < k->naxis; x++)
    for (int64_t i = a->tail.from; a->stride[x] && i < k->extent[x]; i++)
      p[a->offset + i * a->stride[x]] = a->tail.value;
}

void buffers_fill(Arena *arena, const Kernel *k, uint32_t seed, Buffers *b) {
  for (uint32_t a = 0; a < k->narg; a++) {
    uint64_t n = kernel_arg_elements(k, a);
    b->bytes[a] = n * dtype_bytes(k->arg[a].dtype);
    char *p = arena_alloc(arena, b->bytes[a] + 3 * CANARY);
    p += CANARY - (uintptr_t)p % CANARY;
    memset(p, 0xA5, CANARY);
    b->arg[a] = p + CANARY;
    for (uint64_t i = 0; i < n; i++) element_fill(b->arg[a], k->arg[a].dtype, i, draw(&seed));
    tail_fill(k, &k->arg[a], b->arg[a]);
    memset(p + CANARY + b->bytes[a], 0xA5, CANARY);
  }
}

/* What tf32 holds of the elements of an operand. */
static void operand_round(const Kernel *k, const Buffers *b, uint32_t arg) {
  if (k->arg[arg].dtype != DTYPE_F32) return; /* they fit, or are as wide as tf32 */
  for (uint64_t i = 0; i < b->bytes[arg] / 4; i++) ((uint32_t *)b->arg[arg])[i] &= 0xffffe000u;
}

void buffers_round(const Kernel *k, Buffers *b) {
  if (k->kind != KERNEL_CONTRACT || k->precision != PRECISION_TF32) return;
  operand_round(k, b, k->lhs);
  operand_round(k, b, k->rhs);
}

static bool canaries_live(const Buffers *b, uint32_t a) {
  const unsigned char *p = b->arg[a];
  for (uint64_t i = 0; i < CANARY; i++)
    if (p[b->bytes[a] + i] != 0xA5 || p[-1 - (int64_t)i] != 0xA5) return false;
  return true;
}

static double element(const void *p, uint32_t dtype, uint64_t i) {
  uint32_t w;
  float f;
  switch ((DType)dtype) {
  case DTYPE_U8: return ((const uint8_t *)p)[i];
  case DTYPE_I32: return (float)((const int32_t *)p)[i];
  case DTYPE_U32: return (float)((const uint32_t *)p)[i];
  case DTYPE_F64: return (float)((const double *)p)[i];
  case DTYPE_BF16:
    w = (uint32_t)((const uint16_t *)p)[i] << 16;
    memcpy(&f, &w, sizeof f);
    return f;
  default: return ((const float *)p)[i];
  }
}

static void launch(const Kernel *k, HostKernel *code, Buffers *b) {
  void *scratch = NULL, *arg[MAX_ARG + 1];
  uint64_t bytes = k->launch.scratch ? k->launch.scratch : 64;
  if (posix_memalign(&scratch, 64, bytes)) abort();
  memcpy(arg, b->arg, sizeof b->arg);
  arg[k->narg] = calloc(1, k->launch.workspace + 1);
  for (int64_t c = (int64_t)k->launch.chunks; c-- > 0;) {
    memset(scratch, 0xFF, bytes); /* NaN */
    code(arg, c, c + 1, scratch);
  }
  free(arg[k->narg]);
  free(scratch);
}

bool buffers_agree(const Kernel *k, const Shadow *shadow, const Buffers *b, Text *why) {
  for (uint32_t a = 0; a < k->narg; a++) {
    if (!canaries_live(b, a))
      return text_add(why, "%s: wrote beyond argument %u", k->name, a), false;
    for (uint64_t i = 0; i < shadow[a].n; i++) {
      double got = element(b->arg[a], k->arg[a].dtype, i), want = shadow[a].value[i];
      double off = fabs(got - want), may = shadow[a].error[i];
      if (isnan(got) && isnan(want)) continue;
      if (got == want || off <= may) continue;
      text_add(why, "%s: argument %u, element %llu of %llu: %.9g, should be %.9g within %.3g",
               k->name, a, (unsigned long long)i, (unsigned long long)shadow[a].n, got, want, may);
      return false;
    }
  }
  return true;
}

bool kernel_agrees(Arena *arena, const Kernel *k, HostKernel *code, Buffers *b, Text *why) {
  Shadow shadow[MAX_ARG];
  kernel_eval(arena, k, b->arg, shadow);
  launch(k, code, b);
  return buffers_agree(k, shadow, b, why);
}
