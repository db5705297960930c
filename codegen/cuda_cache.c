/* cuda_cache.c: compiled images on disk, so that a network starts at once the second time. In: a key,
 * an image. Out: the image of an equal key, every byte of it checked.
 *
 * An entry is  Head | key | image | log.  Its name is a hash of the key, but the key is compared in
 * full. The hash of the head finds damage; that nobody else wrote it is what the owner and the
 * mode of the folder and of the entry say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "cuda_model.h"
#include "durable.h"
#include "hash.h"

#define ENTRY_MAGIC UINT64_C(0x31656863616377c6)
enum { ENTRY_NAME = 48, CACHE_BYTES = 512 << 20 };
static const char entry_end[] = ".image";

typedef struct { uint64_t magic, key, image, log, check; } Head;

/* ---- the folder ------------------------------------------------------------------------------ */

const char *cuda_cache_folder(Arena *arena) {
  const char *cache = secure_getenv("XDG_CACHE_HOME"), *home = secure_getenv("HOME");
  if (cache && *cache == '/') return arena_printf(arena, "%s/lcwc", cache);
  return home && *home == '/' ? arena_printf(arena, "%s/.cache/lcwc", home) : NULL;
}

/* True if it is the user's and nobody else may write to it. */
static bool is_own(int fd, mode_t kind) {
  struct stat st;
  return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind && st.st_uid == geteuid() &&
         !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Makes the folder, and the one above it. */
static void folder_make(Arena *arena, const char *folder) {
  const char *slash = strrchr(folder, '/');
  if (slash > folder) mkdir(arena_text(arena, folder, (size_t)(slash - folder)), 0700);
  mkdir(folder, 0700);
}

bool cuda_cache_open(CudaCache *c, Arena *arena, const char *folder, bool make, Text *note) {
  if (make) folder_make(arena, folder);
  *c = (CudaCache){open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), folder};
  const char *reason = c->fd < 0 ? strerror(errno) : NULL;
  if (c->fd < 0 && errno == ENOENT && !make) return false;
  if (c->fd >= 0 && is_own(c->fd, S_IFDIR)) return true;
  text_add(note, "the cache %s is not used: %s", folder,
           reason ? reason : "it is not yours, or others may write to it");
  cuda_cache_close(c);
  return false;
}

void cuda_cache_close(CudaCache *c) {
  if (c->fd >= 0) close(c->fd);
  c->fd = -1;
}

/* ---- entries ---------------------------------------------------------------------------------- */

static void entry_name(const Text *key, char *name) {
  uint64_t low = hash64(key->s, key->n, 0), high = hash64(key->s, key->n, low + 1);
  snprintf(name, ENTRY_NAME, "%016llx%016llx%s", (unsigned long long)high, (unsigned long long)low,
           entry_end);
}

static uint64_t entry_check(const Head *h, const char *key, const char *image, const char *log) {
  Head bare = *h;
  bare.check = 0;
  uint64_t x = hash64(&bare, sizeof bare, 0);
  x = hash64(key, h->key, x);
  x = hash64(image, h->image, x);
  return hash64(log, h->log, x);
}

static bool read_all(int fd, char *bytes, size_t size) {
  for (size_t at = 0; at < size;) {
    ssize_t n = pread(fd, bytes + at, size - at, (off_t)at);
    if (n == 0 || (n < 0 && errno != EINTR)) return false;
    at += n > 0 ? (size_t)n : 0;
  }
  return true;
}

/* The whole of an entry, checked; NULL if it is damaged or not ours. */
static char *entry_read(Arena *arena, int fd, Head *h) {
  struct stat st;
  size_t sum;
  if (!is_own(fd, S_IFREG) || fstat(fd, &st) || st.st_size < (off_t)sizeof *h) return NULL;
  size_t size = (size_t)st.st_size;
  if (size > CACHE_BYTES) return NULL;
  char *bytes = arena_alloc(arena, size + 1);
  if (!read_all(fd, bytes, size)) return NULL;
  memcpy(h, bytes, sizeof *h);
  if (h->magic != ENTRY_MAGIC || !size_add(h->key, h->image, &sum) || !size_add(sum, h->log, &sum) ||
      sum != size - sizeof *h)
    return NULL;
  const char *key = bytes + sizeof *h, *image = key + h->key;
  return entry_check(h, key, image, image + h->image) == h->check ? bytes : NULL;
}

bool cuda_cache_get(const CudaCache *c, Arena *arena, const Text *key, CudaImage *out, Text *note) {
  char name[ENTRY_NAME];
  Head h;
  entry_name(key, name);
  int fd = c->fd < 0 ? -1 : openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 && (c->fd < 0 || errno == ENOENT)) return false;
  char *bytes = fd < 0 ? NULL : entry_read(arena, fd, &h);
  if (fd >= 0) close(fd);
  if (!bytes) {
    text_add(note, "an entry of the cache is damaged and not used: %s/%s", c->folder, name);
    return false;
  }
  const char *entry = bytes + sizeof h;
  if (h.key != key->n || memcmp(entry, key->s, key->n)) return false;
  *out = (CudaImage){arena_text(arena, entry + h.key, h.image), h.image,
                     arena_text(arena, entry + h.key + h.image, h.log)};
  return true;
}

typedef struct { Head h; const Text *key; const CudaImage *image; } Entry;

static bool entry_body(void *context, Sink *s, Fault *f) {
  const Entry *e = context;
  (void)f;
  return sink_write(s, &e->h, sizeof e->h) && sink_write(s, e->key->s, e->h.key) &&
         sink_write(s, e->image->bytes, e->h.image) && sink_write(s, e->image->log, e->h.log);
}

/* ---- what is there ---------------------------------------------------------------------------- */

static bool is_entry(const char *name) {
  size_t n = strlen(name), end = sizeof entry_end - 1;
  return n == 32 + end && strspn(name, "0123456789abcdef") == 32 && !strcmp(name + 32, entry_end);
}

/* One entry: size, age, and the first line of its key, without reading the rest. */
static void entry_list(const CudaCache *c, Arena *arena, const char *name, CudaEntries *out) {
  struct stat st;
  struct { Head h; char key[200]; } start = {0};
  int fd = openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fstatat(c->fd, name, &st, AT_SYMLINK_NOFOLLOW)) return;
  bool good = fd >= 0 && is_own(fd, S_IFREG) && pread(fd, &start, sizeof start - 1, 0) > 0 &&
              start.h.magic == ENTRY_MAGIC;
  if (fd >= 0) close(fd);
  CudaEntry e = {.name = arena_text(arena, name, strlen(name)), .bytes = (uint64_t)st.st_size,
                 .made = (int64_t)st.st_mtime, .damaged = !good};
  const char *title = good ? start.key : "damaged";
  e.title = arena_text(arena, title, strcspn(title, "\n"));
  PUSH(arena, out, entry, e);
  out->bytes += e.bytes;
}

static int entry_order(const void *a, const void *b) {
  const CudaEntry *x = a, *y = b;
  return x->made != y->made ? (x->made < y->made) - (x->made > y->made) : strcmp(x->name, y->name);
}

/* Newest first. */
void cuda_cache_list(const CudaCache *c, Arena *arena, CudaEntries *out) {
  *out = (CudaEntries){0};
  int copy = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = copy < 0 ? NULL : fdopendir(copy);
  if (!d && copy >= 0) close(copy);
  for (struct dirent *e; d && (e = readdir(d));)
    if (is_entry(e->d_name)) entry_list(c, arena, e->d_name, out);
  if (d) closedir(d);
  if (out->nentry) qsort(out->entry, out->nentry, sizeof *out->entry, entry_order);
}

bool cuda_cache_remove(const CudaCache *c, const CudaEntry *e) {
  return unlinkat(c->fd, e->name, 0) == 0;
}

/* Removes the oldest entries once there is more than the limit, until half of it is left. */
static void cache_shrink(const CudaCache *c) {
  Arena arena;
  CudaEntries all;
  arena_init(&arena, "cache", 0);
  cuda_cache_list(c, &arena, &all);
  uint64_t bytes = all.bytes;
  for (uint32_t i = all.nentry; all.bytes > CACHE_BYTES && i-- > 0 && bytes > CACHE_BYTES / 2;) {
    bytes -= all.entry[i].bytes;
    cuda_cache_remove(c, &all.entry[i]);
  }
  arena_release(&arena);
}

void cuda_cache_put(const CudaCache *c, const Text *key, const CudaImage *image, Text *note) {
  if (c->fd < 0) return;
  char name[ENTRY_NAME];
  entry_name(key, name);
  Entry e = {{ENTRY_MAGIC, key->n, image->size, strlen(image->log), 0}, key, image};
  e.h.check = entry_check(&e.h, key->s, image->bytes, image->log);
  DurableFile file = {.dir = c->fd, .shown = c->folder, .name = name, .mode = 0600};
  Fault f = {0};
  if (!durable_write(&io_system, &file, entry_body, &e, &f))
    text_add(note, "nothing is kept in the cache: %s", f.text);
  else cache_shrink(c);
}
