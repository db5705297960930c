/* roofline.h: what this machine could do at best, measured in the run that needs it. */
#ifndef LCW_ROOFLINE_H
#define LCW_ROOFLINE_H
#include <stdint.h>

typedef struct {
  double flops; /* per second: multiply-adds in registers, all threads, counted as two */
  double bytes; /* per second: read and written in place, arrays far beyond the caches */
} Roofline;

/* One short measurement on `threads` threads with the instruction set `isa`. */
Roofline roofline_measure(const char *isa, uint32_t threads);

#endif
