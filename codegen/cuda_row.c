/* cuda_row.c: MAP and ROW kernels as CUDA text. A MAP is four elements a thread, a block apart,
 * so that the lanes of a warp touch neighbours. A ROW is worked on by a team:
 *
 *   WARP    32 lanes walk along a row that is short and contiguous; 8 rows a block
 *   BLOCK   256 lanes, a row that is long
 *   COLUMN  rows lie beside each other in memory (batch statistics): 32 rows x 8 lanes */
#include "cuda_emit.h"

enum { MAP_EACH = 4, SHORT_ROW = 1024 };

/* ---- MAP ------------------------------------------------------------------------------------ */

void map_launch(const Kernel *k, CudaLaunch *launch) {
  uint64_t count = kernel_extent(k, kernel_axes(k, PART_P));
  launch->grid[0] = (uint32_t)((count + MAP_EACH * BLOCK - 1) / (MAP_EACH * BLOCK));
}

void map_print(Emit *e) {
  int32_t count = part_extent(e, PART_P);
  function_open(e, false);
  stage_print(e, 0, 0);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", MAP_EACH);
  emit_line(e, "const int p = block_x() * %d + i * %d + thread_index();", MAP_EACH * BLOCK, BLOCK);
  if (count % (MAP_EACH * BLOCK)) emit_line(e, "if (p >= %d) break;", count);
  stage_print(e, 0, IN_P);
  emit_close(e);
  emit_close(e);
}

/* ---- ROW ------------------------------------------------------------------------------------ */

typedef enum { TEAM_WARP, TEAM_BLOCK, TEAM_COLUMN } Team;

static const struct {
  int rows, lanes;                 /* of a block */
  const char *row, *lane, *reduce; /* a thread's row in its block, its lane, prefix of the sum */
  bool shares;                     /* the sum goes through shared memory */
} team_row[] = {
  [TEAM_WARP] = {8, 32, "thread_index() / 32", "thread_index() % 32", "warp", false},
  [TEAM_BLOCK] = {1, 256, "0", "thread_index()", "block", true},
  [TEAM_COLUMN] = {32, 8, "thread_index() % 32", "thread_index() / 32", "column", true},
};

/* The fastest axis of a part. */
static uint32_t part_last(const Kernel *k, AxisPart part) {
  uint32_t last = 0;
  for (uint32_t a = 0; a < k->naxis; a++)
    if (k->part[a] == part) last = a;
  return last;
}

static Team team_choose(const Kernel *k) {
  uint32_t p = part_last(k, PART_P), r = part_last(k, PART_R), beside = 0, along = 0;
  for (uint32_t i = 0; i < k->narg; i++) {
    const Arg *a = &k->arg[i];
    if (a->stride[r] == 1) along++;
    else if (a->stride[r] && a->stride[p] == 1) beside++;
  }
  if (kernel_axes(k, PART_P) && beside > along) return TEAM_COLUMN;
  return kernel_extent(k, kernel_axes(k, PART_R)) <= SHORT_ROW ? TEAM_WARP : TEAM_BLOCK;
}

void row_launch(const Kernel *k, CudaLaunch *launch) {
  uint32_t rows = (uint32_t)team_row[team_choose(k)].rows;
  launch->grid[0] =
      (uint32_t)((kernel_extent(k, kernel_axes(k, PART_P)) + rows - 1) / rows);
}

/* The sums of a row, from the lanes of its team. */
static void team_sums_print(Emit *e, uint32_t stage, Team team) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage))
      emit_line(e, "v%u = %s_%s(v%u%s);", i, team_row[team].reduce,
                e->k->instr[i].fn == SCALAR_max ? "max" : "add", i,
                team_row[team].shares ? ", share" : "");
}

/* True if something of a stage is done for every element of a row. */
static bool stage_loops(const Emit *e, uint32_t stage) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage)) return true;
  return stage_has(e, stage, IN_R) || stage_has(e, stage, IN_P | IN_R);
}

/* The loop of a stage along its row, and the sums that it leaves. */
static void stage_loop_print(Emit *e, uint32_t stage, Team team) {
  if (!stage_loops(e, stage)) return;
  const char *limit = emit_printf(e, "%d", part_extent(e, PART_R));
  if (e->live[PART_P]) limit = emit_printf(e, "(%s ? %s : 0)", e->live[PART_P], limit);
  sums_begin(e, stage);
  emit_line(e, "#pragma unroll 4");
  emit_open(e, "for (int r = lane; r < %s; r += %d)", limit, team_row[team].lanes);
  stage_print(e, stage, IN_R);
  stage_print(e, stage, IN_P | IN_R);
  terms_print(e, stage);
  emit_close(e);
  team_sums_print(e, stage, team);
}

void row_print(Emit *e) {
  const Kernel *k = e->k;
  Team team = team_choose(k);
  int32_t rows = part_extent(e, PART_P);
  function_open(e, false);
  if (team_row[team].shares) emit_line(e, "__shared__ float share[%d];", BLOCK);
  emit_line(e, "const int p = block_x() * %d + %s, lane = %s;", team_row[team].rows,
            team_row[team].row, team_row[team].lane);
  e->once = "lane == 0";
  e->sync = team == TEAM_WARP ? "__syncwarp();" : "__syncthreads();";
  if (rows % team_row[team].rows) {
    if (team == TEAM_WARP) emit_line(e, "if (p >= %d) return;", rows);
    else e->live[PART_P] = emit_printf(e, "p < %d", rows);
  }
  for (uint32_t s = 0; s < k->nstage; s++) {
    if (k->nstage > 1) emit_line(e, "/* stage %u */", s);
    stage_print(e, s, 0);
    stage_print(e, s, IN_P);
    stage_loop_print(e, s, team);
  }
  emit_close(e);
}
