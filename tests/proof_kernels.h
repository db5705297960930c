/* proof_kernels.h: the kernels that prove kernel.h, written by hand in its terms and emitted by
 * both targets: linear and convolution in their three roles with the lcw terms merged, the
 * lcw-SGD update inside a wgrad, the backward pass of batch norm, softmax cross-entropy.
 * In: a shape. Out: a verified Kernel whose arguments are listed beside each builder. */
#ifndef LCW_PROOF_KERNELS_H
#define LCW_PROOF_KERNELS_H
#include "kernel.h"

typedef struct {
  int32_t batch, in, out; /* samples, input and output features or channels */
  int32_t size;           /* convolutions, batch norm: height = width of the input, even */
  int32_t row, column;    /* conv_dgrad: residue class of the image coordinates, 0 or 1 */
  bool plain;             /* without the lcw terms, to compare with */
  bool copy; /* forward reads a compute copy [out, ...] instead of the master [..., out];
              * update writes one [out, in] beside the master */
} ProofShape;

typedef struct {
  const char *name;
  void (*build)(Kernel *k, const ProofShape *shape);
} ProofKernel;

/* Convolutions are 3x3, stride 2, padding 1. */
#define PROOF_KERNELS(X)                                                                        \
  X(linear_forward) X(linear_dgrad) X(linear_wgrad) X(linear_update)                            \
  X(conv_forward) X(conv_dgrad) X(conv_wgrad) X(bn_backward) X(softmax_loss)

typedef enum {
#define X(name) PROOF_##name,
  PROOF_KERNELS(X)
#undef X
  PROOF_COUNT
} Proof;

extern const ProofKernel proof_kernel[PROOF_COUNT];

/* Adds to a contraction without a column stage two sums in each direction, and stages that use
 * them and the last sum of its prologue. */
void proof_add_sums(Kernel *k);

#endif
