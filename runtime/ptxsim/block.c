/* block.c: a block: its warps run one after the other, each until it waits at a barrier or ends;
 * when all wait, the barrier opens. */
#include "part.h"
#include <stdlib.h>
#include <string.h>

/* ---- memory of a block, used for one after the other ----------------------------------------- */

static bool warp_create(Warp *w, const SimFunction *f, bool watched) {
  size_t file = f->file_bytes ? f->file_bytes : VECTOR, words = file / VECTOR;
  if (posix_memalign((void **)&w->file, 64, file)) return false;
  memset(w->file, 0, file);
  w->predicate = calloc(f->npredicate + 1, sizeof *w->predicate);
  w->local = malloc((size_t)f->info.local * LANES + 1);
  if (watched) {
    w->written = calloc(words, sizeof *w->written);
    w->written_predicate = calloc(f->npredicate + 1, sizeof *w->written_predicate);
  }
  return w->predicate && w->local && (!watched || (w->written && w->written_predicate));
}

bool block_create(Block *b, Launch *l) {
  const SimFunction *f = l->f;
  const uint32_t *size = l->what->block;
  *b = (Block){
    .launch = l, .f = f, .lanes = l->sim->lanes, .checks = l->sim->settings.checks,
    .counting = l->sim->count_memory, .nthread = size[0] * size[1] * size[2],
  };
  b->nwarp = (b->nthread + LANES - 1) / LANES;
  b->shared_bytes = f->info.shared;
  if (l->what->shared) {
    uint32_t align = f->dynamic_align;
    b->shared_bytes = (f->info.shared + align - 1) / align * align + l->what->shared;
  }
  size_t granules = ((size_t)b->shared_bytes >> f->granule) + 4;
  b->shared = calloc(b->shared_bytes + 64, 1);
  b->shadow_write = calloc(granules, sizeof *b->shadow_write);
  b->shadow_read = calloc(granules, sizeof *b->shadow_read);
  b->hint = calloc(f->ncode, sizeof *b->hint);
  b->count = calloc(f->ncode, sizeof *b->count);
  bool good = b->shared && b->shadow_write && b->shadow_read && b->hint && b->count;
  for (uint32_t i = 0; good && i < b->nwarp; i++) {
    b->warp[i].block = b, b->warp[i].index = i;
    good = warp_create(&b->warp[i], f, f->watched);
  }
  return good;
}

void block_release(Block *b) {
  for (uint32_t i = 0; i < b->nwarp; i++) {
    Warp *w = &b->warp[i];
    free(w->file), free(w->predicate), free(w->local), free(w->copy);
    free(w->written), free(w->written_predicate);
  }
  free(b->shared), free(b->shadow_write), free(b->shadow_read), free(b->hint), free(b->count);
  free(b->acquired);
}

/* ---- running --------------------------------------------------------------------------------- */

static void warp_begin(Warp *w) {
  const Block *b = w->block;
  uint32_t first = w->index * LANES, left = b->nthread - first;
  w->live = w->began = left >= LANES ? ALL_LANES : lane_bit(left) - 1;
  w->group[0] = (Group){.mask = w->live};
  w->ngroup = 1;
  w->sync = 0, w->loops = 0, w->ncopy = 0, w->copy_group = 0, w->dirty = w->fenced = 0,
  w->left = false;
  if (!b->f->watched) return;
  memset(w->written, 0, b->f->file_bytes / VECTOR * sizeof *w->written);
  memset(w->written_predicate, 0, (b->f->npredicate + 1) * sizeof *w->written_predicate);
}

static void block_begin(Block *b, uint32_t index) {
  const uint32_t *grid = b->launch->what->grid;
  b->index = index;
  b->id[0] = index % grid[0], b->id[1] = index / grid[0] % grid[1],
  b->id[2] = index / grid[0] / grid[1];
  b->stop = b->dirty = false;
  b->barriers = 0, b->nacquired = 0, b->known_write = 0;
  memset(b->shared, 0xff, b->shared_bytes);
  if (b->checks != SIM_CHECKS_NONE) shared_clear(b);
  for (uint32_t i = 0; i < b->nwarp; i++) warp_begin(&b->warp[i]);
}

/* A barrier that some warps are not at. */
static void barrier_check(Block *b) {
  Warp *first = NULL;
  if (b->checks == SIM_CHECKS_NONE) return;
  for (uint32_t i = 0; i < b->nwarp; i++) {
    Warp *w = &b->warp[i];
    if (!w->live) continue;
    if (!first) first = w;
    else if (w->barrier_pc != first->barrier_pc)
      fault_report(w, SIM_FAULT_BARRIER, w->barrier_pc, (uint32_t)__builtin_ctz(w->live),
                   "waits at this barrier while warp %u waits at the one in line %u of the PTX",
                   first->index, b->f->place[first->barrier_pc].ptx);
  }
  for (uint32_t i = 0; first && i < b->nwarp; i++) {
    if (b->warp[i].live || b->warp[i].left) continue;
    b->warp[i].left = true;
    fault_report(first, SIM_FAULT_BARRIER, first->barrier_pc, (uint32_t)__builtin_ctz(first->live),
                 "waits at a barrier that warp %u never reaches: it has ended", i);
  }
}

static void barrier_open(Block *b) {
  barrier_check(b);
  if (b->checks != SIM_CHECKS_NONE) shared_barrier(b);
  race_barrier(b);
  for (uint32_t i = 0; i < b->nwarp; i++)
    for (uint32_t j = 0; j < b->warp[i].ngroup; j++) b->warp[i].group[j].waiting = false;
  for (uint32_t i = 0; i < b->nwarp; i++) b->tally.barriers += b->warp[i].live != 0;
}

void block_run(Block *b, uint32_t index) {
  block_begin(b, index);
  for (bool more = true; more && !b->stop;) {
    more = false;
    for (uint32_t i = 0; i < b->nwarp && !b->stop; i++) {
      warp_run(&b->warp[i]);
      more |= b->warp[i].live != 0;
    }
    if (more && !b->stop) barrier_open(b);
  }
  b->tally.blocks++;
}
