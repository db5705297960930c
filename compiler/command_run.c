/* command_run.c: train, eval and build: from a file (or a checkpoint) to code that runs, through
 * one pipeline. In process the objects are loaded; for a trainer they are linked. */
#include <stdio.h>
#include <string.h>
#include "checkpoint.h"
#include "command.h"
#include "device.h"
#include "edits.h"
#include "link.h"
#include "parse.h"
#include "targets.h"
#include "train.h"

bool isa_choose(const Arguments *a, Compile *c, const char **isa) {
  static const char *const known[] = {"avx512", "avx2", "baseline"};
  isa[0] = host_isa(), isa[1] = NULL;
  const char *want = a->run.cpu;
  c->isa = isa;
  c->threads = a->run.threads.given ? (uint32_t)a->run.threads.n : 0;
  if (!want || !strcmp(want, "native")) return true;
  size_t i = 0, best = 0;
  while (i < COUNT_OF(known) && strcmp(known[i], want)) i++;
  while (strcmp(known[best], isa[0])) best++;
  if (i == COUNT_OF(known))
    return compile_fail(c, LCW_USAGE, "--cpu=%s: not one of native, avx512, avx2, baseline", want);
  if (i < best)
    return compile_fail(c, LCW_DEVICE, "--cpu=%s: this machine has no %s; its best is %s", want,
                        want, isa[0]);
  isa[0] = want;
  return true;
}

typedef int RunFunction(const ModelCode *m, const RunOptions *o, const char *what);

static int run_train(const ModelCode *m, const RunOptions *o, const char *what) {
  (void)what;
  return train_run(m, o);
}

/* For a CUDA device code is made for what is there: a cubin, or PTX where the compiler makes no
 * cubins (clang) or the driver takes none (the simulated device, wherever its library is). */
static bool device_choose(const Arguments *a, Compile *c) {
  Fault f = {0};
  uint32_t arch;
  bool ptx_only;
  if (c->target != &target_cuda || a->run.print_plan) return true;
  if (!device_arch(&a->run, &arch, &ptx_only, &f)) return c->exit = fault_print(&f), false;
  c->cuda.tiled = arch;
  if (ptx_only || c->cuda.compiler == COMPILER_CLANG) c->cuda.ptx = arch;
  else c->cuda.arch[c->cuda.narch++] = arch;
  return true;
}

/* Loads what was compiled and calls `function` on it. */
static int host_run(Compile *c, const RunOptions *o, RunFunction *function, const char *what) {
  ModelCode model = {0};
  Text why;
  if (c->target == &target_cuda) {
    model.cuda_plan = c->plan, model.image = c->device.image;
    return function(&model, o, what);
  }
  text_init(&why, &c->perm);
  HostJit *jit = host_load(&c->host, &model.plan, &model.table, &why);
  if (!jit)
    return compile_fail(c, LCW_INTERNAL, "the compiled kernels cannot be loaded: %s", why.s),
           LCW_INTERNAL;
  int code = function(&model, o, what);
  host_unload(jit);
  return code;
}

static int train(Arguments *a, Compile *c) {
  const char *isa[2];
  if (!isa_choose(a, c, isa) || !device_choose(a, c) ||
      !compile_run(c, a->place[0], a->run.print_plan ? PASS_plan : PASS_object))
    return c->exit;
  if (a->run.print_plan) {
    Text out;
    text_init(&out, &c->perm);
    return compile_print(c, PASS_plan, &out), text_write(&out);
  }
  a->run.file_folder = compile_folder(c);
  if (c->cuda.folder && !edits_prove(a, c)) return c->exit;
  return host_run(c, &a->run, run_train, NULL);
}

int command_train(int argc, char **argv) {
  return command_on_file("train", true, 2, argc, argv, train);
}

/* ---- eval: all that is needed is in the checkpoint ---------------------------------------- */

/* Splits "depth = 50, W = lcw" at its commas outside brackets and quotes. */
static uint32_t list_split(Arena *arena, const char *s, const char **out, uint32_t most) {
  uint32_t n = 0;
  while (s && *s && n < most) {
    size_t end = 0;
    int depth = 0;
    for (bool quoted = false; s[end] && (depth || quoted || s[end] != ','); end++) {
      if (s[end] == '"') quoted = !quoted;
      else if (strchr("([{", s[end])) depth++;
      else if (strchr(")]}", s[end])) depth--;
    }
    const char *item = arena_text(arena, s, end);
    const char *eq = strstr(item, " = ");
    out[n++] = eq ? arena_printf(arena, "%.*s=%s", (int)(eq - item), item, eq + 3) : item;
    s += end + (s[end] == ',');
    s += strspn(s, " ");
  }
  return n;
}

static const char *meta_text(Compile *c, const Checkpoint *k, const char *key) {
  const char *s = checkpoint_meta(k, key);
  return s && *s ? arena_text(&c->perm, s, strlen(s)) : NULL;
}

/* Sets the Compile up from what a checkpoint says of itself; flags of the command line win. */
static bool compile_of_checkpoint(Arguments *a, Compile *c) {
  Checkpoint k = {.fd = -1};
  Fault f = {0};
  if (!checkpoint_of_run(&k, a->place[0], &f))
    return c->exit = fault_print(&f), checkpoint_close(&k), false;
  c->source = meta_text(c, &k, "source");
  c->request.net = meta_text(c, &k, "net");
  c->request.recipe = meta_text(c, &k, "recipe");
  if (!c->request.data) c->request.data = meta_text(c, &k, "data");
  a->ndefine = list_split(&c->perm, meta_text(c, &k, "arguments"), a->define, MAX_DEFINE);
  a->nset = list_split(&c->perm, meta_text(c, &k, "settings"), a->set, MAX_DEFINE);
  if (!arguments_precision(a)) return c->exit = LCW_USAGE, checkpoint_close(&k), false;
  c->request.define = a->define, c->request.ndefine = a->ndefine;
  c->request.set = a->set, c->request.nset = a->nset;
  const char *file = meta_text(c, &k, "file");
  c->path = file ? file : "checkpoint";
  checkpoint_close(&k);
  return c->source ||
         compile_fail(c, LCW_DATA, "%s: the checkpoint does not hold its source", a->place[0]);
}

static int eval(Arguments *a, Compile *c) {
  const char *isa[2];
  if (!compile_of_checkpoint(a, c) || !isa_choose(a, c, isa) || !device_choose(a, c))
    return c->exit;
  if (!compile_run(c, c->path, PASS_object)) return c->exit;
  a->run.file_folder = compile_folder(c);
  return host_run(c, &a->run, eval_run, a->place[0]);
}

int command_eval(int argc, char **argv) {
  return command_on_file("eval", true, 1, argc, argv, eval);
}

/* ---- build: a standalone trainer ----------------------------------------------------------- */

/* The same network for the CUDA target: its plan and its images, as one more object of `c`. */
static bool build_device(Arguments *a, Compile *c) {
  Compile d;
  Text why;
  text_init(&why, &c->perm);
  bool ok = arguments_compile(a, &d);
  d.target = &target_cuda;
  d.cuda.oldest = true;
  d.front.diags.errors_only = c->for_host; /* the rest was said */
  ok = ok && compile_run(&d, a->place[0], PASS_plan) && targets_compile(&d);
  for (uint32_t i = 0; ok && i < d.device.nimage; i++)
    fprintf(stderr, "note: %s for sm_%u by %s\n",
            d.device.image[i].kind == IMAGE_PTX ? "PTX" : "cubin", d.device.image[i].arch,
            d.device.compiler[i]);
  if (ok && !host_images(&c->perm, d.plan, d.device.image, &c->host, &why))
    ok = compile_fail(&d, LCW_INTERNAL, "%s", why.s);
  if (!ok) c->exit = d.exit;
  compile_release(&d);
  return ok;
}

static int build(Arguments *a, Compile *c) {
  static const char *const every[] = {"avx512", "avx2", "baseline", NULL};
  if (!a->flag[FLAG_OUT])
    return command_fail(LCW_USAGE, "build needs a file to write\nhelp: -o BIN");
  c->isa = every;
  if (c->for_host && !compile_run(c, a->place[0], PASS_object)) return c->exit;
  if ((c->cuda.narch || c->cuda.ptx) && !build_device(a, c)) return c->exit;
  return link_trainer(c, a->flag[FLAG_OUT]);
}

int command_build(int argc, char **argv) {
  return command_on_file("build", false, 2, argc, argv, build);
}
