/* sim.h: a device that is a program: it executes compiled kernels from their PTX text, warp by
 * warp, and watches what they do. In: PTX, memory, launches. Out: what the kernels wrote, counters,
 * and for a mistake a report with kernel, source line, thread and address.
 *
 * Stands alone: libc and pthreads, nothing of the compiler or the runtime but the table of counters.
 * One thread at a time uses a Sim (a launch has threads of its own); the driver on top keeps
 * order. Results do not depend on the number of threads.
 *
 * Device addresses are numbers, not pointers of this process: an allocation begins at a multiple
 * of 512 bytes, with a gap before and behind it that belongs to nobody, and its address is not
 * soon given out again after sim_free(). */
#ifndef LCW_SIM_H
#define LCW_SIM_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "meter.h" /* SimCounters */

#pragma GCC visibility push(default) /* the rest of the device is built hidden */

typedef struct Sim Sim;
typedef struct SimModule SimModule;
typedef struct SimFunction SimFunction;

/* ---- text: messages, reports, JSON ---------------------------------------------------------- */

/* Grows by itself; all zero is empty; always ends in NUL once something was added. */
typedef struct { char *text; size_t length, room; } SimText;

void sim_text_add(SimText *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_text_release(SimText *t);

/* ---- settings ------------------------------------------------------------------------------- */

/* none: what a GPU would notice (an address outside everything, a misaligned one, an endless
 * wait). fast: also races, uninitialised and early reads in shared memory, exact bounds, barriers
 * and warps. all: also races between blocks, registers and global memory that nobody wrote. */
typedef enum { SIM_CHECKS_NONE, SIM_CHECKS_FAST, SIM_CHECKS_ALL } SimChecks;

typedef struct {
  uint32_t threads;      /* that run blocks; 0: one for each processor */
  SimChecks checks;
  uint32_t architecture; /* 80 for sm_80; a module for a later one is refused */
  uint64_t memory;       /* bytes of the device; 0: 16 GiB */
} SimSettings;

Sim *sim_create(const SimSettings *settings, SimText *why);
void sim_destroy(Sim *sim); /* with all memory and modules */
const SimSettings *sim_settings(const Sim *sim);
void sim_set_checks(Sim *sim, SimChecks checks);

/* ---- memory --------------------------------------------------------------------------------- */

uint64_t sim_alloc(Sim *sim, uint64_t bytes);  /* 0: out of memory, or no bytes */
bool sim_free(Sim *sim, uint64_t address);     /* false: no allocation begins there */
void sim_memory_info(const Sim *sim, uint64_t *free_bytes, uint64_t *total_bytes);
/* The allocation that an address is in; false: none. */
bool sim_find(const Sim *sim, uint64_t address, uint64_t *begin, uint64_t *bytes);
/* A name for reports ("plan", "data"); optional. */
void sim_name(Sim *sim, uint64_t address, const char *name);

/* Whole or not at all: false and the reason in `why` if a byte is outside its allocation. */
bool sim_write(Sim *sim, uint64_t to, const void *from, uint64_t bytes, SimText *why);
bool sim_read(Sim *sim, void *to, uint64_t from, uint64_t bytes, SimText *why);
bool sim_copy(Sim *sim, uint64_t to, uint64_t from, uint64_t bytes, SimText *why);
bool sim_set(Sim *sim, uint64_t to, uint32_t value, uint32_t width, uint64_t count, SimText *why);

/* Lists allocations that were not freed (not those of modules); how many there are. */
size_t sim_leaks(const Sim *sim, SimText *out);

/* ---- code ----------------------------------------------------------------------------------- */

/* Decodes a PTX text; `name` is for messages. NULL and the reason with its line: unknown
 * instructions, directives and modifiers are refused here, never when a kernel runs. */
SimModule *sim_load(Sim *sim, const char *text, size_t length, const char *name, SimText *why);
void sim_unload(SimModule *module);

SimFunction *sim_function(SimModule *module, const char *name);    /* an entry; NULL: none */
SimFunction *sim_function_at(SimModule *module, size_t index);     /* NULL: past the last */

enum { SIM_PARAMETERS = 256 };

typedef struct {
  const char *name;
  uint32_t nparameter, parameter_bytes; /* the block: parameters at their offsets */
  struct { uint32_t offset, bytes; } parameter[SIM_PARAMETERS];
  uint32_t shared;      /* bytes, static */
  uint32_t local;       /* bytes of a thread */
  uint32_t registers;   /* 32-bit registers that live at once at most; not what ptxas would use */
  uint32_t max_threads; /* .maxntid, else 1024 */
  uint32_t constants;   /* bytes of the module's .const */
  uint32_t ptx_version; /* 85 for 8.5 */
  uint32_t architecture; /* of .target */
} SimFunctionInfo;

const SimFunctionInfo *sim_function_info(const SimFunction *function);

/* ---- launches ------------------------------------------------------------------------------- */

/*    name             what it is                                                               */
#define SIM_FAULTS(X)                                                                            \
  X(NONE,              "no fault")                                                               \
  X(CONFIGURATION,     "the launch asks for what the function or the device has not")            \
  X(ADDRESS,           "an access outside every allocation, or outside its own")                 \
  X(MISALIGNED,        "an access that is not aligned to its size")                              \
  X(UNINITIALISED,     "a read of what nobody wrote")                                            \
  X(RACE,              "two accesses that nothing orders, one of them a write")                  \
  X(ASYNC,             "bytes of an asynchronous copy used before it was waited for")            \
  X(BARRIER,           "a barrier that not all threads reach together")                          \
  X(WARP,              "a warp instruction in diverged code, or with lanes that are not there")  \
  X(DEADLOCK,          "threads that wait for ever")                                             \
  X(TRAP,              "the kernel stopped itself")

typedef enum {
#define X(name, text) SIM_FAULT_##name,
  SIM_FAULTS(X)
#undef X
  SIM_FAULT_COUNT
} SimFault;

const char *sim_fault_text(SimFault fault);

typedef struct {
  SimFunction *function;
  uint32_t grid[3], block[3]; /* x, y, z */
  uint32_t shared;            /* dynamic bytes; may exceed 48 KiB: the driver knows the limit */
  const void *parameters;     /* info->parameter_bytes of them */
} SimLaunch;

/* Runs a kernel to its end. A fault: its kind, and lines in `report`, the first mistake first;
 * what the kernel wrote until then stays written, as on a GPU. After faults of checks (not of
 * ADDRESS, MISALIGNED, DEADLOCK, TRAP) the kernel still runs to its end. */
SimFault sim_launch(Sim *sim, const SimLaunch *launch, SimText *report);

/* ---- counters ------------------------------------------------------------------------------- */

/* What liblcwsim.so has beside the entry points of CUDA, and by which it is known: from the first
 * call on wavefronts and sectors are counted; what was launched is done first. False: `bytes` is not
 * the size of these counters, or there was no context yet. */
bool lcwsim_counters(SimCounters *out, size_t bytes);

/* Wavefronts and sectors are counted while this is on (it costs a third of the speed). */
void sim_count_memory(Sim *sim, bool on);

const SimCounters *sim_counters(const Sim *sim);                    /* all launches of the Sim */
/* By name of a kernel, in order of first launch, also after its module is gone. */
size_t sim_counted_functions(const Sim *sim);
const SimCounters *sim_function_counters(const Sim *sim, size_t index, const char **name);
void sim_counters_reset(Sim *sim);
/* One object, schema lcwc.sim/1: settings, total, functions. */
void sim_counters_json(const Sim *sim, SimText *out);

#pragma GCC visibility pop

#endif
