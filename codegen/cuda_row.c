/* cuda_row.c: ROW kernels as CUDA text. A row is worked on by a team of threads:
 *
 *   WARP    8, 16 or 32 lanes of a warp walk along a row that is short; sums by shuffles
 *   BLOCK   256 lanes, a row that is long
 *   COLUMN  rows lie beside each other in memory (batch statistics): up to 32 rows a block, its
 *           threads in as many lanes as there is room for
 *
 * Where that fills too few blocks, a row that is walked once is cut into pieces, a block each:
 * their sums go to the workspace, and the last block to arrive adds them in the order of the
 * pieces and does what comes after. */
#include "cuda_emit.h"
#include <string.h>

enum { LONG_ROW = 2048, ENOUGH_BLOCKS = 64, MANY_BLOCKS = 256, STEPS = 4, MAX_PIECES = 64 };

typedef enum { TEAM_WARP, TEAM_BLOCK, TEAM_COLUMN } Team;

/* How a kernel is cut: rows of a block, lanes of a row, blocks of a row. */
typedef struct {
  Kernel k; /* axes arranged */
  Team team;
  int rows, lanes, each; /* each: elements of a lane at a time */
  int pieces, length;    /* of a piece */
  int stage;             /* the stage that walks the row; -1: none or several */
  Numbers numbers;
  bool grouped[MAX_INSTR], level[MAX_INSTR];
} Cut;

/* ---- how a kernel is cut -------------------------------------------------------------------- */

/* The parts over which every instruction varies. */
static void cut_parts(const Kernel *k, uint32_t *parts) {
  uint16_t varies[MAX_INSTR];
  kernel_varies(k, varies);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    parts[i] = 0;
    for (uint32_t a = 0; a < k->naxis; a++)
      if (varies[i] >> a & 1) parts[i] |= 1u << k->part[a];
  }
}

/* True if something of a stage is done for every element of a row. */
static bool stage_walks(const Kernel *k, const uint32_t *parts, uint32_t stage) {
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->stage == stage && n->op == I_REDUCE) return true;
    if (n->stage == stage && n->op == I_STORE && parts[i] & IN_R) return true;
  }
  return false;
}

/* The only stage that walks the row, if pieces of it may be walked by different blocks: nothing
 * per row is stored before. Else -1. */
static int stage_alone(const Kernel *k, const uint32_t *parts) {
  int alone = -1;
  for (uint32_t s = 0; s < k->nstage; s++) {
    if (!stage_walks(k, parts, s)) continue;
    if (alone >= 0) return -1;
    alone = (int)s;
  }
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_STORE && k->instr[i].stage < alone) return -1;
  return alone;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t ceiling(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Rows beside each other: all of them if they are few; else 32, or fewer to fill more blocks where
 * pieces can't. 8 of float are a whole sector of memory. */
static void cut_columns(Cut *c, int64_t rows, int64_t length) {
  c->team = TEAM_COLUMN, c->rows = (int)least(rows, 32);
  while (rows > 32 && c->stage < 0 && c->rows > 8 && ceiling(rows, c->rows) < ENOUGH_BLOCKS &&
         BLOCK / c->rows < length)
    c->rows /= 2;
  c->lanes = BLOCK / c->rows;
}

static void cut_rows(Cut *c, int64_t rows, int64_t length) {
  int64_t steps = ceiling(length, c->each);
  bool few = rows < ENOUGH_BLOCKS && steps > 32;
  c->team = length >= LONG_ROW || few || rows == 1 ? TEAM_BLOCK : TEAM_WARP;
  c->lanes = c->team == TEAM_BLOCK ? BLOCK : steps <= 8 ? 8 : steps <= 16 ? 16 : 32;
  c->rows = BLOCK / c->lanes;
}

/* Pieces of at least a few steps of every lane. */
static void cut_pieces(Cut *c, int64_t rows, int64_t length) {
  int64_t blocks = ceiling(rows, c->rows), step = (int64_t)c->lanes * c->each;
  int64_t pieces = c->stage >= 0 && c->team != TEAM_WARP && blocks < ENOUGH_BLOCKS
                       ? least(least(MANY_BLOCKS / blocks, length / (step * STEPS)), MAX_PIECES)
                       : 1;
  c->length = (int)(pieces > 1 ? ceiling(ceiling(length, pieces), step) * step : length);
  c->pieces = (int)ceiling(length, c->length);
}

static void cut_numbers(Cut *c) {
  numbers_find(&c->k, &c->numbers);
  if (c->team == TEAM_COLUMN) number_add(&c->numbers, "beside", c->rows);
  if (c->pieces == 1) return;
  number_add(&c->numbers, "pieces", c->pieces);
  number_add(&c->numbers, "piece_length", c->length);
}

static void cut_make(Cut *c, const Kernel *k) {
  uint32_t parts[MAX_INSTR];
  c->k = *k;
  axes_arrange(&c->k);
  cut_parts(&c->k, parts);
  int64_t rows = (int64_t)kernel_extent(k, kernel_axes(k, PART_P));
  int64_t length = (int64_t)kernel_extent(k, kernel_axes(k, PART_R));
  uint64_t along = axis_neighbours(&c->k, part_last(&c->k, PART_R)), beside = 0;
  if (kernel_axes(&c->k, PART_P)) beside = axis_neighbours(&c->k, part_last(&c->k, PART_P));
  bool columns = rows > 1 && beside > along;
  c->stage = stage_alone(&c->k, parts);
  bool single = columns || (rows == 1 && length <= BLOCK); /* a lane has one element */
  c->each = !single && groups_find(&c->k, PART_R, c->grouped, c->level) ? GROUP : 1;
  if (columns) cut_columns(c, rows, length);
  else cut_rows(c, rows, length);
  cut_pieces(c, rows, length);
  cut_numbers(c);
}

static uint32_t sums_count(const Kernel *k) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < k->ninstr; i++) n += k->instr[i].op == I_REDUCE;
  return n;
}

void row_launch(const Kernel *k, CudaLaunch *launch) {
  Cut c;
  cut_make(&c, k);
  numbers_launch(&c.numbers, launch);
  uint64_t rows = kernel_extent(k, kernel_axes(k, PART_P));
  launch->grid[0] = (uint32_t)ceiling((int64_t)rows, c.rows);
  launch->grid[1] = (uint32_t)c.pieces;
  if (c.pieces > 1)
    launch->workspace = 4 * (PLAN_TICKETS + sums_count(k) * (uint64_t)c.pieces * rows);
}

/* ---- printing ------------------------------------------------------------------------------- */

/* Lanes of a row: a number of the text where they depend on one. */
static const char *lanes_text(Emit *e, const Cut *c) {
  return has_numbers(e) && c->team == TEAM_COLUMN ? "lanes" : emit_printf(e, "%d", c->lanes);
}

/* The sums of a row, from the lanes of its team. */
static void team_sums_print(Emit *e, uint32_t stage, const Cut *c) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, stage)) continue;
    const char *what = e->k->instr[i].fn == SCALAR_max ? "max" : "add";
    if (c->team == TEAM_WARP) emit_line(e, "v%u = warp_%s(v%u, %d);", i, what, i, c->lanes);
    else if (c->team == TEAM_BLOCK) emit_line(e, "v%u = block_%s(v%u, share);", i, what, i);
    else
      emit_line(e, "v%u = column_%s(v%u, share, %s, %s);", i, what, i,
                named_text(e, "beside", c->rows), lanes_text(e, c));
  }
}

/* The loop of a stage along its row, or a piece of it. */
static void walk_print(Emit *e, uint32_t stage, const Cut *c) {
  const char *live = e->live[PART_P], *first = "lane";
  const char *last = named_text(e, "length", part_extent(e, PART_R));
  bool groups = c->each > 1;
  if (groups) first = emit_printf(e, "lane * %d", GROUP);
  if (c->pieces > 1) first = sum_text(e, "first", first), last = "last";
  if (live) last = emit_printf(e, "(%s ? %s : 0)", live, last);
  e->live[PART_P] = NULL; /* tested by the loop */
  const char *r = groups ? "r0" : "r";
  emit_line(e, "#pragma unroll %d", groups ? 2 : program_short(e->k) ? STEPS : 1);
  const char *step = groups ? emit_printf(e, "%d", c->lanes * c->each) : lanes_text(e, c);
  emit_open(e, "for (int %s = %s; %s < %s; %s += %s)", r, first, r, last, r, step);
  elements_print(e, stage, PART_R, groups);
  emit_close(e);
  e->live[PART_P] = live;
}

/* Where the n-th sum of a piece lies among the partial sums. */
static const char *partial_text(Emit *e, const Cut *c, int n, const char *piece) {
  const char *pieces = named_text(e, "pieces", c->pieces);
  const char *rows = named_text(e, "rows", part_extent(e, PART_P));
  if (n) piece = emit_printf(e, "(%d * %s + %s)", n, pieces, piece);
  return emit_printf(e, "partial[%s * %s + p]", piece, rows);
}

/* The sums of all pieces, in their order, in the block that is the last of them. */
static void pieces_print(Emit *e, const Cut *c) {
  const char *pieces = named_text(e, "pieces", c->pieces), *count = pieces;
  const char *live = e->live[PART_P];
  uint32_t stage = (uint32_t)c->stage;
  int before = 0;
  emit_line(e, "float *partial = (float *)(workspace + %d);", PLAN_TICKETS);
  emit_open(e, "if (lane == 0%s%s)", live ? " && " : "", live ? live : "");
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage))
      emit_line(e, "%s = v%u;", partial_text(e, c, before++, "block_y()"), i);
  emit_close(e);
  emit_line(e, "if (!block_last(workspace + block_x(), %s)) return;", pieces);
  if (live) count = emit_printf(e, "(%s ? %s : 0)", live, pieces);
  before = 0;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, stage)) continue;
    emit_line(e, "v%u = %s;", i, identity_text(&e->k->instr[i]));
    emit_open(e, "for (int piece = 0; piece < %s; piece++)", count);
    reduce_print(e, i, partial_text(e, c, before++, "piece"));
    emit_close(e);
  }
}

/* Marks what of a stage is not done per element and needs a sum of the stage. */
static void late_find(const Emit *e, uint32_t stage, bool *late) {
  const Kernel *k = e->k;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    const uint16_t operand[3] = {n->a, n->b, n->c};
    uint32_t operands = n->op == I_SCALAR ? scalar_operands(n->fn) : n->op == I_STORE;
    late[i] = false;
    for (uint32_t j = 0; j < operands && n->stage == stage; j++)
      late[i] |= late[operand[j]] || stage_reduces(e, operand[j], stage);
  }
}

/* What a stage does once per row (or once): before its walk, or after it. */
static void once_print(Emit *e, uint32_t stage, const bool *late, bool after) {
  bool only[MAX_INSTR];
  for (uint32_t i = 0; i < e->k->ninstr; i++) only[i] = late[i] == after;
  e->only = only;
  e->once = "lane == 0 && p == 0";
  stage_print(e, stage, 0);
  e->once = "lane == 0";
  stage_print(e, stage, IN_P);
  e->only = NULL;
}

static void stages_print(Emit *e, const Cut *c) {
  bool late[MAX_INSTR];
  for (uint32_t s = 0; s < e->k->nstage; s++) {
    if (e->k->nstage > 1) emit_line(e, "/* stage %u */", s);
    late_find(e, s, late);
    once_print(e, s, late, false);
    if (stage_walks(e->k, e->parts, s)) {
      sums_begin(e, s);
      walk_print(e, s, c);
      team_sums_print(e, s, c);
      if (c->pieces > 1) pieces_print(e, c);
    }
    once_print(e, s, late, true);
  }
}

/* Which part of the row is the block's. */
static void piece_print(Emit *e, const Cut *c, int32_t length) {
  const char *piece = named_text(e, "piece_length", c->length);
  emit_line(e, "const int first = block_y() * %s;", piece);
  if (has_numbers(e) || length % c->length)
    emit_line(e, "const int last = block_y() < %s - 1 ? first + %s : %s;",
              named_text(e, "pieces", c->pieces), piece, named_text(e, "length", length));
  else emit_line(e, "const int last = first + %s;", piece);
}

/* Where a thread is: its row, its lane, its piece of the row. */
static void place_print(Emit *e, const Cut *c) {
  int32_t rows = part_extent(e, PART_P), length = part_extent(e, PART_R);
  bool column = c->team == TEAM_COLUMN, numbers = has_numbers(e);
  bool idle = column && (numbers || BLOCK % c->rows), over = numbers || rows % c->rows;
  const char *beside = column ? named_text(e, "beside", c->rows) : emit_printf(e, "%d", c->rows);
  const char *row = column ? emit_printf(e, "thread_index() %% %s", beside)
                           : emit_printf(e, "thread_index() / %d", c->lanes);
  const char *lane = column ? emit_printf(e, "thread_index() / %s", beside)
                            : emit_printf(e, "thread_index() %% %d", c->lanes);
  row = emit_printf(e, "block_x() * %s + %s", beside, row);
  if (c->team == TEAM_BLOCK) row = "block_x()", lane = "thread_index()", over = false;
  if (c->team != TEAM_WARP) emit_line(e, "__shared__ float share[%d];", BLOCK);
  if (column && numbers) emit_line(e, "const int lanes = %d / beside;", BLOCK);
  emit_line(e, "const int p = %s, lane = %s;", row, lane);
  if (over) e->live[PART_P] = emit_printf(e, "p < %s", named_text(e, "rows", rows));
  if (idle)
    e->live[PART_P] = emit_printf(e, "%s%slane < %s", over ? e->live[PART_P] : "",
                                  over ? " && " : "", lanes_text(e, c));
  if (c->pieces > 1) piece_print(e, c, length);
}

void row_print(Emit *e) {
  Cut *c = NEW(e->out->arena, Cut);
  cut_make(c, e->k);
  e->k = &c->k, e->numbers = &c->numbers;
  memcpy(e->grouped, c->grouped, sizeof c->grouped), memcpy(e->level, c->level, sizeof c->level);
  function_open(e, c->pieces > 1);
  place_print(e, c);
  e->sync = c->team == TEAM_WARP ? "__syncwarp();" : "__syncthreads();";
  stages_print(e, c);
  emit_close(e);
}
