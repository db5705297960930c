/* link.h: from objects to a standalone trainer. */
#ifndef LCW_LINK_H
#define LCW_LINK_H
#include "pass.h"

/* Links the objects of c->host with the runtime into `path`, which appears whole or not at all.
 * The exit code; messages on stderr. Needs a C compiler driver (cc) as a linker. */
int link_trainer(Compile *c, const char *path);

#endif
