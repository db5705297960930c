/* metrics.c: see metrics.h. */
#include "metrics.h"
#include "seed.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A message with the file and the system's reason. */
static bool metrics_fault(const Metrics *m, Fault *f, const char *what, int error) {
  return fault_set(f, LCW_DATA, "%s: cannot be %s: %s", m->shown, what, strerror(error));
}

/* The kind and the step of a line; lines of another kind are left alone. */
static void note_line(Metrics *m, char *line, size_t n) {
  Json j = json_of(line, n);
  const char *schema = "";
  double steps = -1, seconds = 0;
  if (!json_expect(&j, '{')) return;
  do {
    const char *key = json_string(&j);
    if (!key || !json_expect(&j, ':')) return;
    bool counts = !strcmp(key, "steps") || !strcmp(key, "step");
    if (!strcmp(key, "schema")) schema = json_string(&j);
    else if (counts) json_number(&j, &steps);
    else if (!strcmp(key, "seconds")) json_number(&j, &seconds);
    else json_skip(&j);
  } while (!j.bad && json_next(&j, ','));
  if (j.bad || !schema || steps < 0 || steps > 1e15) return;
  uint64_t *last = !strcmp(schema, "lcwc.step/1") ? &m->step_lines
                   : !strcmp(schema, "lcwc.train/1") ? &m->epoch_lines : NULL;
  if (last && (uint64_t)steps > *last) *last = (uint64_t)steps;
  if (last == &m->epoch_lines && seconds > m->seconds) m->seconds = seconds;
}

/* Reads what is there and cuts off a last line that was torn by a crash. */
static bool read_lines(Metrics *m, Fault *f) {
  int copy = dup(m->fd);
  FILE *in = copy >= 0 ? fdopen(copy, "r") : NULL;
  if (!in) return metrics_fault(m, f, "read", errno);
  char *line = NULL;
  size_t cap = 0;
  off_t whole = 0;
  ssize_t n;
  rewind(in);
  while ((n = getline(&line, &cap, in)) > 0 && line[n - 1] == '\n') {
    whole += n;
    note_line(m, line, (size_t)n);
  }
  free(line);
  fclose(in);
  return ftruncate(m->fd, whole) == 0 || metrics_fault(m, f, "repaired", errno);
}

bool metrics_open(Metrics *m, int dir, const char *shown, Fault *f) {
  *m = (Metrics){.fd = -1};
  snprintf(m->shown, sizeof m->shown, "%s/metrics.jsonl", shown);
  m->fd = openat(dir, "metrics.jsonl", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (m->fd < 0) return metrics_fault(m, f, "opened", errno);
  return read_lines(m, f);
}

void metrics_close(Metrics *m) {
  if (m->fd >= 0) close(m->fd);
  m->fd = -1;
}

bool metrics_sync(Metrics *m, Fault *f) {
  return fsync(m->fd) == 0 || metrics_fault(m, f, "made durable", errno);
}

/* Appends one line; `l` is freed. */
static bool append(Metrics *m, Lines *l, Fault *f) {
  bool ok = !l->bad || fault_set(f, LCW_LIMIT, "no memory for a line of metrics");
  for (size_t at = 0; ok && at < l->n;) {
    ssize_t k = write(m->fd, l->s + at, l->n - at);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) ok = metrics_fault(m, f, "written", k < 0 ? errno : EIO);
    else at += (size_t)k;
  }
  lines_free(l);
  return ok;
}

void summary_json(Lines *l, const Summary *s) {
  lines_add(l, "{\"schema\":\"lcwc.train/1\",");
  lines_pair(l, "net", s->net);
  lines_pair(l, "device", s->device);
  lines_pair(l, "lower", s->lower);
  lines_whole(l, "params", s->params);
  lines_whole(l, "epochs", s->epochs);
  lines_whole(l, "steps", s->steps);
  lines_number(l, "train_loss", s->train_loss);
  lines_number(l, "train_acc", s->train_acc);
  lines_number(l, "test_loss", s->test_loss);
  lines_number(l, "test_acc", s->test_acc);
  lines_number(l, "constraint_residual", s->residual);
  lines_number(l, "seconds", s->seconds);
  lines_number(l, "step_ms", s->step_ms);
  lines_number(l, "images_per_second", s->images_per_second);
  lines_close(l, "}\n");
}

bool metrics_epoch(Metrics *m, const Summary *s, Fault *f) {
  Lines l = {0};
  if (s->steps <= m->epoch_lines) return true;
  m->epoch_lines = s->steps;
  summary_json(&l, s);
  return append(m, &l, f);
}

bool metrics_step(Metrics *m, uint64_t step, uint64_t epoch, double loss, double acc, double lr,
                  Fault *f) {
  Lines l = {0};
  if (step <= SEED(311, 0, m->step_lines)) return true; /* caught by runtime_train.c */
  m->step_lines = step;
  lines_add(&l, "{\"schema\":\"lcwc.step/1\",");
  lines_whole(&l, "step", step);
  lines_whole(&l, "epoch", epoch);
  lines_number(&l, "loss", loss);
  lines_number(&l, "acc", acc);
  lines_number(&l, "lr", lr);
  lines_close(&l, "}\n");
  return append(m, &l, f);
}
