/* cuda_contract_begin.c: the first and last steps of a product's sums. In: a CONTRACT. Out: text
 * before and after the loop, and the program without what they do.
 *
 * An epilogue that first adds a bias, or s (x) t, or r, to the finished sum, may as well begin the
 * sum there: an accumulator is set anyhow, and the term costs no instruction of its own. It is taken
 * off the program if nobody else asks for the sum without it, and if it is made of rows and
 * columns: of values that are loaded for them and not stored. And a mask of rows that is 1 from
 * some row on (dead lanes) is multiplied in the tiles before that row, once the loop is done. */
#include <string.h>
#include "cuda_contract.h"

/* ---- what is taken off the program ----------------------------------------------------------- */

/* How often an instruction reads value i. */
static uint32_t reads(const Instr *n, uint32_t i) {
  uint32_t count = instr_operands(n);
  return (count > 0 && n->a == i ? 1u : 0u) + (count > 1 && n->b == i ? 1u : 0u) +
         (count > 2 && n->c == i ? 1u : 0u);
}

/* True if v is made of rows and columns; marks what it is made of. */
static bool made_mark(const Emit *e, uint32_t v, bool *made) {
  const Kernel *k = e->k;
  const Instr *n = &k->instr[v];
  if (n->op == I_CONST) return true;
  if (n->stage != STAGE_EPILOGUE || (n->op != I_LOAD && n->op != I_SCALAR)) return false;
  made[v] = true;
  if (n->op == I_LOAD) return !(k->arg[n->a].use & ARG_WRITE) && e->parts[v] != (IN_M | IN_N);
  uint32_t count = instr_operands(n);
  return (count < 1 || made_mark(e, n->a, made)) && (count < 2 || made_mark(e, n->b, made)) &&
         (count < 3 || made_mark(e, n->c, made));
}

/* Takes instruction i off the program: its readers read `instead`. */
static void instr_drop(Begin *b, uint32_t i, uint32_t instead) {
  for (uint32_t j = 0; j < b->rest.ninstr; j++) {
    Instr *n = &b->rest.instr[j];
    uint32_t left = reads(n, i);
    if (left && n->a == i) n->a = (uint16_t)instead, left--;
    if (left && n->b == i) n->b = (uint16_t)instead, left--;
    if (left) n->c = (uint16_t)instead;
  }
  b->rest.instr[i] = (Instr){.op = I_CONST, .stage = STAGE_EPILOGUE};
  b->parts[i] = 0;
}

/* Takes off what terms and mask are made of, where nobody else asks for it. */
static void unused_drop(Begin *b) {
  for (uint32_t i = b->rest.ninstr; i-- > 0;) {
    uint32_t count = 0;
    for (uint32_t j = 0; j < b->rest.ninstr; j++) count += reads(&b->rest.instr[j], i);
    if ((b->made[i] || b->masks[i]) && !count) instr_drop(b, i, i);
  }
}

/* True if v is loaded for rows, and 1 from some row on. */
static bool is_mask(const Emit *e, uint32_t v) {
  const Instr *n = &e->k->instr[v];
  int64_t step = 0;
  if (n->op != I_LOAD) return false;
  const Tail *tail = &e->k->arg[n->a].tail;
  return e->parts[v] == IN_M && tail->known && tail->value == 1.0f &&
         walk_linear(e->k, e->k->arg[n->a].stride, PART_M, &step) && step == 1;
}

/* The next step of the sum that can be taken: a term that is added, or, as the last, a mask. */
static bool step_take(const Emit *e, Begin *b, uint32_t *sum) {
  const Kernel *k = e->k;
  uint32_t i = kernel_reader(k, *sum);
  if (i == k->ninstr || k->instr[i].op != I_SCALAR) return false;
  const Instr *n = &k->instr[i];
  uint32_t other = n->a == *sum ? n->b : n->a;
  bool marks[MAX_INSTR] = {false};
  if (n->fn == SCALAR_mul && is_mask(e, other))
    b->mask = other, b->masks[other] = true;
  else if (n->fn != SCALAR_add || b->nterm == MAX_TERM || !made_mark(e, other, marks)) return false;
  else {
    b->term[b->nterm++] = (uint16_t)other;
    for (uint32_t j = 0; j < k->ninstr; j++) b->made[j] = b->made[j] || marks[j];
  }
  *sum = i;
  return true;
}

Begin *begin_take(Emit *e) {
  Begin *b = NEW(e->out->arena, Begin);
  b->rest = *e->k, b->mask = MAX_INSTR;
  memcpy(b->parts, e->parts, sizeof b->parts);
  uint32_t acc = 0, sum;
  while (acc < e->k->ninstr && e->k->instr[acc].op != I_ACC) acc++;
  if (acc == e->k->ninstr) return b;
  for (sum = acc; b->mask == MAX_INSTR && step_take(e, b, &sum);) instr_drop(b, sum, acc);
  unused_drop(b);
  return b;
}

/* ---- text ---------------------------------------------------------------------------------------- */

/* Opens the loop over the thread's sums; the indices are those of the epilogue. */
static void rows_open(Emit *e, const Tile *t) {
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int i = 0; i < %d; i++)", t->own);
}

/* The terms added up, as text. */
static const char *terms_text(Emit *e, const Begin *b) {
  const char *all = operand_text(e, b->term[0]);
  for (uint32_t i = 1; i < b->nterm; i++) all = emit_printf(e, "%s + %s", all, operand_text(e, b->term[i]));
  return all;
}

void begin_print(Emit *e, const Tile *t, const Begin *b) {
  const char *zero = t->matrix ? " = {{{0.0f}}}" : " = {{0.0f}}";
  emit_line(e, "float %s%s;", tile_accumulators(e, t), b->nterm ? "" : zero);
  if (!b->nterm) return;
  emit_line(e, "/* they begin with what is added to them */");
  emit_block(e);
  e->only = b->made;
  live_set(e, t);
  stage_print(e, STAGE_EPILOGUE, 0);
  rows_print(e, t);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int j = 0; j < %d; j++)", t->groups);
  emit_line(e, "const int group = column + %s, n = group;", tile_group_of(t));
  columns_print(e, t);
  rows_open(e, t);
  values_declare(e, STAGE_EPILOGUE, IN_M | IN_N, t->group);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int h = 0; h < %d; h++)", t->group);
  stage_print(e, STAGE_EPILOGUE, IN_M | IN_N);
  emit_line(e, "%s = %s;", tile_accumulator(t), terms_text(e, b));
  emit_close(e);
  emit_close(e);
  emit_close(e);
  emit_close(e);
  e->only = NULL, e->live[PART_M] = e->live[PART_N] = NULL;
}

/* The tile with those rows of a thread only that may come before row `from`. */
static Tile tile_before(const Tile *t, int from) {
  Tile before = *t;
  before.own = 0;
  while (before.own < t->own && tile_row_at(t, before.own) < from) before.own++;
  return before;
}

void mask_print(Emit *e, const Tile *t, const Begin *b) {
  if (b->mask == MAX_INSTR) return;
  const uint32_t arg = e->k->instr[b->mask].a;
  const int from = e->k->arg[arg].tail.from;
  const Tile before = tile_before(t, from);
  emit_open(e, "if (row < %d) /* $%u is 1 from there on */", from, arg);
  e->only = b->masks;
  live_set(e, t);
  rows_print(e, &before);
  emit_line(e, "#pragma unroll");
  emit_open(e, "for (int j = 0; j < %d; j++)", t->groups);
  rows_open(e, &before);
  emit_line(e, "#pragma unroll");
  emit_line(e, "for (int h = 0; h < %d; h++)", t->group);
  emit_line(e, "  %s *= %s;", tile_accumulator(t), operand_text(e, b->mask));
  emit_close(e);
  emit_close(e);
  emit_close(e);
  e->only = NULL, e->live[PART_M] = e->live[PART_N] = NULL;
}
