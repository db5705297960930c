/* kernel_print.c: the text form of a Kernel: one line of axes, one per argument, one per
 * instruction. It is what `--dump=lower` shows and what goldens hold. */
#include "kernel.h"
#include "graph.h"
#include "diag.h"

static const char *const kind_name[KERNEL_KINDS] = {"map", "row", "contract"};
static const char part_letter[] = "prmnk";
static const char *const dtype_name[DTYPE_COUNT] = {"f32", "u8", "i32", "u32", "f64", "bf16"};

/* Axes are named by their part and number: m0 m1 n0 k0. */
static void axis_text(const Kernel *k, uint32_t axis, Text *out) {
  uint32_t index = 0;
  for (uint32_t i = 0; i < axis; i++) index += k->part[i] == k->part[axis];
  text_add(out, "%c%u", part_letter[k->part[axis]], index);
}

static void axes_text(const Kernel *k, uint32_t axes, Text *out) {
  for (uint32_t i = 0, first = 1; i < k->naxis; i++)
    if (axes >> i & 1) {
      if (!first) text_add(out, ",");
      axis_text(k, i, out), first = 0;
    }
}

static void arg_print(const Kernel *k, uint32_t j, Text *out) {
  const Arg *a = &k->arg[j];
  text_add(out, "  $%u %s%s %s[%lld", j, a->use & ARG_READ ? "r" : "-", a->use & ARG_WRITE ? "w" : "-",
           dtype_name[a->dtype], (long long)a->offset);
  for (uint32_t i = 0; i < k->naxis; i++)
    if (a->stride[i]) {
      text_add(out, " + %lld ", (long long)a->stride[i]);
      axis_text(k, i, out);
    }
  text_add(out, "]");
  for (uint32_t g = 0; g < a->nguard; g++) {
    text_add(out, " 0 <= %d", a->guard[g].base);
    for (uint32_t i = 0; i < k->naxis; i++)
      if (a->guard[g].coef[i]) {
        text_add(out, " + %d ", a->guard[g].coef[i]);
        axis_text(k, i, out);
      }
    text_add(out, " < %d", a->guard[g].extent);
  }
  if (a->tail.known) text_add(out, " %.9g from %d", (double)a->tail.value, a->tail.from);
  if (k->kind == KERNEL_CONTRACT && j == k->lhs) text_add(out, "   lhs");
  if (k->kind == KERNEL_CONTRACT && j == k->rhs) text_add(out, "   rhs");
  text_add(out, "\n");
}

static void instr_print(const Kernel *k, uint32_t i, Text *out) {
  const Instr *n = &k->instr[i];
  text_add(out, n->op == I_STORE ? "    " : "    %%%u = ", i);
  switch ((InstrOp)n->op) {
  case I_CONST: text_add(out, "%.9g", (double)n->k); break;
  case I_LOAD: text_add(out, "load $%u", n->a); break;
  case I_ACC: text_add(out, "acc"); break;
  case I_RANDOM: text_add(out, "random key $%u stream $%u at $%u", n->a, n->b, n->c); break;
  case I_SCALAR:
    text_add(out, "%s %%%u", scalartab[n->fn].name, n->a);
    if (scalartab[n->fn].nin > 1) text_add(out, " %%%u", n->b);
    if (scalartab[n->fn].nin > 2) text_add(out, " %%%u", n->c);
    break;
  case I_REDUCE:
    text_add(out, "reduce %s %%%u over ", scalartab[n->fn].name, n->a);
    axes_text(k, n->axes, out);
    break;
  case I_STORE: text_add(out, "store %%%u to $%u", n->a, n->b); break;
  }
  text_add(out, "\n");
}

void kernel_print(const Kernel *k, Text *out) {
  text_add(out, "kernel %s: %s", k->name, kind_name[k->kind]);
  for (uint32_t i = 0; i < k->naxis; i++) {
    text_add(out, " ");
    axis_text(k, i, out);
    text_add(out, "=%d", k->extent[i]);
  }
  text_add(out, "   flops %llu bytes %llu\n", (unsigned long long)k->flops, (unsigned long long)k->bytes);
  for (uint32_t j = 0; j < k->narg; j++) arg_print(k, j, out);
  for (uint32_t s = 0, i = 0; s < k->nstage; s++) {
    if (k->nstage > 1 && i < k->ninstr && k->instr[i].stage == s) {
      text_add(out, "   stage %u over ", s);
      axes_text(k, k->space[s], out);
      text_add(out, "\n");
    }
    for (; i < k->ninstr && k->instr[i].stage == s; i++) instr_print(k, i, out);
  }
}
