/* targets.h: what code is made for, and by which compiler: --target, --cuda-compiler, --nvrtc and
 * --no-cache of a command line, as fields of a Compile. */
#ifndef LCW_TARGETS_H
#define LCW_TARGETS_H
#include "command.h"

/* Fills c->cuda and c->for_host. False: exit 2 and a message. */
bool targets_set(const Arguments *a, Compile *c);
/* cuda_compile() for all kernels of the program; notes on stderr. False: c->exit. */
bool targets_compile(Compile *c);

#endif
