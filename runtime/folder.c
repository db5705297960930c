/* folder.c: see folder.h. Nothing is made before everything else of a run has been proved. */
#include "folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "checkpoint.h"
#include "json.h"
#include "rate.h"
#include "version.h"

enum { MOST_RUNS = 100000 };

/* In the order of their removal: one that is cut short leaves no weights without their metrics. */
static const char *const run_file[] = {CHECKPOINT_PREVIOUS, CHECKPOINT_LAST, CHECKPOINT_BEST,
                                       "metrics.jsonl",     "run.json",      "source.lcwnet"};
enum { RUN_FILES = sizeof run_file / sizeof *run_file };

/* A message that begins with the folder. */
static bool folder_fault(const RunFolder *r, Fault *f, const char *what) {
  return fault_set(f, LCW_DATA, "%s: %s", r->path, what);
}

bool folder_open(RunFolder *r, const char *path, Fault *f) {
  snprintf(r->path, sizeof r->path, "%s", path);
  r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return r->fd >= 0 || folder_fault(r, f, strerror(errno));
}

void folder_close(RunFolder *r) {
  if (r->fd >= 0) close(r->fd);
  r->fd = -1;
}

/* Two runs that write into one folder would spoil both. */
static bool folder_lock(RunFolder *r, Fault *f) {
  if (flock(r->fd, LOCK_EX | LOCK_NB) == 0) return true;
  return errno == EWOULDBLOCK ? folder_fault(r, f, "another run is writing into this folder")
                              : folder_fault(r, f, strerror(errno));
}

/* True if any file of a run is there. */
static bool holds_run(int fd) {
  for (int i = 0; i < RUN_FILES; i++)
    if (faccessat(fd, run_file[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  return false;
}

/* Makes the folder and those above it. */
static bool make_folders(const char *path, Fault *f) {
  char part[1024];
  snprintf(part, sizeof part, "%s", path);
  for (char *s = part + 1;; s++) {
    char c = *s;
    if (c != '/' && c != 0) continue;
    *s = 0;
    if (mkdir(part, 0777) && errno != EEXIST)
      return fault_set(f, LCW_DATA, "%s: cannot make the folder: %s", part, strerror(errno));
    *s = c;
    if (c == 0) return true;
  }
}

/* Names of nets are identifiers, so they are good names of folders. */
static void run_path(char *out, size_t n, const Plan *p, unsigned i) {
  snprintf(out, n, "runs/%s-%u", plan_text(p, p->set.net), i);
}

/* The first runs/NET-N that did not exist; it is made here, so that no one else gets it. */
static bool make_numbered(char *path, size_t n, const Plan *p, Fault *f) {
  if (!make_folders("runs", f)) return false;
  for (unsigned i = 1; i < MOST_RUNS; i++) {
    run_path(path, n, p, i);
    if (mkdir(path, 0777) == 0) return true;
    if (errno != EEXIST)
      return fault_set(f, LCW_DATA, "%s: cannot make the folder: %s", path, strerror(errno));
  }
  return fault_set(f, LCW_LIMIT, "%s: there are too many runs", path);
}

/* Removes the files of a run and nothing else. */
static bool clear_run(RunFolder *r, Fault *f) {
  for (int i = 0; i < RUN_FILES; i++)
    if (unlinkat(r->fd, run_file[i], 0) && errno != ENOENT)
      return fault_set(f, LCW_DATA, "%s/%s: cannot be removed: %s", r->path, run_file[i],
                       strerror(errno));
  return true;
}

bool folder_new(RunFolder *r, const Plan *p, const RunOptions *o, Fault *f) {
  char path[1024];
  if (o->folder && strlen(o->folder) >= sizeof path)
    return fault_set(f, LCW_USAGE, "--output: the name is too long");
  if (o->folder ? !make_folders(o->folder, f) : !make_numbered(path, sizeof path, p, f))
    return false;
  if (!folder_open(r, o->folder ? o->folder : path, f) || !folder_lock(r, f)) return false;
  durable_sweep(&io_system, r->fd);
  if (!holds_run(r->fd)) return true;
  if (o->overwrite) return clear_run(r, f);
  folder_fault(r, f, "the folder holds a run");
  fault_add(f, "\nhelp: --resume goes on with it, --overwrite replaces it");
  return false;
}

/* The runs/NET-N of the largest N. */
static bool newest_run(char *path, size_t n, const Plan *p) {
  bool found = false;
  char next[1024];
  for (unsigned i = 1; i < MOST_RUNS; i++) {
    run_path(next, sizeof next, p, i);
    if (access(next, F_OK)) break;
    snprintf(path, n, "%s", next);
    found = true;
  }
  return found;
}

bool folder_resume(RunFolder *r, const Plan *p, const RunOptions *o, Fault *f) {
  char path[1024];
  const char *name = *o->resume ? o->resume : o->folder;
  if (!name && !newest_run(path, sizeof path, p))
    return fault_set(f, LCW_DATA,
                     "no run of %s to go on with in runs/\nhelp: --resume=DIR names it",
                     plan_text(p, p->set.net));
  if (!folder_open(r, name ? name : path, f) || !folder_lock(r, f)) return false;
  durable_sweep(&io_system, r->fd);
  return true;
}

/* ---- run.json ---------------------------------------------------------------------------- */

/* The command line, word by word. */
static void add_command(Lines *l, const RunOptions *o) {
  lines_add(l, "\"command\":[");
  for (int i = 0; i < o->argc; i++) {
    lines_quoted(l, o->argv[i]);
    lines_bytes(l, ",", 1);
  }
  lines_close(l, "],");
}

/* The settings as they were resolved. */
static void add_settings(Lines *l, const Plan *p) {
  const PlanSettings *s = &p->set;
  char rate[2048];
  rate_text(p, rate, sizeof rate);
  lines_pair(l, "net", plan_text(p, s->net));
  lines_pair(l, "arguments", plan_text(p, s->arguments));
  lines_pair(l, "recipe", plan_text(p, s->recipe));
  lines_pair(l, "data", plan_text(p, s->data));
  lines_pair(l, "lower", plan_text(p, s->lower));
  lines_pair(l, "precision", plan_text(p, s->precision));
  lines_pair(l, "lr", rate);
  lines_whole(l, "batch", s->batch);
  lines_whole(l, "eval_every", s->eval_every);
  lines_whole(l, "save_every", s->save_every);
}

bool folder_describe(const RunFolder *r, const Plan *p, const RunOptions *o, const Device *d,
                     uint64_t seed, Fault *f) {
  const char *source = plan_text(p, p->set.source);
  DurableFile run = {r->fd, r->path, "run.json", NULL, 0644};
  DurableFile text = {r->fd, r->path, "source.lcwnet", NULL, 0644};
  Lines l = {0};
  lines_add(&l, "{\"schema\":\"lcwc.run/1\",");
  lines_pair(&l, "version", LCW_VERSION);
  add_command(&l, o);
  lines_pair(&l, "device", d->name);
  lines_pair(&l, "isa", d->isa);
  lines_whole(&l, "threads", d->threads);
  lines_whole(&l, "seed", seed);
  add_settings(&l, p);
  lines_close(&l, "}\n");
  bool ok = !l.bad || fault_set(f, LCW_LIMIT, "no memory for run.json");
  ok = ok && durable_bytes(&io_system, &run, l.s, l.n, f) &&
       durable_bytes(&io_system, &text, source, strlen(source), f);
  lines_free(&l);
  return ok;
}
