/* fault.h: what went wrong, as one text and one exit code. A function that can fail takes a
 * Fault last, fills it, and returns false; whoever called it passes it on. Only the outermost
 * function (train_run, eval_run, main) prints it. The text may hold further lines that begin
 * with "help: " or "  --> "; names from files in it are escaped when it is printed. */
#ifndef LCW_FAULT_H
#define LCW_FAULT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "exit.h"

typedef struct Fault {
  int code; /* LCW_*; 0: nothing happened */
  char text[1500];
} Fault;

/* Fills `f` and returns false, so that a caller can write `return fault_set(...)`. */
bool fault_set(Fault *f, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Adds to the text of a fault. */
void fault_add(Fault *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prints "error: ..." on stderr and returns the exit code. */
int fault_print(const Fault *f);
/* Prints "note: ..." for a fault that was got over. */
void fault_note(const Fault *f);

/* Memory that is refused with LCW_LIMIT and the size asked for. The product is checked. */
void *memory_new(size_t count, size_t size, const char *what, Fault *f);
#endif
