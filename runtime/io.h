/* io.h: the calls that change files, as a table, so that a test can record them, replay every
 * prefix as a loss of power, and let each of them fail. Results and errno as the system's. */
#ifndef LCW_IO_H
#define LCW_IO_H
#include <stddef.h>
#include <sys/types.h>

typedef struct Io {
  void *ctx;
  int (*create)(void *ctx, int dir, const char *name, mode_t mode); /* new, for writing */
  ssize_t (*write)(void *ctx, int fd, const void *p, size_t n);
  int (*sync)(void *ctx, int fd);
  int (*close)(void *ctx, int fd);
  int (*rename)(void *ctx, int dir, const char *from, const char *to);
  int (*link)(void *ctx, int dir, const char *from, const char *to);
  int (*unlink)(void *ctx, int dir, const char *name);
} Io;

extern const Io io_system;
#endif
