/* hash.h: XXH64, for checksums of files and fingerprints of data: it finds damage, not malice. */
#ifndef LCW_HASH_H
#define LCW_HASH_H
#include <stddef.h>
#include <stdint.h>

/* Chains: hash64(b, n, hash64(a, m, 0)) covers both parts and where they meet. */
uint64_t hash64(const void *p, size_t n, uint64_t seed);
#endif
