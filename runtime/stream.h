/* stream.h: reading a data file from its first byte to its last. A file is gzip by its magic
 * bytes, not by its name; several gzip members are one stream. Files are read with pread and
 * never mapped: a file cut short by someone else is then an error and no signal. */
#ifndef LCW_STREAM_H
#define LCW_STREAM_H
#include <zlib.h>
#include "data.h"

enum { STREAM_BLOCK = 1 << 16, PATH_BYTES = 4096 };

typedef struct Stream {
  int fd;
  uint64_t size, at; /* of the file on disk; next byte to read from it */
  bool gzip, begun, done;
  z_stream z;
  unsigned char *in; /* compressed bytes, STREAM_BLOCK of them */
  char name[PATH_BYTES]; /* as shown in messages */
} Stream;

/* A folder (or, with `folder` false, a file) beneath one of the roots of the request, in their
 * order; -1 with a message that lists them all. `shown`: PATH_BYTES, the path that was found. */
int path_find(const DataRequest *r, const char *path, bool folder, char *shown, Fault *f);
/* Opens `name` beneath the folder; -1 if it is not there (f untouched) or refused (f filled). */
int path_open(int folder, const char *name, const char *shown, Fault *f);

/* Takes over fd. */
bool stream_open(Stream *s, int fd, const char *shown, Fault *f);
void stream_close(Stream *s);
bool stream_rewind(Stream *s, Fault *f);
/* Exactly n bytes, or a fault that says that the file is too short. */
bool stream_read(Stream *s, void *out, size_t n, Fault *f);
/* True at the end: no byte, no half member, no garbage follows. */
bool stream_end(Stream *s, Fault *f);
/* Proves that the file holds exactly `total` bytes before `total` bytes are allocated: by its
 * size, or by inflating it once into nothing where the claim is beyond what its size allows. */
bool stream_holds(Stream *s, uint64_t total, Fault *f);
bool stream_fault(const Stream *s, Fault *f, const char *what);
#endif
