/* program.c: a Program's distinct kernels, its verifier and its printer. */
#include <stdio.h>
#include <string.h>
#include "kernel.h"

static uint32_t bucket_find(const Program *p, const Kernel *k, uint64_t hash) {
  uint32_t mask = p->nbucket - 1, i = (uint32_t)hash & mask;
  while (p->bucket[i] && !kernel_equal(p->kernel[p->bucket[i] - 1], k)) i = (i + 1) & mask;
  return i;
}

static void buckets_grow(Program *p) {
  p->nbucket = p->nbucket ? p->nbucket * 2 : 64;
  p->bucket = NEW_ARRAY(p->arena, uint32_t, p->nbucket);
  for (uint32_t i = 0; i < p->nkernel; i++)
    p->bucket[bucket_find(p, p->kernel[i], kernel_hash(p->kernel[i]))] = i + 1;
}

uint32_t program_kernel(Program *p, const Kernel *k) {
  if (2 * p->nkernel + 2 > p->nbucket) buckets_grow(p);
  uint32_t i = bucket_find(p, k, kernel_hash(k));
  if (p->bucket[i]) return p->bucket[i] - 1;
  Kernel *copy = NEW(p->arena, Kernel);
  *copy = *k;
  copy->index = p->nkernel;
  snprintf(copy->name, sizeof copy->name, "k%u_%.50s", p->nkernel, k->name);
  PUSH(p->arena, p, kernel, copy);
  return (p->bucket[i] = p->nkernel) - 1;
}

static const char *const role_name[BUF_ROLES] = {"input", "param", "state", "derived",
                                                 "const", "temp",  "output"};
static const char *const phase_name[PHASE_COUNT] = {"init", "prepare", "train", "eval", "probe"};

void program_print(const Program *p, const Sources *sources, Text *out) {
  (void)sources;
  for (uint32_t i = 0; i < p->nkernel; i++) kernel_print(p->kernel[i], out);
  for (uint32_t i = 1; i < p->nbuffer; i++) {
    const Buffer *b = &p->buffer[i];
    text_add(out, "b%u %s %s [", i, role_name[b->role], name_text(p->names, b->name));
    for (uint32_t d = 0; d < b->rank; d++) text_add(out, d ? ", %d" : "%d", b->dim[d]);
    text_add(out, "]\n");
  }
  for (uint32_t i = 0; i < p->ncall; i++) {
    const Call *c = &p->call[i];
    const Kernel *k = p->kernel[c->kernel];
    text_add(out, "%s: %s(", phase_name[c->phase], k->name);
    for (uint32_t j = 0; j < k->narg; j++) text_add(out, j ? " b%u" : "b%u", c->buf[j]);
    text_add(out, ")   # %s\n", name_text(p->names, c->layer));
  }
  for (uint32_t i = 0; i < p->nzeroed; i++)
    text_add(out, "%s: b%u = 0\n", phase_name[p->zeroed[i].phase], p->zeroed[i].buf);
}

/* No buffer twice among the arguments of a call, unless both only read it. */
static bool call_verify(const Program *p, const Call *c, Text *why) {
  const Kernel *k = p->kernel[c->kernel];
  for (uint32_t i = 0; i < k->narg; i++) {
    if (!c->buf[i] || c->buf[i] >= p->nbuffer)
      return text_add(why, "%s: argument %u has no buffer", k->name, i), false;
    if (p->buffer[c->buf[i]].dtype != k->arg[i].dtype)
      return text_add(why, "%s: argument %u has another type than its buffer", k->name, i), false;
    for (uint32_t j = 0; j < i; j++)
      if (c->buf[i] == c->buf[j] && ((k->arg[i].use | k->arg[j].use) & ARG_WRITE))
        return text_add(why, "%s: arguments %u and %u overlap", k->name, j, i), false;
  }
  return true;
}

bool program_verify(const Program *p, Text *why) {
  for (uint32_t i = 0; i < p->nkernel; i++)
    if (!kernel_verify(p->kernel[i], why)) return text_add(why, " (%s)", p->kernel[i]->name), false;
  for (uint32_t i = 0; i < p->ncall; i++)
    if (!call_verify(p, &p->call[i], why)) return false;
  return true;
}
