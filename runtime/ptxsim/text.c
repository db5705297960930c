/* text.c: text that grows, and memory that goes all at once. */
#include "part.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sim_text_add(SimText *t, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int n = vsnprintf(NULL, 0, format, list);
  va_end(list);
  if (n < 0) return;
  if (t->length + (size_t)n + 1 > t->room) {
    size_t room = 2 * t->room + (size_t)n + 64;
    char *text = realloc(t->text, room);
    if (!text) return;
    t->text = text, t->room = room;
  }
  va_start(list, format);
  vsnprintf(t->text + t->length, t->room - t->length, format, list);
  va_end(list);
  t->length += (size_t)n;
}

void sim_text_release(SimText *t) {
  free(t->text);
  *t = (SimText){0};
}

void sim_text_json(SimText *t, const char *s) {
  sim_text_add(t, "\"");
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') sim_text_add(t, "\\%c", c);
    else if (c < 0x20) sim_text_add(t, "\\u%04x", c);
    else sim_text_add(t, "%c", c);
  }
  sim_text_add(t, "\"");
}

struct PoolChunk { PoolChunk *before; size_t used, room; _Alignas(64) unsigned char bytes[]; };

enum { CHUNK = 1 << 16, ALIGN = 64 };

void *pool_alloc(Pool *p, size_t bytes) {
  size_t n = (bytes + ALIGN - 1) / ALIGN * ALIGN;
  if (!p->last || p->last->room - p->last->used < n) {
    size_t room = n > CHUNK ? n : CHUNK;
    PoolChunk *c = NULL;
    if (posix_memalign((void **)&c, ALIGN, sizeof *c + room)) abort();
    memset(c, 0, sizeof *c + room);
    c->before = p->last, c->room = room;
    p->last = c;
  }
  void *at = p->last->bytes + p->last->used;
  p->last->used += n;
  return at;
}

void pool_release(Pool *p) {
  for (PoolChunk *c = p->last, *before; c; c = before) before = c->before, free(c);
  p->last = NULL;
}

void *pool_grow(Pool *p, void *array, size_t used, size_t *room, size_t each) {
  if (used < *room) return array;
  *room = *room ? 2 * *room : 16;
  void *larger = pool_alloc(p, *room * each);
  if (used) memcpy(larger, array, used * each);
  return larger;
}
