/* read.h: bringing files into memory, safely. Goes in: a path, and for imports the folder that
 * they must not leave. Comes out: the bytes in the arena, or the reason why not. */
#ifndef LCW_READ_H
#define LCW_READ_H
#include "util.h"

typedef struct {
  char *text;      /* `size` bytes and a NUL; NULL when it could not be read */
  size_t size;
  const char *why; /* the reason, for a message */
  bool outside;    /* the path left the folder */
  bool large;      /* more than LIMIT_SOURCE bytes; `size` says how many at least */
} ReadFile;

/* Reads a file named by the user; `-` is standard input. */
ReadFile read_named(Arena *a, const char *path);
/* Reads `path` beneath the open folder; symbolic links must stay beneath it too. */
ReadFile read_beneath(Arena *a, int folder, const char *path);
/* base's folder joined with path, without `.` and `..`; NULL when it leads outside. */
const char *path_join(Arena *a, const char *base, const char *path);

#endif
