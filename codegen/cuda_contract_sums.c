/* cuda_contract_sums.c: the sums around a product. In: a kernel and its tile. Out: text, and how
 * much shared memory and workspace it needs.
 *
 * PROLOGUE sums run over K: `lanes` threads share four columns, shared memory joins them, and every
 * block does it for its own columns. EPILOGUE sums run over M or N: every thread writes its own to
 * shared memory, one thread a column (row), or one warp all of them where they leave the block, adds
 * them (a sixth of the instructions that shuffles would take), and from there, if the tile does not span all of M (N), to all tiles: a block
 * writes its sums to the workspace and takes a ticket; the last block to arrive of a strip of
 * tiles adds those of all blocks in the order of the tiles and runs STAGE_COLUMN (STAGE_ROW). The
 * order of every sum is fixed; nothing is added atomically. */
#include <string.h>
#include "cuda_contract.h"

enum { PROLOGUE_GROUP = 4, STRIPS = PLAN_TICKETS / 2 };

/* ---- the plan ----------------------------------------------------------------------------------- */

bool sum_over(const Kernel *k, const Sums *s, uint32_t i) {
  const Instr *n = &k->instr[i];
  return n->op == I_REDUCE && n->stage == STAGE_EPILOGUE && n->axes & kernel_axes(k, s->gone);
}

uint32_t sum_first(const Kernel *k, const Sums *s, uint32_t i) {
  uint32_t before = 0;
  for (uint32_t j = 0; j < i; j++) before += sum_over(k, s, j);
  return s->first + before * (uint32_t)(s->parts * s->pitch);
}

static uint64_t extent_of(const Kernel *k, AxisPart part) {
  return kernel_extent(k, kernel_axes(k, part));
}

/* Fills in what follows from the tile and the sums before it. */
static void sums_measure(const Kernel *k, const Tile *t, Sums *s, SumPlan *p) {
  for (uint32_t i = 0; i < k->ninstr; i++) s->count += sum_over(k, s, i);
  s->tiles = tiles_of(k, t, s->kept), s->others = tiles_of(k, t, s->gone);
  s->strip = (s->tiles + STRIPS - 1) / STRIPS;
  s->first = p->share;
  p->share += s->count * (uint32_t)(s->parts * s->pitch);
  if (!s->count || s->others == 1) return;
  if (!p->workspace) p->workspace = PLAN_TICKETS * 4;
  s->partial = p->workspace / 4 - PLAN_TICKETS;
  p->workspace += s->count * s->others * extent_of(k, s->kept) * 4;
}

SumPlan sums_plan(const Kernel *k, const Tile *t) {
  SumPlan p = {.over = {
    [OVER_M] = {.kept = PART_N, .gone = PART_M, .stage = STAGE_COLUMN, .index = "n", .start = "n0",
                .tile = "tile_n", .other = "tile_m", .extent = t->columns,
                .pitch = t->columns + (t->matrix ? 8 : 0),
                .parts = t->matrix ? t->down * 8 : 16, .ticket = 0},
    [OVER_N] = {.kept = PART_M, .gone = PART_N, .stage = STAGE_ROW, .index = "m", .start = "m0",
                .tile = "tile_m", .other = "tile_n", .extent = t->rows,
                .pitch = t->rows + (t->matrix ? 8 : 4),
                .parts = t->matrix ? t->across * 4 : 16, .ticket = STRIPS}}};
  for (uint32_t i = 0; i < k->ninstr; i++)
    p.before += k->instr[i].op == I_REDUCE && k->instr[i].stage == STAGE_PROLOGUE;
  p.lanes = (uint32_t)(BLOCK * PROLOGUE_GROUP / t->columns);
  p.share = p.before * p.lanes * (uint32_t)t->columns;
  for (int d = OVER_M; d <= OVER_N; d++) sums_measure(k, t, &p.over[d], &p);
  return p;
}

void sums_declare(Emit *e, uint32_t stage, AxisPart gone, int count) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, stage) || !(e->k->instr[i].axes & kernel_axes(e->k, gone))) continue;
    if (e->matrix[i]) continue;
    const char *identity = identity_text(&e->k->instr[i]), *all = identity;
    for (int j = 1; j < count; j++) all = emit_printf(e, "%s, %s", all, identity);
    emit_line(e, "float v%u%s = %s%s%s;", i, count ? emit_printf(e, "[%d]", count) : "",
              count ? "{" : "", all, count ? "}" : "");
  }
}

void shares_print(Emit *e, const Tile *t, const SumPlan *p) {
  uint32_t at = 0;
  if (!p->share) return;
  emit_line(e, "float *const share = (float *)memory;");
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_PROLOGUE)) continue;
    emit_line(e, "float *const over_k_%u = share + %u;", i, at);
    at += p->lanes * (uint32_t)t->columns;
  }
  for (int d = OVER_M; d <= OVER_N; d++)
    for (uint32_t i = 0; i < e->k->ninstr; i++) {
      if (!sum_over(e->k, &p->over[d], i)) continue;
      emit_line(e, "float *const over_%s_%u = share + %u;", d == OVER_M ? "m" : "n", i,
                sum_first(e->k, &p->over[d], i));
    }
  emit_line(e, "__syncthreads(); /* the slabs are used up */");
}

/* ---- what a stage needs --------------------------------------------------------------------------- */

/* Marks instruction i and what it is computed from, stopping at sums. */
static void need(const Kernel *k, uint32_t i, bool *only) {
  const Instr *n = &k->instr[i];
  if (only[i]) return;
  only[i] = true;
  if (n->op == I_STORE) need(k, n->a, only);
  const uint16_t operand[3] = {n->a, n->b, n->c};
  for (uint32_t j = 0; n->op == I_SCALAR && j < scalar_operands(n->fn); j++)
    need(k, operand[j], only);
}

/* ---- prologue ------------------------------------------------------------------------------------- */

/* The terms of a thread's columns along K. */
static void prologue_loop_print(Emit *e, const SumPlan *p) {
  emit_line(e, "#pragma unroll 4");
  emit_open(e, "for (int k = thread_index() / %u; k < %d; k += %u)", BLOCK / p->lanes,
            part_extent(e, PART_K), p->lanes);
  stage_print(e, STAGE_PROLOGUE, IN_K);
  values_declare(e, STAGE_PROLOGUE, IN_K | IN_N, PROLOGUE_GROUP);
  group_print(e, STAGE_PROLOGUE, IN_K | IN_N, PROLOGUE_GROUP);
  emit_close(e);
}

/* Joins the threads that share a column. */
static void prologue_join_print(Emit *e, const SumPlan *p, const Tile *t) {
  emit_line(e, "__syncthreads();");
  emit_open(e, "if (thread_index() < %d)", t->columns);
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!stage_reduces(e, i, STAGE_PROLOGUE)) continue;
    emit_line(e, "float v%u = over_k_%u[thread_index()];", i, i);
    emit_line(e, "#pragma unroll");
    emit_line(e, "for (int i = 1; i < %u; i++)", p->lanes);
    emit_line(e, "  v%u = %s;", i,
              combine_text(e, i, emit_printf(e, "v%u", i),
                           emit_printf(e, "over_k_%u[i * %d + thread_index()]", i, t->columns)));
    emit_line(e, "over_k_%u[thread_index()] = v%u;", i, i);
  }
  emit_close(e);
  emit_line(e, "__syncthreads();");
}

void prologue_print(Emit *e, const Tile *t, const SumPlan *p) {
  const Kernel *k = e->k;
  bool only[MAX_INSTR] = {false};
  if (!p->before) return;
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_PROLOGUE)) need(k, k->instr[i].a, only), only[i] = true;
  emit_line(e, "/* sums over K: %d columns a thread, %u threads a column */", PROLOGUE_GROUP,
            p->lanes);
  emit_block(e);
  int32_t columns = part_extent(e, PART_N);
  e->only = only;
  e->live[PART_N] = columns % t->columns ? emit_printf(e, "n < %d", columns) : NULL;
  emit_line(e, "const int group = n0 + thread_index() %% %u * %d, n = group;", BLOCK / p->lanes,
            PROLOGUE_GROUP);
  stage_print(e, STAGE_PROLOGUE, 0);
  values_declare(e, STAGE_PROLOGUE, IN_N, PROLOGUE_GROUP);
  group_print(e, STAGE_PROLOGUE, IN_N, PROLOGUE_GROUP);
  sums_declare(e, STAGE_PROLOGUE, PART_K, PROLOGUE_GROUP);
  prologue_loop_print(e, p);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (stage_reduces(e, i, STAGE_PROLOGUE))
      emit_line(e, "f32_store_4(over_k_%u + thread_index() * 4, v%u);", i, i);
  e->only = NULL, e->live[PART_N] = NULL;
  emit_close(e);
  prologue_join_print(e, p, t);
}

/* ---- from a thread to its block --------------------------------------------------------------------- */

/* Which of the threads that hold the same columns (rows) this one is. Rows of `pitch` floats keep
 * their stores free of bank conflicts. */
static const char *part_text(Emit *e, const Tile *t, const Sums *s) {
  bool column = s->gone == PART_M;
  if (!t->matrix) return column ? "thread_index() / 16" : "thread_index() % 16";
  return column ? emit_printf(e, "(warp %% %d * 8 + lane / 4)", t->down)
                : emit_printf(e, "(warp / %d * 4 + lane %% 4)", t->down);
}

void sums_place_print(Emit *e, const Tile *t, const Sums *s) {
  if (!s->count) return;
  const bool column = s->gone == PART_M;
  emit_line(e, "float *const share_%s = share + %s * %d + %s;", column ? "m" : "n", part_text(e, t, s),
            s->pitch, column ? tile_column(e, t) : tile_row(e, t));
}

void sums_share_print(Emit *e, const Tile *t, const Sums *s) {
  if (!s->count) return;
  const bool column = s->gone == PART_M;
  const int step = column ? t->group : t->matrix ? 1 : 4;
  if (!column) emit_line(e, "#pragma unroll");
  if (!column) emit_open(e, "for (int i = 0; i < %d; i += %d)", t->own, step);
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!sum_over(e->k, s, i)) continue;
    const uint32_t first = sum_first(e->k, s, i);
    if (column) emit_line(e, "f32_store_%d(share_m + %u + %s, v%u);", step, first, tile_group_of(t), i);
    else if (step == 4) emit_line(e, "f32_store_4(share_n + %u + %s, v%u + i);", first, tile_row_of(t), i);
    else emit_line(e, "share_n[%u + %s] = v%u[i];", first, tile_row_of(t), i);
  }
  if (!column) emit_close(e);
}

/* ---- from a block to all tiles ------------------------------------------------------------------------ */

/* The sums of this tile: one thread a column (row). */
static void tile_sums_print(Emit *e, const Sums *s) {
  sums_declare(e, STAGE_EPILOGUE, s->gone, 0);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int part = 0; part < %d; part++)", s->parts);
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (sum_over(e->k, s, i))
      reduce_print(e, i, emit_printf(e, "over_%s_%u[part * %d + thread_index()]",
                                     s->gone == PART_M ? "m" : "n", i, s->pitch));
  emit_close(e);
}

/* How many columns (rows) a thread adds up for the workspace: so many that one warp does it, with
 * loads of so many. */
static int columns_each(const Kernel *k, const Sums *s) {
  bool whole = extent_of(k, s->kept) % (uint64_t)s->extent == 0 && s->partial % 4 == 0;
  return whole && s->extent > 32 ? s->extent / 32 : 1;
}

/* The sums of this tile, and to the workspace with them, by one warp: `each` neighbours a thread. */
static void tile_sums_leave(Emit *e, const Sums *s, int each) {
  const char *m = s->gone == PART_M ? "m" : "n";
  uint64_t extent = extent_of(e->k, s->kept), first = s->partial;
  emit_open(e, "if (thread_index() < 32)");
  emit_line(e, "const int own = thread_index() * %d;", each);
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!sum_over(e->k, s, i)) continue;
    emit_line(e, "float v%u[%d], one_%u[%d];", i, each, i, each);
    emit_line(e, "f32_load_%d(v%u, over_%s_%u + own);", each, i, m, i);
    emit_line(e, "#pragma unroll");
    emit_open(e, "for (int part = 1; part < %d; part++)", s->parts);
    emit_line(e, "f32_load_%d(one_%u, over_%s_%u + part * %d + own);", each, i, m, i, s->pitch);
    emit_line(e, "#pragma unroll");
    emit_line(e, "for (int h = 0; h < %d; h++) v%u[h] = %s;", each, i,
              combine_text(e, i, emit_printf(e, "v%u[h]", i), emit_printf(e, "one_%u[h]", i)));
    emit_close(e);
    emit_line(e, "f32_store_%d(partial + %llu + %s * %llu + %s + own, v%u);", each,
              (unsigned long long)first, s->other, (unsigned long long)extent, s->start, i);
    first += s->others * extent;
  }
  emit_close(e);
}

/* Those to the workspace, for the block that is the last of its strip. */
static void tile_sums_store(Emit *e, const Sums *s) {
  uint64_t extent = extent_of(e->k, s->kept), first = s->partial;
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!sum_over(e->k, s, i)) continue;
    emit_line(e, "partial[%llu + %s * %llu + %s] = v%u;", (unsigned long long)first, s->other,
              (unsigned long long)extent, s->index, i);
    first += s->others * extent;
  }
}

/* The sums of all tiles, in their order. */
static void all_sums_print(Emit *e, const Sums *s) {
  uint64_t extent = extent_of(e->k, s->kept), first = s->partial;
  sums_declare(e, STAGE_EPILOGUE, s->gone, 0);
  emit_line(e, "#pragma unroll 8");
  emit_open(e, "for (int tile = 0; tile < %llu; tile++)", (unsigned long long)s->others);
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!sum_over(e->k, s, i)) continue;
    reduce_print(e, i,
                 emit_printf(e, "partial[%llu + tile * %llu + %s]", (unsigned long long)first,
                             (unsigned long long)extent, s->index));
    first += s->others * extent;
  }
  emit_close(e);
}

/* The stage that uses the sums, and what of earlier stages it uses. */
static void stage_finish_print(Emit *e, const Sums *s, const bool *only) {
  uint32_t in = 1u << s->kept;
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (only[i] && stage_reduces(e, i, STAGE_PROLOGUE))
      emit_line(e, "const float v%u = over_k_%u[n - n0];", i, i);
  e->only = only;
  for (uint32_t stage = 0; stage < e->k->nstage; stage++) stage_print(e, stage, in);
  e->only = NULL;
}

/* Text of the smaller of two numbers that are known only at run time. */
static const char *smaller_text(Emit *e, const char *a, uint64_t b) {
  return emit_printf(e, "(%s < %llu ? %s : %llu)", a, (unsigned long long)b, a,
                     (unsigned long long)b);
}

/* Marks what the stage of a direction needs; false: it can't be expressed. */
static bool stage_need(Emit *e, const Tile *t, const Sums *s, bool *only) {
  const Kernel *k = e->k;
  memset(only, 0, MAX_INSTR);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (k->instr[i].op == I_STORE && k->instr[i].stage == s->stage) need(k, i, only);
  for (uint32_t i = 0; i < k->ninstr; i++)
    if (only[i] && stage_reduces(e, i, STAGE_PROLOGUE) && s->strip > 1) {
      text_add(e->why, "%s: a column stage of more than %d columns can't use a sum of the prologue",
               k->name, STRIPS * t->columns);
      return false;
    }
  return true;
}

/* What the tile does by itself: its sums, and the stage if there is no other tile. */
static void tile_finish_print(Emit *e, const Sums *s, const bool *only) {
  uint64_t extent = extent_of(e->k, s->kept);
  if (!s->count) return;
  emit_line(e, "const int %s = %s + thread_index();", s->index, s->start);
  int each = s->others > 1 ? columns_each(e->k, s) : 1;
  if (each > 1) {
    tile_sums_leave(e, s, each);
    return;
  }
  emit_open(e, "if (thread_index() < %d%s)", s->extent,
            extent % (uint64_t)s->extent
                ? emit_printf(e, " && %s < %llu", s->index, (unsigned long long)extent) : "");
  tile_sums_print(e, s);
  if (s->others == 1) stage_finish_print(e, s, only);
  else tile_sums_store(e, s);
  emit_close(e);
}

/* Takes the ticket of a direction: text that is true in the block that is its strip's last. */
static const char *ticket_text(Emit *e, const Sums *s) {
  const unsigned long long strip = s->strip, tiles = s->tiles, others = s->others;
  if (strip == 1)
    return emit_printf(e, "workspace + %llu + %s, %llu", (unsigned long long)s->ticket, s->tile,
                       others);
  emit_line(e, "const int strip_%s = %s / %llu * %llu;", s->index, s->tile, strip, strip);
  emit_line(e, "const int tiles_%s = %s - strip_%s;", s->index,
            smaller_text(e, emit_printf(e, "strip_%s + %llu", s->index, strip), tiles), s->index);
  return emit_printf(e, "workspace + %llu + %s / %llu, tiles_%s * %llu",
                     (unsigned long long)s->ticket, s->tile, strip, s->index, others);
}

/* What only the last block of a strip of tiles does, under `last`. */
static void last_print(Emit *e, const Sums *s, const char *last, const bool *only) {
  uint64_t extent = extent_of(e->k, s->kept);
  if (s->strip == 1)
    emit_open(e, "if (%s && thread_index() < %d%s)", last, s->extent,
              extent % (uint64_t)s->extent
                  ? emit_printf(e, " && %s < %llu", s->index, (unsigned long long)extent) : "");
  else {
    const char *end = smaller_text(
        e, emit_printf(e, "(strip_%s + tiles_%s) * %d", s->index, s->index, s->extent), extent);
    emit_open(e, "if (%s)", last);
    emit_open(e, "for (int %s = strip_%s * %d + thread_index(); %s < %s; %s += %d)", s->index,
              s->index, s->extent, s->index, end, s->index, BLOCK);
  }
  all_sums_print(e, s);
  stage_finish_print(e, s, only);
  if (s->strip > 1) emit_close(e);
  emit_close(e);
}

bool sums_finish_print(Emit *e, const Tile *t, const SumPlan *p) {
  bool only[2][MAX_INSTR];
  const Sums *over = p->over;
  const char *ticket[2] = {NULL, NULL};
  for (int d = OVER_M; d <= OVER_N; d++)
    if (!stage_need(e, t, &over[d], only[d])) return false;
  for (int d = OVER_M; d <= OVER_N; d++) tile_finish_print(e, &over[d], only[d]);
  for (int d = OVER_M; d <= OVER_N; d++)
    if (over[d].count && over[d].others > 1) ticket[d] = ticket_text(e, &over[d]);
  if (!ticket[0] && !ticket[1]) return true;
  if (ticket[0] && ticket[1])
    emit_line(e, "const u32 last = blocks_last(%s, %s);", ticket[0], ticket[1]);
  else emit_line(e, "const u32 last = block_last(%s);", ticket[0] ? ticket[0] : ticket[1]);
  const char *both[2] = {"last & 1", "last & 2"};
  for (int d = OVER_M; d <= OVER_N; d++)
    if (ticket[d]) last_print(e, &over[d], ticket[!d] ? both[d] : "last", only[d]);
  return true;
}
