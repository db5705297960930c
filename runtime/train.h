/* train.h: the one training loop, for `lcwc train` and for every built trainer.
 *
 * The compiler calls it like this, after the object is loaded (LLJIT) or linked (cc):
 *
 *   ModelCode model = {.plan = &lcw_plan,
 *                      .table = lcw_table,       best instruction set first, isa NULL at the end
 *                      ...};                     see model_code.h
 *
 *   RunOptions o;                            zero it; options_take() for each argument, then
 *   options_check(&o, &fault);               ... and set
 *   o.file_folder = "folder/of/the/file";    a root for data (NULL in a trainer)
 *   o.argc, o.argv                           for run.json
 *   return train_run(&model, &o);
 *
 * o.device says where it runs; plan_check() proves the Plan here. The result is the exit code;
 * messages are on stderr, the closing line or the JSON object on stdout. A run ended by SIGINT,
 * SIGTERM or SIGHUP saves and does not return. Shape and number of classes of a data set, before
 * there is a Plan: data_peek(). A checkpoint's source, net and arguments, for `lcwc eval` and
 * `--resume` without the file: checkpoint_open(), checkpoint_meta(). A plan's text: plan_print().
 * `lcwc export`: export_run(); `lcwc plot`: plot_run(), which is not in liblcwrt.a. */
#ifndef LCW_TRAIN_H
#define LCW_TRAIN_H
#include "model_code.h"
#include "options.h"

int train_run(const ModelCode *m, const RunOptions *o);

/* Evaluates a checkpoint, or the best (else the last) one of a run's folder, on the test split
 * of the plan's data. --json: {"schema":"lcwc.eval/1","net","test_loss","test_acc",...}. */
int eval_run(const ModelCode *m, const RunOptions *o, const char *checkpoint);

/* Runs training steps without saving anything, for `inspect` and `bench`. */
typedef struct Profile {
  double *step_seconds; /* one per PlanStep of the train phase: the median over the steps */
  uint32_t nstep;
  double seconds;       /* median of a whole training step, measured without the step clocks */
} Profile;
int profile_run(const ModelCode *m, const RunOptions *o, uint32_t steps, Profile *out);
void profile_free(Profile *out);
#endif
