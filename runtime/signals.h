/* signals.h: a run that is asked to stop. A thread waits for the signals that every other
 * thread has blocked, so no handler and no global is needed. INT, TERM and HUP: finish the
 * step, save, end by that signal; a second one ends the process at once. USR1: save, go on. */
#ifndef LCW_SIGNALS_H
#define LCW_SIGNALS_H
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include "fault.h"

typedef struct Signals {
  atomic_int stop; /* the signal, or 0 */
  atomic_bool save;
  sigset_t wanted, before;
  pthread_t thread;
  bool open;
} Signals;

/* Before any other thread is started: they inherit the mask. */
bool signals_open(Signals *s, Fault *f);
void signals_close(Signals *s);
/* Ends the process by signal n, as if it had never been caught. */
void signals_raise(int n);
#endif
