/* reader.h: one reader of bytes for every binary format: (pointer, length) with a sticky error.
 * After a read beyond the end every later read gives 0 and `bad` stays true, so that a parser
 * reads a whole header and asks once. */
#ifndef LCW_READER_H
#define LCW_READER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Reader {
  const unsigned char *p;
  size_t n, at;
  bool bad;
} Reader;

static inline Reader reader_of(const void *p, size_t n) { return (Reader){p, n, 0, false}; }
/* The next n bytes, or NULL. */
const unsigned char *reader_take(Reader *r, size_t n);
uint8_t reader_u8(Reader *r);
uint16_t reader_u16le(Reader *r);
uint32_t reader_u32le(Reader *r);
uint64_t reader_u64le(Reader *r);
uint32_t reader_u32be(Reader *r);

/* Shape arithmetic, checked: false on overflow. */
static inline bool size_times(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool size_plus(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}
#endif
