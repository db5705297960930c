/* inspect_device.c: the kernels of a program on a CUDA device that need not be there. In: an
 * architecture. Out: for each kernel its launch, what its cubin holds, how many of its blocks a
 * multiprocessor holds, and the time it can't be faster than; and what --fail-on says of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edits.h"
#include "inspection.h"

/* ---- the architecture ------------------------------------------------------------------------ */

bool device_choose_arch(Inspection *x, const char *target) {
  CudaBuild *b = &x->c->cuda;
  Text known;
  text_init(&known, &x->c->perm);
  cuda_arch_list(&known);
  if (target && (x->c->for_host || b->ptx || b->narch != 1))
    return compile_fail(x->c, LCW_USAGE, "--target=%s: inspect looks at one architecture\nhelp: %s",
                        target, known.s);
  if (!target) b->arch[0] = b->tiled, b->narch = 1;
  x->arch = cuda_arch_find(b->arch[0]);
  return x->arch || compile_fail(x->c, LCW_USAGE,
                                 "--target=%s: nothing is known of its devices\nhelp: %s", target,
                                 known.s);
}

/* False if a kernel multiplies in a precision that the architecture hasn't got. */
static bool precisions_fit(Inspection *x) {
  static const char *const word[PRECISIONS] = {"fp32", "tf32", "bf16"};
  for (uint32_t i = 0; i < x->c->program->nkernel; i++) {
    const Kernel *k = x->c->program->kernel[i];
    if (k->kind == KERNEL_CONTRACT && !x->arch->rate[k->precision])
      return compile_fail(x->c, LCW_USAGE,
                          "%s: sm_%u has no tensor cores for %s\nhelp: --precision=fp32, or "
                          "--target=sm_80 and later", k->name, x->arch->arch, word[k->precision]);
  }
  return true;
}

/* ---- figures --------------------------------------------------------------------------------- */

static void figures_take(const Inspection *x, const Kernel *k, const SassCount *count, Figures *f) {
  const CudaOptions o = {.arch = x->arch->arch};
  cuda_launch(k, &o, &f->launch);
  f->shared = f->launch.shared;
  if (count) {
    f->count = *count;
    f->unrolled = f->launch.slabs ? cuda_unrolled(k, &f->launch, count) : 0;
    f->shared += count->shared;
    f->occupancy = cuda_occupancy(x->arch, f->launch.block, count->registers, f->shared);
  }
  f->estimate = cuda_estimate(x->arch, k, &f->launch, count);
}

/* True if a compiler for cubins was asked for by name. */
static bool compiler_named(const CudaBuild *b) { return b->nvrtc || b->compiler == COMPILER_NVRTC; }

/* The cubin's counts; NULL in `count` if nothing here makes cubins. False: c->exit. */
static bool program_count(Inspection *x, bool must, const SassCount **count) {
  Compile *c = x->c;
  Text why;
  text_init(&why, &c->perm);
  c->cuda.ptx = 0;
  int code = cuda_compile(&c->perm, c->program->kernel, c->program->nkernel, &c->cuda, &c->device,
                          &why);
  *count = code ? NULL : c->device.resource;
  if (!code) x->compiler = c->device.compiler[0];
  if (code == LCW_DEVICE && !must && !compiler_named(&c->cuda))
    return fprintf(stderr, "note: no registers, spills, occupancy, instructions: %s\n", why.s) > 0;
  if (code) return compile_fail(c, code, "%s", why.s);
  if (*c->device.note) fprintf(stderr, "note: %s\n", c->device.note);
  return true;
}

bool device_figures(Inspection *x, bool must) {
  const Program *p = x->c->program;
  const SassCount *count, *emitted = NULL;
  bool edits = x->c->cuda.folder != NULL;
  if (!precisions_fit(x) || !program_count(x, must || edits, &count)) return false;
  if (edits) emitted = count;
  if (edits && (!edits_read(x->c) || !program_count(x, true, &count))) return false;
  Figures *f = NEW_ARRAY(&x->c->perm, Figures, p->nkernel);
  for (uint32_t i = 0; i < p->nkernel; i++) {
    const Kernel *k = p->kernel[i], *text = k->launch.text ? k->launch.text : k;
    figures_take(x, k, count ? &count[i] : NULL, &f[i]);
    if (edits && x->c->cuda.edited[text->index]) f[i].emitted = &emitted[i];
  }
  x->figures = f;
  double clocks = 2.0 * x->arch->processors * x->arch->clock * 1e6;
  x->peak = (Roofline){clocks * x->arch->rate[x->c->precision], x->arch->bytes};
  return true;
}

/* ---- --fail-on ------------------------------------------------------------------------------- */

static bool condition_take(Compile *c, const char *word, FailOn *f) {
  char *end = NULL;
  if (!strcmp(word, "spills")) return f->spills = true;
  if (!strncmp(word, "occupancy:", 10) && word[10] >= '0' && word[10] <= '9')
    f->occupancy = strtod(word + 10, &end);
  if (end && !*end && f->occupancy > 0 && f->occupancy <= 1) return true;
  return compile_fail(c, LCW_USAGE, "--fail-on knows no `%s`\nhelp: spills, occupancy:0.25 (any "
                                    "number above 0, at most 1), or both with a comma", word);
}

bool fail_on_parse(Compile *c, const char *list, FailOn *out) {
  *out = (FailOn){.asked = list != NULL};
  for (const char *s = list; s; s = *s ? s + 1 : NULL) {
    size_t n = strcspn(s, ",");
    if (!condition_take(c, arena_text(&c->perm, s, n), out)) return false;
    s += n;
  }
  return true;
}

static bool kernel_spills(const Entry *e) {
  uint32_t n = e->figures->count.spills;
  if (n)
    fprintf(stderr, "error: %s spills: %u instructions load or store local memory, with %u "
            "registers\n", e->kernel->name, n, e->figures->count.registers);
  return n > 0;
}

static bool kernel_sparse(const Inspection *x, const Entry *e, double least) {
  const Figures *f = e->figures;
  const CudaOccupancy *o = &f->occupancy;
  bool fails = o->share < least;
  if (fails)
    fprintf(stderr, "error: %s: occupancy %.2f is below %g: for lack of %s a multiprocessor holds "
            "%u of its blocks, %u of %u warps (%u registers, %u bytes of shared memory)\n",
            e->kernel->name, o->share, least, cuda_held[o->by], o->blocks, o->warps, x->arch->warps,
            f->count.registers, f->shared);
  return fails;
}

bool device_judge(Inspection *x, const FailOn *f) {
  uint32_t failed = 0;
  for (uint32_t i = 0; i < x->nentry; i++) {
    bool spills = f->spills && kernel_spills(x->entry[i]);
    bool sparse = kernel_sparse(x, x->entry[i], f->occupancy);
    failed += spills || sparse;
  }
  return !failed ||
         compile_fail(x->c, LCW_LIMIT, "%u of %u kernels fail --fail-on", failed, x->nentry);
}
