/* cuda_inspect.c: `lcwc inspect --device=cuda`, as a user types it, on a machine without a GPU:
 * what the table and the object say of a small network, what --fail-on says both ways, and what is
 * said where there is no compiler. Cubins need NVRTC: without it, those tests are skipped. */
#include <jansson.h>
#include <math.h>
#include "process.h"
#include "scratch.h"

static const char small_net[] =
    "net mlp(tensor x[n], int classes, int depth = 2, int width = 64, weight W = lcw)\n"
    "    -> tensor[classes]\n"
    "{\n"
    "    use @W @init(unit_variance);\n"
    "    h = x;\n"
    "hidden:\n"
    "    repeat (depth)\n"
    "        h = h -> linear(width) -> sigmoid;\n"
    "    return h -> linear(classes);\n"
    "}\n"
    "data numbers { source = synthetic(shape = [64], classes = 10, samples = 512, test = 64); }\n"
    "train short { batch = 64; epochs = 1; lr = 0.1; }\n";

#define INSPECT "lcwc inspect small.lcwnet mlp --device=cuda"

typedef struct { const char *line; int code; const char *out, *err; } Row; /* texts: held by */

/* These need a cubin. */
static const Row row[] = {
    {INSPECT, 0, "sm_80, fp32", ""},
    {INSPECT " --precision=tf32", 0,
     "hidden_0_linear_fwd\n      fused: forward product; rank-1 term t (x) s; bias; sigmoid", ""},
    {INSPECT " --precision=tf32", 0,
     "input gradient; rank-1 term u (x) c; gradient of the activation", ""},
    {INSPECT " --precision=tf32 --kernel=hidden_1_linear_wgrad", 0, "loop over K by 32: ", ""},
    {INSPECT " --precision=bf16 --kernel=hidden_1_linear_wgrad", 0, "loop over K by 64: ", ""},
    {INSPECT " --phase=eval", 0, "loss of each sample", ""},
    {INSPECT " --target=sm_90 --lower=fused:update", 0, "H100 SXM", ""},
    {INSPECT " --kernels=nowhere", 3, "", "--kernels=nowhere"},
    {INSPECT " --fail-on=spills", 0, "hidden_0_linear_fwd", ""},
    {INSPECT " --fail-on=spills,occupancy:0.01", 0, "hidden_0_linear_fwd", ""},
    {INSPECT " --fail-on=occupancy:0.9", 6, "hidden_0_linear_fwd",
     "hidden_0_linear_fwd: occupancy 0."},
    {INSPECT " --fail-on=occupancy:0.9", 6, "phase", "is below 0.9: for lack of "},
    {INSPECT " --fail-on=occupancy:0.9 --kernel=linear_row", 0, "linear_row", ""},
};

/* These don't. */
static const Row plain[] = {
    {"lcwc inspect --help", 0, "--device=cuda --target=sm_90", ""},
    {INSPECT " --fail-on=spill", 2, "", "--fail-on knows no `spill`"},
    {INSPECT " --fail-on=occupancy:2", 2, "", "--fail-on knows no `occupancy:2`"},
    {INSPECT " --fail-on=occupancy:", 2, "", "at most 1"},
    {INSPECT " --target=sm_80,sm_90", 2, "", "one architecture"},
    {INSPECT " --target=ptx", 2, "", "one architecture"},
    {INSPECT " --target=sm_99", 2, "", "help: sm_75, sm_80"},
    {INSPECT " --target=sm_75 --precision=tf32", 2, "", "no tensor cores for tf32"},
    {INSPECT " --kernel=nowhere", 2, "", "contains `nowhere`"},
    {INSPECT " --nvrtc=/nowhere/libnvrtc.so", 4, "", "/nowhere/libnvrtc.so"},
    {"lcwc inspect small.lcwnet mlp --target=sm_80", 2, "", "--device=cuda"},
    {"lcwc inspect small.lcwnet mlp --fail-on=spills", 2, "", "--device=cuda"},
};

static const struct { const char *target, *precision; } other[] = {
    {"sm_75", "fp32"}, {"sm_86", "bf16"}, {"sm_90", "tf32"}, {"sm_100", "tf32"}, {"sm_120", "fp32"},
};

static void row_run(Tally *t, const Process *how, const Row *r) {
  const Ran *ran = process_run(how, "%s", r->line);
  int ok = ran->code == r->code && strstr(ran->out, r->out) && strstr(ran->err, r->err);
  tally(t, ok, "%s: exit %d (want %d)\n  stdout: %.900s\n  stderr: %.600s", r->line, ran->code,
        r->code, ran->out, ran->err);
}

/* ---- the object ---------------------------------------------------------------------------- */

static json_t *json_run(Tally *t, const Process *how, const char *line) {
  const Ran *r = process_run(how, "%s", line);
  json_error_t why;
  json_t *j = json_loads(r->out, JSON_REJECT_DUPLICATES, &why);
  tally(t, !r->code && j, "%s: exit %d, %s", line, r->code, j ? "" : why.text);
  return j ? j : json_object();
}

static double number(const json_t *j, const char *key) {
  json_t *n = json_object_get(j, key);
  return json_is_number(n) ? json_number_value(n) : NAN;
}

static const char *word(const json_t *j, const char *key) {
  const char *s = json_string_value(json_object_get(j, key));
  return s ? s : "";
}

/* What the cubin says of a kernel is possible; the time is that of its longest part. */
static void kernel_check(Tally *t, const json_t *k) {
  double registers = number(k, "registers"), held = number(k, "blocks_per_sm"),
         share = number(k, "occupancy"),
         longer = fmax(number(k, "compute_ms"), number(k, "bandwidth_ms"));
  const char *name = word(k, "name");
  tally(t, registers >= 8 && registers <= 255 && number(k, "spills") == 0, "%s: %g registers", name,
        registers);
  tally(t, held >= 1 && fabs(share - held * number(k, "threads") / 32 / 64) < 1e-6,
        "%s: %g blocks, occupancy %g", name, held, share);
  double ms = number(k, "launches") * (longer + number(k, "launch_ms"));
  tally(t, fabs(ms - number(k, "ms")) < 2e-6, "%s: %g ms of %g", name, number(k, "ms"), ms);
  size_t parts = json_array_size(json_object_get(k, "fused"));
  tally(t, number(k, "instructions") > 10 && parts > 0, "%s says nothing", name);
  if (strcmp(word(k, "kind"), "contract")) return;
  tally(t, number(k, "slab") == 32 && number(k, "loop_per_32") == number(k, "loop") &&
               number(k, "loop_hmma") >= 8 && number(k, "loop") > number(k, "loop_hmma"),
        "%s: %g instructions, %g HMMA", name, number(k, "loop"), number(k, "loop_hmma"));
}

static void object_check(Tally *t, const Process *how) {
  json_t *j = json_run(t, how, INSPECT " --precision=tf32 --json"), *k;
  size_t i;
  double launches = 0, share = 0, ms = 0;
  tally(t, !strcmp(word(j, "schema"), "lcwc.inspect/1") && !strcmp(word(j, "target"), "sm_80") &&
               !strncmp(word(j, "compiler"), "NVRTC ", 6), "heading of the object");
  json_array_foreach(json_object_get(j, "kernels"), i, k) {
    kernel_check(t, k);
    launches += number(k, "launches"), share += number(k, "share"), ms += number(k, "ms");
  }
  json_t *train = json_object_get(json_object_get(j, "phases"), "train");
  tally(t, i > 8 && launches == number(j, "launches") && launches == number(train, "launches"),
        "%g launches of %g", launches, number(train, "launches"));
  tally(t, fabs(share - 1) < 1e-3 && fabs(ms - number(train, "ms")) < 1e-4, "share %g, %g ms of %g",
        share, ms, number(train, "ms"));
  json_decref(j);
}

/* The main loop of every product is found in the code of other architectures, too. */
static void loops_check(Tally *t, const Process *how, const char *target, const char *precision) {
  char line[200];
  snprintf(line, sizeof line, INSPECT " --json --target=%s --precision=%s", target, precision);
  if (strstr(process_run(how, "%s", line)->err, "does not compile for it")) {
    printf("skipped: %s: not known to this NVRTC\n", target);
    t->skipped++;
    return;
  }
  json_t *j = json_run(t, how, line), *k;
  size_t i, products = 0;
  json_array_foreach(json_object_get(j, "kernels"), i, k) {
    if (strcmp(word(k, "kind"), "contract")) continue;
    double work = number(k, strcmp(precision, "fp32") ? "loop_hmma" : "loop_ffma");
    tally(t, work >= 8 && number(k, "loop") > work && number(k, "spills") == 0,
          "%s, %s, %s: %g of %g instructions multiply", target, precision, word(k, "name"), work,
          number(k, "loop"));
    products++;
  }
  tally(t, products >= 5, "%s: %zu products", target, products);
  json_decref(j);
}

/* ---- edited kernels -------------------------------------------------------------------------- */

/* An unrolled loop is seen beside the one that was emitted; the others are as they were. */
static void edits_check(Tally *t, const Process *how) {
  process_run(how, "lcwc emit small.lcwnet mlp --emit=cuda --precision=tf32 -o edited");
  const Ran *r = process_run(
      how, "/bin/sh -c 'sed -i \"s/unroll 1$/unroll 2/\" edited/*_1_linear_dgrad.cu'");
  tally(t, r->code == 0, "sed: %s", r->err);
  json_t *j = json_run(t, how, INSPECT " --precision=tf32 --kernels=edited --json"), *k;
  size_t i, edited = 0;
  json_array_foreach(json_object_get(j, "kernels"), i, k) {
    json_t *was = json_object_get(k, "emitted");
    if (!was) continue;
    tally(t, strstr(word(k, "name"), "_1_linear_dgrad") && number(k, "unrolled") == 2 &&
                 number(k, "loop") > number(was, "loop") &&
                 fabs(number(k, "loop_per_32") / number(was, "loop") - 1) < 0.2,
          "%s: %g instructions in the loop, emitted %g", word(k, "name"), number(k, "loop"),
          number(was, "loop"));
    edited++;
  }
  tally(t, edited == 1, "%zu kernels are edited", edited);
  json_decref(j);
  const Row row = {INSPECT " --precision=tf32 --kernels=edited", 0, "edited; as emitted: ", ""};
  row_run(t, how, &row);
}

/* ---- without a compiler -------------------------------------------------------------------- */

/* No NVRTC, with clang or without: figures of the description only, and it is said why. */
static void compilers_missing(Tally *t, const char *folder) {
  const char *const nothing[] = {"LCWC_NVRTC=/nowhere/nvrtc", "LCWC_CLANG=/nowhere/clang", NULL};
  const char *const clang[] = {"LCWC_NVRTC=/nowhere/nvrtc", NULL};
  const Row missing[] = {
      {INSPECT, 0, "no compiler for cubins", "NVRTC cannot be loaded from /nowhere/nvrtc"},
      {INSPECT, 0, "rank-1 term t (x) s", "cuda-nvrtc"},
      {INSPECT " --fail-on=spills", 4, "", "NVRTC cannot be loaded from /nowhere/nvrtc"},
  };
  for (int c = 0; c < 2; c++) {
    Process how = {.folder = folder, .env = c ? clang : nothing};
    for (size_t i = 0; i < COUNT_OF(missing); i++) row_run(t, &how, &missing[i]);
    json_t *j = json_run(t, &how, INSPECT " --json"),
           *k = json_array_get(json_object_get(j, "kernels"), 0);
    tally(t, json_is_null(json_object_get(j, "compiler")) && isnan(number(k, "registers")) &&
                 number(k, "ms") > 0 && number(k, "blocks") > 0, "the object without a cubin");
    json_decref(j);
  }
}

int main(void) {
  Tally t = {0};
  Scratch s = scratch_new();
  Process how = {.folder = s.path};
  setenv("XDG_CACHE_HOME", s.path, 1); /* a cache of its own */
  scratch_write(scratch_path(&s, "small.lcwnet"), small_net, sizeof small_net - 1);
  for (size_t i = 0; i < COUNT_OF(plain); i++) row_run(&t, &how, &plain[i]);
  compilers_missing(&t, s.path);
  if (strstr(process_run(&how, "lcwc info")->out, "NVRTC")) {
    for (size_t i = 0; i < COUNT_OF(row); i++) row_run(&t, &how, &row[i]);
    object_check(&t, &how);
    edits_check(&t, &how);
    for (size_t i = 0; i < COUNT_OF(other); i++)
      loops_check(&t, &how, other[i].target, other[i].precision);
  } else {
    printf("skipped: what a cubin says: no NVRTC\n");
    t.skipped++;
  }
  scratch_remove(s.path);
  return tally_end(&t);
}
