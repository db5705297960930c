/* process.h: a program as a user runs it: a command line in, exit code and both outputs out.
 *
 *   Ran r = process_run(&(Process){.folder = scratch.path}, "lcwc train a.lcwnet -o %s", run);
 *
 * Words are split at spaces; '...' holds a word together, '' is an empty one. `lcwc` as the first
 * word is the compiler under test: $LCWC, else build/lcwc. */
#ifndef LCW_TEST_PROCESS_H
#define LCW_TEST_PROCESS_H
#include <stddef.h>
#include <sys/types.h>

typedef struct {
  const char *folder;     /* to start in; NULL: here */
  const char *const *env; /* its environment, ends with NULL; NULL: ours */
  const char *stdout_to;  /* a file instead of `out`; "|": a pipe that nobody reads */
} Process;

typedef struct {
  int code;                        /* exit code; 128 + n: ended by signal n */
  double ms, cpu;                  /* milliseconds from start to end; and of processors' time */
  long kib;                        /* largest resident memory */
  char out[1 << 16], err[1 << 16]; /* what it wrote, cut at the end */
} Ran;

/* Runs it to its end. The text of a Ran lives until the fourth call after this one. */
const Ran *process_run(const Process *how, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Starts it with its outputs thrown away; process_end() waits for it, after a signal unless 0. */
pid_t process_start(const Process *how, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int process_end(pid_t pid, int signal);
/* The compiler under test, as a path that holds in every folder; and the same of a file named
 * from here. */
const char *process_lcwc(void);
const char *process_path(const char *name);
double process_now(void); /* milliseconds */

/* How a test says that it holds or not; the last line is for tests/run.sh. */
typedef struct {
  int passed, failed, skipped;
} Tally;
/* Counts; prints "FAILED: ..." if not ok. */
void tally(Tally *t, int ok, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int tally_end(const Tally *t);
#endif
