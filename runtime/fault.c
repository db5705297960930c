/* fault.c: texts of failures, and memory that fails with one. */
#include "fault.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fault_set(Fault *f, int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(f->text, sizeof f->text, fmt, ap);
  va_end(ap);
  f->code = code;
  return false;
}

void fault_add(Fault *f, const char *fmt, ...) {
  size_t n = strlen(f->text);
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(f->text + n, sizeof f->text - n, fmt, ap);
  va_end(ap);
}

/* Control bytes could drive the terminal, so they are shown as \xNN; line ends stay. */
static void print_text(const char *word, const char *text) {
  fprintf(stderr, "%s: ", word);
  for (const char *s = text; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if ((c < 0x20 && c != '\n') || c == 0x7f) fprintf(stderr, "\\x%02x", c);
    else fputc(c, stderr);
  }
  fputc('\n', stderr);
}

int fault_print(const Fault *f) {
  print_text("error", f->text);
  return f->code;
}

void fault_note(const Fault *f) { print_text("note", f->text); }

void *memory_new(size_t count, size_t size, const char *what, Fault *f) {
  void *p = calloc(count ? count : 1, size ? size : 1);
  if (!p) fault_set(f, LCW_LIMIT, "no memory for %s (%zu x %zu bytes)", what, count, size);
  return p;
}
