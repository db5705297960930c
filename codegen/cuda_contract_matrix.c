/* cuda_contract_matrix.c: sums by tensor cores. In: a CONTRACT in tf32 or bf16 that adds up over M what
 * it has just rounded (the s of a linear set, the gradient of a bias). Out: text.
 *
 * What is rounded to tf32 or bf16 is what tensor cores of tf32 multiply exactly, and a multiplication
 * by units adds. The values of two rows of a thread are an lhs as they lie in the registers of a
 * warp: rows lane / 4, and of its 8 columns lane % 4 holds two. Times the unit matrix that brings
 * these columns to where results lie, one instruction adds 4 values of every lane to 4 sums of the
 * lane's own. Order and number of the additions are fixed. A value that is not finite makes the sums
 * of its 8 columns NaN. All lanes take part with all their rows: only where all tiles are whole. */
#include "cuda_contract.h"

/* True if value i is rounded, to nothing finer than what tensor cores multiply. */
static bool is_rounded(const Kernel *k, uint32_t i) {
  const Instr *n = &k->instr[i];
  return n->op == I_SCALAR && (n->fn == SCALAR_tf32 || n->fn == SCALAR_bf16);
}

void matrix_sums_find(Emit *e, const Tile *t, const Sums *s) {
  const Kernel *k = e->k;
  bool whole = part_extent(e, PART_M) % t->rows == 0 && part_extent(e, PART_N) % t->columns == 0;
  for (uint32_t i = 0; t->matrix && whole && i < k->ninstr; i++) {
    const Instr *n = &k->instr[i];
    if (!sum_over(k, s, i) || n->fn != SCALAR_add || !is_rounded(k, n->a)) continue;
    e->matrix[i] = e->kept[n->a] = true;
  }
}

/* The next marked instruction from i on; ninstr: none. */
static uint32_t next_of(const Emit *e, const bool *marked, uint32_t i) {
  while (i < e->k->ninstr && !marked[i]) i++;
  return i;
}

void matrix_unit_print(Emit *e) {
  if (next_of(e, e->matrix, 0) == e->k->ninstr) return;
  emit_line(e, "u32 unit[2];");
  emit_line(e, "matrix_unit(unit, lane);");
}

void matrix_terms_declare(Emit *e, const Tile *t) {
  for (uint32_t i = 0; (i = next_of(e, e->kept, i)) < e->k->ninstr; i++) {
    emit_line(e, "u32 bits_%u[%d][2];", i, t->own);
    emit_line(e, "float first_%u[2][2];", i);
  }
}

void matrix_terms_print(Emit *e) {
  for (uint32_t i = 0; (i = next_of(e, e->kept, i)) < e->k->ninstr; i++)
    emit_line(e, "if (i < 2) first_%u[i][0] = v%u[0], first_%u[i][1] = v%u[1];", i, i, i, i);
}

void matrix_sums_print(Emit *e, const Tile *t) {
  for (uint32_t i = 0; (i = next_of(e, e->matrix, i)) < e->k->ninstr; i++) {
    const uint32_t of = e->k->instr[i].a;
    emit_line(e, "float v%u[2];", i);
    emit_line(e, "matrix_sum(v%u, first_%u, bits_%u, %d, unit);", i, of, of, t->own);
  }
}

void matrix_sums_end(Emit *e) {
  for (uint32_t i = 0; i < e->k->ninstr; i++) e->matrix[i] = e->kept[i] = false;
}
