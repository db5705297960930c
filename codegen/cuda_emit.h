/* cuda_emit.h: what the files of the CUDA emitter share: one kernel on its way to text.
 *
 * Names in the text are those of the printed kernel: argument $3 is a3, value %7 is v7. The flat
 * index of a part is p, r, m, n or k; the axes of the part are its digits, slowest first. A part
 * whose tiles overhang its extent has a condition in `live`, under which its index is valid. */
#ifndef LCW_CUDA_EMIT_H
#define LCW_CUDA_EMIT_H
#include "cuda.h"

#define PART_COUNT (PART_K + 1u)
enum { IN_P = 1 << PART_P, IN_R = 1 << PART_R, IN_M = 1 << PART_M, IN_N = 1 << PART_N };
enum { IN_K = 1 << PART_K };

typedef enum {
#define SCALAR(name, n, text, deriv, flops) SCALAR_##name,
#include "scalars.def"
  SCALAR_COUNT
} ScalarRow;

/* The numbers that a text takes as arguments; full: they stand in the text instead. */
typedef struct { const char *name; int32_t value; } Number;
typedef struct { Number of[MAX_NUMBER]; uint32_t n; bool full; } Numbers;

typedef struct {
  const Kernel *k;
  const CudaOptions *o;
  Text *out, *why;
  uint32_t indent;
  uint32_t parts[MAX_INSTR];    /* bit per AxisPart over which the instruction varies */
  const char *live[PART_COUNT]; /* condition, or NULL: the index is always valid */
  const char *at[1 << PART_COUNT]; /* by parts: values over exactly these are arrays, with this
                                * index; NULL: they are not */
  const char *accumulator;      /* text of ACC, and of the array of a group of columns' */
  const char *accumulators;
  const char *once, *sync;      /* ROW: condition under which one lane stores what is per row;
                                 * around storing what every lane reads */
  const char *index[PART_COUNT]; /* name of a flat index; NULL: its letter */
  bool grouped[MAX_INSTR];      /* accesses of four neighbours: of arrays, indexed by i */
  bool level[MAX_INSTR];        /* loads that all four share */
  const Numbers *numbers;       /* NULL: none */
  const bool *only;             /* print these instructions only; NULL: all */
  bool matrix[MAX_INSTR];       /* CONTRACT: sums over M that tensor cores add, */
  bool kept[MAX_INSTR];         /* and the rounded values that they are of */
} Emit;

/* ---- cuda_text.c: lines, addresses, the scalar program ------------------------------------ */

void emit_line(Emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void emit_open(Emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void emit_block(Emit *e);                                    /* a line `{` */
void emit_close(Emit *e);                                    /* a line `}` */
const char *emit_printf(Emit *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

int32_t part_extent(const Emit *e, AxisPart part);
/* Sum of stride * digit over the axes of `part`, whose flat index is the text `index`; NULL if
 * every stride is 0. Neighbouring axes that are walked as one cost one product. */
const char *walk_text(Emit *e, const int64_t *stride, AxisPart part, const char *index, bool wide);
/* True if `stride` walks the axes of `part` as one axis; *step: its stride. */
bool walk_linear(const Kernel *k, const int64_t *stride, AxisPart part, int64_t *step);
/* "a + b", "a" or "b"; "0" if both are NULL. */
const char *sum_text(Emit *e, const char *a, const char *b);
/* True if offsets of this argument may exceed 32 bits. */
bool arg_wide(const Kernel *k, const Arg *a);
const char *address_text(Emit *e, const Arg *a);             /* over the parts' usual index names */
/* The condition under which an access is inside, its parts' own conditions first; NULL: always. */
const char *inside_text(Emit *e, const Arg *a);
void guard_strides(const Guard *g, int64_t *stride);          /* coefficients, as strides */

void function_open(Emit *e, bool workspace); /* with the workspace as its last parameter */
uint32_t scalar_operands(uint32_t fn);
const char *type_text(const Arg *a);                         /* of its elements */
const char *group_type_text(const Arg *a);                   /* in names of accesses of groups */
const char *float_of(Emit *e, const Arg *a, const char *element);
const char *operand_text(Emit *e, uint32_t i);
/* Prints the instructions of `stage` that vary over exactly `parts`; REDUCEs are the caller's. */
void stage_print(Emit *e, uint32_t stage, uint32_t parts);
bool stage_reduces(const Emit *e, uint32_t i, uint32_t stage); /* instruction i is a REDUCE of it */
void sums_begin(Emit *e, uint32_t stage);                    /* its accumulators */
void terms_print(Emit *e, uint32_t stage);                   /* a term to each of them */
const char *identity_text(const Instr *reduce);
const char *combine_text(Emit *e, uint32_t i, const char *a, const char *b); /* by REDUCE i */
void reduce_print(Emit *e, uint32_t i, const char *value);   /* a value to accumulator i */
bool stage_has(const Emit *e, uint32_t stage, uint32_t parts);

/* ---- cuda_numbers.c: what one text leaves to its launches ---------------------------------------- */

void number_add(Numbers *n, const char *name, int64_t value);
void numbers_find(const Kernel *k, Numbers *n);               /* of arranged axes */
void numbers_launch(const Numbers *n, CudaLaunch *launch);
bool has_numbers(const Emit *e);
/* The name of a number, or, in a text without them, its value. */
const char *named_text(Emit *e, const char *name, int64_t value);
const char *stride_name(const Emit *e, AxisPart part, int64_t value); /* NULL: it has none */

/* ---- cuda_group.c: four neighbours at a time --------------------------------------------------- */

enum { GROUP = 4 };

uint32_t part_last(const Kernel *k, AxisPart part);          /* the fastest of a part */
uint64_t axis_neighbours(const Kernel *k, uint32_t axis);    /* elements that it makes neighbours */
void axes_arrange(Kernel *k);  /* the axis along which most arguments have neighbours comes last */
bool program_short(const Kernel *k);                         /* worth to be repeated in the text */
/* Which accesses along the last axis of a part are of four; false: none. */
bool groups_find(const Kernel *k, AxisPart part, bool *grouped, bool *level);
/* What a stage does for the element at the index of `part`, or for the four from it on. */
void elements_print(Emit *e, uint32_t stage, AxisPart part, bool groups);

/* ---- cuda_row.c, cuda_contract.c ------------------------------------------------------------ */

void map_launch(const Kernel *k, CudaLaunch *launch);
void map_print(Emit *e);
void row_launch(const Kernel *k, CudaLaunch *launch);
void row_print(Emit *e);
void contract_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch);
bool contract_print(Emit *e);

enum { BLOCK = 256 };              /* threads of every block */

#endif
