/* command_inspect.c: the kernels of a phase, one entry for each distinct code. In: a file and a
 * net. Out: for each what was fused into it and what was not and why, its flops, bytes and
 * intensity, and, for the training step, the time measured, its share of the step and of the peak;
 * a table or the object lcwc.inspect/1. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "device.h"
#include "inspect.h"
#include "roofline.h"
#include "train.h"

enum { PROFILE_STEPS = 30, LAYERS_SHOWN = 3 };

typedef struct {
  const Kernel *kernel;
  const Call **call;
  uint32_t ncall, capcall;
  Parts fused, refused;
  double seconds; /* of all its launches in one step */
} Entry;

typedef struct {
  Compile *c;
  Phase phase;
  const char *want; /* --kernel, or NULL */
  Entry **entry;
  uint32_t nentry, capentry;
  Entry **by_code;     /* [program->nkernel] */
  double step_seconds; /* 0: not measured */
  Roofline peak;
  uint32_t threads, ncall;
} Inspect;

/* ---- collecting ---------------------------------------------------------------------------- */

static void part_add(Arena *arena, Parts *p, const char *text) {
  for (uint32_t i = 0; i < p->npart; i++)
    if (!strcmp(p->part[i], text)) return;
  PUSH(arena, p, part, text);
}

/* What group.c said about the kernel of call number `n` of the training step. */
static void remarks_take(Inspect *x, Entry *e, uint32_t n) {
  const Remarks *r = &x->c->remarks;
  for (uint32_t i = 0; x->phase == PHASE_TRAIN && i < r->nremark; i++)
    if (r->remark[i].group == n && e->refused.npart < 2)
      part_add(&x->c->perm, &e->refused, r->remark[i].text);
}

static void call_take(Inspect *x, const Call *call, uint32_t n) {
  Arena *arena = &x->c->perm;
  Entry *e = x->by_code[call->kernel];
  if (!e) {
    e = x->by_code[call->kernel] = NEW(arena, Entry);
    e->kernel = x->c->program->kernel[call->kernel];
    PUSH(arena, x, entry, e);
  }
  kernel_parts(x->c->program, call, arena, &e->fused);
  PUSH(arena, e, call, call);
  if (e->ncall == 1) remarks_take(x, e, n);
}

static bool entries_collect(Inspect *x) {
  const Program *p = x->c->program;
  x->by_code = NEW_ARRAY(&x->c->perm, Entry *, p->nkernel);
  for (uint32_t i = 0; i < p->ncall; i++)
    if (p->call[i].phase == x->phase) {
      const char *name = p->kernel[p->call[i].kernel]->name;
      x->ncall++;
      if (!x->want || strstr(name, x->want)) call_take(x, &p->call[i], x->ncall);
    }
  return x->nentry || !x->want ||
         compile_fail(x->c, LCW_USAGE,
                      "no kernel of this phase has a name that contains `%s`\nhelp: without "
                      "--kernel all are shown",
                      x->want);
}

/* ---- measuring ----------------------------------------------------------------------------- */

static int entry_order(const void *a, const void *b) {
  const Entry *x = *(Entry *const *)a, *y = *(Entry *const *)b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* The seconds of each step of the plan, summed by code. */
static void times_take(Inspect *x, const Plan *p, const Profile *f) {
  for (uint32_t i = 0; i < f->nstep; i++) {
    const PlanStep *s = PLAN_AT(p, PlanStep, p->step) + p->phase[PHASE_TRAIN] + i;
    if (s->op != STEP_LAUNCH) continue;
    Entry *e = x->by_code[PLAN_AT(p, PlanKernel, p->kernel)[s->a].code];
    if (e) e->seconds += f->step_seconds[i];
  }
  x->step_seconds = f->seconds;
  qsort(x->entry, x->nentry, sizeof *x->entry, entry_order);
}

static bool measure(Inspect *x, RunOptions *o) {
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

/* ---- the form of each layer ---------------------------------------------------------------- */

/* How the weight set of a layer is lowered, from what fuse decided. */
static const char *form_of(const Inspect *x, const ModelLayer *l) {
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

/* Layers of one set and form, which follow each other, are one line. */
static void layers_print(const Inspect *x, Text *out) {
  const Model *m = &x->c->model;
  for (uint32_t i = 0, first = 0; i < m->nlayer; i++) {
    const ModelLayer *l = &m->layer[i];
    if (!l->set) continue;
    uint32_t next = i + 1;
    while (next < m->nlayer && !m->layer[next].set) next++;
    if (!first) first = i + 1;
    bool same = next < m->nlayer && !strcmp(m->layer[next].set, l->set) &&
                !strcmp(form_of(x, &m->layer[next]), form_of(x, l));
    if (same) continue;
    const char *from = name_text(x->c->names, m->layer[first - 1].name),
               *to = name_text(x->c->names, l->name);
    text_add(out, "%s%s%s: %s, %s\n", from, first - 1 == i ? "" : " to ", first - 1 == i ? "" : to,
             l->set, form_of(x, l));
    first = 0;
  }
}

/* ---- text ---------------------------------------------------------------------------------- */

static void parts_print(const Parts *p, const char *what, const char *between, Text *out) {
  for (uint32_t i = 0; i < p->npart; i++) text_add(out, "%s%s", i ? between : what, p->part[i]);
  if (p->npart) text_add(out, "\n");
}

/* file:line:column of the stage it comes from; "" for what the run adds. */
static const char *source_text(const Inspect *x, const Entry *e) {
  return e->call[0]->span.file ? span_text(&x->c->front.sources, e->call[0]->span) : "";
}

static void places_print(const Inspect *x, const Entry *e, Text *out) {
  const char *at = source_text(x, e);
  text_add(out, "      %s%s", *at ? "at " : "", *at ? at : "of the run");
  for (uint32_t i = 0; i < e->ncall && i < LAYERS_SHOWN; i++) {
    const char *layer = name_text(x->c->names, e->call[i]->layer);
    text_add(out, "%s %s", i ? "," : ", for", *layer ? layer : "the input");
  }
  if (e->ncall > LAYERS_SHOWN) text_add(out, " and %u more", e->ncall - LAYERS_SHOWN);
  text_add(out, "\n");
}

static double per_byte(const Entry *e) {
  return e->kernel->bytes ? (double)e->kernel->flops / (double)e->kernel->bytes : 0;
}

static double rate_of_entry(const Entry *e) {
  return e->seconds > 0 ? (double)e->kernel->flops * e->ncall / e->seconds : 0;
}

static void entry_print(const Inspect *x, const Entry *e, Text *out) {
  double n = e->ncall;
  if (x->step_seconds > 0)
    text_add(out, "%5.1f %% %9.4f %6.1f %5.1f ", 100 * e->seconds / x->step_seconds,
             e->seconds * 1e3, rate_of_entry(e) * 1e-9, 100 * rate_of_entry(e) / x->peak.flops);
  text_add(out, "%8u %9.3f %9.3f %6.1f  %s\n", e->ncall, (double)e->kernel->flops * n * 1e-6,
           (double)e->kernel->bytes * n * 1e-6, per_byte(e), e->kernel->name);
  parts_print(&e->fused, "      fused: ", "; ", out);
  parts_print(&e->refused, "      not fused with ", "\n      not fused with ", out);
  places_print(x, e, out);
}

static void table_print(const Inspect *x, Text *out) {
  const ModelSettings *s = &x->c->model.set;
  text_add(out, "%s (%s), --lower=%s, %s\n", s->net, s->arguments, s->lower, x->c->isa[0]);
  layers_print(x, out);
  if (x->step_seconds > 0)
    text_add(out,
             "step %.3f ms, %u launches; %u threads, peak %.1f GFLOP/s, memory %.1f GB/s\n\n%7s "
             "%9s %6s %5s ",
             x->step_seconds * 1e3, x->ncall, x->threads, x->peak.flops * 1e-9,
             x->peak.bytes * 1e-9, "share", "ms", "GFLOP/s", "peak%");
  else text_add(out, "%u launches; times are measured for --phase=train\n\n", x->ncall);
  text_add(out, "%8s %9s %9s %6s  %s\n", "launches", "MFLOP", "MB", "flop/B", "kernel");
  for (uint32_t i = 0; i < x->nentry; i++) entry_print(x, x->entry[i], out);
  double sum = 0;
  for (uint32_t i = 0; i < x->nentry; i++) sum += x->entry[i]->seconds;
  if (x->step_seconds > 0 && !x->want)
    text_add(out, "%5.1f %% %9.4f of the step is in kernels, each timed by itself\n",
             100 * sum / x->step_seconds, sum * 1e3);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void list_json(const char *key, const Parts *p, Text *out) {
  text_add(out, ",\"%s\":[", key);
  for (uint32_t i = 0; i < p->npart; i++) {
    if (i) text_add(out, ",");
    text_json(out, p->part[i]);
  }
  text_add(out, "]");
}

static void entry_json(const Inspect *x, const Entry *e, Text *out) {
  static const char *const kind[KERNEL_KINDS] = {"map", "row", "contract"};
  Parts layers = {0};
  for (uint32_t i = 0; i < e->ncall; i++)
    part_add(&x->c->perm, &layers, name_text(x->c->names, e->call[i]->layer));
  text_add(out, "{\"name\":");
  text_json(out, e->kernel->name);
  text_add(out, ",\"kind\":\"%s\",\"source\":", kind[e->kernel->kind]);
  text_json(out, source_text(x, e));
  text_add(out, ",\"launches\":%u,\"chunks\":%u,\"flops\":%llu,\"bytes\":%llu,\"intensity\":%.4g",
           e->ncall, e->kernel->launch.chunks, (unsigned long long)e->kernel->flops,
           (unsigned long long)e->kernel->bytes, per_byte(e));
  if (x->step_seconds > 0)
    text_add(out, ",\"ms\":%.6f,\"share\":%.5f,\"gflops\":%.3f,\"of_peak\":%.5f", e->seconds * 1e3,
             e->seconds / x->step_seconds, rate_of_entry(e) * 1e-9,
             rate_of_entry(e) / x->peak.flops);
  list_json("layers", &layers, out);
  list_json("fused", &e->fused, out);
  list_json("not_fused", &e->refused, out);
  text_add(out, "}");
}

static void json_print(const Inspect *x, const char *phase, Text *out) {
  const Model *m = &x->c->model;
  text_add(out, "{\"schema\":\"lcwc.inspect/1\",\"net\":");
  text_json(out, m->set.net);
  text_add(out, ",\"lower\":\"%s\",\"phase\":\"%s\",\"isa\":\"%s\",\"threads\":%u,\"launches\":%u",
           m->set.lower, phase, x->c->isa[0], x->threads, x->ncall);
  if (x->step_seconds > 0)
    text_add(out, ",\"step_ms\":%.5f,\"peak_gflops\":%.2f,\"bandwidth_gbytes\":%.3f",
             x->step_seconds * 1e3, x->peak.flops * 1e-9, x->peak.bytes * 1e-9);
  text_add(out, ",\"layers\":[");
  for (uint32_t i = 0, n = 0; i < m->nlayer; i++) {
    if (!m->layer[i].set) continue;
    text_add(out, "%s{\"name\":", n++ ? "," : "");
    text_json(out, name_text(x->c->names, m->layer[i].name));
    text_add(out, ",\"set\":");
    text_json(out, m->layer[i].set);
    text_add(out, ",\"form\":\"%s\"}", form_of(x, &m->layer[i]));
  }
  text_add(out, "],\"kernels\":[");
  for (uint32_t i = 0; i < x->nentry; i++) {
    if (i) text_add(out, ",");
    entry_json(x, x->entry[i], out);
  }
  text_add(out, "]}\n");
}

/* ---- the command --------------------------------------------------------------------------- */

static bool phase_find(Compile *c, const char *word, Phase *out) {
  static const char *const name[] = {"init", "prepare", "train", "eval"};
  for (Phase p = PHASE_INIT; p < COUNT_OF(name); p++)
    if (!strcmp(name[p], word)) return *out = p, true;
  return compile_fail(c, LCW_USAGE, "--phase=%s: not one of train, eval, init, prepare", word);
}

static int inspect(Arguments *a, Compile *c) {
  const char *phase = a->flag[FLAG_PHASE] ? a->flag[FLAG_PHASE] : "train";
  const char *isa[2];
  Inspect x = {.c = c, .want = a->flag[FLAG_KERNEL]};
  if (!isa_choose(a, c, isa) || !phase_find(c, phase, &x.phase)) return c->exit;
  if (c->target != &target_host)
    compile_fail(c, LCW_USAGE, "inspect measures the host only\n"
                               "help: --device=host; `emit --emit=cuda` prints a device's kernels");
  if (c->target != &target_host) return c->exit;
  if (!compile_run(c, a->place[0], x.phase == PHASE_TRAIN ? PASS_object : PASS_tile) ||
      !entries_collect(&x))
    return c->exit;
  x.threads = a->run.threads.given ? (uint32_t)a->run.threads.n : cpu_count();
  if (x.phase == PHASE_TRAIN && !measure(&x, &a->run)) return c->exit;
  Text out;
  text_init(&out, &c->perm);
  if (a->run.json) json_print(&x, phase, &out);
  else table_print(&x, &out);
  return text_write(&out);
}

int command_inspect(int argc, char **argv) {
  return command_on_file("inspect", true, 2, argc, argv, inspect);
}
