/* cuda_contract_epilogue.c: the scalar program on the sums in registers. What varies over rows only
 * comes first, as arrays; then group by group of adjacent columns: what varies over columns only,
 * and for each row the elements. Adjacent columns are loaded and stored as one access of 8 or
 * 16 bytes (4 or 8 in bf16) where the argument's strides allow. */
#include "cuda_contract.h"

/* ---- groups of columns --------------------------------------------------------------------------- */

static uint32_t column_axis(const Kernel *k) {
  uint32_t last = 0;
  for (uint32_t a = 0; a < k->naxis; a++)
    if (k->part[a] == PART_N) last = a;
  return last;
}

/* True if `count` adjacent columns of an argument, from a multiple of it on, are one access. */
static bool arg_groups(const Kernel *k, const Arg *a, uint32_t count) {
  uint32_t axis = column_axis(k);
  if ((a->dtype != DTYPE_F32 && a->dtype != DTYPE_BF16) || a->stride[axis] != 1) return false;
  if ((uint32_t)k->extent[axis] % count || a->offset % count) return false;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (i != axis && a->stride[i] % count) return false;
  for (uint32_t g = 0; g < a->nguard; g++)
    if (a->guard[g].coef[axis]) return false;
  return true;
}

/* True if the program loads and stores argument `arg` in this order or only one of both: then loads
 * may come before everything else and stores after it. */
static bool arg_orders(const Kernel *k, uint32_t arg) {
  bool stored = false;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->op == I_STORE && n->b == arg) stored = true;
    if (n->op == I_LOAD && n->a == arg && stored) return false;
  }
  return true;
}

/* The array of a value, whose columns are adjacent in it; NULL: it is none. */
static const char *group_value(Emit *e, uint32_t i) {
  if (e->k->instr[i].op == I_ACC) return e->accumulators;
  if (e->k->instr[i].op == I_CONST || !(e->parts[i] & IN_N) || !e->at[e->parts[i]]) return NULL;
  return emit_printf(e, "v%u", i);
}

static bool access_groups(Emit *e, uint32_t i, uint32_t count) {
  const Kernel *k = e->k;
  const Instr *n = &k->instr[i];
  if (n->op != I_LOAD && n->op != I_STORE) return false;
  if (n->op == I_STORE && !group_value(e, n->a)) return false;
  uint32_t arg = n->op == I_LOAD ? n->a : n->b;
  return arg_groups(k, &k->arg[arg], count) && arg_orders(k, arg);
}

/* True if instruction i is one of those to be printed. */
static bool chosen(const Emit *e, uint32_t i, uint32_t stage, uint32_t parts) {
  return e->k->instr[i].stage == stage && e->parts[i] == parts && (!e->only || e->only[i]);
}

void values_declare(Emit *e, uint32_t stage, uint32_t parts, int count) {
  const char *all = NULL;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    uint32_t op = e->k->instr[i].op;
    if (!chosen(e, i, stage, parts) || (op != I_LOAD && op != I_SCALAR && op != I_RANDOM)) continue;
    const char *one = emit_printf(e, "v%u[%d]%s", i, count, op == I_LOAD ? " = {0.0f}" : "");
    all = all ? emit_printf(e, "%s, %s", all, one) : one;
  }
  if (all) emit_line(e, "float %s;", all);
}

/* The loads, or the stores, that are one access per group. */
static void accesses_print(Emit *e, uint32_t stage, uint32_t parts, int count, InstrOp op) {
  const Kernel *k = e->k;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    if (k->instr[i].op != op || !chosen(e, i, stage, parts)) continue;
    if (!access_groups(e, i, (uint32_t)count)) continue;
    uint32_t arg = op == I_LOAD ? k->instr[i].a : k->instr[i].b;
    const Arg *a = &k->arg[arg];
    const char *inside = inside_text(e, a), *at = address_text(e, a);
    const char *test = inside ? emit_printf(e, "if (%s) ", inside) : "";
    const char *type = a->dtype == DTYPE_F32 ? "f32" : "bf16";
    if (op == I_LOAD) emit_line(e, "%s%s_load_%d(v%u, a%u + %s);", test, type, count, i, arg, at);
    else
      emit_line(e, "%s%s_store_%d(a%u + %s, %s);", test, type, count, arg, at,
                group_value(e, k->instr[i].a));
  }
}

/* What is left to do for each column of a group: nothing, something, something at its index. */
typedef enum { EACH_NOTHING, EACH_VALUES, EACH_INDEX } Each;

static Each each_find(Emit *e, uint32_t stage, uint32_t parts, bool sums) {
  Each each = sums ? EACH_VALUES : EACH_NOTHING;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    uint32_t op = e->k->instr[i].op;
    if (!chosen(e, i, stage, parts)) continue;
    if (op == I_LOAD || op == I_STORE || op == I_RANDOM) return EACH_INDEX;
    if (op == I_SCALAR) each = EACH_VALUES;
  }
  return each;
}

/* True if a stage adds terms of these parts to sums: elements, or those of the prologue. */
static bool parts_sum(const Emit *e, uint32_t stage, uint32_t parts) {
  uint32_t all = stage == STAGE_PROLOGUE ? IN_K | IN_N : IN_M | IN_N;
  for (uint32_t i = 0; parts == all && i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage)) return true;
  return false;
}

/* Column by column, what is not done for the group as one. */
static void each_print(Emit *e, uint32_t stage, uint32_t parts, int count) {
  bool sums = parts_sum(e, stage, parts);
  int32_t columns = part_extent(e, PART_N);
  bool ragged = parts == (IN_M | IN_N) && columns % count;
  Each each = each_find(e, stage, parts, sums);
  if (each == EACH_NOTHING) return;
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int h = 0; h < %d; h++)", count);
  if (each == EACH_INDEX || ragged) emit_line(e, "const int n = group + h;");
  if (ragged) emit_line(e, "if (n >= %d) continue;", columns);
  stage_print(e, stage, parts);
  if (sums) terms_print(e, stage);
  emit_close(e);
}

void group_print(Emit *e, uint32_t stage, uint32_t parts, int count) {
  const bool *only = e->only;
  bool single[MAX_INSTR];
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    single[i] = (!only || only[i]) && !access_groups(e, i, (uint32_t)count);
  accesses_print(e, stage, parts, count, I_LOAD);
  e->only = single;
  each_print(e, stage, parts, count);
  e->only = only;
  accesses_print(e, stage, parts, count, I_STORE);
}

/* ---- the epilogue ---------------------------------------------------------------------------------- */

/* Values that vary over rows only, as arrays. */
void rows_print(Emit *e, const Tile *t) {
  if (!stage_has(e, STAGE_EPILOGUE, IN_M)) return;
  values_declare(e, STAGE_EPILOGUE, IN_M, t->own);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", t->own);
  emit_line(e, "const int m = row + %s;", tile_row_of(t));
  stage_print(e, STAGE_EPILOGUE, IN_M);
  emit_close(e);
}

/* Values that vary over columns only: the prologue's sums, then the epilogue's own. */
void columns_print(Emit *e, const Tile *t) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_PROLOGUE) && (!e->only || e->only[i])) {
      emit_line(e, "float v%u[%d];", i, t->group);
      emit_line(e, "f32_load_%d(v%u, over_k_%u + (n - n0));", t->group, i, i);
    }
  for (uint32_t stage = STAGE_PROLOGUE; stage <= STAGE_EPILOGUE; stage++) {
    values_declare(e, stage, IN_N, t->group);
    group_print(e, stage, IN_N, t->group);
  }
}

/* The elements of one group of columns; whether one is inside is tested once. */
static void group_rows_print(Emit *e, const Tile *t) {
  int32_t rows = part_extent(e, PART_M), columns = part_extent(e, PART_N);
  const char *live[2] = {e->live[PART_M], e->live[PART_N]};
  bool ragged = columns % t->columns && columns % t->group == 0;
  e->live[PART_M] = e->live[PART_N] = NULL;
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", t->own);
  emit_line(e, "const int m = row + %s;", tile_row_of(t));
  if (rows % t->rows && ragged) emit_line(e, "if (m >= %d || n >= %d) continue;", rows, columns);
  else if (rows % t->rows) emit_line(e, "if (m >= %d) continue;", rows);
  else if (ragged) emit_line(e, "if (n >= %d) continue;", columns);
  values_declare(e, STAGE_EPILOGUE, IN_M | IN_N, t->group);
  group_print(e, STAGE_EPILOGUE, IN_M | IN_N, t->group);
  matrix_terms_print(e);
  emit_close(e);
  e->live[PART_M] = live[0], e->live[PART_N] = live[1];
}

static void groups_print(Emit *e, const Tile *t, const SumPlan *p) {
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int j = 0; j < %d; j++)", t->groups);
  emit_line(e, "const int group = column + %s, n = group;", tile_group_of(t));
  columns_print(e, t);
  sums_declare(e, STAGE_EPILOGUE, PART_M, t->group);
  matrix_terms_declare(e, t);
  group_rows_print(e, t);
  matrix_sums_print(e, t);
  sums_share_print(e, t, &p->over[OVER_M]);
  emit_close(e);
}

void origin_print(Emit *e, const Tile *t) {
  emit_line(e, "const int row = m0 + %s, column = n0 + %s;", tile_row(e, t), tile_column(e, t));
}

void live_set(Emit *e, const Tile *t) {
  int32_t rows = part_extent(e, PART_M), columns = part_extent(e, PART_N);
  e->live[PART_M] = rows % t->rows ? emit_printf(e, "m < %d", rows) : NULL;
  e->live[PART_N] = columns % t->columns ? emit_printf(e, "n < %d", columns) : NULL;
}

bool epilogue_print(Emit *e, const Tile *t, const SumPlan *p) {
  e->accumulator = tile_accumulator(t), e->accumulators = tile_accumulators_of(t);
  live_set(e, t);
  for (uint32_t stage = 0; stage < e->k->nstage; stage++) stage_print(e, stage, 0);
  rows_print(e, t);
  for (int d = OVER_M; d <= OVER_N; d++) sums_place_print(e, t, &p->over[d]);
  sums_declare(e, STAGE_EPILOGUE, PART_N, t->own);
  matrix_sums_find(e, t, &p->over[OVER_M]);
  matrix_unit_print(e);
  groups_print(e, t, p);
  matrix_sums_end(e);
  sums_share_print(e, t, &p->over[OVER_N]);
  e->live[PART_M] = e->live[PART_N] = NULL;
  e->at[IN_M] = e->at[IN_N] = NULL;
  if (!p->over[OVER_M].count && !p->over[OVER_N].count) return true;
  if (p->workspace) emit_line(e, "float *partial = (float *)(workspace + %d);", PLAN_TICKETS);
  emit_line(e, "__syncthreads();");
  return sums_finish_print(e, t, p);
}
