/* meter.h: what a device has done so far, to be read before and after something: milliseconds by
 * its own clock, or, of the simulated device, counts. Of that one milliseconds mean nothing. */
#ifndef LCW_METER_H
#define LCW_METER_H
#include <stdbool.h>
#include <stdint.h>

/*    name                    what is counted                                                    */
#define SIM_COUNTERS(X)                                                                           \
  X(launches,                 "launches")                                                         \
  X(blocks,                   "blocks")                                                           \
  X(instructions,             "warp instructions")                                                \
  X(integer,                  "of these: integer and logic")                                      \
  X(floating,                 "floating point")                                                   \
  X(special,                  "approximations: ex2, rcp, rsqrt, ...")                             \
  X(convert,                  "conversions")                                                      \
  X(move,                     "moves, selections, special registers")                             \
  X(control,                  "branches, calls, barriers, fences")                                \
  X(global_access,            "loads and stores of global memory")                                \
  X(shared_access,            "loads and stores of shared memory, ldmatrix")                      \
  X(other_access,             "of parameters, constants, local memory")                           \
  X(async_copy,               "asynchronous copies, commits, waits")                              \
  X(matrix,                   "mma")                                                              \
  X(warp,                     "shuffles, votes")                                                  \
  X(atomic,                   "atomics and reductions")                                           \
  X(barriers,                 "barriers, once for each warp")                                     \
  X(shared_wavefronts,        "passes over shared memory")                                        \
  X(shared_ideal,             "passes without bank conflicts")                                    \
  X(global_sectors,           "sectors of 32 bytes of global memory moved")                       \
  X(global_ideal,             "sectors that would hold the same bytes packed")                    \
  X(copy_sectors,             "of the sectors: those that asynchronous copies read")              \
  X(copy_ideal,               "sectors that would hold these bytes packed")                       \
  X(branches,                 "conditional branches")                                             \
  X(divergent,                "of these: lanes went both ways")                                   \
  X(active_lanes,             "lanes that took part, over all warp instructions")

typedef struct {
#define X(name, text) uint64_t name;
  SIM_COUNTERS(X)
#undef X
} SimCounters;

typedef struct Reading {
  double ms;         /* in phases, since the first reading */
  bool counted;      /* the device is simulated: only `count` means something */
  SimCounters count; /* since it was started */
} Reading;
#endif
