/* cuda_text.c: the words of generated CUDA: lines, addresses, guards, and the walk of a scalar
 * program. In: an Emit. Out: lines added to its text; expressions as strings in its arena. */
#include "cuda_emit.h"
#include <float.h>
#include <stdio.h>
#include <string.h>

enum { LINE = 100 }; /* columns */

/* ---- lines ---------------------------------------------------------------------------------- */

/* Formatted text of any length, in the arena of the output. */
static char *format_text(Emit *e, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0), nonnull));
static char *format_text(Emit *e, const char *fmt, va_list ap) {
  va_list again;
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  char *text = arena_alloc(e->out->arena, (size_t)(n < 0 ? 0 : n) + 1);
  vsnprintf(text, (size_t)(n < 0 ? 0 : n) + 1, fmt, again);
  va_end(again);
  return text;
}

static void line_print(Emit *e, const char *fmt, va_list ap, const char *end) {
  for (uint32_t i = 0; i < e->indent; i++) text_add(e->out, "  ");
  text_add(e->out, "%s%s\n", format_text(e, fmt, ap), end);
}

void emit_line(Emit *e, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  line_print(e, fmt, ap, "");
  va_end(ap);
}

/* A line that opens a block. */
void emit_open(Emit *e, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  line_print(e, fmt, ap, " {");
  va_end(ap);
  e->indent++;
}

void emit_block(Emit *e) {
  emit_line(e, "{");
  e->indent++;
}

void emit_close(Emit *e) {
  e->indent--;
  emit_line(e, "}");
}

const char *emit_printf(Emit *e, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  const char *text = format_text(e, fmt, ap);
  va_end(ap);
  return text;
}

/* ---- addresses ------------------------------------------------------------------------------ */

int32_t part_extent(const Emit *e, AxisPart part) {
  return (int32_t)kernel_extent(e->k, kernel_axes(e->k, part));
}

const char *sum_text(Emit *e, const char *a, const char *b) {
  if (!a || !b) return a ? a : b ? b : "0";
  return b[0] == '-' ? emit_printf(e, "%s - %s", a, b + 1) : emit_printf(e, "%s + %s", a, b);
}

/* One digit of a flat index: `inner` indices further in, `extent` values, of `total` in all. */
static const char *digit_text(Emit *e, const char *index, int64_t inner, int64_t extent,
                              int64_t total) {
  if (inner > 1) index = emit_printf(e, "%s / %lld", index, (long long)inner);
  if (inner * extent < total) index = emit_printf(e, "%s %% %lld", index, (long long)extent);
  return index;
}

/* stride * digit; the product is taken in 64 bits if `wide`. */
static const char *term_text(Emit *e, AxisPart part, const char *digit, int64_t stride, bool wide) {
  const char *name = stride_name(e, part, stride);
  if (stride == 1 && !wide) return digit;
  if (name) return emit_printf(e, "%s%s * %s", wide ? "(long long)" : "", digit, name);
  return emit_printf(e, "%s * %lld%s", digit, (long long)stride, wide ? "ll" : "");
}

const char *walk_text(Emit *e, const int64_t *stride, AxisPart part, const char *index, bool wide) {
  const Kernel *k = e->k;
  int64_t total = part_extent(e, part), inner = 1;
  const char *sum = NULL;
  for (uint32_t a = k->naxis; a-- > 0;) {
    if (k->part[a] != part) continue;
    int64_t step = stride[a], extent = k->extent[a];
    for (; a > 0; a--) { /* slower axes that go on where this one ends */
      if (k->part[a - 1] != part || stride[a - 1] != step * extent) break;
      extent *= k->extent[a - 1];
    }
    if (step && extent > 1) {
      const char *term =
          term_text(e, part, digit_text(e, index, inner, extent, total), step, wide);
      sum = sum ? sum_text(e, term, sum) : term;
    }
    inner *= extent;
  }
  return sum;
}

bool walk_linear(const Kernel *k, const int64_t *stride, AxisPart part, int64_t *step) {
  int64_t extent = 0;
  for (uint32_t a = k->naxis; a-- > 0;) {
    if (k->part[a] != part) continue;
    if (!extent) *step = stride[a], extent = k->extent[a];
    else if (stride[a] == *step * extent) extent *= k->extent[a];
    else return false;
  }
  return extent > 0;
}

bool arg_wide(const Kernel *k, const Arg *a) {
  int64_t reach = a->offset < 0 ? -a->offset : a->offset;
  for (uint32_t i = 0; i < k->naxis; i++) {
    int64_t stride = a->stride[i] < 0 ? -a->stride[i] : a->stride[i];
    if (stride > INT32_MAX || (reach += stride * (k->extent[i] - 1)) > INT32_MAX) return true;
  }
  return false;
}

static const char part_name[PART_COUNT][2] = {"p", "r", "m", "n", "k"};

/* base + sum of stride * digit over every axis. */
static const char *affine_text(Emit *e, int64_t base, const int64_t *stride, bool wide) {
  const char *sum = base ? emit_printf(e, "%lld", (long long)base) : NULL;
  for (uint32_t p = 0; p < PART_COUNT; p++) {
    if (!kernel_axes(e->k, (AxisPart)p)) continue;
    const char *index = e->index[p] ? e->index[p] : part_name[p];
    const char *walk = walk_text(e, stride, (AxisPart)p, index, wide);
    if (walk) sum = sum ? sum_text(e, sum, walk) : walk;
  }
  return sum ? sum : "0";
}

const char *address_text(Emit *e, const Arg *a) {
  return affine_text(e, a->offset, a->stride, arg_wide(e->k, a));
}

void guard_strides(const Guard *g, int64_t *stride) {
  for (uint32_t i = 0; i < MAX_AXIS; i++) stride[i] = g->coef[i];
}

static const char *both_text(Emit *e, const char *a, const char *b) {
  return a && b ? emit_printf(e, "%s && %s", a, b) : a ? a : b;
}

/* The condition under which an access is inside, its parts' own conditions first; NULL: always. */
const char *inside_text(Emit *e, const Arg *a) {
  const char *all = NULL;
  for (uint32_t p = 0; p < PART_COUNT; p++) {
    bool walked = false;
    for (uint32_t i = 0; i < e->k->naxis; i++) walked |= e->k->part[i] == p && a->stride[i];
    if (walked) all = both_text(e, all, e->live[p]);
  }
  for (uint32_t g = 0; g < a->nguard; g++) {
    int64_t coef[MAX_AXIS];
    guard_strides(&a->guard[g], coef);
    const char *coordinate = affine_text(e, a->guard[g].base, coef, false);
    all = both_text(e, all, emit_printf(e, "(unsigned)(%s) < %d", coordinate, a->guard[g].extent));
  }
  return all;
}

/* ---- the scalar program --------------------------------------------------------------------- */

static const struct { uint8_t nin; const char *text; } scalar_row[SCALAR_COUNT] = {
#define SCALAR(name, n, text, deriv, flops) {n, text},
#include "scalars.def"
};

/* The type in memory, what is written before an element to make it a float, and back, and its name
 * in accesses of groups. */
static const struct { const char *type, *load, *store, *name; } dtype_row[DTYPE_COUNT] = {
  [DTYPE_F32] = {"float", "", "", "f32"},
  [DTYPE_U8] = {"unsigned char", "(float)", "(unsigned char)", "u8"},
  [DTYPE_I32] = {"int", "(float)", "(int)", "i32"},
  [DTYPE_U32] = {"unsigned", "(float)", "(unsigned)", "u32"},
  [DTYPE_F64] = {"double", "(float)", "(double)", "f64"},
  [DTYPE_BF16] = {"unsigned short", "from_bf16", "to_bf16", "bf16"},
};

/* A decimal of few digits that reads back as x; x itself if there is none. */
static double decimal_near(float x) {
  double scale = 1;
  for (int digits = 0; digits < 12; digits++, scale *= 10) {
    double scaled = (double)x * scale;
    if (scaled > 1e15 || scaled < -1e15) break;
    double near = (double)(int64_t)(scaled < 0 ? scaled - 0.5 : scaled + 0.5) / scale;
    if ((float)near == x && (near != 0 || x == 0)) return near;
  }
  return (double)x;
}

static const char *float_text(Emit *e, float x) {
  if (x != x) return "not_a_number()";
  if (x > FLT_MAX || x < -FLT_MAX) return x > 0 ? "infinity()" : "-infinity()";
  const char *s = number_text(e->out->arena, x == 0 ? (double)x : decimal_near(x));
  return emit_printf(e, strpbrk(s, ".e") ? "%sf" : "%s.0f", s);
}

const char *operand_text(Emit *e, uint32_t i) {
  const Instr *n = &e->k->instr[i];
  if (n->op == I_CONST) return float_text(e, n->k);
  if (n->op == I_ACC) return e->accumulator;
  if (e->grouped[i]) return emit_printf(e, "v%u[i]", i);
  if (e->at[e->parts[i]]) return emit_printf(e, "v%u[%s]", i, e->at[e->parts[i]]);
  return emit_printf(e, "v%u", i);
}

uint32_t scalar_operands(uint32_t fn) { return scalar_row[fn].nin; }

/* The C text of a row of scalars.def, its letters replaced by the operands. */
static const char *scalar_text(Emit *e, const Instr *n) {
  const uint16_t operand[3] = {n->a, n->b, n->c};
  Text t;
  text_init(&t, e->out->arena);
  const char *s = scalar_row[n->fn].text, *before = " ";
  for (; *s; before = s++) {
    bool inside = (*before >= 'a' && *before <= 'z') || (s[1] >= 'a' && s[1] <= 'z');
    if (*s < 'a' || *s > 'c' || inside) text_bytes(&t, s, 1);
    else {
      const char *value = operand_text(e, operand[*s - 'a']);
      text_add(&t, value[0] == '-' ? "(%s)" : "%s", value);
    }
  }
  return t.s;
}

const char *type_text(const Arg *a) { return dtype_row[a->dtype].type; }
const char *group_type_text(const Arg *a) { return dtype_row[a->dtype].name; }

const char *float_of(Emit *e, const Arg *a, const char *element) {
  return a->dtype == DTYPE_F32 ? element
                               : emit_printf(e, "%s(%s)", dtype_row[a->dtype].load, element);
}

static const char *load_text(Emit *e, const Instr *n) {
  const Arg *a = &e->k->arg[n->a];
  const char *value = float_of(e, a, emit_printf(e, "a%u[%s]", n->a, address_text(e, a)));
  const char *inside = inside_text(e, a);
  return inside ? emit_printf(e, "%s ? %s : 0.0f", inside, value) : value;
}

/* The words of step and stream lie at the arguments' offsets; the position is an address. */
static const char *random_text(Emit *e, const Instr *n) {
  const Arg *arg = e->k->arg;
  return emit_printf(e, "random_uniform(a%u + %lld, a%u + %lld, (u64)(%s))", n->a,
                     (long long)arg[n->a].offset, n->b, (long long)arg[n->b].offset,
                     address_text(e, &arg[n->c]));
}

/* True if the program loads from an argument after instruction n. */
static bool loaded_after(const Emit *e, const Instr *n, uint32_t arg) {
  for (n++; n < e->k->instr + e->k->ninstr; n++)
    if (n->op == I_LOAD && n->a == arg) return true;
  return false;
}

static void store_print(Emit *e, const Instr *n, uint32_t parts) {
  const Arg *a = &e->k->arg[n->b];
  const char *value = operand_text(e, n->a);
  const char *inside = inside_text(e, a);
  if (a->dtype != DTYPE_F32) value = emit_printf(e, "%s(%s)", dtype_row[a->dtype].store, value);
  if (!(parts & IN_R)) inside = both_text(e, e->once, inside);
  const char *condition = inside ? emit_printf(e, "if (%s) ", inside) : "";
  bool rewrites = e->sync && !(parts & IN_R) && a->use & ARG_READ;
  if (rewrites) emit_line(e, "%s", e->sync); /* every lane has read it */
  emit_line(e, "%sa%u[%s] = %s;", condition, n->b, address_text(e, a), value);
  if (rewrites && loaded_after(e, n, n->b)) emit_line(e, "%s", e->sync);
}

/* A rounded value whose bits are kept, for tensor cores to add. */
static const char *kept_text(Emit *e, uint32_t i) {
  const Instr *n = &e->k->instr[i];
  return emit_printf(e, "round_%s_kept(%s, &bits_%u[i][h])", n->fn == SCALAR_tf32 ? "tf32" : "bf16",
                     operand_text(e, n->a), i);
}

void stage_print(Emit *e, uint32_t stage, uint32_t parts) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    const Instr *n = &e->k->instr[i];
    if (n->stage != stage || e->parts[i] != parts || (e->only && !e->only[i])) continue;
    if (e->grouped[i]) {
      if (n->op == I_STORE) emit_line(e, "s%u[i] = %s;", i, operand_text(e, n->a));
      continue; /* the access itself is printed for the group */
    }
    const char *text = e->kept[i]          ? kept_text(e, i)
                       : n->op == I_LOAD   ? load_text(e, n)
                       : n->op == I_SCALAR ? scalar_text(e, n)
                       : n->op == I_RANDOM ? random_text(e, n)
                                           : NULL;
    const char *declare = e->at[parts] ? "" : "const float ";
    if (text) emit_line(e, "%s%s = %s;", declare, operand_text(e, i), text);
    else if (n->op == I_STORE) store_print(e, n, parts);
  }
}

bool stage_reduces(const Emit *e, uint32_t i, uint32_t stage) {
  return e->k->instr[i].op == I_REDUCE && e->k->instr[i].stage == stage;
}

const char *identity_text(const Instr *reduce) {
  return reduce->fn == SCALAR_max ? "-infinity()" : "0.0f";
}

const char *combine_text(Emit *e, uint32_t i, const char *a, const char *b) {
  return emit_printf(e, e->k->instr[i].fn == SCALAR_max ? "larger(%s, %s)" : "%s + %s", a, b);
}

void reduce_print(Emit *e, uint32_t i, const char *value) {
  emit_line(e, "%s = %s;", operand_text(e, i), combine_text(e, i, operand_text(e, i), value));
}

void terms_print(Emit *e, uint32_t stage) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage) && !e->matrix[i])
      reduce_print(e, i, operand_text(e, e->k->instr[i].a));
}

void sums_begin(Emit *e, uint32_t stage) {
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (stage_reduces(e, i, stage))
      emit_line(e, "float v%u = %s;", i, identity_text(&e->k->instr[i]));
}

bool stage_has(const Emit *e, uint32_t stage, uint32_t parts) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    const Instr *n = &e->k->instr[i];
    bool silent = n->op == I_CONST || n->op == I_ACC || n->op == I_REDUCE;
    if (n->stage == stage && e->parts[i] == parts && !silent && (!e->only || e->only[i])) return true;
  }
  return false;
}

/* ---- functions ------------------------------------------------------------------------------ */

/* `#line`, so that compilers speak of the network's source. */
static void source_print(Emit *e) {
  if (!e->o->sources || !e->k->span.file) return;
  uint32_t line = source_position(e->o->sources, e->k->span).line;
  text_add(e->out, "#line %u \"", line);
  for (const char *s = source_name(e->o->sources, e->k->span); *s; s++) {
    if (*s == '"' || *s == '\\') text_bytes(e->out, "\\", 1);
    text_bytes(e->out, (unsigned char)*s < ' ' ? "?" : s, 1);
  }
  text_add(e->out, "\"\n");
}

/* A parameter, on a new line where this one is full. */
static void parameter_print(Emit *e, const char *text, size_t *column, bool last) {
  size_t n = strlen(text) + 1;
  if (*column + n > LINE - 4) text_add(e->out, "\n   "), *column = 3;
  text_add(e->out, " %s%s", text, last ? ") {\n" : ",");
  *column += n + 1;
}

void function_open(Emit *e, bool workspace) {
  const Kernel *k = e->k;
  size_t column = 3;
  source_print(e);
  text_add(e->out, "entry %s(\n   ", k->name);
  uint32_t numbers = has_numbers(e) ? e->numbers->n : 0, last = k->narg + numbers - 1;
  for (uint32_t i = 0; i < k->narg; i++) {
    const Arg *a = &k->arg[i];
    const char *text = emit_printf(e, "%s%s *__restrict__ a%u", a->use & ARG_WRITE ? "" : "const ",
                                   dtype_row[a->dtype].type, i);
    parameter_print(e, text, &column, i == last && !workspace);
  }
  for (uint32_t i = 0; i < numbers; i++)
    parameter_print(e, emit_printf(e, "int %s", e->numbers->of[i].name), &column,
                    k->narg + i == last && !workspace);
  if (workspace) parameter_print(e, "u32 *__restrict__ workspace", &column, true);
  e->indent = 1;
}
