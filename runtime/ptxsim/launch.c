/* launch.c: a Sim, and launches: threads take the blocks of a grid in order. A block that comes to
 * an atomic waits until all before it are done, so that tickets are drawn in the order of blocks
 * whatever the number of threads; the first block that is not done never waits, so all get on. */
#include "part.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a Sim ----------------------------------------------------------------------------------- */

Sim *sim_create(const SimSettings *settings, SimText *why) {
  long here = sysconf(_SC_NPROCESSORS_ONLN);
  Sim *sim = calloc(1, sizeof *sim);
  struct Names *names = names_create();
  if (!sim || !names) {
    sim_text_add(why, "no memory for a simulated device");
    free(sim), free(names);
    return NULL;
  }
  sim->settings = *settings;
  if (!sim->settings.threads) sim->settings.threads = here > 0 ? (uint32_t)here : 1;
  if (!sim->settings.memory) sim->settings.memory = UINT64_C(16) << 30;
  if (!sim->settings.architecture) sim->settings.architecture = 80;
  sim->memory.total = sim->settings.memory;
  sim->names = names;
  sim->lanes = lanes_here();
  return sim;
}

void sim_destroy(Sim *sim) {
  if (!sim) return;
  workers_end(sim);
  while (sim->modules) sim_unload(sim->modules);
  memory_release(&sim->memory);
  counters_release(sim);
  free(sim->names);
  free(sim);
}

const SimSettings *sim_settings(const Sim *sim) { return &sim->settings; }
void sim_set_checks(Sim *sim, SimChecks checks) { sim->settings.checks = checks; }

/* ---- blocks ---------------------------------------------------------------------------------- */

void launch_wait_turn(Block *b) {
  Launch *l = b->launch;
  pthread_mutex_lock(&l->lock);
  while (l->done_below < b->index && !l->stop) pthread_cond_wait(&l->advanced, &l->lock);
  pthread_mutex_unlock(&l->lock);
}

/* The next block; false: none is left, or a fault ended the launch. */
static bool block_take(Launch *l, uint32_t *index) {
  pthread_mutex_lock(&l->lock);
  bool more = l->next < l->nblock && !l->stop;
  if (more) *index = l->next++;
  pthread_mutex_unlock(&l->lock);
  return more;
}

static void block_done(Launch *l, uint32_t index, bool stop) {
  pthread_mutex_lock(&l->lock);
  l->done[index] = 1;
  while (l->done_below < l->nblock && l->done[l->done_below]) l->done_below++;
  l->stop |= stop;
  pthread_cond_broadcast(&l->advanced);
  pthread_mutex_unlock(&l->lock);
}

/* What each thread does in a launch. */
static void launch_work(Launch *l) {
  Block *b = calloc(1, sizeof *b);
  uint32_t index;
  bool good = b && block_create(b, l);
  if (!good) abort();
  while (block_take(l, &index)) {
    block_run(b, index);
    block_done(l, index, b->stop);
  }
  pthread_mutex_lock(&l->lock);
  counters_take(l, b);
  pthread_mutex_unlock(&l->lock);
  block_release(b);
  free(b);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct Workers {
  pthread_mutex_t lock;
  pthread_cond_t begin, end;
  Launch *launch;
  uint32_t round, wanted, working, n; /* wanted: how many more may join this launch */
  bool stop;
  pthread_t thread[];
};

static void *worker_run(void *of) {
  struct Workers *w = of;
  uint32_t seen = 0;
  pthread_mutex_lock(&w->lock);
  while (!w->stop) {
    if (w->round == seen || !w->wanted) {
      seen = w->round;
      pthread_cond_wait(&w->begin, &w->lock);
      continue;
    }
    seen = w->round, w->wanted--, w->working++;
    pthread_mutex_unlock(&w->lock);
    launch_work(w->launch);
    pthread_mutex_lock(&w->lock);
    if (--w->working == 0) pthread_cond_signal(&w->end);
  }
  pthread_mutex_unlock(&w->lock);
  return NULL;
}

static struct Workers *workers_begin(Sim *sim) {
  uint32_t n = sim->settings.threads - 1;
  if (sim->workers) return sim->workers;
  struct Workers *w = calloc(1, sizeof *w + n * sizeof *w->thread);
  if (!w) return NULL;
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->begin, NULL), pthread_cond_init(&w->end, NULL);
  while (w->n < n && !pthread_create(&w->thread[w->n], NULL, worker_run, w)) w->n++;
  return sim->workers = w;
}

void workers_end(Sim *sim) {
  struct Workers *w = sim->workers;
  if (!w) return;
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  pthread_cond_broadcast(&w->begin);
  pthread_mutex_unlock(&w->lock);
  for (uint32_t i = 0; i < w->n; i++) pthread_join(w->thread[i], NULL);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->begin), pthread_cond_destroy(&w->end);
  free(w);
  sim->workers = NULL;
}

/* Runs a launch on this thread and as many workers as there is work for. */
static void launch_run(Launch *l) {
  uint32_t others = l->sim->settings.threads - 1;
  struct Workers *w = others && l->nblock > 1 ? workers_begin(l->sim) : NULL;
  if (!w) {
    launch_work(l);
    return;
  }
  pthread_mutex_lock(&w->lock);
  w->launch = l, w->round++;
  w->wanted = others < l->nblock - 1 ? others : l->nblock - 1;
  pthread_cond_broadcast(&w->begin);
  pthread_mutex_unlock(&w->lock);
  launch_work(l);
  pthread_mutex_lock(&w->lock);
  w->wanted = 0;
  while (w->working) pthread_cond_wait(&w->end, &w->lock);
  pthread_mutex_unlock(&w->lock);
}

/* ---- a launch -------------------------------------------------------------------------------- */

enum { MAX_SHARED = 232448, MAX_THREADS = 1024, MAX_BLOCKS = 0x3ffffe };

static bool launch_possible(const SimLaunch *what, SimText *report) {
  const SimFunctionInfo *info = &what->function->info;
  uint64_t threads = (uint64_t)what->block[0] * what->block[1] * what->block[2];
  uint64_t blocks = (uint64_t)what->grid[0] * what->grid[1] * what->grid[2];
  if (what->grid[1] > 65535 || what->grid[2] > 65535 || !blocks || blocks > MAX_BLOCKS)
    sim_text_add(report, "%s: a grid of %u x %u x %u blocks", info->name, what->grid[0],
                 what->grid[1], what->grid[2]);
  else if (!threads || threads > info->max_threads || threads > MAX_THREADS)
    sim_text_add(report, "%s: blocks of %llu threads, at most %u", info->name,
                 (unsigned long long)threads, info->max_threads);
  else if ((uint64_t)info->shared + what->shared > MAX_SHARED)
    sim_text_add(report, "%s: %llu bytes of shared memory, at most %d", info->name,
                 (unsigned long long)info->shared + what->shared, MAX_SHARED);
  else return true;
  sim_text_add(report, "\n");
  return false;
}

/* Numbers of launches are 20 bits; before they begin anew, all cells forget. */
static uint64_t serial_next(Sim *sim) {
  if (++sim->serial >> 20) {
    sim->serial = 1;
    for (size_t i = 0; i < sim->memory.n; i++)
      memset(sim->memory.at[i]->cell, 0, (sim->memory.at[i]->bytes / 4 + 1) * sizeof(Cell));
  }
  return sim->serial;
}

static void launch_release(Launch *l) {
  race_release(l);
  for (size_t i = 0; i < l->nmistake; i++) sim_text_release(&l->mistake[i].text);
  free(l->done);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->advanced);
}

/* The kind of the first mistake, as the report has it. */
static SimFault launch_fault(const Launch *l) {
  const Mistake *first = NULL;
  for (size_t i = 0; i < l->nmistake; i++) {
    const Mistake *m = &l->mistake[i];
    if (!first || m->block < first->block || (m->block == first->block && m->pc < first->pc))
      first = m;
  }
  return first ? first->fault : SIM_FAULT_NONE;
}

SimFault sim_launch(Sim *sim, const SimLaunch *what, SimText *report) {
  Launch l = {.sim = sim, .what = what, .f = what->function};
  if (!launch_possible(what, report)) return SIM_FAULT_CONFIGURATION;
  l.nblock = what->grid[0] * what->grid[1] * what->grid[2];
  l.serial = serial_next(sim);
  l.done = calloc(l.nblock, 1);
  if (!l.done) abort();
  pthread_mutex_init(&l.lock, NULL);
  pthread_cond_init(&l.advanced, NULL);
  launch_run(&l);
  counters_finish(&l);
  launch_describe(&l, report);
  SimFault fault = launch_fault(&l);
  launch_release(&l);
  return fault;
}
