/* host_tile.c: the products of a contraction. In: a packed panel of the rhs, a block of the lhs. Out:
 * their sums in scratch, by register tiles of rows x two vectors; on the way, lines that later
 * work will want are asked for. */
#include "host_contract.h"
#include "seed.h"

typedef enum { FOR_NOW = 3, FOR_LATER = 2 } Nearness; /* the first cache, the second */

static void prefetch(Build *b, Value address, bool write, Nearness nearness) {
  Value zero = LLVMConstInt(b->i32, 0, 0), one = LLVMConstInt(b->i32, 1, 0);
  Value near = LLVMConstInt(b->i32, nearness, 0);
  Value arg[4] = {address, write ? one : zero, near, one};
  call_intrinsic(b, "llvm.prefetch", b->pointer, arg, 4);
}

/* True if the epilogue reads or writes one element of the argument for every sum. */
static bool arg_whole(const Kernel *k, uint32_t a) {
  return a != k->lhs && a != k->rhs && arg_moves(k, a, axis_last(k, PART_M)) &&
         arg_moves(k, a, axis_last(k, PART_N));
}

/* Asks for what the epilogue of these rows will read and write. */
static void tile_prefetch(Contract *c, Panel *p, Value row, uint32_t rows) {
  Emit *e = c->e;
  Build *b = &e->b;
  for (uint32_t a = 0; a < e->k->narg; a++) {
    if (!arg_whole(e->k, a)) continue;
    for (uint32_t i = 0; i < rows; i++) {
      Point at = p->cell->at;
      Value flat = value_add(b, value_add(b, c->block, row), int_of(b, i));
      index_split(e, kernel_axes(e->k, PART_M), flat, at.index);
      prefetch(b, arg_address(e, a, &at), e->k->arg[a].use & ARG_WRITE, FOR_NOW);
    }
  }
}

/* True if the next chunk will pack columns that lie beside those of this one. An epilogue that
 * updates in place has enough to ask for. */
static bool rhs_ahead(const Kernel *k, const Shape *s) {
  const Arg *a = &k->arg[k->rhs];
  bool dense = a->stride[axis_last(k, PART_N)] == 1 || a->stride[axis_last(k, PART_K)] == 1;
  for (uint32_t i = 0; i < k->narg; i++)
    if (k->arg[i].use == (ARG_READ | ARG_WRITE) && arg_whole(k, i)) return false;
  return dense && axes_count(k, PART_K) == 1 && !a->nguard && s->groups == 1 &&
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
  prefetch(b, line_ahead(c, p, l.index), false, FOR_LATER);
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

/* True if the value of instruction i is a term: what comes of loads that do not move along both
 * rows and columns, and is not written here. */
static bool start_term(const Kernel *k, uint32_t i) {
  const Instr *n = &k->instr[i];
  if (n->op == I_CONST) return true;
  if (n->op == I_LOAD) {
    const Arg *a = &k->arg[n->a];
    bool m = false, across = false;
    for (uint32_t x = 0; x < k->naxis; x++) {
      m |= k->part[x] == PART_M && arg_moves(k, n->a, x);
      across |= k->part[x] == PART_N && arg_moves(k, n->a, x);
    }
    return n->stage == STAGE_EPILOGUE && a->use == ARG_READ && !(m && across);
  }
  bool plain = n->op == I_SCALAR && (n->fn == FN_add || n->fn == FN_sub || n->fn == FN_mul);
  return plain && n->stage == STAGE_EPILOGUE && start_term(k, n->a) && start_term(k, n->b);
}

/* The chain of additions above ACC: acc + bias + t s. Started from the terms, a sum needs no
 * instruction to add them. */
Start start_find(const Kernel *k) {
  Start s = {.whole = k->ninstr};
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_ACC) s.whole = i;
  while (s.whole < k->ninstr && s.n < MAX_TERM) {
    uint32_t user = kernel_reader(k, s.whole);
    if (user == k->ninstr) break;
    const Instr *n = &k->instr[user];
    if (n->op != I_SCALAR || n->fn != FN_add) break;
    uint32_t term = n->a == s.whole ? n->b : n->a;
    if (!start_term(k, term)) break;
    s.term[s.n++] = (uint16_t)term, s.whole = user;
  }
  return s;
}

/* Sets the sums of a row's cells to their start, or to what earlier blocks of k have left. */
static void tile_start(Contract *c, Panel *p, Value row, Value out, Value *sum) {
  Emit *e = c->e;
  Build *b = &e->b;
  Value first = LLVMBuildICmp(b->at, LLVMIntEQ, c->k0, int_of(b, 0), "");
  Stage s = {.e = e, .stage = STAGE_EPILOGUE, .cell = p->cell, .n = p->n};
  for (uint32_t v = 0; v < p->n; v++) {
    index_split(e, kernel_axes(e->k, PART_M), value_add(b, c->block, row), p->cell[v].at.index);
    Value old = at_offset(b, b->f32, out, v * b->isa->width), start = stage_start(&s, v);
    old = load_as(b, b->vector, old, 4 * b->isa->width);
    build_set(b, sum[v], value_choose(b, first, SEED(202, old, start), old));
  }
}

/* Tiles of `rows` rows over [from, from + count * rows) of the block. */
static Value tiles_emit(Contract *c, Panel *p, Value from, Value count, uint32_t rows) {
  Build *b = &c->e->b;
  uint32_t width = b->isa->width;
  Value to = value_add(b, from, value_mul(b, count, rows)), sum[16 * TILE_VECTORS];
  for (uint32_t i = 0; i < rows * TILE_VECTORS; i++) sum[i] = build_slot(b, b->vector);
  Loop l = loop_begin(b, from, to, rows);
  Value out = at_element(b, b->f32, acc_base(c, p), value_mul(b, l.index, c->tile));
  for (uint32_t i = 0; i < rows; i++)
    tile_start(c, p, value_add(b, l.index, int_of(b, i)), at_offset(b, b->f32, out, i * c->tile),
               &sum[i * TILE_VECTORS]);
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
void phase_tiles(Contract *c, Panel *p) {
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
