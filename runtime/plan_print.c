/* plan_print.c: the text of a Plan: settings, buffers, kernels, and the steps of each phase.
 * It is the golden format of the pass `plan` and what a trainer shows for --print-plan. */
#include <string.h>
#include "plan_check.h"
#include "rate.h"

static const char *const role_text[] = {"input", "param", "state",  "derived",
                                        "const", "temp",  "output"};
static const char *const phase_text[] = {"init", "prepare", "train", "eval", "probe"};
static const char *const feed_text[] = {"", "sample", "label", "scale", "shift", "rate", "step"};
static const char *const out_text[] = {"", "loss", "hit", "finite", "residual"};
static const char *const step_text[] = {
#define STEP(name, args, synopsis) #name,
#include "steps.def"
};
static const char *const source_text[] = {"none", "idx", "npy", "synthetic", "cifar", "images"};
static const char *const normalize_text[] = {"none", "channel", "global"};

/* For %llu. */
static unsigned long long big(uint64_t x) { return x; }

/* What is trained, on what, how. */
static void print_settings(const Plan *p, FILE *out) {
  const PlanSettings *s = &p->set;
  char rate[2048];
  rate_text(p, rate, sizeof rate);
  fprintf(out, "plan %s(%s)\n", plan_text(p, s->net), plan_text(p, s->arguments));
  fprintf(out,
          "  recipe    %s: seed %llu, epochs %llu, batch %llu, eval every %llu, save every %llu\n",
          plan_text(p, s->recipe), big(s->seed), big(s->epochs), big(s->batch), big(s->eval_every),
          big(s->save_every));
  fprintf(out, "  rate      %s\n", rate);
  fprintf(out, "  data      %s: %s \"%s\", normalize %s, sample [", plan_text(p, s->data),
          s->source_kind <= DATA_IMAGES ? source_text[s->source_kind] : "?",
          plan_text(p, s->source_path),
          s->normalize <= NORMALIZE_GLOBAL ? normalize_text[s->normalize] : "?");
  for (uint32_t i = 0; i < s->sample_rank; i++) fprintf(out, i ? ", %u" : "%u", s->sample_dim[i]);
  fprintf(out, "], classes %u\n", s->classes);
  fprintf(out, "  lower     %s, %s\n", plan_text(p, s->lower), plan_text(p, s->precision));
  fprintf(out, "  params    %llu\n  arena     %llu bytes\n", big(plan_params(p)), big(p->arena));
}

/* One line: number, role, type, dims, place, name, meaning. */
static void print_buf(const Plan *p, uint32_t i, FILE *out) {
  const PlanBuf *b = plan_buf(p, i);
  char dims[96] = "[";
  for (uint32_t k = 0; k < b->rank; k++) {
    size_t n = strlen(dims);
    snprintf(dims + n, sizeof dims - n, k ? ", %u" : "%u", b->dim[k]);
  }
  fprintf(out, "  b%-5u %-8s %-4s %s]  @%llu  %s", i, role_text[b->role], plan_dtype_text(b->dtype),
          dims, big(b->offset), buf_name(p, b));
  if (b->feed) fprintf(out, "  from %s", feed_text[b->feed]);
  if (b->out) fprintf(out, "  is %s", out_text[b->out]);
  if (b->fold) fprintf(out, "  fold %s", plan_text(p, b->fold));
  if (b->computed) fprintf(out, "  computed");
  fputc('\n', out);
}

/* One line: number, code, work and name. */
static void print_kernel(const Plan *p, uint32_t i, FILE *out) {
  const PlanKernel *k = PLAN_AT(p, PlanKernel, p->kernel) + i;
  fprintf(out, "  k%-5u code %-4u chunks %-5u flops %-12llu bytes %-12llu scratch %llu workspace %llu  %s", i,
          k->code, k->chunks, big(k->flops), big(k->bytes), big(k->scratch), big(k->workspace),
          plan_text(p, k->name));
  if (k->line) fprintf(out, "  # %s:%u", plan_text(p, p->set.file), k->line);
  fputc('\n', out);
}

/* One line: what is done to which buffers. */
static void print_step(const Plan *p, const PlanStep *s, FILE *out) {
  fputs("  ", out);
  for (const char *c = step_text[s->op]; *c; c++) fputc(*c - 'A' + 'a', out);
  if (s->op == STEP_LAUNCH) {
    const uint32_t *arg = PLAN_AT(p, uint32_t, p->arg) + s->b;
    fprintf(out, " k%u", s->a);
    for (uint32_t i = 0; i < s->c; i++) fprintf(out, " b%u", arg[i]);
    for (uint32_t i = 0; i < (PLAN_AT(p, PlanKernel, p->kernel) + s->a)->nnumber; i++)
      fprintf(out, " %d", (int32_t)arg[s->c + i]);
  } else {
    fprintf(out, " b%u", s->a);
    if (s->op == STEP_COPY) fprintf(out, " b%u", s->b);
  }
  fputc('\n', out);
}

void plan_print(const Plan *p, FILE *out) {
  const PlanStep *step = PLAN_AT(p, PlanStep, p->step);
  print_settings(p, out);
  fprintf(out, "buffers\n");
  for (uint32_t i = 0; i < p->nbuf; i++) print_buf(p, i, out);
  fprintf(out, "kernels\n");
  for (uint32_t i = 0; i < p->nkernel; i++) print_kernel(p, i, out);
  for (uint32_t phase = 0; phase < PHASE_COUNT; phase++) {
    if (p->phase[phase] == p->phase[phase + 1]) continue;
    fprintf(out, "phase %s\n", phase_text[phase]);
    for (uint32_t i = p->phase[phase]; i < p->phase[phase + 1]; i++) print_step(p, &step[i], out);
  }
}
