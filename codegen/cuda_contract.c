/* cuda_contract.c: a CONTRACT as CUDA text: linear and convolution, forward, dgrad and wgrad.
 *
 *   prologue   sums over K per column, by the block, two threads a column
 *   loop       a slab of K: wait for it, start the copies of the one `stages - 1` further, multiply
 *   epilogue   the scalar program on the sums in registers: what varies over rows only comes
 *              first, then per column, then per element; sums over M go through shuffles and
 *              shared memory to `partial`, one number per tile and column
 *   column     a second function adds the tiles in order and runs the column stage
 *
 * The filling of the pipeline is the loop itself, begun `stages - 1` slabs early: one text for
 * the copies. The terms of a linear set touch prologue and epilogue only: the loop is the plain
 * one. */
#include "cuda_emit.h"
#include <stdio.h>
#include <string.h>

static uint32_t tiles_of(const Kernel *k, AxisPart part) {
  return (uint32_t)((kernel_extent(k, kernel_axes(k, part)) + TILE - 1) / TILE);
}

/* How many sums over M there are: they go through `partial`. */
static uint32_t column_sums(const Kernel *k) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < k->ninstr; i++)
    n += k->instr[i].op == I_REDUCE && k->instr[i].stage == STAGE_EPILOGUE;
  return n;
}

static void operands_of(const Kernel *k, const Tile *t, Operand *lhs, Operand *rhs) {
  *lhs = operand_of(k, t, k->lhs, PART_M);
  *rhs = operand_of(k, t, k->rhs, PART_N);
}

void contract_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch) {
  Operand lhs, rhs;
  operands_of(k, &cuda_tile_row[o->precision], &lhs, &rhs);
  CudaPiece *p = &launch->piece[0];
  p->grid[0] = tiles_of(k, PART_N);
  p->grid[1] = tiles_of(k, PART_M);
  p->shared = o->stages * (uint32_t)(lhs.bytes + rhs.bytes);
  if (!column_sums(k)) return;
  uint64_t columns = kernel_extent(k, kernel_axes(k, PART_N));
  launch->partial = column_sums(k) * (uint64_t)p->grid[1] * columns * 4;
  launch->piece[launch->npiece++] =
      (CudaPiece){.grid = {(uint32_t)((columns + BLOCK - 1) / BLOCK), 1, 1}, .block = BLOCK};
  snprintf(launch->piece[1].name, sizeof launch->piece[1].name, "%s_column", k->name);
}

/* ---- prologue ------------------------------------------------------------------------------- */

static void prologue_print(Emit *e) {
  const Kernel *k = e->k;
  bool any = false;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_PROLOGUE)) continue;
    emit_line(e, "__shared__ float over_k_%u[2][%d];", i, TILE);
    any = true;
  }
  if (!any) return;
  int32_t columns = part_extent(e, PART_N);
  emit_block(e);
  emit_line(e, "const int n = n0 + thread_index() %% %d;", TILE);
  e->live[PART_N] = columns % TILE ? emit_printf(e, "n < %d", columns) : NULL;
  sums_begin(e, STAGE_PROLOGUE);
  stage_print(e, STAGE_PROLOGUE, 0);
  stage_print(e, STAGE_PROLOGUE, IN_N);
  emit_line(e, "#pragma unroll 8");
  emit_open(e, "for (int k = thread_index() / %d; k < %d; k += 2)", TILE, part_extent(e, PART_K));
  stage_print(e, STAGE_PROLOGUE, IN_K);
  stage_print(e, STAGE_PROLOGUE, IN_K | IN_N);
  terms_print(e, STAGE_PROLOGUE);
  emit_close(e);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_PROLOGUE))
      emit_line(e, "over_k_%u[thread_index() / %d][thread_index() %% %d] = v%u;", i, TILE, TILE, i);
  emit_close(e);
}

/* ---- loop ----------------------------------------------------------------------------------- */

static void loop_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  int stages = (int)e->o->stages, slabs = (part_extent(e, PART_K) + t->slab - 1) / t->slab;
  int stage = lhs->bytes + rhs->bytes;
  emit_line(e, "%s", t->declare);
  emit_line(e, "u32 slot = 0;");
  emit_line(e, "#pragma unroll 1");
  emit_open(e, "for (int ahead = 0; ahead < %d; ahead++)", slabs + stages - 1);
  emit_line(e, "copy_wait(%d);", stages - 2);
  emit_line(e, "__syncthreads();");
  emit_open(e, "if (ahead < %d)", slabs);
  operand_copy_print(e, t, lhs);
  operand_copy_print(e, t, rhs);
  odometer_advance_print(e, t, lhs, rhs);
  emit_close(e);
  emit_line(e, "copy_commit();");
  emit_line(e, "slot = slot == %d ? 0 : slot + %d;", stage * (stages - 1), stage);
  emit_line(e, "if (ahead < %d) continue; /* the pipeline fills */", stages - 1);
  multiply_print(e, t, lhs, rhs);
  emit_close(e);
}

/* ---- epilogue ------------------------------------------------------------------------------- */

/* A sum over M from the rows of a thread to those of its warp. */
static void rows_reduce_print(Emit *e, const Tile *t, uint32_t i) {
  for (int lanes = t->lanes_from; lanes <= t->lanes_to; lanes *= 2)
    reduce_print(e, i, emit_printf(e, "__shfl_xor_sync(0xffffffffu, v%u, %d)", i, lanes));
  emit_line(e, "if (%s) over_m_%u[%s][n - n0] = v%u;", t->leads, i, t->warp_row, i);
}

/* Values that vary over rows only, as arrays. */
static void rows_print(Emit *e, const Tile *t) {
  if (!stage_has(e, STAGE_EPILOGUE, IN_M)) return;
  e->arrays = IN_M, e->at = "i";
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    const Instr *n = &e->k->instr[i];
    bool value = n->op == I_LOAD || n->op == I_SCALAR || n->op == I_RANDOM;
    if (value && n->stage == STAGE_EPILOGUE && e->parts[i] == IN_M)
      emit_line(e, "float v%u[8];", i);
  }
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < 8; i++)");
  emit_line(e, "const int m = row + %s;", t->row_of);
  stage_print(e, STAGE_EPILOGUE, IN_M);
  emit_close(e);
}

/* Values that vary over columns only: the prologue's sums, then the epilogue's own. */
static void column_values_print(Emit *e) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_PROLOGUE))
      emit_line(e, "const float v%u = %s;", i,
                combine_text(e, i, emit_printf(e, "over_k_%u[0][n - n0]", i),
                             emit_printf(e, "over_k_%u[1][n - n0]", i)));
  stage_print(e, STAGE_PROLOGUE, IN_N);
  stage_print(e, STAGE_EPILOGUE, IN_N);
}

/* The elements of one column of the thread. */
static void elements_print(Emit *e, const Tile *t) {
  const char *inside = NULL;
  if (e->live[PART_M] && e->live[PART_N])
    inside = emit_printf(e, "%s && %s", e->live[PART_M], e->live[PART_N]);
  else inside = e->live[PART_M] ? e->live[PART_M] : e->live[PART_N];
  const char *live[2] = {e->live[PART_M], e->live[PART_N]};
  e->live[PART_M] = e->live[PART_N] = NULL; /* tested once per element */
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < 8; i++)");
  emit_line(e, "const int m = row + %s;", t->row_of);
  if (inside) emit_line(e, "if (!(%s)) continue;", inside);
  stage_print(e, STAGE_EPILOGUE, IN_M | IN_N);
  terms_print(e, STAGE_EPILOGUE);
  emit_close(e);
  e->live[PART_M] = live[0], e->live[PART_N] = live[1];
}

/* The sums of the tile, to `partial`. */
static void partial_print(Emit *e, const Tile *t) {
  const Kernel *k = e->k;
  int32_t columns = part_extent(e, PART_N);
  uint32_t first = 0;
  emit_line(e, "__syncthreads();");
  emit_line(e, "const int n = n0 + thread_index();");
  emit_line(e, "if (thread_index() >= %d || n >= %d) return;", TILE, columns);
  for (uint32_t i = 0; i < k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_EPILOGUE)) continue;
    emit_line(e, "float v%u = over_m_%u[0][thread_index()];", i, i);
    for (int w = 1; w < t->warps; w++)
      reduce_print(e, i, emit_printf(e, "over_m_%u[%d][thread_index()]", i, w));
    emit_line(e, "partial[(%u + block_y()) * %d + n] = v%u;", first, columns, i);
    first += tiles_of(k, PART_M);
  }
}

static void epilogue_print(Emit *e, const Tile *t) {
  const Kernel *k = e->k;
  int32_t rows = part_extent(e, PART_M), columns = part_extent(e, PART_N);
  e->accumulator = t->element;
  e->live[PART_M] = rows % TILE ? emit_printf(e, "m < %d", rows) : NULL;
  e->live[PART_N] = columns % TILE ? emit_printf(e, "n < %d", columns) : NULL;
  emit_line(e, "const int row = m0 + %s, column = n0 + %s;", t->row, t->column);
  stage_print(e, STAGE_PROLOGUE, 0);
  stage_print(e, STAGE_EPILOGUE, 0);
  rows_print(e, t);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_EPILOGUE))
      emit_line(e, "__shared__ float over_m_%u[%d][%d];", i, t->warps, TILE);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int j = 0; j < 8; j++)");
  emit_line(e, "const int n = column + %s;", t->column_of);
  column_values_print(e);
  sums_begin(e, STAGE_EPILOGUE);
  elements_print(e, t);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_EPILOGUE)) rows_reduce_print(e, t, i);
  emit_close(e);
  if (column_sums(k)) partial_print(e, t);
}

/* ---- column --------------------------------------------------------------------------------- */

/* Marks what instruction i needs, stopping at sums. */
static void need(const Kernel *k, uint32_t i, bool *only) {
  const Instr *n = &k->instr[i];
  if (only[i]) return;
  only[i] = true;
  if (n->op == I_STORE) need(k, n->a, only);
  const uint16_t operand[3] = {n->a, n->b, n->c};
  for (uint32_t j = 0; n->op == I_SCALAR && j < scalar_operands(n->fn); j++)
    need(k, operand[j], only);
}

/* The sums of the tiles, in their order. */
static void tiles_print(Emit *e, int32_t columns) {
  uint32_t tiles = tiles_of(e->k, PART_M), first = 0;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_EPILOGUE)) continue;
    emit_open(e, "for (int tile = 0; tile < %u; tile++)", tiles);
    reduce_print(e, i, emit_printf(e, "partial[(%u + tile) * %d + n]", first, columns));
    emit_close(e);
    first += tiles;
  }
}

static bool column_print(Emit *e) {
  const Kernel *k = e->k;
  bool only[MAX_INSTR] = {false};
  int32_t columns = part_extent(e, PART_N);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_STORE && k->instr[i].stage == STAGE_COLUMN) need(k, i, only);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (only[i] && stage_reduces(e, i, STAGE_PROLOGUE)) {
      text_add(e->why, "%s: in CUDA text a column stage can't read a sum of the prologue", k->name);
      return false;
    }
  e->arrays = 0, e->only = only;
  e->live[PART_M] = e->live[PART_N] = NULL;
  function_open(e, "_column", true);
  emit_line(e, "const int n = block_x() * %d + thread_index();", BLOCK);
  if (columns % BLOCK) emit_line(e, "if (n >= %d) return;", columns);
  sums_begin(e, STAGE_EPILOGUE);
  tiles_print(e, columns);
  for (uint32_t s = 0; s < k->nstage; s++) stage_print(e, s, 0), stage_print(e, s, IN_N);
  emit_close(e);
  return true;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

bool contract_print(Emit *e) {
  const Tile *t = &cuda_tile_row[e->o->precision];
  Operand lhs, rhs;
  operands_of(e->k, t, &lhs, &rhs);
  bool partial = column_sums(e->k) > 0;
  function_open(e, "", partial);
  emit_line(e, "dynamic_shared unsigned char memory[];");
  emit_line(e, "const u32 base = shared_address(memory);");
  emit_line(e, "const int m0 = block_y() * %d, n0 = block_x() * %d;", TILE, TILE);
  if (t->names) emit_line(e, "%s", t->names);
  operand_setup_print(e, t, &lhs, 0);
  operand_setup_print(e, t, &rhs, lhs.bytes);
  odometer_setup_print(e, t, &lhs, &rhs);
  multiply_setup_print(e, t, &lhs, 0);
  multiply_setup_print(e, t, &rhs, lhs.bytes);
  emit_line(e, "/* prologue */");
  prologue_print(e);
  emit_line(e, "/* loop over slabs of K */");
  loop_print(e, t, &lhs, &rhs);
  emit_line(e, "/* epilogue */");
  epilogue_print(e, t);
  emit_close(e);
  return !partial || column_print(e);
}
