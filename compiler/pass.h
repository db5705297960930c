/* pass.h: one compilation and its pipeline. compile_run() walks passes.def up to a pass: runs each,
 * verifies what it made, prints it if --dump asks, and stops if --stop asks.
 *
 *   Compile c; compile_init(&c); c.request.net = "mlp"; ...
 *   if (!compile_run(&c, "mlp.lcwnet", PASS_plan)) return compile_exit(&c); */
#ifndef LCW_PASS_H
#define LCW_PASS_H
#include "cuda_model.h"
#include "data.h"
#include "front.h"
#include "fuse.h"
#include "model.h"
#include "target.h"

typedef enum {
#define PASS(name, from, to, what) PASS_##name,
#include "passes.def"
  PASS_COUNT
} PassId;

typedef enum { IR_TEXT, IR_TREE, IR_GRAPH, IR_PROGRAM, IR_PLAN, IR_OBJECT } Ir;
typedef struct { const char *name, *what; Ir from, to; } PassInfo;
extern const PassInfo pass_info[PASS_COUNT];
PassId pass_find(const char *name); /* PASS_COUNT: no such pass */
Lowering lowering_find(const char *word); /* "fused:update"; LOWER_COUNT: no such word */

typedef struct Compile {
  Arena perm, pass;              /* lifetimes: the compilation; one pass */
  Names *names;
  Front front;
  const char *path;              /* of the .lcwnet */
  const char *source;            /* its text, if it does not come from a file (a checkpoint's) */
  const char *data_folder;       /* --data */
  ModelRequest request;
  Lowering lower;
  Precision precision;           /* of the products; set by pass simplify from the recipe */
  const Target *target;
  const char *const *isa;        /* host: instruction sets to compile for, ends with NULL */
  uint32_t threads;              /* that compile; 0: one per CPU */
  Model model;
  Remarks remarks;
  Program *program;
  Plan *plan;
  HostModel host;
  bool for_host;                 /* build: --target has `host`, or nothing else */
  CudaBuild cuda;                /* CUDA: the images asked for; cuda.tiled is what pass tile uses */
  CudaModel device;              /* and made */
  PassId next;                   /* the first pass that has not run */
  PassId dump, stop;             /* PASS_COUNT: none */
  bool times;
  double ms[PASS_COUNT];
  int exit;                      /* LCW_*, of the first failure */
} Compile;

void compile_init(Compile *c);
void compile_release(Compile *c);
/* Runs the pipeline through `last`, from where it was left. False after an error (c->exit) or at
 * --stop (c->exit 0). All messages are printed. */
bool compile_run(Compile *c, const char *path, PassId last);
/* The data set of the expanded network, as the run will ask for it. */
DataRequest compile_data(Compile *c);
/* Opens the data set of the request as far as shapes and classes need it (request.facts). */
bool compile_facts(Compile *c);
/* Reports an error that has no place in the source: "error: ...", and sets the exit code. */
bool compile_fail(Compile *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The folder that holds the source. */
const char *compile_folder(Compile *c);
/* What the pass made, as text. */
void compile_print(Compile *c, PassId pass, Text *out);

#endif
