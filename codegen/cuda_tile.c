/* cuda_tile.c: how a block cuts its tile, and the multiplication of a slab, by precision.
 *
 *   tf32, bf16   8 warps, mma.sync on slabs of 128 bytes of K. An operand that is contiguous
 *                along K lies in rows of 128 bytes whose 16-byte chunks are XORed with the row
 *                number: copies and ldmatrix are free of bank conflicts, and the next chunks are
 *                an XOR away. The other operands lie as [K][extent + 8], read word by word in
 *                tf32, by transposing ldmatrix in bf16, also without conflicts.
 *   fp32         16 x 16 threads, FFMA, slabs of 16 values, both operands as [K][extent + pad]. */
#include "cuda_contract.h"

/* ---- the choice ------------------------------------------------------------------------------- */

/* Tiles by precision. `cost`: instructions of a warp per 32 values of K, as measured; `fixed`: those
 * of prologue and epilogue, about. */
typedef struct { uint8_t matrix; uint8_t down, across; int16_t rows, columns, cost, fixed; } Cut;
static const Cut cut_row[] = {
  {true, 2, 4, 128, 128, 138, 900},
  {true, 2, 4, 64, 64, 52, 300},
  {true, 4, 2, 64, 32, 40, 200},
  {false, 16, 16, 128, 128, 2316, 900},
  {false, 16, 16, 64, 64, 640, 300},
};

/* The multiprocessors of a device between the small and the large. */
enum { PROCESSORS = 108 };

static uint64_t extent_of(const Kernel *k, AxisPart part) {
  return kernel_extent(k, kernel_axes(k, part));
}

static uint64_t count_tiles(const Kernel *k, AxisPart part, int extent) {
  return (extent_of(k, part) + (uint64_t)extent - 1) / (uint64_t)extent;
}

uint64_t tiles_of(const Kernel *k, const Tile *t, AxisPart part) {
  return count_tiles(k, part, part == PART_M ? t->rows : t->columns);
}

/* Instructions that the busiest processor issues for each of 8 warps. */
static uint64_t cut_cost(const Kernel *k, const Cut *c) {
  uint64_t blocks = count_tiles(k, PART_M, c->rows) * count_tiles(k, PART_N, c->columns);
  uint64_t slabs = (extent_of(k, PART_K) + 31) / 32;
  uint64_t turns = (blocks + PROCESSORS - 1) / PROCESSORS;
  return turns * (slabs * (uint64_t)c->cost + (uint64_t)c->fixed);
}

/* A narrow tile is for narrow matrices only. */
static bool cut_better(const Kernel *k, const Cut *c, const Cut *best) {
  if (c->columns == 32 && extent_of(k, PART_N) > 32) return false;
  return !best || cut_cost(k, c) < cut_cost(k, best);
}

Tile tile_choose(const Kernel *k, uint32_t n) {
  bool matrix = k->precision != PRECISION_FP32, bf16 = k->precision == PRECISION_BF16;
  const Cut *best = NULL;
  for (size_t i = 0, nth = 0; i < COUNT_OF(cut_row); i++) {
    const Cut *c = &cut_row[i];
    if (c->matrix != matrix) continue;
    if (++nth == n || (!n && cut_better(k, c, best))) best = c;
  }
  if (!best) return tile_choose(k, 0);
  Tile t = {.rows = best->rows, .columns = best->columns, .matrix = matrix,
            .down = best->down, .across = best->across};
  t.size = bf16 ? 2 : 4, t.slab = matrix ? 128 / t.size : 16;
  t.group = matrix ? 2 : 4;
  t.own = matrix ? t.rows / t.down / 8 : t.rows / t.down;
  t.groups = t.columns / t.across / (matrix ? 8 : 4);
  return t;
}

/* ---- where a thread's sums lie ----------------------------------------------------------------- */

const char *tile_row(Emit *e, const Tile *t) {
  if (!t->matrix) return "thread_index() / 16 * 4";
  return emit_printf(e, "warp %% %d * %d + lane / 4", t->down, t->rows / t->down);
}

const char *tile_column(Emit *e, const Tile *t) {
  if (!t->matrix) return "thread_index() % 16 * 4";
  return emit_printf(e, "warp / %d * %d + lane %% 4 * 2", t->down, t->columns / t->across);
}

const char *tile_row_of(const Tile *t) {
  if (t->matrix) return t->own == 2 ? "i * 8" : "i / 2 * 16 + i % 2 * 8";
  return t->own == 4 ? "i" : "i / 4 * 64 + i % 4";
}

int tile_row_at(const Tile *t, int i) {
  return t->matrix ? i / 2 * 16 + i % 2 * 8 : i / 4 * 64 + i % 4;
}

const char *tile_group_of(const Tile *t) { return t->matrix ? "j * 8" : "j * 64"; }

const char *tile_accumulators(Emit *e, const Tile *t) {
  if (t->matrix) return emit_printf(e, "sum[%d][%d][4]", t->own / 2, t->groups);
  return emit_printf(e, "sum[%d][%d]", t->own, t->groups * 4);
}

const char *tile_accumulator(const Tile *t) {
  return t->matrix ? "sum[i / 2][j][i % 2 * 2 + h]" : "sum[i][j * 4 + h]";
}

const char *tile_accumulators_of(const Tile *t) {
  return t->matrix ? "sum[i / 2][j] + i % 2 * 2" : "sum[i] + j * 4";
}

/* ---- tensor cores ------------------------------------------------------------------------------- */

/* Fragments of 16 rows, or pairs of fragments of 8 columns, of a warp. */
static int fragments(const Tile *t, const Operand *o) {
  return o->part == PART_M ? t->rows / t->down / 16 : t->columns / t->across / 16;
}

/* Where the warp's part of an operand begins. */
static const char *origin_text(Emit *e, const Tile *t, const Operand *o) {
  if (o->part == PART_M) return emit_printf(e, "warp %% %d * %d", t->down, t->rows / t->down);
  return emit_printf(e, "warp / %d * %d", t->down, t->columns / t->across);
}

static void matrix_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  bool lhs = o->part == PART_M;
  const char *origin = origin_text(e, t, o), *n = o->name;
  if (o->rows)
    emit_line(e, "const u32 %s_from = base + %d + (%s + %s) * 128 + ((%s ^ lane %% 8) << 4);", n,
              base, origin, lhs ? "lane % 16" : "lane % 8 + lane / 16 * 8",
              lhs ? "lane / 16" : "lane / 8 % 2");
  else if (t->size == 4)
    emit_line(e, "const u32 %s_from = base + %d + lane %% 4 * %d + (%s + lane / 4) * 4;", n, base,
              o->pitch, origin);
  else
    emit_line(e, "const u32 %s_from = base + %d + %s * %d + (%s + %s) * 2;", n, base,
              lhs ? "(lane % 8 + lane / 16 * 8)" : "lane % 16", o->pitch, origin,
              lhs ? "lane / 8 % 2 * 8" : "lane / 16 * 8");
}

/* Words of one fragment from rows along M or N. */
static void words_print(Emit *e, const Operand *o) {
  bool lhs = o->part == PART_M;
  for (int w = 0; w < 4; w++) {
    int k = lhs ? w / 2 * 4 : w % 2 * 4, across = lhs ? w % 2 * 8 : w / 2 * 8;
    emit_line(e, "%s[%s][%d] = word_load(%s_now + step * %d + i * 64 + %d);", o->name,
              lhs ? "i" : w < 2 ? "i * 2" : "i * 2 + 1", lhs ? w : w % 2, o->name, o->pitch * 8,
              k * o->pitch + across * 4);
  }
}

/* The fragments of one operand for 32 bytes of K. */
static void fragments_print(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name, *to = o->part == PART_M ? "i" : "i * 2";
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", fragments(t, o));
  if (o->rows)
    emit_line(e, "matrix_load(%s[%s], (%s_now ^ step * 32) + i * 2048);", n, to, n);
  else if (t->size == 4) words_print(e, o);
  else
    emit_line(e, "matrix_load_transposed(%s[%s], %s_now + step * %d + i * 32);", n, to, n,
              o->pitch * 16);
  emit_close(e);
}

static void matrix_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  int down = fragments(t, lhs), across = fragments(t, rhs) * 2;
  emit_line(e, "const u32 lhs_now = lhs_from + slot, rhs_now = rhs_from + slot;");
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int step = 0; step < 4; step++)");
  emit_line(e, "u32 lhs[%d][4], rhs[%d][2];", down, across);
  fragments_print(e, t, lhs);
  fragments_print(e, t, rhs);
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int i = 0; i < %d; i++)", down * across);
  emit_line(e, "  matrix_multiply_%s(sum[i / %d][i %% %d], lhs[i / %d], rhs[i %% %d]);",
            t->size == 4 ? "tf32" : "bf16", across, across, across, across);
  emit_close(e);
}

/* ---- FFMA --------------------------------------------------------------------------------------- */

static void ffma_setup_print(Emit *e, const Operand *o, int base) {
  emit_line(e, "const u32 %s_from = base + %d + (%s) * 4;", o->name, base,
            o->part == PART_M ? "thread_index() / 16 * 4" : "thread_index() % 16 * 4");
}

static void ffma_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  int columns = t->groups * 4;
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int step = 0; step < %d; step++)", t->slab);
  emit_line(e, "float lhs[%d], rhs[%d];", t->own, columns);
  const Operand *both[2] = {lhs, rhs};
  for (int i = 0; i < 2; i++)
    for (int four = 0; four < (i ? t->groups : t->own / 4); four++)
      emit_line(e, "four_load(%s + %d, %s_from + slot + step * %d + %d);", both[i]->name, four * 4,
                both[i]->name, both[i]->pitch, four * 256);
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int i = 0; i < %d; i++)", t->own * columns);
  emit_line(e, "  sum[i / %d][i %% %d] += lhs[i / %d] * rhs[i %% %d];", columns, columns, columns,
            columns);
  emit_close(e);
}

void multiply_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  if (t->matrix) matrix_setup_print(e, t, o, base);
  else ffma_setup_print(e, o, base);
}

void multiply_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  if (t->matrix) matrix_print(e, t, lhs, rhs);
  else ffma_print(e, t, lhs, rhs);
}
