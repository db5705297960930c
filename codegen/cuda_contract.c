/* cuda_contract.c: a CONTRACT as CUDA text: linear and convolution, forward, dgrad and wgrad.
 *
 *   prologue   sums over K per column, by the block, two threads a column
 *   loop       a slab of K: wait for it, start the copies of the one `stages - 1` further, multiply
 *   epilogue   the scalar program on the sums in registers: what varies over rows only comes
 *              first, then per column, then per element; sums over M go through shuffles and
 *              shared memory to the workspace, one number per tile and column; the last block
 *              to arrive of a column of tiles adds them in order and runs the column stage
 *
 * The filling of the pipeline is the loop itself, begun `stages - 1` slabs early: one text for
 * the copies. The terms of a linear set touch prologue and epilogue only: the loop is the plain
 * one. */
#include "cuda_emit.h"

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

uint32_t cuda_shared_limit(uint32_t arch) {
  static const struct { uint32_t arch, kilobytes; } row[] = {
    {75, 64}, {80, 163}, {86, 99}, {87, 163}, {88, 99}, {90, 227}, {120, 99},
  };
  uint32_t bytes = 48 << 10;
  for (size_t i = 0; i < COUNT_OF(row) && row[i].arch <= arch; i++) bytes = row[i].kilobytes << 10;
  return bytes;
}

/* Slabs of K in flight: at most four. */
static uint32_t stages_of(const Kernel *k, const CudaOptions *o, const Operand *lhs,
                          const Operand *rhs) {
  (void)k;
  uint32_t most = cuda_shared_limit(o->arch) / (uint32_t)(lhs->bytes + rhs->bytes);
  return most < 4 ? most : 4;
}

void contract_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch) {
  Operand lhs, rhs;
  operands_of(k, &cuda_tile_row[k->precision], &lhs, &rhs);
  launch->grid[0] = tiles_of(k, PART_N);
  launch->grid[1] = tiles_of(k, PART_M);
  launch->shared = stages_of(k, o, &lhs, &rhs) * (uint32_t)(lhs.bytes + rhs.bytes);
  if (!column_sums(k)) return;
  uint64_t columns = kernel_extent(k, kernel_axes(k, PART_N));
  launch->scratch = PLAN_TICKETS * 4 + column_sums(k) * (uint64_t)launch->grid[1] * columns * 4;
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
  int stages = (int)stages_of(e->k, e->o, lhs, rhs), slabs = (part_extent(e, PART_K) + t->slab - 1) / t->slab;
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
  e->at[IN_M] = "i";
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

/* The sums of all tiles of a column of tiles, in their order, and the column stage. */
static void column_print(Emit *e, int32_t columns) {
  uint32_t tiles = tiles_of(e->k, PART_M), first = 0;
  e->live[PART_M] = e->live[PART_N] = NULL;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_EPILOGUE)) continue;
    emit_line(e, "v%u = partial[%u * %d + n];", i, first, columns);
    emit_open(e, "for (int tile = 1; tile < %u; tile++)", tiles);
    reduce_print(e, i, emit_printf(e, "partial[(%u + tile) * %d + n]", first, columns));
    emit_close(e);
    first += tiles;
  }
  stage_print(e, STAGE_COLUMN, 0);
  stage_print(e, STAGE_COLUMN, IN_N);
}

/* The sums of the tile, to the workspace. */
static void partial_print(Emit *e, const Tile *t) {
  const Kernel *k = e->k;
  int32_t columns = part_extent(e, PART_N);
  uint32_t first = 0;
  emit_line(e, "float *partial = (float *)(workspace + %d);", PLAN_TICKETS);
  emit_line(e, "__syncthreads();");
  emit_line(e, "const int n = n0 + thread_index();");
  emit_line(e, "const int mine = thread_index() < %d && n < %d;", TILE, columns);
  sums_begin(e, STAGE_EPILOGUE);
  emit_open(e, "if (mine)");
  for (uint32_t i = 0; i < k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_EPILOGUE)) continue;
    for (int w = 0; w < t->warps; w++)
      reduce_print(e, i, emit_printf(e, "over_m_%u[%d][thread_index()]", i, w));
    emit_line(e, "partial[(%u + block_y()) * %d + n] = v%u;", first, columns, i);
    first += tiles_of(k, PART_M);
  }
  emit_close(e);
  emit_line(e, "if (!block_last(workspace + block_x(), %u) || !mine) return;",
            tiles_of(k, PART_M));
  column_print(e, columns);
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

/* ---- the kernel ----------------------------------------------------------------------------- */

bool contract_print(Emit *e) {
  const Tile *t = &cuda_tile_row[e->k->precision];
  Operand lhs, rhs;
  operands_of(e->k, t, &lhs, &rhs);
  function_open(e, column_sums(e->k) > 0);
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
  return true;
}
