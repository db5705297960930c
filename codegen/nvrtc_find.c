/* nvrtc_find.c: where NVRTC is, without loading it, which takes longer than all that a start from the
 * cache has to do. In: a path or a name (--nvrtc, LCWC_NVRTC), or nothing. Out: the path of its file, and
 * what tells this file from another.
 *
 * A name without a slash is looked for as the loader does: in LD_LIBRARY_PATH and the loader's own
 * folders, then in /etc/ld.so.cache. What is found is loaded from that very path. */
#include "cuda.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const nvrtc_place[] = {
  "libnvrtc.so.13", "libnvrtc.so.12", "/usr/local/cuda/lib64/libnvrtc.so.13",
  "/usr/local/cuda/lib64/libnvrtc.so.12", "/opt/cuda/lib64/libnvrtc.so.13",
  "/opt/cuda/lib64/libnvrtc.so.12",
};

enum { LOADER_LIST_BYTES = 16 << 20 };

static bool is_file(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* NAME in the folders that the loader searches for this program. */
static const char *folders_find(Arena *arena, const char *name) {
  Dl_serinfo size, *list;
  void *self = dlopen(NULL, RTLD_LAZY);
  const char *found = NULL;
  if (!self || dlinfo(self, RTLD_DI_SERINFOSIZE, &size)) return NULL;
  list = arena_alloc(arena, size.dls_size);
  if (!dlinfo(self, RTLD_DI_SERINFOSIZE, list) && !dlinfo(self, RTLD_DI_SERINFO, list))
    for (unsigned i = 0; !found && i < list->dls_cnt; i++) {
      const char *path = arena_printf(arena, "%s/%s", list->dls_serpath[i].dls_name, name);
      if (is_file(path)) found = path;
    }
  dlclose(self);
  return found;
}

/* NAME in the list that ldconfig makes: among other things it holds every path, between NULs. */
static const char *list_find(Arena *arena, const char *name) {
  FILE *file = fopen("/etc/ld.so.cache", "rbe");
  struct stat st;
  size_t size = 0, length = strlen(name) + 1; /* the NUL behind it counts */
  char *bytes = NULL;
  if (file && fstat(fileno(file), &st) == 0 && st.st_size < LOADER_LIST_BYTES) {
    bytes = arena_alloc(arena, (size_t)st.st_size + 1);
    size = fread(bytes, 1, (size_t)st.st_size, file);
  }
  if (file) fclose(file);
  for (char *at = bytes; at && (at = memmem(at, size - (size_t)(at - bytes), name, length)); at++) {
    char *path = at;
    while (path > bytes && path[-1]) path--;
    if (*path == '/' && at[-1] == '/' && is_file(path)) return path;
  }
  return NULL;
}

static const char *place_find(Arena *arena, const char *place) {
  if (strchr(place, '/')) return is_file(place) ? place : NULL;
  const char *found = folders_find(arena, place);
  return found ? found : list_find(arena, place);
}

/* Of the file itself, not of a link to it. */
static const char *identity(Arena *arena, const char *path) {
  struct stat st;
  if (stat(path, &st)) return NULL;
  return arena_printf(arena, "%s, %lld bytes of %lld.%09ld", path, (long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

const char *nvrtc_path(Arena *arena, const char *named, const char **file, Text *why) {
  const char *found = NULL;
  if (!named) named = secure_getenv("LCWC_NVRTC");
  if (named) found = place_find(arena, named);
  for (size_t i = 0; !named && !found && i < COUNT_OF(nvrtc_place); i++)
    found = place_find(arena, nvrtc_place[i]);
  *file = found ? identity(arena, found) : NULL;
  if (*file) return found;
  if (named) text_add(why, "NVRTC cannot be loaded from %s: there is no such file", named);
  else text_add(why, "NVRTC was not found (libnvrtc.so.13, libnvrtc.so.12)");
  text_add(why, NVRTC_HELP);
  return NULL;
}
