/* expand_graph.c: prints the graph, or the layer table, that a network expands to.
 *
 *   expand_graph graph|table|json|ready|report|report-json FILE [NET] [-Dname=value]...
 *                [--set=key=value]... [--lower=WORD] [--shape=H,W,C] [--classes=K]
 *                [--with=RECIPE] [--on=DATA]
 *
 * A golden of `graph` shows what reaches fuse; exit codes are those of diags_exit(). */
#include "check.h"
#include "limits.h"
#include "model.h"
#include "parse.h"
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

/* The rest of an argument after a prefix, or NULL. */
static const char *after(const char *s, const char *prefix) {
  size_t n = strlen(prefix);
  return strncmp(s, prefix, n) ? NULL : s + n;
}

/* Reads --shape=28,28,1 or --shape=784. */
static void read_shape(const char *s, ModelFacts *f) {
  for (f->rank = 0; *s && f->rank < 3; f->rank++) {
    char *end;
    f->dim[f->rank] = (uint32_t)strtoul(s, &end, 10);
    s = *end ? end + 1 : end;
  }
}

/* Fills the request; the arguments outlive it. */
static void read_arguments(int n, char **arg, const char **define, const char **set,
                           ModelRequest *r) {
  for (int i = 3; i < n; i++) {
    const char *v;
    if ((v = after(arg[i], "-D")) && r->ndefine < MOST) define[r->ndefine++] = v;
    else if ((v = after(arg[i], "--set=")) && r->nset < MOST) set[r->nset++] = v;
    else if ((v = after(arg[i], "--lower="))) r->lower = v;
    else if ((v = after(arg[i], "--shape="))) read_shape(v, &r->facts);
    else if ((v = after(arg[i], "--classes="))) r->facts.classes = (uint32_t)atoi(v);
    else if ((v = after(arg[i], "--with="))) r->recipe = v;
    else if ((v = after(arg[i], "--on="))) r->data = v;
    else r->net = arg[i];
  }
  r->define = define;
  r->set = set;
}

/* Prints what was asked for. */
static bool show(Front *f, const char *what, const Model *m) {
  Text t;
  text_init(&t, f->perm);
  text_add(&t, "%s", "");
  if (!strcmp(what, "graph")) graph_print(&m->graph, &f->sources, &t);
  if (!strcmp(what, "table")) check_table(m, &t);
  if (!strcmp(what, "json")) check_table_json(m, &t);
  if (!strcmp(what, "ready")) text_add(&t, "%s", model_executable(f, m) ? "ready\n" : "");
  fputs(t.s, stdout);
  Text why;
  text_init(&why, f->perm);
  if (graph_verify(&m->graph, &why)) return true;
  fprintf(stderr, "graph_verify: %s\n", why.s);
  return false;
}

/* All of `lcwc check`. */
static int report(Front *f, const ModelRequest *r, bool json, const char *path) {
  Text t;
  text_init(&t, f->perm);
  int code = check_report(f, r, json, path, &t);
  fputs(t.s, stdout);
  diags_print(&f->diags, stderr);
  return code;
}

int main(int n, char **arg) {
  if (n < 3) return 2;
  Arena perm;
  arena_init(&perm, "perm", (size_t)4 << 30);
  Front f;
  front_init(&f, &perm);
  const char *define[MOST], *set[MOST];
  ModelRequest r = {.checks = strcmp(arg[1], "graph") && strcmp(arg[1], "ready")};
  read_arguments(n, arg, define, set, &r);
  bool ok = parse_file(&f, arg[2]) && !diags_exit(&f.diags) && check(&f);
  Model m;
  if (ok && !strncmp(arg[1], "report", 6))
    return report(&f, &r, !strcmp(arg[1], "report-json"), arg[2]);
  ok = ok && model_expand(&f, &r, &m) && show(&f, arg[1], &m);
  diags_print(&f.diags, stderr);
  int code = diags_exit(&f.diags);
  arena_release(&perm);
  return code ? code : ok ? 0 : 70;
}
