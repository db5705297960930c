/* front_bomb.c: texts made to exhaust a compiler. Each is parsed and checked in a process of
 * its own, and must end within a second and 128 MiB, with the exit code that the row names.
 * Comes out: `N passed, N failed, N skipped`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include "check.h"
#include "limits.h"
#include "parse.h"
#include "scratch.h"

#if defined(__SANITIZE_ADDRESS__)
enum { MEMORY_FACTOR = 8, TIME_FACTOR = 8 };
#else
enum { MEMORY_FACTOR = 1, TIME_FACTOR = 1 };
#endif
enum { MEMORY = 128 << 10, MILLION = 1000000 };

/* A text: head, `repeat` times middle, tail. */
typedef struct {
  const char *name, *head, *middle;
  int repeat;
  const char *tail;
  int exit;
} Bomb;

static const Bomb bombs[] = {
    {"nested parentheses", "const int a = ", "(", MILLION, "", 6},
    {"nested lists", "const int a = ", "[", MILLION, "", 6},
    {"nested calls", "const int a = ", "f(", MILLION, "", 6},
    {"nested bodies", "block a(tensor x) ", "{", MILLION, "", 6},
    {"nested repeats", "block a(tensor x) { ", "repeat (2) ", MILLION, "x = x; }", 6},
    {"nested ifs", "block a(tensor x) { ", "if (true) ", MILLION, "x = x; }", 6},
    {"else if", "block a(tensor x) { ", "if (true) x = x; else ", MILLION / 4, "x = x; }", 6},
    {"nested labels", "block a(tensor x) { ", "l: ", MILLION, "x = x; }", 6},
    {"repeat in repeat", "block a = ", "repeat (2) { ", MILLION / 4, "relu", 6},
    {"minus signs", "const int a = ", "-", MILLION, "1;", 6},
    {"conditions", "const int a = ", "true ? 1 : ", MILLION / 2, "1;", 6},
    {"a sum", "const int a = 1", " + 1", MILLION, ";", 6},
    {"a product", "const int a = 1", "*1", MILLION, ";", 6},
    {"indices", "const int a = b", "[0]", MILLION, ";", 6},
    {"a chain", "block a(tensor x) = x", " -> relu", MILLION, ";", 6},
    {"attributes", "block a(tensor x) = x -> relu", " @lcw", MILLION, ";", 6},
    {"members", "const int a = b", ".c", MILLION, ";", 6},
    {"a list", "const int a = [1", ",1", MILLION, "];", 6},
    {"parameters", "block a(int b", ", int b", MILLION / 2, ") = relu;", 6},
    {"declarations", "", "block a = relu;", MILLION / 4, "", 6},
    {"unknown names", "block a(tensor x) = f(x", ", y", MILLION / 4, ");", 1},
    {"errors", "", "block ;\n", MILLION / 2, "", 1},
    {"bad characters", "", "$\n", MILLION, "", 1},
    {"closing brackets", "", "}", MILLION, "", 1},
    {"opening comments", "", "/*", MILLION, "", 1},
    {"quotes", "", "\"\n", MILLION, "", 1},
    {"a long name", "const int ", "a", 4 * MILLION, " = 1;", 6},
    {"a name of 50 MB", "const int ", "a", 50 * MILLION, " = 1;", 6},
    {"a long string", "const string a = \"", "a", 8 * MILLION, "\";", 0},
    {"a long comment", "/*", "*", 8 * MILLION, "*/", 0},
    {"a long number", "const int a = ", "9", 4 * MILLION, ";", 1},
    {"empty lines", "", "\n", 8 * MILLION, "const int a = b;", 1},
    {"one long line", "const int a = b;", " ", 8 * MILLION, "const int c = d;", 1},
    {"zero bytes", "const int a = b;", "\1", MILLION, "", 1},
};

/* ---- one bomb --------------------------------------------------------------------------- */

static char *bomb_text(const Bomb *b, size_t *size) {
  size_t head = strlen(b->head), middle = strlen(b->middle), tail = strlen(b->tail);
  *size = head + middle * (size_t)b->repeat + tail;
  char *text = malloc(*size + 1);
  if (!text) abort();
  memcpy(text, b->head, head);
  for (int i = 0; i < b->repeat; i++) memcpy(text + head + middle * (size_t)i, b->middle, middle);
  memcpy(text + *size - tail, b->tail, tail + 1);
  return text;
}

/* In the child: reads the file as the command does. */
static int compile(const char *path) {
  Arena perm;
  Front f;
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  Ast *tree = parse_file(&f, path);
  if (tree && !diags_exit(&f.diags)) check(&f);
  FILE *sink = fopen("/dev/null", "w");
  if (sink) diags_print(&f.diags, sink);
  return diags_exit(&f.diags);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Runs it in a child; false, with a line, when it breaks a promise. CPU time is counted, for
 * the machine may be busy; the wall clock must not show a hang either. */
static bool explode(const char *name, const char *path, int wanted) {
  struct rusage used;
  int status;
  double begin = seconds();
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(compile(path));
  if (child < 0 || wait4(child, &status, 0, &used) != child) abort();
  double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  bool good = code == wanted && cpu < (double)TIME_FACTOR && seconds() - begin < 30.0 &&
              used.ru_maxrss < (long)MEMORY * MEMORY_FACTOR;
  if (!good)
    printf("FAILED %s: exit %d (wanted %d), %.2f s, %ld KiB\n", name, code, wanted, cpu,
           used.ru_maxrss);
  return good;
}

/* ---- imports ---------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text) {
  scratch_write(path, text, strlen(text));
}

/* f0 imports f1 imports f2 ...: one more than may be nested. */
static bool import_depth(const Scratch *s) {
  char name[40], text[60];
  for (int i = 0; i <= LIMIT_IMPORT_DEPTH + 1; i++) {
    snprintf(name, sizeof name, "f%d.lcwnet", i);
    snprintf(text, sizeof text, "import \"f%d.lcwnet\";\n", i + 1);
    write_text(scratch_path(s, name), text);
  }
  return explode("imports nested too deeply", scratch_path(s, "f0.lcwnet"), 6);
}

static bool import_many(const Scratch *s) {
  char name[40], *text = calloc(1, 40 * (LIMIT_FILES + 8));
  if (!text) abort();
  for (int i = 0; i < LIMIT_FILES + 4; i++) {
    snprintf(name, sizeof name, "m%d.lcwnet", i);
    write_text(scratch_path(s, name), "");
    snprintf(text + strlen(text), 40, "import \"m%d.lcwnet\";\n", i);
  }
  write_text(scratch_path(s, "many.lcwnet"), text);
  free(text);
  return explode("too many imports", scratch_path(s, "many.lcwnet"), 6);
}

static bool import_cycle(const Scratch *s) {
  write_text(scratch_path(s, "a.lcwnet"), "import \"b.lcwnet\";\n");
  write_text(scratch_path(s, "b.lcwnet"), "import \"a.lcwnet\" as x;\n");
  return explode("import cycle", scratch_path(s, "a.lcwnet"), 1);
}

/* Forty blocks, each of which uses the next one twice: checked once each. */
static bool doubling(const Scratch *s) {
  char text[4096];
  int n = snprintf(text, sizeof text, "block b40(tensor x) = x;\n");
  for (int i = 0; i < 40; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, "block b%d(tensor x) = x -> b%d -> b%d;\n", i,
                  i + 1, i + 1);
  write_text(scratch_path(s, "double.lcwnet"), text);
  return explode("forty blocks, each using the next twice", scratch_path(s, "double.lcwnet"), 0);
}

/* Sixty thousand different unknown names in one body. */
static bool unknown_names(const Scratch *s) {
  enum { NAMES = 60000, EACH = 40 };
  char *text = malloc(NAMES * EACH + 100), *end = text;
  if (!text) abort();
  end += snprintf(end, EACH, "block a(tensor x) {\n");
  for (int i = 0; i < NAMES; i++) end += snprintf(end, EACH, "v%d = x + u%d;\n", i, i);
  end += snprintf(end, EACH, "return x; }\n");
  scratch_write(scratch_path(s, "unknown.lcwnet"), text, (size_t)(end - text));
  free(text);
  return explode("different unknown names", scratch_path(s, "unknown.lcwnet"), 1);
}

int main(void) {
  Scratch s = scratch_new();
  int passed = 0, all = 0;
  for (size_t i = 0; i < COUNT_OF(bombs); i++, all++) {
    size_t size;
    char *text = bomb_text(&bombs[i], &size);
    const char *path = scratch_path(&s, "bomb.lcwnet");
    scratch_write(path, text, size);
    free(text);
    passed += explode(bombs[i].name, path, bombs[i].exit);
  }
  passed +=
      import_depth(&s) + import_many(&s) + import_cycle(&s) + doubling(&s) + unknown_names(&s);
  all += 5;
  scratch_remove(s.path);
  printf("%d passed, %d failed, 0 skipped\n", passed, all - passed);
  return passed != all;
}
