/* number.h: numbers as text, independent of the locale, which is never set. */
#ifndef LCW_NUMBER_H
#define LCW_NUMBER_H
#include <stdbool.h>
#include <stdint.h>

/* The shortest decimal text that reads back equal; "null" when not finite. out: 32 bytes. */
void number_text(char *out, double x);
/* A whole non-negative decimal number; nothing before or after it; false on overflow. */
bool number_whole(const char *s, uint64_t *out);
/* The same with an optional K, M, G, KiB, MiB, GiB: bytes, in powers of 1024. */
bool number_bytes(const char *s, uint64_t *out);
#endif
