/* cuda_contract.h: what the files that print a CONTRACT share: how a block cuts its tile, where an
 * operand lies in shared memory, and the sums around the product.
 *
 * A block is 256 threads and computes a tile of `rows` x `columns`. A thread holds `own` rows of
 * it and `groups` groups of `group` adjacent columns: sum (i, j, h) of the text is its row i and
 * column h of its group j. Where they lie is said by the texts of the functions below. */
#ifndef LCW_CUDA_CONTRACT_H
#define LCW_CUDA_CONTRACT_H
#include "cuda_emit.h"

/* ---- the tile of a block: cuda_tile.c ------------------------------------------------------- */

typedef struct {
  int rows, columns;
  bool matrix;                     /* by mma.sync, else FFMA */
  int slab;                        /* values of K per step of the pipeline */
  int size;                        /* bytes of an element in shared memory */
  int down, across;                /* warps (matrix) or threads along M and N */
  int own, groups, group;
} Tile;

/* The n-th tile of the kernel's precision, or for 0 the cheapest by count of waves. */
Tile tile_choose(const Kernel *k, uint32_t n);
uint64_t tiles_of(const Kernel *k, const Tile *t, AxisPart part);
/* The thread's first row and column in the tile; its row i and group j, relative to them. */
const char *tile_row(Emit *e, const Tile *t);
const char *tile_column(Emit *e, const Tile *t);
const char *tile_row_of(const Tile *t);
int tile_row_at(const Tile *t, int i);                 /* its row i as a number */
const char *tile_group_of(const Tile *t);
const char *tile_accumulators(Emit *e, const Tile *t); /* their name and dimensions */
const char *tile_accumulator(const Tile *t);           /* the sum (i, j, h) */
const char *tile_accumulators_of(const Tile *t);       /* the array of the sums (i, j, any h) */

/* ---- an operand: cuda_slab.c ----------------------------------------------------------------- */

typedef struct {
  const char *name, *index, *start; /* "lhs", "m", "m0" */
  const Arg *arg;
  uint32_t number;
  AxisPart part;                    /* PART_M or PART_N */
  int extent;                       /* of the tile along that part */
  bool rows;                        /* consecutive along K in memory */
  bool straight, steady;            /* address linear over its part; over K, guards the same there */
  bool background;                  /* by asynchronous copies; else converted by the thread */
  int vector;                       /* elements per copy */
  int pitch;                        /* bytes between two values of K, if not in rows */
  int step, copies;                 /* rows to a thread's next copy; copies of a thread per slab */
  int bytes;                        /* of a slab in shared memory */
} Operand;

Operand operand_of(const Kernel *k, const Tile *t, uint32_t arg, AxisPart part);
void operand_setup_print(Emit *e, const Tile *t, const Operand *o, int base);
void operand_copy_print(Emit *e, const Tile *t, const Operand *o);
void odometer_setup_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);
void odometer_advance_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);
/* Where fragments are read from, before the loop; and the products of one slab (cuda_tile.c). */
void multiply_setup_print(Emit *e, const Tile *t, const Operand *o, int base);
void multiply_print(Emit *e, const Tile *t, const Operand *lhs, const Operand *rhs);

/* ---- sums: cuda_contract_sums.c ---------------------------------------------------------------- */

/* The sums of one direction: over M, giving values per n, or over N, giving values per m. */
typedef struct {
  AxisPart kept, gone;
  uint32_t stage;                  /* STAGE_COLUMN or STAGE_ROW: what uses them */
  const char *index, *start, *tile, *other; /* "n", "n0", "tile_n", "tile_m" */
  int extent;                      /* of the tile along `kept` */
  int parts, pitch;                /* of each sum within the block, and floats from one to the next */
  uint32_t count;                  /* how many sums */
  uint32_t first;                  /* floats of shared memory before theirs */
  uint64_t tiles, others;          /* of the grid, along `kept` and along `gone` */
  uint64_t strip;                  /* tiles along `kept` that share a ticket */
  uint64_t ticket, partial;        /* first ticket; floats of the workspace before its own */
} Sums;

typedef struct {
  Sums over[2];                    /* by COLUMN and ROW */
  uint32_t before, lanes;          /* sums of the prologue; threads that share a column there */
  uint32_t share;                  /* floats of shared memory for all of them */
  uint64_t workspace;              /* its bytes; 0: none */
} SumPlan;
enum { OVER_M, OVER_N };

SumPlan sums_plan(const Kernel *k, const Tile *t);
bool sum_over(const Kernel *k, const Sums *s, uint32_t i); /* instruction i is one of them */
/* Accumulators of the sums of a stage over `gone`: arrays of `count`, or scalars if it is 0. */
void sums_declare(Emit *e, uint32_t stage, AxisPart gone, int count);
void shares_print(Emit *e, const Tile *t, const SumPlan *p); /* where they meet in shared memory */
void prologue_print(Emit *e, const Tile *t, const SumPlan *p);
uint32_t sum_first(const Kernel *k, const Sums *s, uint32_t i); /* floats of shared memory before it */
/* A thread's sums to shared memory, and before that, where it puts them. */
void sums_place_print(Emit *e, const Tile *t, const Sums *s);
void sums_share_print(Emit *e, const Tile *t, const Sums *s);
/* From those to those of all tiles, and the stages that use them. */
bool sums_finish_print(Emit *e, const Tile *t, const SumPlan *p);

/* ---- sums by tensor cores: cuda_contract_matrix.c ---------------------------------------------- */

void matrix_sums_find(Emit *e, const Tile *t, const Sums *s); /* which: e->matrix, e->kept */
void matrix_unit_print(Emit *e);                         /* what adds */
void matrix_terms_declare(Emit *e, const Tile *t);       /* what is added, for a group of columns */
void matrix_terms_print(Emit *e);                        /* from row i of it */
void matrix_sums_print(Emit *e, const Tile *t);          /* the sums of a group */
void matrix_sums_end(Emit *e);

/* ---- begin and mask: cuda_contract_begin.c --------------------------------------------------- */

enum { MAX_TERM = 4 };

typedef struct {
  Kernel rest;                     /* the program without what follows, */
  uint32_t parts[MAX_INSTR];       /* and over which parts it varies */
  uint16_t term[MAX_TERM];         /* the sums begin with the sum of these */
  uint32_t nterm;
  uint32_t mask;                   /* the LOAD that multiplies them at last, or MAX_INSTR */
  bool made[MAX_INSTR];            /* what the terms are made of; */
  bool masks[MAX_INSTR];           /* the mask */
} Begin;

Begin *begin_take(Emit *e);
void begin_print(Emit *e, const Tile *t, const Begin *b); /* the accumulators */
void mask_print(Emit *e, const Tile *t, const Begin *b);

/* ---- elements: cuda_contract_epilogue.c -------------------------------------------------------- */

/* Arrays of `count` for the values of a stage that vary over exactly `parts`. */
void values_declare(Emit *e, uint32_t stage, uint32_t parts, int count);
/* Instructions of a stage over `parts`, for `count` adjacent columns of which the first is `group`,
 * and terms to the stage's sums if it has some over `parts`. */
void group_print(Emit *e, uint32_t stage, uint32_t parts, int count);
/* The thread's first row and column; under which conditions rows and columns are inside; what
 * varies over rows only; over columns only. */
void origin_print(Emit *e, const Tile *t);
void live_set(Emit *e, const Tile *t);
void rows_print(Emit *e, const Tile *t);
void columns_print(Emit *e, const Tile *t);
bool epilogue_print(Emit *e, const Tile *t, const SumPlan *p);

#endif
