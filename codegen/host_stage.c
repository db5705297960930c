/* host_stage.c: the program of a kernel, one stage at a time. In: cells (points side by side along
 * the vector axis) and the axes that the stage walks. Out: the stage's instructions, each where
 * it has to run: before the walk, at every step, or after it. The loops are the caller's. */
#include "host.h"
#include "seed.h"

static bool reduces(const Instr *n) { return n->op == I_REDUCE; }

/* Does the walk go along the lanes, so that a sum ends in a sum of lanes? */
static bool stage_across(const Stage *s) {
  return s->cell->at.axis != NO_AXIS && (s->walk >> s->cell->at.axis & 1);
}

/* Is the operand a sum of this stage, or does it need one? */
static bool uses_late(const Stage *s, uint32_t operand) {
  const Instr *n = &s->e->k->instr[operand];
  return n->stage == s->stage && (reduces(n) || s->late[operand]);
}

/* Decides for every instruction of the stage when it runs. */
static void stage_sort(Stage *s) {
  const Kernel *k = s->e->k;
  for (uint32_t i = 0; i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    s->late[i] = false;
    s->inside[i] = n->stage == s->stage && (reduces(n) || (s->e->varies[i] & s->walk));
    if (n->stage != s->stage || s->inside[i]) continue;
    const uint16_t operand[3] = {n->a, n->b, n->c};
    for (uint32_t j = 0; j < instr_operands(n); j++) s->late[i] |= uses_late(s, operand[j]);
  }
}

/* A sum that goes along the cells but not along the walk: it has no slots, each step hands it on. */
static bool hands_on(const Stage *s, uint32_t i) {
  const Instr *n = &s->e->k->instr[i];
  return reduces(n) && s->cell->at.axis != NO_AXIS && !(n->axes & s->walk);
}

/* What a sum or maximum starts from. */
Value stage_neutral(Build *b, const Instr *n, Value like) {
  return real_like(b, n->fn == FN_max ? -1.0 / 0.0 : 0, like);
}

/* The type of a sum: a vector if its lanes differ or are to be summed at the end. */
static Type sum_type(const Stage *s, uint32_t i) {
  Build *b = &s->e->b;
  uint32_t axis = s->cell->at.axis;
  bool wide =
      axis != NO_AXIS && (stage_across(s) || (s->e->varies[s->e->k->instr[i].a] >> axis & 1));
  return wide ? b->vector : b->f32;
}

/* Sorts the instructions and clears the sums. */
void stage_open(Stage *s, Emit *e, uint32_t stage, uint16_t walk, Cell *cell, uint32_t n,
                uint32_t ways) {
  s->quiet = false;
  s->e = e, s->stage = stage, s->walk = walk, s->cell = cell, s->n = n, s->ways = ways;
  stage_sort(s);
  for (uint32_t i = 0; i < e->k->ninstr; i++) {
    if (!s->inside[i] || !reduces(&e->k->instr[i]) || hands_on(s, i)) continue;
    Type t = sum_type(s, i);
    for (uint32_t w = 0; w < ways; w++)
      for (uint32_t c = 0; c < n; c++) {
        s->sum[i][w][c] = build_slot(&e->b, t);
        build_set(&e->b, s->sum[i][w][c], stage_neutral(&e->b, &e->k->instr[i], LLVMConstNull(t)));
      }
  }
}

bool stage_walks(const Stage *s) {
  for (uint32_t i = 0; i < s->e->k->ninstr; i++)
    if (s->inside[i]) return true;
  return false;
}

/* Applies a scalar function; a float beside a vector is spread over it. */
static Value apply(Emit *e, uint32_t fn, Value x, Value y, Value z) {
  Build *b = &e->b;
  Value *all[3] = {&x, &y, &z};
  bool wide = false;
  for (uint32_t i = 0; i < math_table[fn].operands; i++) wide |= value_wide(*all[i]);
  for (uint32_t i = 0; wide && i < math_table[fn].operands; i++)
    *all[i] = value_splat(b, *all[i], b->isa->width);
  return math_table[fn].rule(b, x, y, z);
}

/* The product that `operand` is, if it is one of this stage, which every cell then still has. */
static const Instr *product(const Stage *s, uint32_t operand) {
  const Instr *n = &s->e->k->instr[operand];
  return n->op == I_SCALAR && n->fn == FN_mul && n->stage == s->stage ? n : NULL;
}

/* z + x y, or z - x y, with one rounding where the machine has that. */
static Value fma_apply(Emit *e, Value x, Value y, Value z, bool minus) {
  Build *b = &e->b;
  if (value_wide(x) || value_wide(y) || value_wide(z)) {
    x = value_splat(b, x, b->isa->width), y = value_splat(b, y, b->isa->width);
    z = value_splat(b, z, b->isa->width);
  }
  return value_fma(b, minus ? LLVMBuildFNeg(b->at, x, "") : x, y, z);
}

/* A sum or difference with a product is one instruction; NULL if n is none. The rule looks at n
 * and its operands alone, so that a value has the same bits in whatever kernel it is computed. */
static Value multiply_add(Stage *s, const Instr *n, const Value *v) {
  bool minus = n->fn == FN_sub;
  if (n->fn != FN_add && !minus) return NULL;
  const Instr *right = product(s, n->b), *left = minus || right ? NULL : product(s, n->a);
  if (right) return fma_apply(s->e, v[right->a], v[right->b], v[n->a], minus);
  return left ? fma_apply(s->e, v[left->a], v[left->b], v[n->b], false) : NULL;
}

/* The value of instruction i, which is no REDUCE, in cell number c. */
static Value evaluate(Stage *s, uint32_t i, uint32_t c) {
  Emit *e = s->e;
  const Instr *n = &e->k->instr[i];
  Cell *cell = &s->cell[c];
  Value *v = cell->value;
  if (e->acc && i == e->start.whole) return e->acc(e, cell, c);
  switch ((InstrOp)n->op) {
  case I_CONST: return LLVMConstReal(e->b.f32, (double)n->k);
  case I_LOAD:
    if (e->panel && n->a == e->k->rhs && n->stage == STAGE_PROLOGUE) return e->panel(e, cell, c);
    return arg_load(e, n->a, &cell->at);
  case I_ACC: return e->acc(e, cell, c);
  case I_RANDOM: {
    Value one;
    return arg_random(e, n, 1, (const Point *[]){&cell->at}, &one), one;
  }
  case I_SCALAR: {
    Value sum = multiply_add(s, n, v);
    if (sum) return sum;
    uint32_t operands = math_table[n->fn].operands;
    return apply(e, n->fn, v[n->a], operands > 1 ? v[n->b] : NULL, operands > 2 ? v[n->c] : NULL);
  }
  case I_STORE: arg_store(e, n->b, &cell->at, v[n->a]); return NULL;
  case I_REDUCE: break;
  }
  return NULL;
}

/* The value of instruction i in cell c, outside of any walk: operands first. */
static Value stage_value(Stage *s, uint32_t i, uint32_t c) {
  const Instr *n = &s->e->k->instr[i];
  const uint16_t operand[3] = {n->a, n->b, n->c};
  for (uint32_t j = 0; n->op == I_SCALAR && j < math_table[n->fn].operands; j++)
    stage_value(s, operand[j], c);
  return s->cell[c].value[i] = evaluate(s, i, c);
}

Value stage_start(Stage *s, uint32_t c) {
  Emit *e = s->e;
  Value sum = NULL;
  for (uint32_t product_too = 0; product_too < 2; product_too++) /* those become an fma */
    for (uint32_t t = 0; t < e->start.n; t++) {
      uint32_t i = e->start.term[t];
      const Instr *p = product(s, i);
      if (!p != !product_too) continue;
      const Value *v = s->cell[c].value;
      Value x = stage_value(s, i, c);
      if (!sum) sum = x;
      else if (p) sum = fma_apply(e, v[p->a], v[p->b], sum, false);
      else sum = apply(e, FN_add, sum, x, NULL);
    }
  return sum ? value_splat(&e->b, sum, e->b.isa->width) : LLVMConstNull(e->b.vector);
}

/* True if cell c holds what cell 0 holds. */
static bool repeats(const Stage *s, uint32_t i, uint32_t c) {
  uint32_t axis = s->cell->at.axis;
  return c > 0 && (axis == NO_AXIS || !(s->e->varies[i] >> axis & 1));
}

/* The random numbers of all cells. */
static void run_random(Stage *s, uint32_t i) {
  const Point *at[MAX_CELL];
  Value out[MAX_CELL];
  for (uint32_t c = 0; c < s->n; c++) at[c] = &s->cell[c].at;
  arg_random(s->e, &s->e->k->instr[i], s->n, at, out);
  for (uint32_t c = 0; c < s->n; c++) s->cell[c].value[i] = out[c];
}

/* Evaluates an instruction in cell c, or takes it from cell 0 if both would hold the same. */
static void run(Stage *s, uint32_t i, uint32_t c) {
  bool store = s->e->k->instr[i].op == I_STORE;
  if (store && s->quiet && !s->inside[i]) return;
  if (s->n > 1 && s->e->k->instr[i].op == I_RANDOM && !repeats(s, i, s->n - 1)) {
    if (c == 0) run_random(s, i);
  } else if (!repeats(s, i, c)) s->cell[c].value[i] = evaluate(s, i, c);
  else if (!store) s->cell[c].value[i] = s->cell[0].value[i];
}

static void run_all(Stage *s, uint32_t i) {
  for (uint32_t c = 0; c < s->n; c++) run(s, i, c);
}

void stage_before(Stage *s) {
  for (uint32_t i = 0; i < s->e->k->ninstr; i++)
    if (s->e->k->instr[i].stage == s->stage && !s->inside[i] && !s->late[i])
      run_all(s, i);
}

/* The value as a vector; lanes beyond the row's end are neutral if the sum goes along them. */
static Value summand(Stage *s, const Instr *n, uint32_t c, bool across) {
  Build *b = &s->e->b;
  Value v = value_splat(b, s->cell[c].value[n->a], b->isa->width);
  uint32_t lanes = s->cell[c].at.lanes;
  if (!across || lanes >= b->isa->width) return v;
  lanes += SEED(203, lanes > 1 ? ~0u : 0u, 0u); /* caught by kernel_proof: softmax */
  return value_choose(b, lane_mask(b, lanes), v, stage_neutral(b, n, v));
}

/* `sum` and the value of cell c; all lanes of `sum` count if `across`. */
static Value join(Stage *s, const Instr *n, uint32_t c, Value sum, bool across) {
  const Value *v = s->cell[c].value;
  const Instr *p = n->fn == FN_add ? product(s, n->a) : NULL;
  bool whole = !across || s->cell[c].at.lanes >= s->e->b.isa->width;
  if (p && whole) return fma_apply(s->e, v[p->a], v[p->b], sum, false);
  Value more = value_wide(sum) ? summand(s, n, c, across) : v[n->a];
  return math_table[n->fn].rule(&s->e->b, sum, more, NULL);
}

/* Adds a cell to the lanes that the caller keeps, which are fetched for the first cell of a step and
 * given back after the last. */
static void hand_on(Stage *s, uint32_t i, uint32_t c) {
  Emit *e = s->e;
  Value sum = c == 0 ? e->lanes(e, i, NULL) : s->cell[c - 1].value[i];
  s->cell[c].value[i] = sum = join(s, &e->k->instr[i], c, sum, true);
  if (c + 1 == s->n) e->lanes(e, i, sum);
}

/* Adds a cell's value to its sum. */
static void accumulate(Stage *s, uint32_t i, uint32_t way, uint32_t c) {
  Build *b = &s->e->b;
  Type t = sum_type(s, i);
  Value *slot = &s->sum[i][way][c];
  build_set(b, *slot, join(s, &s->e->k->instr[i], c, build_get(b, *slot, t), stage_across(s)));
}

/* Cell after cell: fewer values are alive at a time than instruction after instruction. */
void stage_step(Stage *s, uint32_t way) {
  const Instr *instr = s->e->k->instr;
  uint32_t n = s->e->k->ninstr;
  for (uint32_t c = 0; c < s->n; c++)
    for (uint32_t i = 0; i < n; i++) {
      if (!s->inside[i]) continue;
      if (hands_on(s, i)) hand_on(s, i, c);
      else if (reduces(&instr[i])) accumulate(s, i, way, c);
      else run(s, i, c);
    }
}

/* Adds the sums of way 0 to those of way 1 and clears them: a block of rows is done. */
void stage_flush(Stage *s) {
  Build *b = &s->e->b;
  for (uint32_t i = 0; i < s->e->k->ninstr; i++) {
    const Instr *n = &s->e->k->instr[i];
    if (!s->inside[i] || !reduces(n)) continue;
    Type t = sum_type(s, i);
    for (uint32_t c = 0; c < s->n; c++) {
      Value block = build_get(b, s->sum[i][0][c], t), whole = build_get(b, s->sum[i][1][c], t);
      build_set(b, s->sum[i][1][c], math_table[n->fn].rule(b, whole, block, NULL));
      build_set(b, s->sum[i][0][c], stage_neutral(b, n, LLVMConstNull(t)));
    }
  }
}

/* The sum of all lanes: halves are added until one lane is left. */
Value lanes_fold(Build *b, const Instr *n, Value v) {
  for (uint32_t width = b->isa->width; width > 1; width /= 2) {
    Value low[MAX_WIDTH], high[MAX_WIDTH], none = LLVMGetPoison(LLVMTypeOf(v));
    for (uint32_t i = 0; i < width / 2; i++)
      low[i] = LLVMConstInt(b->i32, i, 0), high[i] = LLVMConstInt(b->i32, i + width / 2, 0);
    Value x = LLVMBuildShuffleVector(b->at, v, none, LLVMConstVector(low, width / 2), "");
    Value y = LLVMBuildShuffleVector(b->at, v, none, LLVMConstVector(high, width / 2), "");
    v = math_table[n->fn].rule(b, x, y, NULL);
  }
  return LLVMBuildExtractElement(b->at, v, LLVMConstInt(b->i32, 0, 0), "");
}

/* Adds the ways of a cell, pair by pair, and its lanes if the walk went along them. */
void stage_close(Stage *s) {
  Build *b = &s->e->b;
  for (uint32_t i = 0; i < s->e->k->ninstr; i++) {
    const Instr *n = &s->e->k->instr[i];
    if (!s->inside[i] || !reduces(n)) continue;
    Type t = sum_type(s, i);
    for (uint32_t c = 0; c < s->n; c++) {
      Value v[MAX_WAY];
      for (uint32_t w = 0; w < s->ways; w++) v[w] = build_get(b, s->sum[i][w][c], t);
      for (uint32_t w = s->ways; w > 1; w /= 2)
        for (uint32_t j = 0; j < w / 2; j++)
          v[j] = math_table[n->fn].rule(b, v[j], v[j + w / 2], NULL);
      s->cell[c].value[i] = stage_across(s) ? lanes_fold(b, n, v[0]) : v[0];
    }
  }
}

void stage_after(Stage *s) {
  for (uint32_t i = 0; i < s->e->k->ninstr; i++)
    if (s->late[i]) run_all(s, i);
}

/* Sets the indices of `axes` from their flat index, the last axis running fastest. */
void index_split(Emit *e, uint16_t axes, Value flat, Value *index) {
  Build *b = &e->b;
  for (uint32_t i = e->k->naxis; i-- > 0;) {
    if (!(axes >> i & 1)) continue;
    axes = (uint16_t)(axes & ~(1u << i));
    Value extent = int_of(b, e->k->extent[i]);
    index[i] = axes ? LLVMBuildURem(b->at, flat, extent, "") : flat;
    if (axes) flat = LLVMBuildUDiv(b->at, flat, extent, "");
  }
}
