/* util.h: what every file of the compiler stands on: arenas, checked arithmetic, interned
 * names, growing text and growing arrays. No function here returns NULL: when memory (or an
 * arena's cap) is exhausted, control leaves through the arena's `fail` jump buffer if one is
 * set, else the process prints one line and exits 6. Nothing is freed one by one: an arena
 * is released whole. Two lifetimes exist, `perm` (one compilation) and `pass` (one pass). */
#ifndef LCW_UTIL_H
#define LCW_UTIL_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- arenas ---------------------------------------------------------------------------- */

typedef struct ArenaBlock ArenaBlock;
typedef struct Arena {
  const char *name;   /* "perm" or "pass", for the out-of-memory message */
  ArenaBlock *block;  /* newest first */
  ArenaBlock *array;  /* those of large arrays that grow */
  size_t used, cap;   /* bytes handed out; largest allowed (0: 1 GiB) */
  jmp_buf *fail;      /* taken on exhaustion, or NULL */
} Arena;

void arena_init(Arena *a, const char *name, size_t cap);
void *arena_alloc(Arena *a, size_t bytes); /* zeroed, 16-byte aligned */
void *arena_array(Arena *a, size_t count, size_t size); /* checked product */
/* The rest is zeroed; a large array grows in place, a small one is copied. */
void *arena_grow(Arena *a, void *old, size_t old_bytes, size_t new_bytes);
char *arena_text(Arena *a, const char *s, size_t n); /* copy with a closing NUL */
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void arena_release(Arena *a); /* frees every block; the arena may be used again */

#define NEW(arena, T) ((T *)arena_alloc((arena), sizeof(T)))
#define NEW_ARRAY(arena, T, n) ((T *)arena_array((arena), (size_t)(n), sizeof(T)))

/* Appends to `v` (fields: item pointer, n, cap), doubling in `arena`. */
#define PUSH(arena, v, field, ...)                                                            \
  do {                                                                                        \
    if ((v)->n##field == (v)->cap##field) {                                                   \
      size_t old_ = (v)->cap##field * sizeof *(v)->field;                                     \
      (v)->cap##field = (v)->cap##field ? (v)->cap##field * 2 : 16;                           \
      (v)->field = arena_grow((arena), (v)->field, old_, (v)->cap##field * sizeof *(v)->field); \
    }                                                                                         \
    (v)->field[(v)->n##field++] = __VA_ARGS__;                                                \
  } while (0)

/* ---- checked arithmetic: false on overflow --------------------------------------------- */

bool size_mul(size_t a, size_t b, size_t *out);
bool size_add(size_t a, size_t b, size_t *out);
bool size_align(size_t n, size_t to, size_t *out); /* `to` a power of two */

/* ---- names: interned identifiers, compared by number; 0 is the empty name -------------- */

typedef uint32_t Name;
typedef struct Names Names;
Names *names_new(Arena *perm);
Name name_of(Names *t, const char *s, size_t n);
Name name_of_text(Names *t, const char *s);
const char *name_text(const Names *t, Name n);
Name name_nearest(const Names *t, Name wrong, const Name *candidate,
                  size_t n); /* did you mean; 0 none */

/* ---- growing text ---------------------------------------------------------------------- */

typedef struct Text {
  Arena *arena;
  char *s; /* always NUL-terminated once something was added */
  size_t n, cap;
} Text;
void text_init(Text *t, Arena *a);
void text_add(Text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_bytes(Text *t, const char *s, size_t n);
void text_escaped(Text *t, const char *s, size_t n); /* control and non-UTF-8 bytes as \xNN */
void text_json(Text *t, const char *s); /* a quoted JSON string */

/* Bytes of the longest prefix that is UTF-8; n when all of it is. */
size_t utf8_valid(const char *s, size_t n);

/* ---- numbers, independent of the locale ------------------------------------------------ */

bool number_parse(const char *s, size_t n,
                  double *out); /* decimal, optional exponent; whole input */
bool integer_parse(const char *s, size_t n, int64_t *out);
const char *number_text(Arena *a, double x);              /* shortest that reads back equal */

/* ---- hashes ---------------------------------------------------------------------------- */

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed); /* by words of 8 bytes */

/* ---- small helpers --------------------------------------------------------------------- */

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))
static inline size_t size_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t size_min(size_t a, size_t b) { return a < b ? a : b; }

#endif
