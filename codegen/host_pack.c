/* host_pack.c: copies of operands that the register tiles of a contraction can stream through.
 * In: a part of an operand, by its access. Out: in scratch, the rhs as rows of tile width, and
 * the lhs, if it needs a copy, with its contiguous axis inside. Guards and other types end here:
 * what is packed is plain float. */
#include "host.h"
#include "seed.h"

/* Slower axes of a part come first. */
uint32_t axis_last(const Kernel *k, AxisPart part) {
  uint32_t last = 0;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (k->part[i] == part) last = i;
  return last;
}

/* So that a block never ends within a group of `extent`, nor a group within two blocks. */
int32_t block_within(int32_t extent, int32_t limit) {
  if (extent <= limit) return extent * (limit / extent);
  for (int32_t d = limit; d >= limit / 4; d--)
    if (extent % d == 0) return d;
  return extent;
}

/* ---- rhs ----------------------------------------------------------------------------------- */

/* All cells get the same indices along `axes`. */
static void cells_split(Emit *e, Cell *cell, uint32_t n, uint16_t axes, Value flat) {
  index_split(e, axes, flat, cell->at.index);
  for (uint32_t c = 1; c < n; c++)
    for (uint32_t i = 0; i < e->k->naxis; i++)
      if (axes >> i & 1) cell[c].at.index[i] = cell->at.index[i];
}

/* Row `flat` of the panel, one vector a cell. */
static void rhs_row(Emit *e, Cell *cell, uint32_t n, Value out, uint32_t tile, Value flat) {
  Build *b = &e->b;
  Value row = at_element(b, b->f32, out, value_mul(b, flat, tile));
  for (uint32_t c = 0; c < n; c++) {
    Value v = value_splat(b, arg_load(e, e->k->rhs, &cell[c].at), b->isa->width);
    store_to(b, v, at_offset(b, b->f32, row, c * b->isa->width), b->isa->width * 4);
  }
}

/* Transposes width x width floats: exchanges halves, quarters, ... of pairs of rows. */
static void rows_transpose(Build *b, Value *row) {
  uint32_t width = b->isa->width;
  for (uint32_t s = 1; s < width; s *= 2)
    for (uint32_t i = 0; i < width; i++) {
      if (i & s) continue;
      Value low[MAX_WIDTH], high[MAX_WIDTH], x = row[i], y = row[i + s];
      for (uint32_t t = 0; t < width; t++) {
        low[t] = LLVMConstInt(b->i32, t & s ? width + t - s : t, 0);
        high[t] = LLVMConstInt(b->i32, t & s ? width + t : t + s, 0);
      }
      row[i] = LLVMBuildShuffleVector(b->at, x, y, LLVMConstVector(low, width), "");
      row[i + s] = LLVMBuildShuffleVector(b->at, x, y, LLVMConstVector(high, width), "");
    }
}

/* A square of the rhs at one cell, contiguous along k, into rows of the panel. */
static void rhs_square(Emit *e, const Cell *cell, Value out, uint32_t tile) {
  Build *b = &e->b;
  Value row[MAX_WIDTH], first = arg_address(e, e->k->rhs, &cell->at);
  int64_t stride = e->k->arg[e->k->rhs].stride[cell->at.axis];
  for (uint32_t i = 0; i < b->isa->width; i++) {
    bool there = i < cell->at.lanes;
    int64_t at = there ? i : 0;
    row[i] = there ? load_as(b, b->vector, at_offset(b, b->f32, first, at * stride), 4)
                   : LLVMConstNull(b->vector);
  }
  if (SEED(205, cell->at.lanes == b->isa->width, true)) rows_transpose(b, row);
  for (uint32_t i = 0; i < b->isa->width; i++)
    store_to(b, row[i], at_offset(b, b->f32, out, (int64_t)i * tile), b->isa->width * 4);
}

/* The rhs is contiguous along k: squares, then single rows. */
static void rhs_transposed(Emit *e, Cell *cell, uint32_t n, Value out, uint32_t tile) {
  Build *b = &e->b;
  uint32_t inner = axis_last(e->k, PART_K), width = b->isa->width;
  uint16_t outer = (uint16_t)(kernel_axes(e->k, PART_K) & ~(1u << inner));
  int64_t extent = e->k->extent[inner], whole = extent / width * width;
  Loop o = loop_begin(b, int_of(b, 0), int_of(b, (int64_t)kernel_extent(e->k, outer)), 1);
  cells_split(e, cell, n, outer, o.index);
  Value base = value_mul(b, o.index, extent);
  Loop l = loop_begin(b, int_of(b, 0), int_of(b, whole), width);
  Value at = at_element(b, b->f32, out, value_mul(b, value_add(b, base, l.index), tile));
  for (uint32_t c = 0; c < n; c++) {
    cell[c].at.index[inner] = l.index;
    rhs_square(e, &cell[c], at_offset(b, b->f32, at, c * width), tile);
  }
  loop_end(b, &l);
  l = loop_begin(b, int_of(b, whole), int_of(b, extent), 1);
  for (uint32_t c = 0; c < n; c++) cell[c].at.index[inner] = l.index;
  rhs_row(e, cell, n, out, tile, value_add(b, base, l.index));
  loop_end(b, &l);
  loop_end(b, &o);
}

/* Rows of vectors, or squares to transpose, as the rhs lies. */
void pack_rhs(Emit *e, Cell *cell, uint32_t n, Value out, uint32_t tile) {
  const Kernel *k = e->k;
  const Arg *a = &k->arg[k->rhs];
  uint32_t inner = axis_last(k, PART_K), column = cell->at.axis;
  if (a->dtype == DTYPE_F32 && !a->nguard && a->stride[inner] == 1 && a->stride[column] != 1) {
    rhs_transposed(e, cell, n, out, tile);
    return;
  }
  uint16_t axes = kernel_axes(k, PART_K);
  Loop l = loop_begin(&e->b, int_of(&e->b, 0), int_of(&e->b, (int64_t)kernel_extent(k, axes)), 1);
  cells_split(e, cell, n, axes, l.index);
  rhs_row(e, cell, n, out, tile, l.index);
  loop_end(&e->b, &l);
}

/* ---- lhs ----------------------------------------------------------------------------------- */

/* `length` elements from the point on along its axis to consecutive places. */
static void lhs_run(Emit *e, Point *p, Value length, Value out) {
  Build *b = &e->b;
  int64_t width = b->isa->width;
  uint32_t axis = p->axis;
  Value start = p->index[axis], whole = LLVMBuildAnd(b->at, length, int_of(b, -width), "");
  Loop l = loop_begin(b, int_of(b, 0), whole, width);
  p->lanes = b->isa->width;
  p->index[axis] = value_add(b, start, l.index);
  Value v = value_splat(b, arg_load(e, e->k->lhs, p), b->isa->width);
  store_to(b, v, at_element(b, b->f32, out, l.index), 4);
  loop_end(b, &l);
  l = loop_begin(b, whole, length, 1);
  p->axis = NO_AXIS;
  p->index[axis] = value_add(b, start, l.index);
  store_to(b, arg_load(e, e->k->lhs, p), at_element(b, b->f32, out, l.index), 4);
  loop_end(b, &l);
  p->axis = axis;
}

/* Walks the part outside element by element, the part inside in runs along its last axis. */
void pack_lhs(Emit *e, Value out, const LhsLayout *layout, const LhsBlock *block) {
  Build *b = &e->b;
  bool rows = layout->rows_inside;
  AxisPart inside = rows ? PART_M : PART_K, outside = rows ? PART_K : PART_M;
  uint32_t inner = axis_last(e->k, inside);
  uint16_t outer = (uint16_t)(kernel_axes(e->k, inside) & ~(1u << inner));
  Value extent = int_of(b, e->k->extent[inner]), length = rows ? block->rows : block->depth;
  Point p = {.axis = inner};
  Loop l = loop_begin(b, int_of(b, 0), rows ? block->depth : block->rows, 1);
  Value line = at_element(b, b->f32, out, value_mul(b, l.index, rows ? layout->sk : layout->sm));
  index_split(e, kernel_axes(e->k, outside), value_add(b, rows ? block->k : block->m, l.index),
              p.index);
  Loop r = loop_begin(b, int_of(b, 0), length, layout->run);
  Value flat = value_add(b, rows ? block->m : block->k, r.index);
  if (outer) index_split(e, outer, LLVMBuildUDiv(b->at, flat, extent, ""), p.index);
  p.index[inner] = outer ? LLVMBuildURem(b->at, flat, extent, "") : flat;
  Value rest = LLVMBuildSub(b->at, length, r.index, "");
  lhs_run(e, &p, value_min(b, int_of(b, layout->run), rest), at_element(b, b->f32, line, r.index));
  loop_end(b, &r);
  loop_end(b, &l);
}
