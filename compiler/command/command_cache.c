/* command_cache.c: `lcwc cache list` prints what is kept (compiled images, the version of NVRTC),
 * newest first; `lcwc cache clear` removes them, and nothing else. */
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "cuda_model.h"

static void list_print(const CudaEntries *all, const char *folder, bool json, Text *out) {
  if (json) text_add(out, "{\"schema\":\"lcwc.cache/1\",\"folder\":"), text_json(out, folder);
  if (json) text_add(out, ",\"bytes\":%llu,\"entries\":[", (unsigned long long)all->bytes);
  for (uint32_t i = 0; i < all->nentry; i++) {
    const CudaEntry *e = &all->entry[i];
    unsigned long long bytes = (unsigned long long)e->bytes;
    if (json) text_add(out, "%s{\"bytes\":%llu,\"title\":", i ? "," : "", bytes);
    if (json) text_json(out, e->title), text_add(out, "}");
    else text_add(out, "%10llu  %.8s  %s\n", bytes, e->name, e->title);
  }
  if (json) text_add(out, "]}\n");
  else
    text_add(out, "%10llu  bytes in %u entries, %s\n", (unsigned long long)all->bytes, all->nentry,
             folder);
}

static int cache_clear(const CudaCache *c, const CudaEntries *all, Text *out) {
  for (uint32_t i = 0; i < all->nentry; i++)
    if (!cuda_cache_remove(c, &all->entry[i]))
      return command_fail(LCW_DATA, "%s/%s: cannot be removed", c->folder, all->entry[i].name);
  text_add(out, "%u entries removed from %s\n", all->nentry, c->folder);
  return LCW_OK;
}

static int cache_run(const Arguments *a, Arena *arena) {
  const char *word = a->place[0], *folder = cuda_cache_folder(arena);
  bool clear = !strcmp(word, "clear");
  CudaCache c = {.fd = -1, .folder = folder};
  CudaEntries all = {0};
  Text out, note;
  text_init(&out, arena), text_init(&note, arena);
  if (!clear && strcmp(word, "list"))
    return command_fail(LCW_USAGE, "cache knows no `%s`\nhelp: list, clear", word);
  if (!folder) return command_fail(LCW_DATA, "neither XDG_CACHE_HOME nor HOME is set");
  if (cuda_cache_open(&c, arena, folder, false, &note)) cuda_cache_list(&c, arena, &all);
  if (note.n) return command_fail(LCW_DATA, "%s", note.s);
  int code = LCW_OK;
  if (clear) code = cache_clear(&c, &all, &out);
  else list_print(&all, folder, a->run.json, &out);
  cuda_cache_close(&c);
  return code ? code : text_write(&out);
}

int command_cache(int argc, char **argv) {
  Arguments a;
  Arena arena;
  int code = arguments_parse(&a, "cache", false, 1, 1, argc, argv);
  if (code >= 0) return code;
  arena_init(&arena, "perm", 0);
  code = cache_run(&a, &arena);
  arena_release(&arena);
  return code;
}
