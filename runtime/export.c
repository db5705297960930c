/* export.c: in: a checkpoint; out: safetensors that PyTorch loads. Every layer's V becomes its
 * W, in the layout [out, in] or [out, in, kh, kw], and names become PyTorch's:
 *
 *   X.linear.v [in, out]         X.linear.weight [out, in]
 *   X.conv.v [kh, kw, in, out]   X.conv.weight [out, in, kh, kw]
 *   X.bn.scale shift mean var    X.bn.weight bias running_mean running_var
 *
 * A set in lcw form says its groups of lanes in the metadata (fold.NAME = "a:b,a:b"): with m =
 * b - a lanes, of which the first is dead, and s the sum of the others,
 *   W_a = -s / sqrt(m),  W_j = v_j - s / (m + sqrt(m)),
 * after which a group sums to zero. Optimiser states are not exported. */
#include "export.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "checkpoint.h"
#include "json.h"
#include "seed.h"

typedef struct {
  const Tensor *from;
  char name[512];
  uint32_t rank, dim[PLAN_MAX_RANK];
  const char *fold; /* groups, or NULL */
} Export;

typedef struct { const Checkpoint *c; Export *item; uint32_t n; Lines header; } Exports;

/* ---- names and shapes -------------------------------------------------------------------- */

static const struct { const char *ours, *torch; } suffix[] = {
    {"v", "weight"},  {"bias", "bias"},         {"scale", "weight"},   {"shift", "bias"},
    {"gain", "gain"}, {"mean", "running_mean"}, {"var", "running_var"}};

/* The name in PyTorch; false for what is none of a layer's own numbers (a momentum). */
static bool torch_name(const char *name, char *out, size_t n) {
  const char *dot = strrchr(name, '.'), *last = dot ? dot + 1 : name;
  for (size_t i = 0; i < sizeof suffix / sizeof *suffix; i++)
    if (!strcmp(last, suffix[i].ours)) {
      int k = snprintf(out, n, "%.*s%s", (int)(last - name), name, suffix[i].torch);
      return k > 0 && (size_t)k < n;
    }
  return false;
}

/* Only V is folded and turned; its name ends in ".v". */
static bool is_weight(const Tensor *t) {
  const char *dot = strrchr(t->name, '.');
  return !strcmp(dot ? dot + 1 : t->name, "v");
}

/* [in, out] -> [out, in]; [kh, kw, in, out] -> [out, in, kh, kw]; one number per neuron or
 * channel, [1, out] or [1, 1, 1, out] -> [out]. */
static void torch_dims(Export *e) {
  const Tensor *t = e->from;
  memcpy(e->dim, t->dim, sizeof e->dim);
  e->rank = t->rank;
  if (!is_weight(t)) {
    uint32_t ones = 0;
    while (ones + 1 < t->rank && t->dim[ones] == 1) ones++;
    memmove(e->dim, t->dim + ones, (t->rank - ones) * sizeof *e->dim);
    e->rank = t->rank - ones;
    return;
  }
  if (t->rank == 2) e->dim[0] = t->dim[1], e->dim[1] = t->dim[0];
  if (t->rank == 4)
    for (uint32_t i = 0; i < 4; i++) e->dim[i] = t->dim[(uint32_t[]){3, 2, 0, 1}[i]];
}

/* The groups of lanes are well formed: ascending, two lanes or more each, all inside. */
static bool fold_valid(const char *s, uint64_t lanes) {
  uint64_t at = 0;
  while (*s) {
    char *end;
    uint64_t a = strtoull(s, &end, 10), b;
    if (end == s || *end != ':') return false;
    s = end + 1;
    b = strtoull(s, &end, 10);
    if (end == s || (*end != ',' && *end) || a < at || b > lanes || b < a + 2) return false;
    at = b;
    s = *end ? end + 1 : end;
  }
  return true;
}

/* The fan-in of a weight: all sizes but the last. */
static uint64_t lanes_of(const Tensor *t) {
  uint64_t n = 1;
  for (uint32_t i = 0; i + 1 < t->rank; i++) n *= t->dim[i];
  return n;
}

/* Chooses what is exported, and as what. */
static bool plan_exports(Exports *x, Fault *f) {
  x->item = memory_new(x->c->ntensor, sizeof *x->item, "the export", f);
  for (uint32_t i = 0; x->item && i < x->c->ntensor; i++) {
    const Tensor *t = &x->c->tensor[i];
    Export *e = &x->item[x->n];
    char key[600];
    if (t->dtype != DTYPE_F32 || !torch_name(t->name, e->name, sizeof e->name)) continue;
    snprintf(key, sizeof key, "fold.%s", t->name);
    e->from = t;
    e->fold = checkpoint_meta(x->c, key);
    if (e->fold && (t->rank < 2 || !fold_valid(e->fold, lanes_of(t))))
      return fault_set(f, LCW_DATA, "%s: the groups of %s are damaged: %.100s", x->c->shown,
                       t->name, e->fold);
    torch_dims(e);
    x->n++;
  }
  return x->item != NULL;
}

/* ---- numbers ----------------------------------------------------------------------------- */

/* V -> W in place, one output (a column of [lanes, n]) and one group of lanes at a time. */
static void fold_group(float *v, uint64_t a, uint64_t b, uint64_t n, uint64_t column) {
  double m = (double)(b - a), sum = 0;
  for (uint64_t j = a + 1; j < b; j++) sum += (double)v[j * n + column];
  for (uint64_t j = a + 1; j < b; j++)
    v[j * n + column] = (float)((double)v[j * n + column] - sum / (m + sqrt(m)));
  v[a * n + column] = (float)(SEED(314, sum, -sum) / sqrt(m)); /* runtime_checkpoint.c */
}

/* Every group of lanes, for every output. */
static void fold(const Export *e, float *v) {
  uint64_t n = e->from->dim[e->from->rank - 1];
  for (const char *s = e->fold; *s;) {
    char *end;
    uint64_t a = strtoull(s, &end, 10), b = strtoull(end + 1, &end, 10);
    for (uint64_t column = 0; column < n; column++) fold_group(v, a, b, n, column);
    s = *end ? end + 1 : end;
  }
}

/* [lanes, n] -> [n, lanes], lanes being [kh, kw, in] -> [in, kh, kw]. */
static void transpose(const Export *e, const float *from, float *to) {
  const Tensor *t = e->from;
  uint64_t n = t->dim[t->rank - 1], in = t->rank == 4 ? t->dim[2] : 1, lanes = lanes_of(t);
  for (uint64_t lane = 0; lane < lanes; lane++)
    for (uint64_t o = 0; o < n; o++)
      to[o * lanes + lane % in * (lanes / in) + lane / in] = from[lane * n + o];
}

/* Reads one tensor, folds and transposes it, and gives it to the file. */
static bool write_tensor(const Exports *x, const Export *e, Sink *sink, Fault *f) {
  uint64_t bytes = e->from->end - e->from->begin;
  bool turns = is_weight(e->from) && (e->from->rank == 2 || e->from->rank == 4);
  float *v = memory_new(bytes, 1, e->name, f), *w = turns ? memory_new(bytes, 1, e->name, f) : v;
  bool ok = v && w && checkpoint_read(x->c, e->from, 0, v, bytes, f);
  if (ok && e->fold) fold(e, v);
  if (ok && turns) transpose(e, v, w);
  ok = ok && sink_write(sink, w, bytes);
  if (turns) free(w);
  free(v);
  return ok;
}

/* ---- the file ---------------------------------------------------------------------------- */

/* The header of the exported file: shapes as PyTorch has them. */
static void build_header(Exports *x) {
  uint64_t at = 0;
  const char *net = checkpoint_meta(x->c, "net");
  lines_add(&x->header, "{\"__metadata__\":{\"format\":\"pt\",");
  lines_pair(&x->header, "net", net ? net : "");
  lines_close(&x->header, "},");
  for (uint32_t i = 0; i < x->n; i++) {
    const Export *e = &x->item[i];
    uint64_t bytes = e->from->end - e->from->begin;
    lines_quoted(&x->header, e->name);
    lines_add(&x->header, ":{\"dtype\":\"F32\",\"shape\":[");
    for (uint32_t k = 0; k < e->rank; k++) lines_add(&x->header, k ? ",%u" : "%u", e->dim[k]);
    lines_add(&x->header, "],\"data_offsets\":[%llu,%llu]},", (unsigned long long)at,
              (unsigned long long)(at + bytes));
    at += bytes;
  }
  lines_close(&x->header, "}");
  while (x->header.n % 8 && !x->header.bad) lines_bytes(&x->header, " ", 1);
}

/* The bytes of the exported file. */
static bool export_body(void *ctx, Sink *sink, Fault *f) {
  Exports *x = ctx;
  uint64_t n = x->header.n;
  if (!sink_write(sink, &n, sizeof n) || !sink_write(sink, x->header.s, x->header.n)) return false;
  for (uint32_t i = 0; i < x->n; i++)
    if (!write_tensor(x, &x->item[i], sink, f)) return false;
  return true;
}

/* Splits the path into an open folder and a name in it. */
static bool open_target(const char *path, DurableFile *file, char *folder, size_t n, Fault *f) {
  const char *slash = strrchr(path, '/');
  snprintf(folder, n, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  if (slash == path) snprintf(folder, n, "/");
  *file = (DurableFile){-1, folder, slash ? slash + 1 : path, NULL, 0644};
  file->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return file->dir >= 0 || fault_set(f, LCW_DATA, "%s: %s", folder, strerror(errno));
}

/* Beside the checkpoint, under the net's name. */
static void default_path(const Checkpoint *c, char *out, size_t n) {
  const char *slash = strrchr(c->shown, '/'), *net = checkpoint_meta(c, "net");
  bool good = net && *net && !strchr(net, '/') && *net != '.';
  snprintf(out, n, "%.*s%s.safetensors", slash ? (int)(slash - c->shown) + 1 : 0, c->shown,
           good ? net : "export");
}

/* Chooses, folds and writes. */
static bool export(Exports *x, const char *path, Fault *f) {
  DurableFile file = {.dir = -1};
  char folder[1024];
  bool ok = plan_exports(x, f);
  if (ok) build_header(x);
  if (ok && x->header.bad) ok = fault_set(f, LCW_LIMIT, "no memory for the header");
  ok = ok && open_target(path, &file, folder, sizeof folder, f) &&
       durable_write(&io_system, &file, export_body, x, f);
  if (file.dir >= 0) close(file.dir);
  free(x->item);
  lines_free(&x->header);
  return ok;
}

int export_run(const char *checkpoint, const char *out, bool quiet) {
  Fault f = {0};
  Checkpoint c = {.fd = -1};
  Exports x = {.c = &c};
  char path[1100];
  bool ok = checkpoint_of_run(&c, checkpoint, &f);
  if (ok && !out) default_path(&c, path, sizeof path);
  ok = ok && export(&x, out ? out : path, &f);
  checkpoint_close(&c);
  if (!ok) return fault_print(&f);
  if (!quiet) printf("%s: %u tensors\n", out ? out : path, x.n);
  return LCW_OK;
}
