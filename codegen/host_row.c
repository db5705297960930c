/* host_row.c: MAP and ROW. In: a kernel of parallel axes and, for a ROW, reduced ones. Out: loops.
 * One axis is walked by vectors, the one along which most arguments are contiguous. If it is
 * parallel, a block of columns is computed side by side and every reduced axis is a loop (column
 * sums, batch norm, updates); if it is reduced, one row at a time is, and its sums end in a tree
 * of lanes (softmax, norms). Chunks are pieces of the longest parallel axis.
 * Launch.chunk = {extent of a piece, axis of the pieces, axis of the vectors}. */
#include "host.h"

enum { COLUMNS = 32, CHUNK_ELEMENTS = 8192, SMALL_PROGRAM = 40, LARGE_PROGRAM = 80 };

/* ---- tile -------------------------------------------------------------------------------- */

/* How well vectors along an axis suit the accesses of an argument. */
static int32_t arg_score(const Kernel *k, uint32_t arg, uint32_t axis) {
  int32_t weight = 0;
  for (uint32_t i = 0; i < k->naxis; i++) weight += arg_moves(k, arg, i);
  if (!arg_moves(k, arg, axis)) return 0;
  bool plain = k->arg[arg].stride[axis] == 1 && !arg_guarded(&k->arg[arg], axis);
  return plain ? 2 * weight : -weight;
}

/* The best of all axes, the innermost of equals; NO_AXIS if none has two elements. */
static uint32_t vector_axis(const Kernel *k) {
  uint32_t best = NO_AXIS;
  int32_t most = 0;
  for (uint32_t axis = 0; axis < k->naxis; axis++) {
    int32_t score = 0;
    for (uint32_t j = 0; j < k->narg; j++) score += arg_score(k, j, axis);
    if (k->extent[axis] < 2) continue;
    if (best == NO_AXIS || score >= most) best = axis, most = score;
  }
  return best;
}

/* The longest parallel axis; NO_AXIS if there is none. */
static uint32_t chunk_axis(const Kernel *k) {
  uint32_t best = NO_AXIS;
  for (uint32_t axis = 0; axis < k->naxis; axis++)
    if (k->part[axis] == PART_P && (best == NO_AXIS || k->extent[axis] > k->extent[best]))
      best = axis;
  return best;
}

/* Pieces of about 8192 elements; along the vectors whole blocks of columns. */
void row_tile(Kernel *k) {
  Launch *l = &k->launch;
  uint32_t axis = chunk_axis(k);
  l->chunks = 1, l->chunk[0] = 1, l->chunk[1] = axis, l->chunk[2] = vector_axis(k);
  l->scratch = 0;
  if (axis == NO_AXIS) return;
  uint64_t extent = (uint64_t)k->extent[axis];
  uint64_t each = kernel_extent(k, (uint16_t)((1u << k->naxis) - 1)) / extent;
  uint64_t piece = CHUNK_ELEMENTS / each ? CHUNK_ELEMENTS / each : 1;
  if (axis == l->chunk[2]) piece = (piece + COLUMNS - 1) / COLUMNS * COLUMNS;
  if (piece > extent) piece = extent;
  l->chunk[0] = (uint32_t)piece;
  l->chunks = (uint32_t)((extent + piece - 1) / piece);
}

/* ---- one block: every stage --------------------------------------------------------------- */

static bool stage_sums(const Kernel *k, uint32_t stage) {
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_REDUCE && k->instr[i].stage == stage) return true;
  return false;
}

/* All cells are at the same place along a walked axis. */
static void cells_index(Stage *s, uint32_t axis, Value index) {
  for (uint32_t c = 0; c < s->n; c++) s->cell[c].at.index[axis] = index;
}

/* Walks the innermost reduced axis step by step, `ways` sums side by side. */
static void walk_steps(Stage *s, uint32_t axis) {
  Build *b = &s->e->b;
  int64_t extent = s->e->k->extent[axis], ways = s->ways, whole = extent / ways * ways;
  Loop l = loop_begin(b, int_of(b, 0), int_of(b, whole), ways);
  for (uint32_t w = 0; w < s->ways; w++) {
    cells_index(s, axis, value_add(b, l.index, int_of(b, w)));
    stage_step(s, w);
  }
  loop_end(b, &l);
  for (int64_t i = whole; i < extent; i++) {
    cells_index(s, axis, int_of(b, i));
    stage_step(s, (uint32_t)(i - whole));
  }
}

/* Walks the innermost reduced axis and sums by blocks of SUM_ROWS: one chain down a long column
 * would round more. */
static void walk_blocks(Stage *s, uint32_t axis) {
  Build *b = &s->e->b;
  Value extent = int_of(b, s->e->k->extent[axis]);
  Loop block = loop_begin(b, int_of(b, 0), extent, SUM_ROWS);
  Value end = value_min(b, value_add(b, block.index, int_of(b, SUM_ROWS)), extent);
  Loop l = loop_begin(b, block.index, end, 1);
  cells_index(s, axis, l.index);
  stage_step(s, 0);
  loop_end(b, &l);
  stage_flush(s);
  loop_end(b, &block);
}

/* Walks the vector axis: `ways` vectors at a time, single vectors, the last lanes. */
static void walk_vectors(Stage *s, uint32_t axis) {
  Build *b = &s->e->b;
  int64_t extent = s->e->k->extent[axis], width = b->isa->width, block = width * s->ways;
  int64_t bound[3] = {0, extent / block * block, extent / width * width};
  uint32_t ways[2] = {s->ways, 1};
  s->cell->at.lanes = b->isa->width;
  for (uint32_t part = 0; part < 2; part++) {
    if (bound[part] == bound[part + 1]) continue;
    Loop l = loop_begin(b, int_of(b, bound[part]), int_of(b, bound[part + 1]), width * ways[part]);
    for (uint32_t w = 0; w < ways[part]; w++) {
      cells_index(s, axis, value_add(b, l.index, int_of(b, w * width)));
      stage_step(s, w);
    }
    loop_end(b, &l);
  }
  if (bound[2] == extent) return;
  s->cell->at.lanes = (uint32_t)(extent - bound[2]);
  cells_index(s, axis, int_of(b, bound[2]));
  stage_step(s, 0);
}

/* The loops of a stage over `walk`: the outer axes as one, then the innermost. */
static void stage_walk(Stage *s, bool across) {
  Emit *e = s->e;
  Build *b = &e->b;
  uint32_t inner = across ? s->cell->at.axis : 0;
  for (uint32_t i = 0; !across && i < e->k->naxis; i++)
    if (s->walk >> i & 1) inner = i;
  uint16_t outer = (uint16_t)(s->walk & ~(1u << inner));
  Loop l = {0};
  if (outer) {
    l = loop_begin(b, int_of(b, 0), int_of(b, (int64_t)kernel_extent(e->k, outer)), 1);
    for (uint32_t c = 0; c < s->n; c++) index_split(e, outer, l.index, s->cell[c].at.index);
  }
  if (across) walk_vectors(s, inner);
  else if (stage_sums(e->k, s->stage)) walk_blocks(s, inner);
  else walk_steps(s, inner);
  if (outer) loop_end(b, &l);
}

/* Independent sums that keep the adders busy without making short walks long. Sums down columns
 * have two: of the block and of the blocks before it, in the order of the rows, as in the epilogue
 * of a CONTRACT. What phase prepare computes from a parameter and what the parameter's update
 * computes are then the same bits. */
static uint32_t stage_ways(const Kernel *k, uint32_t stage, uint16_t walk, bool across) {
  if (!stage_sums(k, stage)) return 1;
  if (!across) return 2;
  return kernel_extent(k, walk) < 128 || k->ninstr > SMALL_PROGRAM ? 1 : MAX_WAY;
}

/* Every stage at the cells' columns or, with one cell, at a row. */
static void block_emit(Emit *e, Cell *cell, uint32_t n) {
  const Kernel *k = e->k;
  for (uint32_t stage = 0; stage < k->nstage; stage++) {
    uint16_t walk = k->space[stage] & kernel_axes(k, PART_R);
    bool across = cell->at.axis != NO_AXIS && (walk >> cell->at.axis & 1);
    Stage s;
    stage_open(&s, e, stage, walk, cell, n, stage_ways(k, stage, walk, across));
    stage_before(&s);
    if (walk && stage_walks(&s)) stage_walk(&s, across);
    stage_close(&s);
    stage_after(&s);
  }
}

/* ---- the parallel axes --------------------------------------------------------------------- */

/* Sets up cells side by side from `base` on, the last of them with the lanes that are left. */
static void cells_place(Emit *e, Cell *cell, uint32_t n, Value base, uint32_t last) {
  uint32_t width = e->b.isa->width, axis = cell->at.axis;
  for (uint32_t c = 0; c < n; c++) {
    if (c) cell[c].at = cell[0].at;
    cell[c].at.index[axis] = value_add(&e->b, base, int_of(&e->b, c * width));
    cell[c].at.lanes = c + 1 == n ? last : width;
  }
}

/* True if the program draws random numbers. */
static bool draws(const Kernel *k) {
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_RANDOM) return true;
  return false;
}

/* Columns side by side: fewer of a long program, whose code would only grow; two vectors of one
 * that draws random numbers, whose rounds are a chain. */
static uint32_t columns_of(const Emit *e) {
  if (draws(e->k)) return 2 * e->b.isa->width;
  if (e->k->ninstr > LARGE_PROGRAM) return e->b.isa->width;
  return e->k->ninstr > SMALL_PROGRAM ? COLUMNS / 2 : COLUMNS;
}

/* Vectors along a parallel axis, over [from, to): whole blocks, then what is left at the end. */
static void columns_emit(Emit *e, Cell *cell, Value from, Value to) {
  Build *b = &e->b;
  uint32_t width = b->isa->width, columns = columns_of(e);
  uint32_t axis = cell->at.axis, extent = (uint32_t)e->k->extent[axis], rest = extent % columns;
  Value whole = int_of(b, extent - rest);
  if (extent >= columns) {
    Loop l = loop_begin(b, from, value_min(b, to, whole), columns);
    cells_place(e, cell, columns / width, l.index, width);
    block_emit(e, cell, columns / width);
    loop_end(b, &l);
  }
  if (!rest) return;
  Branch end = branch_begin(b, LLVMBuildICmp(b->at, LLVMIntEQ, to, int_of(b, extent), ""));
  cells_place(e, cell, (rest + width - 1) / width, whole, rest % width ? rest % width : width);
  block_emit(e, cell, (rest + width - 1) / width);
  branch_end(b, &end);
}

/* Loops over the parallel axes from `axis` on, then the block; the vector axis comes last. */
static void axes_emit(Emit *e, Cell *cell, uint32_t axis, Value lo, Value hi) {
  Build *b = &e->b;
  const Launch *launch = &e->k->launch;
  uint32_t vector = cell->at.axis;
  while (axis < e->k->naxis && (e->k->part[axis] != PART_P || axis == vector)) axis++;
  if (axis < e->k->naxis) {
    bool cut = axis == launch->chunk[1];
    Value from = cut ? lo : int_of(b, 0), to = cut ? hi : int_of(b, e->k->extent[axis]);
    Loop l = loop_begin(b, from, to, 1);
    cell->at.index[axis] = l.index;
    axes_emit(e, cell, axis + 1, lo, hi);
    loop_end(b, &l);
  } else if (vector == NO_AXIS || e->k->part[vector] != PART_P) {
    block_emit(e, cell, 1);
  } else if (vector == launch->chunk[1]) {
    columns_emit(e, cell, lo, hi);
  } else {
    columns_emit(e, cell, int_of(b, 0), int_of(b, e->k->extent[vector]));
  }
}

/* Chunks [begin, end). */
void row_emit(Emit *e, Value begin, Value end) {
  Build *b = &e->b;
  const Launch *launch = &e->k->launch;
  Cell cell[MAX_CELL] = {{.at = {.axis = launch->chunk[2], .lanes = b->isa->width}}};
  int64_t extent = launch->chunk[1] == NO_AXIS ? 1 : e->k->extent[launch->chunk[1]];
  Loop l = loop_begin(b, begin, end, 1);
  Value lo = value_mul(b, l.index, launch->chunk[0]);
  Value hi = value_min(b, value_add(b, lo, int_of(b, launch->chunk[0])), int_of(b, extent));
  axes_emit(e, cell, 0, lo, hi);
  loop_end(b, &l);
}
