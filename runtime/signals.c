/* signals.c: see signals.h. */
#include "signals.h"
#include <stdlib.h>
#include <string.h>

static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

void signals_raise(int n) {
  sigset_t one;
  signal(n, SIG_DFL);
  sigemptyset(&one);
  sigaddset(&one, n);
  pthread_sigmask(SIG_UNBLOCK, &one, NULL);
  raise(n);
  _Exit(128 + n); /* not reached: the default action of each of them ends the process */
}

/* The thread that waits; the second signal to stop ends the process here. */
static void *signals_main(void *arg) {
  Signals *s = arg;
  for (int n;;) {
    if (sigwait(&s->wanted, &n)) continue;
    if (n == SIGUSR1)
      atomic_store(&s->save, true);
    else if (atomic_exchange(&s->stop, n))
      signals_raise(n);
  }
  return NULL;
}

/* What the parent told us to ignore (nohup) stays ignored. */
static void choose_signals(sigset_t *set) {
  struct sigaction old;
  sigemptyset(set);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (!sigaction(wanted[i], NULL, &old) && old.sa_handler != SIG_IGN) sigaddset(set, wanted[i]);
}

bool signals_open(Signals *s, Fault *f) {
  pthread_attr_t attr;
  memset(s, 0, sizeof *s);
  choose_signals(&s->wanted);
  signal(SIGPIPE, SIG_IGN); /* a closed pipe and a full file are errors of write(), told as such */
  signal(SIGXFSZ, SIG_IGN);
  pthread_sigmask(SIG_BLOCK, &s->wanted, &s->before);
  pthread_attr_init(&attr);
  pthread_attr_setstacksize(&attr, 1 << 16);
  int error = pthread_create(&s->thread, &attr, signals_main, s);
  pthread_attr_destroy(&attr);
  s->open = error == 0;
  return s->open || fault_set(f, LCW_LIMIT, "cannot start a thread: %s", strerror(error));
}

void signals_close(Signals *s) {
  if (!s->open) return;
  pthread_cancel(s->thread);
  pthread_join(s->thread, NULL);
  pthread_sigmask(SIG_SETMASK, &s->before, NULL);
  s->open = false;
}
