/* metrics.h: the figures of a run, as one JSON object a line in metrics.jsonl. The file only
 * grows. A run that goes on after a crash does again some steps whose lines are there already;
 * those are not written twice, so that every step and epoch stands in the file exactly once. */
#ifndef LCW_METRICS_H
#define LCW_METRICS_H
#include "fault.h"
#include "json.h"

/* What `--json` prints at the end and metrics.jsonl holds for every epoch; NaN: null. */
typedef struct Summary {
  const char *net, *device, *lower;
  uint64_t params, epochs, steps;
  double train_loss, train_acc, test_loss, test_acc;
  double residual, seconds, step_ms, images_per_second;
} Summary;

typedef struct Metrics {
  int fd;
  char shown[1100];
  uint64_t epoch_lines, step_lines; /* steps up to which lines of either kind are in the file */
  double seconds;                   /* of its last epoch */
} Metrics;

bool metrics_open(Metrics *m, int dir, const char *shown, Fault *f);
bool metrics_epoch(Metrics *m, const Summary *s, Fault *f);
bool metrics_step(Metrics *m, uint64_t step, uint64_t epoch, double loss, double acc, double lr,
                  Fault *f);
/* Before a checkpoint is said to be saved, the lines up to it are on disk. */
bool metrics_sync(Metrics *m, Fault *f);
void metrics_close(Metrics *m);
void summary_json(Lines *l, const Summary *s);
#endif
