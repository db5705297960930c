/* scratch.h: a folder for the files of one test program, removed at its end. Everything here
 * stops the program if the system refuses it. */
#ifndef LCW_TEST_SCRATCH_H
#define LCW_TEST_SCRATCH_H
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

typedef struct Scratch { char path[256]; } Scratch;

static inline void scratch_must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  abort();
}

static inline Scratch scratch_new(void) {
  Scratch s;
  const char *tmp = getenv("TMPDIR");
  snprintf(s.path, sizeof s.path, "%s/lcwc-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  scratch_must(mkdtemp(s.path) != NULL, "mkdtemp");
  return s;
}

/* The path of a file in it; the text lives until the eighth call after this one. */
static inline const char *scratch_path(const Scratch *s, const char *name) {
  static char path[8][600];
  static unsigned at;
  char *p = path[at++ % 8];
  snprintf(p, sizeof path[0], "%s/%s", s->path, name);
  return p;
}

static inline void scratch_write(const char *path, const void *p, size_t n) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  scratch_must(fd >= 0, path);
  scratch_must(write(fd, p, n) == (ssize_t)n, path);
  scratch_must(close(fd) == 0, path);
}

/* The bytes of a file; free them. */
static inline unsigned char *scratch_read(const char *path, size_t *n) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  scratch_must(fd >= 0 && fstat(fd, &st) == 0, path);
  unsigned char *p = malloc((size_t)st.st_size + 1);
  scratch_must(p && read(fd, p, (size_t)st.st_size) == st.st_size, path);
  close(fd);
  p[st.st_size] = 0;
  *n = (size_t)st.st_size;
  return p;
}

static inline int scratch_unlink(const char *path, const struct stat *st, int kind,
                                 struct FTW *at) {
  (void)st;
  (void)kind;
  (void)at;
  return remove(path);
}

/* Removes the folder and what is in it. */
static inline void scratch_remove(const char *path) {
  nftw(path, scratch_unlink, 8, FTW_DEPTH | FTW_PHYS);
}
#endif
