/* inspect_json.c: an Inspection as the object lcwc.inspect/1. What is not known is not there. */
#include "inspection.h"

static void list_json(const char *key, const Parts *p, Text *out) {
  text_add(out, ",\"%s\":[", key);
  for (uint32_t i = 0; i < p->npart; i++) {
    if (i) text_add(out, ",");
    text_json(out, p->part[i]);
  }
  text_add(out, "]");
}

static void loop_json(const Figures *f, Text *out) {
  const SassCount *n = &f->count;
  text_add(out, ",\"slab\":%u,\"slabs\":%u", f->launch.slab, f->launch.slabs);
  if (n->loop)
    text_add(out, ",\"loop\":%u,\"unrolled\":%u,\"loop_per_32\":%.6g,\"loop_%s\":%u,"
             "\"loop_shared_loads\":%u,\"loop_copies\":%u,\"loop_global\":%u", n->loop, f->unrolled,
             figures_loop(f), n->matrix ? "hmma" : "ffma", n->multiplies, n->shared_loads,
             n->copies, n->global);
}

static void figures_json(const Inspection *x, const Figures *f, Text *out) {
  const SassCount *n = &f->count;
  const uint32_t *grid = f->launch.grid;
  const double *part = f->estimate.part;
  text_add(out, ",\"blocks\":%u,\"threads\":%u,\"shared_bytes\":%u", grid[0] * grid[1] * grid[2],
           f->launch.block, f->shared);
  text_add(out, ",\"bound\":\"%s\",\"compute_ms\":%.7f,\"bandwidth_ms\":%.7f,\"launch_ms\":%.7f",
           cuda_bound[f->estimate.by], part[BOUND_COMPUTE] * 1e3, part[BOUND_BANDWIDTH] * 1e3,
           part[BOUND_LAUNCH] * 1e3);
  if (x->compiler)
    text_add(out, ",\"registers\":%u,\"spills\":%u,\"blocks_per_sm\":%u,\"held_by\":\"%s\","
             "\"occupancy\":%.6g,\"instructions\":%u", n->registers, n->spills, f->occupancy.blocks,
             cuda_held[f->occupancy.by], f->occupancy.share, n->total);
  if (f->launch.slabs) loop_json(f, out);
  n = f->emitted;
  if (n)
    text_add(out, ",\"emitted\":{\"registers\":%u,\"spills\":%u,\"instructions\":%u,\"loop\":%u}",
             n->registers, n->spills, n->total, n->loop);
}

static void entry_json(const Inspection *x, const Entry *e, Text *out) {
  static const char *const kind[KERNEL_KINDS] = {"map", "row", "contract"};
  double step = x->total[x->phase].seconds;
  Parts layers = {0};
  for (uint32_t i = 0; i < e->ncall; i++)
    parts_add(&x->c->perm, &layers, name_text(x->c->names, e->call[i]->layer));
  text_add(out, "{\"name\":");
  text_json(out, e->kernel->name);
  text_add(out, ",\"kind\":\"%s\",\"source\":", kind[e->kernel->kind]);
  text_json(out, inspect_source(x, e));
  text_add(out, ",\"launches\":%u,\"flops\":%llu,\"bytes\":%llu,\"intensity\":%.4g", e->ncall,
           (unsigned long long)e->kernel->flops, (unsigned long long)e->kernel->bytes,
           entry_intensity(e));
  if (!e->figures) text_add(out, ",\"chunks\":%u", e->kernel->launch.chunks);
  if (step > 0)
    text_add(out, ",\"ms\":%.6f,\"share\":%.5f,\"gflops\":%.3f,\"of_peak\":%.5f", e->seconds * 1e3,
             e->seconds / step, entry_rate(e) * 1e-9, entry_of_peak(x, e));
  if (e->kernel->launch.text) text_add(out, ",\"text_of\":\"%s\"", e->kernel->launch.text->name);
  if (e->figures) figures_json(x, e->figures, out);
  list_json("layers", &layers, out);
  list_json("fused", &e->fused, out);
  list_json("not_fused", &e->refused, out);
  text_add(out, "}");
}

/* What it was found out for. */
static void target_json(const Inspection *x, Text *out) {
  static const char *const precision[PRECISIONS] = {"fp32", "tf32", "bf16"};
  const CudaArch *a = x->arch;
  if (!a) {
    text_add(out, ",\"device\":\"host\",\"isa\":\"%s\",\"threads\":%u", x->c->isa[0], x->threads);
    return;
  }
  text_add(out, ",\"device\":\"cuda\",\"target\":\"sm_%u\",\"precision\":\"%s\"", a->arch,
           precision[x->c->precision]);
  text_add(out, ",\"stands_for_it\":\"%s\",\"multiprocessors\":%u,\"compiler\":", a->device,
           a->processors);
  if (x->compiler) text_json(out, x->compiler);
  else text_add(out, "null");
}

static void layers_json(const Inspection *x, Text *out) {
  const Model *m = &x->c->model;
  text_add(out, ",\"layers\":[");
  for (uint32_t i = 0, n = 0; i < m->nlayer; i++) {
    if (!m->layer[i].set) continue;
    text_add(out, "%s{\"name\":", n++ ? "," : "");
    text_json(out, name_text(x->c->names, m->layer[i].name));
    text_add(out, ",\"set\":");
    text_json(out, m->layer[i].set);
    text_add(out, ",\"form\":\"%s\"}", inspect_form(x, &m->layer[i]));
  }
  text_add(out, "]");
}

static void phases_json(const Inspection *x, Text *out) {
  text_add(out, ",\"phases\":{");
  for (Phase p = 0; p < PHASE_COUNT; p++) {
    const PhaseTotal *t = &x->total[p];
    text_add(out, "%s\"%s\":{\"launches\":%u,\"flops\":%llu,\"bytes\":%llu", p ? "," : "",
             inspect_phase[p], t->launches, (unsigned long long)t->flops,
             (unsigned long long)t->bytes);
    if (t->seconds > 0) text_add(out, ",\"ms\":%.6f", t->seconds * 1e3);
    text_add(out, "}");
  }
  text_add(out, "}");
}

void inspect_json(const Inspection *x, Text *out) {
  const PhaseTotal *t = &x->total[x->phase];
  text_add(out, "{\"schema\":\"lcwc.inspect/1\",\"net\":");
  text_json(out, x->c->model.set.net);
  text_add(out, ",\"lower\":\"%s\",\"phase\":\"%s\"", x->c->model.set.lower,
           inspect_phase[x->phase]);
  target_json(x, out);
  text_add(out, ",\"launches\":%u", t->launches);
  if (t->seconds > 0)
    text_add(out,
             ",\"step_ms\":%.5f,\"measured\":%s,\"peak_gflops\":%.2f,\"bandwidth_gbytes\":%.3f",
             t->seconds * 1e3, x->arch ? "false" : "true", x->peak.flops * 1e-9,
             x->peak.bytes * 1e-9);
  layers_json(x, out);
  phases_json(x, out);
  text_add(out, ",\"kernels\":[");
  for (uint32_t i = 0; i < x->nentry; i++) {
    if (i) text_add(out, ",");
    entry_json(x, x->entry[i], out);
  }
  text_add(out, "]}\n");
}
