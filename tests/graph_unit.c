/* graph_unit.c: what the graph promises beyond the op table: sharing, folding, refusals and
 * their words, the verifier against broken graphs, the printed form, ties and kinks, the random
 * generator's bits, STOREs at the end of a phase, the error bound of a long sum, and forward
 * convolution and pooling against values from PyTorch. */
#include "bound.h"
#include "gradcheck.h"
#include "rules.h"
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct { Arena arena; Sources sources; Graph g; } Bench;

static int bench_open(void **state) {
  Bench *b = test_calloc(1, sizeof *b);
  arena_init(&b->arena, "pass", 0);
  sources_init(&b->sources, &b->arena);
  graph_init(&b->g, &b->arena, names_new(&b->arena));
  *state = b;
  return 0;
}

static int bench_close(void **state) {
  Bench *b = *state;
  arena_release(&b->arena);
  test_free(b);
  return 0;
}

static Shape dims(uint32_t rank, int32_t a, int32_t b, int32_t c, int32_t d) {
  return shape_of(rank, (int32_t[]){a, b, c, d});
}

static Val leaf(Bench *b, Op op, const char *name, Shape s) {
  return graph_decl(&b->g, op, name_of_text(b->g.names, name), DTYPE_F32, s, FEED_NONE, 0);
}

static Val param(Bench *b, const char *name, int32_t rows, int32_t columns) {
  return leaf(b, OP_PARAM, name, dims(2, rows, columns, 0, 0));
}

static Val step_input(Bench *b) {
  Name name = name_of_text(b->g.names, "step");
  return graph_decl(&b->g, OP_INPUT, name, DTYPE_U32, dims(1, 2, 0, 0, 0), FEED_STEP, 0);
}

/* ---- sharing and folding ------------------------------------------------------------- */

static void equal_nodes_are_one(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3), y = param(b, "y", 4, 3);
  assert_int_equal(x, param(b, "x", 4, 3));
  assert_int_equal(graph_map2(g, S_add, x, y), graph_map2(g, S_add, x, y));
  assert_int_not_equal(graph_map2(g, S_add, x, y), graph_map2(g, S_add, y, x));
  assert_int_equal(graph_const(g, 0.5), graph_const(g, 0.5));
  assert_int_not_equal(graph_const(g, 0.0), graph_const(g, -0.0));
  Shape two = dims(1, 2, 0, 0, 0);
  Val list = graph_list(g, two, (double[]){1, 2});
  assert_int_equal(list, graph_list(g, two, (double[]){1, 2}));
  assert_int_not_equal(list, graph_list(g, two, (double[]){1, 3}));
  Val step = step_input(b);
  assert_int_not_equal(graph_random(g, step, two, 7), graph_random(g, step, two, 7));
}

/* 200,000 nodes, built twice: nothing new the second time. */
static void sharing_holds_while_the_table_grows(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  uint32_t count = 0;
  for (int round = 0; round < 2; round++) {
    Val v = param(b, "x", 2, 2);
    for (int i = 0; i < 100000; i++)
      v = graph_map2(g, S_mul, graph_map1(g, S_exp, v), graph_const(g, i + 2));
    if (round == 0) count = g->nnode;
  }
  assert_int_equal(count, g->nnode);
  assert_true(count > 300000);
}

static void neutral_operands_vanish(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3), row = param(b, "row", 1, 3);
  Shape s = dims(2, 4, 3, 0, 0);
  Val zero = graph_const(g, 0), one = graph_const(g, 1), ones = graph_fill(g, s, 1);
  assert_int_equal(x, graph_map2(g, S_add, x, zero));
  assert_int_equal(x, graph_map2(g, S_add, zero, x));
  assert_int_equal(x, graph_map2(g, S_sub, x, zero));
  assert_int_equal(x, graph_map2(g, S_mul, one, x));
  assert_int_equal(x, graph_map2(g, S_mul, x, ones));
  assert_int_equal(x, graph_map2(g, S_div, x, one));
  assert_int_equal(x, graph_map2(g, S_pow, x, one));
  assert_int_equal(x, graph_map1(g, S_neg, graph_map1(g, S_neg, x)));
  assert_int_equal(x, graph_map3(g, S_select, one, x, zero));
  assert_int_equal(x, graph_reshape(g, graph_reshape(g, x, dims(1, 12, 0, 0, 0)), s));
  assert_int_equal(x, graph_reduce(g, S_add, x, 0));
  assert_int_equal(row, graph_reduce(g, S_max, row, 1));
  assert_int_equal(graph_const(g, 6), graph_map2(g, S_mul, graph_const(g, 2), graph_const(g, 3)));
}

/* What would change a shape, a NaN or a type stays. */
static void what_matters_stays(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3), row = param(b, "row", 1, 3);
  Val ones = graph_fill(g, dims(2, 4, 3, 0, 0), 1);
  assert_int_not_equal(row, graph_map2(g, S_mul, row, ones));
  assert_int_equal(OP_MAP, graph_node(g, graph_map2(g, S_mul, x, graph_const(g, 0)))->op);
  assert_int_equal(OP_MAP, graph_node(g, graph_map2(g, S_sub, x, x))->op);
  Name name = name_of_text(g->names, "bytes");
  Val bytes = graph_decl(g, OP_INPUT, name, DTYPE_U8, dims(1, 4, 0, 0, 0), FEED_SAMPLE, 0);
  Val decoded = graph_map2(g, S_mul, bytes, graph_const(g, 1));
  assert_int_not_equal(bytes, decoded);
  assert_int_equal(DTYPE_F32, graph_node(g, decoded)->dtype);
}

static void transposes_become_flags_and_reshapes(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  const uint8_t swap[2] = {1, 0};
  Val x = param(b, "x", 4, 3), y = param(b, "y", 4, 5), row = param(b, "row", 1, 3);
  Val product = graph_matmul(g, graph_transpose(g, x, swap), false, y, false);
  assert_int_equal(product, graph_matmul(g, x, true, y, false));
  assert_int_equal(x, graph_transpose(g, graph_transpose(g, x, swap), swap));
  assert_int_equal(OP_RESHAPE, graph_node(g, graph_transpose(g, row, swap))->op);
}

/* ---- refusals ------------------------------------------------------------------------ */

static void shapes_that_do_not_fit_say_why(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Shape s = dims(2, 4, 3, 0, 0);
  s.dim[0].name = name_of_text(g->names, "N");
  Val x = leaf(b, OP_INPUT, "x", s), w = param(b, "w", 5, 3);
  Val image = leaf(b, OP_INPUT, "image", dims(4, 1, 4, 4, 3));
  assert_int_equal(0, graph_matmul(g, x, false, w, false));
  assert_string_equal(g->error, "matmul: inner sizes differ: left is [N=4, 3], right is [5, 3]");
  assert_int_equal(0, graph_map2(g, S_add, x, w));
  assert_string_equal(g->error, "add: shapes do not fit: [N=4, 3] and [5, 3]");
  assert_int_equal(0, graph_map1(g, S_exp, graph_map2(g, S_add, x, w)));
  assert_int_equal(0, graph_reshape(g, x, dims(1, 13, 0, 0, 0)));
  assert_int_equal(0, graph_reduce(g, S_add, x, 4));
  assert_int_equal(0, graph_reduce(g, S_mul, x, 1));
  assert_int_equal(0, graph_transpose(g, x, (uint8_t[]){0, 0}));
  assert_int_equal(0, graph_slice(g, x, 1, 2, 2));
  assert_int_equal(0, graph_embed(g, x, 1, 2, 4));
  assert_int_equal(0, graph_iota(g, s));
  assert_int_equal(0, graph_random(g, x, s, 1));
  assert_int_equal(0, graph_fill(g, dims(3, 1 << 20, 1 << 20, 2, 0), 1));
  assert_string_equal(g->error, "[1048576, 1048576, 2] has more than 2^40 elements");
  assert_int_equal(0, graph_fill(g, dims(1, 0, 0, 0, 0), 1));
  Attr pool = {.pool = {{2, 2}, {2, 2}, {2, 2}, POOL_MAX}};
  assert_int_equal(0, graph_add(g, OP_POOL2D, &image, NULL, pool));
  assert_string_equal(g->error, "pool2d: padding 2 is more than half of the window's 2");
}

static void a_name_means_one_tensor(void **state) {
  Bench *b = *state;
  param(b, "w", 2, 3);
  assert_int_equal(0, param(b, "w", 3, 2));
  assert_string_equal(b->g.error, "`w` is declared twice, as [2, 3] and as [3, 2]");
  assert_int_not_equal(0, leaf(b, OP_STATE, "w", dims(2, 3, 2, 0, 0)));
  assert_int_equal(0, graph_find(&b->g, OP_PARAM, name_of_text(b->g.names, "v")));
}

/* ---- the verifier -------------------------------------------------------------------- */

/* A graph of every kind of reference: %1 x, %2 mask, %3 w (mask), %4 product, %5 sum. */
static void small_graph(Bench *b) {
  Graph *g = &b->g;
  Val x = leaf(b, OP_INPUT, "x", dims(2, 4, 3, 0, 0));
  Val mask = graph_list(g, dims(2, 3, 1, 0, 0), (double[]){0, 1, 1});
  Name w = name_of_text(g->names, "w");
  Val v = graph_decl(g, OP_PARAM, w, DTYPE_F32, dims(2, 3, 5, 0, 0), FEED_NONE, mask);
  Val y = graph_reduce(g, S_add, graph_matmul(g, x, false, v, false), 3);
  graph_output(g, PHASE_TRAIN, OUT_LOSS, 0, y);
  graph_store(g, PHASE_TRAIN, v, v);
}

static void break_operand(Graph *g) { g->node[4].in[1] = 5; }
static void break_none(Graph *g) { g->node[5].in[0] = 0; }
static void break_op(Graph *g) { g->node[4].op = OP_COUNT; }
static void break_shape(Graph *g) { g->node[4].shape.dim[0].n = 5; }
static void break_flag(Graph *g) { g->node[4].attr.gemm.ta = 1; }
static void break_type(Graph *g) { g->node[5].dtype = DTYPE_U8; }
static void break_mask(Graph *g) { g->node[3].attr.decl.dead = 4; }
static void break_mask_shape(Graph *g) { g->node[2].shape.dim[0].n = 2; }
static void break_dim(Graph *g) { g->node[1].shape.dim[0].n = 0; }
static void break_root(Graph *g) { g->root[0].value = 0; }
static void break_store(Graph *g) { g->root[1].target = 1; }
static void break_store_shape(Graph *g) { g->root[1].value = 4; }
static void break_phase(Graph *g) { g->root[0].phase = PHASE_COUNT; }
static void break_twice(Graph *g) { g->root[0] = g->root[1]; }

static void the_verifier_finds(void (*breaks)(Graph *), const char *expected) {
  void *state;
  bench_open(&state);
  Bench *b = state;
  Text why;
  text_init(&why, &b->arena);
  small_graph(b);
  assert_true(graph_verify(&b->g, &why));
  breaks(&b->g);
  assert_false(graph_verify(&b->g, &why));
  assert_string_equal(why.s, expected);
  bench_close(&state);
}

static void broken_graphs_are_found(void **state) {
  (void)state;
  the_verifier_finds(break_operand, "node %4: an operand is none, or not above it");
  the_verifier_finds(break_none, "node %5: an operand is none, or not above it");
  the_verifier_finds(break_op, "node %4: no such operation");
  the_verifier_finds(break_shape, "node %4: its shape is not what its rule gives");
  the_verifier_finds(break_flag, "node %4: its operands do not fit");
  the_verifier_finds(break_type, "node %5: its type is not what its rule gives");
  the_verifier_finds(break_mask, "node %3: its mask is not above it");
  the_verifier_finds(break_mask_shape, "node %3: its operands do not fit");
  the_verifier_finds(break_dim, "node %1: an empty dimension");
  the_verifier_finds(break_root, "root 0: it has no value");
  the_verifier_finds(break_store, "root 1: it stores to what is no PARAM or STATE");
  the_verifier_finds(break_store_shape, "root 1: its shape is not the target's");
  the_verifier_finds(break_phase, "root 0: no such phase or output");
  the_verifier_finds(break_twice, "root 1: its target is stored twice in one phase");
}

/* ---- the printed form ---------------------------------------------------------------- */

static void a_graph_prints(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Text out;
  uint16_t file = source_add(&b->sources, "mlp.lcwnet", "one\ntwo three\n", 14);
  g->span = (Span){.off = 8, .len = 5, .file = file};
  g->layer = name_of_text(g->names, "hidden.0.linear");
  small_graph(b);
  g->span = (Span){0};
  g->layer = 0;
  Val first = graph_slice(g, 4, 1, 1, 2);
  graph_output(g, PHASE_EVAL, OUT_NONE, name_of_text(g->names, "z"),
               graph_matmul(g, first, true, graph_fill(g, dims(2, 4, 1, 0, 0), 0.1), false));
  text_init(&out, &b->arena);
  graph_print(g, &b->sources, &out);
  assert_string_equal(out.s,
    "%1 = input x : f32[4, 3]   # hidden.0.linear mlp.lcwnet:2:5\n"
    "%2 = const {0, 1, 1} : f32[3, 1]   # hidden.0.linear mlp.lcwnet:2:5\n"
    "%3 = param w dead=%2 : f32[3, 5]   # hidden.0.linear mlp.lcwnet:2:5\n"
    "%4 = matmul %1 %3 : f32[4, 5]   # hidden.0.linear mlp.lcwnet:2:5\n"
    "%5 = reduce.add %4 axes=0,1 : f32[1, 1]   # hidden.0.linear mlp.lcwnet:2:5\n"
    "%6 = slice %4 axis=1 begin=1 size=2 : f32[4, 2]\n"
    "%7 = const 0.1 : f32[4, 1]\n"
    "%8 = matmul %6' %7 : f32[2, 1]\n"
    "output train loss = %5   # hidden.0.linear mlp.lcwnet:2:5\n"
    "store train w = %3   # hidden.0.linear mlp.lcwnet:2:5\n"
    "output eval none z = %8\n");
}

static void simplify_drops_and_remaps(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3), idle = param(b, "idle", 2, 2);
  Val y = graph_map2(g, S_mul, graph_stop(g, x), graph_map1(g, S_exp, graph_stop(g, x)));
  graph_store(g, PHASE_TRAIN, x, y);
  const Val *map = graph_simplify(g);
  assert_int_equal(4, g->nnode);
  assert_int_equal(0, map[idle]);
  assert_int_equal(g->root[0].target, map[x]);
  assert_int_equal(g->root[0].value, map[y]);
  assert_int_equal(map[y], graph_map2(g, S_mul, map[x], graph_map1(g, S_exp, map[x])));
}

/* What folding leaves without use goes, and what moves down for it is found where it is. */
static void simplify_finds_what_it_moved(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3);
  const uint8_t swap[2] = {1, 0};
  Val same = graph_transpose(g, graph_stop(g, graph_transpose(g, x, swap)), swap);
  Val late = param(b, "late", 4, 3);
  Val sum = graph_map2(g, S_add, same, graph_map2(g, S_mul, late, graph_const(g, 12)));
  graph_store(g, PHASE_TRAIN, x, sum);
  const Val *map = graph_simplify(g);
  assert_true(map[late] < late);
  assert_int_equal(map[late], graph_find(g, OP_PARAM, name_of_text(g->names, "late")));
  uint32_t nodes = g->nnode;
  assert_int_equal(map[late], param(b, "late", 4, 3));
  Val product = graph_map2(g, S_mul, map[late], graph_const(g, 12));
  assert_int_equal(map[sum], graph_map2(g, S_add, map[x], product));
  assert_int_equal(nodes, g->nnode);
}

/* Bytes stay bytes, a draw stays a draw of its own, and a derived leaf stays one. */
static void simplify_keeps_types_and_marks(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Shape s = dims(2, 4, 3, 0, 0);
  Name name = name_of_text(g->names, "bytes");
  Val bytes = graph_decl(g, OP_INPUT, name, DTYPE_U8, s, FEED_SAMPLE, 0), step = step_input(b);
  Val derived = leaf(b, OP_STATE, "copy", s);
  g->node[derived].attr.decl.derived = 1;
  Val twice = graph_map2(g, S_add, graph_random(g, step, s, 5), graph_random(g, step, s, 5));
  graph_store(g, PHASE_TRAIN, derived, graph_map2(g, S_mul, twice, bytes));
  const Val *map = graph_simplify(g);
  assert_int_equal(DTYPE_U8, graph_node(g, map[bytes])->dtype);
  assert_int_equal(FEED_STEP, graph_node(g, map[step])->attr.decl.feed);
  assert_int_equal(1, graph_node(g, map[derived])->attr.decl.derived);
  const Node *sum = graph_node(g, map[twice]);
  assert_int_not_equal(sum->in[0], sum->in[1]);
  Text why;
  text_init(&why, &b->arena);
  assert_true(graph_verify(g, &why));
}

/* ---- gradients ----------------------------------------------------------------------- */

/* The gradient of the sum of y with respect to x, at one point. */
static const double *gradient_of(Bench *b, Val y, Val x, const double *at) {
  Graph *g = &b->g;
  Val dx = 0, loss = graph_reduce(g, S_add, y, (1u << graph_node(g, y)->shape.rank) - 1);
  assert_true(graph_gradient(g, loss, &x, &dx, 1));
  Interpreter *run = interpreter_new(g, &b->arena);
  interpreter_set(run, x, at);
  assert_true(interpreter_eval(run, &dx, 1));
  return interpreter_get(run, dx);
}

static void assert_values(const double *got, const double *expected, size_t n) {
  for (size_t i = 0; i < n; i++) assert_true(got[i] == expected[i]);
}

/* A maximum shares its gradient among equals; of two operands, the branch taken has it. */
static void ties_follow_the_documents(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 1, 5), zero = graph_const(g, 0);
  const double at[5] = {2, -1, 2, 0, 2}, third = 1.0 / 3;
  assert_values(gradient_of(b, graph_reduce(g, S_max, x, 2), x, at),
                (double[]){third, 0, third, 0, third}, 5);
  assert_values(gradient_of(b, graph_map2(g, S_max, x, zero), x, at), (double[]){1, 0, 1, 0, 1}, 5);
  assert_values(gradient_of(b, graph_map2(g, S_max, zero, x), x, at), (double[]){1, 0, 1, 1, 1}, 5);
  assert_values(gradient_of(b, graph_map2(g, S_min, x, zero), x, at), (double[]){0, 1, 0, 0, 0}, 5);
  assert_values(gradient_of(b, graph_map1(g, S_abs, x), x, at), (double[]){1, -1, 1, 0, 1}, 5);
}

static void kinks_are_left_out(void **state) {
  Bench *b = *state;
  Val x = param(b, "x", 1, 4);
  const double at[4] = {1, 0, -2, 1e-7}, *value[3] = {NULL, NULL, NULL};
  value[x] = at;
  Val loss = graph_reduce(&b->g, S_add, graph_map1(&b->g, S_abs, x), 3);
  GradCheck r;
  assert_true(graph_check_gradient(&b->g, &b->arena, loss, value, &x, 1, 0, &r));
  assert_int_equal(2, r.checked);
  assert_int_equal(2, r.kinks);
  assert_true(r.error <= 1e-7);
}

static void gradients_keep_place_and_add_no_transpose(void **state) {
  Bench *b = *state;
  Graph *g = &b->g;
  Val x = param(b, "x", 4, 3), w = param(b, "w", 5, 3), want[2] = {x, w}, d[2];
  g->layer = name_of_text(g->names, "here");
  Val y = graph_matmul(g, x, false, w, true);
  g->layer = 0;
  Val loss = graph_reduce(g, S_add, graph_map2(g, S_mul, y, y), 3);
  assert_true(graph_gradient(g, loss, want, d, 2));
  for (Val v = 1; v < g->nnode; v++) assert_int_not_equal(OP_TRANSPOSE, graph_node(g, v)->op);
  assert_int_equal(OP_MATMUL, graph_node(g, d[0])->op);
  assert_string_equal("here", name_text(g->names, graph_node(g, d[1])->layer));
  assert_int_equal(0, g->layer);
  assert_false(graph_gradient(g, y, want, d, 2));
  assert_string_equal(g->error, "the gradient of [4, 5]: a loss has one element");
}

/* ---- the interpreter ----------------------------------------------------------------- */

/* Word 0 for a stream, seed and step, from an independent implementation. */
static void random_numbers_are_philox(void **state) {
  Bench *b = *state;
  Val step = step_input(b);
  Shape four = dims(2, 2, 2, 0, 0);
  Val r = graph_random(&b->g, step, four, UINT64_C(0x0123456789abcdef));
  Val zero = graph_random(&b->g, step, four, 42);
  Interpreter *run = interpreter_new(&b->g, &b->arena);
  interpreter_set(run, step, (double[]){7, 42});
  assert_true(interpreter_eval(run, &r, 1));
  const uint32_t word[4] = {0x86443b41, 0x40e46122, 0xbd035e20, 0xac7a0b9b};
  for (int i = 0; i < 4; i++)
    assert_true(interpreter_get(run, r)[i] == (word[i] >> 8) * 0x1p-24);
  interpreter_set(run, step, (double[]){0, 42});
  assert_true(interpreter_eval(run, &zero, 1));
  assert_true(interpreter_get(run, zero)[0] == (0x6627e8d5u >> 8) * 0x1p-24);
}

/* Two parameters change places: every STORE reads the values before the phase. */
static void stores_come_at_the_end(void **state) {
  Bench *b = *state;
  Val x = param(b, "x", 1, 2), y = param(b, "y", 1, 2);
  graph_store(&b->g, PHASE_INIT, x, graph_const(&b->g, 1));
  graph_store(&b->g, PHASE_INIT, y, graph_const(&b->g, 2));
  graph_store(&b->g, PHASE_TRAIN, x, y);
  graph_store(&b->g, PHASE_TRAIN, y, graph_map2(&b->g, S_add, x, y));
  Interpreter *run = interpreter_new(&b->g, &b->arena);
  assert_false(interpreter_run(run, PHASE_TRAIN));
  assert_true(interpreter_run(run, PHASE_INIT));
  for (int i = 0; i < 3; i++) assert_true(interpreter_run(run, PHASE_TRAIN));
  assert_values(interpreter_get(run, x), (double[]){5, 5}, 2);
  assert_values(interpreter_get(run, y), (double[]){8, 8}, 2);
}

/* Adding 0.1 4,096 times in float32, one after the other, drifts; the bound covers it. */
static void the_bound_covers_a_long_sum(void **state) {
  Bench *b = *state;
  enum { N = 4096 };
  Val x = param(b, "x", 1, N), ones = graph_fill(&b->g, dims(2, N, 1, 0, 0), 1);
  Val both[2] = {graph_matmul(&b->g, x, false, ones, false), graph_reduce(&b->g, S_add, x, 2)};
  static const float tenth = 0.1f;
  double *at = NEW_ARRAY(&b->arena, double, N);
  float sum = 0;
  for (int i = 0; i < N; i++) at[i] = tenth, sum += tenth;
  Interpreter *run = interpreter_new(&b->g, &b->arena);
  interpreter_track(run);
  interpreter_set(run, x, at);
  assert_true(interpreter_eval(run, both, 2));
  for (int i = 0; i < 2; i++) {
    double off = fabs(sum - interpreter_get(run, both[i])[0]);
    assert_true(off > 1e-3);
    assert_true(off <= interpreter_error(run, both[i])[0]);
    assert_true(interpreter_error(run, both[i])[0] < 0.2);
  }
}

/* ---- windows, against torch.nn.functional -------------------------------------------- */

/* [1, 4, 3, 2]: element i is i mod 7 - 3. */
static Val image(Bench *b, double *at) {
  for (int i = 0; i < 24; i++) at[i] = i % 7 - 3;
  return leaf(b, OP_INPUT, "image", dims(4, 1, 4, 3, 2));
}

static const double *window_run(Bench *b, Val y, Val x, const double *at) {
  Interpreter *run = interpreter_new(&b->g, &b->arena);
  interpreter_set(run, x, at);
  assert_int_not_equal(0, y);
  assert_true(interpreter_eval(run, &y, 1));
  return interpreter_get(run, y);
}

/* conv2d(stride = (2, 1), padding = (1, 0), groups = 2); weight i is i mod 5 - 2. */
static void convolution_matches_torch(void **state) {
  Bench *b = *state;
  double at[24], w[24];
  Val x = image(b, at);
  for (int i = 0; i < 24; i++) w[i] = i % 5 - 2;
  Val in[2] = {x, graph_list(&b->g, dims(4, 3, 2, 1, 4), w)};
  Attr strided = {.conv = {.stride = {2, 1}, .pad = {1, 0}, .groups = 2}};
  Val y = graph_add(&b->g, OP_CONV2D, in, NULL, strided);
  Shape expected = dims(4, 1, 2, 2, 4);
  assert_true(shape_equal(&expected, &graph_node(&b->g, y)->shape));
  assert_values(window_run(b, y, x, at),
                (double[]){-2, -5, 1, -5, 1, -1, 3, -5, -15, -1, -7, -1, 2, -3, 0, -6}, 16);
}

/* max_pool2d and 4 avg_pool2d(2, stride = (2, 1), padding = 1). */
static void pooling_matches_torch(void **state) {
  Bench *b = *state;
  double at[24];
  Val x = image(b, at), y[2];
  for (uint8_t kind = POOL_MAX; kind <= POOL_AVERAGE; kind++) {
    Attr a = {.pool = {{2, 2}, {2, 1}, {1, 1}, kind}};
    y[kind] = graph_add(&b->g, OP_POOL2D, &x, NULL, a);
  }
  assert_values(window_run(b, y[0], x, at),
                (double[]){-3, -2, -1, 0, 1, 2, 1, 2, 3, 3, 3, 3,
                           0, 1, 0, 1, 1, 2, 3, 2, 3, -1, -2, -1}, 24);
  assert_values(window_run(b, graph_map2(&b->g, S_mul, y[1], graph_const(&b->g, 4)), x, at),
                (double[]){-3, -2, -4, -2, 0, 2, 1, 2, 5, 0, 0, -3,
                           -6, -2, -1, 1, 1, 2, 4, -1, 1, -4, -2, -1}, 24);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

int main(void) {
  const struct CMUnitTest tests[] = {
    TEST(equal_nodes_are_one),
    TEST(sharing_holds_while_the_table_grows),
    TEST(neutral_operands_vanish),
    TEST(what_matters_stays),
    TEST(transposes_become_flags_and_reshapes),
    TEST(shapes_that_do_not_fit_say_why),
    TEST(a_name_means_one_tensor),
    TEST(broken_graphs_are_found),
    TEST(a_graph_prints),
    TEST(simplify_drops_and_remaps),
    TEST(simplify_finds_what_it_moved),
    TEST(simplify_keeps_types_and_marks),
    TEST(ties_follow_the_documents),
    TEST(kinks_are_left_out),
    TEST(gradients_keep_place_and_add_no_transpose),
    TEST(random_numbers_are_philox),
    TEST(stores_come_at_the_end),
    TEST(the_bound_covers_a_long_sum),
    TEST(convolution_matches_torch),
    TEST(pooling_matches_torch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
