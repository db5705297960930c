/* options.h: the options of a run, from options.def. A front end that has options of its own
 * calls options_take() for each argument it does not know; a trainer calls options_parse(). */
#ifndef LCW_OPTIONS_H
#define LCW_OPTIONS_H
#include <stdio.h>
#include "fault.h"

typedef const char *OptionTEXT;  /* NULL: not given */
typedef const char *OptionMAYBE; /* NULL: not given; "": given alone */
typedef struct { bool given; uint64_t n; } OptionCOUNT;
typedef OptionCOUNT OptionBYTES;
typedef bool OptionFLAG;
typedef unsigned OptionCHOICE;   /* index of the word; 0 is the default */

enum { LOG_EPOCH, LOG_STEP };
enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER, PROGRESS_PLAIN };
enum { RUN_COLOR_AUTO, RUN_COLOR_ALWAYS, RUN_COLOR_NEVER };

typedef struct RunOptions {
#define OPTION(kind, field, name, letter, argument, limit, help) Option##kind field;
#include "options.def"
  uint32_t given;          /* bit i: row i of options.def was there */
  /* Not options: set by whoever calls train_run(). */
  const char *file_folder; /* folder of the .lcwnet, a data root; NULL: none */
  int argc;                /* the whole command line, for run.json */
  char **argv;
} RunOptions;

/* What --device says: the number of a CUDA device, or ON_HOST. False: it is no device. */
enum { ON_HOST = -1 };
bool options_device(const RunOptions *o, int *ordinal, Fault *f);
/* Looks at argv[i]: the number of arguments taken (1 or 2), 0 if it is no option of a run, -1
 * with a fault. */
int options_take(RunOptions *o, int argc, char **argv, int i, Fault *f);
/* What only all of them together can get wrong. */
bool options_check(const RunOptions *o, Fault *f);
/* All arguments; anything that is no option is a fault. */
bool options_parse(RunOptions *o, int argc, char **argv, Fault *f);
/* "unknown option ...", with the nearest of the run's options and of `more` (NULL at its end). */
bool options_unknown(const char *arg, const char *const *more, Fault *f);
void options_help(FILE *out);
#endif
