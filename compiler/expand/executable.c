/* executable.c: what this version checks but does not run yet.
 *
 * In: a model. Out: false and one message for each stage, set or setting that it cannot train:
 * never half done. Equal messages of one place are given once. */
#include "model.h"

/* Operations of the graph without a kernel yet. */
static bool operations_ready(Front *f, const Model *m) {
  bool ready = true;
  for (Val v = 1; v < m->graph.nnode; v++) {
    const Node *n = &m->graph.node[v];
    if (n->op != OP_CONV2D && n->op != OP_POOL2D) continue;
    ready = false;
    diag_at(&f->diags, E0901, n->span,
            arena_printf(f->perm, n->op == OP_CONV2D ? "the convolution %s" : "the pool %s",
                         name_text(f->names, n->layer)));
  }
  return ready;
}

/* Weight sets without a row-affine form that this version builds. */
static bool sets_ready(Front *f, const Model *m) {
  bool ready = true;
  for (uint32_t i = 0; i < m->nlayer; i++) {
    const ModelLayer *l = &m->layer[i];
    if (!l->unready) continue;
    ready = false;
    diag_at(&f->diags, E0901, l->span,
            arena_printf(f->perm, "`%s` of %s", l->set, name_text(f->names, l->name)));
    diag_here(&f->diags, "%s", l->unready);
  }
  return ready;
}

static bool data_ready(Front *f, const ModelData *d) {
  const char *what = d->kind == DATA_CIFAR    ? "cifar data"
                     : d->kind == DATA_IMAGES ? "images as data"
                     : d->augment             ? "`augment`"
                     : d->pad                 ? "`pad`"
                                              : NULL;
  if (!what) return true;
  diag_at(&f->diags, E0901, d->span, arena_printf(f->perm, "%s of data set `%s`", what, d->name));
  return false;
}

bool model_executable(Front *f, const Model *m) {
  bool ready = data_ready(f, &m->data);
  ready &= operations_ready(f, m);
  return sets_ready(f, m) && ready;
}
