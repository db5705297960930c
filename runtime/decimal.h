/* decimal.h: numbers as text, independent of the locale, which is never set. */
#ifndef LCW_DECIMAL_H
#define LCW_DECIMAL_H
#include <stdbool.h>
#include <stdint.h>

/* The shortest decimal text that reads back equal; "null" when not finite. out: 32 bytes. */
void decimal_text(char *out, double x);
/* A whole non-negative decimal number; nothing before or after it; false on overflow. */
bool decimal_whole(const char *s, uint64_t *out);
/* The same with an optional K, M, G, KiB, MiB, GiB: bytes, in powers of 1024. */
bool decimal_bytes(const char *s, uint64_t *out);
#endif
