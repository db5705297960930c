/* cuda_group.c: the loop body of a MAP or ROW kernel: one element, or four neighbours along the
 * fastest axis of a part. In: an Emit. Out: the instructions of a stage; of a group, the loads and
 * stores that its strides allow are one access of 4, 8 or 16 bytes each, all else is done for each
 * of the four. So that neighbours in memory are neighbours in the kernel, the axes are arranged
 * before anything is printed. */
#include "cuda_emit.h"
#include <string.h>

/* Longer programs are not printed four times over. */
enum { SHORT_PROGRAM = 48, RANDOM_WEIGHT = 24 };

/* ---- axes ----------------------------------------------------------------------------------- */

uint32_t part_last(const Kernel *k, AxisPart part) {
  uint32_t last = 0;
  for (uint32_t a = 0; a < k->naxis; a++)
    if (k->part[a] == part) last = a;
  return last;
}

/* Elements of the arguments that are neighbours along an axis. */
uint64_t axis_neighbours(const Kernel *k, uint32_t axis) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < k->narg; i++) {
    uint32_t axes = 0;
    for (uint32_t a = 0; a < k->naxis; a++) axes |= (k->arg[i].stride[a] ? 1u : 0u) << a;
    if (k->arg[i].stride[axis] == 1) n += kernel_extent(k, (uint16_t)axes);
  }
  return n;
}

/* A mask of axes with those from `axis` on turned, so that it comes last. */
static uint16_t mask_turn(const Kernel *k, uint32_t mask, uint32_t axis) {
  uint32_t low = mask & ((1u << axis) - 1), high = mask >> (axis + 1) << axis;
  return (uint16_t)(low | high | (mask >> axis & 1) << (k->naxis - 1));
}

static void axis_to_end(Kernel *k, uint32_t axis) {
  uint32_t last = k->naxis - 1u;
  const Kernel from = *k;
  for (uint32_t a = axis; a <= last; a++) {
    uint32_t b = a < last ? a + 1 : axis;
    k->part[a] = from.part[b], k->extent[a] = from.extent[b];
    for (uint32_t i = 0; i < k->narg; i++) {
      k->arg[i].stride[a] = from.arg[i].stride[b];
      for (uint32_t g = 0; g < k->arg[i].nguard; g++)
        k->arg[i].guard[g].coef[a] = from.arg[i].guard[g].coef[b];
    }
  }
  for (uint32_t s = 0; s < k->nstage; s++) k->space[s] = mask_turn(k, k->space[s], axis);
  for (uint32_t i = 0; i < k->ninstr; i++) k->instr[i].axes = mask_turn(k, k->instr[i].axes, axis);
}

void axes_arrange(Kernel *k) {
  for (AxisPart part = PART_P; part <= PART_R; part++) {
    uint32_t best = part_last(k, part);
    for (uint32_t a = 0; a < k->naxis; a++)
      if (k->part[a] == part && axis_neighbours(k, a) > axis_neighbours(k, best)) best = a;
    if (kernel_axes(k, part)) axis_to_end(k, best);
  }
  kernel_collapse(k);
}

/* ---- which accesses are of four ------------------------------------------------------------- */

static bool guard_varies(const Arg *a, uint32_t axis) {
  for (uint32_t g = 0; g < a->nguard; g++)
    if (a->guard[g].coef[axis]) return true;
  return false;
}

/* True if four neighbours of an argument, from a multiple of four on, are one aligned access. */
static bool arg_groups(const Kernel *k, const Arg *a, uint32_t axis) {
  if (a->dtype == DTYPE_F64 || a->stride[axis] != 1 || guard_varies(a, axis)) return false;
  for (uint32_t i = 0; i < k->naxis; i++)
    if (i != axis && a->stride[i] % GROUP) return false;
  return a->offset % GROUP == 0;
}

/* True if a stage stores to an argument and then loads from it: its accesses stay in order. */
static bool arg_returns(const Kernel *k, uint32_t arg, uint32_t stage) {
  bool stored = false;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->stage != stage) continue;
    if (n->op == I_STORE && n->b == arg) stored = true;
    if (n->op == I_LOAD && n->a == arg && stored) return true;
  }
  return false;
}

bool program_short(const Kernel *k) {
  uint32_t n = k->ninstr;
  for (uint32_t i = 0; i < k->ninstr; i++) n += k->instr[i].op == I_RANDOM ? RANDOM_WEIGHT : 0;
  return n <= SHORT_PROGRAM;
}

bool groups_find(const Kernel *k, AxisPart part, bool *grouped, bool *level) {
  uint32_t axis = part_last(k, part);
  bool any = false;
  memset(grouped, 0, MAX_INSTR), memset(level, 0, MAX_INSTR);
  if (!kernel_axes(k, part) || k->extent[axis] % GROUP || !program_short(k)) return false;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (n->op != I_LOAD && n->op != I_STORE) continue;
    const Arg *a = &k->arg[n->op == I_LOAD ? n->a : n->b];
    if (arg_returns(k, n->op == I_LOAD ? n->a : n->b, n->stage)) continue;
    grouped[i] = arg_groups(k, a, axis);
    level[i] = n->op == I_LOAD && !a->stride[axis] && !guard_varies(a, axis);
    any |= grouped[i];
  }
  return any;
}

/* ---- printing ------------------------------------------------------------------------------- */

/* One access of the group whose first element is at the index. */
static void group_access_print(Emit *e, uint32_t i) {
  const Instr *n = &e->k->instr[i];
  uint32_t arg = n->op == I_LOAD ? n->a : n->b;
  const Arg *a = &e->k->arg[arg];
  const char *inside = inside_text(e, a), *test = inside ? emit_printf(e, "if (%s) ", inside) : "";
  const char *type = group_type_text(a), *at = address_text(e, a);
  if (n->op == I_STORE)
    emit_line(e, "%s%s_store_%d(a%u + %s, s%u);", test, type, GROUP, arg, at, i);
  else {
    emit_line(e, "float v%u[%d]%s;", i, GROUP, inside ? " = {0.0f}" : "");
    emit_line(e, "%s%s_load_%d(v%u, a%u + %s);", test, type, GROUP, i, arg, at);
  }
}

/* True if an instruction of a stage is done for every element along a part. */
static bool inside_loop(const Emit *e, uint32_t i, uint32_t stage, AxisPart part) {
  return e->k->instr[i].stage == stage && e->parts[i] >> part & 1;
}

/* Before the four: loads of groups, and of what all four share; room for what is stored. */
static void group_begin_print(Emit *e, uint32_t stage, AxisPart part) {
  bool only[MAX_INSTR] = {false};
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!inside_loop(e, i, stage, part)) continue;
    only[i] = e->level[i];
    if (!e->grouped[i]) continue;
    if (e->k->instr[i].op == I_LOAD) group_access_print(e, i);
    else emit_line(e, "float s%u[%d];", i, GROUP);
  }
  e->only = only;
  stage_print(e, stage, 1u << part);
  if (part == PART_R) stage_print(e, stage, IN_P | IN_R);
  e->only = NULL;
}

/* True if some instruction needs the index of each element of the four. */
static bool index_needed(const Emit *e, uint32_t stage, AxisPart part) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    uint32_t op = e->k->instr[i].op;
    bool access = op == I_LOAD || op == I_STORE || op == I_RANDOM;
    if (access && inside_loop(e, i, stage, part) && !e->grouped[i] && !e->level[i]) return true;
  }
  return false;
}

static void instructions_print(Emit *e, uint32_t stage, AxisPart part) {
  stage_print(e, stage, 1u << part);
  if (part == PART_R) stage_print(e, stage, IN_P | IN_R);
  terms_print(e, stage);
}

void elements_print(Emit *e, uint32_t stage, AxisPart part, bool groups) {
  const char *letter = part == PART_P ? "p" : "r";
  if (!groups) {
    instructions_print(e, stage, part);
    return;
  }
  bool each[MAX_INSTR];
  for (uint32_t i = 0; i < e->k->ninstr; i++) each[i] = !e->level[i];
  e->index[part] = emit_printf(e, "%s0", letter);
  group_begin_print(e, stage, part);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", GROUP);
  if (index_needed(e, stage, part)) emit_line(e, "const int %s = %s0 + i;", letter, letter);
  const char *first = e->index[part];
  e->index[part] = NULL, e->only = each;
  instructions_print(e, stage, part);
  e->index[part] = first, e->only = NULL;
  emit_close(e);
  for (uint32_t i = 0; i < e->k->ninstr; i++)
    if (inside_loop(e, i, stage, part) && e->grouped[i] && e->k->instr[i].op == I_STORE)
      group_access_print(e, i);
  e->index[part] = NULL;
}

/* ---- MAP: a thread, four elements ------------------------------------------------------------ */

static Kernel *arranged(Arena *arena, const Kernel *k) {
  Kernel *own = NEW(arena, Kernel);
  *own = *k;
  axes_arrange(own);
  return own;
}

void map_launch(const Kernel *k, CudaLaunch *launch) {
  Kernel own = *k;
  Numbers numbers;
  axes_arrange(&own);
  numbers_find(&own, &numbers);
  numbers_launch(&numbers, launch);
  uint64_t count = kernel_extent(k, kernel_axes(k, PART_P)), each = GROUP * BLOCK;
  launch->grid[0] = (uint32_t)((count + each - 1) / each);
}

/* What a MAP does once, in one thread of the grid. */
static void map_once_print(Emit *e) {
  e->once = "block_x() + thread_index() == 0";
  stage_print(e, 0, 0);
  e->once = NULL;
}

/* Four neighbours; or, where nothing is gained by that, four that are a block apart, so that the
 * lanes of a warp touch neighbours. */
void map_print(Emit *e) {
  int32_t extent = part_extent(e, PART_P);
  Numbers numbers;
  e->k = arranged(e->out->arena, e->k);
  numbers_find(e->k, &numbers);
  e->numbers = &numbers;
  const char *count = named_text(e, "count", extent);
  bool overhangs = has_numbers(e) || extent % (GROUP * BLOCK);
  bool groups = groups_find(e->k, PART_P, e->grouped, e->level);
  function_open(e, false);
  if (extent == 1 && !has_numbers(e)) emit_line(e, "if (thread_index() > 0) return;");
  if (groups) {
    emit_line(e, "const int p0 = (block_x() * %d + thread_index()) * %d;", BLOCK, GROUP);
    if (overhangs) emit_line(e, "if (p0 >= %s) return;", count);
    map_once_print(e);
  } else {
    map_once_print(e);
    emit_line(e, "#pragma unroll%s", program_short(e->k) ? "" : " 1");
    emit_open(e, "for (int i = 0; i < %d; i++)", GROUP);
    emit_line(e, "const int p = (block_x() * %d + i) * %d + thread_index();", GROUP, BLOCK);
    if (overhangs) emit_line(e, "if (p >= %s) break;", count);
  }
  elements_print(e, 0, PART_P, groups);
  if (!groups) emit_close(e);
  emit_close(e);
  e->numbers = NULL;
}
