/* pass.c: the pipeline as a loop over passes.def. Each pass_<name>() takes the Compile, makes the
 * next representation of it and returns false after an error that it has reported. */
#include "pass.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "check.h"
#include "exit.h"
#include "lower.h"
#include "parse.h"
#include "plan_check.h"
#include "plan_make.h"
#include "targets.h"

void compile_init(Compile *c) {
  memset(c, 0, sizeof *c);
  arena_init(&c->perm, "perm", (size_t)8 << 30);
  arena_init(&c->pass, "pass", (size_t)8 << 30);
  front_init(&c->front, &c->perm);
  c->names = c->front.names;
  c->remarks.arena = &c->perm;
  c->target = &target_host;
  c->for_host = true;
  c->cuda.tiled = 80;
  c->dump = c->stop = PASS_COUNT;
}

void compile_release(Compile *c) {
  arena_release(&c->pass);
  arena_release(&c->perm);
}

bool compile_fail(Compile *c, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("error: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  c->exit = code;
  return false;
}

const char *compile_folder(Compile *c) {
  const char *slash = c->path ? strrchr(c->path, '/') : NULL;
  return slash ? arena_text(&c->perm, c->path, (size_t)(slash - c->path + 1)) : ".";
}

/* ---- the passes ---------------------------------------------------------------------------- */

static bool pass_parse(Compile *c) {
  Ast *tree = c->source ? parse_buffer(&c->front, c->path, c->source, strlen(c->source), NULL)
                        : parse_file(&c->front, c->path);
  return tree && !diags_exit(&c->front.diags);
}

static bool pass_check(Compile *c) { return check(&c->front); }

/* What a data declaration asks for. */
static DataRequest request_of(Compile *c, const ModelData *d) {
  DataRequest r = {.kind = d->kind,
                   .path = d->path,
                   .path2 = d->path2,
                   .test = d->test,
                   .test2 = d->test2,
                   .normalize = d->normalize,
                   .classes = d->classes,
                   .rank = d->rank,
                   .samples = d->samples,
                   .test_samples = d->test_samples,
                   .seed = d->seed};
  memcpy(r.dim, d->dim, sizeof r.dim);
  r.root[0] = c->data_folder;
  r.root[1] = getenv("LCWC_DATA");
  r.root[2] = compile_folder(c);
  r.root[3] = "/usr/share/datasets";
  return r;
}

DataRequest compile_data(Compile *c) {
  DataRequest r = request_of(c, &c->model.data);
  r.classes = c->model.set.classes;
  r.targets = r.classes == 0;
  return r;
}

bool compile_facts(Compile *c) {
  ModelData d;
  if (!model_data(&c->front, &c->request, &d)) return false;
  if (!d.decl || (c->request.checks && d.rank)) return true; /* its declaration says enough */
  DataRequest r = request_of(c, &d);
  Data data;
  Fault fault = {0};
  if (!data_peek(&data, &r, &fault)) return c->exit = fault_print(&fault), false;
  c->request.facts = (ModelFacts){
      .rank = data.rank, .dtype = data.dtype, .classes = data.classes, .samples = data.train.count,
      .targets = data.classes ? 0 : data.train.label_bytes / (uint32_t)sizeof(float)};
  memcpy(c->request.facts.dim, data.dim, sizeof data.dim);
  data_close(&data);
  return true;
}

static bool pass_expand(Compile *c) {
  if (!compile_facts(c) || !model_expand(&c->front, &c->request, &c->model)) return false;
  c->model.data.rank = c->request.facts.rank;
  memcpy(c->model.data.dim, c->request.facts.dim, sizeof c->model.data.dim);
  return true;
}

static const char *const precision_word[PRECISIONS] = {"fp32", "tf32", "bf16"};

/* What the recipe or the command line says; tensor cores are what tf32 and bf16 are for. */
static bool precision_set(Compile *c) {
  const char *want = c->model.set.precision;
  c->precision = PRECISION_FP32;
  while (want && c->precision < PRECISIONS && strcmp(precision_word[c->precision], want))
    c->precision++;
  if (c->precision == PRECISIONS)
    return compile_fail(c, LCW_USAGE, "precision = %s: not one of fp32, tf32, bf16", want);
  if (c->precision == PRECISION_FP32 || c->target == &target_cuda) return true;
  return compile_fail(c, LCW_USAGE,
                      "precision = %s: the host computes in fp32; tf32 and bf16 need a GPU\n"
                      "help: --device=cuda, or --precision=fp32",
                      want);
}

static bool pass_simplify(Compile *c) {
  if (!model_executable(&c->front, &c->model)) return false;
  graph_simplify(&c->model.graph);
  return precision_set(c);
}

/* The word of a lowering; LOWER_COUNT: none. */
Lowering lowering_find(const char *word) {
  static const char *const known[LOWER_COUNT] = {"fused", "fused:epilogue", "fused:update",
                                                 "unfused", "dense", "projected"};
  Lowering l = 0;
  while (l < LOWER_COUNT && strcmp(known[l], word)) l++;
  return l;
}

/* What `@lower` says, by layer; a word that only expand obeys leaves the run's. */
static Lowerings layers_lower(Compile *c) {
  Lowerings l = {.run = c->lower,
                 .cuda = c->target == &target_cuda,
                 .precision = c->precision};
  const Model *m = &c->model;
  for (uint32_t i = 0; i < m->nlayer; i++)
    if (m->layer[i].lower && m->layer[i].name >= l.nof) l.nof = m->layer[i].name + 1;
  uint8_t *of = NEW_ARRAY(&c->pass, uint8_t, l.nof + 1);
  for (uint32_t i = 0; i < m->nlayer; i++)
    if (m->layer[i].lower) of[m->layer[i].name] = (uint8_t)(lowering_find(m->layer[i].lower) + 1);
  l.of = of;
  return l;
}

static bool pass_fuse(Compile *c) {
  Graph *g = &c->model.graph;
  Lowerings lower = layers_lower(c);
  fuse_algebra(g, &lower, &c->remarks);
  return true;
}

/* Says that a set holds for weights only before they are rounded. */
static void set_rounded(Compile *c, Val first, uint32_t count) {
  const Node *n = graph_node(&c->model.graph, first);
  const char *more = count > 1 ? arena_printf(&c->perm, " and %u other%s", count - 1,
                                              count > 2 ? "s" : "") : "";
  diag_at(&c->front.diags, W0902, n->span, name_text(c->names, n->layer), more,
          precision_word[c->precision]);
  diag_help(&c->front.diags, "--lower=fused, or fused:epilogue, keeps a set that has a rank-1 "
                             "term, as lcw");
}

static bool pass_precision(Compile *c) {
  Val first;
  uint32_t late = fuse_precision(&c->model.graph, c->precision, &first);
  if (late) set_rounded(c, first, late);
  if (c->precision != PRECISION_FP32) graph_simplify(&c->model.graph);
  return true;
}

static bool pass_maintain(Compile *c) {
  Lowerings lower = layers_lower(c);
  fuse_maintain(&c->model.graph, &lower, &c->remarks);
  return true;
}

static bool pass_lower(Compile *c) {
  c->program = lower_graph(&c->model.graph, &c->remarks, &c->perm, &c->pass);
  if (c->target == &target_cuda) program_borrow(c->program);
  return true;
}

static bool pass_tile(Compile *c) {
  for (uint32_t i = 0; i < c->program->nkernel; i++) {
    Kernel *k = c->program->kernel[i];
    if (c->target == &target_cuda) cuda_tile(k, c->cuda.tiled);
    else c->target->tile(k);
  }
  if (c->target == &target_cuda)
    cuda_share(c->program->kernel, c->program->nkernel, c->cuda.tiled, &c->pass);
  return true;
}

static bool pass_plan(Compile *c) {
  c->plan =
      plan_make(c->program, &c->model, parse_flattened(&c->front), &c->front.sources, &c->perm);
  return true;
}

static bool pass_object(Compile *c) {
  if (c->target == &target_cuda) return targets_compile(c);
  const char *const own[] = {host_isa(), NULL};
  const char *const *want = c->isa ? c->isa : own;
  uint32_t threads = c->threads ? c->threads : (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
  Text why;
  text_init(&why, &c->pass);
  if (host_compile(&c->perm, c->program->kernel, c->program->nkernel, c->plan, want, threads,
                   &c->host, &why))
    return true;
  return compile_fail(c, LCW_INTERNAL, "the host target refused a kernel: %s", why.s);
}

/* ---- verification, printing ---------------------------------------------------------------- */

static bool verified(Compile *c, Ir made, const char *pass) {
  Text why;
  text_init(&why, &c->pass);
  Fault fault = {0};
  bool ok = made == IR_GRAPH     ? graph_verify(&c->model.graph, &why)
            : made == IR_PROGRAM ? program_verify(c->program, &why)
                                 : true;
  if (made == IR_PLAN && !plan_check(c->plan, c->plan->size, &fault))
    ok = false, text_add(&why, "%s", fault.text);
  if (ok) return true;
  return compile_fail(c, LCW_INTERNAL, "internal: pass `%s` made something wrong: %s", pass,
                      why.s ? why.s : "");
}

/* Prints what writes to a FILE into a Text. */
static void file_text(Compile *c, PassId pass, Text *out) {
  char *s = NULL;
  size_t n = 0;
  FILE *f = open_memstream(&s, &n);
  if (!f) return;
  if (pass_info[pass].to == IR_PLAN) plan_print(c->plan, f);
  else if (c->front.root) ast_dump(f, &c->front.sources, c->names, c->front.root);
  fclose(f);
  text_bytes(out, s, n);
  free(s);
}

static void remarks_print(const Compile *c, Text *out) {
  for (uint32_t i = 0; i < c->remarks.nremark; i++)
    text_add(out, "# %s: %s\n", name_text(c->names, c->remarks.remark[i].layer),
             c->remarks.remark[i].text);
}

void compile_print(Compile *c, PassId pass, Text *out) {
  switch (pass_info[pass].to) {
  case IR_TREE: file_text(c, pass, out); break;
  case IR_GRAPH:
    graph_print(&c->model.graph, &c->front.sources, out);
    if (pass >= PASS_fuse) remarks_print(c, out);
    break;
  case IR_PROGRAM: program_print(c->program, &c->front.sources, out); break;
  case IR_PLAN: file_text(c, pass, out); break;
  case IR_TEXT:
  case IR_OBJECT: break;
  }
}

/* ---- the loop ------------------------------------------------------------------------------ */

const PassInfo pass_info[PASS_COUNT] = {
#define PASS(name, from, to, what) {#name, what, IR_##from, IR_##to},
#include "passes.def"
};

static bool (*const pass_function[PASS_COUNT])(Compile *) = {
#define PASS(name, from, to, what) pass_##name,
#include "passes.def"
};

PassId pass_find(const char *name) {
  PassId p = 0;
  while (p < PASS_COUNT && strcmp(pass_info[p].name, name)) p++;
  return p;
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void times_print(const Compile *c, PassId first) {
  for (PassId p = first; p < c->next; p++)
    fprintf(stderr, "%10.2f ms  %s\n", c->ms[p], pass_info[p].name);
}

/* One pass; false when the pipeline ends here. */
static bool pass_run(Compile *c, PassId p) {
  double start = now_ms();
  bool ok = pass_function[p](c);
  diags_print(&c->front.diags, stderr);
  if (!c->exit) c->exit = diags_exit(&c->front.diags);
  if (!ok && !c->exit)
    return compile_fail(c, LCW_INTERNAL, "internal: pass `%s` failed without a message",
                        pass_info[p].name);
  if (!ok || c->exit) return false;
  bool skip = c->request.checks && pass_info[p].to == IR_GRAPH; /* sizes only */
  if (!skip && !verified(c, pass_info[p].to, pass_info[p].name)) return false;
  c->ms[p] = now_ms() - start;
  arena_release(&c->pass);
  if (c->dump == p) {
    Text out;
    text_init(&out, &c->perm);
    compile_print(c, p, &out);
    if (out.n) fwrite(out.s, 1, out.n, stdout);
  }
  return c->stop != p;
}

bool compile_run(Compile *c, const char *path, PassId last) {
  c->path = path;
  PassId first = c->next;
  bool on = true;
  while (on && c->next <= last) on = pass_run(c, c->next++);
  if (c->times) times_print(c, first);
  return on;
}
