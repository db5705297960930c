/* reader.c: see reader.h. */
#include "reader.h"

const unsigned char *reader_take(Reader *r, size_t n) {
  if (r->bad || n > r->n - r->at) {
    r->bad = true;
    return NULL;
  }
  const unsigned char *p = r->p + r->at;
  r->at += n;
  return p;
}

/* n bytes, the lowest first. */
static uint64_t read_little(Reader *r, size_t n) {
  const unsigned char *p = reader_take(r, n);
  uint64_t x = 0;
  for (size_t i = n; p && i-- > 0;) x = x << 8 | p[i];
  return x;
}

uint8_t reader_u8(Reader *r) { return (uint8_t)read_little(r, 1); }
uint16_t reader_u16le(Reader *r) { return (uint16_t)read_little(r, 2); }
uint32_t reader_u32le(Reader *r) { return (uint32_t)read_little(r, 4); }
uint64_t reader_u64le(Reader *r) { return read_little(r, 8); }
uint32_t reader_u32be(Reader *r) { return __builtin_bswap32(reader_u32le(r)); }
