/* tools_cli.c: the commands that look at networks and runs, as a user types them: exit codes, what
 * stdout and stderr hold, JSON that parses and says what it must, and weights that come back from
 * an export as the set says they are. A row of the tables is one command line. */
#include <glob.h>
#include <jansson.h>
#include <math.h>
#include "process.h"
#include "scratch.h"
#include "tensors.h"

static const char small_net[] =
    "net mlp(tensor x[n], int classes, int depth = 2, int width = 32, weight W = lcw)\n"
    "    -> tensor[classes]\n"
    "{\n"
    "    use @W @init(unit_variance);\n"
    "    h = x;\n"
    "hidden:\n"
    "    repeat (depth)\n"
    "        h = h -> linear(width) -> sigmoid;\n"
    "    return h -> linear(classes);\n"
    "}\n"
    "data numbers { source = synthetic(shape = [16], classes = 10, samples = 512, test = 64); }\n"
    "train short { batch = 32; epochs = 1; lr = 0.1; }\n";

typedef struct {
  const char *line;
  int code;
  const char *out, *err;
} Row; /* texts: held by; NULL: empty */

/* In this order: later rows use what earlier ones wrote. */
static const Row row[] = {
    {"lcwc --help", 0, "lcwc gradcheck", NULL},
    {"lcwc --version", 0, "lcwc ", NULL},
    {"lcwc", 2, NULL, "commands:"},
    {"lcwc inspct", 2, NULL, "did you mean `inspect`?"},
    {"lcwc train small.lcwnet mlp -o run -q", 0, NULL, NULL},

    {"lcwc inspect small.lcwnet mlp", 0, "forward product; rank-1 term t (x) s; bias; sigmoid",
     NULL},
    {"lcwc inspect small.lcwnet mlp", 0,
     "update of v with momentum; the NaN check; s: row sums of the set", NULL},
    {"lcwc inspect small.lcwnet mlp", 0,
     "input gradient; rank-1 term u (x) c; gradient of the activation", NULL},
    {"lcwc inspect small.lcwnet mlp", 0,
     "not fused with the contraction of hidden.0.linear before it", NULL},
    {"lcwc inspect small.lcwnet mlp", 0, "lcw, fused:epilogue", NULL},
    {"lcwc inspect small.lcwnet mlp", 0, "at small.lcwnet:8:18", NULL},
    {"lcwc inspect small.lcwnet mlp --lower=fused:update", 0, "lcw, fused:update", NULL},
    {"lcwc inspect small.lcwnet mlp --lower=dense", 0, "lcw, dense", NULL},
    {"lcwc inspect small.lcwnet mlp --phase=eval", 0, "loss of each sample", NULL},
    {"lcwc inspect small.lcwnet mlp --phase=init", 0, "random numbers", NULL},
    {"lcwc inspect small.lcwnet mlp --kernel=wgrad", 0, "weight gradient", NULL},
    {"lcwc inspect small.lcwnet mlp --kernel=nowhere", 2, NULL, "contains `nowhere`"},
    {"lcwc inspect small.lcwnet mlp --phase=later", 2, NULL,
     "not one of train, eval, init, prepare"},
    {"lcwc inspect small.lcwnet mlp --cpu=abacus", 2, NULL, "--cpu=abacus"},
    {"lcwc inspect small.lcwnet other", 2, NULL, "other"},
    {"lcwc inspect", 2, NULL, "an argument is missing"},
    {"lcwc inspect nowhere.lcwnet", 3, NULL, "nowhere.lcwnet"},

    {"lcwc gradcheck small.lcwnet mlp", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp -D W=free", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp --lower=fused:update", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp --lower=unfused", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp --lower=dense", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp --lower=projected", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp --set 'optimizer=adam'", 0, "all agree", NULL},
    {"lcwc gradcheck small.lcwnet mlp -D depth=60 -D width=400", 6, NULL,
     "help: check a smaller net"},
    {"lcwc gradcheck small.lcwnet mlp -D widht=4", 2, NULL, "no such parameter"},
    {"lcwc gradcheck broken.lcwnet", 1, NULL, "error[E0201]"},

    {"lcwc plot run -o curves.svg", 0, "curves.svg", NULL},
    {"lcwc plot run run -o - --title=two", 0, "<title>two", NULL},
    {"lcwc plot nowhere -o none.svg", 3, NULL, "nowhere"},
    {"lcwc plot", 2, NULL, "an argument is missing"},
    {"lcwc plot run --title", 2, NULL, "needs a value"},
    {"lcwc plot run -o nowhere/curves.svg", 3, NULL, "nowhere: No such file"},

    {"lcwc export run/last.safetensors --to=safetensors -o weights.safetensors", 0, "6 tensors",
     NULL},
    {"lcwc export run -o again.safetensors", 0, "6 tensors", NULL},
    {"lcwc export run --to=onnx", 2, NULL, "safetensors only"},
    {"lcwc export nowhere", 3, NULL, "nowhere"},
    {"lcwc export small.lcwnet", 3, NULL, "small.lcwnet"},
    {"lcwc export run two", 2, NULL, "one argument too many"},

    {"lcwc fmt --check small.lcwnet", 0, NULL, NULL},
    {"lcwc explain E0501", 0, "E0501", NULL},
    {"lcwc explain lcw", 0, "sum(w) == 0", NULL},
    {"lcwc explain E9999", 2, NULL, "E9999"},
    {"lcwc info", 0, "instruction set", NULL},
};

/* True if a text holds another; NULL: it is empty. */
static int holds(const char *text, const char *want) {
  return want ? strstr(text, want) != NULL : !*text;
}

static void row_run(Tally *t, const Process *how, const Row *r) {
  const Ran *ran = process_run(how, "%s", r->line);
  int progress = r->code == 0; /* stderr of a run that went well is its own business */
  int ok = ran->code == r->code && holds(ran->out, r->out) && (progress || holds(ran->err, r->err));
  tally(t, ok, "%s: exit %d (want %d)\n  stdout: %.600s\n  stderr: %.600s", r->line, ran->code,
        r->code, ran->out, ran->err);
}

/* ---- help ---------------------------------------------------------------------------------- */

/* Every command of `lcwc --help` has a page with usage and an example of itself. */
static void helps(Tally *t, const Process *how) {
  char list[sizeof(((Ran *)0)->out)], *save = NULL;
  memcpy(list, process_run(how, "lcwc --help")->out, sizeof list);
  int n = 0;
  for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    char name[32], usage[64], example[64];
    if (sscanf(line, "  lcwc %31[a-z]", name) != 1) continue;
    snprintf(usage, sizeof usage, "usage: lcwc %s", name);
    snprintf(example, sizeof example, "example: lcwc %s", name);
    const Ran *r = process_run(how, "lcwc %s --help", name);
    tally(t, !r->code && strstr(r->out, usage) && strstr(r->out, example) && !*r->err,
          "lcwc %s --help: %s", name, r->out);
    n++;
  }
  tally(t, n >= 13, "%d commands in --help", n);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static json_t *json_run(Tally *t, const Process *how, const char *line, const char *schema) {
  const Ran *r = process_run(how, "%s", line);
  json_error_t why;
  json_t *j = json_loads(r->out, JSON_REJECT_DUPLICATES, &why);
  tally(t, !r->code && j, "%s: exit %d, %s", line, r->code, j ? "" : why.text);
  if (!j) return json_object();
  const char *have = json_string_value(json_object_get(j, "schema"));
  tally(t, have && !strcmp(have, schema), "%s: schema %s", line, have ? have : "none");
  return j;
}

static double number(const json_t *j, const char *key) {
  json_t *n = json_object_get(j, key);
  return json_is_number(n) ? json_number_value(n) : NAN;
}

/* Launches add up, shares are of one step, every kernel of the step says what it is. */
static void inspect_json(Tally *t, const Process *how) {
  json_t *j = json_run(t, how, "lcwc inspect small.lcwnet mlp --json", "lcwc.inspect/1"), *k;
  size_t i;
  double launches = 0, share = 0;
  json_array_foreach(json_object_get(j, "kernels"), i, k) {
    launches += number(k, "launches");
    share += number(k, "share");
    tally(t, json_array_size(json_object_get(k, "fused")) > 0, "kernel %zu says nothing", i);
    tally(t, number(k, "flops") > 0 && number(k, "bytes") > 0 && number(k, "ms") >= 0,
          "kernel %zu has no figures", i);
  }
  tally(t, launches == number(j, "launches") && launches > 10, "launches: %g", launches);
  tally(t, share > 0.1 && share < 1.5, "shares add up to %g", share);
  tally(t, json_array_size(json_object_get(j, "layers")) == 3, "layers");
  json_decref(j);
}

static void gradcheck_json(Tally *t, const Process *how) {
  json_t *j = json_run(t, how, "lcwc gradcheck small.lcwnet mlp --json", "lcwc.gradcheck/1"), *g;
  size_t i;
  tally(t, number(j, "wrong") == 0, "wrong: %g", number(j, "wrong"));
  tally(t, json_array_size(json_object_get(j, "gradients")) == 6, "gradients of 6 parameters");
  json_array_foreach(json_object_get(j, "gradients"), i, g)
      tally(t,
            json_is_true(json_object_get(g, "ok")) && number(g, "elements") > 0 &&
                number(g, "error") < 1e-7,
            "gradient %zu", i);
  json_decref(j);
}

/* Every kernel of every net of tests/whole. Seeds 201 to 206 fail here. */
static void gradcheck_nets(Tally *t, const Process *how) {
  glob_t files;
  scratch_must(glob("tests/whole/*.lcwnet", 0, NULL, &files) == 0, "tests/whole");
  for (size_t i = 0; i < files.gl_pathc; i++) {
    const Ran *r = process_run(how, "lcwc gradcheck %s", process_path(files.gl_pathv[i]));
    int all = !strstr(r->out, "by the whole step only");
    tally(t, r->code == 0 && all, "%s: exit %d\n%.3000s%s", files.gl_pathv[i], r->code, r->out,
          r->err);
  }
  globfree(&files);
}

/* ---- export -------------------------------------------------------------------------------- */

static int has_shape(const Tensors *t, const char *name, size_t rank, int a, int b) {
  json_t *shape = json_object_get(json_object_get(t->header, name), "shape");
  int first = (int)json_integer_value(json_array_get(shape, 0)),
      second = (int)json_integer_value(json_array_get(shape, 1));
  return json_array_size(shape) == rank && first == a && (rank < 2 || second == b);
}

/* Row r of [in, out] coordinates, folded: W_0 = -s / sqrt(m), W_j = v_j - s / (m + sqrt(m)). */
static double fold_difference(const double *v, const double *w, int in, int out, int r) {
  double s = 0, worst = 0;
  for (int j = 1; j < in; j++) s += v[j * out + r];
  for (int j = 0; j < in; j++) {
    double want = j ? v[j * out + r] - s / (in + sqrt(in)) : -s / sqrt(in);
    worst = fmax(worst, fabs(want - w[r * in + j]));
  }
  return worst;
}

/* What was exported is the set's W of the checkpoint's v: [out, in], rows that sum to zero. */
static void export_round(Tally *t, const Scratch *s) {
  Tensors v = tensors_open(scratch_path(s, "run/last.safetensors")),
          w = tensors_open(scratch_path(s, "weights.safetensors"));
  size_t nv, nw;
  tally(t, has_shape(&w, "linear.weight", 2, 10, 32), "linear.weight is [10, 32]");
  tally(t, has_shape(&w, "hidden.0.linear.weight", 2, 32, 16),
        "hidden.0.linear.weight is [32, 16]");
  tally(t, has_shape(&w, "linear.bias", 1, 10, 0), "linear.bias is [10]");
  double *coordinates = tensors_get(&v, "linear.v", &nv),
         *weight = tensors_get(&w, "linear.weight", &nw);
  tally(t, coordinates && weight && nv == 320 && nw == 320, "320 weights");
  double far = 0, residual = 0;
  for (int r = 0; coordinates && weight && r < 10; r++) {
    double sum = 0;
    for (int j = 0; j < 32; j++) sum += weight[r * 32 + j];
    residual = fmax(residual, fabs(sum));
    far = fmax(far, fold_difference(coordinates, weight, 32, 10, r));
  }
  tally(t, far < 1e-6, "exported weights are %g from B v", far);
  tally(t, residual < 1e-5, "a row sums to %g", residual);
  free(coordinates), free(weight);
  tensors_close(&v), tensors_close(&w);
}

int main(void) {
  Tally t = {0};
  Scratch s = scratch_new();
  Process how = {.folder = s.path};
  scratch_write(scratch_path(&s, "small.lcwnet"), small_net, sizeof small_net - 1);
  scratch_write(scratch_path(&s, "broken.lcwnet"), "const int n = 1\n", 16);
  for (size_t i = 0; i < COUNT_OF(row); i++) row_run(&t, &how, &row[i]);
  helps(&t, &how);
  inspect_json(&t, &how);
  gradcheck_json(&t, &how);
  gradcheck_nets(&t, &how);
  export_round(&t, &s);
  scratch_remove(s.path);
  return tally_end(&t);
}
