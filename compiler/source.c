/* source.c: the texts that spans point into. Goes in: names and bytes. Comes out: lines,
 * columns and names of positions. Lines are counted when the first position of a text is
 * asked for. */
#include <string.h>
#include "diag.h"

void sources_init(Sources *s, Arena *perm) {
  *s = (Sources){.perm = perm};
  PUSH(perm, s, source, (Source){.name = "<nowhere>", .text = ""});
}

uint16_t source_add(Sources *s, const char *name, const char *text, size_t size) {
  PUSH(s->perm, s, source, (Source){.name = name, .text = text, .size = size});
  return (uint16_t)(s->nsource - 1);
}

/* Fills the table of line starts. */
static void source_count_lines(Sources *s, Source *file) {
  uint32_t n = 1;
  for (size_t i = 0; i < file->size; i++) n += file->text[i] == '\n';
  file->line = NEW_ARRAY(s->perm, uint32_t, n);
  file->nline = 1;
  for (size_t i = 0; i < file->size; i++)
    if (file->text[i] == '\n') file->line[file->nline++] = (uint32_t)(i + 1);
}

/* Characters of UTF-8 text: bytes that do not continue one. */
static uint32_t count_characters(const char *s, size_t n) {
  uint32_t k = 0;
  for (size_t i = 0; i < n; i++) k += ((unsigned char)s[i] & 0xC0) != 0x80;
  return k;
}

Position source_position(Sources *s, Span at) {
  Source *file = &s->source[at.file < s->nsource ? at.file : 0];
  if (!file->line) source_count_lines(s, file);
  uint32_t low = 0, high = file->nline;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (file->line[middle] <= at.off) low = middle;
    else high = middle;
  }
  size_t off = size_min(at.off, file->size), begin = file->line[low];
  if (low == 0 && file->size >= 3 && memcmp(file->text, "\xEF\xBB\xBF", 3) == 0)
    begin = size_min(3, off);
  return (Position){low + 1, 1 + count_characters(file->text + begin, off - begin)};
}

const char *source_name(const Sources *s, Span at) {
  return s->source[at.file < s->nsource ? at.file : 0].name;
}

Span span_join(Span a, Span b) {
  if (a.file != b.file) return a;
  uint32_t begin = a.off < b.off ? a.off : b.off;
  uint32_t end = a.off + a.len > b.off + b.len ? a.off + a.len : b.off + b.len;
  return (Span){begin, end - begin, a.file};
}

const char *span_text(Sources *s, Span at) {
  Position where = source_position(s, at);
  return arena_printf(s->perm, "%s:%u:%u", source_name(s, at), where.line, where.column);
}
