/* json.c: see json.h. */
#include "json.h"
#include <stdarg.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "decimal.h"

enum { JSON_DEPTH = 8 };

/* The first fault stays. */
static bool json_bad(Json *j) {
  j->bad = true;
  return false;
}

static void skip_space(Json *j) {
  while (j->p < j->end && (*j->p == ' ' || *j->p == '\n' || *j->p == '\t' || *j->p == '\r')) j->p++;
}

bool json_next(Json *j, char c) {
  skip_space(j);
  if (j->bad || j->p == j->end || *j->p != c) return false;
  j->p++;
  return true;
}

bool json_expect(Json *j, char c) { return json_next(j, c) || json_bad(j); }

bool json_end(Json *j) {
  skip_space(j);
  return (!j->bad && j->p == j->end) || json_bad(j);
}

/* Four hexadecimal digits. */
static bool read_hex(Json *j, uint32_t *out) {
  *out = 0;
  for (int i = 0; i < 4; i++, j->p++) {
    char c = j->p < j->end ? *j->p : 0;
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    if (digit < 0) return json_bad(j);
    *out = *out << 4 | (uint32_t)digit;
  }
  return true;
}

/* Writes a code point. */
static char *put_utf8(char *out, uint32_t c) {
  if (c < 0x80) {
    *out++ = (char)c;
  } else if (c < 0x800) {
    *out++ = (char)(0xc0 | c >> 6);
    *out++ = (char)(0x80 | (c & 63));
  } else if (c < 0x10000) {
    *out++ = (char)(0xe0 | c >> 12);
    *out++ = (char)(0x80 | (c >> 6 & 63));
    *out++ = (char)(0x80 | (c & 63));
  } else {
    *out++ = (char)(0xf0 | c >> 18);
    *out++ = (char)(0x80 | (c >> 12 & 63));
    *out++ = (char)(0x80 | (c >> 6 & 63));
    *out++ = (char)(0x80 | (c & 63));
  }
  return out;
}

/* After "\u": one code point, of one escape or of a pair. NUL is refused: it would end a name. */
static bool read_escape(Json *j, char **out) {
  uint32_t c, low;
  if (!read_hex(j, &c)) return false;
  if (c >= 0xd800 && c < 0xdc00) {
    if (j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u') return json_bad(j);
    j->p += 2;
    if (!read_hex(j, &low) || low < 0xdc00 || low > 0xdfff) return json_bad(j);
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  if (c == 0 || (c >= 0xdc00 && c < 0xe000)) return json_bad(j);
  *out = put_utf8(*out, c);
  return true;
}

char *json_string(Json *j) {
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (!json_expect(j, '"')) return NULL;
  char *start = j->p, *out = start;
  while (j->p < j->end && *j->p != '"') {
    char c = *j->p++;
    if ((unsigned char)c < 0x20) return json_bad(j), NULL;
    if (c != '\\') {
      *out++ = c;
      continue;
    }
    char e = j->p < j->end ? *j->p++ : 0;
    const char *known = e ? strchr(from, e) : NULL;
    if (known)
      *out++ = to[known - from];
    else if (e != 'u' || !read_escape(j, &out))
      return json_bad(j), NULL;
  }
  if (j->p == j->end) return json_bad(j), NULL;
  j->p++;
  *out = 0; /* at the latest where the closing quote stood */
  return start;
}

bool json_whole(Json *j, uint64_t *out) {
  char *first;
  skip_space(j);
  first = j->p;
  *out = 0;
  for (; j->p < j->end && *j->p >= '0' && *j->p <= '9'; j->p++)
    if (__builtin_mul_overflow(*out, 10u, out) ||
        __builtin_add_overflow(*out, (uint64_t)(*j->p - '0'), out))
      return json_bad(j);
  bool leading_zero = j->p - first > 1 && *first == '0';
  return (j->p > first && !leading_zero && !j->bad) || json_bad(j);
}

/* A word that is next, such as null. */
static bool take_word(Json *j, const char *word) {
  size_t n = strlen(word);
  skip_space(j);
  if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n)) return false;
  j->p += n;
  return true;
}

bool json_number(Json *j, double *out) {
  char text[64];
  size_t n = 0;
  if (take_word(j, "null")) {
    *out = NAN;
    return true;
  }
  while (j->p < j->end && n + 1 < sizeof text && strchr("+-.0123456789eE", *j->p) && *j->p)
    text[n++] = *j->p++;
  text[n] = 0;
  char *end;
  *out = strtod(text, &end);
  return (n > 0 && *end == 0) || json_bad(j);
}

/* One scalar, or an opening bracket that the caller counts. */
static bool skip_scalar(Json *j) {
  double x;
  skip_space(j);
  if (j->p == j->end) return json_bad(j);
  if (*j->p == '"') return json_string(j) != NULL;
  if (take_word(j, "true") || take_word(j, "false")) return true;
  return json_number(j, &x);
}

/* Lenient about where commas stand: what is skipped is not used. */
bool json_skip(Json *j) {
  int depth = 0;
  do {
    if (json_next(j, '{') || json_next(j, '[')) {
      if (++depth > JSON_DEPTH) return json_bad(j);
    } else if (depth && (json_next(j, '}') || json_next(j, ']'))) {
      depth--;
    } else if (depth && (json_next(j, ',') || json_next(j, ':'))) {
      continue;
    } else if (!skip_scalar(j)) {
      return false;
    }
  } while (depth > 0);
  return true;
}

/* Bytes of the character that `c` begins, and its smallest code point; 0: none. */
static int utf8_length(unsigned char c, uint32_t *least) {
  *least = c < 0x80 ? 0 : c < 0xe0 ? 0x80 : c < 0xf0 ? 0x800 : 0x10000;
  return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

bool utf8_proper(const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    unsigned char c = (unsigned char)s[i];
    uint32_t least;
    int k = utf8_length(c, &least);
    if (k == 0 || (size_t)k > n - i) return false;
    uint32_t code = k == 1 ? c : c & (0x7fu >> k);
    for (int b = 1; b < k; b++) {
      if (((unsigned char)s[i + (size_t)b] & 0xc0) != 0x80) return false;
      code = code << 6 | ((unsigned char)s[i + (size_t)b] & 63u);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    i += (size_t)k;
  }
  return true;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Room for n more bytes and a NUL. */
static bool lines_room(Lines *l, size_t n) {
  if (l->bad || n < l->cap - l->n) return !l->bad;
  size_t cap = l->cap ? l->cap : 256;
  while (cap - l->n <= n) cap *= 2;
  char *s = realloc(l->s, cap);
  if (!s) return l->bad = true, false;
  l->s = s;
  l->cap = cap;
  return true;
}

void lines_bytes(Lines *l, const char *s, size_t n) {
  if (!lines_room(l, n)) return;
  memcpy(l->s + l->n, s, n);
  l->n += n;
  l->s[l->n] = 0;
}

void lines_add(Lines *l, const char *fmt, ...) {
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n >= 0 && lines_room(l, (size_t)n)) {
    vsnprintf(l->s + l->n, (size_t)n + 1, fmt, again);
    l->n += (size_t)n;
  }
  va_end(again);
}

void lines_quoted(Lines *l, const char *s) {
  bool whole = utf8_proper(s, strlen(s));
  lines_bytes(l, "\"", 1);
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '"' || c == '\\') lines_add(l, "\\%c", c);
    else if (c == '\n') lines_bytes(l, "\\n", 2);
    else if (c < 0x20 || c == 0x7f) lines_add(l, "\\u%04x", c);
    else if (c >= 0x80 && !whole) lines_bytes(l, "?", 1);
    else lines_bytes(l, s, 1);
  }
  lines_bytes(l, "\"", 1);
}

void lines_pair(Lines *l, const char *key, const char *value) {
  lines_add(l, "\"%s\":", key);
  lines_quoted(l, value);
  lines_bytes(l, ",", 1);
}

void lines_number(Lines *l, const char *key, double x) {
  char text[32];
  decimal_text(text, x);
  lines_add(l, "\"%s\":%s,", key, text);
}

void lines_whole(Lines *l, const char *key, uint64_t x) {
  lines_add(l, "\"%s\":%llu,", key, (unsigned long long)x);
}

void lines_close(Lines *l, const char *close) {
  if (!l->bad && l->n && l->s[l->n - 1] == ',') l->n--;
  lines_bytes(l, close, strlen(close));
}

void lines_free(Lines *l) {
  free(l->s);
  *l = (Lines){0};
}
