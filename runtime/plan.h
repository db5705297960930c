/* plan.h: the contract between compiler and runtime, and the only header on both sides.
 *
 * A Plan is one block of bytes without pointers, little-endian, 8-byte aligned:
 *
 *   Plan | PlanBuf[] | PlanKernel[] | PlanStep[] | args u32[] | schedule | settings | strings
 *
 * The same bytes are printed by `--dump=plan`, run in process by `lcwc train`, and linked into
 * a standalone trainer. Offsets are bytes from the start of the Plan; names are offsets into
 * the string table. plan_check() proves every index in range before anything runs. */
#ifndef LCW_PLAN_H
#define LCW_PLAN_H
#include <stdint.h>

#define PLAN_MAGIC 0x4e41504cu /* "LPAN" */
enum { PLAN_VERSION = 1, PLAN_MAX_RANK = 6, PLAN_MAX_ARGS = 256, PLAN_MAX_NUMBERS = 12 };

typedef enum {
#define STEP(name, args, synopsis) STEP_##name,
#include "steps.def"
  STEP_COUNT
} StepOp;

/* What a buffer holds. PARAM and STATE are saved; DERIVED is rebuilt by phase prepare. */
typedef enum {
  BUF_INPUT, BUF_PARAM, BUF_STATE, BUF_DERIVED, BUF_CONST, BUF_TEMP, BUF_OUTPUT, BUF_ROLES
} BufRole;
typedef enum {
  DTYPE_F32,
  DTYPE_U8,
  DTYPE_I32,
  DTYPE_U32,
  DTYPE_F64,
  DTYPE_BF16,
  DTYPE_COUNT
} DType;

/* The phases of a network: each is a range of steps, run in order. */
typedef enum {
  PHASE_INIT,    /* writes every PARAM and STATE from (seed); may read the first minibatch */
  PHASE_PREPARE, /* writes every DERIVED from PARAM, after init and after load */
  PHASE_TRAIN,   /* one training step: reads a batch, updates PARAM, STATE, DERIVED */
  PHASE_EVAL,    /* one evaluation batch: reads a batch, writes OUTPUTs */
  PHASE_PROBE,   /* once per evaluation: figures of the parameters themselves */
  PHASE_COUNT
} Phase;

/* Which input of the run a BUF_INPUT is fed from; what a BUF_OUTPUT means. */
typedef enum {
  FEED_NONE,
  FEED_SAMPLE, /* [N, ...] rows of the data set, as stored (u8 or f32) */
  FEED_LABEL,  /* i32[N] class labels (f32[N, ...] targets for regression data) */
  FEED_SCALE,  /* f32[C]: decoded value = stored * scale[c] + shift[c] */
  FEED_SHIFT,  /* f32[C] */
  FEED_RATE,   /* f32[1]: the learning rate of this step, from the schedule */
  FEED_STEP,   /* u32[2]: {steps done before this one, seed}: keys of the random generator */
  FEED_COUNT
} Feed;
typedef enum {
  OUT_NONE,
  OUT_LOSS,    /* f32[N]: loss of each sample of the batch */
  OUT_HIT,     /* f32[N]: 1 if the sample is classified correctly, else 0 */
  OUT_FINITE,  /* f32[n] per weight: finite if all of its gradient is (sums of squares) */
  OUT_RESIDUAL,/* f32[n]: |sum of a row of W|, every row of the layer */
  OUT_COUNT
} Out;

typedef struct {
  uint32_t name, role, dtype, rank;
  uint32_t dim[PLAN_MAX_RANK];
  uint32_t feed, out;          /* Feed of an INPUT, Out of an OUTPUT */
  uint32_t line, layer;        /* line of the .lcwnet; name of the layer it belongs to */
  uint32_t fold;               /* text "a:b,a:b" of the sum-to-zero groups of lanes of a PARAM in
                                  lcw form (see export.c); 0: exported as it is */
  uint32_t computed;           /* 1: a DERIVED with digits that depend on the kernel which made it
                                  (a sum): saved as well, for who goes on with the same plan */
  uint64_t bytes, offset;      /* offset in the arena, 64-byte aligned */
  uint64_t data;               /* of a CONST: offset in the Plan of its bytes; 0: none */
} PlanBuf;

typedef struct {
  uint32_t name, line;         /* name: label path and role; line in the .lcwnet */
  uint32_t code;               /* index in lcw_kernel[]: equal kernels share their code */
  uint32_t symbol;             /* name of the function that is this code, in a PlanImage */
  uint32_t nnumber;            /* CUDA: numbers of its launch, behind the buffers in args */
  uint32_t narg;
  uint32_t chunks;             /* host: independent pieces of work [0, chunks) */
  uint32_t grid[3], block[3], shared; /* CUDA */
  uint64_t scratch;            /* host: bytes of private memory each running thread needs */
  uint64_t workspace;          /* bytes that all pieces of this launch share; 0: none */
  uint64_t flops, bytes;       /* per launch; bytes: compulsory traffic */
} PlanKernel;

typedef struct { uint32_t op, a, b, c; } PlanStep;

/* One instruction of the schedule: a postfix program over doubles, evaluated once per step.
 * Names: epoch step epochs steps progress. Integer operations truncate as C does. */
typedef enum {
#define RATE(name, pops, text) RATE_##name,
#include "rates.def"
  RATE_COUNT
} RateOp;
typedef struct { uint32_t op, pad; double k; } PlanRate;

/* Settings of the run, resolved by the compiler; the command line of a trainer may change them. */
typedef struct {
  uint64_t seed, epochs, batch, eval_every, save_every;
  uint32_t classes, has_labels; /* 0 classes: regression */
  uint32_t params_lo, params_hi; /* free parameters, 64-bit split */
  uint32_t file;                /* name of the .lcwnet, for messages */
  uint32_t net, recipe, data, lower, precision, source; /* names; source: flattened .lcwnet text */
  uint32_t arguments;           /* "depth = 50, width = 256, ..." */
  uint32_t source_kind;         /* DataKind of the training data */
  uint32_t source_path, source_path2, test_path, test_path2; /* 0: none */
  uint32_t normalize;           /* 0 none, 1 channel, 2 global */
  uint32_t sample_rank, sample_dim[3]; /* [H, W, C] (NHWC) or [n] */
  uint64_t synthetic_samples, synthetic_test, synthetic_seed;
} PlanSettings;
typedef enum { DATA_NONE, DATA_IDX, DATA_NPY, DATA_SYNTHETIC, DATA_CIFAR, DATA_IMAGES } DataKind;
typedef enum { NORMALIZE_NONE, NORMALIZE_CHANNEL, NORMALIZE_GLOBAL } Normalize;

typedef struct {
  uint32_t magic, version;
  uint64_t size;                              /* of the whole block */
  uint32_t nbuf, nkernel, nstep, narg, nrate, ncode;
  uint64_t buf, kernel, step, arg, rate, str, nstr; /* byte offsets of the tables */
  uint32_t phase[PHASE_COUNT + 1];            /* phase p is steps [phase[p], phase[p+1]) */
  uint64_t arena;                             /* bytes of device memory the plan needs */
  PlanSettings set;
} Plan;

#define PLAN_AT(p, T, off) ((const T *)(const void *)((const char *)(p) + (off)))
static inline const char *plan_text(const Plan *p, uint32_t name) {
  return PLAN_AT(p, char, p->str) + name;
}

/* A kernel of the host target computes chunks [begin, end). arg[i]: its buffers; scratch: private
 * to the calling thread, PlanKernel.scratch bytes, 64-byte aligned. */
typedef void HostKernel(void *const *arg, int64_t begin, int64_t end, void *scratch);

enum { PLAN_TICKETS = 1024 };

/* Device code of a model: every kernel of its Plan, for one architecture, as what the driver loads.
 * A kernel is the function named by PlanKernel.symbol; its parameters are the addresses of its
 * buffers in order, its numbers (32 bits each: extents and strides of its text), and last, if `workspace` is not 0, that of the workspace (the same on the
 * host: arg[narg]). The workspace is shared by all launches, one after the other; it begins as zeros, and its first
 * PLAN_TICKETS words are zero after every launch. */
typedef enum { IMAGE_NONE, IMAGE_CUBIN, IMAGE_PTX } ImageKind;
typedef struct {
  uint32_t kind, arch;         /* ImageKind; 80 for sm_80 (PTX: the oldest that it runs on) */
  const void *bytes;           /* PTX ends with a 0 byte that `size` counts */
  uint64_t size;
} PlanImage;
/* extern const PlanImage lcw_image[]; (ends with IMAGE_NONE) and lcw_cuda_plan, in a trainer. */

/* What a compiled model exports. One HostTable per instruction set in the object. */
typedef struct {
  const char *isa;
  HostKernel *const *kernel;
} HostTable; /* "avx512", "avx2", "baseline" */
/* extern const Plan lcw_plan; extern const HostTable lcw_table[]; (ends with isa NULL) */
#endif
