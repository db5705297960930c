/* check_run.c: experiments. Goes in: an EXPERIMENT. Comes out: messages for sweeps, variants,
 * runs, plots and tables that cannot work. Which nets an experiment trains is found first, for
 * variants and settings may only name parameters that those nets have. */
#include <string.h>
#include "check_scope.h"

enum { NETS_MAX = 16 };

typedef struct {
  Check *c;
  const Ast *decl;
  const Ast *net[NETS_MAX]; /* that its runs name */
  uint32_t nnet;
  bool open; /* a net could not be told: parameters are not checked */
} Experiment;

/* ---- which nets ------------------------------------------------------------------------- */

static void add_net(Experiment *x, const Ast *name) {
  const Ast *decl = check_resolve(x->c->front, x->c->file, name);
  if (decl && decl->kind == AST_NET && x->nnet < NETS_MAX) x->net[x->nnet++] = decl;
  else x->open = true;
}

static const Ast *find_sweep(const Ast *decl, Name name) {
  for (uint32_t i = 0; i < decl->nchild; i++)
    if (decl->child[i]->kind == AST_SWEEP && decl->child[i]->name == name) return decl->child[i];
  return NULL;
}

static void collect_nets(Experiment *x) {
  for (uint32_t i = 0; i < x->decl->nchild; i++) {
    const Ast *run = x->decl->child[i];
    if (run->kind != AST_RUN) continue;
    const Ast *net = run->child[0]->kind == AST_CALL ? run->child[0]->child[0] : run->child[0];
    const Ast *sweep = net->kind == AST_NAME ? find_sweep(x->decl, net->name) : NULL;
    for (uint32_t k = 0; sweep && k < sweep->nchild; k++) add_net(x, sweep->child[k]);
    if (!sweep) add_net(x, net);
  }
}

static const Ast *net_param(const Ast *net, Name name) {
  const Ast *params = net->child[0];
  for (uint32_t i = 0; i < params->nchild; i++)
    if (params->child[i]->name == name && params->child[i]->type != TYPE_TENSOR)
      return params->child[i];
  return NULL;
}

/* The first net that lacks the parameter, or NULL. */
static const Ast *net_without(const Experiment *x, Name name) {
  for (uint32_t i = 0; i < x->nnet; i++)
    if (!net_param(x->net[i], name)) return x->net[i];
  return NULL;
}

/* ---- settings --------------------------------------------------------------------------- */

static void report_setting(Experiment *x, const Ast *s, const Ast *net, const char *who) {
  Check *c = x->c;
  Name names[64];
  uint32_t n = 0;
  const Ast *params = net->child[0];
  for (; n < params->nchild && n < COUNT_OF(names); n++) names[n] = params->child[n]->name;
  Name near = name_nearest(c->front->names, s->name, names, n);
  const char *hint, *setting = near ? NULL : setting_nearest(c->front->names, AST_TRAIN, s->name, &hint);
  diag_at(check_diags(c), E0710, s->name_span, who, check_name(c, s->name),
          check_name(c, net->name));
  if (near || setting)
    diag_here(check_diags(c), "did you mean `%s`?", near ? check_name(c, near) : setting);
  diag_equals(check_diags(c), "parameters of %s: %s", check_name(c, net->name),
              params_text(c, params));
}

/* A parameter of the nets, or a setting of the recipe. */
static void check_assignment(Experiment *x, const Ast *s, const char *who) {
  Check *c = x->c;
  const char *name = check_name(c, s->name);
  if (check_is_setting(AST_EXPERIMENT, name) && x->decl->kind == AST_EXPERIMENT &&
      strcmp(who, "this experiment") == 0) {
    check_setting_value(c, AST_EXPERIMENT, s);
    return;
  }
  const Ast *without = net_without(x, s->name);
  if (without && check_is_setting(AST_TRAIN, name)) {
    check_setting_value(c, AST_TRAIN, s);
    return;
  }
  if (without && !x->open) report_setting(x, s, without, who);
  Kind got = check_expr(c, s->child[0]);
  const Ast *param = x->nnet && !without ? net_param(x->net[0], s->name) : NULL;
  if (param) check_kind(c, s->child[0], got, param->type, ast_child(param, 0) != NULL, name);
}

static void check_assignments(Experiment *x, const Ast *list, const char *who) {
  for (uint32_t i = 0; i < list->nchild; i++) {
    const Ast *s = list->child[i];
    if (s->kind != AST_SETTING) continue;
    const Ast *first = ast_setting(list, s->name);
    if (first != s) {
      diag_at(check_diags(x->c), E0304, s->name_span, check_name(x->c, s->name));
      diag_note(check_diags(x->c), first->name_span, "first given here");
    }
    check_assignment(x, s, who);
  }
}

static void check_variant(Experiment *x, const Ast *v, uint32_t index) {
  Check *c = x->c;
  for (uint32_t i = 0; i < index && i < 100; i++) {
    const Ast *other = x->decl->child[i];
    if (other->kind != AST_VARIANT || strcmp(other->text, v->text) != 0) continue;
    diag_at(check_diags(c), E0711, v->name_span, v->text);
    diag_note(check_diags(c), other->name_span, "the other one");
    break;
  }
  check_assignments(x, v, arena_printf(c->front->perm, "variant \"%s\"", v->text));
}

static void check_sweep(Experiment *x, const Ast *s) {
  Check *c = x->c;
  for (uint32_t i = 0; i < s->nchild; i++)
    check_kind(c, s->child[i], check_expr(c, s->child[i]), s->type, false,
               arena_printf(c->front->perm, "a value of sweep `%s`", check_name(c, s->name)));
  const Local *old = local_find(c, s->name);
  if (old) diag_at(check_diags(c), E0303, s->name_span, check_name(c, s->name));
  else local_add(c, s->name, s->type, s);
}

/* ---- runs ------------------------------------------------------------------------------- */

static void check_run_arguments(Experiment *x, const Ast *call) {
  Check *c = x->c;
  for (uint32_t i = 1; i < call->nchild; i++) {
    const Ast *arg = call->child[i];
    Kind got = check_expr(c, arg->kind == AST_NAMED ? arg->child[0] : arg);
    if (arg->kind != AST_NAMED) {
      diag_at(check_diags(c), E0419, arg->span, "an argument of a run", "`name = value`");
      continue;
    }
    const Ast *without = net_without(x, arg->name);
    if (without && !x->open) {
      diag_at(check_diags(c), E0402, arg->name_span, check_name(c, without->name),
              check_name(c, arg->name));
      diag_equals(check_diags(c), "parameters of %s: %s", check_name(c, without->name),
                  params_text(c, without->child[0]));
    } else if (!without && x->nnet) {
      const Ast *param = net_param(x->net[0], arg->name);
      check_kind(c, arg->child[0], got, param->type, ast_child(param, 0) != NULL,
                 check_name(c, arg->name));
    }
  }
}

static void check_run(Experiment *x, const Ast *run) {
  Check *c = x->c;
  const Ast *net = run->child[0], *data = ast_child(run, 1), *recipe = ast_child(run, 2);
  const Ast *name = net->kind == AST_CALL ? net->child[0] : net;
  check_kind(c, name, check_expr(c, name), TYPE_NET, false, "what is run");
  if (net->kind == AST_CALL) check_run_arguments(x, net);
  if (data) check_kind(c, data, check_expr(c, data), TYPE_DATA, false, "what stands after `on`");
  if (recipe)
    check_kind(c, recipe, check_expr(c, recipe), TYPE_TRAIN, false, "what stands after `with`");
  if (recipe && !data) diag_at(check_diags(c), E0707, run->span);
}

static void check_plot(Experiment *x, const Ast *plot) {
  Check *c = x->c;
  c->place = PLACE_PLOTTED;
  check_term(c, plot->child[0], PLACE_PLOT, plot->kind == AST_PLOT ? "a plot" : "a table");
  c->place = PLACE_NONE;
}

static void check_item(Experiment *x, uint32_t i) {
  const Ast *item = x->decl->child[i];
  switch (item->kind) {
    case AST_SWEEP: check_sweep(x, item); break;
    case AST_VARIANT: check_variant(x, item, i); break;
    case AST_RUN: check_run(x, item); break;
    case AST_PLOT:
    case AST_TABLE: check_plot(x, item); break;
    default: break;
  }
}

static void check_sweeps_used(Experiment *x) {
  for (uint32_t i = 0; i < x->c->nlocal; i++) {
    const Local *l = &x->c->local[i];
    if (l->used || !l->made || l->made->kind != AST_SWEEP) continue;
    const char *why =
        arena_printf(x->c->front->perm, "no run uses `%s`", check_name(x->c, l->name));
    diag_at(check_diags(x->c), W0716, l->made->name_span, "sweep", why);
  }
}

void check_experiment(Check *c, const Ast *decl) {
  Experiment x = {.c = c, .decl = decl};
  bool runs = false;
  collect_nets(&x);
  for (uint32_t i = 0; i < decl->nchild; i++) {
    runs |= decl->child[i]->kind == AST_RUN || decl->child[i]->kind == AST_ERROR;
    check_item(&x, i);
  }
  check_assignments(&x, decl, "this experiment");
  if (!runs) diag_at(check_diags(c), E0705, decl->name_span, check_name(c, decl->name));
  check_sweeps_used(&x);
}

/* ---- softmax twice ---------------------------------------------------------------------- */

/* The stage that a net's last `return` ends in, or NULL. */
static const Ast *last_stage(const Ast *net) {
  const Ast *body = net->child[2];
  const Ast *last = body->nchild ? body->child[body->nchild - 1] : NULL;
  if (!last || last->kind != AST_RETURN || last->nchild != 1) return NULL;
  const Ast *e = last->child[0];
  return e->kind == AST_PIPE ? e->child[e->nchild - 1] : e;
}

/* W0706 when a recipe of the same file would apply softmax again. */
void check_softmax(Check *c, const Ast *net) {
  const Ast *stage = last_stage(net);
  Names *names = c->front->names;
  if (!stage || ast_name(stage) != name_of_text(names, "softmax")) return;
  for (uint32_t i = 0; i < c->file->nchild; i++) {
    const Ast *train = c->file->child[i];
    if (train->kind != AST_TRAIN) continue;
    const Ast *loss = check_setting(c->front, train, name_of_text(names, "loss"));
    if (loss && ast_name(loss) != name_of_text(names, "cross_entropy")) continue;
    diag_at(check_diags(c), W0706, stage->span);
    if (loss) diag_note(check_diags(c), loss->span, "the loss is chosen here");
    diag_help(check_diags(c), "leave `-> softmax` out: the loss works on the values before it");
    return;
  }
}
