/* rules.h: the functions that the rows of ops.def and scalars.def name, as their expansions.
 * Private to the files of the graph: ops.c tabulates them, shape.c, grad.c and derive.c hold
 * them. A row whose function is missing does not link. */
#ifndef LCW_RULES_H
#define LCW_RULES_H
#include "graph.h"

/* Shape rules: write n->shape and n->dtype from the operands and attributes; false if refused. */
#define OP(name, nin, attr, shape, cls, grad, keeps) bool shape_##shape(Graph *g, Node *n);
#include "ops.def"

/* Gradient rules: add to the adjoints of y's operands what dy, the adjoint of y, gives them. */
#define OP(name, nin, attr, shape, cls, grad, keeps) void grad_##grad(Grad *t, Val y, Val dy);
#include "ops.def"

/* Derivatives: what dy gives to operand i of the MAP y; 0 if that is zero everywhere. */
#define SCALAR(name, n, text, deriv, flops) Val derive_##deriv(Graph *g, Val y, int i, Val dy);
#include "scalars.def"

Val derive(Graph *g, Val y, int i, Val dy); /* the row's rule of the MAP y */

/* Writes g->error and returns false. */
bool graph_refuse(Graph *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Operands of a node: arity by the tables, a MAP's by its scalar. */
int node_arity(const Node *n);

/* Shape as text in the graph's arena, for messages. */
const char *shape_string(const Graph *g, const Shape *s);

#endif
