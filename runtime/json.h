/* json.h: JSON, written and read. Reading is strict and in place: the text is a mutable copy,
 * strings are unescaped where they stand and closed with NUL. Every function gives false and
 * sets `bad` at the first thing that is not as asked. */
#ifndef LCW_JSON_H
#define LCW_JSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Json { char *p, *end; bool bad; } Json;

static inline Json json_of(char *text, size_t n) { return (Json){text, text + n, false}; }
/* True and past it if `c` is next (after spaces); no fault otherwise. */
bool json_next(Json *j, char c);
/* The same, and a fault otherwise. */
bool json_expect(Json *j, char c);
/* NULL on a fault; never holds a NUL inside. */
char *json_string(Json *j);
bool json_whole(Json *j, uint64_t *out); /* plain digits */
bool json_number(Json *j, double *out);  /* null: NaN */
bool json_skip(Json *j);                 /* any value, at most 8 deep */
bool json_end(Json *j);                  /* only spaces are left */
bool utf8_proper(const char *s, size_t n);

/* Growing text. `bad`: no memory; then `s` may be NULL. */
typedef struct Lines { char *s; size_t n, cap; bool bad; } Lines;
void lines_add(Lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void lines_bytes(Lines *l, const char *s, size_t n);
void lines_quoted(Lines *l, const char *s); /* a JSON string; bytes that are not UTF-8 become ? */
void lines_pair(Lines *l, const char *key, const char *value);  /* "key":"value", */
void lines_number(Lines *l, const char *key, double x);         /* "key":x, */
void lines_whole(Lines *l, const char *key, uint64_t x);        /* "key":x, */
/* Puts `close` where the comma of the last pair stands. */
void lines_close(Lines *l, const char *close);
void lines_free(Lines *l);
#endif
