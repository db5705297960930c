/* command_show.c: check, emit, info, fmt and explain: commands that print what the compiler knows.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <stdlib.h>
#include "command.h"
#include "version.h"

/* ---- check --------------------------------------------------------------------------------- */

/* Every net of the file, or the one named: a table each, or one JSON document. */
static int check_nets(Arguments *a, Compile *c) {
  Text out;
  text_init(&out, &c->perm);
  c->request.checks = true;
  if (!compile_run(c, a->place[0], PASS_check)) return c->exit;
  if (c->request.data && !compile_facts(c)) {
    diags_print(&c->front.diags, stderr);
    return c->exit ? c->exit : diags_exit(&c->front.diags);
  }
  int code = check_report(&c->front, &c->request, a->run.json, a->place[0], &out);
  diags_print(&c->front.diags, stderr);
  int written = text_write(&out);
  return code ? code : written;
}

int command_check(int argc, char **argv) {
  return command_on_file("check", false, 2, argc, argv, check_nets);
}

/* ---- emit ---------------------------------------------------------------------------------- */

typedef struct {
  const char *kind;
  PassId pass;
} EmitKind;
static const EmitKind emit_kind[] = {
    {"ast", PASS_parse}, {"graph", PASS_simplify}, {"fuse", PASS_fuse}, {"kernels", PASS_tile},
    {"plan", PASS_plan}, {"llvm", PASS_tile},      {"asm", PASS_tile},  {"dot", PASS_simplify}};

/* The code of every kernel whose name contains `want`. */
static bool code_print(Compile *c, const char *kind, const char *isa, const char *want, Text *out) {
  Text why;
  text_init(&why, &c->perm);
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->program->nkernel; i++) {
    const Kernel *k = c->program->kernel[i];
    if (want && !strstr(k->name, want)) continue;
    n++;
    if (!strcmp(kind, "kernels")) kernel_print(k, out);
    else if (!c->target->emit(k, kind, isa, out, &why))
      return compile_fail(c, LCW_INTERNAL, "%s: %s", k->name, why.s);
  }
  return n || compile_fail(c, LCW_USAGE,
                           "no kernel's name contains `%s`\nhelp: --emit=kernels lists them", want);
}

/* The graph for Graphviz: a box a node, an arrow an operand. */
static void dot_print(const Compile *c, Text *out) {
  const Graph *g = &c->model.graph;
  text_add(out, "digraph network {\n  node [shape=box, fontname=monospace];\n");
  for (Val v = 1; v < g->nnode; v++) {
    const Node *n = graph_node(g, v);
    const char *what = n->op == OP_MAP ? scalartab[n->attr.map.fn].name : optab[n->op].name;
    text_add(out, "  n%u [label=\"%s ", v, what);
    shape_text(out, g->names, &n->shape);
    text_add(out, "\\n%s\"];\n", name_text(g->names, n->layer));
    for (int i = 0; i < MAX_IN; i++)
      if (n->in[i]) text_add(out, "  n%u -> n%u;\n", n->in[i], v);
  }
  text_add(out, "}\n");
}

static int output_write(const char *path, const Text *t) {
  if (!path || !strcmp(path, "-")) return text_write(t);
  FILE *f = fopen(path, "wb");
  bool ok = f && fwrite(t->s, 1, t->n, f) == t->n;
  if (f && fclose(f)) ok = false;
  return ok ? LCW_OK : command_fail(LCW_DATA, "%s: cannot write", path);
}

static int emit(Arguments *a, Compile *c) {
  const char *kind = a->flag[FLAG_EMIT], *isa = a->flag[FLAG_ISA] ? a->flag[FLAG_ISA] : host_isa();
  size_t i = 0;
  while (kind && i < COUNT_OF(emit_kind) && strcmp(emit_kind[i].kind, kind)) i++;
  if (!kind && c->dump < PASS_COUNT) return compile_run(c, a->place[0], PASS_plan), c->exit;
  if (!kind || i == COUNT_OF(emit_kind))
    return command_fail(LCW_USAGE, "--emit=%s: not one of ast graph fuse kernels plan llvm asm dot",
                        kind ? kind : "");
  if (strcmp(isa, "avx512") && strcmp(isa, "avx2") && strcmp(isa, "baseline"))
    return command_fail(LCW_USAGE, "--isa=%s: not one of avx512, avx2, baseline", isa);
  if (!compile_run(c, a->place[0], emit_kind[i].pass)) return c->exit;
  Text out;
  text_init(&out, &c->perm);
  bool code = !strcmp(kind, "llvm") || !strcmp(kind, "asm") ||
              (!strcmp(kind, "kernels") && a->flag[FLAG_KERNEL]);
  if (code && !code_print(c, kind, isa, a->flag[FLAG_KERNEL], &out)) return c->exit;
  if (!strcmp(kind, "dot")) dot_print(c, &out);
  else if (!code) compile_print(c, emit_kind[i].pass, &out);
  return output_write(a->flag[FLAG_OUT], &out);
}

int command_emit(int argc, char **argv) {
  return command_on_file("emit", false, 2, argc, argv, emit);
}

/* ---- info, fmt, explain -------------------------------------------------------------------- */

int command_info(int argc, char **argv) {
  Arguments a;
  int code = arguments_parse(&a, "info", false, 0, 0, argc, argv);
  if (code >= 0) return code;
  const char *data = getenv("LCWC_DATA");
  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  if (a.run.json)
    printf("{\"schema\":\"lcwc.info/"
           "1\",\"version\":\"%s\",\"target\":\"host\",\"isa\":\"%s\",\"threads\":%ld}\n",
           LCW_VERSION, host_isa(), threads);
  else
    printf("lcwc            %s\ntarget          host (LLVM 19)\ninstruction set %s\nthreads        "
           " %ld\n"
           "data folders    --data DIR, then LCWC_DATA%s%s, the folder of the file, "
           "/usr/share/datasets\n",
           LCW_VERSION, host_isa(), threads, data ? " = " : "", data ? data : "");
  return fflush(stdout) ? command_fail(LCW_DATA, "cannot write to standard output") : LCW_OK;
}

/* These two count the command's own name among their arguments. */
int command_fmt(int argc, char **argv) { return fmt_main(argc + 1, argv - 1); }
int command_explain(int argc, char **argv) { return explain_main(argc + 1, argv - 1); }
