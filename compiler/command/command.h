/* command.h: what the commands share: their options and the way to fail. An option of a
 * compilation (flags.def) is taken by flag_take(), one of a run (runtime/options.def) by
 * options_take(); what neither knows is refused with the nearest name. */
#ifndef LCW_COMMAND_H
#define LCW_COMMAND_H
#include "exit.h"
#include "options.h"
#include "pass.h"

enum { MAX_DEFINE = 64, MAX_PLACE = 64 };

typedef enum {
#define FLAG(id, word, letter, argument, commands, what) FLAG_##id,
#include "flags.def"
  FLAG_COUNT
} FlagId;

typedef struct {
  const char *command;              /* its name */
  const char *place[MAX_PLACE];     /* FILE, NET, DIR... in order */
  uint32_t nplace;
  const char *flag[FLAG_COUNT];     /* value of a flag; "" for one without; NULL: not given */
  const char *define[MAX_DEFINE], *set[MAX_DEFINE]; /* -D and --set, which repeat */
  uint32_t ndefine, nset;
  bool runs;                        /* options of a run are allowed; then they are here */
  RunOptions run;
} Arguments;

typedef struct {
  const char *name, *places, *what, *example;
  int (*function)(int argc, char **argv);
} CommandInfo;
extern const CommandInfo command_table[];

/* Parses argv[0..argc) for `command`; -1 to go on, else the exit code (2, or 0 after --help). */
int arguments_parse(Arguments *a, const char *command, bool runs, uint32_t fewest, uint32_t most,
                    int argc, char **argv);
/* Adds what --precision says to the settings of the recipe, where it is the last and wins. False:
 * exit 2. Parsing has done it; to be done again by who replaces the settings. */
bool arguments_precision(Arguments *a);
/* "error: ..." on stderr; returns `code`. */
int command_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A Compile for the arguments: net, recipe, data, defines, lowering, dump, stop. False: exit 2. */
bool arguments_compile(const Arguments *a, Compile *c);
/* The instruction set to compile for, in isa[0..1]: --cpu, else this machine's. False: c->exit. */
bool isa_choose(const Arguments *a, Compile *c, const char **isa);
/* A command on one FILE and at most `most` places: parses, prepares a Compile, calls `work`. */
int command_on_file(const char *command, bool runs, uint32_t most, int argc, char **argv,
                    int (*work)(Arguments *, Compile *));
/* Writes to stdout; LCW_DATA if that fails. */
int text_write(const Text *t);
void command_help(FILE *out, const CommandInfo *c);

/* What gradcheck says of the step as a whole, for networks that float64 redoes in `seconds`; for
 * others a note that it was not asked. LCW_NUMBERS if the step is wrong. */
int gradcheck_step(const Arguments *a, double seconds);

#define COMMAND(name, places, what, example) int command_##name(int argc, char **argv);
#include "commands.def"

int check_report(Front *f, const ModelRequest *request, bool json, const char *path, Text *out);

/* Written with the front end: they have options of their own. */
int fmt_main(int argc, char **argv);
int explain_main(int argc, char **argv);

#endif
