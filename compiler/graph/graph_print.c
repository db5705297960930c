/* graph_print.c: the graph as text, and its verifier.
 *
 * The text is that of --dump=expand, grad, simplify, and of goldens: one line a node,
 *
 *   %7 = matmul %5 %6' : f32[N=64, 128]   # hidden.0.linear mlp.lcwnet:12:9
 *
 * a quote after an operand of matmul says that it is stored transposed, a word after them that they
 * are rounded; then one line a root. */
#include "rules.h"
#include <ctype.h>
#include <string.h>

static const char *const dtype_name[DTYPE_COUNT] = {"f32", "u8", "i32", "u32", "f64", "bf16"};
static const char *const phase_name[PHASE_COUNT] = {"init", "prepare", "train", "eval", "probe"};
static const char *const feed_name[FEED_COUNT] = {"none",  "sample", "label", "scale",
                                                  "shift", "rate",   "step"};
static const char *const precision_name[] = {"", " tf32", " bf16"};
static const char *const out_name[OUT_COUNT] = {"none", "loss", "hit", "finite", "residual"};

/* ---- print --------------------------------------------------------------------------- */

/* A name, escaped. */
static void print_name(const Graph *g, Name name, Text *out) {
  const char *s = name_text(g->names, name);
  text_escaped(out, s, strlen(s));
}

/* The operation's word: its name in small letters, a MAP by its function. */
static void print_word(const Node *n, Text *out) {
  const char *s = n->op == OP_MAP ? scalartab[n->attr.map.fn].name : optab[n->op].name;
  for (; *s; s++) text_add(out, "%c", tolower((unsigned char)*s));
  if (n->op == OP_REDUCE) text_add(out, ".%s", scalartab[n->attr.reduce.fn].name);
}

/* The operands; a quote marks one that is stored transposed. */
static void print_operands(const Node *n, Text *out) {
  bool quote[MAX_IN] = {0};
  if (n->op == OP_MATMUL) quote[0] = n->attr.gemm.ta, quote[1] = n->attr.gemm.tb;
  for (int i = 0; i < node_arity(n); i++)
    text_add(out, " %%%u%s", n->in[i], quote[i] ? "'" : "");
}

/* A constant's value; of a list the first four. */
static void print_constant(const Graph *g, const Node *n, Text *out) {
  uint64_t count = shape_elements(&n->shape);
  switch ((ConstKind)n->attr.constant.kind) {
  case CONST_FILL: text_add(out, " %s", number_text(g->arena, n->attr.constant.value)); break;
  case CONST_IOTA: text_add(out, " iota"); break;
  case CONST_LIST:
    text_add(out, " {");
    for (uint64_t i = 0; i < count && i < 4; i++)
      text_add(out, "%s%s", i ? ", " : "", number_text(g->arena, n->attr.constant.list[i]));
    text_add(out, count > 4 ? ", ...}" : "}");
    break;
  }
}

/* Numbers of the axes in a bit set. */
static void print_axes(const Node *n, Text *out) {
  const char *comma = "";
  text_add(out, " axes=");
  for (int i = 0; i < MAX_RANK; i++)
    if (n->attr.reduce.axes >> i & 1) text_add(out, "%s%d", comma, i), comma = ",";
}

/* What the operation has beside its operands. */
static void print_attr(const Graph *g, const Node *n, Text *out) {
  const Attr *a = &n->attr;
  switch ((AttrKind)optab[n->op].attr) {
  case ATTR_decl:
    text_add(out, " ");
    print_name(g, a->decl.name, out);
    if (a->decl.feed) text_add(out, " feed=%s", feed_name[a->decl.feed]);
    if (a->decl.derived) text_add(out, " derived%s", a->decl.derived == DERIVED_COMPUTED ? " computed" : "");
    if (a->decl.dead) text_add(out, " dead=%%%u", a->decl.dead);
    break;
  case ATTR_constant: print_constant(g, n, out); break;
  case ATTR_random: text_add(out, " stream=%016llx", (unsigned long long)a->random.stream); break;
  case ATTR_reduce: print_axes(n, out); break;
  case ATTR_perm:
    text_add(out, " perm=");
    for (int i = 0; i < n->shape.rank; i++) text_add(out, "%s%d", i ? "," : "", a->perm.perm[i]);
    break;
  case ATTR_slice:
    text_add(out, " axis=%d begin=%d size=%d", a->slice.axis, a->slice.begin, a->slice.size);
    break;
  case ATTR_conv:
    text_add(out, " stride=%d,%d pad=%d,%d groups=%d", a->conv.stride[0], a->conv.stride[1],
             a->conv.pad[0], a->conv.pad[1], a->conv.groups);
    break;
  case ATTR_pool:
    text_add(out, " %s size=%d,%d stride=%d,%d pad=%d,%d",
             a->pool.kind == POOL_MAX ? "max" : "average", a->pool.size[0], a->pool.size[1],
             a->pool.stride[0], a->pool.stride[1], a->pool.pad[0], a->pool.pad[1]);
    break;
  case ATTR_gemm: text_add(out, "%s", precision_name[a->gemm.precision]); break;
  case ATTR_none:
  case ATTR_map: break;
  }
}

/* `   # layer file:line:column`, what is known of it. */
static void print_place(const Graph *g, Sources *sources, Name layer, Span span, Text *out) {
  if (layer || span.file) text_add(out, "   #");
  if (layer) text_add(out, " "), print_name(g, layer, out);
  if (span.file && sources) text_add(out, " %s", span_text(sources, span));
  text_add(out, "\n");
}

/* The line of a node. */
static void print_node(const Graph *g, Sources *sources, Val v, Text *out) {
  const Node *n = &g->node[v];
  text_add(out, "%%%u = ", v);
  print_word(n, out);
  print_operands(n, out);
  print_attr(g, n, out);
  text_add(out, " : %s", dtype_name[n->dtype]);
  shape_text(out, g->names, &n->shape);
  print_place(g, sources, n->layer, n->span, out);
}

/* The line of a root. */
static void print_root(const Graph *g, Sources *sources, const Root *r, Text *out) {
  if (r->kind == ROOT_STORE) {
    text_add(out, "store %s ", phase_name[r->phase]);
    print_name(g, g->node[r->target].attr.decl.name, out);
  } else {
    text_add(out, "output %s %s", phase_name[r->phase], out_name[r->out]);
    if (r->name) text_add(out, " "), print_name(g, r->name, out);
  }
  text_add(out, " = %%%u", r->value);
  print_place(g, sources, r->layer, r->span, out);
}

/* All nodes, then all roots. */
void graph_print(const Graph *g, Sources *sources, Text *out) {
  for (Val v = 1; v < g->nnode; v++) print_node(g, sources, v, out);
  for (uint32_t i = 0; i < g->nroot; i++) print_root(g, sources, &g->root[i], out);
}

/* ---- verify -------------------------------------------------------------------------- */

/* Operation, scalar, operands and mask are in range and come before the node. */
static const char *verify_operands(const Graph *g, Val v) {
  const Node *n = &g->node[v];
  if (n->op >= OP_COUNT) return "no such operation";
  if (n->dtype >= DTYPE_COUNT) return "no such type";
  if (n->op == OP_MAP && n->attr.map.fn >= S_COUNT) return "no such scalar function";
  for (int i = 0; i < node_arity(n); i++)
    if (!n->in[i] || n->in[i] >= v) return "an operand is none, or not above it";
  if (optab[n->op].attr == ATTR_decl && n->attr.decl.dead >= v) return "its mask is not above it";
  return NULL;
}

/* The shape is what the rule of the operation gives. */
static const char *verify_shape(Graph *g, Val v) {
  Node n = g->node[v];
  if (optab[n.op].attr != ATTR_decl) n.dtype = DTYPE_F32; /* as graph_add() does */
  if (!optab[n.op].shape(g, &n)) return "its operands do not fit";
  if (!shape_equal(&n.shape, &g->node[v].shape)) return "its shape is not what its rule gives";
  if (n.dtype != g->node[v].dtype) return "its type is not what its rule gives";
  for (int i = 0; i < n.shape.rank; i++)
    if (n.shape.dim[i].n < 1) return "an empty dimension";
  return NULL;
}

/* A root's values exist; a STORE writes a PARAM or STATE, once a phase, in its shape. */
static const char *verify_root(const Graph *g, const Root *r, uint8_t *stored) {
  if (r->phase >= PHASE_COUNT || r->out >= OUT_COUNT) return "no such phase or output";
  if (!r->value || r->value >= g->nnode || r->target >= g->nnode) return "it has no value";
  if (r->kind == ROOT_OUTPUT) return NULL;
  const Node *to = &g->node[r->target];
  if (to->op != OP_PARAM && to->op != OP_STATE) return "it stores to what is no PARAM or STATE";
  if (!shape_equal(&to->shape, &g->node[r->value].shape)) return "its shape is not the target's";
  if (stored[r->target] >> r->phase & 1) return "its target is stored twice in one phase";
  stored[r->target] |= (uint8_t)(1u << r->phase);
  return NULL;
}

/* Finds the first node, then the first root, that breaks a rule. */
bool graph_verify(const Graph *g, Text *why) {
  Graph scratch = *g; /* rules write the reason of a refusal */
  for (Val v = 1; v < g->nnode; v++) {
    const char *wrong = verify_operands(g, v);
    if (!wrong) wrong = verify_shape(&scratch, v);
    if (!wrong) continue;
    text_add(why, "node %%%u: %s", v, wrong);
    return false;
  }
  uint8_t *stored = NEW_ARRAY(g->arena, uint8_t, g->nnode);
  for (uint32_t i = 0; i < g->nroot; i++) {
    const char *wrong = verify_root(g, &g->root[i], stored);
    if (!wrong) continue;
    text_add(why, "root %u: %s", i, wrong);
    return false;
  }
  return true;
}
