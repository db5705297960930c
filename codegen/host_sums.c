/* host_sums.c: the program around the products of a contraction. In: panels with their sums of
 * products in scratch. Out: what the epilogue stores, and the sums it takes.
 *
 * A sum over m belongs to one chunk, which has all rows; its slots hold a block of rows, and
 * scratch the whole. A sum over n has parts in several chunks: lanes are summed in scratch, the
 * parts go to the workspace (partial[sum][chunk along n][m]), and whichever chunk of these rows
 * arrives last, as its ticket tells, adds them in their order and runs STAGE_ROW. */
#include "host_contract.h"
#include "seed.h"

bool sums_rows(const Kernel *k, uint32_t i) {
  return k->kind == KERNEL_CONTRACT && k->instr[i].op == I_REDUCE &&
         k->instr[i].stage == STAGE_EPILOGUE && (k->instr[i].axes & kernel_axes(k, PART_N));
}

/* The address of sum i, vector v of the panel. */
static Value sum_address(Contract *c, const Panel *p, uint32_t i, uint32_t v) {
  uint32_t number = 0;
  for (uint32_t j = 0; j < i; j++) number += c->e->k->instr[j].op == I_REDUCE;
  uint64_t at = c->s.at_sum + number * (uint64_t)c->s.pitch + v * c->e->b.isa->width;
  return scratch_at(c, at, p->column);
}

/* One vector of the panel row, or of the finished sums, that the walk is at; in a strip, those of
 * the second panel lie behind all rows of the first. */
Value row_vector(Emit *e, const Cell *cell, uint32_t v) {
  (void)cell;
  Contract *c = e->contract;
  int64_t at = v / TILE_VECTORS * c->s.rows * c->tile + v % TILE_VECTORS * e->b.isa->width;
  return load_as(&e->b, e->b.vector, at_offset(&e->b, e->b.f32, c->row, at), 16);
}

typedef enum { SUM_LOAD, SUM_STORE, SUM_CLEAR } SumMove; /* STORE: of the prologue */

/* Moves the sums of a stage between their slots or values and scratch. */
static void sums_move(Contract *c, Panel *p, uint32_t stage, SumMove how) {
  Emit *e = c->e;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    const Instr *n = &e->k->instr[i];
    if (n->op != I_REDUCE || n->stage != stage || sums_rows(e->k, i)) continue;
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
void phase_panel(Contract *c, Panel *p) {
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
    if (!s->inside[i] || n->op != I_REDUCE || sums_rows(c->e->k, i)) continue;
    for (uint32_t v = 0; v < p->n; v++) {
      Type t = c->e->varies[n->a] >> p->cell->at.axis & 1 ? b->vector : b->f32;
      Value at = sum_address(c, p, i, v), whole = load_as(b, t, at, 4);
      store_to(b, math_table[n->fn].rule(b, whole, build_get(b, s->sum[i][0][v], t), NULL), at, 4);
      build_set(b, s->sum[i][0][v], stage_neutral(b, n, LLVMConstNull(t)));
    }
  }
}

/* The epilogue over rows [from, to) of the block. */
static void rows_walk(Contract *c, Panel *p, Stage *s, Value from, Value to) {
  Build *b = &c->e->b;
  Loop l = loop_begin(b, from, to, 1);
  Value row = value_add(b, c->block, l.index);
  for (uint32_t v = 0; v < p->n; v++)
    index_split(c->e, kernel_axes(c->e->k, PART_M), row, p->cell[v].at.index);
  c->row = at_element(b, b->f32, acc_base(c, p), value_mul(b, l.index, c->tile));
  c->row_number = l.index;
  stage_step(s, 0);
  loop_end(b, &l);
}

/* The row from which on all that is constant down the rows has reached its tail. */
static int32_t rows_head(const Kernel *k) {
  int32_t head = 0;
  uint32_t m = axis_last(k, PART_M);
  for (uint32_t a = 0; a < k->narg && axes_count(k, PART_M) == 1; a++)
    if (k->arg[a].tail.known && arg_moves(k, a, m) && k->arg[a].tail.from > head)
      head = k->arg[a].tail.from;
  return head;
}

/* The same, in two walks if some rows differ: beyond them a mask of dead lanes is 1. */
static void rows_walks(Contract *c, Panel *p, Stage *s, Value from, Value to) {
  Build *b = &c->e->b;
  int32_t head = rows_head(c->e->k);
  if (head) {
    Value end = LLVMBuildSub(b->at, int_of(b, head), c->block, "");
    end = value_choose(b, value_less(b, from, end), value_min(b, end, to), from);
    rows_walk(c, p, s, from, end);
    from = end;
  }
  if (axes_count(c->e->k, PART_M) == 1) c->e->beyond = axis_last(c->e->k, PART_M);
  rows_walk(c, p, s, from, to);
  c->e->beyond = NO_AXIS;
}

/* The epilogue over the rows of the block, whose sums are taken by SUM_ROWS rows. */
void phase_epilogue(Contract *c, Panel *p) {
  Emit *e = c->e;
  Build *b = &e->b;
  stage_columns(c, p, STAGE_PROLOGUE, PART_K, false);
  Stage s;
  stage_open(&s, e, STAGE_EPILOGUE, kernel_axes(e->k, PART_M), p->cell, p->n, 1);
  s.quiet = true;
  stage_before(&s);
  Value rows = c->rows;
  if (c->s.column) rows = SEED(206, LLVMBuildAnd(b->at, rows, int_of(b, -4), ""), rows);
  Loop some = loop_begin(b, int_of(b, 0), rows, SUM_ROWS);
  Value end = value_min(b, value_add(b, some.index, int_of(b, SUM_ROWS)), rows);
  rows_walks(c, p, &s, some.index, end);
  sums_flush(c, p, &s);
  loop_end(b, &some);
}

/* After the last row: stores of what does not vary over rows, and STAGE_COLUMN. */
void phase_column(Contract *c, Panel *p) {
  stage_columns(c, p, STAGE_PROLOGUE, PART_K, true);
  stage_columns(c, p, STAGE_EPILOGUE, PART_M, true);
  stage_columns(c, p, STAGE_COLUMN, PART_N, true);
}

/* ---- sums over the columns -------------------------------------------------------------------- */

/* How many of them come before instruction i. */
static uint32_t row_sum_number(const Kernel *k, uint32_t i) {
  uint32_t number = 0;
  for (uint32_t j = 0; j < i; j++) number += sums_rows(k, j);
  return number;
}

/* The lanes of sum i for a row of the block. */
static Value lanes_address(Contract *c, uint32_t i, Value row) {
  uint64_t at = c->s.at_row + row_sum_number(c->e->k, i) * (uint64_t)(c->s.rows * MAX_WIDTH);
  return scratch_at(c, at, value_mul(&c->e->b, row, c->e->b.isa->width));
}

bool rows_alone(const Contract *c) { return c->s.chunk_n <= c->strip; }

/* The lanes of sum i at the row that the epilogue is at, or v in their place. */
Value row_lanes(Emit *e, uint32_t i, Value v) {
  Contract *c = e->contract;
  Build *b = &e->b;
  if (!v && rows_alone(c)) return stage_neutral(b, &e->k->instr[i], LLVMConstNull(b->vector));
  Value at = lanes_address(c, i, c->row_number);
  return v ? store_to(b, v, at, 4), v : load_as(b, b->vector, at, 4);
}

void rows_clear(Contract *c) {
  Build *b = &c->e->b;
  const Instr *instr = c->e->k->instr;
  Loop l = loop_begin(b, int_of(b, 0), c->rows, 1);
  for (uint32_t i = 0; i < c->e->k->ninstr; i++)
    if (sums_rows(c->e->k, i))
      store_to(b, stage_neutral(b, &instr[i], LLVMConstNull(b->vector)),
               lanes_address(c, i, l.index), 4);
  loop_end(b, &l);
}

/* Where chunk `piece` along n leaves its part of sum i for row m. */
static Value part_address(Contract *c, uint32_t i, Value piece, Value m) {
  Build *b = &c->e->b;
  int64_t at = PLAN_TICKETS + row_sum_number(c->e->k, i) * c->s.pieces_n * c->s.m;
  Value index = value_add(b, value_mul(b, piece, c->s.m), m);
  return at_element(b, b->f32, at_offset(b, b->f32, c->e->workspace, at), index);
}

/* Segments of x and y in turn, of each its lower (or upper) half: x0 y0 x1 y1 ... */
static Value halves(Build *b, Value x, Value y, uint32_t segment, bool upper) {
  Value mask[MAX_WIDTH];
  uint32_t n = 0, width = b->isa->width, half = segment / 2;
  for (uint32_t at = 0; at < width; at += segment)
    for (uint32_t side = 0; side < 2; side++)
      for (uint32_t i = 0; i < half; i++)
        mask[n++] = LLVMConstInt(b->i32, at + side * width + (upper ? half : 0) + i, 0);
  return LLVMBuildShuffleVector(b->at, x, y, LLVMConstVector(mask, n), "");
}

/* A vector whose lane i is the sum of the lanes of row i: vectors are joined pair by pair, and
 * each joining halves the lanes that a row still has. Rows enter in the order of their bits
 * reversed, and so leave in their own. */
static Value rows_fold(Contract *c, uint32_t i, Value row) {
  Build *b = &c->e->b;
  Value v[MAX_WIDTH];
  uint32_t width = b->isa->width;
  for (uint32_t r = 0; r < width; r++)
    v[r] = load_as(b, b->vector, lanes_address(c, i, value_add(b, row, int_of(b, r))), 4);
  for (uint32_t segment = width; segment > 1; segment /= 2)
    for (uint32_t r = 0; r < segment / 2; r++) {
      Value x = v[r], y = v[r + segment / 2];
      v[r] = math_table[c->e->k->instr[i].fn].rule(b, halves(b, x, y, segment, false),
                                                   halves(b, x, y, segment, true), NULL);
    }
  return v[0];
}

/* Leaves the block's sums number i, a vector of rows at a time, then row by row. */
static void sum_leave(Contract *c, uint32_t i) {
  Build *b = &c->e->b;
  uint32_t width = b->isa->width;
  Value whole = LLVMBuildAnd(b->at, c->rows, int_of(b, -(int64_t)width), "");
  Loop l = loop_begin(b, int_of(b, 0), whole, width);
  Value v = rows_fold(c, i, l.index);
  store_to(b, v, part_address(c, i, c->piece_n, value_add(b, c->block, l.index)), 4);
  loop_end(b, &l);
  l = loop_begin(b, whole, c->rows, 1);
  v = lanes_fold(b, &c->e->k->instr[i], load_as(b, b->vector, lanes_address(c, i, l.index), 4));
  store_to(b, v, part_address(c, i, c->piece_n, value_add(b, c->block, l.index)), 4);
  loop_end(b, &l);
}

void rows_leave(Contract *c) {
  for (uint32_t i = 0; i < c->e->k->ninstr; i++)
    if (sums_rows(c->e->k, i)) sum_leave(c, i);
}

/* All parts of sum i from row m on, in their order; as many rows as t has lanes. */
static Value parts_sum(Contract *c, uint32_t i, Value m, Type t) {
  Build *b = &c->e->b;
  const Instr *n = &c->e->k->instr[i];
  Value sum = build_slot(b, t);
  build_set(b, sum, stage_neutral(b, n, LLVMConstNull(t)));
  Loop l = loop_begin(b, int_of(b, SEED(207, 1, 0)), int_of(b, c->s.pieces_n), 1);
  Value part = load_as(b, t, part_address(c, i, l.index, m), 4);
  build_set(b, sum, math_table[n->fn].rule(b, build_get(b, sum, t), part, NULL));
  loop_end(b, &l);
  return build_get(b, sum, t);
}

/* STAGE_ROW for rows [m0, m1), `lanes` at a time. */
static void stage_rows(Contract *c, Value m0, Value m1, uint32_t lanes) {
  Emit *e = c->e;
  Build *b = &e->b;
  uint16_t axes = kernel_axes(e->k, PART_M);
  Cell cell = {.at = c->origin};
  cell.at.axis = lanes > 1 ? axis_last(e->k, PART_M) : NO_AXIS, cell.at.lanes = lanes;
  Stage s;
  stage_open(&s, e, STAGE_ROW, axes, &cell, 1, 1);
  stage_before(&s);
  Loop l = loop_begin(b, m0, m1, lanes);
  index_split(e, axes, l.index, cell.at.index);
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (sums_rows(e->k, i))
      cell.value[i] = parts_sum(c, i, l.index, lanes > 1 ? b->vector : b->f32);
  stage_step(&s, 0);
  loop_end(b, &l);
}

/* Takes this chunk's ticket; true for the last of its rows, whose ticket is fresh again. */
static Value ticket_take(Contract *c) {
  Build *b = &c->e->b;
  Value at = at_element(b, b->i32, c->e->workspace, c->piece_m), one = LLVMConstInt(b->i32, 1, 0);
  Value before = LLVMBuildAtomicRMW(b->at, LLVMAtomicRMWBinOpAdd, at, one,
                                    LLVMAtomicOrderingAcquireRelease, 0);
  Value last = LLVMConstInt(b->i32, (uint64_t)c->s.pieces_n - 1, 0);
  return LLVMBuildICmp(b->at, LLVMIntEQ, before, last, "");
}

void rows_finish(Contract *c, Value m0, Value m1) {
  Build *b = &c->e->b;
  Branch last = branch_begin(b, ticket_take(c));
  store_to(b, LLVMConstInt(b->i32, 0, 0), at_element(b, b->i32, c->e->workspace, c->piece_m), 4);
  Value whole = m0;
  if (axes_count(c->e->k, PART_M) == 1) { /* rows lie beside each other: by vectors */
    Value n = LLVMBuildAnd(b->at, LLVMBuildSub(b->at, m1, m0, ""), int_of(b, -(int64_t)b->isa->width), "");
    stage_rows(c, m0, whole = value_add(b, m0, n), b->isa->width);
  }
  stage_rows(c, whole, m1, 1);
  branch_end(b, &last);
}
