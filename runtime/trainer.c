/* trainer.c: main() of a standalone trainer. It is linked with the object of one network, which
 * holds its plans and their code, and with liblcwrt.a; it needs nothing else but libc, and for
 * --device=cuda the driver of the GPU. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "device.h"
#include "plan_check.h"
#include "train.h"
#include "version.h"

/* What was built for one device only lacks the symbols of the other. */
#define MAYBE __attribute__((weak))
extern const Plan lcw_plan MAYBE, lcw_cuda_plan MAYBE;
extern const HostTable lcw_table[] MAYBE;
extern const PlanImage lcw_image[] MAYBE;

/* What it trains, the options, an example. */
static void print_help(const Plan *p, const char *name) {
  const PlanSettings *s = &p->set;
  printf("%s: trains %s(%s) on %s with %s\n\n", name, plan_text(p, s->net),
         plan_text(p, s->arguments), plan_text(p, s->data), plan_text(p, s->recipe));
  printf("usage: %s [OPTION...]\n\n", name);
  options_help(stdout);
  printf("\nexample: %s -o run --epochs 5 --seed 2\n", name);
}

/* What is asked for instead of a run. */
static int answer(const Plan *p, const RunOptions *o, const char *name) {
  Fault f = {0};
  if (o->help) print_help(p, name);
  else if (o->version) printf("%s (lcwc %s)\n", plan_text(p, p->set.net), LCW_VERSION);
  else plan_print(p, stdout);
  if (fflush(stdout) == 0 && !ferror(stdout)) return LCW_OK;
  fault_set(&f, LCW_DATA, "standard output cannot be written: %s", strerror(errno));
  return fault_print(&f);
}

int main(int argc, char **argv) {
  Fault f = {0};
  RunOptions o;
  const ModelCode model = {.plan = &lcw_plan, .table = lcw_table, .cuda_plan = &lcw_cuda_plan,
                           .image = lcw_image};
  const Plan *any = model.plan ? model.plan : model.cuda_plan;
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "trainer";
  if (!plan_check(any, 0, &f) || !options_parse(&o, argc, argv, &f)) return fault_print(&f);
  if (o.help || o.version) return answer(any, &o, name);
  const Plan *p = device_plan(&model, &o, &f);
  if (!p) return fault_print(&f);
  return o.print_plan ? answer(p, &o, name) : train_run(&model, &o);
}
