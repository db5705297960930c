/* cuda_contract.c: a CONTRACT as CUDA text: linear and convolution, forward, dgrad and wgrad.
 *
 *   loop       a slab of K: wait for it, start the copies of the one `stages - 1` further, multiply
 *   prologue   sums over K per column, by the block, if the kernel has some
 *   epilogue   the scalar program on the sums in registers, by pairs of columns
 *   sums       over M and over N: see cuda_contract_sums.c
 *
 * The filling of the pipeline is the loop itself, begun `stages - 1` slabs early: one text for
 * the copies. The terms of a linear set touch prologue and epilogue only: the loop is the plain
 * one, and once it is done its shared memory is that of the sums. */
#include <string.h>
#include "cuda_contract.h"

/* ---- what it needs ---------------------------------------------------------------------------- */

typedef struct {
  Tile tile;
  Operand lhs, rhs;
  SumPlan sums;
  int slab;                        /* bytes of both operands */
  int slabs, stages;               /* of K; in flight, at least 2 */
  uint32_t shared;                 /* bytes of shared memory */
} Contract;

enum { STATIC_SHARED = 64, MOST_STAGES = 4 };

static Contract contract_of(const Kernel *k, const CudaOptions *o) {
  Contract c = {.tile = tile_choose(k, o->tile)};
  c.lhs = operand_of(k, &c.tile, k->lhs, PART_M);
  c.rhs = operand_of(k, &c.tile, k->rhs, PART_N);
  c.sums = sums_plan(k, &c.tile);
  c.slab = c.lhs.bytes + c.rhs.bytes;
  c.slabs = ((int)kernel_extent(k, kernel_axes(k, PART_K)) + c.tile.slab - 1) / c.tile.slab;
  c.stages = (int)(cuda_shared_limit(o->arch) - STATIC_SHARED) / c.slab;
  if (c.stages > MOST_STAGES) c.stages = MOST_STAGES;
  if (c.stages > c.slabs + 1) c.stages = c.slabs + 1;
  c.shared = (uint32_t)(c.stages * c.slab);
  if (c.shared < c.sums.share * 4) c.shared = c.sums.share * 4;
  return c;
}

void contract_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch) {
  Contract c = contract_of(k, o);
  launch->grid[0] = (uint32_t)(tiles_of(k, &c.tile, PART_M) * tiles_of(k, &c.tile, PART_N));
  launch->rows = (uint32_t)c.tile.rows, launch->columns = (uint32_t)c.tile.columns;
  launch->slab = (uint32_t)c.tile.slab, launch->slabs = (uint32_t)c.slabs;
  launch->shared = c.shared;
  launch->workspace = c.sums.workspace;
}

/* ---- loop ------------------------------------------------------------------------------------- */

static void loop_print(Emit *e, const Contract *c) {
  emit_line(e, "u32 slot = 0;");
  emit_line(e, "#pragma unroll 1");
  emit_open(e, "for (int ahead = 0; ahead < %d; ahead++)", c->slabs + c->stages - 1);
  emit_line(e, "copy_wait(%d);", c->stages - 2);
  emit_line(e, "__syncthreads();");
  emit_open(e, "if (ahead < %d)", c->slabs);
  operand_copy_print(e, &c->tile, &c->lhs);
  operand_copy_print(e, &c->tile, &c->rhs);
  odometer_advance_print(e, &c->tile, &c->lhs, &c->rhs);
  emit_close(e);
  emit_line(e, "copy_commit();");
  emit_line(e, "slot = slot == %d ? 0 : slot + %d;", c->slab * (c->stages - 1), c->slab);
  emit_line(e, "if (ahead < %d) continue; /* the pipeline fills */", c->stages - 1);
  multiply_print(e, &c->tile, &c->lhs, &c->rhs);
  emit_close(e);
}

/* ---- the kernel ------------------------------------------------------------------------------- */

/* Which tile the block computes. */
static void place_print(Emit *e, const Contract *c) {
  uint64_t tiles = tiles_of(e->k, &c->tile, PART_N);
  if (tiles == 1) emit_line(e, "const int tile_m = block_x(), tile_n = 0;");
  else
    emit_line(e, "const int tile_m = block_x() / %llu, tile_n = block_x() %% %llu;",
              (unsigned long long)tiles, (unsigned long long)tiles);
  emit_line(e, "const int m0 = tile_m * %d, n0 = tile_n * %d;", c->tile.rows, c->tile.columns);
  emit_line(e, "const int warp = thread_index() / 32, lane = thread_index() %% 32;");
}

/* What the text can't express, said in `why`. */
static bool contract_refused(Emit *e, const Contract *c) {
  const Kernel *k = e->k;
  if (k->precision != PRECISION_FP32 && e->o->arch < 80) {
    text_add(e->why, "%s: sm_%u has no tensor cores for tf32 and bf16; use --precision=fp32",
             k->name, e->o->arch);
    return true;
  }
  if (c->stages < 2) {
    text_add(e->why, "%s: two slabs need more shared memory than sm_%u has", k->name, e->o->arch);
    return true;
  }
  if (c->shared > cuda_shared_limit(e->o->arch) - STATIC_SHARED) {
    text_add(e->why, "%s: its sums need more shared memory than sm_%u has", k->name, e->o->arch);
    return true;
  }
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    uint32_t parts = n->op == I_STORE ? (uint32_t)(IN_M | IN_N)
                     : sum_over(k, &c->sums.over[OVER_M], i) ? (uint32_t)IN_N : (uint32_t)IN_M;
    bool checked = n->stage == STAGE_EPILOGUE && (n->op == I_STORE || n->op == I_REDUCE);
    if (!checked || e->parts[i] == parts) continue;
    text_add(e->why, "%s: %%%u of the epilogue %s what does not vary over rows and columns", k->name,
             i, n->op == I_STORE ? "stores" : "sums");
    return true;
  }
  return false;
}

bool contract_print(Emit *e) {
  Contract c = contract_of(e->k, e->o);
  if (contract_refused(e, &c)) return false;
  Begin *b = begin_take(e);
  e->at[IN_M] = "i", e->at[IN_N] = e->at[IN_M | IN_N] = e->at[IN_K | IN_N] = "h";
  function_open(e, c.sums.workspace > 0);
  emit_line(e, "dynamic_shared unsigned char memory[];");
  emit_line(e, "const u32 base = shared_address(memory);");
  place_print(e, &c);
  operand_setup_print(e, &c.tile, &c.lhs, 0);
  operand_setup_print(e, &c.tile, &c.rhs, c.lhs.bytes);
  odometer_setup_print(e, &c.tile, &c.lhs, &c.rhs);
  multiply_setup_print(e, &c.tile, &c.lhs, 0);
  multiply_setup_print(e, &c.tile, &c.rhs, c.lhs.bytes);
  origin_print(e, &c.tile);
  begin_print(e, &c.tile, b);
  emit_line(e, "/* loop over slabs of K */");
  loop_print(e, &c);
  mask_print(e, &c.tile, b);
  e->k = &b->rest;
  memcpy(e->parts, b->parts, sizeof b->parts);
  shares_print(e, &c.tile, &c.sums);
  prologue_print(e, &c.tile, &c.sums);
  emit_line(e, "/* epilogue */");
  bool done = epilogue_print(e, &c.tile, &c.sums);
  emit_close(e);
  return done;
}
