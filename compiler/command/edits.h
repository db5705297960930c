/* edits.h: kernels that somebody has edited: `train --kernels=DIR`, a folder that
 * `emit --emit=cuda -o DIR` has written. A file that differs from what is emitted replaces its
 * kernel, once it has shown that it computes the same.
 *
 *   edits_read(c)        after the pass tile: c->cuda.edited; what no kernel is called is refused
 *   edits_prove(a, c)    after the last pass: each edited kernel beside its untouched twin */
#ifndef LCW_EDITS_H
#define LCW_EDITS_H
#include "command.h"

/* False after a message; c->exit. */
bool edits_read(Compile *c);
/* On the first batches of the data, from the seed of the run: every launch of an edited kernel in
 * every phase is made twice, by it and by the text that was emitted, on equal inputs. What it leaves
 * must be within the bound of rounding of what float64 computes. Both are timed, or, on the
 * simulated device, counted. Prints a line for each kernel. False: one was refused; c->exit. */
bool edits_prove(Arguments *a, Compile *c);
/* True if a kernel differs from what is emitted. */
bool edits_any(const Compile *c);

#endif
