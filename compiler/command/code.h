/* code.h: a network compiled for the device that the options ask for, in the form that a session
 * runs.
 *
 *   Code code;
 *   if (code_make(a, c, path, &code)) ... session_open(&s, &code.model, &a->run, &fault) ...
 *   code_close(&code); */
#ifndef LCW_CODE_H
#define LCW_CODE_H
#include "command.h"
#include "model_code.h"

typedef struct {
  ModelCode model;
  const Plan *plan;   /* of that device */
  DataRequest request; /* of what is made ahead */
  HostJit *jit;       /* holds the code of the host; NULL: it is for another device */
  const char *isa[2];
} Code;

/* Compiles c through its last pass and loads what that made. False after a message; c->exit.
 * `out` must live as long as c. */
bool code_make(Arguments *a, Compile *c, const char *path, Code *out);
void code_close(Code *code);

#endif
