/* checkpoint.h: everything that resume needs, in one safetensors file.
 *
 *   u64 length | {"__metadata__":{"lcwc":"1","checksum":"................", ...}, tensors} | data
 *
 * Tensors are the PARAM and STATE buffers by name, as their dims say, without gaps from 0 to the
 * end of the file; and what was computed from them (PlanBuf.computed, names with a `~`) as the run
 * left it: who goes on with the same plan on the same kind of device, "computed" of the metadata,
 * takes it up and stays bit-equal to a run that never stopped; anybody else computes it anew. The checksum (XXH64, hexadecimal) covers the header, with itself as zeros,
 * and the data. A reader believes nothing: length, UTF-8, JSON, types, shapes, offsets, names
 * and the checksum are proved before the first number reaches the device. */
#ifndef LCW_CHECKPOINT_H
#define LCW_CHECKPOINT_H
#include "device.h"
#include "durable.h"

#define CHECKPOINT_LAST "last.safetensors"
#define CHECKPOINT_PREVIOUS "previous.safetensors"
#define CHECKPOINT_BEST "best.safetensors"
#define CHECKPOINT_PREFIX "{\"__metadata__\":{\"lcwc\":\"1\",\"checksum\":\""

enum { CHECKPOINT_HEADER = 16 << 20, CHECKPOINT_TENSORS = 1 << 16, CHECKPOINT_BLOCK = 1 << 18 };

/* Where a run stands; the random numbers have no state but these. Nothing here depends on time,
 * so equal runs give equal files. */
typedef struct TrainState {
  uint64_t step;                 /* steps done */
  uint64_t epoch, position;      /* of the next step: its epoch, steps done in that epoch */
  uint64_t seed, fingerprint;    /* of the data */
  double loss, hits, samples;    /* sums over this epoch so far */
  double best_loss;              /* smallest test loss; infinite before the first */
  double residual;               /* largest constraint residual of the whole run; what is evaluated only
                                  * because the run ends there is not of the whole run */
} TrainState;

typedef struct Tensor {
  const char *name;
  uint32_t dtype, rank, dim[PLAN_MAX_RANK];
  uint64_t begin, end; /* in the data */
} Tensor;

typedef struct Checkpoint {
  int fd;
  char shown[512];
  char *header;      /* strings live here */
  const char *meta;  /* key NUL value NUL key NUL ... */
  uint32_t nmeta, ntensor;
  Tensor *tensor;
  const Tensor **by_name; /* sorted */
  uint64_t data;     /* where the data begins in the file */
} Checkpoint;

bool checkpoint_save(const Io *io, const DurableFile *file, const Plan *p, Device *d,
                     const TrainState *state, Fault *f);
/* Opens and proves a file; dir: AT_FDCWD or a folder. */
bool checkpoint_open(Checkpoint *c, int dir, const char *name, const char *shown, Fault *f);
/* The same for what a user names: a checkpoint, or a run's folder (its best, else its last). */
bool checkpoint_of_run(Checkpoint *c, const char *path, Fault *f);
void checkpoint_close(Checkpoint *c);
/* A text of the metadata, or NULL: "net", "arguments", "recipe", "data", "settings", "source",
 * "file", "schedule", "step", "epoch", "seed", "fold.NAME" and others. */
const char *checkpoint_meta(const Checkpoint *c, const char *key);
const Tensor *checkpoint_find(const Checkpoint *c, const char *name);
/* The bytes of a tensor, or of a part of it. */
bool checkpoint_read(const Checkpoint *c, const Tensor *t, uint64_t at, void *out, size_t n,
                     Fault *f);
/* Puts every PARAM and STATE on the device; the names must be exactly those of the plan. */
bool checkpoint_load(const Checkpoint *c, const Plan *p, Device *d, Fault *f);
/* True if what was computed from them was left by this plan on this kind of device: then
 * checkpoint_load_computed() puts it over what phase prepare made. */
bool checkpoint_same_work(const Checkpoint *c, const Plan *p, const Device *d);
bool checkpoint_load_computed(const Checkpoint *c, const Plan *p, Device *d, Fault *f);
bool checkpoint_state(const Checkpoint *c, TrainState *state, Fault *f);
/* Shared by writer and reader: who computed, "cuda sm_80, fused, fp32, HASH"; "": the plan computes
 * nothing of the kind. */
enum { WORK_TEXT = 160 };
const char *work_text(const Plan *p, const Device *d, char out[WORK_TEXT]);
/* Shared with export: types by their names in safetensors. */
const char *tensor_type(uint32_t dtype);
#endif
