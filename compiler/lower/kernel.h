/* kernel.h: the loop IR. A Kernel says *what* to compute; *how* (tiles, chunks, grid) is the
 * Launch that the target writes into it. One description serves both targets: the host emits
 * it as LLVM IR, CUDA as text, and neither sees a Graph.
 *
 * Iteration space. Up to MAX_AXIS axes, each with an extent and a part:
 *   MAP       every axis is PART_P (parallel).
 *   ROW       PART_P axes and PART_R axes (the row that is reduced, walked once per stage).
 *   CONTRACT  PART_M, PART_N and PART_K axes: acc(m, n) = sum over k of lhs(m, k) * rhs(k, n).
 *             One kind covers linear and convolution, forward, dgrad and wgrad.
 *
 * Access. An argument is addressed as offset + sum over axes of stride[axis] * index[axis], in
 * elements. A Guard is a coordinate base + sum coef * index that must lie in [0, extent), else
 * the loaded value is 0 (padding). dgrad of a convolution of stride s is s*s CONTRACTs, one per
 * residue class of the image coordinates, each affine. A constant argument may say that it holds
 * one value from some index on (its tail: the mask of a dead lane is 1 from 1 on).
 *
 * Program. SSA instructions by index, each in a stage. Stage s runs over the axes of space[s]:
 *   MAP       one stage over every axis.
 *   ROW       each stage over P and R axes. A REDUCE over the R axes in stage s gives a value
 *             per row, used by later stages. Element values of an earlier stage are not kept:
 *             the lowering repeats what it needs (but see kernel_keep).
 *   CONTRACT  STAGE_PROLOGUE over K and N: its REDUCEs over K give values per n (the r of a
 *             linear set: sum over k of t_k * rhs(k, n)); STAGE_EPILOGUE over M and N: reads
 *             ACC; its REDUCEs over M give values per n, over N values per m; STAGE_COLUMN over
 *             N uses the former, STAGE_ROW (optional) over M the latter (the t and u of a linear
 *             set: sum over n of c_n * value(m, n)).
 * An instruction of stage s may use values of stage s, and of earlier stages only those
 * that do not vary over the axes reduced there. A value that varies over no axis of the
 * reduced part is computed once per row: see kernel_varies(). Order of a REDUCE is fixed by the
 * extents and the instruction set, never by the number of threads.
 *
 * Aliasing. Two arguments of a call never overlap, unless both are only read. Reading and
 * writing one buffer in place is one argument with ARG_READ | ARG_WRITE. */
#ifndef LCW_KERNEL_H
#define LCW_KERNEL_H
#include "diag.h"
#include "plan.h"
#include "util.h"

enum { MAX_AXIS = 7, MAX_ARG = 32, MAX_INSTR = 160, MAX_STAGE = 4, MAX_GUARD = 2, MAX_NUMBER = 12 };
enum { STAGE_PROLOGUE, STAGE_EPILOGUE, STAGE_COLUMN, STAGE_ROW }; /* of a CONTRACT */

typedef enum { KERNEL_MAP, KERNEL_ROW, KERNEL_CONTRACT, KERNEL_KINDS } KernelKind;
typedef enum { PRECISION_FP32, PRECISION_TF32, PRECISION_BF16, PRECISIONS } Precision;
typedef enum { PART_P, PART_R, PART_M, PART_N, PART_K } AxisPart;
enum { ARG_READ = 1, ARG_WRITE = 2 };

typedef struct { int32_t coef[MAX_AXIS], base, extent; } Guard;
typedef struct { bool known; float value; int32_t from; } Tail; /* of its only axis that moves */

typedef struct {
  uint8_t dtype, use;              /* DType; ARG_READ, ARG_WRITE */
  uint8_t nguard;
  int64_t offset;                  /* in elements */
  int64_t stride[MAX_AXIS];        /* 0: does not vary over that axis */
  Guard guard[MAX_GUARD];
  Tail tail;
} Arg;

typedef enum {
  I_CONST,                         /* k */
  I_LOAD,                          /* argument a at its access, as f32 */
  I_ACC,                           /* CONTRACT: the finished sum, in STAGE_EPILOGUE */
  I_RANDOM,                        /* uniform [0,1) at position `access of argument c` (an address,
                                    * never loaded): a: argument u32[2] {step, seed}, b: argument
                                    * u32[2] {stream low, high}. Philox as in interpret.c */
  I_SCALAR,                        /* fn(a, b, c), a row of scalars.def */
  I_REDUCE,                        /* fn (add or max) of a over `axes` */
  I_STORE                          /* value a to argument b */
} InstrOp;

typedef struct {
  uint8_t op, fn, stage;           /* InstrOp, Scalar, stage */
  uint16_t axes;                   /* REDUCE: bit per axis */
  uint16_t a, b, c;
  float k;
} Instr;

/* How: written by target->tile, read by its emitter and by the plan. */
typedef struct {
  uint32_t chunks;                 /* host: independent pieces [0, chunks) */
  uint32_t chunk[3];               /* host: extent of a piece (meaning is the target's) */
  uint32_t grid[3], block[3], shared; /* CUDA */
  uint64_t scratch;                /* host: private bytes per thread */
  uint64_t workspace;              /* bytes that all pieces share: tickets and partial sums */
  uint32_t nnumber;                /* CUDA: extents and strides that its text takes as arguments, */
  int32_t number[MAX_NUMBER];      /* so that one text serves several kernels: */
  const struct Kernel *text;       /* the one that has it; NULL: this one */
} Launch;

typedef struct Kernel {
  uint8_t kind, naxis, narg, nstage;
  uint16_t ninstr;
  uint8_t lhs, rhs;                /* CONTRACT: arguments of the two operands */
  uint8_t precision;               /* CONTRACT: Precision of its products; operands are rounded to it */
  uint8_t part[MAX_AXIS];
  int32_t extent[MAX_AXIS];        /* slowest axis of a part first */
  uint16_t space[MAX_STAGE];       /* bit per axis */
  Arg arg[MAX_ARG];
  Instr instr[MAX_INSTR];
  Launch launch;
  uint64_t flops, bytes;           /* per launch; bytes: every argument once */
  uint32_t index;                  /* in its Program */
  char name[64];                   /* symbol: k17_hidden_7_linear_fwd, [a-z0-9_] */
  Span span;
} Kernel;

/* ---- kernel.c ------------------------------------------------------------------------ */

/* How many of a, b and c are values that the instruction reads. */
uint32_t instr_operands(const Instr *n);
/* The only instruction that reads value i; ninstr: none, or several places do. */
uint32_t kernel_reader(const Kernel *k, uint32_t i);
/* Fills varies[i] with the axes over which instruction i varies (bit per axis). */
void kernel_varies(const Kernel *k, uint16_t *varies);
uint16_t kernel_axes(const Kernel *k, AxisPart part);      /* bit per axis of that part */
uint64_t kernel_extent(const Kernel *k, uint16_t axes);    /* product of extents */
/* Merges neighbouring axes of one part that every access walks as one, drops axes of extent 1. */
void kernel_collapse(Kernel *k);
void kernel_count(Kernel *k);                              /* sets flops and bytes */
void kernel_keep(Kernel *k);                               /* keep.c: random numbers made once */
const Kernel *kernel_text(const Kernel *k);               /* the one that has its text on CUDA */
bool arg_equal(const Arg *a, const Arg *b, uint32_t naxis); /* the same access to the same type */
bool kernel_equal(const Kernel *a, const Kernel *b);       /* same code: all but name and span */
uint64_t kernel_hash(const Kernel *k);
bool kernel_verify(const Kernel *k, Text *why);
void kernel_print(const Kernel *k, Text *out);

/* ---- a program: kernels, buffers and the calls of every phase ------------------------- */

typedef struct {
  Name name, layer;
  uint8_t role, dtype, feed, out;  /* BufRole, DType, Feed, Out */
  uint8_t rank, computed;          /* computed: see PlanBuf */
  int32_t dim[PLAN_MAX_RANK];
  uint64_t elements;
  const void *data;                /* BUF_CONST: its bytes */
  uint32_t same;                   /* a view: shares the memory of this buffer; 0 none */
  uint32_t value;                  /* node of the fused Graph that it was made for */
  Span span;
} Buffer;

typedef struct {
  uint8_t phase;                   /* Phase */
  uint32_t kernel;                 /* index in Program.kernel */
  uint32_t buf[MAX_ARG];           /* per argument */
  Name name, layer;
  Span span;
} Call;

typedef struct { uint8_t phase; uint32_t buf; } Zeroed; /* set to zero at the end of a phase */

typedef struct Program {
  Arena *arena;
  Names *names;
  Kernel **kernel; uint32_t nkernel, capkernel; /* distinct code */
  Buffer *buffer; uint32_t nbuffer, capbuffer;  /* buffer[0] is unused */
  Call *call; uint32_t ncall, capcall;          /* by phase, in an order that respects all uses */
  Zeroed *zeroed; uint32_t nzeroed, capzeroed;  /* by phase, after its calls */
  uint32_t *bucket, nbucket;                    /* kernels by hash */
} Program;

uint32_t program_kernel(Program *p, const Kernel *k); /* index of an equal kernel, or a new one */
void program_borrow(Program *p);      /* borrow.c: fewer kernels, where one does for two */
void program_print(const Program *p, const Sources *sources, Text *out);
bool program_verify(const Program *p, Text *why);

#endif
