/* check_report.c: what `lcwc check` says of a file.
 *
 * In: a checked file and a request. Out: for the net that is named, or for each net of the file,
 * the table of its layers; as JSON one document. A net that was not named takes the arguments
 * of the first `run` of it; when it still lacks one, a note says so and the others go on. */
#include "check.h"
#include "diag_part.h"
#include "model.h"
#include <stdio.h>
#include <string.h>

/* Whether an expression of a RUN means the net: by its name, or by a sweep that holds it. */
static bool run_means(const Ast *experiment, const Ast *run, Name net) {
  Name name = ast_name(run->child[0]);
  if (name == net) return true;
  for (uint32_t i = 0; i < experiment->nchild; i++) {
    const Ast *s = experiment->child[i];
    if (s->kind != AST_SWEEP || s->name != name) continue;
    for (uint32_t k = 0; k < s->nchild; k++)
      if (ast_name(s->child[k]) == net) return true;
  }
  return false;
}

/* Sets the first RUN of the net in the file, if there is one. */
static void find_run(const Ast *root, Name net, ModelRequest *r) {
  for (uint32_t i = 0; i < root->nchild && !r->run; i++) {
    const Ast *e = root->child[i];
    if (e->kind != AST_EXPERIMENT) continue;
    for (uint32_t k = 0; k < e->nchild && !r->run; k++)
      if (e->child[k]->kind == AST_RUN && run_means(e, e->child[k], net)) {
        r->experiment = e;
        r->run = e->child[k];
      }
  }
}

/* One net, appended to the report; false when nothing was. */
static bool report_net(Front *f, const ModelRequest *r, bool json, bool first, Text *out) {
  Model *m = NEW(f->perm, Model);
  if (!model_expand(f, r, m)) return false;
  if (!first) text_add(out, json ? "," : "\n");
  if (json) check_table_json(m, out);
  else check_table(m, out);
  return true;
}

/* Every net of the file that has what it needs. */
static void report_all(Front *f, const ModelRequest *r, bool json, Text *out) {
  bool first = true;
  for (uint32_t i = 0; i < f->root->nchild; i++) {
    const Ast *net = f->root->child[i];
    if (net->kind != AST_NET) continue;
    ModelRequest one = *r;
    one.net = name_text(f->names, net->name);
    one.lenient = true;
    find_run(f->root, net->name, &one);
    if (report_net(f, &one, json, first, out)) first = false;
  }
}

/* The warnings, as `"warnings":["W0511: ..."]`. */
static void report_warnings(const Front *f, Text *out) {
  text_add(out, "],\"warnings\":[");
  bool first = true;
  for (size_t i = 0; i < f->diags.ndiag; i++) {
    const Diag *d = &f->diags.diag[i];
    if (diag_info[d->id].severity != SEV_WARNING) continue;
    if (!first) text_add(out, ",");
    text_json(out, arena_printf(f->perm, "%s: %s", diag_info[d->id].code, d->text));
    first = false;
  }
  text_add(out, "]}\n");
}

int check_report(Front *f, const ModelRequest *r, bool json, const char *path, Text *out) {
  ModelRequest request = *r;
  request.checks = true;
  if (json) {
    text_add(out, "{\"schema\":\"lcwc.check/1\",\"file\":");
    text_json(out, path);
    text_add(out, ",\"nets\":[");
  }
  if (r->net) report_net(f, &request, json, true, out);
  else report_all(f, &request, json, out);
  if (json) report_warnings(f, out);
  if (!out->s) text_add(out, "%s", "");
  return diags_exit(&f->diags);
}
