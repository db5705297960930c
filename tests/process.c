/* process.c: see process.h. */
#include "process.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
enum { WORDS = 256, LINE = 1 << 17 };

static void must(int ok, const char *what) {
  if (ok) return;
  perror(what);
  abort();
}

const char *process_path(const char *name) {
  static char path[8][4096];
  static unsigned at;
  char *p = path[at++ % 8];
  must(realpath(name, p) != NULL, name);
  return p;
}

const char *process_lcwc(void) {
  const char *name = getenv("LCWC");
  return process_path(name && *name ? name : "build/lcwc");
}

double process_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Cuts a line into words, in place. */
static void line_split(char *s, char **argv) {
  int n = 0;
  while (*(s += strspn(s, " "))) {
    must(n + 1 < WORDS, "words");
    char end = *s == '\'' ? *s++ : ' ';
    argv[n++] = s;
    s += strcspn(s, end == ' ' ? " " : "'");
    if (*s) *s++ = 0;
  }
  argv[n] = NULL;
}

/* Starts the words of `line` with the two files as its outputs. */
static pid_t start(const Process *how, const char *fmt, va_list ap, int out, int err) {
  static char line[LINE];
  char *argv[WORDS];
  must(vsnprintf(line, sizeof line, fmt, ap) < LINE, "line");
  line_split(line, argv);
  posix_spawn_file_actions_t act;
  posix_spawn_file_actions_init(&act);
  posix_spawn_file_actions_addopen(&act, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&act, out, 1);
  posix_spawn_file_actions_adddup2(&act, err, 2);
  if (how->folder) posix_spawn_file_actions_addchdir_np(&act, how->folder);
  const char *path = strcmp(argv[0], "lcwc") ? argv[0] : process_lcwc();
  pid_t pid;
  int e = posix_spawn(&pid, path, &act, NULL, argv, how->env ? (char **)(size_t)how->env : environ);
  posix_spawn_file_actions_destroy(&act);
  errno = e;
  must(!e, path);
  return pid;
}

static int wait_for(pid_t pid, struct rusage *use) {
  int status;
  while (wait4(pid, &status, 0, use) < 0) must(errno == EINTR, "wait");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int file_new(void) {
  char name[] = "/tmp/lcwc-test-XXXXXX";
  int fd = mkostemp(name, O_CLOEXEC);
  must(fd >= 0 && unlink(name) == 0, name);
  return fd;
}

static void file_take(int fd, char *to, size_t room) {
  ssize_t n = pread(fd, to, room - 1, 0);
  to[n > 0 ? n : 0] = 0;
  close(fd);
}

/* A pipe whose reader is gone. */
static int pipe_closed(void) {
  int end[2];
  must(pipe2(end, O_CLOEXEC) == 0 && close(end[0]) == 0, "pipe");
  return end[1];
}

static int out_of(const Process *how) {
  if (!how->stdout_to) return file_new();
  if (!strcmp(how->stdout_to, "|")) return pipe_closed();
  int fd = open(how->stdout_to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  must(fd >= 0, how->stdout_to);
  return fd;
}

const Ran *process_run(const Process *how, const char *fmt, ...) {
  static Ran ran[4];
  static unsigned at;
  Ran *r = &ran[at++ % 4];
  int out = out_of(how), err = file_new();
  struct rusage use;
  va_list ap;
  va_start(ap, fmt);
  double begin = process_now();
  r->code = wait_for(start(how, fmt, ap, out, err), &use);
  r->ms = process_now() - begin;
  va_end(ap);
  r->cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-3;
  r->kib = use.ru_maxrss;
  file_take(out, r->out, how->stdout_to ? 1 : sizeof r->out);
  file_take(err, r->err, sizeof r->err);
  return r;
}

pid_t process_start(const Process *how, const char *fmt, ...) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  must(null >= 0, "/dev/null");
  va_list ap;
  va_start(ap, fmt);
  pid_t pid = start(how, fmt, ap, null, null);
  va_end(ap);
  close(null);
  return pid;
}

int process_end(pid_t pid, int signal) {
  struct rusage use;
  if (signal) kill(pid, signal);
  return wait_for(pid, &use);
}

void tally(Tally *t, int ok, const char *fmt, ...) {
  if (ok) return (void)t->passed++;
  t->failed++;
  va_list ap;
  va_start(ap, fmt);
  fputs("FAILED: ", stdout);
  vprintf(fmt, ap);
  va_end(ap);
  putchar('\n');
  fflush(stdout);
}

int tally_end(const Tally *t) {
  printf("%d passed, %d failed, %d skipped\n", t->passed, t->failed, t->skipped);
  return t->failed > 0 || t->passed == 0;
}
