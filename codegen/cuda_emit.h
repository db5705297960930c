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

typedef struct {
  const Kernel *k;
  const CudaOptions *o;
  Text *out, *why;
  uint32_t indent;
  uint32_t parts[MAX_INSTR];    /* bit per AxisPart over which the instruction varies */
  const char *live[PART_COUNT]; /* condition, or NULL: the index is always valid */
  const char *at[1 << PART_COUNT]; /* by parts: values over exactly these are arrays, with this
                                * index; NULL: they are not */
  const char *accumulator;      /* text of ACC */
  const char *once, *sync;      /* ROW: condition under which one lane stores what is per row;
                                 * around storing what every lane reads */
  const bool *only;             /* print these instructions only; NULL: all */
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
void guard_strides(const Guard *g, int64_t *stride);          /* coefficients, as strides */

void function_open(Emit *e, bool workspace); /* with the workspace as its last parameter */
uint32_t scalar_operands(uint32_t fn);
const char *type_text(const Arg *a);                         /* of its elements */
const char *float_of(Emit *e, const Arg *a, const char *element);
const char *operand_text(Emit *e, uint32_t i);
/* Prints the instructions of `stage` that vary over exactly `parts`; REDUCEs are the caller's. */
void stage_print(Emit *e, uint32_t stage, uint32_t parts);
bool stage_reduces(const Emit *e, uint32_t i, uint32_t stage); /* instruction i is a REDUCE of it */
void sums_begin(Emit *e, uint32_t stage);                    /* its accumulators */
void terms_print(Emit *e, uint32_t stage);                   /* a term to each of them */
const char *combine_text(Emit *e, uint32_t i, const char *a, const char *b); /* by REDUCE i */
void reduce_print(Emit *e, uint32_t i, const char *value);   /* a value to accumulator i */
bool stage_has(const Emit *e, uint32_t stage, uint32_t parts);

/* ---- cuda_row.c, cuda_contract.c ------------------------------------------------------------ */

void map_launch(const Kernel *k, CudaLaunch *launch);
void map_print(Emit *e);
void row_launch(const Kernel *k, CudaLaunch *launch);
void row_print(Emit *e);
void contract_launch(const Kernel *k, const CudaOptions *o, CudaLaunch *launch);
bool contract_print(Emit *e);

/* ---- the tile of a CONTRACT: cuda_tile.c, cuda_slab.c --------------------------------------- */

enum { TILE = 128, BLOCK = 256 };  /* a block computes TILE x TILE elements, a thread 8 x 8 */

/* How a precision cuts the tile; thread's rows are row + of(i), its columns column + of(j). */
typedef struct {
  int slab;                        /* values of K per step of the pipeline */
  bool swizzled;                   /* K-major operands stay so, in swizzled rows of 128 bytes */
  int pitch;                       /* words between two values of K of the other operands */
  const char *names;               /* a line of what the next two stand on, or NULL */
  const char *row, *column;        /* of the thread, in the tile */
  const char *row_of, *column_of;  /* of i and j, added to them */
  const char *declare, *element;   /* the accumulators, and one of them */
  int lanes_from, lanes_to;        /* lanes of a warp with the same column differ in these bits */
  const char *warp_row;            /* which of the `warps` that share a column */
  const char *leads;               /* true in the lane that writes for its warp */
  int warps;
} Tile;
extern const Tile cuda_tile_row[];  /* by Precision */

typedef struct {
  const char *name, *index, *start; /* "lhs", "m", "m0" */
  const Arg *arg;
  uint32_t number;
  AxisPart part;                    /* PART_M or PART_N */
  bool rows;                        /* consecutive along K in memory */
  bool straight, steady;            /* address linear, no guard: over its part; over K */
  uint32_t vector;                  /* elements per copy: 4 or 1 */
  int lanes, step, copies;          /* threads side by side; rows to a thread's next copy; copies
                                     * of a thread per slab */
  int bytes;                        /* of a slab in shared memory */
} Operand;

Operand operand_of(const Kernel *k, const Tile *t, uint32_t arg, AxisPart part);
void operand_setup_print(Emit *e, const Tile *t, const Operand *o, int base);
void operand_copy_print(Emit *e, const Tile *t, const Operand *o);
void odometer_setup_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);
void odometer_advance_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);
/* Where fragments are read from, before the loop; and the products of one slab. */
void multiply_setup_print(Emit *e, const Tile *t, const Operand *o, int base);
void multiply_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);

#endif
