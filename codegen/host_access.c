/* host_access.c: loads and stores of one argument at one point. In: a Point. Out: a float, or a
 * vector of floats along the point's axis. Any stride is right: 1 is a vector access, 0 a
 * scalar, anything else goes lane by lane. Outside its guards a load is 0 and touches nothing;
 * lanes beyond the point's `lanes` are never read or written. */
#include "host.h"

/* Bytes of an element. */
uint32_t dtype_size(uint32_t dtype) {
  static const uint8_t size[DTYPE_COUNT] = {4, 1, 4, 4, 8, 2};
  return size[dtype];
}

/* As it lies in memory. */
Type dtype_type(Build *b, uint32_t dtype) {
  Type t[DTYPE_COUNT] = {b->f32, b->i8, b->i32, b->i32, b->f64, b->i16};
  return t[dtype];
}

bool arg_guarded(const Arg *a, uint32_t axis) {
  for (uint32_t g = 0; g < a->nguard; g++)
    if (axis < MAX_AXIS && a->guard[g].coef[axis]) return true;
  return false;
}

bool arg_moves(const Kernel *k, uint32_t arg, uint32_t axis) {
  return axis < MAX_AXIS && (k->arg[arg].stride[axis] || arg_guarded(&k->arg[arg], axis));
}

/* base + sum of coef[i] * index[i]. */
static Value affine(Emit *e, int64_t base, const int64_t *coef, const Point *p) {
  Build *b = &e->b;
  Value sum = int_of(b, 0);
  for (uint32_t i = 0; i < e->k->naxis; i++)
    if (coef[i]) sum = value_add(b, sum, value_mul(b, p->index[i], coef[i]));
  return value_add(b, sum, int_of(b, base));
}

/* In elements from the start of the buffer. */
static Value arg_position(Emit *e, uint32_t arg, const Point *p) {
  return affine(e, e->k->arg[arg].offset, e->k->arg[arg].stride, p);
}

Value arg_address(Emit *e, uint32_t arg, const Point *p) {
  return at_element(&e->b, dtype_type(&e->b, e->k->arg[arg].dtype), e->arg[arg],
                    arg_position(e, arg, p));
}

/* The point of one lane of a vector. */
static Point point_lane(Emit *e, const Point *p, uint32_t lane) {
  Point q = *p;
  q.index[p->axis] = value_add(&e->b, p->index[p->axis], int_of(&e->b, lane));
  q.axis = NO_AXIS;
  return q;
}

/* Inside all guards at a point without lanes; NULL: it has none. */
static Value guard_scalar(Emit *e, const Arg *a, const Point *p) {
  Build *b = &e->b;
  Value all = NULL;
  for (uint32_t g = 0; g < a->nguard; g++) {
    int64_t coef[MAX_AXIS];
    for (uint32_t i = 0; i < MAX_AXIS; i++) coef[i] = a->guard[g].coef[i];
    Value at = affine(e, a->guard[g].base, coef, p);
    Value in = LLVMBuildICmp(b->at, LLVMIntULT, at, int_of(b, a->guard[g].extent), "");
    all = all ? LLVMBuildAnd(b->at, all, in, "") : in;
  }
  return all;
}

/* A loaded element, scalar or vector, as float. */
static Value to_float(Build *b, uint32_t dtype, Value v) {
  Type t = type_like(b, b->f32, v), words = type_like(b, b->i32, v);
  switch ((DType)dtype) {
  case DTYPE_U8: return LLVMBuildSIToFP(b->at, LLVMBuildZExt(b->at, v, words, ""), t, "");
  case DTYPE_I32: return LLVMBuildSIToFP(b->at, v, t, "");
  case DTYPE_U32: return LLVMBuildUIToFP(b->at, v, t, "");
  case DTYPE_F64: return LLVMBuildFPTrunc(b->at, v, t, "");
  case DTYPE_BF16:
    v = LLVMBuildShl(b->at, LLVMBuildZExt(b->at, v, words, ""), word_like(b, 16, v), "");
    return LLVMBuildBitCast(b->at, v, t, "");
  default: return v;
  }
}

/* The bits of a bf16 nearest to a float, ties to even; NaN stays NaN. */
static Value to_bf16(Build *b, Value v) {
  Value w = LLVMBuildBitCast(b->at, v, type_like(b, b->i32, v), "");
  Value odd =
      LLVMBuildAnd(b->at, LLVMBuildLShr(b->at, w, word_like(b, 16, w), ""), word_like(b, 1, w), "");
  Value near = LLVMBuildAdd(b->at, w, LLVMBuildAdd(b->at, odd, word_like(b, 0x7FFF, w), ""), "");
  Value nan = LLVMBuildFCmp(b->at, LLVMRealUNO, v, v, "");
  near = value_choose(b, nan, LLVMBuildOr(b->at, w, word_like(b, 0x400000, w), ""), near);
  return LLVMBuildTrunc(b->at, LLVMBuildLShr(b->at, near, word_like(b, 16, w), ""),
                        type_like(b, b->i16, v), "");
}

/* A value as its argument's type; whole numbers lose their fraction. */
static Value from_float(Build *b, uint32_t dtype, Value v) {
  switch ((DType)dtype) {
  case DTYPE_U8: return LLVMBuildFPToUI(b->at, v, type_like(b, b->i8, v), "");
  case DTYPE_I32: return LLVMBuildFPToSI(b->at, v, type_like(b, b->i32, v), "");
  case DTYPE_U32: return LLVMBuildFPToUI(b->at, v, type_like(b, b->i32, v), "");
  case DTYPE_F64: return LLVMBuildFPExt(b->at, v, type_like(b, b->f64, v), "");
  case DTYPE_BF16: return to_bf16(b, v);
  default: return v;
  }
}

/* Guarded, the address is that of the first element, which is always there. */
static Value load_scalar(Emit *e, uint32_t arg, const Point *p) {
  Build *b = &e->b;
  const Arg *a = &e->k->arg[arg];
  Value in = guard_scalar(e, a, p), address = arg_address(e, arg, p);
  if (in) address = value_choose(b, in, address, e->arg[arg]);
  Value v =
      to_float(b, a->dtype, load_as(b, dtype_type(b, a->dtype), address, dtype_size(a->dtype)));
  return in ? value_choose(b, in, v, real_like(b, 0, v)) : v;
}

/* A whole vector, or its first lanes, of consecutive elements. */
static Value load_lanes(Emit *e, uint32_t arg, const Point *p) {
  Build *b = &e->b;
  uint32_t dtype = e->k->arg[arg].dtype, size = dtype_size(dtype), width = b->isa->width;
  Type t = LLVMVectorType(dtype_type(b, dtype), width);
  Value address = arg_address(e, arg, p);
  if (p->lanes == width) return to_float(b, dtype, load_as(b, t, address, size));
  Value v = LLVMConstNull(t);
  for (uint32_t i = 0; i < p->lanes; i++) {
    Value one =
        load_as(b, dtype_type(b, dtype), at_offset(b, dtype_type(b, dtype), address, i), size);
    v = LLVMBuildInsertElement(b->at, v, one, LLVMConstInt(b->i32, i, 0), "");
  }
  return to_float(b, dtype, v);
}

/* Consecutive elements, or zeros if the whole vector is outside a guard. */
static Value load_vector(Emit *e, uint32_t arg, const Point *p) {
  Build *b = &e->b;
  Value in = guard_scalar(e, &e->k->arg[arg], p);
  if (!in) return load_lanes(e, arg, p);
  Value slot = build_slot(b, b->vector);
  build_set(b, slot, LLVMConstNull(b->vector));
  Branch br = branch_begin(b, in);
  build_set(b, slot, load_lanes(e, arg, p));
  branch_end(b, &br);
  return build_get(b, slot, b->vector);
}

/* Lane by lane: any stride, guards that differ from lane to lane. */
static Value load_gather(Emit *e, uint32_t arg, const Point *p) {
  Build *b = &e->b;
  Value v = LLVMConstNull(b->vector);
  for (uint32_t i = 0; i < p->lanes; i++) {
    Point q = point_lane(e, p, i);
    v = LLVMBuildInsertElement(b->at, v, load_scalar(e, arg, &q), LLVMConstInt(b->i32, i, 0), "");
  }
  return v;
}

/* A float if the argument does not vary along the lanes, else a vector. */
Value arg_load(Emit *e, uint32_t arg, const Point *p) {
  const Arg *a = &e->k->arg[arg];
  if (a->tail.known && arg_moves(e->k, arg, e->beyond))
    return LLVMConstReal(e->b.f32, (double)a->tail.value);
  if (p->axis == NO_AXIS || !arg_moves(e->k, arg, p->axis)) {
    Point q = *p;
    q.axis = NO_AXIS;
    return load_scalar(e, arg, &q);
  }
  bool plain = a->stride[p->axis] == 1 && !arg_guarded(a, p->axis);
  return plain ? load_vector(e, arg, p) : load_gather(e, arg, p);
}

/* Lane by lane: any stride, or fewer lanes than the vector has. */
static void store_lanes(Emit *e, uint32_t arg, const Point *p, Value v) {
  Build *b = &e->b;
  const Arg *a = &e->k->arg[arg];
  for (uint32_t i = 0; i < p->lanes; i++) {
    Point q = point_lane(e, p, i);
    Value one = LLVMBuildExtractElement(b->at, v, LLVMConstInt(b->i32, i, 0), "");
    store_to(b, one, arg_address(e, arg, &q), dtype_size(a->dtype));
  }
}

/* A float beside an address that varies along the lanes is spread over them. */
void arg_store(Emit *e, uint32_t arg, const Point *p, Value v) {
  Build *b = &e->b;
  const Arg *a = &e->k->arg[arg];
  v = from_float(b, a->dtype, v);
  if (p->axis == NO_AXIS || !a->stride[p->axis]) {
    store_to(b, v, arg_address(e, arg, p), dtype_size(a->dtype));
    return;
  }
  v = value_splat(b, v, b->isa->width);
  if (a->stride[p->axis] == 1 && p->lanes == b->isa->width)
    store_to(b, v, arg_address(e, arg, p), dtype_size(a->dtype));
  else
    store_lanes(e, arg, p, v);
}

/* The 64-bit position of every lane of a point. */
static Value lane_positions(Emit *e, uint32_t arg, const Point *p) {
  Build *b = &e->b;
  Value lane[MAX_WIDTH], first = arg_position(e, arg, p);
  uint32_t width = b->isa->width;
  for (uint32_t i = 0; i < width; i++)
    lane[i] = int_of(b, e->k->arg[arg].stride[p->axis] * (int64_t)i);
  return LLVMBuildAdd(b->at, value_splat(b, first, width), LLVMConstVector(lane, width), "");
}

/* I_RANDOM at n points: keys from arguments a and b, positions from the access of c. */
void arg_random(Emit *e, const Instr *instr, uint32_t n, const Point *const *p, Value *out) {
  Build *b = &e->b;
  Value word[4], position[MAX_CELL];
  bool wide = p[0]->axis != NO_AXIS && arg_moves(e->k, instr->c, p[0]->axis);
  for (uint32_t i = 0; i < 4; i++) {
    uint32_t arg = i < 2 ? instr->a : instr->b;
    Value base = at_offset(b, b->i32, e->arg[arg], e->k->arg[arg].offset + (i & 1));
    word[i] = load_as(b, b->i32, base, 4);
  }
  Value key[2] = {LLVMBuildXor(b->at, word[2], word[1], ""), word[3]}, step = word[0];
  for (uint32_t c = 0; c < n; c++)
    position[c] = wide ? lane_positions(e, instr->c, p[c]) : arg_position(e, instr->c, p[c]);
  uint32_t width = b->isa->width;
  if (wide) key[0] = value_splat(b, key[0], width), key[1] = value_splat(b, key[1], width);
  math_random(b, n, position, wide ? value_splat(b, step, width) : step, key, out);
}
