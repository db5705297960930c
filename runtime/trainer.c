/* trainer.c: main() of a standalone trainer. It is linked with the object of one network, which
 * holds its plan and its kernels, and with liblcwrt.a; it needs nothing else but libc. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "plan_check.h"
#include "train.h"
#include "version.h"

extern const Plan lcw_plan;
extern const HostTable lcw_table[];

/* What it trains, the options, an example. */
static void print_help(const char *name) {
  const PlanSettings *s = &lcw_plan.set;
  printf("%s: trains %s(%s) on %s with %s\n\n", name, plan_text(&lcw_plan, s->net),
         plan_text(&lcw_plan, s->arguments), plan_text(&lcw_plan, s->data),
         plan_text(&lcw_plan, s->recipe));
  printf("usage: %s [OPTION...]\n\n", name);
  options_help(stdout);
  printf("\nexample: %s -o run --epochs 5 --seed 2\n", name);
}

/* What is asked for instead of a run. */
static int answer(const RunOptions *o, const char *name) {
  Fault f = {0};
  if (o->help) print_help(name);
  else if (o->version)
    printf("%s (lcwc %s)\n", plan_text(&lcw_plan, lcw_plan.set.net), LCW_VERSION);
  else plan_print(&lcw_plan, stdout);
  if (fflush(stdout) == 0 && !ferror(stdout)) return LCW_OK;
  fault_set(&f, LCW_DATA, "standard output cannot be written: %s", strerror(errno));
  return fault_print(&f);
}

int main(int argc, char **argv) {
  Fault f = {0};
  RunOptions o;
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "trainer";
  if (!plan_check(&lcw_plan, 0, &f)) return fault_print(&f);
  if (!options_parse(&o, argc, argv, &f)) return fault_print(&f);
  if (o.help || o.version || o.print_plan) return answer(&o, name);
  return train_run(&lcw_plan, lcw_table, &o);
}
