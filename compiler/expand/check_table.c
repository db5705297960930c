/* check_table.c: the table of layers that `lcwc check` prints, as text and as JSON.
 *
 * In: a model's rows. Out: one line a layer with its output's shape, weight set, parameters
 * (free of full), the work of one sample and what its backward pass keeps of it; then totals. */
#include "model.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* 4013066 as 4,013,066. */
static const char *grouped(Arena *a, uint64_t n) {
  char digits[24];
  Text t;
  text_init(&t, a);
  int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
  for (int i = 0; i < len; i++)
    text_add(&t, "%s%c", i && (len - i) % 3 == 0 ? "," : "", digits[i]);
  return t.s;
}

static const char *amount(Arena *a, double bytes) {
  static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int u = 0;
  while (bytes >= 1024 && u < 4) bytes /= 1024, u++;
  return arena_printf(a, u ? "%.1f %s" : "%.0f %s", bytes, unit[u]);
}

static const char *shape_words(Arena *a, const Sizes *s) {
  Text t;
  text_init(&t, a);
  for (uint32_t i = 0; i < s->rank; i++)
    text_add(&t, "%s%lld", i ? " x " : "", (long long)s->dim[i]);
  return t.s ? t.s : "";
}

static int width_of(const Model *m, int least) {
  int width = least;
  for (uint32_t i = 0; i < m->nlayer; i++) {
    int n = (int)strlen(name_text(m->graph.names, m->layer[i].name));
    width = n > width ? n : width;
  }
  return width < 40 ? width : 40;
}

static void table_row(const Model *m, const ModelLayer *l, int width, Text *out) {
  Arena *a = out->arena;
  text_add(out, "%-*s  %-14s  %-10s  %12s  %12s  %10.3f  %10s\n", width,
           name_text(m->graph.names, l->name), shape_words(a, &l->shape), l->set ? l->set : "",
           l->full ? grouped(a, l->free) : "", l->full ? grouped(a, l->full) : "",
           (double)l->flops * 1e-6, amount(a, (double)l->bytes));
}

void check_table(const Model *m, Text *out) {
  Arena *a = out->arena;
  int width = width_of(m, 12);
  uint64_t flops = 0, bytes = 0;
  text_add(out, "net %s(%s); MFLOP and bytes kept are of one sample\n", m->set.net,
           m->set.arguments);
  text_add(out, "%-*s  %-14s  %-10s  %12s  %12s  %10s  %10s\n", width, "layer", "output",
           "weight set", "free", "full", "MFLOP", "kept");
  for (uint32_t i = 0; i < m->nlayer; i++) {
    table_row(m, &m->layer[i], width, out);
    flops += m->layer[i].flops;
    bytes += m->layer[i].bytes;
  }
  text_add(out, "%-*s  %-14s  %-10s  %12s  %12s  %10.3f  %10s\n", width, "total", "", "",
           grouped(a, m->free), grouped(a, m->full), (double)flops * 1e-6,
           amount(a, (double)bytes));
}

static void json_layer(const Model *m, const ModelLayer *l, Text *out) {
  text_add(out, "{\"name\":");
  text_json(out, name_text(m->graph.names, l->name));
  text_add(out, ",\"stage\":");
  text_json(out, name_text(m->graph.names, l->stage));
  text_add(out, ",\"shape\":[");
  for (uint32_t i = 0; i < l->shape.rank; i++)
    text_add(out, "%s%lld", i ? "," : "", (long long)l->shape.dim[i]);
  text_add(out, "],\"set\":");
  if (l->set) text_json(out, l->set);
  else text_add(out, "null");
  text_add(out, ",\"full\":%" PRIu64 ",\"free\":%" PRIu64 ",\"mflop\":%.6f,\"bytes\":%" PRIu64 "}",
           l->full, l->free, (double)l->flops * 1e-6, l->bytes);
}

void check_table_json(const Model *m, Text *out) {
  text_add(out, "{\"name\":");
  text_json(out, m->set.net);
  text_add(out, ",\"full\":%" PRIu64 ",\"free\":%" PRIu64 ",\"layers\":[", m->full, m->free);
  for (uint32_t i = 0; i < m->nlayer; i++) {
    if (i) text_add(out, ",");
    json_layer(m, &m->layer[i], out);
  }
  text_add(out, "]}");
}
