/* diag.c: collecting messages. Goes in: diag_at() and the calls that attach to it. Comes out:
 * Diags, sorted and handed to diag_print.c for their form. The contracts are in diag.h. */
#include "diag_part.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "limits.h"

enum { KEPT_MAX = 1000 }; /* messages kept; beyond, errors are only counted */

const DiagInfo diag_info[DIAG_COUNT] = {
#define DIAG(id, slug, severity, text) {#id, #slug, SEV_##severity, text},
#include "diags.def"
#undef DIAG
};

void diags_init(Diags *d, Arena *perm, Sources *sources) {
  *d = (Diags){.perm = perm, .sources = sources, .max_errors = LIMIT_ERRORS};
}

static bool is_error(DiagId id) { return diag_info[id].severity >= SEV_ERROR; }

static int severity_exit(Severity severity) {
  static const int code[] = {
      [SEV_ERROR] = 1, [SEV_USAGE] = 2, [SEV_DATA] = 3, [SEV_DEVICE] = 4, [SEV_LIMIT] = 6};
  return severity < SEV_ERROR ? 0 : code[severity];
}

static const char *format_text(Arena *a, const char *fmt, va_list args) {
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, fmt, again);
  va_end(again);
  char *s = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
  if (n > 0) vsnprintf(s, (size_t)n + 1, fmt, args);
  return s;
}

/* True for what would be said twice, or is not wanted. */
static bool is_dropped(const Diags *d, DiagId id, Span at) {
  Severity severity = diag_info[id].severity;
  if (severity == SEV_REMARK && !d->remarks) return true;
  if (severity == SEV_WARNING && d->warnings_off) return true;
  if (severity < SEV_ERROR && d->errors_only) return true;
  for (size_t i = 0; at.file && d->ndiag < KEPT_MAX && i < d->ndiag; i++) {
    const Diag *e = &d->diag[i];
    if (e->id == id && e->at.file == at.file && e->at.off == at.off && e->at.len == at.len)
      return true;
  }
  return false;
}

/* Whether the text is that of `-D` or `--set`: what is wrong in it is a wrong command line. */
static bool in_option(const Diags *d, Span at) {
  const Source *s = &d->sources->source[at.file < d->sources->nsource ? at.file : 0];
  return s->prelude && *s->name == '-';
}

void diag_emit(Diags *d, DiagId id, const char *fmt, Span at, ...) {
  d->muted = is_dropped(d, id, at);
  if (d->muted) return;
  Severity severity = diag_info[id].severity;
  if (is_error(id)) d->errors++;
  if (severity == SEV_WARNING) d->warnings++;
  if (severity == SEV_ERROR && in_option(d, at)) severity = SEV_USAGE;
  if (!d->exit) d->exit = severity_exit(severity);
  d->muted = d->ndiag >= KEPT_MAX;
  if (d->muted) return;
  va_list args;
  va_start(args, at);
  Diag message = {.id = id, .at = at, .text = format_text(d->perm, fmt, args), .order = d->ndiag};
  va_end(args);
  PUSH(d->perm, d, diag, message);
}

/* Attaches a part to the message reported last. */
static void diag_attach(Diags *d, PartKind kind, Span at, const char *fmt, va_list args) {
  if (d->muted || d->ndiag == 0) return;
  Diag *last = &d->diag[d->ndiag - 1];
  DiagPart part = {kind, at, format_text(d->perm, fmt, args)};
  PUSH(d->perm, last, part, part);
}

#define ATTACH(kind, at)              \
  va_list args;                       \
  va_start(args, fmt);                \
  diag_attach(d, kind, at, fmt, args); \
  va_end(args)

static const Span nowhere = {0, 0, 0};

void diag_here(Diags *d, const char *fmt, ...) { ATTACH(PART_HERE, nowhere); }
void diag_label(Diags *d, Span at, const char *fmt, ...) { ATTACH(PART_LABEL, at); }
void diag_equals(Diags *d, const char *fmt, ...) { ATTACH(PART_EQUALS, nowhere); }
void diag_note(Diags *d, Span at, const char *fmt, ...) { ATTACH(PART_NOTE, at); }
void diag_trace(Diags *d, Span at, const char *fmt, ...) { ATTACH(PART_TRACE, at); }
void diag_help(Diags *d, const char *fmt, ...) { ATTACH(PART_HELP, nowhere); }

/* By file, offset, then order of reporting. */
static int diag_compare(const void *a, const void *b) {
  const Diag *x = a, *y = b;
  if (x->at.file != y->at.file) return x->at.file < y->at.file ? -1 : 1;
  if (x->at.off != y->at.off) return x->at.off < y->at.off ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

static bool use_color(const Diags *d, FILE *out) {
  const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
  if (d->color != COLOR_AUTO) return d->color == COLOR_ALWAYS;
  return isatty(fileno(out)) && !(no_color && *no_color) && !(term && strcmp(term, "dumb") == 0);
}

/* Counts the message; false when as many were shown as are wanted. */
static bool count_shown(Diags *d, DiagId id) {
  uint32_t *shown = is_error(id) ? &d->errors_shown : &d->warnings_shown;
  if (d->max_errors && *shown >= d->max_errors) return false;
  ++*shown;
  return true;
}

/* Says how many errors were left out. */
static void add_remainder(const Diags *d, Text *text) {
  uint32_t more = d->errors - d->errors_shown;
  if (more == 0) return;
  text_add(text, "note: ");
  text_add(text, diag_format_N0800, more, more == 1 ? "" : "s");
  text_add(text, "\n");
}

void diags_print(Diags *d, FILE *out) {
  Arena scratch;
  Text text;
  bool color = use_color(d, out), left = d->printed < d->ndiag;
  arena_init(&scratch, "messages", 0);
  text_init(&text, &scratch);
  if (left) qsort(d->diag + d->printed, d->ndiag - d->printed, sizeof *d->diag, diag_compare);
  for (; d->printed < d->ndiag; d->printed++) {
    const Diag *message = &d->diag[d->printed];
    if (!count_shown(d, message->id)) continue;
    if (d->brief) diag_render_short(&text, d->sources, message);
    else diag_render(&text, d->sources, message, color);
  }
  if (left && !d->brief) add_remainder(d, &text);
  if (text.n) fwrite(text.s, 1, text.n, out);
  fflush(out);
  arena_release(&scratch);
}

int diags_exit(const Diags *d) { return d->exit; }

DiagId diag_find(const char *code) {
  for (int id = 0; id < DIAG_COUNT; id++) {
    const char *a = diag_info[id].slug, *b = code;
    while (*a && (*a == *b || (*a == '_' && *b == '-'))) a++, b++;
    if ((!*a && !*b) || strcasecmp(diag_info[id].code, code) == 0) return (DiagId)id;
  }
  return DIAG_COUNT;
}
