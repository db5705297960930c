/* exit.h: the exit codes of every command and of every trainer. Ended by signal n: 128 + n. */
#ifndef LCW_EXIT_H
#define LCW_EXIT_H

enum {
  LCW_OK = 0,
  LCW_INPUT = 1,     /* the input has errors */
  LCW_USAGE = 2,     /* wrong command line */
  LCW_DATA = 3,      /* file, data or checkpoint; output that cannot be written */
  LCW_DEVICE = 4,    /* device or toolchain missing */
  LCW_NUMBERS = 5,   /* NaN, gradcheck, fused differs from unfused */
  LCW_LIMIT = 6,     /* limit or memory */
  LCW_INTERNAL = 70, /* a bug of ours */
};

#endif
