/* inspection.h: what `lcwc inspect` has found out, between the files that find it and those that
 * print it: the kernels of a phase, one Entry for each distinct code. On the host a step is
 * measured; for a CUDA device nothing runs: times are what cuda_estimate() says they can't be
 * below, and registers, spills and instructions are read from a cubin, if a compiler makes one. */
#ifndef LCW_INSPECTION_H
#define LCW_INSPECTION_H
#include "command.h"
#include "cuda_arch.h"
#include "inspect.h"
#include "roofline.h"

/* A kernel on a device. */
typedef struct {
  CudaLaunch launch;
  uint32_t shared;                 /* bytes of a block, static ones included */
  SassCount count;                 /* these need a cubin: */
  uint32_t unrolled;               /* slabs of K in its loop; 0: no such loop */
  CudaOccupancy occupancy;
  CudaEstimate estimate;
  const SassCount *emitted;        /* --kernels: what is edited was this; NULL: it is not edited */
} Figures;

typedef struct {
  const Kernel *kernel;
  const Figures *figures;          /* NULL: of the host */
  const Call **call;
  uint32_t ncall, capcall;
  Parts fused, refused;
  double seconds;                  /* of all its launches in the phase; 0: not known */
} Entry;

typedef struct { uint32_t launches; uint64_t flops, bytes; double seconds; } PhaseTotal;

typedef struct {
  Compile *c;
  Phase phase;
  const char *want;                /* --kernel, or NULL */
  Entry **entry;
  uint32_t nentry, capentry;
  Entry **by_code;                 /* [program->nkernel] */
  PhaseTotal total[PHASE_COUNT];   /* of all kernels, wanted or not */
  Roofline peak;                   /* of the products, in the precision of the run */
  uint32_t threads;                /* host */
  const CudaArch *arch;            /* CUDA; NULL: the host */
  const Figures *figures;          /* [program->nkernel] */
  const char *compiler;            /* of the cubin: "NVRTC 13.0"; NULL: there is none */
} Inspection;

extern const char *const inspect_phase[PHASE_COUNT];

/* ---- what printing has in common ----------------------------------------------------------- */

const char *inspect_form(const Inspection *x, const ModelLayer *l); /* "fused:epilogue" */
const char *inspect_source(const Inspection *x, const Entry *e); /* file:line:column, or "" */
double entry_intensity(const Entry *e);                 /* flops per byte */
double entry_rate(const Entry *e);                      /* flops per second */
double entry_of_peak(const Inspection *x, const Entry *e);
/* Instructions of the main loop per 32 values of K; 0: no loop over K, or no cubin. */
double figures_loop(const Figures *f);

/* ---- inspect_text.c, inspect_json.c --------------------------------------------------------- */

void inspect_text(const Inspection *x, Text *out);
void inspect_json(const Inspection *x, Text *out);

/* ---- inspect_device.c ---------------------------------------------------------------------- */

/* --fail-on: what a kernel must not be like. */
typedef struct {
  bool asked, spills;
  double occupancy;                /* least; 0: any */
} FailOn;

bool fail_on_parse(Compile *c, const char *list, FailOn *out);
/* The one architecture of --target, sm_80 by default: x->arch. False: exit 2. */
bool device_choose_arch(Inspection *x, const char *target);
/* x->figures of every kernel of the program. `must`: without a cubin it is exit 4, else a note.
 * Kernels of --kernels=DIR are shown beside what is emitted; if they are right, `train` asks. */
bool device_figures(Inspection *x, bool must);
/* A sentence on stderr for each kernel that fails. False: exit 6. */
bool device_judge(Inspection *x, const FailOn *f);

#endif
