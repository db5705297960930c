/* driver_stream.c: streams, events and graphs. A stream is a queue of operations that nobody begins
 * until somebody waits: then they are done in order, and with them what they wait for in other
 * streams. What is captured is kept as a list of the same operations; a graph is such a list. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "driver.h"

enum { QUEUE_MOST = 1 << 14 }; /* operations that are put off */

/* ---- lists of operations --------------------------------------------------------------------- */

static bool ops_add(Ops *ops, const Op *op) {
  if (ops->n == ops->room) {
    size_t room = ops->room ? 2 * ops->room : 64;
    Op *more = realloc(ops->op, room * sizeof *more);
    if (!more) return false;
    ops->op = more;
    ops->room = room;
  }
  ops->op[ops->n++] = *op;
  return true;
}

void ops_free(Ops *ops) {
  for (size_t i = 0; i < ops->n; i++) free(ops->op[i].own);
  free(ops->op);
  *ops = (Ops){0};
}

/* The bytes that an operation owns. */
static size_t own_bytes(const Op *op) {
  return op->kind == OP_LAUNCH ? sim_function_info(op->function->code)->parameter_bytes : op->bytes;
}

/* A list of its own, with all it owns. */
static bool ops_copy(Ops *to, const Ops *from) {
  for (size_t i = 0; i < from->n; i++) {
    Op op = from->op[i];
    if (op.own) {
      char *own = malloc(own_bytes(&op) + 1);
      if (own) memcpy(own, op.own, own_bytes(&op));
      op.own = own;
    }
    if ((from->op[i].own && !op.own) || !ops_add(to, &op)) {
      free(op.own);
      ops_free(to);
      return false;
    }
  }
  return true;
}

/* ---- doing them ------------------------------------------------------------------------------ */

static CUresult stream_run(Stream *s, uint64_t number);

static CUresult launch_run(const Op *op) {
  SimLaunch l = {.function = op->function->code, .shared = op->shared, .parameters = op->own};
  SimText report = {0};
  memcpy(l.grid, op->grid, sizeof l.grid);
  memcpy(l.block, op->block, sizeof l.block);
  CUresult code = fault_take(sim_launch(driver()->sim, &l, &report), &report);
  sim_text_release(&report);
  return code;
}

static double seconds_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static CUresult graph_run(const Exec *x);

/* Ranges were proved when the operation was given; memory cannot be freed before it is done. */
static CUresult op_run(const Op *op) {
  Sim *sim = driver()->sim;
  SimText why = {0};
  bool ok = true;
  switch (op->kind) {
  case OP_IN: ok = sim_write(sim, op->to, op->host, op->bytes, &why); break;
  case OP_OUT: ok = sim_read(sim, op->host, op->from, op->bytes, &why); break;
  case OP_COPY: ok = sim_copy(sim, op->to, op->from, op->bytes, &why); break;
  case OP_SET: ok = sim_set(sim, op->to, op->word, 4, op->bytes, &why); break;
  case OP_LAUNCH: return launch_run(op);
  case OP_GRAPH: return graph_run(op->exec);
  case OP_RECORD: op->event->seconds = seconds_now(); break;
  case OP_WAIT: return stream_run(op->stream, op->number);
  }
  CUresult code = ok ? CUDA_SUCCESS : fault_take(SIM_FAULT_ADDRESS, &why);
  sim_text_release(&why);
  return code;
}

static CUresult graph_run(const Exec *x) {
  CUresult code = CUDA_SUCCESS;
  for (size_t i = 0; i < x->ops.n && code == CUDA_SUCCESS; i++) code = op_run(&x->ops.op[i]);
  return code;
}

/* Until `number` operations of a stream are done. After a fault nothing more is. */
static CUresult stream_run(Stream *s, uint64_t number) {
  size_t i = 0;
  for (; i < s->queue.n && s->done < number; i++) {
    Op op = s->queue.op[i];
    s->done++;
    if (driver()->fault == CUDA_SUCCESS) op_run(&op);
    free(op.own);
  }
  s->queue.n -= i;
  if (s->queue.n) memmove(s->queue.op, s->queue.op + i, s->queue.n * sizeof *s->queue.op);
  return driver()->fault;
}

CUresult streams_drain(void) {
  for (Object *o = driver()->object; o; o = o->next)
    if (o->kind == OBJECT_STREAM)
      stream_run((Stream *)(void *)o, ((Stream *)(void *)o)->given);
  return driver()->fault;
}

/* The default stream and those that heed it wait for each other. */
static void streams_order(const Stream *s) {
  Stream *null_stream = driver()->null_stream;
  if (!s->blocking) return;
  if (s != null_stream) stream_run(null_stream, null_stream->given);
  for (Object *o = driver()->object; o && s == null_stream; o = o->next) {
    Stream *other = (Stream *)(void *)o;
    if (o->kind == OBJECT_STREAM && other->blocking && other != s) stream_run(other, other->given);
  }
}

CUresult stream_give(Stream *s, const Op *op) {
  Ops *to = s->capture ? &s->captured : &s->queue;
  if (s->capture == CAPTURE_BROKEN) {
    free(op->own);
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  }
  if (!s->capture) streams_order(s);
  if (!ops_add(to, op)) {
    free(op->own);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  if (s->capture) return CUDA_SUCCESS;
  s->given++;
  return s->queue.n > QUEUE_MOST ? stream_run(s, s->given) : driver()->fault;
}

/* ---- streams --------------------------------------------------------------------------------- */

Stream *stream_find(CUstream handle) {
  return handle ? object_find(OBJECT_STREAM, handle) : driver()->null_stream;
}

CUresult do_cuStreamCreate(CUstream *stream, unsigned flags) {
  if (!stream || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  Stream *s = object_new(OBJECT_STREAM, sizeof *s);
  if (!s) return CUDA_ERROR_OUT_OF_MEMORY;
  s->blocking = flags != CU_STREAM_NON_BLOCKING;
  *stream = (CUstream)(void *)s;
  return CUDA_SUCCESS;
}

CUresult do_cuStreamDestroy(CUstream stream) {
  Stream *s = stream ? stream_find(stream) : NULL;
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  CUresult code = streams_drain(); /* others may wait for it */
  ops_free(&s->queue);
  ops_free(&s->captured);
  object_free(s);
  return code;
}

CUresult do_cuStreamSynchronize(CUstream stream) {
  Stream *s = stream_find(stream);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) {
    s->capture = CAPTURE_BROKEN;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  streams_order(s);
  return stream_run(s, s->given);
}

CUresult do_cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags) {
  Stream *s = stream_find(stream);
  const Event *e = object_find(OBJECT_EVENT, event);
  if (!s || !e) return CUDA_ERROR_INVALID_HANDLE;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  if (!e->recorded || e->stream == s) return CUDA_SUCCESS;
  if (s->capture || !object_find(OBJECT_STREAM, e->stream)) return CUDA_ERROR_NOT_SUPPORTED;
  return stream_give(s, &(Op){.kind = OP_WAIT, .stream = e->stream, .number = e->number});
}

/* ---- events ---------------------------------------------------------------------------------- */

CUresult do_cuEventCreate(CUevent *event, unsigned flags) {
  if (!event || flags > CU_EVENT_DISABLE_TIMING + 1) return CUDA_ERROR_INVALID_VALUE;
  Event *e = object_new(OBJECT_EVENT, sizeof *e);
  if (!e) return CUDA_ERROR_OUT_OF_MEMORY;
  e->timing = !(flags & CU_EVENT_DISABLE_TIMING);
  *event = (CUevent)(void *)e;
  return CUDA_SUCCESS;
}

CUresult do_cuEventRecord(CUevent event, CUstream stream) {
  Stream *s = stream_find(stream);
  Event *e = object_find(OBJECT_EVENT, event);
  if (!s || !e) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) return CUDA_ERROR_NOT_SUPPORTED;
  CUresult code = stream_give(s, &(Op){.kind = OP_RECORD, .event = e});
  if (code != CUDA_SUCCESS) return code;
  e->recorded = true;
  e->seconds = 0;
  e->stream = s;
  e->number = s->given;
  return CUDA_SUCCESS;
}

/* Until the operation at which it was recorded is done. */
CUresult do_cuEventSynchronize(CUevent event) {
  const Event *e = object_find(OBJECT_EVENT, event);
  if (!e) return CUDA_ERROR_INVALID_HANDLE;
  if (!e->recorded || !object_find(OBJECT_STREAM, e->stream)) return CUDA_SUCCESS;
  return stream_run(e->stream, e->number);
}

CUresult do_cuEventElapsedTime(float *ms, CUevent begin, CUevent end) {
  const Event *a = object_find(OBJECT_EVENT, begin), *b = object_find(OBJECT_EVENT, end);
  if (!a || !b || !a->recorded || !b->recorded || !a->timing || !b->timing)
    return CUDA_ERROR_INVALID_HANDLE;
  if (!ms) return CUDA_ERROR_INVALID_VALUE;
  if (a->seconds <= 0 || b->seconds <= 0) return CUDA_ERROR_NOT_READY;
  *ms = (float)(1e3 * (b->seconds - a->seconds));
  return CUDA_SUCCESS;
}

/* What waits for it is done first, as it may lie in a queue. */
CUresult do_cuEventDestroy(CUevent event) {
  Event *e = object_find(OBJECT_EVENT, event);
  if (!e) return CUDA_ERROR_INVALID_HANDLE;
  CUresult code = streams_drain();
  object_free(e);
  return code;
}

/* ---- launches -------------------------------------------------------------------------------- */

/* The parameters as the function wants them, one after the other. */
static char *parameters_pack(const SimFunctionInfo *i, void **parameter) {
  char *block = calloc(1, (size_t)i->parameter_bytes + 1);
  for (uint32_t k = 0; block && k < i->nparameter; k++)
    memcpy(block + i->parameter[k].offset, parameter[k], i->parameter[k].bytes);
  return block;
}

CUresult do_cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                           unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                           CUstream stream, void **parameter, void **extra) {
  Stream *s = stream_find(stream);
  Op op = {.kind = OP_LAUNCH, .function = object_find(OBJECT_FUNCTION, function),
           .grid = {grid_x, grid_y, grid_z}, .block = {block_x, block_y, block_z},
           .shared = shared};
  if (!s || !op.function) return CUDA_ERROR_INVALID_HANDLE;
  const SimFunctionInfo *i = sim_function_info(op.function->code);
  CUresult code = launch_check(op.function, op.grid, op.block, shared);
  if (code != CUDA_SUCCESS) return code;
  if (extra) return CUDA_ERROR_NOT_SUPPORTED;
  if (i->nparameter && !parameter) return CUDA_ERROR_INVALID_VALUE;
  for (uint32_t k = 0; k < i->nparameter; k++)
    if (!parameter[k]) return CUDA_ERROR_INVALID_VALUE;
  op.own = parameters_pack(i, parameter);
  return op.own ? stream_give(s, &op) : CUDA_ERROR_OUT_OF_MEMORY;
}

/* ---- graphs ---------------------------------------------------------------------------------- */

bool capture_broken(void) {
  bool broken = false;
  for (Object *o = driver()->object; o; o = o->next) {
    Stream *s = (Stream *)(void *)o;
    if (o->kind != OBJECT_STREAM || !s->capture) continue;
    if (s->capture_mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
    s->capture = CAPTURE_BROKEN;
    broken = true;
  }
  return broken;
}

void captures_drop(void) {
  for (Object *o = driver()->object; o; o = o->next) {
    Stream *s = (Stream *)(void *)o;
    if (o->kind != OBJECT_STREAM) continue;
    ops_free(&s->captured);
    s->capture = CAPTURE_NONE;
  }
}

CUresult do_cuStreamBeginCapture(CUstream stream, int mode) {
  Stream *s = stream_find(stream);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED)
    return CUDA_ERROR_INVALID_VALUE;
  if (s == driver()->null_stream) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  s->capture = CAPTURE_ON;
  s->capture_mode = mode;
  return CUDA_SUCCESS;
}

CUresult do_cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  Stream *s = stream_find(stream);
  if (!s) return CUDA_ERROR_INVALID_HANDLE;
  if (!graph || !s->capture) return CUDA_ERROR_ILLEGAL_STATE;
  *graph = NULL;
  Graph *g = s->capture == CAPTURE_ON ? object_new(OBJECT_GRAPH, sizeof *g) : NULL;
  CUresult code = s->capture == CAPTURE_ON ? CUDA_ERROR_OUT_OF_MEMORY
                                           : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  s->capture = CAPTURE_NONE;
  if (!g) {
    ops_free(&s->captured);
    return code;
  }
  g->ops = s->captured;
  s->captured = (Ops){0};
  *graph = (CUgraph)(void *)g;
  return CUDA_SUCCESS;
}

CUresult do_cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph,
                                        unsigned long long flags) {
  const Graph *g = object_find(OBJECT_GRAPH, graph);
  if (!exec || flags) return CUDA_ERROR_INVALID_VALUE;
  if (!g) return CUDA_ERROR_INVALID_HANDLE;
  Exec *x = object_new(OBJECT_EXEC, sizeof *x);
  if (!x || !ops_copy(&x->ops, &g->ops)) {
    if (x) object_free(x);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  *exec = (CUgraphExec)(void *)x;
  return CUDA_SUCCESS;
}

CUresult do_cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  Stream *s = stream_find(stream);
  Exec *x = object_find(OBJECT_EXEC, exec);
  if (!s || !x) return CUDA_ERROR_INVALID_HANDLE;
  if (s->capture) return CUDA_ERROR_NOT_SUPPORTED;
  return stream_give(s, &(Op){.kind = OP_GRAPH, .exec = x});
}

CUresult do_cuGraphExecDestroy(CUgraphExec exec) {
  Exec *x = object_find(OBJECT_EXEC, exec);
  if (!x) return CUDA_ERROR_INVALID_HANDLE;
  CUresult code = streams_drain();
  ops_free(&x->ops);
  object_free(x);
  return code;
}

CUresult do_cuGraphDestroy(CUgraph graph) {
  Graph *g = object_find(OBJECT_GRAPH, graph);
  if (!g) return CUDA_ERROR_INVALID_HANDLE;
  ops_free(&g->ops);
  object_free(g);
  return CUDA_SUCCESS;
}
