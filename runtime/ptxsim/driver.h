/* driver.h: the stand-in for libcuda.so.1: the entry points of cuda_api.def on top of a Sim. In:
 * calls as a program makes them. Out: what a GPU would do, as late as a GPU may do it: what a
 * stream was given runs when somebody waits for it, so who does not wait sees it.
 *
 * One Driver for the process, one lock around every call. Objects are found in a list before they
 * are touched, so a wrong handle is an error and not a crash. After a fault of a kernel every call
 * but the release of the context fails with that fault, as with a GPU. */
#ifndef LCW_SIM_DRIVER_H
#define LCW_SIM_DRIVER_H
#include "cuda_api.h"
#include "sim.h"

typedef enum {
#define CALL(name, symbol, parameters, arguments) CALL_##name,
#include "cuda_api.def"
  CALL_COUNT
} CallId;

/* ---- objects ------------------------------------------------------------------------------ */

typedef enum {
  OBJECT_MODULE, OBJECT_FUNCTION, OBJECT_STREAM, OBJECT_EVENT, OBJECT_GRAPH, OBJECT_EXEC,
  OBJECT_MEMORY, OBJECT_PINNED, OBJECT_KINDS
} ObjectKind;

/* Every object begins with one. */
typedef struct Object { ObjectKind kind; struct Object *next; } Object;

typedef struct { Object object; SimModule *module; } Module;
typedef struct {
  Object object;
  Module *module;
  SimFunction *code;
  int dynamic_shared; /* most bytes that a launch may ask for */
} Function;
typedef struct { Object object; uint64_t address, bytes; } Memory;
typedef struct { Object object; char *bytes; size_t n; } Pinned;

/* What a stream does. */
typedef enum { OP_IN, OP_OUT, OP_COPY, OP_SET, OP_LAUNCH, OP_GRAPH, OP_RECORD, OP_WAIT } OpKind;
typedef struct Op {
  OpKind kind;
  uint64_t to, from, bytes;  /* of device memory; SET: words */
  uint32_t word;
  void *host;                /* pinned memory, or `own` */
  char *own;                 /* bytes of a copy from pageable memory; parameters of a launch */
  Function *function;
  uint32_t grid[3], block[3], shared;
  struct Exec *exec;
  struct Event *event;       /* RECORD */
  struct Stream *stream;     /* WAIT: until `number` operations of it are done */
  uint64_t number;
} Op;
typedef struct { Op *op; size_t n, room; } Ops;

typedef enum { CAPTURE_NONE, CAPTURE_ON, CAPTURE_BROKEN } Capture;
typedef struct Stream {
  Object object;
  bool blocking;             /* waits for the default stream, which waits for it */
  Ops queue;                 /* not done yet */
  uint64_t given, done;      /* operations so far */
  Capture capture;
  int capture_mode;
  Ops captured;
} Stream;
typedef struct Event {
  Object object;
  bool timing, recorded;
  Stream *stream;            /* where it was recorded last, as operation `number` */
  uint64_t number;
  double seconds;            /* when it was reached; 0: not yet */
} Event;
typedef struct Graph { Object object; Ops ops; } Graph;
typedef struct Exec { Object object; Ops ops; } Exec;

/* ---- the driver --------------------------------------------------------------------------- */

/* What a device of an architecture has. */
typedef struct {
  uint32_t arch;
  int shared, shared_optin, shared_sm, processors, threads_sm, blocks_sm, registers_sm;
} Chip;

typedef struct Driver {
  SimSettings settings;
  int version, devices;
  const Chip *chip;
  Sim *sim;                  /* from the first context on, to the end */
  uint32_t retained;         /* how often the primary context is */
  CUresult fault;            /* of a kernel: the context is lost */
  bool said;                 /* its report was printed */
  Object *object;
  Stream *null_stream;
  size_t leaks;
  uint64_t calls[CALL_COUNT];
} Driver;

Driver *driver(void);

void *object_new(ObjectKind kind, size_t bytes);
/* The object, if it lives and is of that kind; else NULL. */
void *object_find(ObjectKind kind, const void *handle);
void object_free(void *object);
/* The pinned allocation that an address is in. */
Pinned *pinned_find(const void *address);

/* ---- driver_stream.c ---------------------------------------------------------------------- */

void ops_free(Ops *ops);
/* The stream of a handle: NULL is the default stream; NULL for no stream at all. */
Stream *stream_find(CUstream handle);
/* Gives an operation to a stream, or to what is being captured there; takes `own` over. */
CUresult stream_give(Stream *s, const Op *op);
/* Runs everything that streams were given. */
CUresult streams_drain(void);
/* Ends all captures without a graph. */
void captures_drop(void);
/* Breaks captures that a call like this may not be made in; true if there was one. */
bool capture_broken(void);

/* ---- driver_device.c, driver_code.c ------------------------------------------------------- */

const Chip *chip_find(uint32_t arch);
CUresult launch_check(const Function *f, const uint32_t *grid, const uint32_t *block,
                      uint32_t shared);
/* A fault of a kernel: said once, with its report; the result that a GPU would give. */
CUresult fault_take(SimFault fault, const SimText *report);

/* ---- the entry points: do_NAME does what NAME promises ------------------------------------ */

#define CALL(name, symbol, parameters, arguments) CUresult do_##name parameters;
#include "cuda_api.def"

#endif
