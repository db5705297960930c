/* path.c: opening the files that a network names, and no others. A path is resolved beneath
 * one of the roots by the kernel (openat2, RESOLVE_BENEATH), which knows of symbolic links what
 * no check of strings does; where openat2 is missing, component by component without links. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "stream.h"

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK };

/* The way of old kernels: every component by itself, no links, no "..". */
static int open_by_steps(int dir, const char *path, int flags) {
  char part[256];
  int at = dup(dir);
  if (*path == '/') errno = EXDEV;
  while (at >= 0 && *path != '/') {
    size_t n = strcspn(path, "/");
    bool last = path[n] == 0,
         legal = n > 0 && n < sizeof part && strncmp(path, "..", n > 2 ? n : 2);
    if (!legal) break;
    memcpy(part, path, n);
    part[n] = 0;
    int next = openat(at, part, last ? flags : OPEN_FLAGS | O_DIRECTORY);
    int error = errno;
    close(at);
    errno = error;
    if (last || next < 0) return next;
    at = next;
    path += n + 1;
  }
  if (at >= 0) close(at);
  errno = EXDEV;
  return -1;
}

/* By the kernel where it can, else by hand. */
static int open_beneath(int dir, const char *path, int flags) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  int fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_by_steps(dir, path, flags);
  return fd;
}

static bool not_there(int error) { return error == ENOENT || error == ENOTDIR; }

/* Why a path was refused, in words of the user. */
static const char *refusal(int error) {
  if (error == EXDEV) return "the path leaves the folder that data is read from";
  if (error == ELOOP) return "it is a symbolic link, and data files must be plain files";
  return strerror(error);
}

int path_open(int folder, const char *name, const char *shown, Fault *f) {
  int fd = open_beneath(folder, name, OPEN_FLAGS);
  if (fd < 0 && !not_there(errno))
    fault_set(f, LCW_DATA, "%s/%s: %s", shown, name, refusal(errno));
  return fd;
}

/* Tries one root: the descriptor, -1 if nothing is there, -2 if it was refused. */
static int try_root(const char *root, const char *path, bool folder, char *shown, Fault *f) {
  int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return -1;
  int fd = open_beneath(dir, path, OPEN_FLAGS | (folder ? O_DIRECTORY : 0));
  int error = errno;
  close(dir);
  if (fd >= 0) snprintf(shown, PATH_BYTES, "%s/%s", root, path);
  if (fd >= 0 || not_there(error)) return fd >= 0 ? fd : -1;
  fault_set(f, LCW_DATA, "%s/%s: %s", root, path, refusal(error));
  return -2;
}

int path_find(const DataRequest *r, const char *path, bool folder, char *shown, Fault *f) {
  if (!path || !*path) {
    fault_set(f, LCW_INTERNAL, "the data has no path");
    return -1;
  }
  for (int i = 0; i < DATA_ROOTS; i++) {
    int fd = r->root[i] && *r->root[i] ? try_root(r->root[i], path, folder, shown, f) : -1;
    if (fd != -1) return fd;
  }
  fault_set(f, LCW_DATA, "no %s \"%s\"; looked for", folder ? "data folder" : "data file", path);
  for (int i = 0; i < DATA_ROOTS; i++)
    if (r->root[i] && *r->root[i]) fault_add(f, "\n  %s/%s", r->root[i], path);
  fault_add(f, "\nhelp: --data DIR or LCWC_DATA names the folder where data is");
  if (!strcmp(path, "fashion-mnist"))
    fault_add(f, "; on Debian: apt install dataset-fashion-mnist");
  return -1;
}
