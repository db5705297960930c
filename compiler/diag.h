/* diag.h: source texts, spans and messages. Goes in: file texts and (id, span, values). Comes
 * out: messages of the form of LANGUAGE.md section 6, sorted by position, printed once by
 * diags_print(). Nothing here ends the process: a pass reports, goes on, and its caller asks
 * diags_exit() afterwards. All ids, severities and texts are rows of diags.def.
 *
 *   diag_at(d, E0501, span, "add");              error[E0501]: cannot add tensors of ...
 *   diag_here(d, "tensor[128, 16, 16]");         text beside the carets of that snippet
 *   diag_label(d, left, "tensor[128, 32, 32]");  a second span of the same snippet: ----
 *   diag_equals(d, "height and width differ");      = height and width differ
 *   diag_note(d, other, "the right side was halved here");   note: with its own snippet
 *   diag_here(d, "stride is 2");                 text beside the carets of the note
 *   diag_trace(d, call, "in unit(128)");         note: with a position but no snippet
 *   diag_help(d, "insert `-> flatten`");         help: ...
 *
 * The calls after diag_at() attach to it, in order. A diagnostic equal in id and span to an
 * earlier one is dropped together with what is attached. Texts from files need no escaping
 * by the caller: control bytes and broken UTF-8 are escaped when printed. */
#ifndef LCW_DIAG_H
#define LCW_DIAG_H
#include <stdio.h>
#include "util.h"

/* ---- sources ---------------------------------------------------------------------------- */

/* A range of bytes of one file. File 0 is no file: a zeroed Span means "nowhere". */
typedef struct {
  uint32_t off, len;
  uint16_t file;
} Span;

typedef struct {
  const char *name;   /* as the user wrote it, relative to the root file's folder for imports */
  const char *text;   /* `size` bytes and a NUL; the BOM is kept and skipped by the lexer */
  size_t size;
  uint32_t *line;     /* offset of the start of each line; made on first use */
  uint32_t nline;
  bool prelude;       /* a file of stdlib/, or the text of a command line option */
} Source;

typedef struct {
  Arena *perm;
  Source *source; /* source[0] is empty; the prelude's files come next, then the user's */
  size_t nsource, capsource;
} Sources;

typedef struct {
  uint32_t line, column; /* from 1; columns count characters, tabs as one */
} Position;

void sources_init(Sources *s, Arena *perm);
/* Adds a text (not copied) and returns its number for Span.file. Also for `-D name=value`:
 * add the argument as a text of its own and errors in it show like those of a file. */
uint16_t source_add(Sources *s, const char *name, const char *text, size_t size);
Position source_position(Sources *s, Span at);
const char *source_name(const Sources *s, Span at);
/* The smallest span that covers both (of one file; else the first). */
Span span_join(Span a, Span b);
/* "file:line:column", in the arena of the sources. */
const char *span_text(Sources *s, Span at);

/* ---- messages --------------------------------------------------------------------------- */

/* How grave: ERROR exits 1, USAGE 2, DATA 3, DEVICE 4, LIMIT 6; all five print as "error". */
typedef enum {
  SEV_REMARK,
  SEV_NOTE,
  SEV_WARNING,
  SEV_ERROR,
  SEV_USAGE,
  SEV_DATA,
  SEV_DEVICE,
  SEV_LIMIT
} Severity;

typedef enum {
#define DIAG(id, slug, severity, text) DIAG_##id,
#include "diags.def"
#undef DIAG
  DIAG_COUNT
} DiagId;

/* One format per row, so that the compiler checks the arguments of diag_at(). */
#define DIAG(id, slug, severity, text) \
  static const char diag_format_##id[] __attribute__((unused)) = text;
#include "diags.def"
#undef DIAG

typedef struct {
  const char *code, *slug; /* "E0501", "shape-mismatch" */
  Severity severity;
  const char *format;
} DiagInfo;
extern const DiagInfo diag_info[DIAG_COUNT];

typedef struct DiagPart DiagPart;
typedef struct Diag Diag;
typedef enum { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER } ColorMode;

typedef struct {
  Arena *perm;
  Sources *sources;
  Diag *diag;         /* in the order of reporting */
  size_t ndiag, capdiag;
  size_t printed;     /* of them, already printed */
  uint32_t errors, warnings;
  uint32_t errors_shown, warnings_shown;
  uint32_t max_errors;  /* LIMIT_ERRORS */
  bool muted;           /* parts of a dropped message are dropped too */
  bool remarks;         /* -Wall: print SEV_REMARK */
  bool warnings_off;    /* -w */
  bool errors_only;     /* a file compiled once more: the rest was said */
  bool brief;           /* --diag=short: one line each */
  ColorMode color;
  int exit;             /* of the first error: 1, 2, 3, 4 or 6; 0 without errors */
} Diags;

void diags_init(Diags *d, Arena *perm, Sources *sources);
void diag_emit(Diags *d, DiagId id, const char *fmt, Span at, ...)
    __attribute__((format(printf, 3, 5)));
#define diag_at(d, id, ...) diag_emit((d), DIAG_##id, diag_format_##id, __VA_ARGS__)
void diag_here(Diags *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_label(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_equals(Diags *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void diag_note(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_trace(Diags *d, Span at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void diag_help(Diags *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Writes what was not yet printed, sorted by position, and at the end of an erroneous run
 * how many errors were left out. */
void diags_print(Diags *d, FILE *out);
/* 0, or the exit code of the first error. */
int diags_exit(const Diags *d);
/* The number of a code ("E0501") or slug ("shape-mismatch"), DIAG_COUNT if there is none. */
DiagId diag_find(const char *code);

#endif
