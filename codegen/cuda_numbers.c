/* cuda_numbers.c: kernels that differ in their extents alone share one text. In: MAP and ROW
 * kernels. Out: the numbers that their text takes as arguments behind the buffers: extents, strides
 * other than 0 and 1, how a row is cut; and which kernels have the same text then.
 *
 * A CONTRACT keeps its numbers in the text, where they cost nothing in its loop; so does what has
 * several axes in one part, whose digits are divisions, or guards. */
#include "cuda_emit.h"
#include "cuda_model.h"
#include "hash.h"
#include <string.h>

/* ---- which numbers a kernel has --------------------------------------------------------------- */

void number_add(Numbers *n, const char *name, int64_t value) {
  if (n->n == MAX_NUMBER) n->full = true;
  else n->of[n->n++] = (Number){name, (int32_t)value};
}

/* The name of the stride `value` along a part; NULL: it has none. */
static const char *stride_find(const Numbers *n, AxisPart part, int64_t value) {
  const char letter = part == PART_P ? 'p' : 'r';
  for (uint32_t i = 0; i < n->n; i++)
    if (n->of[i].name[0] == letter && n->of[i].name[1] == '_' && n->of[i].value == value)
      return n->of[i].name;
  return NULL;
}

static void strides_add(Numbers *n, const Kernel *k, AxisPart part) {
  static const char *const name[2][3] = {{"p_stride", "p_stride_2", "p_stride_3"},
                                         {"r_stride", "r_stride_2", "r_stride_3"}};
  uint32_t axis = part_last(k, part), found = 0;
  for (uint32_t i = 0; kernel_axes(k, part) && i < k->narg; i++) {
    int64_t stride = k->arg[i].stride[axis];
    if (stride == 0 || stride == 1 || stride_find(n, part, stride)) continue;
    if (found == COUNT_OF(name[0]) || stride != (int32_t)stride) n->full = true;
    else number_add(n, name[part == PART_R][found++], stride);
  }
}

/* One axis in each part, and no guards. */
static bool is_plain(const Kernel *k) {
  for (uint32_t a = 1; a < k->naxis; a++)
    for (uint32_t b = 0; b < a; b++)
      if (k->part[a] == k->part[b]) return false;
  for (uint32_t i = 0; i < k->narg; i++)
    if (k->arg[i].nguard) return false;
  return true;
}

void numbers_find(const Kernel *k, Numbers *n) {
  *n = (Numbers){.full = !is_plain(k)};
  number_add(n, k->kind == KERNEL_MAP ? "count" : "rows",
             (int64_t)kernel_extent(k, kernel_axes(k, PART_P)));
  if (k->kind == KERNEL_ROW)
    number_add(n, "length", (int64_t)kernel_extent(k, kernel_axes(k, PART_R)));
  strides_add(n, k, PART_P);
  strides_add(n, k, PART_R);
}

void numbers_launch(const Numbers *n, CudaLaunch *launch) {
  launch->nnumber = n->full ? 0 : n->n;
  for (uint32_t i = 0; i < launch->nnumber; i++) launch->number[i] = n->of[i].value;
}

/* ---- in the text ------------------------------------------------------------------------------ */

bool has_numbers(const Emit *e) { return e->numbers && !e->numbers->full; }

const char *named_text(Emit *e, const char *name, int64_t value) {
  return has_numbers(e) ? name : emit_printf(e, "%lld", (long long)value);
}

const char *stride_name(const Emit *e, AxisPart part, int64_t value) {
  return has_numbers(e) ? stride_find(e->numbers, part, value) : NULL;
}

/* ---- which kernels share a text ---------------------------------------------------------------- */

/* The text without what names the kernel: its description, its place in the source, its symbol. */
static uint64_t text_hash(const Kernel *k, uint32_t arch, Arena *arena, Text *text) {
  const CudaOptions o = {.arch = arch};
  Kernel *bare = NEW(arena, Kernel);
  Text why;
  text_init(text, arena), text_init(&why, arena);
  *bare = *k;
  bare->name[0] = 0;
  if (!cuda_function(bare, &o, text, &why)) return 0;
  return hash64(text->s, text->n, 0);
}

void cuda_share(Kernel *const *kernel, uint32_t nkernel, uint32_t arch, Arena *arena) {
  uint64_t *hash = NEW_ARRAY(arena, uint64_t, nkernel + 1);
  Text *text = NEW_ARRAY(arena, Text, nkernel + 1);
  for (uint32_t i = 0; i < nkernel; i++) {
    kernel[i]->launch.text = NULL;
    if (!kernel[i]->launch.nnumber) continue;
    hash[i] = text_hash(kernel[i], arch, arena, &text[i]);
    for (uint32_t j = 0; j < i && hash[i] && !kernel[i]->launch.text; j++)
      if (hash[j] == hash[i] && !kernel[j]->launch.text && !strcmp(text[j].s, text[i].s))
        kernel[i]->launch.text = kernel[j];
  }
}
