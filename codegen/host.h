/* host.h: what the files of the host target share. In: a Kernel with its Launch. Out: LLVM IR of
 * one function of type HostKernel (plan.h). From the ground up:
 *
 *   host_build     the instruction sets; types, constants, counted loops over the LLVM C API
 *   host_math      one function per row of scalars.def, and Philox
 *   host_access    loads and stores of an argument at a point of the iteration space
 *   host_stage     the program of a kernel, stage by stage: hoisting, walking, reducing
 *   host_row       MAP and ROW;   host_pack, host_tile, host_sums, host_contract   CONTRACT
 *   host, object   tile, emit, compile, load
 *
 * Nothing here uses fast-math flags: every fma is written as one. The order of every sum follows
 * from the extents and the instruction set alone. */
#ifndef LCW_HOST_H
#define LCW_HOST_H
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "target.h"

typedef LLVMValueRef Value;
typedef LLVMTypeRef Type;

/* One instruction set. `rows` x (2 * width) is the register tile of a contraction. */
typedef struct {
  const char *name, *cpu;
  uint32_t width;                  /* floats in a vector */
  bool fma;
  uint32_t rows;
} Isa;

enum { SUM_ROWS = 16 };                   /* rows that are summed before they join the sum */
enum { MAX_WIDTH = 16, MAX_CELL = 8, MAX_WAY = 4, TILE_VECTORS = 2 };

const Isa *isa_find(const char *name);   /* NULL: no such instruction set */

/* ---- host_build.c ---------------------------------------------------------------------- */

typedef struct {
  LLVMContextRef context;
  LLVMModuleRef module;
  LLVMBuilderRef at;
  const Isa *isa;
  Type f32, f64, i1, i8, i16, i32, i64, pointer, vector; /* vector: isa->width floats */
  Value function;
} Build;

void build_open(Build *b, const Isa *isa, LLVMTargetMachineRef machine);
void build_close(Build *b);              /* frees builder, module and context */
Value build_function(Build *b, const char *name, uint32_t nparam, const Type *param);
Value build_slot(Build *b, Type t);      /* a variable; becomes a register */
void build_set(Build *b, Value slot, Value v);
Value build_get(Build *b, Value slot, Type t);

Type type_like(Build *b, Type element, Value like); /* element, or a vector of it as wide as like */
bool value_wide(Value v);
Value int_of(Build *b, int64_t n);
Value real_like(Build *b, double x, Value like);    /* of the type of `like` */
Value word_like(Build *b, uint32_t x, Value like);  /* i32, as wide as `like` */
Value value_splat(Build *b, Value v, uint32_t width);
Value value_add(Build *b, Value x, Value y);        /* i64 */
Value value_mul(Build *b, Value x, int64_t n);
Value value_less(Build *b, Value x, Value y);
Value value_min(Build *b, Value x, Value y);
Value value_choose(Build *b, Value condition, Value yes, Value no);
Value value_fma(Build *b, Value x, Value y, Value z); /* x y + z; two roundings without fma */
Value lane_mask(Build *b, uint32_t lanes);          /* constant <width x i1> */
Value call_intrinsic(Build *b, const char *name, Type overload, Value *arg, uint32_t n);
Value at_element(Build *b, Type t, Value base, Value index);
Value at_offset(Build *b, Type t, Value base, int64_t index);
Value load_as(Build *b, Type t, Value address, uint32_t align);
void store_to(Build *b, Value v, Value address, uint32_t align);

/* A counted loop; it runs (to - from) / step times, or never if from >= to. */
typedef struct { LLVMBasicBlockRef body, exit; Value index, next, to; } Loop;
Loop loop_begin(Build *b, Value from, Value to, int64_t step);
void loop_end(Build *b, Loop *l);

/* Code that runs if `condition` holds. */
typedef struct { LLVMBasicBlockRef exit; } Branch;
Branch branch_begin(Build *b, Value condition);
void branch_end(Build *b, Branch *br);

/* ---- host_math.c ----------------------------------------------------------------------- */

enum {
#define SCALAR(name, ...) FN_##name,
#include "scalars.def"
  FN_COUNT
};
typedef Value MathRule(Build *b, Value x, Value y, Value z);
typedef struct { MathRule *rule; uint32_t operands; } Math;
extern const Math math_table[FN_COUNT];

/* Word 0 of Philox at each of n <= MAX_CELL 64-bit positions, as a float in [0, 1). */
void math_random(Build *b, uint32_t n, const Value *position, Value step, const Value key[2],
                 Value *out);

/* ---- host_access.c --------------------------------------------------------------------- */

/* Where in the iteration space: the index of every axis; `axis` is walked by the lanes of a
 * vector (index: that of lane 0), of which the first `lanes` count. axis NO_AXIS: a scalar. */
enum { NO_AXIS = 255 };
typedef struct { Value index[MAX_AXIS]; uint32_t axis, lanes; } Point;

/* A vector's worth of the iteration space and what the program computed there. */
typedef struct { Point at; Value value[MAX_INSTR]; } Cell;

/* What the program adds to a sum of products: the sum starts from it. */
enum { MAX_TERM = 4 };
typedef struct { uint32_t whole, n; uint16_t term[MAX_TERM]; } Start; /* whole: products and terms */

typedef struct Emit {
  Build b;
  const Kernel *k;
  uint16_t varies[MAX_INSTR];
  uint32_t beyond;                 /* the walk is beyond the heads of what moves along this axis */
  Value arg[MAX_ARG];              /* base addresses */
  Value scratch, workspace;
  Start start;                     /* CONTRACT */
  Value (*acc)(struct Emit *e, const Cell *c, uint32_t vector); /* CONTRACT: the finished sum */
  Value (*panel)(struct Emit *e, const Cell *c, uint32_t vector); /* the packed rhs, or NULL */
  Value (*lanes)(struct Emit *e, uint32_t i, Value v); /* CONTRACT: the lanes that instruction i, a
                                    * sum over columns, has so far; v: they become that */
  void *contract;
} Emit;

uint32_t dtype_size(uint32_t dtype);
Type dtype_type(Build *b, uint32_t dtype);
bool arg_moves(const Kernel *k, uint32_t arg, uint32_t axis); /* address or guard varies over it */
bool arg_guarded(const Arg *a, uint32_t axis);                /* a guard varies over it */
Value arg_address(Emit *e, uint32_t arg, const Point *p);
Value arg_load(Emit *e, uint32_t arg, const Point *p);        /* f32, or a vector of it */
void arg_store(Emit *e, uint32_t arg, const Point *p, Value v);
void arg_random(Emit *e, const Instr *instr, uint32_t n, const Point *const *p, Value *out);

/* ---- host_stage.c ---------------------------------------------------------------------- */

/* How one stage is walked: over `walk` (bit per axis), `n` cells at a time along the vector
 * axis; sums live in slots, `ways` of them for each cell to keep additions independent. */
typedef struct {
  Emit *e;
  uint32_t stage, n, ways;
  uint16_t walk;
  Cell *cell;
  bool quiet;                      /* leave out the stores that are not in the walk */
  bool inside[MAX_INSTR];          /* runs at every step of the walk */
  bool late[MAX_INSTR];            /* needs a sum of this stage */
  Value sum[MAX_INSTR][MAX_WAY][MAX_CELL];
} Stage;

void stage_open(Stage *s, Emit *e, uint32_t stage, uint16_t walk, Cell *cell, uint32_t n,
                uint32_t ways);
void stage_before(Stage *s);             /* what is the same at every step */
void stage_step(Stage *s, uint32_t way); /* one step, at the cells' points */
void stage_flush(Stage *s);              /* a block of rows is done: way 0 into way 1 */
void stage_close(Stage *s);              /* finishes the sums */
void stage_after(Stage *s);              /* what needs them */
bool stage_walks(const Stage *s);        /* is there anything to do at every step? */
Value stage_start(Stage *s, uint32_t c);  /* what the sum of products in cell c starts from */
Value stage_neutral(Build *b, const Instr *n, Value like);
Value lanes_fold(Build *b, const Instr *n, Value v); /* the sum of all lanes */
void index_split(Emit *e, uint16_t axes, Value flat, Value *index);

/* ---- host_row.c, host_contract.c, host_pack.c ------------------------------------------- */

void row_tile(Kernel *k);
void row_emit(Emit *e, Value begin, Value end);
void contract_tile(Kernel *k);
void contract_emit(Emit *e, Value begin, Value end);

uint32_t axis_last(const Kernel *k, AxisPart part);      /* the innermost axis of a part */
int32_t block_within(int32_t extent, int32_t limit);     /* a divisor of extent, or groups of it */

/* Writes columns [n, ...) of the rhs as rows of tile width: out[k * tile + j]. */
void pack_rhs(Emit *e, Cell *cell, uint32_t n, Value out, uint32_t tile);
/* Writes a block of the lhs, element (i, j) of it to out[i * sm + j * sk]. */
typedef struct {
  bool rows_inside;                /* m runs fastest in the copy; else k */
  int64_t sm, sk, run;             /* run: consecutive elements copied at a time */
} LhsLayout;
typedef struct { Value m, rows, k, depth; } LhsBlock; /* rows [m, m + rows), k likewise */
void pack_lhs(Emit *e, Value out, const LhsLayout *layout, const LhsBlock *block);

/* ---- host.c ---------------------------------------------------------------------------- */

void kernel_emit(Emit *e, const char *symbol);           /* one function in e->b.module */
void llvm_start(void);                    /* may be called again */
LLVMTargetMachineRef machine_new(const Isa *isa, Text *why);
/* object.c: the module of the Plan and the tables. */
bool model_module(Build *b, Kernel *const *kernel, uint32_t nkernel, const Plan *plan,
                  const char *const *isa);

#endif
