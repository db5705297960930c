/* progress.h: how far a run is, on stderr: one line that is rewritten on a terminal, one plain
 * line per epoch elsewhere. */
#ifndef LCW_PROGRESS_H
#define LCW_PROGRESS_H
#include "metrics.h"
#include "options.h"

typedef struct Progress {
  bool line, plain, color;
  bool dirty;  /* a line is on the terminal that something else must not be appended to */
  double last; /* when it was drawn */
} Progress;

/* Where the run is; loss and acc are those of the epoch so far. */
typedef struct ProgressAt {
  uint64_t epoch, epochs, position, steps_per_epoch;
  double loss, acc, images_per_second, seconds_left;
} ProgressAt;

void progress_open(Progress *p, const RunOptions *o);
void progress_step(Progress *p, const ProgressAt *at, double now);
void progress_epoch(Progress *p, const ProgressAt *at, const Summary *s);
/* A remark of its own line. */
void progress_say(Progress *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes the line off the terminal. */
void progress_clear(Progress *p);
#endif
