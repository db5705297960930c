/* progress.c: see progress.h. At most ten times a second, so that it costs nothing. */
#include "progress.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 20 };

void progress_open(Progress *p, const RunOptions *o) {
  const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
  bool terminal = isatty(STDERR_FILENO) && !(term && !strcmp(term, "dumb"));
  bool any = !o->quiet && o->progress != PROGRESS_NEVER;
  *p = (Progress){0};
  p->line = any && (o->progress == PROGRESS_ALWAYS || (o->progress == PROGRESS_AUTO && terminal));
  p->plain = any && !p->line;
  p->color = o->color == RUN_COLOR_ALWAYS ||
             (o->color == RUN_COLOR_AUTO && terminal && !(no_color && *no_color));
}

void progress_clear(Progress *p) {
  if (p->dirty) fputs("\r\x1b[K", stderr);
  p->dirty = false;
}

/* 75 -> "1:15", 4000 -> "1:06:40". */
static void time_text(char *out, size_t n, double seconds) {
  if (!(seconds >= 0) || seconds > 1e7) seconds = 0;
  unsigned s = (unsigned)(seconds + 0.5);
  if (s >= 3600) snprintf(out, n, "%u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
  else snprintf(out, n, "%u:%02u", s / 60, s % 60);
}

/* [====>     ] */
static void bar_text(char *out, const ProgressAt *at) {
  uint64_t full = at->steps_per_epoch ? at->position * BAR / at->steps_per_epoch : 0;
  for (uint64_t i = 0; i < BAR; i++) out[i] = i < full ? '=' : i == full ? '>' : ' ';
  out[BAR] = 0;
}

void progress_step(Progress *p, const ProgressAt *at, double now) {
  char bar[BAR + 1], left[32], acc[32] = "";
  if (!p->line || now - p->last < 0.1) return;
  p->last = now;
  bar_text(bar, at);
  time_text(left, sizeof left, at->seconds_left);
  if (!isnan(at->acc)) snprintf(acc, sizeof acc, "  acc %.4f", at->acc);
  fprintf(stderr, "\r\x1b[Kepoch %llu/%llu %s[%s]%s loss %.4f%s  %.0f images/s  %s left",
          (unsigned long long)at->epoch + 1, (unsigned long long)at->epochs,
          p->color ? "\x1b[32m" : "", bar, p->color ? "\x1b[0m" : "", at->loss, acc,
          at->images_per_second, left);
  fflush(stderr);
  p->dirty = true;
}

/* "  name 0.1234", if there is such a figure. */
static void add_figure(char *out, size_t n, const char *name, double x) {
  size_t at = strlen(out);
  if (!isnan(x)) snprintf(out + at, n - at, "  %s %.4f", name, x);
}

void progress_epoch(Progress *p, const ProgressAt *at, const Summary *s) {
  char text[256] = "";
  if (!p->line && !p->plain) return;
  progress_clear(p);
  add_figure(text, sizeof text, "loss", s->train_loss);
  add_figure(text, sizeof text, "acc", s->train_acc);
  add_figure(text, sizeof text, "test loss", s->test_loss);
  add_figure(text, sizeof text, "test acc", s->test_acc);
  fprintf(stderr, "epoch %llu/%llu%s  %.0f images/s  %.1f s\n", (unsigned long long)at->epoch + 1,
          (unsigned long long)at->epochs, text, at->images_per_second, s->seconds);
}

void progress_say(Progress *p, const char *fmt, ...) {
  va_list ap;
  if (!p->line && !p->plain) return;
  progress_clear(p);
  va_start(ap, fmt);
  vfprintf(stderr, fmt, ap);
  va_end(ap);
  fputc('\n', stderr);
}
