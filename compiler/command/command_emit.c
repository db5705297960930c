/* command_emit.c: `lcwc emit`: what each stage of the compiler makes, and the code of the kernels: for
 * the host as LLVM IR or assembly, for CUDA as text, PTX or a cubin. In: a file and a net. Out:
 * standard output, a file, or a folder with a file for each kernel. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "command.h"
#include "durable.h"
#include "targets.h"

typedef struct {
  const char *kind;
  PassId pass;
} EmitKind;
static const EmitKind emit_kind[] = {
    {"ast", PASS_parse}, {"graph", PASS_simplify}, {"fuse", PASS_fuse}, {"kernels", PASS_tile},
    {"plan", PASS_plan}, {"llvm", PASS_tile},      {"asm", PASS_tile},  {"dot", PASS_simplify},
    {"cuda", PASS_tile},  {"ptx", PASS_tile},      {"cubin", PASS_tile}};

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

/* ---- where it goes ----------------------------------------------------------------------------- */

/* A file appears whole or not at all. */
static int file_write(const char *path, const Text *t) {
  const char *slash = strrchr(path, '/');
  char folder[1024];
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
  int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return command_fail(LCW_DATA, "%s: %s", folder, strerror(errno));
  DurableFile file = {.dir = dir, .shown = folder, .name = slash ? slash + 1 : path, .mode = 0644};
  Fault f = {0};
  bool ok = durable_bytes(&io_system, &file, t->s, t->n, &f);
  close(dir);
  return ok ? LCW_OK : fault_print(&f);
}

static int output_write(const char *path, const Text *t) {
  return !path || !strcmp(path, "-") ? text_write(t) : file_write(path, t);
}

/* ---- code for CUDA ------------------------------------------------------------------------------ */

typedef struct {
  Compile *c;
  const char *kind;                /* "cuda", "ptx", "cubin" */
  Kernel **kernel;                 /* those asked for */
  uint32_t nkernel, capkernel;
  const char *out;                 /* -o, or NULL */
} Device;

/* Those asked for, after the ones whose texts serve them. */
static bool kernels_choose(Device *d, const char *want) {
  Program *p = d->c->program;
  bool *taken = NEW_ARRAY(&d->c->pass, bool, p->nkernel + 1);
  for (uint32_t i = 0; i < p->nkernel; i++) {
    Kernel *k = p->kernel[i], *text = p->kernel[kernel_text(k)->index];
    if (want && !strstr(k->name, want)) continue;
    if (!taken[text->index]) PUSH(&d->c->perm, d, kernel, text);
    taken[text->index] = true;
    if (k != text) PUSH(&d->c->perm, d, kernel, k);
  }
  return d->nkernel ||
         compile_fail(d->c, LCW_USAGE,
                      "no kernel's name contains `%s`\nhelp: --emit=kernels lists them", want);
}

/* The code of `n` kernels for one architecture, which they are tiled for. */
static bool device_code(Device *d, Kernel *const *kernel, uint32_t n, uint32_t arch, Text *out) {
  Compile *c = d->c;
  CudaBuild b = c->cuda;
  CudaModel m;
  Text why;
  text_init(&why, &c->perm);
  uint32_t *line = NEW_ARRAY(&c->perm, uint32_t, n + 1);
  bool ptx = !strcmp(d->kind, "ptx");
  b.narch = ptx ? 0 : 1, b.arch[0] = arch, b.ptx = ptx ? arch : 0, b.tiled = arch;
  if (!strcmp(d->kind, "cuda"))
    return cuda_program(kernel, n, &b, out, line, &why) ||
           compile_fail(c, LCW_INTERNAL, "%s", why.s);
  int code = cuda_compile(&c->perm, kernel, n, &b, &m, &why);
  if (code) return compile_fail(c, code, "%s", why.s);
  if (*m.note) fprintf(stderr, "note: %s\n", m.note);
  text_bytes(out, m.image[0].bytes, m.image[0].size - ptx);
  return true;
}

/* k17_hidden_fwd.cu, or k17_hidden_fwd.sm_80.cu where there are several architectures; the folder is
 * made for the first that there is to write. */
static bool kernel_file(Device *d, Kernel *k, uint32_t arch) {
  Arena *arena = &d->c->perm;
  const char *end = strcmp(d->kind, "cuda") ? d->kind : "cu",
             *more = d->c->cuda.narch > 1 ? arena_printf(arena, ".sm_%u", arch) : "";
  Text out;
  text_init(&out, arena);
  if (!device_code(d, &k, 1, arch, &out)) return false;
  if (mkdir(d->out, 0777) && errno != EEXIST)
    return compile_fail(d->c, LCW_DATA, "%s: %s", d->out, strerror(errno));
  d->c->exit = file_write(arena_printf(arena, "%s/%s%s.%s", d->out, k->name, more, end), &out);
  return !d->c->exit;
}

/* True if -o names a file by its ending, else it is a folder. */
static bool is_file(const char *path) {
  const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
  return !strcmp(path, "-") || (dot && dot != path && (!slash || dot > slash + 1));
}

static bool device_emit(Device *d, uint32_t arch) {
  Compile *c = d->c;
  Text out;
  text_init(&out, &c->perm);
  for (uint32_t i = 0; i < d->nkernel; i++) cuda_tile(d->kernel[i], arch);
  bool folder = d->out && !is_file(d->out), terminal = isatty(STDOUT_FILENO);
  for (uint32_t i = 0; folder && i < d->nkernel; i++)
    if (!d->kernel[i]->launch.text && !kernel_file(d, d->kernel[i], arch)) return false;
  if (folder) return true;
  if (!d->out && !strcmp(d->kind, "cubin") && terminal)
    return compile_fail(c, LCW_USAGE, "a cubin is not for a terminal\nhelp: -o FILE.cubin");
  if (!device_code(d, d->kernel, d->nkernel, arch, &out)) return false;
  return !(c->exit = output_write(d->out, &out));
}

static int emit_device(Arguments *a, Compile *c, const char *kind) {
  Device d = {.c = c, .kind = kind, .out = a->flag[FLAG_OUT]};
  c->target = &target_cuda;
  uint32_t n = c->cuda.narch ? c->cuda.narch : 1;
  bool folder = d.out && !is_file(d.out);
  if (n > 1 && !folder)
    return command_fail(LCW_USAGE, "%u architectures in one output\nhelp: -o DIR, or one target", n);
  if (!compile_run(c, a->place[0], PASS_tile) || !kernels_choose(&d, a->flag[FLAG_KERNEL]))
    return c->exit;
  for (uint32_t i = 0; i < n; i++)
    if (!device_emit(&d, c->cuda.narch ? c->cuda.arch[i] : c->cuda.tiled)) return c->exit;
  return LCW_OK;
}

/* ---- the command -------------------------------------------------------------------------------- */

/* What a pass or the host's code generator makes. */
static int emit_host(Arguments *a, Compile *c, const EmitKind *k, const char *isa) {
  if (!compile_run(c, a->place[0], k->pass)) return c->exit;
  Text out;
  text_init(&out, &c->perm);
  bool code = !strcmp(k->kind, "llvm") || !strcmp(k->kind, "asm") ||
              (!strcmp(k->kind, "kernels") && a->flag[FLAG_KERNEL]);
  if (code && !code_print(c, k->kind, isa, a->flag[FLAG_KERNEL], &out)) return c->exit;
  if (!strcmp(k->kind, "dot")) dot_print(c, &out);
  else if (!code) compile_print(c, k->pass, &out);
  return output_write(a->flag[FLAG_OUT], &out);
}

static int emit(Arguments *a, Compile *c) {
  const char *kind = a->flag[FLAG_EMIT], *isa = a->flag[FLAG_ISA] ? a->flag[FLAG_ISA] : host_isa();
  size_t i = 0;
  while (kind && i < COUNT_OF(emit_kind) && strcmp(emit_kind[i].kind, kind)) i++;
  if (!kind && c->dump < PASS_COUNT) return compile_run(c, a->place[0], PASS_plan), c->exit;
  if (!kind || i == COUNT_OF(emit_kind))
    return command_fail(
        LCW_USAGE, "--emit=%s: not one of ast graph fuse kernels plan llvm asm dot cuda ptx cubin",
        kind ? kind : "");
  if (strcmp(isa, "avx512") && strcmp(isa, "avx2") && strcmp(isa, "baseline"))
    return command_fail(LCW_USAGE, "--isa=%s: not one of avx512, avx2, baseline", isa);
  bool device = !strcmp(kind, "cuda") || !strcmp(kind, "ptx") || !strcmp(kind, "cubin"),
       host = !strcmp(kind, "llvm") || !strcmp(kind, "asm");
  if (device) return emit_device(a, c, kind);
  if (host && c->target != &target_host)
    return command_fail(LCW_USAGE, "--emit=%s is code of the host\nhelp: cuda, ptx, cubin", kind);
  return emit_host(a, c, &emit_kind[i], isa);
}

int command_emit(int argc, char **argv) {
  return command_on_file("emit", false, 2, argc, argv, emit);
}
