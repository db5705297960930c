/* data.h: data sets in memory. Samples stay as they are stored (u8, or f32 for npy of floats),
 * [H, W, C] or [n]; a kernel decodes them as stored * scale[c] + shift[c]. Labels are i32 and
 * proved to be in 0..classes-1; targets of regression are f32. Whatever is wrong with a file is
 * found here, at load: LCW_DATA, with the file and the reason. A file that is refused never
 * costs more memory than twice its size and 1 MiB. */
#ifndef LCW_DATA_H
#define LCW_DATA_H
#include "fault.h"
#include "plan.h"

typedef struct DataSplit {
  uint32_t count;
  uint32_t sample_bytes, label_bytes; /* of one row */
  void *sample;
  void *label;
} DataSplit;

enum { DATA_ROOTS = 4 };

/* Where from and how: what a `data` declaration says, and where paths begin. */
typedef struct DataRequest {
  DataKind kind;
  const char *path, *path2, *test, *test2; /* NULL or "": none */
  const char *root[DATA_ROOTS];            /* folders to try, in order; NULL: skipped */
  Normalize normalize;
  uint32_t classes;                        /* 0: the largest label + 1; or no classes at all */
  bool targets;                            /* npy: y holds numbers to be met, not classes */
  uint32_t rank, dim[3];                   /* synthetic: shape [H, W, C] or [n] */
  uint64_t samples, test_samples, seed;    /* synthetic */
} DataRequest;

typedef struct Data {
  DataSplit train, test; /* test.count 0: no test split */
  uint32_t dtype;        /* DTYPE_U8 or DTYPE_F32 */
  uint32_t rank, dim[3]; /* of a sample, [H, W, C] or [n] */
  uint32_t channels;     /* the last of dim */
  uint32_t classes;      /* 0: targets are numbers */
  float *scale, *shift;  /* one per channel */
  uint64_t fingerprint;  /* of every byte that trains */
} Data;

/* Reads it all. */
bool data_open(Data *d, const DataRequest *r, Fault *f);
void data_close(Data *d);
/* Shape, classes and the number of samples only: what the compiler needs; little is read. The
 * splits have no bytes. */
bool data_peek(Data *d, const DataRequest *r, Fault *f);
uint64_t data_bytes(const Data *d);
/* The request of a Plan. data_root: --data or NULL; file_folder: that of the .lcwnet or NULL. */
DataRequest data_request(const Plan *p, const char *data_root, const char *file_folder);
bool data_request_equal(const DataRequest *a, const DataRequest *b); /* the same set, read alike */
#endif
