/* command_inspect.c: the kernels of a phase, one entry for each distinct code. In: a file and a
 * net. Out: for each what was fused into it and what was not and why, its flops, bytes and
 * intensity; for the training step on the host, the time measured, for a CUDA device of any phase
 * the time it takes at best and what its code needs; a table or the object lcwc.inspect/1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"
#include "inspection.h"
#include "train.h"

enum { PROFILE_STEPS = 30 };

const char *const inspect_phase[PHASE_COUNT] = {"init", "prepare", "train", "eval", "probe"};

/* ---- collecting ---------------------------------------------------------------------------- */

/* What group.c said about the kernel of call number `n` of the training step. */
static void remarks_take(Inspection *x, Entry *e, uint32_t n) {
  const Remarks *r = &x->c->remarks;
  for (uint32_t i = 0; x->phase == PHASE_TRAIN && i < r->nremark; i++)
    if (r->remark[i].group == n && e->refused.npart < 2)
      parts_add(&x->c->perm, &e->refused, r->remark[i].text);
}

static void call_take(Inspection *x, const Call *call, uint32_t n) {
  Arena *arena = &x->c->perm;
  Entry *e = x->by_code[call->kernel];
  if (!e) {
    e = x->by_code[call->kernel] = NEW(arena, Entry);
    e->kernel = x->c->program->kernel[call->kernel];
    e->figures = x->figures ? &x->figures[call->kernel] : NULL;
    PUSH(arena, x, entry, e);
  }
  kernel_parts(x->c->program, call, arena, &e->fused);
  PUSH(arena, e, call, call);
  if (e->figures) e->seconds += e->figures->estimate.seconds;
  if (e->ncall == 1) remarks_take(x, e, n);
}

static void total_add(Inspection *x, const Call *call) {
  PhaseTotal *t = &x->total[call->phase];
  const Kernel *k = x->c->program->kernel[call->kernel];
  t->launches++, t->flops += k->flops, t->bytes += k->bytes;
  if (x->figures) t->seconds += x->figures[call->kernel].estimate.seconds;
}

static bool entries_collect(Inspection *x) {
  const Program *p = x->c->program;
  x->by_code = NEW_ARRAY(&x->c->perm, Entry *, p->nkernel);
  for (uint32_t i = 0; i < p->ncall; i++) {
    const Call *call = &p->call[i];
    total_add(x, call);
    bool wanted = !x->want || strstr(p->kernel[call->kernel]->name, x->want);
    if (call->phase == x->phase && wanted) call_take(x, call, x->total[x->phase].launches);
  }
  return x->nentry || !x->want ||
         compile_fail(x->c, LCW_USAGE,
                      "no kernel of this phase has a name that contains `%s`\nhelp: without "
                      "--kernel all are shown",
                      x->want);
}

static int entry_order(const void *a, const void *b) {
  const Entry *x = *(Entry *const *)a, *y = *(Entry *const *)b;
  if (x->seconds == y->seconds) return strcmp(x->kernel->name, y->kernel->name);
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* ---- measuring on the host ------------------------------------------------------------------ */

/* The seconds of each step of the plan, summed by code. */
static void times_take(Inspection *x, const Plan *p, const Profile *f) {
  for (uint32_t i = 0; i < f->nstep; i++) {
    const PlanStep *s = PLAN_AT(p, PlanStep, p->step) + p->phase[PHASE_TRAIN] + i;
    if (s->op != STEP_LAUNCH) continue;
    Entry *e = x->by_code[PLAN_AT(p, PlanKernel, p->kernel)[s->a].code];
    if (e) e->seconds += f->step_seconds[i];
  }
  x->total[PHASE_TRAIN].seconds = f->seconds;
}

static bool measure(Inspection *x, RunOptions *o) {
  Compile *c = x->c;
  const Plan *plan;
  const HostTable *table;
  Text why;
  text_init(&why, &c->perm);
  HostJit *jit = host_load(&c->host, &plan, &table, &why);
  if (!jit)
    return compile_fail(c, LCW_INTERNAL, "the compiled kernels cannot be loaded: %s", why.s);
  o->file_folder = compile_folder(c);
  Profile f = {0};
  c->exit = profile_run(&(ModelCode){.plan = plan, .table = table}, o, PROFILE_STEPS, &f);
  if (!c->exit) times_take(x, plan, &f);
  profile_free(&f);
  host_unload(jit);
  if (!c->exit) x->peak = roofline_measure(c->isa[0], x->threads);
  return !c->exit;
}

/* ---- what printing has in common ----------------------------------------------------------- */

/* How the weight set of a layer is lowered, from what fuse decided. */
const char *inspect_form(const Inspection *x, const ModelLayer *l) {
  const Remarks *r = &x->c->remarks;
  const char *form = "plain";
  const char *word = l->lower ? l->lower : x->c->model.set.lower;
  if (strncmp(word, "fused", 5)) return word;
  for (uint32_t i = 0; i < r->nremark; i++) {
    if (r->remark[i].layer != l->name) continue;
    if (strstr(r->remark[i].text, "moved out of")) return "fused:epilogue";
    if (strstr(r->remark[i].text, "compute copy")) form = "fused:update";
  }
  return form;
}

/* Of the stage it comes from; "" for what the run adds. */
const char *inspect_source(const Inspection *x, const Entry *e) {
  return e->call[0]->span.file ? span_text(&x->c->front.sources, e->call[0]->span) : "";
}

double entry_intensity(const Entry *e) {
  return e->kernel->bytes ? (double)e->kernel->flops / (double)e->kernel->bytes : 0;
}

double entry_rate(const Entry *e) {
  return e->seconds > 0 ? (double)e->kernel->flops * e->ncall / e->seconds : 0;
}

/* On a device, of the peak of the kernel's own precision. */
double entry_of_peak(const Inspection *x, const Entry *e) {
  double peak = x->peak.flops;
  if (x->arch)
    peak *= (double)x->arch->rate[e->kernel->precision] / x->arch->rate[x->c->precision];
  return entry_rate(e) / peak;
}

double figures_loop(const Figures *f) {
  return f->unrolled ? f->count.loop * 32.0 / (f->launch.slab * f->unrolled) : 0;
}

/* ---- the command --------------------------------------------------------------------------- */

static bool phase_find(Compile *c, const char *word, Phase *out) {
  for (Phase p = PHASE_INIT; p < PHASE_COUNT; p++)
    if (!strcmp(inspect_phase[p], word)) return *out = p, true;
  return compile_fail(c, LCW_USAGE, "--phase=%s: not one of train, eval, init, prepare, probe",
                      word);
}

static bool host_inspect(Inspection *x, Arguments *a) {
  Compile *c = x->c;
  bool train = x->phase == PHASE_TRAIN;
  x->threads = a->run.threads.given ? (uint32_t)a->run.threads.n : cpu_count();
  return compile_run(c, a->place[0], train ? PASS_object : PASS_tile) && entries_collect(x) &&
         (!train || measure(x, &a->run));
}

static bool device_inspect(Inspection *x, Arguments *a, const FailOn *f) {
  return device_choose_arch(x, a->flag[FLAG_TARGET]) &&
         compile_run(x->c, a->place[0], PASS_tile) && device_figures(x, f->asked) &&
         entries_collect(x);
}

static bool device_only(const Arguments *a, Compile *c) {
  const char *option = a->flag[FLAG_TARGET] ? "target" : a->flag[FLAG_FAIL] ? "fail-on" : NULL;
  return c->target == &target_cuda || !option ||
         compile_fail(c, LCW_USAGE, "--%s is of a CUDA device, and inspect measures the host\n"
                                    "help: --device=cuda; it need not be there", option);
}

static int inspect(Arguments *a, Compile *c) {
  const char *phase = a->flag[FLAG_PHASE] ? a->flag[FLAG_PHASE] : "train";
  const char *isa[2];
  Inspection x = {.c = c, .want = a->flag[FLAG_KERNEL]};
  FailOn fail;
  if (!isa_choose(a, c, isa) || !phase_find(c, phase, &x.phase) || !device_only(a, c) ||
      !fail_on_parse(c, a->flag[FLAG_FAIL], &fail))
    return c->exit;
  bool host = c->target == &target_host;
  if (!(host ? host_inspect(&x, a) : device_inspect(&x, a, &fail))) return c->exit;
  if (x.total[x.phase].seconds > 0) qsort(x.entry, x.nentry, sizeof *x.entry, entry_order);
  Text out;
  text_init(&out, &c->perm);
  if (a->run.json) inspect_json(&x, &out);
  else inspect_text(&x, &out);
  int code = text_write(&out);
  return code || !fail.asked || device_judge(&x, &fail) ? code : c->exit;
}

int command_inspect(int argc, char **argv) {
  return command_on_file("inspect", true, 2, argc, argv, inspect);
}
