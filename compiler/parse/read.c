/* read.c: bringing files into memory; the contract is in read.h. Only regular files and pipes
 * are read, never devices; nothing is mapped, so a file that shrinks meanwhile is no harm. */
#include "read.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "limits.h"

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* Reads to the end of a pipe, of which the size is not known before. */
static ReadFile read_stream(Arena *a, int fd) {
  Text text;
  char block[16384];
  ssize_t n;
  text_init(&text, a);
  text_bytes(&text, "", 0);
  while ((n = read(fd, block, sizeof block)) > 0 || (n < 0 && errno == EINTR)) {
    if (n > 0) text_bytes(&text, block, (size_t)n);
    if (text.n > LIMIT_SOURCE)
      return (ReadFile){.size = text.n, .large = true, .why = "it is too large"};
  }
  if (n < 0) return (ReadFile){.why = strerror(errno)};
  return (ReadFile){.text = text.s, .size = text.n};
}

static ReadFile read_regular(Arena *a, int fd, size_t size) {
  if (size > LIMIT_SOURCE) return (ReadFile){.size = size, .large = true, .why = "it is too large"};
  char *text = arena_alloc(a, size + 1);
  size_t done = 0;
  while (done < size) {
    ssize_t n = pread(fd, text + done, size - done, (off_t)done);
    if (n == 0) break;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return (ReadFile){.why = strerror(errno)};
    done += (size_t)n;
  }
  return (ReadFile){.text = text, .size = done};
}

static ReadFile read_open(Arena *a, int fd, bool pipes) {
  struct stat st;
  if (fstat(fd, &st) != 0) return (ReadFile){.why = strerror(errno)};
  if (S_ISREG(st.st_mode)) return read_regular(a, fd, (size_t)st.st_size);
  if (pipes && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) || S_ISSOCK(st.st_mode)))
    return read_stream(a, fd);
  return (ReadFile){.why = S_ISDIR(st.st_mode) ? "it is a folder" : "it is not a regular file"};
}

ReadFile read_named(Arena *a, const char *path) {
  if (strcmp(path, "-") == 0) return read_open(a, STDIN_FILENO, true);
  int fd = open(path, OPEN_FLAGS);
  if (fd < 0) return (ReadFile){.why = strerror(errno)};
  ReadFile file = read_open(a, fd, false);
  close(fd);
  return file;
}

/* For kernels without openat2: one component after the other, never through a link. */
static int open_stepwise(int folder, const char *path) {
  int at = dup(folder);
  while (at >= 0) {
    char part[256];
    size_t n = strcspn(path, "/");
    bool last = path[n] == 0;
    if (n >= sizeof part) return close(at), errno = ENAMETOOLONG, -1;
    memcpy(part, path, n);
    part[n] = 0;
    int next = openat(at, part, OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
    close(at);
    if (last) return next;
    at = next;
    path += n + 1;
  }
  return -1;
}

static int open_beneath(int folder, const char *path) {
  struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_stepwise(folder, path);
  return (int)fd;
}

ReadFile read_beneath(Arena *a, int folder, const char *path) {
  int fd = open_beneath(folder, path);
  if (fd < 0)
    return (ReadFile){.why = strerror(errno), .outside = errno == EXDEV || errno == ELOOP};
  ReadFile file = read_open(a, fd, false);
  close(fd);
  return file;
}

/* Drops the last component of the first n bytes. */
static size_t path_up(const char *s, size_t n) {
  while (n > 0 && s[n - 1] != '/') n--;
  return n > 0 ? n - 1 : 0;
}

const char *path_join(Arena *a, const char *base, const char *path) {
  char *out = arena_alloc(a, strlen(base) + strlen(path) + 2);
  size_t n = path_up(base, strlen(base));
  memcpy(out, base, n);
  if (path[0] == '/') return NULL;
  while (*path) {
    size_t k = strcspn(path, "/");
    if (k == 2 && path[0] == '.' && path[1] == '.') {
      if (n == 0) return NULL;
      n = path_up(out, n);
    } else if (k > 0 && !(k == 1 && path[0] == '.')) {
      if (n) out[n++] = '/';
      memcpy(out + n, path, k);
      n += k;
    }
    path += k + (path[k] == '/');
  }
  out[n] = 0;
  return n ? out : NULL;
}
