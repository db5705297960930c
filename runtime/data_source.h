/* data_source.h: what the kinds of data sources share: each fills the splits, the shape and the
 * classes of a Data (with `peek`, without reading samples), and checks its files. */
#ifndef LCW_DATA_SOURCE_H
#define LCW_DATA_SOURCE_H
#include "stream.h"

typedef bool DataSource(Data *d, const DataRequest *r, bool peek, Fault *f);
DataSource idx_open, npy_open, synthetic_open;

/* The product of a shape, or a fault: nothing is empty, nothing beyond the limits. */
bool shape_bytes(const char *name, const uint64_t *dim, uint32_t rank, size_t item, size_t *out,
                 Fault *f);
/* A label beyond the classes is a fault; classes 0 becomes the largest label + 1. */
bool labels_check(const char *name, uint64_t largest, uint32_t *classes, Fault *f);
/* Both splits hold samples of one shape and type. */
bool splits_agree(const Data *d, uint32_t rank, const uint32_t *dim, uint32_t dtype,
                  const char *name, Fault *f);
#endif
