/* command_run.c: train, eval and build: from a file (or a checkpoint) to code that runs, through
 * one pipeline. In process the objects are loaded; for a trainer they are linked. */
#include <stdio.h>
#include <string.h>
#include "checkpoint.h"
#include "code.h"
#include "edits.h"
#include "link.h"
#include "parse.h"
#include "targets.h"
#include "train.h"

static int plan_show(const Arguments *a, Compile *c) {
  Text out;
  const char *isa[2];
  if (!isa_choose(a, c, isa) || !compile_run(c, a->place[0], PASS_plan)) return c->exit;
  text_init(&out, &c->perm);
  return compile_print(c, PASS_plan, &out), text_write(&out);
}

enum { STEP_SECONDS = 30 }; /* for float64 to redo a step with edited kernels */

/* Edited kernels by themselves, then the step that they are part of. */
static bool edits_pass(Arguments *a, Compile *c) {
  return edits_prove(a, c) && (!edits_any(c) || !(c->exit = gradcheck_step(a, STEP_SECONDS)));
}

static int train(Arguments *a, Compile *c) {
  Code code;
  if (a->run.print_plan) return plan_show(a, c);
  if (!code_make(a, c, a->place[0], &code)) return c->exit;
  bool proved = !c->cuda.folder || edits_pass(a, c);
  int result = proved ? train_run(&code.model, &a->run) : c->exit;
  code_close(&code);
  return result;
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
  Code code;
  if (!compile_of_checkpoint(a, c) || !code_make(a, c, c->path, &code)) return c->exit;
  int result = eval_run(&code.model, &a->run, a->place[0]);
  code_close(&code);
  return result;
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
