/* host_contract.c: CONTRACT. In: a kernel with M, N and K axes. Out: for each chunk (a block of
 * columns n, perhaps of rows m):
 *
 *   per panel of tile width: pack the rhs as [K][tile]; the prologue's sums
 *   per block of rows: per block of k (pack the lhs if it has guards or several axes), per panel:
 *     register tiles of rows x tile, broadcasting the lhs, sums kept in scratch
 *     per strip of panels: the epilogue, row by row, while the sums are in the first cache
 *   per panel: what the sums over m give
 *   by the last chunk of these rows to arrive: what the sums over n give
 *
 * Only the innermost N axis is inside a chunk; outer ones are in its number. Blocks are the same
 * for every instruction set; the tile is two vectors wide. Launch.chunk = {m, n, block of rows}. */
#include "host_contract.h"

enum {
  COLUMNS = 32,                    /* of a chunk; a multiple of every tile's width */
  COLUMNS_PAGED = 64,              /* with a plain lhs that is copied for the caches' sake */
  COLUMNS_PACKED = 128,            /* with a lhs that has to be copied */
  ROWS = 128, DEPTH = 320,         /* of a block: its sums and one panel fit the first cache */
  PAD = 16,                        /* between lines of a copy, so that they differ in their sets */
  PAGE = 1024,                     /* floats */
  MANY = 8                         /* chunks enough without cutting rows finely */
};

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* True if something must happen once per column after all rows. */
static bool column_work(const Kernel *k) {
  uint16_t varies[MAX_INSTR], rows = kernel_axes(k, PART_M);
  kernel_varies(k, varies);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->stage == STAGE_COLUMN) return true;
    if (n->stage == STAGE_ROW || sums_rows(k, i)) continue;
    if (n->op == I_REDUCE && n->stage == STAGE_EPILOGUE) return true;
    if (n->op == I_STORE && !(varies[i] & rows)) return true;
  }
  return false;
}

uint32_t axes_count(const Kernel *k, AxisPart part) {
  return (uint32_t)__builtin_popcount(kernel_axes(k, part));
}

/* Tiles read the lhs in place if it is one stride in m and one in k. */
static bool lhs_plain(const Kernel *k) {
  const Arg *a = &k->arg[k->lhs];
  return !a->nguard && a->dtype == DTYPE_F32 && axes_count(k, PART_M) == 1 &&
         axes_count(k, PART_K) == 1;
}

/* But not if k strides over pages: then the lines of a tile would meet in few sets of a cache. */
static bool lhs_paged(const Kernel *k) {
  return k->arg[k->lhs].stride[axis_last(k, PART_K)] >= PAGE;
}

/* Blocks of one axis may end anywhere, those of several only where a run of the inner one does. */
static int64_t block_of(const Kernel *k, AxisPart part, int64_t whole, int64_t most) {
  if (axes_count(k, part) > 1) {
    int64_t block = block_within(k->extent[axis_last(k, part)], (int32_t)most);
    return block < whole ? block : whole;
  }
  int64_t pieces = (whole + most - 1) / most;
  return part == PART_M ? most : (whole + pieces - 1) / pieces;
}

/* Rows and depth of a block, and how the lhs lies in it. */
static void shape_blocks(const Kernel *k, Shape *s) {
  const Arg *a = &k->arg[k->lhs];
  uint32_t m = axis_last(k, PART_M), kk = axis_last(k, PART_K);
  bool rows = a->stride[m] == 1 && a->stride[kk] != 1;
  s->rows = s->packed && rows ? block_of(k, PART_M, s->m, ROWS) : ROWS;
  s->depth = block_of(k, PART_K, s->k, DEPTH);
  s->lhs = (LhsLayout){false, a->stride[m], a->stride[kk], 0};
  if (!s->packed) return;
  int64_t block = rows ? s->rows : s->depth, extent = k->extent[rows ? m : kk];
  s->lhs.rows_inside = rows;
  s->lhs.run = block < extent ? block : extent;
  s->lhs.sm = rows ? 1 : block + PAD, s->lhs.sk = rows ? block + PAD : 1;
}

/* Chunks along both axes. Rows that have sums share a ticket, and there are only so many. */
static void shape_pieces(Shape *s, bool many) {
  s->chunk_m = s->column ? s->m : s->rows * (many ? 4 : 2);
  if (s->row_sums && s->m > s->chunk_m * PLAN_TICKETS)
    s->chunk_m = round_up((s->m + PLAN_TICKETS - 1) / PLAN_TICKETS, s->rows);
  if (s->chunk_m > s->m) s->chunk_m = s->m;
  s->pieces_m = (s->m + s->chunk_m - 1) / s->chunk_m;
}

/* Places in scratch. */
static void shape_scratch(Shape *s) {
  s->at_acc = (uint64_t)(s->k * s->pitch);
  s->at_sum = s->at_acc + (uint64_t)(s->rows * s->pitch);
  s->at_row = s->at_sum + (uint64_t)(s->sums * s->pitch);
  s->at_lhs = s->at_row + (uint64_t)(s->row_sums * s->rows * MAX_WIDTH);
  int64_t lines = s->lhs.rows_inside ? s->depth * s->lhs.sk : s->rows * s->lhs.sm;
  s->scratch = s->at_lhs + (s->packed ? (uint64_t)lines : 0);
}

/* All sizes of a contraction, the same for every instruction set. */
static Shape shape_of(const Kernel *k) {
  uint32_t n = axis_last(k, PART_N);
  Shape s = {.m = (int64_t)kernel_extent(k, kernel_axes(k, PART_M)), .n = k->extent[n],
             .k = (int64_t)kernel_extent(k, kernel_axes(k, PART_K)),
             .packed = !lhs_plain(k) || lhs_paged(k), .column = column_work(k)};
  s.groups = (int64_t)kernel_extent(k, kernel_axes(k, PART_N)) / s.n;
  shape_blocks(k, &s);
  int64_t columns = !s.packed ? COLUMNS : lhs_plain(k) ? COLUMNS_PAGED : COLUMNS_PACKED;
  s.chunk_n = columns < s.n ? columns : s.n;
  s.pitch = round_up(s.chunk_n, COLUMNS);
  s.pieces_n = s.groups * ((s.n + s.chunk_n - 1) / s.chunk_n);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    s.sums += k->instr[i].op == I_REDUCE;
    s.row_sums += sums_rows(k, i);
  }
  shape_pieces(&s, s.pieces_n >= MANY);
  shape_scratch(&s);
  return s;
}

void contract_tile(Kernel *k) {
  Shape s = shape_of(k);
  Launch *l = &k->launch;
  l->chunk[0] = (uint32_t)s.chunk_m, l->chunk[1] = (uint32_t)s.chunk_n,
  l->chunk[2] = (uint32_t)s.rows;
  l->chunks = (uint32_t)(s.pieces_n * s.pieces_m);
  l->scratch = (s.scratch * 4 + 63) / 64 * 64;
  uint64_t partials = (uint64_t)(s.row_sums * s.pieces_n * s.m);
  l->workspace = s.row_sums ? 4 * (PLAN_TICKETS + partials) : 0;
}

/* ---- panels ---------------------------------------------------------------------------------- */

Value scratch_at(Contract *c, uint64_t floats, Value index) {
  Build *b = &c->e->b;
  return at_element(b, b->f32, at_offset(b, b->f32, c->e->scratch, (int64_t)floats), index);
}

Value panel_base(Contract *c, const Panel *p) {
  return scratch_at(c, 0, value_mul(&c->e->b, p->column, c->s.k));
}

Value acc_base(Contract *c, const Panel *p) {
  return scratch_at(c, c->s.at_acc, value_mul(&c->e->b, p->column, c->s.rows));
}

/* Sets the cells of a panel; only the last of a row of panels has fewer lanes. */
static void panel_place(Contract *c, Panel *p, Value column, uint32_t lanes) {
  Build *b = &c->e->b;
  uint32_t width = b->isa->width, axis = axis_last(c->e->k, PART_N);
  p->column = column;
  p->n = (lanes + width - 1) / width;
  for (uint32_t v = 0; v < p->n; v++) {
    Point *at = &p->cell[v].at;
    *at = c->origin;
    at->axis = axis;
    at->index[axis] = value_add(b, value_add(b, c->n0, column), int_of(b, v * width));
    at->lanes = lanes - v * width < width ? lanes - v * width : width;
  }
}

/* Runs a phase for every whole panel (or strip: `width` columns) of the chunk, then for the last,
 * narrower one. */
static void panel_each(Contract *c, PanelPhase *phase, uint32_t width) {
  Build *b = &c->e->b;
  Panel p;
  uint32_t rest = (uint32_t)(c->s.n % width);
  Value whole =
      rest ? LLVMBuildAnd(b->at, c->columns, int_of(b, -(int64_t)width), "") : c->columns;
  if (c->s.n >= width) {
    Loop l = loop_begin(b, int_of(b, 0), whole, width);
    panel_place(c, &p, l.index, width);
    phase(c, &p);
    loop_end(b, &l);
  }
  if (!rest) return;
  Branch br = branch_begin(b, value_less(b, whole, c->columns));
  panel_place(c, &p, whole, rest);
  phase(c, &p);
  branch_end(b, &br);
}

/* ---- a chunk ------------------------------------------------------------------------------- */

/* One block of k for one block of rows. */
static void depth_emit(Contract *c) {
  Emit *e = c->e;
  Build *b = &e->b;
  if (c->s.packed) {
    c->lhs = scratch_at(c, c->s.at_lhs, int_of(b, 0));
    pack_lhs(e, c->lhs, &c->s.lhs, &(LhsBlock){c->block, c->rows, c->k0, c->depth});
  } else {
    Point at = c->origin;
    at.axis = NO_AXIS;
    at.index[axis_last(e->k, PART_M)] = c->block, at.index[axis_last(e->k, PART_K)] = c->k0;
    c->lhs = arg_address(e, e->k->lhs, &at);
  }
  panel_each(c, phase_tiles, c->tile);
}

/* All rows [m0, m1) of the chunk, block by block. */
static void rows_emit(Contract *c, Value m0, Value m1) {
  Build *b = &c->e->b;
  Loop l = loop_begin(b, m0, m1, c->s.rows);
  c->block = l.index;
  c->rows = value_min(b, int_of(b, c->s.rows), LLVMBuildSub(b->at, m1, l.index, ""));
  if (c->s.k <= c->s.depth) {
    c->k0 = int_of(b, 0), c->depth = int_of(b, c->s.k);
    depth_emit(c);
  } else {
    Loop d = loop_begin(b, int_of(b, 0), int_of(b, c->s.k), c->s.depth);
    c->k0 = d.index;
    c->depth =
        value_min(b, int_of(b, c->s.depth), LLVMBuildSub(b->at, int_of(b, c->s.k), d.index, ""));
    depth_emit(c);
    loop_end(b, &d);
  }
  if (c->s.row_sums && !rows_alone(c)) rows_clear(c);
  panel_each(c, phase_epilogue, c->strip);
  if (c->s.row_sums) rows_leave(c);
  loop_end(b, &l);
}

/* Takes the number of a chunk apart: rows run fastest, then columns, then the outer N axes. */
static void chunk_emit(Contract *c, Value number) {
  Build *b = &c->e->b;
  const Shape *s = &c->s;
  int64_t inner = s->pieces_n / s->groups;
  Value column = LLVMBuildUDiv(b->at, number, int_of(b, s->pieces_m), "");
  Value group = LLVMBuildUDiv(b->at, column, int_of(b, inner), "");
  c->piece_m = LLVMBuildURem(b->at, number, int_of(b, s->pieces_m), ""), c->piece_n = column;
  Value m0 = value_mul(b, c->piece_m, s->chunk_m);
  Value m1 = value_min(b, value_add(b, m0, int_of(b, s->chunk_m)), int_of(b, s->m));
  c->n0 = value_mul(b, LLVMBuildURem(b->at, column, int_of(b, inner), ""), s->chunk_n);
  c->columns = value_min(b, int_of(b, s->chunk_n), LLVMBuildSub(b->at, int_of(b, s->n), c->n0, ""));
  uint16_t outer = (uint16_t)(kernel_axes(c->e->k, PART_N) & ~(1u << axis_last(c->e->k, PART_N)));
  if (outer) index_split(c->e, outer, group, c->origin.index);
  panel_each(c, phase_panel, c->tile);
  rows_emit(c, m0, m1);
  if (s->column) panel_each(c, phase_column, c->tile);
  if (s->row_sums) rows_finish(c, m0, m1);
}

/* Chunks [begin, end). */
void contract_emit(Emit *e, Value begin, Value end) {
  Contract c = {.e = e, .s = shape_of(e->k), .tile = TILE_VECTORS * e->b.isa->width};
  c.strip = COLUMNS >= 2 * c.tile && !c.s.column ? 2 * c.tile : c.tile;
  e->start = start_find(e->k);
  e->contract = &c, e->acc = row_vector, e->panel = row_vector, e->lanes = row_lanes;
  Loop l = loop_begin(&e->b, begin, end, 1);
  chunk_emit(&c, l.index);
  loop_end(&e->b, &l);
}
