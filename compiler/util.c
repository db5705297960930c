/* util.c: arenas, checked arithmetic, names, text, numbers and hashes; the contracts are in
 * util.h. Goes in: sizes and bytes. Comes out: memory that lives as long as its arena.
 * Convention: nothing here returns NULL and nothing here keeps state of its own. */
#include "util.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
/* As in <sanitizer/asan_interface.h>, which not every compiler brings along. */
void __asan_poison_memory_region(void const volatile *p, size_t n);
void __asan_unpoison_memory_region(void const volatile *p, size_t n);
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
enum { GAP = 16 }; /* red zone between two objects of an arena */
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
enum { GAP = 0 };
#endif

/* ---- arenas ---------------------------------------------------------------------------- */

enum { BLOCK_MIN = 16 << 10, BLOCK_MAX = 1 << 20, ARENA_CAP = 1 << 30 };

/* An array of ARRAY_LARGE bytes that grows moves once more, into a block of its own: addresses for
 * ARRAY_ROOM times as much, of which it uses what it fills. */
enum { ARRAY_LARGE = 1 << 20, ARRAY_ROOM = 64 };

struct ArenaBlock {
  ArenaBlock *next;
  size_t used, size; /* of the bytes that follow the header */
  char pad[8];       /* keeps the header a multiple of 16 */
};

/* Names the arena; a cap of 0 stands for 1 GiB. */
void arena_init(Arena *a, const char *name, size_t cap) {
  *a = (Arena){.name = name, .cap = cap ? cap : (size_t)ARENA_CAP};
}

/* Leaves by the jump buffer, or ends the process with one line. */
static _Noreturn void arena_exhausted(Arena *a, size_t bytes) {
  if (a->fail) longjmp(*a->fail, 1);
  fprintf(stderr, "lcwc: out of memory: arena `%s` holds %zu bytes of %zu, %zu more were asked\n",
          a->name, a->used, a->cap, bytes);
  exit(6);
}

/* Puts a fresh block of at least `bytes` in front. */
static void arena_add_block(Arena *a, size_t bytes) {
  size_t size = a->block ? size_min(a->block->size * 2, BLOCK_MAX) : BLOCK_MIN;
  size = size_max(size, bytes);
  ArenaBlock *b = calloc(1, sizeof *b + size);
  if (!b) arena_exhausted(a, bytes);
  b->next = a->block;
  b->size = size;
  a->block = b;
  POISON(b + 1, size);
}

void *arena_alloc(Arena *a, size_t bytes) {
  size_t need;
  if (!size_align(bytes ? bytes : 1, 16, &need) || !size_add(need, GAP, &need) || need > a->cap ||
      a->used > a->cap - need)
    arena_exhausted(a, bytes);
  if (!a->block || a->block->size - a->block->used < need) arena_add_block(a, need);
  ArenaBlock *b = a->block;
  char *p = (char *)(b + 1) + b->used;
  b->used += need;
  a->used += need;
  UNPOISON(p, bytes);
  return p;
}

void *arena_array(Arena *a, size_t count, size_t size) {
  size_t bytes;
  if (!size_mul(count, size, &bytes)) arena_exhausted(a, SIZE_MAX);
  return arena_alloc(a, bytes);
}

/* Counts `bytes` more, or ends. */
static void arena_count(Arena *a, size_t bytes) {
  if (bytes > a->cap || a->used > a->cap - bytes) arena_exhausted(a, bytes);
  a->used += bytes;
}

/* A block for one array that will grow; NULL if the system gives no addresses, which costs only a copy. */
static ArenaBlock *array_block(Arena *a, size_t bytes) {
  size_t size;
  if (!size_mul(bytes, ARRAY_ROOM, &size) || !size_add(size, sizeof(ArenaBlock), &size)) return NULL;
  ArenaBlock *b = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (b == MAP_FAILED) return NULL;
  *b = (ArenaBlock){.next = a->array, .size = size - sizeof *b};
  a->array = b;
  return b;
}

/* The block of an array that grows, if it has one with room. */
static ArenaBlock *array_find(const Arena *a, const void *array, size_t bytes) {
  ArenaBlock *b = a->array;
  while (b && b + 1 != array) b = b->next;
  return b && bytes <= b->size ? b : NULL;
}

void *arena_grow(Arena *a, void *old, size_t old_bytes, size_t new_bytes) {
  ArenaBlock *b = NULL;
  void *p = old;
  if (new_bytes >= ARRAY_LARGE && !(b = array_find(a, old, new_bytes))) b = array_block(a, new_bytes);
  if (b) {
    p = b + 1;
    if (new_bytes > b->used) arena_count(a, new_bytes - b->used), b->used = new_bytes;
  } else {
    p = arena_alloc(a, new_bytes);
  }
  if (old_bytes && p != old) memcpy(p, old, size_min(old_bytes, new_bytes));
  return p;
}

char *arena_text(Arena *a, const char *s, size_t n) {
  size_t bytes;
  if (!size_add(n, 1, &bytes)) arena_exhausted(a, n);
  char *p = arena_alloc(a, bytes);
  if (n) memcpy(p, s, n);
  return p;
}

char *arena_printf(Arena *a, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(NULL, 0, fmt, args);
  va_end(args);
  char *p = arena_alloc(a, n < 0 ? 1 : (size_t)n + 1);
  va_start(args, fmt);
  if (n > 0) vsnprintf(p, (size_t)n + 1, fmt, args);
  va_end(args);
  return p;
}

void arena_release(Arena *a) {
  for (ArenaBlock *b = a->block, *next; b; b = next) {
    next = b->next;
    UNPOISON(b + 1, b->size);
    free(b);
  }
  for (ArenaBlock *b = a->array, *next; b; b = next) {
    next = b->next;
    munmap(b, b->size + sizeof *b);
  }
  a->block = a->array = NULL;
  a->used = 0;
}

/* ---- checked arithmetic ---------------------------------------------------------------- */

bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

bool size_align(size_t n, size_t to, size_t *out) {
  if (!size_add(n, to - 1, out)) return false;
  *out &= ~(to - 1);
  return true;
}

/* ---- names ----------------------------------------------------------------------------- */

typedef struct {
  const char *s;
  size_t n;
  uint64_t hash;
} NameEntry;

struct Names {
  Arena *arena;
  NameEntry *entry; /* entry[0] is the empty name */
  size_t nentry, capentry;
  uint32_t *slot; /* open addressing; 0: free */
  size_t nslot;   /* a power of two, at least twice nentry */
};

Names *names_new(Arena *perm) {
  Names *t = NEW(perm, Names);
  t->arena = perm;
  t->nslot = 256;
  t->slot = NEW_ARRAY(perm, uint32_t, t->nslot);
  PUSH(perm, t, entry, (NameEntry){.s = ""});
  return t;
}

/* The slot that holds the name or that is free for it. */
static size_t names_find(const Names *t, const char *s, size_t n, uint64_t hash) {
  size_t i = (size_t)hash & (t->nslot - 1);
  while (t->slot[i]) {
    const NameEntry *e = &t->entry[t->slot[i]];
    if (e->hash == hash && e->n == n && memcmp(e->s, s, n) == 0) return i;
    i = (i + 1) & (t->nslot - 1);
  }
  return i;
}

/* Doubles the table. */
static void names_rehash(Names *t) {
  t->nslot *= 2;
  t->slot = NEW_ARRAY(t->arena, uint32_t, t->nslot);
  for (size_t k = 1; k < t->nentry; k++) {
    const NameEntry *e = &t->entry[k];
    t->slot[names_find(t, e->s, e->n, e->hash)] = (uint32_t)k;
  }
}

Name name_of(Names *t, const char *s, size_t n) {
  if (n == 0) return 0;
  uint64_t hash = hash_bytes(s, n, 0);
  size_t i = names_find(t, s, n, hash);
  if (t->slot[i]) return t->slot[i];
  Name name = (Name)t->nentry;
  t->slot[i] = name;
  PUSH(t->arena, t, entry, (NameEntry){arena_text(t->arena, s, n), n, hash});
  if (t->nentry * 2 > t->nslot) names_rehash(t);
  return name;
}

Name name_of_text(Names *t, const char *s) { return name_of(t, s, strlen(s)); }

const char *name_text(const Names *t, Name n) { return t->entry[n < t->nentry ? n : 0].s; }

static int int_min(int a, int b) { return a < b ? a : b; }

/* Edit distance with transpositions (Damerau, restricted) of texts of at most 63 bytes. */
static int edit_distance(const char *a, size_t n, const char *b, size_t m) {
  int row[3][65];
  for (size_t j = 0; j <= m; j++) row[0][j] = (int)j;
  for (size_t i = 1; i <= n; i++) {
    int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
    now[0] = (int)i;
    for (size_t j = 1; j <= m; j++) {
      now[j] = int_min(int_min(up[j], now[j - 1]) + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = int_min(now[j], up2[j - 2] + 1);
    }
  }
  return row[n % 3][m];
}

/* The candidate within a third of the word's length of `wrong`, the nearest first. */
Name name_nearest(const Names *t, Name wrong, const Name *candidate, size_t n) {
  const NameEntry *w = &t->entry[wrong];
  int best = (int)w->n / 3 + 1;
  Name found = 0;
  if (w->n > 63) return 0;
  for (size_t i = 0; i < n; i++) {
    const NameEntry *c = &t->entry[candidate[i]];
    if (c->n == 0 || c->n > 63 || candidate[i] == wrong) continue;
    int d = edit_distance(w->s, w->n, c->s, c->n);
    if (d < best || (d == best && !found && d < (int)size_max(w->n, c->n))) {
      best = d;
      found = candidate[i];
    }
  }
  return found;
}

/* ---- growing text ---------------------------------------------------------------------- */

void text_init(Text *t, Arena *a) { *t = (Text){.arena = a}; }

/* Makes room for n more bytes and the closing NUL. */
static void text_reserve(Text *t, size_t n) {
  size_t need;
  if (!size_add(t->n, n, &need) || !size_add(need, 1, &need)) arena_exhausted(t->arena, n);
  if (need <= t->cap) return;
  size_t cap = size_max(need, t->cap ? t->cap * 2 : 64);
  t->s = arena_grow(t->arena, t->s, t->n, cap);
  t->cap = cap;
}

void text_bytes(Text *t, const char *s, size_t n) {
  text_reserve(t, n);
  if (n) memcpy(t->s + t->n, s, n);
  t->n += n;
  t->s[t->n] = 0;
}

void text_add(Text *t, const char *fmt, ...) {
  char small[256];
  va_list args;
  va_start(args, fmt);
  int n = vsnprintf(small, sizeof small, fmt, args);
  va_end(args);
  if (n < 0) return;
  if ((size_t)n < sizeof small) {
    text_bytes(t, small, (size_t)n);
    return;
  }
  text_reserve(t, (size_t)n);
  va_start(args, fmt);
  vsnprintf(t->s + t->n, (size_t)n + 1, fmt, args);
  va_end(args);
  t->n += (size_t)n;
}

/* Length of the UTF-8 sequence at s, 0 when it is not well formed. */
static size_t utf8_length(const unsigned char *s, size_t n) {
  size_t k = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3
             : s[0] >= 0xF0 && s[0] < 0xF5 ? 4 : 0;
  if (k == 0 || k > n) return 0;
  for (size_t i = 1; i < k; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  if ((s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xED && s[1] > 0x9F) ||
      (s[0] == 0xF0 && s[1] < 0x90) || (s[0] == 0xF4 && s[1] > 0x8F))
    return 0;
  return k;
}

size_t utf8_valid(const char *s, size_t n) {
  size_t i = 0, k = 1;
  while (i < n && (k = utf8_length((const unsigned char *)s + i, n - i)) != 0) i += k;
  return i;
}

/* True for C0, DEL and C1 controls and for the directional overrides. */
static bool utf8_unprintable(const unsigned char *s, size_t k) {
  if (k == 1) return s[0] < 0x20 || s[0] == 0x7F;
  if (k == 2) return s[0] == 0xC2 && s[1] < 0xA0;
  return k == 3 && s[0] == 0xE2 &&
         ((s[1] == 0x80 && s[2] >= 0xA8 && s[2] <= 0xAE) ||
          (s[1] == 0x81 && s[2] >= 0xA6 && s[2] <= 0xA9));
}

void text_escaped(Text *t, const char *s, size_t n) {
  const unsigned char *u = (const unsigned char *)s;
  for (size_t i = 0; i < n;) {
    size_t k = utf8_length(u + i, n - i);
    if (k && !utf8_unprintable(u + i, k)) {
      text_bytes(t, s + i, k);
      i += k;
    } else {
      for (size_t end = i + (k ? k : 1); i < end; i++) text_add(t, "\\x%02X", u[i]);
    }
  }
}

void text_json(Text *t, const char *s) {
  size_t n = strlen(s);
  const unsigned char *u = (const unsigned char *)s;
  text_bytes(t, "\"", 1);
  for (size_t i = 0; i < n;) {
    size_t k = utf8_length(u + i, n - i);
    if (k == 0) text_bytes(t, "\xEF\xBF\xBD", 3);
    else if (s[i] == '"' || s[i] == '\\') text_add(t, "\\%c", s[i]);
    else if (u[i] < 0x20) text_add(t, "\\u%04x", u[i]);
    else text_bytes(t, s + i, k);
    i += k ? k : 1;
  }
  text_bytes(t, "\"", 1);
}

/* ---- numbers --------------------------------------------------------------------------- */

static size_t digits_count(const char *s, size_t i, size_t n) {
  size_t k = i;
  while (k < n && s[k] >= '0' && s[k] <= '9') k++;
  return k - i;
}

/* True when all of s is [-] digits [. digits] [e [+-] digits]. */
static bool number_wellformed(const char *s, size_t n) {
  size_t i = n && (s[0] == '-' || s[0] == '+') ? 1 : 0, k = digits_count(s, i, n);
  if (k == 0) return false;
  i += k;
  if (i < n && s[i] == '.') {
    k = digits_count(s, i + 1, n);
    if (k == 0) return false;
    i += 1 + k;
  }
  if (i < n && (s[i] == 'e' || s[i] == 'E')) {
    i++;
    if (i < n && (s[i] == '-' || s[i] == '+')) i++;
    k = digits_count(s, i, n);
    if (k == 0) return false;
    i += k;
  }
  return i == n;
}

/* strtod reads a point because no part of lcwc calls setlocale. */
bool number_parse(const char *s, size_t n, double *out) {
  char small[64];
  if (!number_wellformed(s, n)) return false;
  char *copy = n < sizeof small ? small : malloc(n + 1);
  if (!copy) return false;
  memcpy(copy, s, n);
  copy[n] = 0;
  *out = strtod(copy, NULL);
  if (copy != small) free(copy);
  return *out - *out == 0.0; /* neither Inf nor NaN */
}

bool integer_parse(const char *s, size_t n, int64_t *out) {
  bool minus = n && s[0] == '-';
  int64_t x = 0;
  if (n == (size_t)minus || digits_count(s, minus, n) != n - (size_t)minus) return false;
  for (size_t i = minus; i < n; i++) {
    int digit = s[i] - '0';
    if (__builtin_mul_overflow(x, 10, &x) || __builtin_sub_overflow(x, digit, &x)) return false;
  }
  if (!minus && x == INT64_MIN) return false;
  *out = minus ? x : -x;
  return true;
}

const char *number_text(Arena *a, double x) {
  char s[40];
  for (int precision = 1; precision <= 17; precision++) {
    snprintf(s, sizeof s, "%.*g", precision, x);
    if (strtod(s, NULL) == x) break;
  }
  return arena_text(a, s, strlen(s));
}

/* ---- hashes ---------------------------------------------------------------------------- */

uint64_t hash_bytes(const void *p, size_t n, uint64_t seed) {
  const unsigned char *s = p;
  uint64_t h = 0xCBF29CE484222325u ^ seed ^ n;
  for (; n >= 8; n -= 8, s += 8) {
    uint64_t word;
    memcpy(&word, s, 8);
    h = (h ^ word) * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
  }
  for (size_t i = 0; i < n; i++) h = (h ^ s[i]) * 0x100000001B3u;
  h ^= h >> 32;
  h *= 0xD6E8FEB86659FD93u;
  return h ^ (h >> 32);
}
