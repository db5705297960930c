/* report.c: mistakes of a launch, told once for each instruction and kind, with the first thread
 * that made it: the lowest block's, so that the text does not depend on the number of threads. */
#include "part.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *sim_fault_text(SimFault fault) {
  static const char *const text[SIM_FAULT_COUNT] = {
#define X(name, what) what,
    SIM_FAULTS(X)
#undef X
  };
  return text[fault];
}

/* The place for a mistake; NULL: it is told, by a lower block, or there are too many. */
static Mistake *mistake_place(Launch *l, SimFault fault, uint32_t pc, uint32_t block) {
  for (size_t i = 0; i < l->nmistake; i++) {
    Mistake *m = &l->mistake[i];
    if (m->fault != fault || m->pc != pc) continue;
    m->times++;
    return block < m->block ? m : NULL;
  }
  if (l->nmistake == MAX_MISTAKES) {
    l->more++;
    return NULL;
  }
  Mistake *m = &l->mistake[l->nmistake++];
  *m = (Mistake){.fault = fault, .pc = pc, .times = 1};
  return m;
}

void fault_report(const Warp *w, SimFault fault, uint32_t pc, uint32_t lane, const char *format,
                  ...) {
  Block *b = w->block;
  Launch *l = b->launch;
  char text[600];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  pthread_mutex_lock(&l->lock);
  Mistake *m = mistake_place(l, fault, pc, b->index);
  if (m) {
    m->block = b->index, m->thread = w->index * LANES + lane;
    m->text.length = 0;
    sim_text_add(&m->text, "%s", text);
  }
  pthread_mutex_unlock(&l->lock);
  bool ends = fault == SIM_FAULT_ADDRESS || fault == SIM_FAULT_MISALIGNED ||
              fault == SIM_FAULT_DEADLOCK || fault == SIM_FAULT_TRAP;
  if (ends) b->stop = true;
}

static const char *file_name(const SimModule *m, uint32_t file) {
  const char *name = file < m->nfile && m->file[file] ? m->file[file] : "?";
  const char *slash = strrchr(name, '/');
  return slash ? slash + 1 : name;
}

static void place_describe(const Launch *l, uint32_t pc, SimText *out) {
  const Place *p = &l->f->place[pc];
  if (p->outer_line)
    sim_text_add(out, "%s:%u, from %s:%u", file_name(l->f->module, p->outer_file), p->outer_line,
                 file_name(l->f->module, p->file), p->line);
  else if (p->line) sim_text_add(out, "%s:%u", file_name(l->f->module, p->file), p->line);
  sim_text_add(out, "%sline %u of the PTX", p->line ? ", " : "", p->ptx);
}

static void mistake_describe(const Launch *l, const Mistake *m, SimText *out) {
  const uint32_t *grid = l->what->grid, *size = l->what->block;
  uint32_t b = m->block, t = m->thread;
  sim_text_add(out, "%s: ", l->f->info.name);
  place_describe(l, m->pc, out);
  sim_text_add(out, ": block (%u, %u, %u), thread (%u, %u, %u) %s", b % grid[0],
               b / grid[0] % grid[1], b / grid[0] / grid[1], t % size[0], t / size[0] % size[1],
               t / size[0] / size[1], m->text.text ? m->text.text : "");
  if (m->times > 1) sim_text_add(out, " (%llu times)", (unsigned long long)m->times);
  sim_text_add(out, "\n");
}

void launch_describe(Launch *l, SimText *report) {
  bool told[MAX_MISTAKES] = {0};
  for (size_t n = 0; n < l->nmistake; n++) {
    size_t first = l->nmistake;
    for (size_t i = 0; i < l->nmistake; i++) {
      const Mistake *a = &l->mistake[i], *b = &l->mistake[first];
      if (told[i]) continue;
      if (first == l->nmistake || a->block < b->block || (a->block == b->block && a->pc < b->pc))
        first = i;
    }
    told[first] = true;
    mistake_describe(l, &l->mistake[first], report);
  }
  if (l->more) sim_text_add(report, "and %llu more mistakes\n", (unsigned long long)l->more);
}
