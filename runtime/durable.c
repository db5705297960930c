/* durable.c: see durable.h. The order of the calls is the promise:
 *
 *   write temp, fsync        the new bytes are on disk under a name nobody reads
 *   link  NAME -> kept temp  the old file has a second name
 *   rename temp -> NAME      at every moment NAME is one of the two, whole
 *   fsync folder             now, and not before, the new file is saved
 *   rename kept temp -> KEEP only now is the oldest one given up
 *
 * A failed fsync means the new bytes are lost: the old file gets its name back, and no second
 * fsync is tried, since it would say yes without having written anything. */
#include "durable.h"
#include "seed.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { SINK_BYTES = 1 << 16, NAME_BYTES = 256 };

struct Sink { const Io *io; int fd, error; size_t n; char block[SINK_BYTES]; };

/* ---- the system's calls ------------------------------------------------------------------ */

static int system_create(void *ctx, int dir, const char *name, mode_t mode) {
  (void)ctx;
  return openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}
static ssize_t system_write(void *ctx, int fd, const void *p, size_t n) {
  (void)ctx;
  return write(fd, p, n);
}
static int system_sync(void *ctx, int fd) {
  (void)ctx;
  return fsync(fd);
}
static int system_close(void *ctx, int fd) {
  (void)ctx;
  return close(fd);
}
static int system_rename(void *ctx, int dir, const char *from, const char *to) {
  (void)ctx;
  return renameat(dir, from, dir, to);
}
static int system_link(void *ctx, int dir, const char *from, const char *to) {
  (void)ctx;
  return linkat(dir, from, dir, to, 0);
}
static int system_unlink(void *ctx, int dir, const char *name) {
  (void)ctx;
  return unlinkat(dir, name, 0);
}

const Io io_system = {NULL, system_create, system_write, system_sync, system_close,
                      system_rename, system_link, system_unlink};

/* ---- writing ----------------------------------------------------------------------------- */

/* Writes until all is written: calls may be interrupted or short. */
static bool write_all(Sink *s, const char *p, size_t n) {
  while (n > 0 && !s->error) {
    ssize_t k = s->io->write(s->io->ctx, s->fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) {
      s->error = k < 0 ? errno : EIO;
      break;
    }
    p += k;
    n -= (size_t)k;
  }
  return !s->error;
}

/* Writes what the sink holds. */
static bool sink_flush(Sink *s) {
  size_t n = s->n;
  s->n = 0;
  return write_all(s, s->block, n);
}

bool sink_write(Sink *s, const void *p, size_t n) {
  if (n > SINK_BYTES - s->n && !sink_flush(s)) return false;
  if (n > SINK_BYTES) return write_all(s, p, n);
  memcpy(s->block + s->n, p, n);
  s->n += n;
  return !s->error;
}

/* .NAME.XXXXXXXX.tmp, not to be guessed. */
static bool temp_name(char *out, const char *name) {
  unsigned random;
  if (getrandom(&random, sizeof random, 0) != sizeof random) return false;
  int n = snprintf(out, NAME_BYTES, ".%s.%08x.tmp", name, random);
  if (n > 0 && n < NAME_BYTES) return true;
  errno = ENAMETOOLONG;
  return false;
}

/* A message with the file and the system's reason. */
static bool durable_fault(const DurableFile *file, Fault *f, const char *what, int error) {
  return fault_set(f, LCW_DATA, "%s/%s: cannot %s: %s", file->shown, file->name, what,
                   strerror(error));
}

/* The new bytes, synced, under the temporary name. On failure nothing is left of them. */
static bool write_temp(const Io *io, const DurableFile *file, const char *temp, DurableBody *body,
                       void *ctx, Fault *f) {
  Sink s = {.io = io};
  s.fd = io->create(io->ctx, file->dir, temp, file->mode);
  if (s.fd < 0) return durable_fault(file, f, "be created", errno);
  bool ok = body(ctx, &s, f), said = !ok && !s.error;
  if (ok) sink_flush(&s);
  bool synced = SEED(302, true, !ok || s.error || io->sync(io->ctx, s.fd) == 0); /* and this */
  if (!synced) s.error = errno ? errno : EIO;
  if (io->close(io->ctx, s.fd) && !s.error && errno != EINTR) s.error = errno;
  if (ok && !s.error) return true;
  io->unlink(io->ctx, file->dir, temp);
  return said ? false : durable_fault(file, f, "be written", s.error ? s.error : EIO);
}

/* Gives the present file a second name; true also if there is none. */
static bool keep_old(const Io *io, const DurableFile *file, char *kept) {
  kept[0] = 0;
  if (!file->keep) return true;
  if (!temp_name(kept, file->keep)) return false;
  if (io->link(io->ctx, file->dir, file->name, kept) == 0) return true;
  bool none = errno == ENOENT, no_links = errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS;
  kept[0] = 0;
  /* Without links the name is free for a moment, and readers look at `keep` then. */
  return none || (no_links && io->rename(io->ctx, file->dir, file->name, file->keep) == 0);
}

bool durable_write(const Io *io, const DurableFile *file, DurableBody *body, void *ctx, Fault *f) {
  char temp[NAME_BYTES], kept[NAME_BYTES];
  if (!temp_name(temp, file->name)) return durable_fault(file, f, "be named", errno);
  if (!write_temp(io, file, temp, body, ctx, f)) return false;
  if (!keep_old(io, file, kept) || io->rename(io->ctx, file->dir, temp, file->name)) {
    int error = errno;
    io->unlink(io->ctx, file->dir, temp);
    if (*kept) io->unlink(io->ctx, file->dir, kept);
    return durable_fault(file, f, "get its name", error);
  }
  if (SEED(301, 0, io->sync(io->ctx, file->dir))) { /* caught by runtime_checkpoint.c */
    int error = errno;
    if (*kept) io->rename(io->ctx, file->dir, kept, file->name);
    return durable_fault(file, f, "be made durable", error);
  }
  if (*kept && io->rename(io->ctx, file->dir, kept, file->keep)) {
    int error = errno;
    io->unlink(io->ctx, file->dir, kept);
    return durable_fault(file, f, "keep the one before", error);
  }
  return true;
}

typedef struct { const void *p; size_t n; } Bytes;

/* The body of durable_bytes(). */
static bool bytes_body(void *ctx, Sink *s, Fault *f) {
  const Bytes *b = ctx;
  (void)f;
  return sink_write(s, b->p, b->n);
}

bool durable_bytes(const Io *io, const DurableFile *file, const void *p, size_t n, Fault *f) {
  Bytes b = {p, n};
  return durable_write(io, file, bytes_body, &b, f);
}

bool durable_alias(const Io *io, int dir, const char *from, const char *to) {
  char temp[NAME_BYTES];
  if (!temp_name(temp, to) || io->link(io->ctx, dir, from, temp)) return false;
  if (io->rename(io->ctx, dir, temp, to)) {
    int error = errno;
    io->unlink(io->ctx, dir, temp);
    errno = error;
    return false;
  }
  /* rename() does nothing if both are the same file already, and leaves the temporary name. */
  io->unlink(io->ctx, dir, temp);
  return io->sync(io->ctx, dir) == 0;
}

/* Temporary names begin with a point and end with ".tmp". */
static bool is_temp(const char *name) {
  size_t n = strlen(name);
  return n > 5 && name[0] == '.' && !strcmp(name + n - 4, ".tmp");
}

void durable_sweep(const Io *io, int dir) {
  int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
  if (!d && copy >= 0) close(copy);
  for (struct dirent *e; d && (e = readdir(d));)
    if (is_temp(e->d_name)) io->unlink(io->ctx, dir, e->d_name);
  if (d) closedir(d);
}
