/* host_contract.c: CONTRACT. In: a kernel with M, N and K axes. Out: for each chunk (a block of
 * columns n, perhaps of rows m):
 *
 *   per panel of tile width: pack the rhs as [K][tile]; the prologue's sums
 *   per block of rows: per block of k (pack the lhs if it has guards or several axes), per panel:
 *     register tiles of rows x tile, broadcasting the lhs, sums kept in scratch
 *     per panel: the epilogue, row by row, while the sums are in the first cache
 *   per panel: what the sums over m give
 *
 * Only the innermost N axis is inside a chunk; outer ones are in its number. Blocks are the same
 * for every instruction set; the tile is two vectors wide. Launch.chunk = {m, n, block of rows}. */
#include "host.h"
#include "seed.h"

enum {
  COLUMNS = 32,                    /* of a chunk; a multiple of every tile's width */
  COLUMNS_PAGED = 64,              /* with a plain lhs that is copied for the caches' sake */
  COLUMNS_PACKED = 128,            /* with a lhs that has to be copied */
  ROWS = 128, DEPTH = 320,         /* of a block: its sums and one panel fit the first cache */
  ROWS_SMALL = 4,                  /* rows of the tile for what whole tiles leave */
  PAD = 16,                        /* between lines of a copy, so that they differ in their sets */
  PAGE = 1024, LINE = 16,          /* floats */
  MANY = 8                         /* chunks enough without cutting rows finely */
};

/* What tile and emit both derive from a kernel. */
typedef struct {
  int64_t m, n, k;                 /* extents; n: of the innermost N axis */
  int64_t groups;                  /* of the outer N axes */
  int64_t chunk_m, chunk_n, rows, depth;
  int64_t pitch;                   /* columns of scratch: chunk_n rounded up */
  uint32_t sums;                   /* REDUCEs of prologue and epilogue */
  bool packed, column;             /* the lhs is copied; there is work after the last row */
  LhsLayout lhs;
  uint64_t at_acc, at_sum, at_lhs, scratch; /* places in scratch, in floats; the panels are at 0 */
} Shape;

static int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* True if something must happen once per column after all rows. */
static bool column_work(const Kernel *k) {
  uint16_t varies[MAX_INSTR], rows = kernel_axes(k, PART_M);
  kernel_varies(k, varies);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->stage == STAGE_COLUMN || (n->op == I_REDUCE && n->stage == STAGE_EPILOGUE)) return true;
    if (n->op == I_STORE && !(varies[i] & rows)) return true;
  }
  return false;
}

static uint32_t axes_count(const Kernel *k, AxisPart part) {
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
  bool many = s.groups * ((s.n + s.chunk_n - 1) / s.chunk_n) >= MANY;
  s.chunk_m = s.column ? s.m : s.rows * (many ? 4 : 2);
  if (s.chunk_m > s.m) s.chunk_m = s.m;
  for (uint32_t i = 0; i < k->ninstr; i++) s.sums += k->instr[i].op == I_REDUCE;
  s.at_acc = (uint64_t)(s.k * s.pitch);
  s.at_sum = s.at_acc + (uint64_t)(s.rows * s.pitch);
  s.at_lhs = s.at_sum + (uint64_t)(s.sums * s.pitch);
  int64_t lines = s.lhs.rows_inside ? s.depth * s.lhs.sk : s.rows * s.lhs.sm;
  s.scratch = s.at_lhs + (s.packed ? (uint64_t)lines : 0);
  return s;
}

void contract_tile(Kernel *k) {
  Shape s = shape_of(k);
  Launch *l = &k->launch;
  l->chunk[0] = (uint32_t)s.chunk_m, l->chunk[1] = (uint32_t)s.chunk_n,
  l->chunk[2] = (uint32_t)s.rows;
  int64_t chunks =
      s.groups * ((s.n + s.chunk_n - 1) / s.chunk_n) * ((s.m + s.chunk_m - 1) / s.chunk_m);
  l->chunks = (uint32_t)chunks;
  l->scratch = (s.scratch * 4 + 63) / 64 * 64;
}

/* ---- a chunk in the making ----------------------------------------------------------------- */

typedef struct {
  Emit *e;
  Shape s;
  uint32_t tile;                   /* columns of a panel */
  Point origin;                    /* indices of the outer N axes */
  Value n0, columns;               /* first column of the chunk, how many */
  Value block, rows;               /* first row of the block, how many */
  Value k0, depth;                 /* first k of the block, how many */
  Value lhs, row;                  /* base of the lhs block; this row's sums or panel row */
} Contract;

/* One panel: its cells, and its first column within the chunk. */
typedef struct { Cell cell[TILE_VECTORS]; uint32_t n; Value column; } Panel;
typedef void PanelPhase(Contract *c, Panel *p);

static Value scratch_at(Contract *c, uint64_t floats, Value index) {
  Build *b = &c->e->b;
  return at_element(b, b->f32, at_offset(b, b->f32, c->e->scratch, (int64_t)floats), index);
}

/* The packed rhs of a panel: [K][tile]. */
static Value panel_base(Contract *c, const Panel *p) {
  return scratch_at(c, 0, value_mul(&c->e->b, p->column, c->s.k));
}

/* The sums of a panel for the block's rows: [rows][tile]. */
static Value acc_base(Contract *c, const Panel *p) {
  return scratch_at(c, c->s.at_acc, value_mul(&c->e->b, p->column, c->s.rows));
}

/* The address of sum i, vector v of the panel. */
static Value sum_address(Contract *c, const Panel *p, uint32_t i, uint32_t v) {
  uint32_t number = 0;
  for (uint32_t j = 0; j < i; j++) number += c->e->k->instr[j].op == I_REDUCE;
  uint64_t at = c->s.at_sum + number * (uint64_t)c->s.pitch + v * c->e->b.isa->width;
  return scratch_at(c, at, p->column);
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

/* Runs a phase for every whole panel of the chunk, then for the last, narrower one. */
static void panel_each(Contract *c, PanelPhase *phase) {
  Build *b = &c->e->b;
  Panel p;
  uint32_t rest = (uint32_t)(c->s.n % c->tile);
  Value whole =
      rest ? LLVMBuildAnd(b->at, c->columns, int_of(b, -(int64_t)c->tile), "") : c->columns;
  if (c->s.n >= c->tile) {
    Loop l = loop_begin(b, int_of(b, 0), whole, c->tile);
    panel_place(c, &p, l.index, c->tile);
    phase(c, &p);
    loop_end(b, &l);
  }
  if (!rest) return;
  Branch br = branch_begin(b, value_less(b, whole, c->columns));
  panel_place(c, &p, whole, rest);
  phase(c, &p);
  branch_end(b, &br);
}

/* ---- stages -------------------------------------------------------------------------------- */

/* One vector of the panel row, or of the finished sums, that the walk is at. */
static Value row_vector(Emit *e, const Cell *cell, uint32_t v) {
  (void)cell;
  Contract *c = e->contract;
  return load_as(&e->b, e->b.vector, at_offset(&e->b, e->b.f32, c->row, v * e->b.isa->width), 16);
}

typedef enum { SUM_LOAD, SUM_STORE, SUM_CLEAR } SumMove; /* STORE: of the prologue */

/* Moves the sums of a stage between their slots or values and scratch. */
static void sums_move(Contract *c, Panel *p, uint32_t stage, SumMove how) {
  Emit *e = c->e;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    const Instr *n = &e->k->instr[i];
    if (n->op != I_REDUCE || n->stage != stage) continue;
    bool wide = e->varies[n->a] >> p->cell->at.axis & 1;
    Type t = wide ? e->b.vector : e->b.f32;
    for (uint32_t v = 0; v < p->n; v++) {
      Value at = sum_address(c, p, i, v), *value = &p->cell[v].value[i];
      if (how == SUM_LOAD) *value = load_as(&e->b, t, at, 4);
      if (how == SUM_STORE) store_to(&e->b, *value, at, 4);
      if (how == SUM_CLEAR) store_to(&e->b, stage_neutral(&e->b, n, LLVMConstNull(t)), at, 4);
    }
  }
}

/* Computes what a stage gives per column, from its sums in scratch; its stores if `loud`. */
static void stage_columns(Contract *c, Panel *p, uint32_t stage, AxisPart part, bool loud) {
  Stage s;
  stage_open(&s, c->e, stage, part == PART_N ? 0 : kernel_axes(c->e->k, part), p->cell, p->n, 1);
  s.quiet = !loud;
  stage_before(&s);
  sums_move(c, p, stage, SUM_LOAD);
  stage_after(&s);
}

/* Packs the rhs and sums over k; clears the sums over m. */
static void phase_panel(Contract *c, Panel *p) {
  Emit *e = c->e;
  Build *b = &e->b;
  Value base = panel_base(c, p);
  pack_rhs(e, p->cell, p->n, base, c->tile);
  sums_move(c, p, STAGE_EPILOGUE, SUM_CLEAR);
  Stage s;
  stage_open(&s, e, STAGE_PROLOGUE, kernel_axes(e->k, PART_K), p->cell, p->n, 1);
  s.quiet = true;
  stage_before(&s);
  if (stage_walks(&s)) {
    Loop l = loop_begin(b, int_of(b, 0), int_of(b, c->s.k), 1);
    for (uint32_t v = 0; v < p->n; v++)
      index_split(e, kernel_axes(e->k, PART_K), l.index, p->cell[v].at.index);
    c->row = at_element(b, b->f32, base, value_mul(b, l.index, c->tile));
    stage_step(&s, 0);
    loop_end(b, &l);
  }
  stage_close(&s);
  sums_move(c, p, STAGE_PROLOGUE, SUM_STORE);
}

/* Adds the stage's sums to those in scratch and clears them. */
static void sums_flush(Contract *c, Panel *p, Stage *s) {
  Build *b = &c->e->b;
  for (uint32_t i = 0; i < c->e->k->ninstr; i++) {
    const Instr *n = &c->e->k->instr[i];
    if (!s->inside[i] || n->op != I_REDUCE) continue;
    for (uint32_t v = 0; v < p->n; v++) {
      Type t = c->e->varies[n->a] >> p->cell->at.axis & 1 ? b->vector : b->f32;
      Value at = sum_address(c, p, i, v), whole = load_as(b, t, at, 4);
      store_to(b, math_table[n->fn].rule(b, whole, build_get(b, s->sum[i][0][v], t), NULL), at, 4);
      build_set(b, s->sum[i][0][v], stage_neutral(b, n, LLVMConstNull(t)));
    }
  }
}

/* The epilogue over the rows of the block, whose sums are taken by SUM_ROWS rows. */
static void phase_epilogue(Contract *c, Panel *p) {
  Emit *e = c->e;
  Build *b = &e->b;
  stage_columns(c, p, STAGE_PROLOGUE, PART_K, false);
  Stage s;
  stage_open(&s, e, STAGE_EPILOGUE, kernel_axes(e->k, PART_M), p->cell, p->n, 1);
  s.quiet = true;
  stage_before(&s);
  Value base = acc_base(c, p), rows = c->rows;
  if (c->s.column) rows = SEED(206, LLVMBuildAnd(b->at, rows, int_of(b, -4), ""), rows);
  Loop some = loop_begin(b, int_of(b, 0), rows, SUM_ROWS);
  Value end = value_min(b, value_add(b, some.index, int_of(b, SUM_ROWS)), rows);
  Loop l = loop_begin(b, some.index, end, 1);
  for (uint32_t v = 0; v < p->n; v++)
    index_split(e, kernel_axes(e->k, PART_M), value_add(b, c->block, l.index), p->cell[v].at.index);
  c->row = at_element(b, b->f32, base, value_mul(b, l.index, c->tile));
  stage_step(&s, 0);
  loop_end(b, &l);
  sums_flush(c, p, &s);
  loop_end(b, &some);
}

/* After the last row: stores of what does not vary over rows, and STAGE_COLUMN. */
static void phase_column(Contract *c, Panel *p) {
  stage_columns(c, p, STAGE_PROLOGUE, PART_K, true);
  stage_columns(c, p, STAGE_EPILOGUE, PART_M, true);
  stage_columns(c, p, STAGE_COLUMN, PART_N, true);
}

/* ---- register tiles ------------------------------------------------------------------------- */

/* Into the first cache to be written, or into the second to be read. */
static void prefetch(Build *b, Value address, bool write) {
  Value zero = LLVMConstInt(b->i32, 0, 0), one = LLVMConstInt(b->i32, 1, 0);
  Value near = LLVMConstInt(b->i32, write ? 3 : 2, 0);
  Value arg[4] = {address, write ? one : zero, near, one};
  call_intrinsic(b, "llvm.prefetch", b->pointer, arg, 4);
}

/* Asks for what the epilogue of these rows will read and write in place. */
static void tile_prefetch(Contract *c, Panel *p, Value row, uint32_t rows) {
  Emit *e = c->e;
  Build *b = &e->b;
  for (uint32_t a = 0; a < e->k->narg; a++) {
    bool in_place = e->k->arg[a].use == (ARG_READ | ARG_WRITE);
    if (!in_place || !arg_moves(e->k, a, axis_last(e->k, PART_M))) continue;
    for (uint32_t i = 0; i < rows; i++) {
      Point at = p->cell->at;
      Value flat = value_add(b, value_add(b, c->block, row), int_of(b, i));
      index_split(e, kernel_axes(e->k, PART_M), flat, at.index);
      prefetch(b, arg_address(e, a, &at), true);
    }
  }
}

/* True if the next chunk will pack columns that lie beside those of this one. An epilogue that
 * updates in place has enough to ask for. */
static bool rhs_ahead(const Kernel *k, const Shape *s) {
  const Arg *a = &k->arg[k->rhs];
  bool dense = a->stride[axis_last(k, PART_N)] == 1 || a->stride[axis_last(k, PART_K)] == 1;
  return dense && axes_count(k, PART_K) == 1 && !a->nguard && s->groups == 1 && !s->column &&
         s->n >= 2 * s->chunk_n && s->m <= s->chunk_m;
}

/* Line number `line` of the panel that follows a chunk later: at this k, or at this column. It
 * may lie beyond the buffer, where a prefetch does nothing; so its address is not `inbounds`. */
static Value line_ahead(Contract *c, const Panel *p, Value line) {
  Emit *e = c->e;
  Build *b = &e->b;
  Point at = p->cell->at;
  const Arg *a = &e->k->arg[e->k->rhs];
  uint32_t k = axis_last(e->k, PART_K);
  int64_t across = a->stride[at.axis];
  at.index[k] = c->k0;
  Value offset = int_of(b, c->s.chunk_n * across);
  if (across == 1) {
    offset = value_add(b, offset, value_mul(b, line, a->stride[k]));
  } else {
    Value lines = int_of(b, (c->s.depth + LINE - 1) / LINE);
    Value column = LLVMBuildUDiv(b->at, line, lines, "");
    offset = value_add(b, offset, value_mul(b, column, across));
    offset = value_add(b, offset, value_mul(b, LLVMBuildURem(b->at, line, lines, ""), LINE));
  }
  Value base = arg_address(e, e->k->rhs, &at);
  return LLVMBuildGEP2(b->at, dtype_type(b, a->dtype), base, &offset, 1, "");
}

/* Asks for what the next chunk will pack as this panel, some lines of it at every tile. */
static void rhs_prefetch(Contract *c, Panel *p, Value row, uint32_t rows) {
  Build *b = &c->e->b;
  int64_t block = c->s.rows < c->s.m ? c->s.rows : c->s.m, tiles = block / rows;
  if (!rhs_ahead(c->e->k, &c->s) || rows != b->isa->rows || !tiles) return;
  bool across = c->e->k->arg[c->e->k->rhs].stride[p->cell->at.axis] == 1;
  int64_t lines = across ? c->s.depth : (c->s.depth + LINE - 1) / LINE * c->tile;
  int64_t each = (lines + tiles - 1) / tiles;
  Value first = value_mul(b, LLVMBuildUDiv(b->at, row, int_of(b, rows), ""), each);
  Loop l = loop_begin(b, first, value_add(b, first, int_of(b, each)), 1);
  prefetch(b, line_ahead(c, p, l.index), false);
  loop_end(b, &l);
}

/* sums[i][v] += sum over the block of k of lhs(i, k) * panel(k, v), for `rows` rows. */
static void tile_sum(Contract *c, Panel *p, Value lhs, Value panel, Value *sum, uint32_t rows) {
  Build *b = &c->e->b;
  uint32_t width = b->isa->width;
  Value depth = SEED(201, value_add(b, c->depth, int_of(b, -1)), c->depth);
  Loop l = loop_begin(b, int_of(b, 0), depth, 1);
  Value at = at_element(b, b->f32, lhs, value_mul(b, l.index, c->s.lhs.sk)), right[TILE_VECTORS];
  Value line = at_element(b, b->f32, panel, value_mul(b, l.index, c->tile));
  for (uint32_t v = 0; v < p->n; v++)
    right[v] = load_as(b, b->vector, at_offset(b, b->f32, line, v * width), width * 4);
  for (uint32_t i = 0; i < rows; i++) {
    Value left = load_as(b, b->f32, at_offset(b, b->f32, at, i * c->s.lhs.sm), 4);
    left = value_splat(b, left, width);
    for (uint32_t v = 0; v < p->n; v++) {
      Value *slot = &sum[i * TILE_VECTORS + v];
      build_set(b, *slot, value_fma(b, left, right[v], build_get(b, *slot, b->vector)));
    }
  }
  loop_end(b, &l);
}

/* Tiles of `rows` rows over [from, from + count * rows) of the block. */
static Value tiles_emit(Contract *c, Panel *p, Value from, Value count, uint32_t rows) {
  Build *b = &c->e->b;
  uint32_t width = b->isa->width;
  Value to = value_add(b, from, value_mul(b, count, rows)), sum[16 * TILE_VECTORS];
  for (uint32_t i = 0; i < rows * TILE_VECTORS; i++) sum[i] = build_slot(b, b->vector);
  Loop l = loop_begin(b, from, to, rows);
  Value out = at_element(b, b->f32, acc_base(c, p), value_mul(b, l.index, c->tile));
  Value first = LLVMBuildICmp(b->at, LLVMIntEQ, c->k0, int_of(b, 0), "");
  first = SEED(202, rows == 1 ? LLVMConstInt(b->i1, 0, 0) : first, first);
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t v = 0; v < p->n; v++) {
      Value old =
          load_as(b, b->vector, at_offset(b, b->f32, out, i * c->tile + v * width), width * 4);
      build_set(b, sum[i * TILE_VECTORS + v],
                value_choose(b, first, LLVMConstNull(b->vector), old));
    }
  tile_prefetch(c, p, l.index, rows);
  rhs_prefetch(c, p, l.index, rows);
  Value lhs = at_element(b, b->f32, c->lhs, value_mul(b, l.index, c->s.lhs.sm));
  Value panel = at_element(b, b->f32, panel_base(c, p), value_mul(b, c->k0, c->tile));
  tile_sum(c, p, lhs, panel, sum, rows);
  for (uint32_t i = 0; i < rows; i++)
    for (uint32_t v = 0; v < p->n; v++)
      store_to(b, build_get(b, sum[i * TILE_VECTORS + v], b->vector),
               at_offset(b, b->f32, out, i * c->tile + v * width), width * 4);
  loop_end(b, &l);
  return to;
}

/* How many tiles of `rows`, of 4 and of 1 rows cover n rows: 128 = 20 * 6 + 2 * 4. */
static void rows_cover(int64_t n, int64_t rows, int64_t count[3]) {
  int64_t rest = n % rows;
  bool borrow = n > rows && rows % ROWS_SMALL == 2 && (rest == 2 || rest == 3);
  if (borrow) rest += rows;
  count[0] = (n - rest) / rows, count[1] = rest / ROWS_SMALL, count[2] = rest % ROWS_SMALL;
}

/* The block is whole, or the last of all: each has its own cover. */
static void phase_tiles(Contract *c, Panel *p) {
  Build *b = &c->e->b;
  int64_t last = c->s.m % c->s.rows, whole[3] = {0}, end[3] = {0};
  if (c->s.m >= c->s.rows) rows_cover(c->s.rows, b->isa->rows, whole);
  if (last) rows_cover(last, b->isa->rows, end);
  const uint32_t rows[3] = {b->isa->rows, ROWS_SMALL, 1};
  Value is_whole = LLVMBuildICmp(b->at, LLVMIntEQ, c->rows, int_of(b, c->s.rows), "");
  Value from = int_of(b, 0);
  for (uint32_t i = 0; i < 3; i++) {
    if (!whole[i] && !end[i]) continue;
    Value count = value_choose(b, is_whole, int_of(b, whole[i]), int_of(b, end[i]));
    if (!last || c->s.m < c->s.rows) count = int_of(b, last ? end[i] : whole[i]);
    from = tiles_emit(c, p, from, count, rows[i]);
  }
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
  panel_each(c, phase_tiles);
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
  panel_each(c, phase_epilogue);
  loop_end(b, &l);
}

/* Takes the number of a chunk apart: rows run fastest, then columns, then the outer N axes. */
static void chunk_emit(Contract *c, Value number) {
  Build *b = &c->e->b;
  const Shape *s = &c->s;
  int64_t pieces_m = (s->m + s->chunk_m - 1) / s->chunk_m,
          pieces_n = (s->n + s->chunk_n - 1) / s->chunk_n;
  Value column = LLVMBuildUDiv(b->at, number, int_of(b, pieces_m), "");
  Value group = LLVMBuildUDiv(b->at, column, int_of(b, pieces_n), "");
  Value m0 = value_mul(b, LLVMBuildURem(b->at, number, int_of(b, pieces_m), ""), s->chunk_m);
  Value m1 = value_min(b, value_add(b, m0, int_of(b, s->chunk_m)), int_of(b, s->m));
  c->n0 = value_mul(b, LLVMBuildURem(b->at, column, int_of(b, pieces_n), ""), s->chunk_n);
  c->columns = value_min(b, int_of(b, s->chunk_n), LLVMBuildSub(b->at, int_of(b, s->n), c->n0, ""));
  uint16_t outer = (uint16_t)(kernel_axes(c->e->k, PART_N) & ~(1u << axis_last(c->e->k, PART_N)));
  if (outer) index_split(c->e, outer, group, c->origin.index);
  panel_each(c, phase_panel);
  rows_emit(c, m0, m1);
  if (s->column) panel_each(c, phase_column);
}

/* Chunks [begin, end). */
void contract_emit(Emit *e, Value begin, Value end) {
  Contract c = {.e = e, .s = shape_of(e->k), .tile = TILE_VECTORS * e->b.isa->width};
  e->contract = &c, e->acc = row_vector, e->panel = row_vector;
  Loop l = loop_begin(&e->b, begin, end, 1);
  chunk_emit(&c, l.index);
  loop_end(&e->b, &l);
}
