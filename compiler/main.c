/* main.c: lcwc COMMAND ...: finds the command in commands.def and calls it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "version.h"

static void usage(FILE *out) {
  fputs("lcwc: compiler for networks whose weights live in declared linear sets\n\ncommands:\n",
        out);
  for (const CommandInfo *c = command_table; c->name; c++)
    fprintf(out, "  lcwc %-10s %-26s %s\n", c->name, c->places, c->what);
  fputs("\n`lcwc COMMAND --help` shows the options of a command and an example.\n", out);
}

static int unknown_command(const char *word) {
  Arena a;
  arena_init(&a, "perm", 0);
  Names *names = names_new(&a);
  Name known[32];
  size_t n = 0;
  for (const CommandInfo *c = command_table; c->name; c++)
    known[n++] = name_of_text(names, c->name);
  Name near = name_nearest(names, name_of_text(names, word), known, n);
  command_fail(LCW_USAGE, "no command named `%s`%s%s%s", word, near ? "; did you mean `" : "",
               near ? name_text(names, near) : "", near ? "`?" : "");
  arena_release(&a);
  fputs("help: lcwc --help lists the commands\n", stderr);
  return LCW_USAGE;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write: exit 3 */
  if (argc < 2) return usage(stderr), LCW_USAGE;
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
    return usage(stdout), fflush(stdout) ? LCW_DATA : LCW_OK;
  if (!strcmp(argv[1], "--version"))
    return puts("lcwc " LCW_VERSION), fflush(stdout) ? LCW_DATA : LCW_OK;
  for (const CommandInfo *c = command_table; c->name; c++)
    if (!strcmp(c->name, argv[1])) return c->function(argc - 2, argv + 2);
  return unknown_command(argv[1]);
}
