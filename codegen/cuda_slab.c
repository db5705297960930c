/* cuda_slab.c: the way of an operand from global to shared memory, a slab of K at a time, by
 * asynchronous copies of 16 bytes (of 4 where rows are not aligned or nothing is contiguous; what
 * is smaller, or of another type in memory, is loaded, converted and stored by the thread).
 *
 * A thread's place in the slab never changes: it has one k and several rows. Each row has its
 * base and its guard coordinates, computed once (one pointer for all where the rows are evenly
 * spaced: "straight"). Along K it follows one pointer ("steady"), or the digits of
 * K as an odometer that all threads share where a slab never crosses the fastest axis, else a
 * division. Outside of a guard, an extent or K, zeros are copied.
 *
 * No argument says "transposed": what is K-major is read from the strides. */
#include "cuda_contract.h"

/* ---- what kind of operand ------------------------------------------------------------------- */

/* True if `count` elements along `axis` are one aligned load, inside or outside together. */
static bool axis_vectors(const Kernel *k, const Arg *a, uint32_t axis, int count) {
  if (a->stride[axis] != 1 || k->extent[axis] % count || a->offset % count) return false;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (i != axis && a->stride[i] % count) return false;
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

/* Elements of a copy: 16 bytes, 4 bytes, or one element that the thread converts. */
static void vector_choose(const Kernel *k, const Tile *t, Operand *o, uint32_t axis) {
  bool same = o->arg->dtype == (t->size == 4 ? DTYPE_F32 : DTYPE_BF16);
  o->vector = 1, o->background = same && t->size == 4;
  if (!same || (o->rows && !t->matrix)) return; /* FFMA wants values of K apart */
  for (int bytes = 16; bytes >= 4; bytes -= 12)
    if (axis_vectors(k, o->arg, axis, bytes / t->size)) {
      o->vector = bytes / t->size, o->background = true;
      return;
    }
}

Operand operand_of(const Kernel *k, const Tile *t, uint32_t arg, AxisPart part) {
  const Arg *a = &k->arg[arg];
  bool lhs = part == PART_M;
  Operand o = {.name = lhs ? "lhs" : "rhs", .index = lhs ? "m" : "n", .start = lhs ? "m0" : "n0",
               .arg = a, .number = arg, .part = part, .extent = lhs ? t->rows : t->columns};
  uint32_t along = part_last(k, PART_K), across = part_last(k, part);
  int64_t step;
  o.rows = a->stride[along] == 1 || a->stride[across] != 1;
  vector_choose(k, t, &o, o.rows ? along : across);
  o.straight = walk_linear(k, a->stride, part, &step);
  o.steady = walk_linear(k, a->stride, PART_K, &step) && !guards_vary(k, a, PART_K);
  o.pitch = (o.extent + (t->matrix ? 8 : o.rows ? 4 : 16)) * t->size;
  if (!o.rows) o.step = BLOCK / t->slab * o.vector;
  else o.step = t->matrix ? BLOCK * o.vector / t->slab : 16;
  o.copies = o.extent / o.step;
  o.bytes = o.rows && t->matrix ? o.extent * 128 : t->slab * o.pitch;
  return o;
}

/* ---- along K -------------------------------------------------------------------------------- */

/* True if a slab never crosses the fastest axis of K: then k0, k1 ... are an odometer. */
static bool odometer_fits(const Kernel *k, const Tile *t) {
  return k->extent[part_last(k, PART_K)] % t->slab == 0;
}

static bool odometer_used(const Kernel *k, const Tile *t, const Operand *lhs, const Operand *rhs) {
  return odometer_fits(k, t) && !(lhs->steady && rhs->steady);
}

static const char *digit_name(Emit *e, uint32_t axis) {
  uint32_t number = 0;
  for (uint32_t i = 0; i < axis; i++) number += e->k->part[i] == PART_K;
  return emit_printf(e, "k%u", number);
}

void odometer_setup_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  if (!odometer_used(e->k, t, lhs, rhs)) return;
  for (uint32_t a = 0; a < e->k->naxis; a++)
    if (e->k->part[a] == PART_K) emit_line(e, "int %s = 0;", digit_name(e, a));
}

/* One slab further: the fastest digit, and carries into the slower ones. */
void odometer_advance_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs) {
  const Kernel *k = e->k;
  if (!odometer_used(k, t, lhs, rhs)) return;
  uint32_t last = part_last(k, PART_K), depth = 0;
  emit_line(e, "%s += %d;", digit_name(e, last), t->slab);
  for (uint32_t a = last; a-- > 0;) {
    if (k->part[a] != PART_K) continue;
    emit_open(e, "if (%s == %d)", digit_name(e, last), k->extent[last]);
    emit_line(e, "%s = 0;", digit_name(e, last));
    emit_line(e, "%s++;", digit_name(e, a));
    last = a, depth++;
  }
  while (depth--) emit_close(e);
}

/* Sum of stride * digit over K, as far as the thread's own k is not part of its pointers. */
static const char *along_text(Emit *e, const Tile *t, const int64_t *stride, bool wide) {
  if (!odometer_fits(e->k, t)) return walk_text(e, stride, PART_K, "k", wide);
  const char *sum = NULL;
  for (uint32_t a = 0; a < e->k->naxis; a++) {
    if (e->k->part[a] != PART_K || !stride[a]) continue;
    const char *digit = digit_name(e, a);
    const char *term = stride[a] == 1 ? digit
                                      : emit_printf(e, "%s * %lld%s", digit, (long long)stride[a],
                                                    wide ? "ll" : "");
    sum = sum ? sum_text(e, sum, term) : term;
  }
  return sum;
}

/* The thread's own k, where it is part of a pointer or a coordinate. */
static const char *own_text(Emit *e, const Tile *t, const Operand *o, const int64_t *stride,
                            const char *sum) {
  int64_t step = 0;
  if (o->steady) walk_linear(e->k, stride, PART_K, &step);
  else if (odometer_fits(e->k, t)) step = stride[part_last(e->k, PART_K)];
  if (!step) return sum;
  return sum_text(e, sum,
                  emit_printf(e, step == 1 ? "%s_k" : "%s_k * %lld", o->name, (long long)step));
}

/* ---- before the loop ------------------------------------------------------------------------ */

/* The thread's own k and row in the slab, so that the lanes of a warp read whole sectors and write
 * to different banks. */
static void own_print(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name, *k, *row;
  int lanes = o->rows ? t->slab / o->vector : BLOCK / t->slab;
  if (o->rows && t->matrix) {
    k = emit_printf(e, "thread_index() %% %d * %d", lanes, o->vector);
    row = emit_printf(e, "thread_index() / %d", lanes);
  } else if (o->rows) {
    k = "thread_index() % 8 + thread_index() / 128 * 8", row = "thread_index() / 8 % 16";
  } else {
    row = emit_printf(e, "thread_index() %% %d * %d", lanes, o->vector);
    k = t->size == 4 ? emit_printf(e, "thread_index() / %d", lanes)
                     : "thread_index() / 32 * 8 + thread_index() / 4 % 2 * 4 + thread_index() / 8 % 4";
  }
  emit_line(e, "const int %s_k = %s;", n, k);
  emit_line(e, "const int %s_row = %s;", n, row);
}

/* Where the thread writes. */
static void place_print(Emit *e, const Tile *t, const Operand *o, int base) {
  const char *n = o->name;
  int chunk = 16 / t->size;
  if (!o->rows || !t->matrix)
    emit_line(e, "const u32 %s_to = base + %d + %s_k * %d + %s_row * %d;", n, base, n, o->pitch, n,
              t->size);
  else
    emit_line(e, "const u32 %s_to = base + %d + %s_row * 128 + ((%s_k / %d ^ %s_row %% 8) << 4)%s;",
              n, base, n, n, chunk, n,
              o->vector == chunk ? "" : emit_printf(e, " + %s_k %% %d * %d", n, chunk, t->size));
}

/* Where its copy i goes. Rows of fewer than 8 to a step change their place in the swizzle. */
static const char *to_text(Emit *e, const Tile *t, const Operand *o) {
  if (!o->rows || !t->matrix)
    return emit_printf(e, "%s_to + slot + i * %d", o->name, o->step * t->size);
  if (o->step % 8 == 0) return emit_printf(e, "%s_to + slot + i * %d", o->name, o->step * 128);
  return emit_printf(e, "(%s_to ^ i %% 2 * 64) + slot + i * %d", o->name, o->step * 128);
}

/* The address of a row of the thread, whose flat index is the text `index`. */
static const char *start_text(Emit *e, const Tile *t, const Operand *o, const char *index) {
  const Arg *a = o->arg;
  const char *sum = emit_printf(e, "a%u", o->number);
  if (a->offset) sum = sum_text(e, sum, emit_printf(e, "%lld", (long long)a->offset));
  const char *row = walk_text(e, a->stride, o->part, index, arg_wide(e->k, a));
  if (row) sum = sum_text(e, sum, row);
  return own_text(e, t, o, a->stride, sum);
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
  sum = own_text(e, t, o, coef, sum);
  if (part_extent(e, o->part) % o->extent == 0) return sum;
  return emit_printf(e, "%s < %d ? %s : -(1 << 29)", o->index, part_extent(e, o->part), sum);
}

void operand_setup_print(Emit *e, const Tile *t, const Operand *o, int base) {
  const char *n = o->name;
  emit_line(e, "/* %s: %s of %d bytes, %s */", n,
            o->background ? "copies" : "values, converted to", o->vector * t->size,
            o->rows ? "rows along K" : "rows side by side");
  own_print(e, t, o);
  place_print(e, t, o, base);
  if (o->straight) {
    const char *row = emit_printf(e, "(%s + %s_row)", o->start, n);
    emit_line(e, "const %s *%s_at = %s;", type_text(o->arg), n, start_text(e, t, o, row));
  } else {
    emit_line(e, "const %s *%s_at[%d];", type_text(o->arg), n, o->copies);
    if (o->steady) emit_line(e, "int %s_walk = 0;", n);
  }
  for (uint32_t g = 0; g < o->arg->nguard; g++) emit_line(e, "int %s_c%u[%d];", n, g, o->copies);
  if (o->straight && !o->arg->nguard) return;
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", o->copies);
  emit_line(e, "const int %s = %s + %s_row + i * %d;", o->index, o->start, n, o->step);
  if (!o->straight) emit_line(e, "%s_at[i] = %s;", n, start_text(e, t, o, o->index));
  for (uint32_t g = 0; g < o->arg->nguard; g++)
    emit_line(e, "%s_c%u[i] = %s;", n, g, coordinate_text(e, t, o, g));
  emit_close(e);
}

/* ---- in the loop ---------------------------------------------------------------------------- */

static const char *and_text(Emit *e, const char *a, const char *b) {
  return a ? emit_printf(e, "%s && %s", a, b) : b;
}

/* The condition under which copy i is inside; NULL: always. Coordinates are far outside beyond
 * the extent of the part, so that only operands without guards test it. */
static const char *copy_inside(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name, *all = NULL;
  for (uint32_t g = 0; g < o->arg->nguard; g++) {
    int64_t coef[MAX_AXIS];
    guard_strides(&o->arg->guard[g], coef);
    const char *sum = emit_printf(e, "%s_c%u[i]", n, g),
               *walk = o->steady ? NULL : along_text(e, t, coef, false);
    if (walk) sum = sum_text(e, sum, walk);
    all = and_text(e, all, emit_printf(e, "(unsigned)(%s) < %d", sum, o->arg->guard[g].extent));
  }
  int32_t extent = part_extent(e, o->part), depth = part_extent(e, PART_K);
  if (extent % o->extent && !o->arg->nguard)
    all =
        and_text(e, all, emit_printf(e, "%s + %s_row + i * %d < %d", o->start, n, o->step, extent));
  if (depth % t->slab) all = and_text(e, all, emit_printf(e, "k < %d", depth));
  return all;
}

/* Where copy i reads from. */
static const char *copy_from(Emit *e, const Operand *o) {
  const char *n = o->name, *sum = emit_printf(e, o->straight ? "%s_at" : "%s_at[i]", n);
  int64_t step = 0;
  if (o->straight) {
    walk_linear(e->k, o->arg->stride, o->part, &step);
    sum = sum_text(e, sum, emit_printf(e, "i * %lld", (long long)(step * o->step)));
  }
  return o->straight && o->steady ? sum : sum_text(e, sum, emit_printf(e, "%s_walk", n));
}

/* One copy, by the hardware or by the thread. */
static void copy_print(Emit *e, const Tile *t, const Operand *o) {
  const char *inside = copy_inside(e, t, o), *to = to_text(e, t, o), *from = copy_from(e, o);
  const char *test = inside ? emit_printf(e, "%s ? ", inside) : "";
  int bytes = o->vector * t->size;
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int i = 0; i < %d; i++)", o->copies);
  if (o->background) {
    emit_line(e, "  copy_%d(%s, %s, %s%d%s);", bytes, to, from, test, bytes, inside ? " : 0" : "");
    return;
  }
  const char *element = emit_printf(e, "*(%s)", from);
  bool short_enough = t->size == 2 && o->arg->dtype == DTYPE_BF16;
  const char *value = short_enough ? element : float_of(e, o->arg, element);
  value = emit_printf(e, "%s%s%s", test, value, !inside ? "" : short_enough ? " : 0" : " : 0.0f");
  if (t->size == 2 && !short_enough) value = emit_printf(e, "to_bf16(%s)", value);
  emit_line(e, "  %s_store(%s, %s);", t->size == 2 ? "short" : "value", to, value);
}

void operand_copy_print(Emit *e, const Tile *t, const Operand *o) {
  const char *n = o->name;
  bool wide = arg_wide(e->k, o->arg), divides = !o->steady && !odometer_fits(e->k, t);
  emit_block(e);
  if (divides || part_extent(e, PART_K) % t->slab)
    emit_line(e, "const int k = ahead * %d + %s_k;", t->slab, n);
  if (!o->steady) {
    const char *walk = along_text(e, t, o->arg->stride, wide);
    emit_line(e, "const %s %s_walk = %s;", wide ? "long long" : "int", n, walk ? walk : "0");
  }
  copy_print(e, t, o);
  int64_t step = 0;
  if (o->steady) {
    walk_linear(e->k, o->arg->stride, PART_K, &step);
    emit_line(e, "%s_%s += %lld;", n, o->straight ? "at" : "walk", (long long)(step * t->slab));
  }
  emit_close(e);
}
