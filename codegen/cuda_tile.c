/* cuda_tile.c: the multiplication of a slab, by precision. A block of 8 warps holds 128 x 128
 * sums in registers, 8 x 8 a thread.
 *
 *   tf32   2 x 4 warps of 64 x 32, mma.sync m16n8k8, slabs of 32. A K-major operand lies in rows
 *          of 128 bytes whose 16-byte chunks are XORed with the row number: copies and ldmatrix
 *          are free of bank conflicts, and the next 8 values of K are an XOR away. The other
 *          operands lie as [32][128 + 8] and are read word by word, also without conflicts.
 *   fp32   16 x 16 threads, FFMA, slabs of 16, both operands as [16][128 + 4]. */
#include "cuda_emit.h"

const Tile cuda_tile_row[] = {
  [PRECISION_FP32] = {
    .slab = 16, .swizzled = false, .pitch = TILE + 4,
    .row = "thread_index() / 16 * 4", .column = "thread_index() % 16 * 4",
    .row_of = "i / 4 * 64 + i % 4", .column_of = "j / 4 * 64 + j % 4",
    .declare = "float sum[8][8] = {{0.0f}};", .element = "sum[i][j]",
    .lanes_from = 16, .lanes_to = 16,
    .warp_row = "thread_index() / 32", .leads = "thread_index() % 32 < 16", .warps = 8,
  },
  [PRECISION_TF32] = {
    .slab = 32, .swizzled = true, .pitch = TILE + 8,
    .names = "const int warp = thread_index() / 32, lane = thread_index() % 32;",
    .row = "warp % 2 * 64 + lane / 4", .column = "warp / 2 * 32 + lane % 4 * 2",
    .row_of = "i / 2 * 16 + i % 2 * 8", .column_of = "j / 2 * 8 + j % 2",
    .declare = "float sum[4][4][4] = {{{0.0f}}};",
    .element = "sum[i / 2][j / 2][i % 2 * 2 + j % 2]",
    .lanes_from = 4, .lanes_to = 16,
    .warp_row = "warp % 2", .leads = "lane < 4", .warps = 2,
  },
};

/* ---- tf32 ----------------------------------------------------------------------------------- */

static void mma_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  bool lhs = o->part == PART_M;
  const char *origin = lhs ? "warp % 2 * 64" : "warp / 2 * 32";
  if (o->rows)
    emit_line(e, "const u32 %s_from = base + %d + (%s + %s) * 128 + ((%s ^ lane %% 8) << 4);",
              o->name, base, origin, lhs ? "lane % 16" : "lane % 8 + lane / 16 * 8",
              lhs ? "lane / 16" : "lane / 8 % 2");
  else
    emit_line(e, "const u32 %s_from = base + %d + (lane %% 4 * %d + %s + lane / 4) * 4;", o->name,
              base, t->pitch, origin);
}

/* The fragments of one operand for 8 values of K. */
static void mma_load_print(Emit *e, const Tile *t, const Operand *o) {
  bool lhs = o->part == PART_M;
  int count = lhs || !o->rows ? 4 : 2, words = lhs ? 4 : 2;
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", count);
  if (o->rows)
    emit_line(e, "matrix_load(%s[%s], (%s_from ^ step * 32) + i * 2048 + slot);", o->name,
              lhs ? "i" : "i * 2", o->name);
  else
    for (int w = 0; w < words; w++)
      emit_line(e, "%s[i][%d] = word_load(%s_from + slot + (%s) * 4);", o->name, w, o->name,
                emit_printf(e, "(step * 8 + %d) * %d + i * %d + %d", lhs ? w / 2 * 4 : w * 4,
                            t->pitch, lhs ? 16 : 8, lhs ? w % 2 * 8 : 0));
  emit_close(e);
}

static void mma_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int step = 0; step < %d; step++)", t->slab / 8);
  emit_line(e, "u32 lhs[4][4], rhs[4][2];");
  mma_load_print(e, t, lhs);
  mma_load_print(e, t, rhs);
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int i = 0; i < 16; i++)");
  emit_line(e, "  matrix_multiply(sum[i / 4][i %% 4], lhs[i / 4], rhs[i %% 4]);");
  emit_close(e);
}

/* ---- fp32 ----------------------------------------------------------------------------------- */

static void ffma_setup_print(Emit *e, const Operand *o, int base) {
  emit_line(e, "const u32 %s_from = base + %d + (%s) * 4;", o->name, base,
            o->part == PART_M ? "thread_index() / 16 * 4" : "thread_index() % 16 * 4");
}

static void ffma_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int step = 0; step < %d; step++)", t->slab);
  emit_line(e, "float lhs[8], rhs[8];");
  const Operand *both[2] = {lhs, rhs};
  for (int i = 0; i < 2; i++)
    for (int half = 0; half < 2; half++)
      emit_line(e, "four_load(%s + %d, %s_from + slot + step * %d + %d);", both[i]->name, half * 4,
                both[i]->name, t->pitch * 4, half * 256);
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int i = 0; i < 64; i++) sum[i / 8][i %% 8] += lhs[i / 8] * rhs[i %% 8];");
  emit_close(e);
}

void multiply_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  if (t->swizzled) mma_setup_print(e, t, o, base);
  else ffma_setup_print(e, o, base);
}

void multiply_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  if (t->swizzled) mma_print(e, t, lhs, rhs);
  else ffma_print(e, t, lhs, rhs);
}
