/* cuda_slab.c: the way of an operand from global to shared memory, a slab of K at a time, by
 * asynchronous copies of 16 bytes (of 4 where rows are not aligned or K is not contiguous).
 *
 * A thread's place in the slab never changes. Of a K-major operand ("rows") it has one k and
 * several rows, each with its own base and guard coordinates, computed once; along K it follows
 * one pointer ("steady") or the digits of K, advanced like an odometer. Of the others it has one
 * row and several k. Outside of a guard, an extent or K, zeros are copied.
 *
 * No argument says "transposed": what is K-major is read from the strides. */
#include "cuda_emit.h"

/* ---- what kind of operand ------------------------------------------------------------------- */

static uint32_t part_last(const Kernel *k, AxisPart part) {
  uint32_t last = 0;
  for (uint32_t a = 0; a < k->naxis; a++)
    if (k->part[a] == part) last = a;
  return last;
}

/* True if four elements along `axis` are one aligned load, inside or outside together. */
static bool axis_vectors(const Kernel *k, const Arg *a, uint32_t axis) {
  if (a->stride[axis] != 1 || k->extent[axis] % 4 || a->offset % 4) return false;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (i != axis && a->stride[i] % 4) return false;
  for (uint32_t g = 0; g < a->nguard; g++)
    if (a->guard[g].coef[axis]) return false;
  return true;
}

static bool guards_vary(const Kernel *k, const Arg *a, AxisPart part) {
  for (uint32_t g = 0; g < a->nguard; g++)
    for (uint32_t i = 0; i < k->naxis; i++)
      if (k->part[i] == part && a->guard[g].coef[i]) return true;
  return false;
}

Operand operand_of(const Kernel *k, const Tile *t, uint32_t arg, AxisPart part) {
  const Arg *a = &k->arg[arg];
  bool lhs = part == PART_M;
  Operand o = {.name = lhs ? "lhs" : "rhs", .index = lhs ? "m" : "n", .start = lhs ? "m0" : "n0",
               .arg = a, .number = arg, .part = part};
  uint32_t along = part_last(k, PART_K), across = part_last(k, part);
  int64_t step;
  o.rows = a->stride[along] == 1 || a->stride[across] != 1;
  o.vector = axis_vectors(k, a, o.rows ? along : across) && (t->swizzled || !o.rows) ? 4 : 1;
  o.straight = walk_linear(k, a->stride, part, &step) && !a->nguard;
  o.steady = walk_linear(k, a->stride, PART_K, &step) && !guards_vary(k, a, PART_K);
  o.lanes = (o.rows ? t->slab : TILE) / (int)o.vector;
  o.step = BLOCK / o.lanes;
  o.copies = (o.rows ? TILE : t->slab) / o.step;
  o.bytes = 4 * (o.rows && t->swizzled ? TILE * t->slab : t->slab * t->pitch);
  return o;
}

/* ---- the digits of K ------------------------------------------------------------------------- */

/* True if a slab never crosses the fastest axis of K: then all threads share the digits. */
static bool digits_shared(const Kernel *k, const Tile *t) {
  return k->extent[part_last(k, PART_K)] % t->slab == 0;
}

static bool digits_used(const Operand *o) { return o->rows && !o->steady; }

/* The digit of axis `a`: k0, k1 ... where shared, else lhs_k0 ... */
static const char *digit_name(Emit *e, const Tile *t, const Operand *o, uint32_t a) {
  uint32_t number = 0;
  for (uint32_t i = 0; i < a; i++) number += e->k->part[i] == PART_K;
  return digits_shared(e->k, t) ? emit_printf(e, "k%u", number) : emit_printf(e, "%s_k%u", o->name, number);
}

static void digits_declare(Emit *e, const Tile *t, const Operand *o) {
  const Kernel *k = e->k;
  int64_t inner = kernel_extent(k, kernel_axes(k, PART_K)) > INT32_MAX ? 0 : 1;
  for (uint32_t a = k->naxis; a-- > 0;) {
    if (k->part[a] != PART_K) continue;
    if (digits_shared(k, t) || inner >= t->slab) emit_line(e, "int %s = 0;", digit_name(e, t, o, a));
    else
      emit_line(e, "int %s = %s_k / %lld %% %d;", digit_name(e, t, o, a), o->name, (long long)inner, k->extent[a]);
    inner *= k->extent[a];
  }
}

/* One slab further: the fastest digit, and carries into the slower ones. */
static void digits_carry(Emit *e, const Tile *t, const Operand *o) {
  const Kernel *k = e->k;
  uint32_t last = part_last(k, PART_K), depth = 0;
  const char *digit = digit_name(e, t, o, last);
  emit_line(e, "%s += %d;", digit, t->slab);
  for (uint32_t a = last; a-- > 0;) {
    if (k->part[a] != PART_K) continue;
    const char *slower = digit_name(e, t, o, a);
    if (depth++) emit_open(e, "if (%s == %d)", digit, k->extent[last]);
    else emit_open(e, "%s (%s >= %d)", k->extent[last] < t->slab ? "while" : "if", digit, k->extent[last]);
    emit_line(e, depth == 1 ? "%s -= %d;" : "%s = 0;", digit, k->extent[last]);
    emit_line(e, "%s++;", slower);
    digit = slower, last = a;
  }
  while (depth--) emit_close(e);
}

void digits_setup_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  bool both = !digits_shared(e->k, t);
  if (digits_used(lhs)) digits_declare(e, t, lhs);
  if (digits_used(rhs) && (both || !digits_used(lhs))) digits_declare(e, t, rhs);
}

void digits_advance_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  bool both = !digits_shared(e->k, t);
  if (digits_used(lhs)) digits_carry(e, t, lhs);
  if (digits_used(rhs) && (both || !digits_used(lhs))) digits_carry(e, t, rhs);
}

/* Sum of stride * digit over the axes of K; NULL if all strides are 0. */
static const char *digits_text(Emit *e, const Tile *t, const Operand *o, const int64_t *stride) {
  const char *sum = NULL;
  for (uint32_t a = 0; a < e->k->naxis; a++) {
    if (e->k->part[a] != PART_K || !stride[a]) continue;
    const char *digit = digit_name(e, t, o, a);
    const char *term = stride[a] == 1 ? digit : emit_printf(e, "%s * %lld", digit, (long long)stride[a]);
    sum = sum ? sum_text(e, sum, term) : term;
  }
  return sum;
}

/* ---- before the loop ------------------------------------------------------------------------ */

/* Where the thread writes: `to`, and what lies between two of its copies. */
static void place_print(Emit *e, const Tile *t, const Operand *o, int base) {
  const char *n = o->name;
  if (!o->rows || !t->swizzled)
    emit_line(e, "const u32 %s_to = base + %d + (%s_k * %d + %s_row) * 4;", n, base, n, t->pitch, n);
  else
    emit_line(e, "const u32 %s_to = base + %d + %s_row * 128 + ((%s_k / 4 ^ %s_row %% 8) << 4) + %s_k %% 4 * 4;", n,
              base, n, n, n, n);
}

static int place_step(const Tile *t, const Operand *o) {
  return o->step * 4 * (!o->rows ? t->pitch : t->swizzled ? t->slab : 1);
}

/* The address of the thread's row, and of its k where that is part of the pointer. */
static const char *start_text(Emit *e, const Tile *t, const Operand *o) {
  const Arg *a = o->arg;
  bool wide = arg_wide(e->k, a);
  const char *sum = emit_printf(e, "a%u", o->number);
  if (a->offset) sum = sum_text(e, sum, emit_printf(e, "%lld", (long long)a->offset));
  const char *row = walk_text(e, a->stride, o->part, o->index, wide);
  if (row) sum = sum_text(e, sum, row);
  int64_t step = 0;
  if (o->steady) walk_linear(e->k, a->stride, PART_K, &step);
  else if (o->rows && digits_shared(e->k, t)) step = a->stride[part_last(e->k, PART_K)];
  if (step) sum = sum_text(e, sum, emit_printf(e, step == 1 ? "%s_k" : "%s_k * %lld", o->name, (long long)step));
  return sum;
}

/* Coordinate g of a guard, as far as the thread's row gives it; far outside beyond the extent. */
static const char *coordinate_text(Emit *e, const Tile *t, const Operand *o, uint32_t g) {
  int64_t coef[MAX_AXIS];
  guard_strides(&o->arg->guard[g], coef);
  const char *sum = walk_text(e, coef, o->part, o->index, false);
  if (o->arg->guard[g].base || !sum) {
    const char *base = emit_printf(e, "%d", o->arg->guard[g].base);
    sum = sum ? sum_text(e, sum, base) : base;
  }
  int32_t own = o->arg->guard[g].coef[part_last(e->k, PART_K)];
  if (o->rows && own && digits_shared(e->k, t)) sum = sum_text(e, sum, emit_printf(e, "%s_k * %d", o->name, own));
  if (part_extent(e, o->part) % TILE == 0) return sum;
  return emit_printf(e, "%s < %d ? %s : -(1 << 29)", o->index, part_extent(e, o->part), sum);
}

/* K-major, each row on its own: pointers and coordinates per row. */
static void rows_print(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name;
  emit_line(e, "const float *%s_at[%d];", n, o->copies);
  for (uint32_t g = 0; g < o->arg->nguard; g++) emit_line(e, "int %s_c%u[%d];", n, g, o->copies);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", o->copies);
  emit_line(e, "const int %s = %s + %s_row + i * %d;", o->index, o->start, n, o->step);
  emit_line(e, "%s_at[i] = %s;", n, start_text(e, t, o));
  for (uint32_t g = 0; g < o->arg->nguard; g++) emit_line(e, "%s_c%u[i] = %s;", n, g, coordinate_text(e, t, o, g));
  emit_close(e);
}

static bool operand_arrays(const Operand *o) { return o->rows && !o->straight; }

void operand_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  const char *n = o->name;
  emit_line(e, "/* %s: copies of %u bytes, %s */", n, o->vector * 4,
            o->rows ? "rows along K" : "rows beside each other");
  emit_line(e, "const int %s_%s = thread_index() %% %d%s, %s_%s = thread_index() / %d;", n, o->rows ? "k" : "row",
            o->lanes, o->vector == 4 ? " * 4" : "", n, o->rows ? "row" : "k", o->lanes);
  place_print(e, t, o, base);
  if (operand_arrays(o)) {
    rows_print(e, t, o);
    if (o->steady) emit_line(e, "int %s_walk = 0;", n);
    return;
  }
  emit_line(e, "const float *%s_at;", n);
  if (!o->rows)
    for (uint32_t g = 0; g < o->arg->nguard; g++) emit_line(e, "int %s_c%u;", n, g);
  emit_block(e);
  emit_line(e, "const int %s = %s + %s_row;", o->index, o->start, n);
  emit_line(e, "%s_at = %s;", n, start_text(e, t, o));
  if (!o->rows)
    for (uint32_t g = 0; g < o->arg->nguard; g++) emit_line(e, "%s_c%u = %s;", n, g, coordinate_text(e, t, o, g));
  emit_close(e);
}

/* ---- in the loop ---------------------------------------------------------------------------- */

static const char *and_text(Emit *e, const char *a, const char *b) {
  return a ? emit_printf(e, "%s && %s", a, b) : b;
}

/* The condition under which copy i is inside; NULL: always. Guards end far outside beyond the
 * extent of the part, so that only operands without guards test it. */
static const char *copy_inside(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name, *all = NULL;
  for (uint32_t g = 0; g < o->arg->nguard; g++) {
    int64_t coef[MAX_AXIS];
    guard_strides(&o->arg->guard[g], coef);
    const char *row = emit_printf(e, o->rows ? "%s_c%u[i]" : "%s_c%u", n, g);
    const char *walk = o->rows ? digits_text(e, t, o, coef) : walk_text(e, coef, PART_K, "k", false);
    const char *sum = walk ? sum_text(e, row, walk) : row;
    all = and_text(e, all, emit_printf(e, "(unsigned)(%s) < %d", sum, o->arg->guard[g].extent));
  }
  int32_t extent = part_extent(e, o->part);
  if (extent % TILE && !o->arg->nguard)
    all = and_text(e, all, emit_printf(e, "%s + %s_row%s < %d", o->start, n,
                                       o->rows ? emit_printf(e, " + i * %d", o->step) : "", extent));
  if (part_extent(e, PART_K) % t->slab) all = and_text(e, all, emit_printf(e, "k < %d", part_extent(e, PART_K)));
  return all;
}

/* Where copy i reads from. */
static const char *copy_from(Emit *e, const Operand *o) {
  const char *n = o->name, *sum = emit_printf(e, operand_arrays(o) ? "%s_at[i]" : "%s_at", n), *walk = NULL;
  int64_t step = 0;
  if (o->rows && o->straight) {
    walk_linear(e->k, o->arg->stride, o->part, &step);
    sum = sum_text(e, sum, emit_printf(e, "i * %lld", (long long)(step * o->step)));
  } else if (!o->rows && o->steady) {
    walk_linear(e->k, o->arg->stride, PART_K, &step);
    sum = sum_text(e, sum, emit_printf(e, "i * %lld", (long long)(step * o->step)));
  }
  if (operand_arrays(o) && o->steady) walk = emit_printf(e, "%s_walk", n);
  if (!o->steady) walk = o->rows ? emit_printf(e, "%s_walk", n) : walk_text(e, o->arg->stride, PART_K, "k", arg_wide(e->k, o->arg));
  return walk ? sum_text(e, sum, walk) : sum;
}

void operand_copy_print(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name;
  bool ragged = part_extent(e, PART_K) % t->slab != 0, every = !o->rows && !(o->steady && !ragged);
  emit_block(e);
  if (o->rows && ragged) emit_line(e, "const int k = ahead * %d + %s_k;", t->slab, n);
  if (o->rows && !o->steady) {
    const char *walk = digits_text(e, t, o, o->arg->stride);
    emit_line(e, "const %s %s_walk = %s;", arg_wide(e->k, o->arg) ? "long long" : "int", n, walk ? walk : "0");
  }
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", o->copies);
  if (every) emit_line(e, "const int k = ahead * %d + %s_k + i * %d;", t->slab, n, o->step);
  const char *inside = copy_inside(e, t, o);
  emit_line(e, "copy_%u(%s_to + slot + i * %d, %s, %s%s%u%s);", o->vector * 4, n, place_step(t, o),
            copy_from(e, o), inside ? inside : "", inside ? " ? " : "", o->vector * 4, inside ? " : 0" : "");
  emit_close(e);
  int64_t step = 0;
  if (o->steady) {
    walk_linear(e->k, o->arg->stride, PART_K, &step);
    emit_line(e, "%s_%s += %lld;", n, operand_arrays(o) ? "walk" : "at", (long long)(step * t->slab));
  }
  emit_close(e);
}
