/* inspect_text.c: an Inspection as a table for people: a line of figures for each kernel, and below
 * it what was fused, what was not and why, and where it comes from; then the phases. The columns
 * are the same for host and device; a device has more, a dash where a figure is not known. */
#include <string.h>
#include "inspection.h"

enum { LAYERS_SHOWN = 3 };

/* ---- above the table ----------------------------------------------------------------------- */

/* Layers of one set and form, which follow each other, are one line. */
static void layers_print(const Inspection *x, Text *out) {
  const Model *m = &x->c->model;
  for (uint32_t i = 0, first = 0; i < m->nlayer; i++) {
    const ModelLayer *l = &m->layer[i];
    if (!l->set) continue;
    uint32_t next = i + 1;
    while (next < m->nlayer && !m->layer[next].set) next++;
    if (!first) first = i + 1;
    bool same = next < m->nlayer && !strcmp(m->layer[next].set, l->set) &&
                !strcmp(inspect_form(x, &m->layer[next]), inspect_form(x, l));
    if (same) continue;
    const char *from = name_text(x->c->names, m->layer[first - 1].name),
               *to = name_text(x->c->names, l->name);
    text_add(out, "%s%s%s: %s, %s\n", from, first - 1 == i ? "" : " to ", first - 1 == i ? "" : to,
             l->set, inspect_form(x, l));
    first = 0;
  }
}

static void device_print(const Inspection *x, Text *out) {
  const CudaArch *a = x->arch;
  text_add(out, "%s with %u multiprocessors at %u MHz stands for sm_%u: peak %.1f GFLOP/s, memory "
           "%.1f GB/s, %.1f us a launch\n", a->device, a->processors, a->clock, a->arch,
           x->peak.flops * 1e-9, x->peak.bytes * 1e-9, CUDA_LAUNCH_SECONDS * 1e6);
  if (!x->compiler)
    text_add(out, "no compiler for cubins: what must be read from one is left empty\n");
}

static void heading_print(const Inspection *x, Text *out) {
  static const char *const precision[PRECISIONS] = {"fp32", "tf32", "bf16"};
  const ModelSettings *s = &x->c->model.set;
  const PhaseTotal *t = &x->total[x->phase];
  text_add(out, "%s (%s), --lower=%s, ", s->net, s->arguments, s->lower);
  if (x->arch) text_add(out, "sm_%u, %s\n", x->arch->arch, precision[x->c->precision]);
  else text_add(out, "%s\n", x->c->isa[0]);
  layers_print(x, out);
  if (x->arch) device_print(x, out);
  if (x->arch)
    text_add(out, "%s %.3f ms at best, %u launches; the program has %u kernels, %u texts\n",
             inspect_phase[x->phase], t->seconds * 1e3, t->launches, x->c->program->nkernel,
             cuda_texts(x->c->program->kernel, x->c->program->nkernel));
  else if (t->seconds > 0)
    text_add(out, "step %.3f ms, %u launches; %u threads, peak %.1f GFLOP/s, memory %.1f GB/s\n",
             t->seconds * 1e3, t->launches, x->threads, x->peak.flops * 1e-9, x->peak.bytes * 1e-9);
  else text_add(out, "%u launches; times are measured for --phase=train\n", t->launches);
}

/* ---- a kernel ------------------------------------------------------------------------------ */

static void columns_print(const Inspection *x, Text *out) {
  text_add(out, "\n");
  if (x->total[x->phase].seconds > 0)
    text_add(out, "%7s %9s %8s %5s ", "share", "ms", "GFLOP/s", "peak%");
  text_add(out, "%8s %9s %9s %6s ", "launches", "MFLOP", "MB", "flop/B");
  if (x->arch)
    text_add(out, " %4s %6s %7s %6s %4s %5s %6s  %-9s ", "regs", "spills", "shared", "blocks",
             "/SM", "occ.", "per32K", "bound");
  text_add(out, " kernel\n");
}

static void number_print(bool known, int width, double n, int digits, Text *out) {
  if (known) text_add(out, " %*.*f", width, digits, n);
  else text_add(out, " %*s", width, "-");
}

static void figures_print(const Inspection *x, const Figures *f, Text *out) {
  const uint32_t *grid = f->launch.grid;
  bool cubin = x->compiler != NULL;
  number_print(cubin, 4, f->count.registers, 0, out);
  number_print(cubin, 6, f->count.spills, 0, out);
  text_add(out, " %7u %6u", f->shared, grid[0] * grid[1] * grid[2]);
  number_print(cubin, 4, f->occupancy.blocks, 0, out);
  number_print(cubin, 5, f->occupancy.share, 2, out);
  number_print(figures_loop(f) > 0, 6, figures_loop(f), 0, out);
  text_add(out, "  %-9s ", cuda_bound[f->estimate.by]);
}

/* Whose text it is, and what was emitted if somebody has edited that. */
static void text_details_print(const Entry *e, Text *out) {
  const Kernel *text = e->kernel->launch.text;
  const SassCount *n = e->figures->emitted;
  if (text) text_add(out, "      by the text of %s, with other numbers\n", text->name);
  if (n)
    text_add(out, "      edited; as emitted: %u instructions, %u in the loop, %u registers, %u "
             "spills\n", n->total, n->loop, n->registers, n->spills);
}

/* Why not more blocks, what the instructions are, where the time goes. */
static void device_details_print(const Inspection *x, const Figures *f, Text *out) {
  const SassCount *n = &f->count;
  const double *part = f->estimate.part;
  if (x->compiler)
    text_add(out, "      %u instructions; blocks of %u threads, no more on a multiprocessor for "
             "lack of %s\n", n->total, f->launch.block, cuda_held[f->occupancy.by]);
  if (figures_loop(f) > 0)
    text_add(out, "      loop over K by %u: %u instructions, %u of them %s, %u LDSM and LDS, %u "
             "LDGSTS, %u LDG and STG\n", f->launch.slab * f->unrolled, n->loop,
             n->multiplies,
             n->matrix ? "HMMA" : "FFMA", n->shared_loads, n->copies, n->global);
  text_add(out, "      a launch at best: compute %.2f us, bandwidth %.2f us, launch %.2f us\n",
           part[BOUND_COMPUTE] * 1e6, part[BOUND_BANDWIDTH] * 1e6, part[BOUND_LAUNCH] * 1e6);
}

static void parts_print(const Parts *p, const char *what, const char *between, Text *out) {
  for (uint32_t i = 0; i < p->npart; i++) text_add(out, "%s%s", i ? between : what, p->part[i]);
  if (p->npart) text_add(out, "\n");
}

static void places_print(const Inspection *x, const Entry *e, Text *out) {
  const char *at = inspect_source(x, e);
  text_add(out, "      %s%s", *at ? "at " : "", *at ? at : "of the run");
  for (uint32_t i = 0; i < e->ncall && i < LAYERS_SHOWN; i++) {
    const char *layer = name_text(x->c->names, e->call[i]->layer);
    text_add(out, "%s %s", i ? "," : ", for", *layer ? layer : "the input");
  }
  if (e->ncall > LAYERS_SHOWN) text_add(out, " and %u more", e->ncall - LAYERS_SHOWN);
  text_add(out, "\n");
}

static void entry_print(const Inspection *x, const Entry *e, Text *out) {
  double n = e->ncall, step = x->total[x->phase].seconds;
  if (step > 0)
    text_add(out, "%5.1f %% %9.4f %8.1f %5.1f ", 100 * e->seconds / step, e->seconds * 1e3,
             entry_rate(e) * 1e-9, 100 * entry_of_peak(x, e));
  text_add(out, "%8u %9.3f %9.3f %6.1f ", e->ncall, (double)e->kernel->flops * n * 1e-6,
           (double)e->kernel->bytes * n * 1e-6, entry_intensity(e));
  if (e->figures) figures_print(x, e->figures, out);
  text_add(out, " %s\n", e->kernel->name);
  parts_print(&e->fused, "      fused: ", "; ", out);
  parts_print(&e->refused, "      not fused with ", "\n      not fused with ", out);
  if (e->figures) text_details_print(e, out), device_details_print(x, e->figures, out);
  places_print(x, e, out);
}

/* ---- all of it ----------------------------------------------------------------------------- */

static void phases_print(const Inspection *x, Text *out) {
  text_add(out, "\n%-8s %8s %9s %9s %9s\n", "phase", "launches", "MFLOP", "MB", "ms");
  for (Phase p = 0; p < PHASE_COUNT; p++) {
    const PhaseTotal *t = &x->total[p];
    if (!t->launches) continue;
    text_add(out, "%-8s %8u %9.3f %9.3f", inspect_phase[p], t->launches, (double)t->flops * 1e-6,
             (double)t->bytes * 1e-6);
    number_print(t->seconds > 0, 9, t->seconds * 1e3, 4, out);
    text_add(out, "\n");
  }
}

void inspect_text(const Inspection *x, Text *out) {
  double sum = 0, step = x->total[x->phase].seconds;
  heading_print(x, out);
  columns_print(x, out);
  for (uint32_t i = 0; i < x->nentry; i++) {
    entry_print(x, x->entry[i], out);
    sum += x->entry[i]->seconds;
  }
  if (!x->arch && step > 0 && !x->want)
    text_add(out, "%5.1f %% %9.4f of the step is in kernels, each timed by itself\n",
             100 * sum / step, sum * 1e3);
  phases_print(x, out);
}
