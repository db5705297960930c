/* data_idx.c: the MNIST family. A folder holds train-images-idx3-ubyte, train-labels-idx1-ubyte
 * and the like of t10k, each plain or gzip, with or without ".gz" in its name. An IDX file is
 * 0 0 08 rank, `rank` sizes of 4 bytes (high byte first), and that many bytes: no more, no less. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "data_source.h"
#include "reader.h"

typedef struct { uint32_t rank; uint64_t dim[4]; size_t bytes; } IdxHead;

/* Reads and proves a header. */
static bool idx_head(Stream *s, IdxHead *h, Fault *f) {
  unsigned char raw[4 + 4 * 4];
  Reader r = reader_of(raw, sizeof raw);
  if (!stream_read(s, raw, 4, f)) return false;
  uint16_t zero = reader_u16le(&r);
  uint8_t type = reader_u8(&r);
  h->rank = reader_u8(&r);
  if (zero) return stream_fault(s, f, "it is not an IDX file");
  if (type != 0x08) return stream_fault(s, f, "it does not hold bytes (IDX type 08)");
  if (h->rank == 0 || h->rank > 4) return stream_fault(s, f, "its rank is not 1 to 4");
  if (!stream_read(s, raw + 4, 4 * h->rank, f)) return false;
  for (uint32_t i = 0; i < h->rank; i++) h->dim[i] = reader_u32be(&r);
  return shape_bytes(s->name, h->dim, h->rank, 1, &h->bytes, f);
}

/* Opens `name` or `name`.gz in the folder. */
static bool idx_file(Stream *s, int folder, const char *shown, const char *name, Fault *f) {
  char gz[64], path[PATH_BYTES + 64];
  snprintf(gz, sizeof gz, "%s.gz", name);
  f->code = 0;
  int fd = path_open(folder, name, shown, f);
  const char *found = name;
  if (fd < 0 && f->code == 0) {
    fd = path_open(folder, gz, shown, f);
    found = gz;
  }
  if (fd < 0 && f->code == 0) return fault_set(f, LCW_DATA, "%s: no %s and no %s", shown, name, gz);
  if (fd < 0) return false;
  snprintf(path, sizeof path, "%s/%s", shown, found);
  if (stream_open(s, fd, path, f)) return true;
  stream_close(s);
  return false;
}

/* The bytes after the header, all of them. */
static unsigned char *idx_body(Stream *s, const IdxHead *h, Fault *f) {
  IdxHead again;
  if (!stream_holds(s, 4 + 4 * (uint64_t)h->rank + h->bytes, f)) return NULL;
  if (s->gzip && !(stream_rewind(s, f) && idx_head(s, &again, f))) return NULL;
  unsigned char *body = memory_new(h->bytes, 1, s->name, f);
  if (body && stream_read(s, body, h->bytes, f) && stream_end(s, f)) return body;
  free(body);
  return NULL;
}

/* Takes the shape [n, H, W], [n, H, W, C] or [n, m] of the images. */
static bool idx_shape(Data *d, DataSplit *split, const IdxHead *h, const Stream *s, Fault *f) {
  uint32_t rank = h->rank == 2 ? 1 : 3, dim[3] = {0, 0, 1};
  if (h->rank < 2) return stream_fault(s, f, "images need two sizes or more");
  for (uint32_t i = 1; i < h->rank; i++) dim[i - 1] = (uint32_t)h->dim[i];
  if (rank == 1) dim[2] = 0;
  if (split == &d->test) {
    if (!splits_agree(d, rank, dim, DTYPE_U8, s->name, f)) return false;
  } else {
    d->rank = rank;
    d->dtype = DTYPE_U8;
    memcpy(d->dim, dim, sizeof dim);
  }
  split->count = (uint32_t)h->dim[0];
  split->sample_bytes = (uint32_t)(h->bytes / h->dim[0]);
  return true;
}

/* The images of a split. */
static bool idx_images(Data *d, DataSplit *split, Stream *s, bool peek, Fault *f) {
  IdxHead h;
  if (!idx_head(s, &h, f) || !idx_shape(d, split, &h, s, f)) return false;
  if (peek) return s->gzip || stream_holds(s, 4 + 4 * (uint64_t)h.rank + h.bytes, f);
  split->sample = idx_body(s, &h, f);
  return split->sample != NULL;
}

/* Checks the labels as bytes and only then spends four bytes on each. */
static bool idx_labels(Data *d, DataSplit *split, Stream *s, Fault *f) {
  IdxHead h;
  if (!idx_head(s, &h, f)) return false;
  if (h.rank != 1) return stream_fault(s, f, "labels have one size");
  if (h.dim[0] != split->count)
    return fault_set(f, LCW_DATA, "%s: %llu labels for %u images", s->name,
                     (unsigned long long)h.dim[0], split->count);
  unsigned char *byte = idx_body(s, &h, f), largest = 0;
  if (!byte) return false;
  for (size_t i = 0; i < h.bytes; i++)
    if (byte[i] > largest) largest = byte[i];
  bool ok = labels_check(s->name, largest, &d->classes, f);
  int32_t *label = ok ? memory_new(h.bytes, sizeof *label, s->name, f) : NULL;
  for (size_t i = 0; label && i < h.bytes; i++) label[i] = byte[i];
  free(byte);
  split->label = label;
  split->label_bytes = sizeof *label;
  return label != NULL;
}

/* Both files of a split. */
static bool idx_split(Data *d, DataSplit *split, int folder, const char *shown, const char *prefix,
                      bool peek, Fault *f) {
  char name[64];
  Stream s;
  snprintf(name, sizeof name, "%s-images-idx3-ubyte", prefix);
  if (!idx_file(&s, folder, shown, name, f)) return false;
  bool ok = idx_images(d, split, &s, peek, f);
  stream_close(&s);
  if (!ok) return false;
  snprintf(name, sizeof name, "%s-labels-idx1-ubyte", prefix);
  if (!idx_file(&s, folder, shown, name, f)) return false;
  ok = idx_labels(d, split, &s, f);
  stream_close(&s);
  return ok;
}

/* A folder without any file of t10k has no test split; one with half of them is broken. */
static bool has_test(int folder) {
  static const char *const name[] = {"t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz",
                                     "t10k-labels-idx1-ubyte", "t10k-labels-idx1-ubyte.gz"};
  bool any = false;
  for (size_t i = 0; i < sizeof name / sizeof *name; i++)
    any = any || faccessat(folder, name[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  return any;
}

bool idx_open(Data *d, const DataRequest *r, bool peek, Fault *f) {
  char shown[PATH_BYTES];
  int folder = path_find(r, r->path, true, shown, f);
  if (folder < 0) return false;
  bool ok = idx_split(d, &d->train, folder, shown, "train", peek, f);
  if (ok && r->test && *r->test) {
    close(folder);
    folder = path_find(r, r->test, true, shown, f);
    if (folder < 0) return false;
  }
  if (ok && has_test(folder)) ok = idx_split(d, &d->test, folder, shown, "t10k", peek, f);
  close(folder);
  return ok;
}
