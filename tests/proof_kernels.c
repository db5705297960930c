/* proof_kernels.c: see proof_kernels.h. Each builder declares axes, then arguments in the order
 * of its comment, then the program. Strides are written per axis in the order of the axes; an
 * axis that is not named has stride 0. */
#include "proof_kernels.h"
#include "graph.h" /* Scalar */
#include <stdio.h>
#include <string.h>

/* ---- a small notation ---------------------------------------------------------------------- */

static void kernel_begin(Kernel *k, KernelKind kind, const char *name) {
  memset(k, 0, sizeof *k);
  k->kind = (uint8_t)kind;
  snprintf(k->name, sizeof k->name, "%s", name);
}

static void axis_add(Kernel *k, AxisPart part, int32_t extent) {
  k->part[k->naxis] = (uint8_t)part;
  k->extent[k->naxis++] = extent;
}

typedef struct { int64_t of[MAX_AXIS]; } Strides;
#define STRIDES(...) ((Strides){{__VA_ARGS__}})

static uint8_t arg_add(Kernel *k, DType dtype, int use, int64_t offset, Strides stride) {
  Arg *a = &k->arg[k->narg];
  a->dtype = (uint8_t)dtype;
  a->use = (uint8_t)use;
  a->offset = offset;
  memcpy(a->stride, stride.of, sizeof a->stride);
  return k->narg++;
}

static void guard_add(Kernel *k, uint8_t arg, Guard g) {
  Arg *a = &k->arg[arg];
  a->guard[a->nguard++] = g;
}

static uint16_t instr_add(Kernel *k, Instr i) {
  k->instr[k->ninstr] = i;
  return k->ninstr++;
}

static uint16_t constant(Kernel *k, uint8_t stage, float value) {
  return instr_add(k, (Instr){.op = I_CONST, .stage = stage, .k = value});
}

static uint16_t load(Kernel *k, uint8_t stage, uint8_t arg) {
  return instr_add(k, (Instr){.op = I_LOAD, .stage = stage, .a = arg});
}

static uint16_t sum_of(Kernel *k) {
  return instr_add(k, (Instr){.op = I_ACC, .stage = STAGE_EPILOGUE});
}

static uint16_t apply(Kernel *k, uint8_t stage, Scalar fn, uint16_t a, uint16_t b) {
  return instr_add(k, (Instr){.op = I_SCALAR, .fn = (uint8_t)fn, .stage = stage, .a = a, .b = b});
}

static uint16_t reduce(Kernel *k, uint8_t stage, Scalar fn, uint16_t a, uint16_t axes) {
  return instr_add(
      k, (Instr){.op = I_REDUCE, .fn = (uint8_t)fn, .stage = stage, .a = a, .axes = axes});
}

static void store(Kernel *k, uint8_t stage, uint16_t value, uint8_t arg) {
  instr_add(k, (Instr){.op = I_STORE, .stage = stage, .a = value, .b = arg});
}

/* a + b * c, the shape of every merged term. */
static uint16_t add_product(Kernel *k, uint8_t stage, uint16_t a, uint16_t b, uint16_t c) {
  return apply(k, stage, S_add, a, apply(k, stage, S_mul, b, c));
}

/* Closes a CONTRACT: its stages and their spaces. */
static void contract_end(Kernel *k, uint8_t lhs, uint8_t rhs) {
  uint16_t m = kernel_axes(k, PART_M), n = kernel_axes(k, PART_N), kk = kernel_axes(k, PART_K);
  k->lhs = lhs, k->rhs = rhs, k->nstage = 3;
  k->space[STAGE_PROLOGUE] = (uint16_t)(kk | n);
  k->space[STAGE_EPILOGUE] = (uint16_t)(m | n);
  k->space[STAGE_COLUMN] = n;
  kernel_collapse(k);
  kernel_count(k);
}

static void row_end(Kernel *k, uint8_t nstage) {
  k->nstage = nstage;
  for (uint32_t s = 0; s < nstage; s++) k->space[s] = (uint16_t)((1u << k->naxis) - 1);
  kernel_collapse(k);
  kernel_count(k);
}

/* ---- linear -------------------------------------------------------------------------------- */

/* z[b, o] = sigmoid(sum_i a[b, i] v[i, o] + s[o] t[b] + bias[o])
 * arguments: a, v, s, t, bias, z */
static void linear_forward(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out;
  const uint8_t E = STAGE_EPILOGUE;
  kernel_begin(k, KERNEL_CONTRACT, "linear_forward");
  axis_add(k, PART_M, p->batch), axis_add(k, PART_N, p->out), axis_add(k, PART_K, p->in);
  uint8_t a = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(in, 0, 1));
  uint8_t v = arg_add(k, DTYPE_F32, ARG_READ, 0, p->copy ? STRIDES(0, in, 1) : STRIDES(0, 1, out));
  uint8_t s = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 1));
  uint8_t t = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(1));
  uint8_t bias = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 1));
  uint8_t z = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(out, 1));
  uint16_t sum = sum_of(k);
  if (!p->plain) sum = add_product(k, E, sum, load(k, E, s), load(k, E, t));
  sum = apply(k, E, S_add, sum, load(k, E, bias));
  store(k, E, apply(k, E, S_sigmoid, sum, 0), z);
  contract_end(k, a, v);
}

/* da[b, i] = (sum_o dz[b, o] v[i, o] + c[i] u[b]) * a[b, i] (1 - a[b, i])
 * arguments: dz, v, c, u, a, da */
static void linear_dgrad(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out;
  const uint8_t E = STAGE_EPILOGUE;
  kernel_begin(k, KERNEL_CONTRACT, "linear_dgrad");
  axis_add(k, PART_M, p->batch), axis_add(k, PART_N, p->in), axis_add(k, PART_K, p->out);
  uint8_t dz = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(out, 0, 1));
  uint8_t v = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, out, 1));
  uint8_t c = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 1));
  uint8_t u = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(1));
  uint8_t a = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(in, 1));
  uint8_t da = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(in, 1));
  uint16_t sum = sum_of(k);
  if (!p->plain) sum = add_product(k, E, sum, load(k, E, c), load(k, E, u));
  uint16_t y = load(k, E, a);
  uint16_t slope = apply(k, E, S_mul, y, apply(k, E, S_sub, constant(k, E, 1), y));
  store(k, E, apply(k, E, S_mul, sum, slope), da);
  contract_end(k, dz, v);
}

/* The r of a linear set: sum over k of t_k dz(k, n), in the prologue. */
static uint16_t row_gradient(Kernel *k, uint8_t t, uint8_t dz) {
  uint16_t product =
      apply(k, STAGE_PROLOGUE, S_mul, load(k, STAGE_PROLOGUE, t), load(k, STAGE_PROLOGUE, dz));
  return reduce(k, STAGE_PROLOGUE, S_add, product, kernel_axes(k, PART_K));
}

/* dv[i, o] = sum_b a[b, i] dz[b, o] + live[i] r[o],   r[o] = sum_b t[b] dz[b, o];  live: 0 at
 * the dead lane, else 1. With a 0 at the dead lane of a, dv is 0 there.
 * arguments: a, dz, t, live, dv */
static void linear_wgrad(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out;
  kernel_begin(k, KERNEL_CONTRACT, "linear_wgrad");
  axis_add(k, PART_M, p->in), axis_add(k, PART_N, p->out), axis_add(k, PART_K, p->batch);
  uint8_t a = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(1, 0, in));
  uint8_t dz = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 1, out));
  uint8_t t = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 0, 1));
  uint8_t live = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(1));
  uint8_t dv = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(out, 1));
  uint16_t r = p->plain ? 0 : row_gradient(k, t, dz);
  uint16_t sum = sum_of(k);
  if (!p->plain) {
    sum = apply(k, STAGE_EPILOGUE, S_add, sum, r);
    sum = apply(k, STAGE_EPILOGUE, S_mul, sum, load(k, STAGE_EPILOGUE, live));
  }
  store(k, STAGE_EPILOGUE, sum, dv);
  contract_end(k, a, dz);
}

/* The same, and the SGD step in its epilogue: m = 0.9 m + g + 0.0001 v; v -= rate m; a compute
 * copy [out, in] of v if asked; s[o] = sum_i v; flag[o] = sum_i g g, finite if all of g is.
 * arguments: a, dz, t, live, v, m, rate, s, flag, copy */
static void linear_update(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out;
  const uint8_t E = STAGE_EPILOGUE;
  linear_wgrad(k, p);
  snprintf(k->name, sizeof k->name, "linear_update");
  uint16_t g = k->instr[--k->ninstr].a; /* in place of storing dv */
  k->narg--;
  uint8_t v = arg_add(k, DTYPE_F32, ARG_READ | ARG_WRITE, 0, STRIDES(out, 1));
  uint8_t m = arg_add(k, DTYPE_F32, ARG_READ | ARG_WRITE, 0, STRIDES(out, 1));
  uint8_t rate = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0));
  uint8_t s = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(0, 1));
  uint8_t flag = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(0, 1));
  uint8_t copy = p->copy ? arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(1, in)) : 0;
  uint16_t old = load(k, E, v);
  uint16_t mass = apply(k, E, S_mul, constant(k, E, 0.9f), load(k, E, m));
  mass = apply(k, E, S_add, mass, add_product(k, E, g, constant(k, E, 0.0001f), old));
  uint16_t next = apply(k, E, S_sub, old, apply(k, E, S_mul, load(k, E, rate), mass));
  store(k, E, mass, m);
  store(k, E, next, v);
  if (p->copy) store(k, E, next, copy);
  uint16_t rows = kernel_axes(k, PART_M);
  uint16_t total = reduce(k, E, S_add, next, rows);
  uint16_t square = reduce(k, E, S_add, apply(k, E, S_mul, g, g), rows);
  store(k, STAGE_COLUMN, total, s);
  store(k, STAGE_COLUMN, square, flag);
  contract_end(k, k->lhs, k->rhs);
}

/* ---- convolution, NHWC, 3x3, stride 2, padding 1 -------------------------------------------- */

/* z[b, y, x, o] = s[o] t[b, y, x] + sum over taps, i of a[b, 2y+ky-1, 2x+kx-1, i] v[ky, kx, i, o]
 * axes: b y x (M), o (N), ky kx i (K).   arguments: a, v, s, t, z */
static void conv_forward(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out, h = p->size, half = h / 2;
  const uint8_t E = STAGE_EPILOGUE;
  kernel_begin(k, KERNEL_CONTRACT, "conv_forward");
  axis_add(k, PART_M, p->batch), axis_add(k, PART_M, p->size / 2), axis_add(k, PART_M, p->size / 2);
  axis_add(k, PART_N, p->out);
  axis_add(k, PART_K, 3), axis_add(k, PART_K, 3), axis_add(k, PART_K, p->in);
  uint8_t a = arg_add(k, DTYPE_F32, ARG_READ, -(h + 1) * in,
                      STRIDES(h * h * in, 2 * h * in, 2 * in, 0, h * in, in, 1));
  guard_add(k, a, (Guard){{0, 2, 0, 0, 1, 0, 0}, -1, p->size});
  guard_add(k, a, (Guard){{0, 0, 2, 0, 0, 1, 0}, -1, p->size});
  uint8_t v = arg_add(k, DTYPE_F32, ARG_READ, 0,
                      p->copy ? STRIDES(0, 0, 0, 9 * in, 3 * in, in, 1)
                              : STRIDES(0, 0, 0, 1, 3 * in * out, in * out, out));
  uint8_t s = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 0, 0, 1));
  uint8_t t = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(half * half, half, 1));
  uint8_t z = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(half * half * out, half * out, out, 1));
  uint16_t sum = sum_of(k);
  if (!p->plain) sum = add_product(k, E, sum, load(k, E, s), load(k, E, t));
  store(k, E, sum, z);
  contract_end(k, a, v);
}

/* One residue class (row, column) of the input's gradient: input pixel (2y+row, 2x+column) meets
 * tap ky = 1 - row + 2ty of output row y + row - ty (row 0: one tap; row 1: two), x likewise.
 * da = sum over ty tx o of dz[b, y+row-ty, x+column-tx, o] v[ky, kx, i, o] + c box[b, y, x]
 *      + corner[i] u[b, y+1, x+1] in the class (1, 1), where tap (0, 0) with its other c lies.
 * axes: b y x (M), i (N), ty tx o (K).   arguments: dz, v, box, corner, u, da */
static void conv_dgrad(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out, h = p->size, half = h / 2, r = p->row, c = p->column;
  const uint8_t E = STAGE_EPILOGUE;
  kernel_begin(k, KERNEL_CONTRACT, "conv_dgrad");
  snprintf(k->name, sizeof k->name, "conv_dgrad_%d_%d", p->row, p->column);
  axis_add(k, PART_M, p->batch), axis_add(k, PART_M, p->size / 2), axis_add(k, PART_M, p->size / 2);
  axis_add(k, PART_N, p->in);
  axis_add(k, PART_K, 1 + p->row), axis_add(k, PART_K, 1 + p->column), axis_add(k, PART_K, p->out);
  uint8_t dz = arg_add(k, DTYPE_F32, ARG_READ, (r * half + c) * out,
                       STRIDES(half * half * out, half * out, out, 0, -half * out, -out, 1));
  guard_add(k, dz, (Guard){{0, 1, 0, 0, -1, 0, 0}, p->row, p->size / 2});
  guard_add(k, dz, (Guard){{0, 0, 1, 0, 0, -1, 0}, p->column, p->size / 2});
  uint8_t v = arg_add(k, DTYPE_F32, ARG_READ, ((1 - r) * 3 + (1 - c)) * in * out,
                      STRIDES(0, 0, 0, out, 6 * in * out, 2 * in * out, 1));
  uint8_t box = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(half * half, half, 1));
  uint8_t corner = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 0, 0, 1));
  uint8_t u = arg_add(k, DTYPE_F32, ARG_READ, half + 1, STRIDES(half * half, half, 1));
  guard_add(k, u, (Guard){{0, 1}, 1, p->size / 2});
  guard_add(k, u, (Guard){{0, 0, 1}, 1, p->size / 2});
  uint8_t da = arg_add(k, DTYPE_F32, ARG_WRITE, (r * h + c) * in,
                       STRIDES(h * h * in, 2 * h * in, 2 * in, 1));
  uint16_t sum = sum_of(k);
  if (!p->plain) sum = add_product(k, E, sum, constant(k, E, -0.001f), load(k, E, box));
  if (!p->plain && r && c) sum = add_product(k, E, sum, load(k, E, corner), load(k, E, u));
  store(k, E, sum, da);
  contract_end(k, dz, v);
}

/* dv[ky, kx, i, o] = sum over pixels of a[b, 2y+ky-1, 2x+kx-1, i] dz[b, y, x, o]  + live r[o]
 * axes: ky kx i (M), o (N), b y x (K).   arguments: a, dz, t, live, dv */
static void conv_wgrad(Kernel *k, const ProofShape *p) {
  const int64_t in = p->in, out = p->out, h = p->size, half = h / 2;
  kernel_begin(k, KERNEL_CONTRACT, "conv_wgrad");
  axis_add(k, PART_M, 3), axis_add(k, PART_M, 3), axis_add(k, PART_M, p->in);
  axis_add(k, PART_N, p->out);
  axis_add(k, PART_K, p->batch), axis_add(k, PART_K, p->size / 2), axis_add(k, PART_K, p->size / 2);
  uint8_t a = arg_add(k, DTYPE_F32, ARG_READ, -(h + 1) * in,
                      STRIDES(h * in, in, 1, 0, h * h * in, 2 * h * in, 2 * in));
  guard_add(k, a, (Guard){{1, 0, 0, 0, 0, 2, 0}, -1, p->size});
  guard_add(k, a, (Guard){{0, 1, 0, 0, 0, 0, 2}, -1, p->size});
  uint8_t dz = arg_add(k, DTYPE_F32, ARG_READ, 0,
                       STRIDES(0, 0, 0, 1, half * half * out, half * out, out));
  uint8_t t = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 0, 0, 0, half * half, half, 1));
  uint8_t live = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(3 * in, in, 1));
  uint8_t dv = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(3 * in * out, in * out, out, 1));
  uint16_t r = p->plain ? 0 : row_gradient(k, t, dz);
  uint16_t sum = sum_of(k);
  if (!p->plain) {
    sum = apply(k, STAGE_EPILOGUE, S_add, sum, r);
    sum = apply(k, STAGE_EPILOGUE, S_mul, sum, load(k, STAGE_EPILOGUE, live));
  }
  store(k, STAGE_EPILOGUE, sum, dv);
  contract_end(k, a, dz);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Batch norm backward, one row a channel: xhat = (x - mean) inv;  dbeta = sum dy;
 * dgamma = sum dy xhat;  dx = gamma inv (dy - dbeta / n - xhat dgamma / n).
 * axes: c (P), b y x (R).   arguments: x, dy, mean, inv, gamma, dx, dgamma, dbeta */
static void bn_backward(Kernel *k, const ProofShape *p) {
  const int64_t c = p->in, h = p->size;
  kernel_begin(k, KERNEL_ROW, "bn_backward");
  axis_add(k, PART_P, p->in);
  axis_add(k, PART_R, p->batch), axis_add(k, PART_R, p->size), axis_add(k, PART_R, p->size);
  Strides image = STRIDES(1, h * h * c, h * c, c), channel = STRIDES(1);
  uint8_t x = arg_add(k, DTYPE_F32, ARG_READ, 0, image),
          dy = arg_add(k, DTYPE_F32, ARG_READ, 0, image);
  uint8_t mean = arg_add(k, DTYPE_F32, ARG_READ, 0, channel);
  uint8_t inv = arg_add(k, DTYPE_F32, ARG_READ, 0, channel);
  uint8_t gamma = arg_add(k, DTYPE_F32, ARG_READ, 0, channel);
  uint8_t dx = arg_add(k, DTYPE_F32, ARG_WRITE, 0, image);
  uint8_t dgamma = arg_add(k, DTYPE_F32, ARG_WRITE, 0, channel);
  uint8_t dbeta = arg_add(k, DTYPE_F32, ARG_WRITE, 0, channel);
  uint16_t row = kernel_axes(k, PART_R), value[2], hat[2], sum[2] = {0, 0};
  for (uint8_t s = 0; s < 2; s++) {
    value[s] = load(k, s, dy);
    hat[s] =
        apply(k, s, S_mul, apply(k, s, S_sub, load(k, s, x), load(k, s, mean)), load(k, s, inv));
    if (s) break;
    sum[0] = reduce(k, s, S_add, value[0], row);
    sum[1] = reduce(k, s, S_add, apply(k, s, S_mul, value[0], hat[0]), row);
  }
  uint16_t each = constant(k, 1, 1.0f / (float)(p->batch * p->size * p->size));
  uint16_t centred = apply(k, 1, S_sub, value[1], apply(k, 1, S_mul, sum[0], each));
  uint16_t slope = apply(k, 1, S_mul, hat[1], apply(k, 1, S_mul, sum[1], each));
  uint16_t scale = apply(k, 1, S_mul, load(k, 1, gamma), load(k, 1, inv));
  store(k, 1, apply(k, 1, S_mul, scale, apply(k, 1, S_sub, centred, slope)), dx);
  store(k, 1, sum[1], dgamma);
  store(k, 1, sum[0], dbeta);
  row_end(k, 2);
}

/* x minus its row's largest, or its exp: what stages 1 and 2 both need. */
static uint16_t shifted(Kernel *k, uint8_t stage, uint8_t x, uint16_t top) {
  return apply(k, stage, S_sub, load(k, stage, x), top);
}

/* Softmax cross-entropy, one row a sample: loss = log sum exp(x - top) - (x[label] - top);
 * hit = x[label] >= top;  dx = (softmax - onehot) / batch.  Classes are told apart by iota.
 * axes: b (P), class (R).   arguments: x, label, iota, loss, hit, dx */
static void softmax_loss(Kernel *k, const ProofShape *p) {
  const int64_t n = p->out;
  kernel_begin(k, KERNEL_ROW, "softmax_loss");
  axis_add(k, PART_P, p->batch), axis_add(k, PART_R, p->out);
  uint8_t x = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(n, 1));
  uint8_t label = arg_add(k, DTYPE_I32, ARG_READ, 0, STRIDES(1));
  uint8_t iota = arg_add(k, DTYPE_F32, ARG_READ, 0, STRIDES(0, 1));
  uint8_t loss = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(1));
  uint8_t hit = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(1));
  uint8_t dx = arg_add(k, DTYPE_F32, ARG_WRITE, 0, STRIDES(n, 1));
  uint16_t row = kernel_axes(k, PART_R);
  uint16_t top = reduce(k, 0, S_max, load(k, 0, x), row);
  uint16_t z = shifted(k, 1, x, top);
  uint16_t total = reduce(k, 1, S_add, apply(k, 1, S_exp, z, 0), row);
  uint16_t is = apply(k, 1, S_eq, load(k, 1, iota), load(k, 1, label));
  uint16_t chosen = reduce(k, 1, S_add, apply(k, 1, S_mul, is, z), row);
  uint16_t soft = apply(k, 2, S_div, apply(k, 2, S_exp, shifted(k, 2, x, top), 0), total);
  is = apply(k, 2, S_eq, load(k, 2, iota), load(k, 2, label));
  uint16_t each = constant(k, 2, 1.0f / (float)p->batch);
  store(k, 2, apply(k, 2, S_mul, apply(k, 2, S_sub, soft, is), each), dx);
  store(k, 2, apply(k, 2, S_sub, apply(k, 2, S_log, total, 0), chosen), loss);
  store(k, 2, apply(k, 2, S_le, constant(k, 2, 0), chosen), hit);
  row_end(k, 3);
}

/* ---- sums around a contraction --------------------------------------------------------------- */

/* An argument over one part alone. */
static uint8_t vector_add(Kernel *k, AxisPart part, int use) {
  Arg *a = &k->arg[k->narg];
  int64_t stride = 1;
  *a = (Arg){.dtype = DTYPE_F32, .use = (uint8_t)use};
  for (uint32_t i = k->naxis; i-- > 0;)
    if (k->part[i] == part) a->stride[i] = stride, stride *= k->extent[i];
  return k->narg++;
}

/* A sum over `gone` of weight(kept or gone) * value. */
static uint16_t weighted_sum(Kernel *k, AxisPart weight, AxisPart gone, Scalar fn, uint16_t value) {
  uint8_t arg = vector_add(k, weight, ARG_READ);
  uint16_t w = instr_add(k, (Instr){.op = I_LOAD, .stage = STAGE_EPILOGUE, .a = arg});
  uint16_t product = instr_add(
      k, (Instr){.op = I_SCALAR, .fn = S_mul, .stage = STAGE_EPILOGUE, .a = w, .b = value});
  return instr_add(k, (Instr){.op = I_REDUCE, .fn = (uint8_t)fn, .stage = STAGE_EPILOGUE,
                              .a = product, .axes = kernel_axes(k, gone)});
}

/* Stores sum + term, or -sum if there is no term. */
static void sum_store(Kernel *k, uint8_t stage, AxisPart part, uint16_t sum, uint16_t term) {
  uint16_t value = instr_add(k, (Instr){.op = I_SCALAR, .fn = (uint8_t)(term ? S_add : S_neg),
                                        .stage = stage, .a = sum, .b = term});
  uint8_t to = vector_add(k, part, ARG_WRITE);
  instr_add(k, (Instr){.op = I_STORE, .stage = stage, .a = value, .b = to});
}

void proof_add_sums(Kernel *k) {
  uint16_t value = k->instr[k->ninstr - 1].a, before = 0;
  for (uint16_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_REDUCE) before = i;
  uint16_t m = weighted_sum(k, PART_M, PART_M, S_add, value);
  uint16_t n = weighted_sum(k, PART_N, PART_N, S_add, value);
  uint16_t most_m = weighted_sum(k, PART_N, PART_M, S_max, value);
  uint16_t most_n = weighted_sum(k, PART_M, PART_N, S_max, value);
  sum_store(k, STAGE_COLUMN, PART_N, m, before);
  sum_store(k, STAGE_COLUMN, PART_N, most_m, 0);
  sum_store(k, STAGE_ROW, PART_M, n, 0);
  sum_store(k, STAGE_ROW, PART_M, most_n, 0);
  k->nstage = 4, k->space[STAGE_ROW] = kernel_axes(k, PART_M);
}

const ProofKernel proof_kernel[PROOF_COUNT] = {
#define X(name) {#name, name},
  PROOF_KERNELS(X)
#undef X
};
