/* host_contract.h: what the files of a contraction on the host share. One chunk is emitted by
 *
 *   host_contract  sizes; the walk over panels, rows and k
 *   host_tile      register tiles: the sums of products, kept in scratch
 *   host_sums      the program around them: prologue, epilogue, sums over rows and columns
 *
 * A panel is a block of columns as wide as the register tile. The epilogue walks a strip: two
 * panels side by side, or one where sums over m need the registers. */
#ifndef LCW_HOST_CONTRACT_H
#define LCW_HOST_CONTRACT_H
#include "host.h"

enum { LINE = 16 };                /* floats of a line of cache */

/* What tile and emit both derive from a kernel. */
typedef struct {
  int64_t m, n, k;                 /* extents; n: of the innermost N axis */
  int64_t groups;                  /* of the outer N axes */
  int64_t chunk_m, chunk_n, rows, depth;
  int64_t pitch;                   /* columns of scratch: chunk_n rounded up */
  int64_t pieces_m, pieces_n;      /* chunks along m; along n, outer axes included */
  uint32_t sums, row_sums;         /* REDUCEs of prologue and epilogue; those over n */
  bool packed, column;             /* the lhs is copied; there is work after the last row */
  LhsLayout lhs;
  uint64_t at_acc, at_sum, at_row, at_lhs, scratch; /* places in scratch, in floats; panels: 0 */
} Shape;

typedef struct {
  Emit *e;
  Shape s;
  uint32_t tile, strip;            /* columns of a panel, of a strip */
  Point origin;                    /* indices of the outer N axes */
  Value n0, columns;               /* first column of the chunk, how many */
  Value piece_m, piece_n;          /* number of the chunk along m, along n */
  Value block, rows;               /* first row of the block, how many */
  Value k0, depth;                 /* first k of the block, how many */
  Value lhs, row;                  /* base of the lhs block; this row's sums or panel row */
  Value row_number;                /* of the row that the epilogue is at, in the block */
} Contract;

/* One panel or strip: its cells, and its first column within the chunk. */
enum { STRIP_VECTORS = 2 * TILE_VECTORS };
typedef struct { Cell cell[STRIP_VECTORS]; uint32_t n; Value column; } Panel;
typedef void PanelPhase(Contract *c, Panel *p);

Value scratch_at(Contract *c, uint64_t floats, Value index);
Value panel_base(Contract *c, const Panel *p);   /* the packed rhs of a panel: [K][tile] */
Value acc_base(Contract *c, const Panel *p);     /* its sums for the block's rows: [rows][tile] */
uint32_t axes_count(const Kernel *k, AxisPart part);

/* ---- host_tile.c ----------------------------------------------------------------------- */

enum { ROWS_SMALL = 4 };           /* rows of the tile for what whole tiles leave */
PanelPhase phase_tiles;            /* the block's sums of products, for a block of k */
Start start_find(const Kernel *k); /* what they start from */

/* ---- host_sums.c ----------------------------------------------------------------------- */

bool sums_rows(const Kernel *k, uint32_t i);    /* instruction i is a sum over the columns */
PanelPhase phase_panel;            /* packs the rhs and sums over k; clears the sums over m */
PanelPhase phase_epilogue;         /* the epilogue over the rows of the block */
PanelPhase phase_column;           /* after the last row: what the sums over m give */
Value row_vector(Emit *e, const Cell *cell, uint32_t v);          /* Emit.acc, Emit.panel */
Value row_lanes(Emit *e, uint32_t i, Value v);                    /* Emit.lanes */
bool rows_alone(const Contract *c); /* a strip is the whole chunk: row sums start in it */
void rows_clear(Contract *c);      /* before a block: its row sums are neutral */
void rows_leave(Contract *c);      /* after a block: its row sums, for all to see */
void rows_finish(Contract *c, Value m0, Value m1); /* after the last chunk: what they give */

#endif
