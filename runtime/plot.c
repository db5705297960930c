/* plot.c: in: metrics.jsonl of each folder; out: one SVG. The last object of a step counts, the
 * test figures are solid and those of training dashed, and the x axis counts epochs. */
#include "plot.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "durable.h"
#include "folder.h"
#include "svg.h"

enum { WIDTH = 1000, TOP = 92, HEIGHT = 300, PANEL = 400, ROW = 22, MOST_RUNS = 64 };

/* The figures of a line, in the order of `series_key`. */
enum { TRAIN_LOSS, TEST_LOSS, TRAIN_ACC, TEST_ACC, SERIES };
static const char *const series_key[SERIES] = {"train_loss", "test_loss", "train_acc", "test_acc"};

typedef struct { double steps, epochs, value[SERIES]; } Row;
typedef struct { const char *name; char net[64]; Row *row; size_t n, cap; double per_epoch; } Curve;

/* ---- reading ----------------------------------------------------------------------------- */

/* Fills a row from an object of the schema lcwc.train/1; false for any other line. */
static bool read_row(char *line, size_t n, Row *row, char *net, size_t net_size) {
  Json j = json_of(line, n);
  const char *schema = "", *text;
  *row = (Row){-1, 0, {NAN, NAN, NAN, NAN}};
  if (!json_expect(&j, '{')) return false;
  do {
    const char *key = json_string(&j);
    int k = 0;
    if (!key || !json_expect(&j, ':')) return false;
    while (k < SERIES && strcmp(key, series_key[k])) k++;
    if (k < SERIES) json_number(&j, &row->value[k]);
    else if (!strcmp(key, "steps")) json_number(&j, &row->steps);
    else if (!strcmp(key, "epochs")) json_number(&j, &row->epochs);
    else if (!strcmp(key, "schema")) schema = json_string(&j);
    else if (!strcmp(key, "net") && (text = json_string(&j))) snprintf(net, net_size, "%s", text);
    else if (strcmp(key, "net")) json_skip(&j);
  } while (!j.bad && json_next(&j, ','));
  return !j.bad && schema && !strcmp(schema, "lcwc.train/1") && row->steps >= 0;
}

/* Adds a row; one of the same step takes the other's place. */
static bool add_row(Curve *c, const Row *row, Fault *f) {
  if (c->n && c->row[c->n - 1].steps == row->steps) c->n--;
  if (c->n == c->cap) {
    size_t cap = c->cap ? c->cap * 2 : 64;
    Row *grown = reallocarray(c->row, cap, sizeof *grown);
    if (!grown) return fault_set(f, LCW_LIMIT, "no memory for the curves");
    c->row = grown;
    c->cap = cap;
  }
  c->row[c->n++] = *row;
  if (row->epochs > 0 && !(row->steps / row->epochs >= c->per_epoch))
    c->per_epoch = row->steps / row->epochs;
  return true;
}

/* All epochs of a run; its name is that of the folder. */
static bool read_curve(Curve *c, const char *folder, Fault *f) {
  char path[1200], *line = NULL;
  size_t cap = 0, length = strlen(folder);
  Row row;
  bool ok = true;
  snprintf(path, sizeof path, "%s/metrics.jsonl", folder);
  FILE *in = fopen(path, "re");
  if (!in) return fault_set(f, LCW_DATA, "%s: %s", path, strerror(errno));
  while (length > 1 && folder[length - 1] == '/') length--;
  c->name = folder;
  for (size_t i = 0; i + 1 < length; i++)
    if (folder[i] == '/') c->name = folder + i + 1;
  c->per_epoch = NAN;
  for (ssize_t n; ok && (n = getline(&line, &cap, in)) > 0;)
    if (read_row(line, (size_t)n, &row, c->net, sizeof c->net)) ok = add_row(c, &row, f);
  free(line);
  fclose(in);
  return ok && (c->n > 0 || fault_set(f, LCW_DATA, "%s: it holds no epoch yet", path));
}

/* ---- drawing ----------------------------------------------------------------------------- */

/* Epochs, or steps as long as no epoch is complete. */
static double x_of(const Curve *c, const Row *r) {
  return isnan(c->per_epoch) ? r->steps : r->steps / c->per_epoch;
}

/* Makes the panel as wide and high as the curves of two series need. */
static void fit_panel(Panel *p, const Curve *c, int n, int first) {
  double low = INFINITY, high = -INFINITY;
  p->left = p->right = 0;
  for (int i = 0; i < n; i++)
    for (size_t r = 0; r < c[i].n; r++) {
      p->right = fmax(p->right, x_of(&c[i], &c[i].row[r]));
      for (int s = first; s < first + 2; s++) {
        double y = c[i].row[r].value[s];
        if (!isfinite(y)) continue;
        low = fmin(low, y);
        high = fmax(high, y);
      }
    }
  if (!(low <= high)) low = 0, high = 1;
  p->bottom = low < 0.4 * high ? fmin(low, 0) : low;
  p->top = high;
}

/* One curve. */
static bool draw_series(Lines *l, const Panel *p, const Curve *c, unsigned color, int series,
                        Fault *f) {
  Point *point = memory_new(c->n, sizeof *point, "the curves", f);
  if (!point) return false;
  for (size_t r = 0; r < c->n; r++)
    point[r] = (Point){x_of(c, &c->row[r]), c->row[r].value[series]};
  svg_curve(l, p, point, c->n, color, series == TRAIN_LOSS || series == TRAIN_ACC);
  free(point);
  return true;
}

/* The panel of the two series that begin at `first`. */
static bool draw_panel(Lines *l, double x, const char *title, const Curve *c, int n, int first,
                       Fault *f) {
  Panel p = {
      .x = x, .y = TOP, .width = PANEL, .height = HEIGHT, .title = title, .x_label = "epoch"};
  bool ok = true;
  for (int i = 0; i < n; i++)
    if (isnan(c[i].per_epoch)) p.x_label = "step";
  fit_panel(&p, c, n, first);
  svg_panel(l, &p);
  for (int i = 0; ok && i < n; i++)
    ok = draw_series(l, &p, &c[i], (unsigned)i, first, f) &&
         draw_series(l, &p, &c[i], (unsigned)i, first + 1, f);
  return ok;
}

/* The runs by colour; how training and test differ, once. */
static void draw_legend(Lines *l, const Curve *c, int n) {
  double y = TOP + HEIGHT + 68;
  for (int i = 0; i < n; i++) {
    char text[320];
    int length = (int)strcspn(c[i].name, "/");
    snprintf(text, sizeof text, "%.*s", length < 300 ? length : 300, c[i].name);
    svg_entry(l, 70 + i % 3 * 310, y + i / 3 * ROW, text, (unsigned)i, false);
  }
  svg_entry(l, WIDTH - 250, 48, "test", 7, false);
  svg_entry(l, WIDTH - 150, 48, "training", 7, true);
}

/* The whole drawing. */
static bool draw(Lines *l, const Curve *c, int n, const char *title, Fault *f) {
  char text[160];
  double height = TOP + HEIGHT + 84 + (n + 2) / 3 * ROW;
  snprintf(text, sizeof text, "%s: loss and accuracy", *c->net ? c->net : "training");
  svg_begin(l, WIDTH, height, title ? title : text);
  svg_text(l, 70, 34, "start", "font-size=\"18\" font-weight=\"bold\"", title ? title : text);
  bool ok = draw_panel(l, 70, "loss", c, n, TRAIN_LOSS, f) &&
            draw_panel(l, 70 + PANEL + 80, "accuracy", c, n, TRAIN_ACC, f);
  draw_legend(l, c, n);
  svg_end(l);
  return ok && (!l->bad || fault_set(f, LCW_LIMIT, "no memory for the drawing"));
}

/* ---- the file ---------------------------------------------------------------------------- */

/* To stdout, to a file, or into the first folder. */
static bool write_plot(const Lines *l, const char *first, const char *out, Fault *f) {
  RunFolder folder = {.fd = -1};
  char path[1024];
  const char *slash = out ? strrchr(out, '/') : NULL;
  if (out && !strcmp(out, "-")) {
    fwrite(l->s, 1, l->n, stdout);
    return (fflush(stdout) == 0 && !ferror(stdout)) ||
           fault_set(f, LCW_DATA, "standard output cannot be written: %s", strerror(errno));
  }
  snprintf(path, sizeof path, "%.*s", slash ? (int)(slash - out) : 1023,
           slash ? out
           : out ? "."
                 : first);
  if (!folder_open(&folder, *path ? path : "/", f)) return false;
  DurableFile file = {folder.fd, folder.path,
                      slash ? slash + 1
                      : out ? out
                            : "curves.svg",
                      NULL, 0644};
  bool ok = durable_bytes(&io_system, &file, l->s, l->n, f);
  if (ok) printf("%s/%s\n", folder.path, file.name);
  folder_close(&folder);
  return ok;
}

int plot_run(const char *const *folder, int n, const char *out, const char *title) {
  Fault f = {0};
  Lines l = {0};
  Curve c[MOST_RUNS] = {0};
  bool ok =
      (n > 0 || fault_set(&f, LCW_USAGE, "plot needs the folder of a run")) &&
      (n <= MOST_RUNS || fault_set(&f, LCW_LIMIT, "more than %d runs in one plot", MOST_RUNS));
  int made = 0;
  for (; ok && made < n; made++) ok = read_curve(&c[made], folder[made], &f);
  ok = ok && draw(&l, c, n, title, &f) && write_plot(&l, folder[0], out, &f);
  for (int i = 0; i < made; i++) free(c[i].row);
  lines_free(&l);
  return ok ? LCW_OK : fault_print(&f);
}
