/* whole_golden.c: twenty steps of the sigmoid MLP with W = lcw against PyTorch.
 *
 * In: a file of tests/golden/mlp.py and the sizes that it was made with (nothing: mlp.safetensors
 * and its sizes). Data and start are computed here by the formulas that the script states. Out:
 * the float64 interpreter is within EXACT of PyTorch's float64; the
 * weights of every lowering differ from it by at most 4 times what PyTorch's float32 does, each
 * tensor by its root mean square. (dense: 8 times. Its W = V times the stored basis is rounded
 * element by element, so that its rows no longer sum to zero exactly; PyTorch's is the closed
 * form.) */
#include <math.h>
#include <stdint.h>
#include "agree.h"
#include "process.h"
#include "scratch.h"
#include "tensors.h"

#define EXACT 1e-13
enum { STEPS = 20, CLASSES = 10 };

typedef struct {
  uint64_t depth, width, inputs, batch;
} Scale;
typedef struct {
  const char *word;
  double times;
} Bound;
static const Scale small = {10, 32, 20, 64};

/* ---- what the script computes from integers ---------------------------------------------------
 */

static uint32_t h(uint64_t n) { return (uint32_t)(n * 2654435761u) >> 8; }

static float input_at(const Scale *z, uint64_t b, uint64_t j) {
  return (float)(h(b * z->inputs + j + 1) % 256) / 128 - 1;
}

static float weight_at(uint64_t layer, uint64_t rows, uint64_t k, uint64_t i) {
  double scale = (layer ? 8 : 3) / sqrt((double)rows);
  return k ? (float)((h(layer * 1299709 + k * 7919 + i + 12345) / 8388608.0 - 1) * scale) : 0;
}

/* An npy file: header, then the elements. */
static void npy_write(const char *path, const char *type, uint64_t rows, uint64_t columns,
                      const void *x) {
  char head[129];
  uint64_t n = rows * (columns ? columns : 1) * 4;
  memcpy(head, "\x93NUMPY\x01\0\x76\0", 10);
  int k =
      columns
          ? snprintf(head + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }",
                     type, (int)rows, (int)columns)
          : snprintf(head + 10, 118, "{'descr': '%s', 'fortran_order': False, 'shape': (%d,), }",
                     type, (int)rows);
  memset(head + 10 + k, ' ', (size_t)(117 - k));
  head[127] = '\n';
  FILE *f = fopen(path, "wb");
  scratch_must(f && fwrite(head, 1, 128, f) == 128 && fwrite(x, 1, n, f) == n && !fclose(f), path);
}

static void data_write(const Scratch *s, const Scale *z) {
  float *x = malloc(z->batch * z->inputs * sizeof *x);
  int32_t *y = malloc(z->batch * sizeof *y);
  scratch_must(x && y, "memory");
  for (uint64_t b = 0; b < z->batch; b++) {
    y[b] = (int32_t)(h(b + 77) % CLASSES);
    for (uint64_t j = 0; j < z->inputs; j++) x[b * z->inputs + j] = input_at(z, b, j);
  }
  npy_write(scratch_path(s, "x.npy"), "<f4", z->batch, z->inputs, x);
  npy_write(scratch_path(s, "y.npy"), "<i4", z->batch, 0, y);
  free(x), free(y);
}

static void net_write(const Scratch *s, const Scale *z) {
  char text[1200];
  int n = snprintf(
      text, sizeof text,
      "net mlp(tensor x[n], int classes) -> tensor[classes]\n{\n    use @lcw;\n    h = "
      "x;\nhidden:\n"
      "    repeat (%d) h = h -> linear(%d) -> sigmoid;\n    return h -> linear(classes);\n}\n"
      "data golden { source = npy(\"x.npy\", \"y.npy\", classes = %d); }\n"
      "train recipe { optimizer = sgd(momentum = 0.9); batch = %d; epochs = %d; decay = 1e-4; lr = "
      "0.125; }\n",
      (int)z->depth, (int)z->width, CLASSES, (int)z->batch, STEPS);
  scratch_write(scratch_path(s, "mlp.lcwnet"), text, (size_t)n);
}

/* ---- the start ---------------------------------------------------------------------------------
 */

/* hidden.7.linear.v: 7; linear.v: depth; a bias or a state: -1. */
static int layer_of(const Scale *z, const char *name) {
  int layer = (int)z->depth;
  const char *end = strstr(name, "linear.v");
  if (!end || strcmp(end, "linear.v")) return -1;
  return sscanf(name, "hidden.%d.", &layer) == 1 || end == name ? layer : -1;
}

/* Puts the start of the formulas on the device, and from there into the interpreter. */
static void start_set(Agree *a, const Scale *z) {
  Device *d = a->session.device;
  for (uint32_t i = 0; i < a->plan->nbuf; i++) {
    const PlanBuf *b = PLAN_AT(a->plan, PlanBuf, a->plan->buf) + i;
    int layer = b->role == BUF_PARAM ? layer_of(z, plan_text(a->plan, b->name)) : -1;
    if (layer < 0) continue;
    float *x = malloc(b->bytes);
    scratch_must(x != NULL, "memory");
    for (uint32_t k = 0; k < b->dim[0]; k++)
      for (uint32_t j = 0; j < b->dim[1]; j++)
        x[k * b->dim[1] + j] = weight_at((uint64_t)layer, b->dim[0], k, j);
    d->put(d, b->offset, x, b->bytes);
    free(x);
  }
  Fault f = {0};
  const Batch none = {0}; /* it is fed nothing */
  scratch_must(execute_phase(&a->session.exec, PHASE_PREPARE, &none, &f), "prepare");
  agree_copy(a);
}

/* ---- comparing ----------------------------------------------------------------------------------
 */

static double rms(const double *x, const double *y, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (x[i] - y[i]) * (x[i] - y[i]);
  return sqrt(sum / (double)n);
}

/* One parameter: the interpreter's and the host's against PyTorch's. */
static void compare(Tally *t, const Agree *a, Val v, const Tensors *golden, const Bound *lower,
                    double worst[2]) {
  const Node *node = graph_node(&a->reference.model.graph, v);
  const char *name = name_text(a->reference.names, node->attr.decl.name);
  char error_name[140];
  size_t n = 0, one = 0;
  snprintf(error_name, sizeof error_name, "%s.error", name);
  double *exact = tensors_get(golden, name, &n), *error = tensors_get(golden, error_name, &one);
  double *host = agree_host(a, v);
  if (!exact || !error || n != shape_elements(&node->shape)) {
    tally(t, 0, "%s is not in the golden", name);
    return;
  }
  double ours = rms(host, exact, n), reference = rms(interpreter_get(a->interpreter, v), exact, n);
  tally(t, reference <= EXACT, "%s %s: the interpreter is %.3g from float64", lower->word, name,
        reference);
  tally(t, ours <= lower->times * *error, "%s %s: %.3g from float64; PyTorch's float32: %.3g",
        lower->word, name, ours, *error);
  worst[0] = fmax(worst[0], ours / *error), worst[1] = fmax(worst[1], reference);
  free(exact), free(error), free(host);
}

static void lowering(Tally *t, const Scratch *s, const Scale *z, const Tensors *golden,
                     const Bound *lower) {
  static Agree a;
  char word[40], file[600];
  double worst[2] = {0};
  snprintf(word, sizeof word, "--lower=%s", lower->word);
  snprintf(file, sizeof file, "%s", scratch_path(s, "mlp.lcwnet"));
  char *argv[] = {file, word};
  if (!agree_open(&a, 2, argv) || !agree_init(&a)) {
    tally(t, 0, "--lower=%s does not start", lower->word);
    return;
  }
  start_set(&a, z);
  for (int i = 0; i < STEPS; i++)
    tally(t, agree_step(&a), "--lower=%s: step %d failed", lower->word, i);
  const Graph *g = &a.reference.model.graph;
  for (Val v = 1; v < g->nnode; v++)
    if (graph_node(g, v)->op == OP_PARAM) compare(t, &a, v, golden, lower, worst);
  printf("%s: at most %.2f times PyTorch's own error in float32; the interpreter is %.2g from its "
         "float64\n",
         lower->word, worst[0], worst[1]);
  agree_close(&a);
}

int main(int argc, char **argv) {
  static const Bound lower[] = {
      {"fused:epilogue", 4}, {"fused:update", 4}, {"unfused", 4}, {"dense", 8}};
  Tally t = {0};
  Scale z = small;
  if (argc == 6)
    z = (Scale){strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10),
                strtoull(argv[4], NULL, 10), strtoull(argv[5], NULL, 10)};
  Scratch s = scratch_new();
  Tensors golden = tensors_open(argc > 1 ? argv[1] : "tests/golden/mlp.safetensors");
  data_write(&s, &z);
  net_write(&s, &z);
  for (size_t i = 0; i < COUNT_OF(lower); i++) lowering(&t, &s, &z, &golden, &lower[i]);
  tensors_close(&golden);
  scratch_remove(s.path);
  return tally_end(&t);
}
