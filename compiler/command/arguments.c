/* arguments.c: from argv to Arguments. Strict: no abbreviations, `--` ends the options, a wrong one
 * is exit 2 with the nearest name, in at most three lines. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "command.h"
#include "targets.h"

typedef struct {
  const char *word, *argument, *commands, *what;
  char letter;
} Flag;

static const Flag flag[FLAG_COUNT] = {
#define FLAG(id, word, letter, argument, commands, what) {word, argument, commands, what, letter},
#include "flags.def"
};

const CommandInfo command_table[] = {
#define COMMAND(name, places, what, example) {#name, places, what, example, command_##name},
#include "commands.def"
    {0},
};

int command_fail(int code, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  fputs("error: ", stderr);
  vfprintf(stderr, fmt, ap);
  fputc('\n', stderr);
  va_end(ap);
  return code;
}

int text_write(const Text *t) {
  if (t->n && fwrite(t->s, 1, t->n, stdout) != t->n)
    return command_fail(LCW_DATA, "cannot write to standard output");
  if (fflush(stdout)) return command_fail(LCW_DATA, "cannot write to standard output");
  return LCW_OK;
}

/* ---- which flags a command has ------------------------------------------------------------- */

static char command_letter(const char *command) {
  static const struct {
    const char *name;
    char letter;
  } of[] = {{"check", 'c'},   {"train", 't'}, {"eval", 'v'},      {"build", 'b'}, {"emit", 'e'},
            {"inspect", 'i'}, {"bench", 'n'}, {"gradcheck", 'g'}, {"plot", 'p'},  {"export", 'x'}};
  for (size_t i = 0; i < COUNT_OF(of); i++)
    if (!strcmp(of[i].name, command)) return of[i].letter;
  return '?';
}

static bool flag_serves(const Flag *f, const char *command) {
  char letter = command_letter(command);
  if (*f->commands == '*') return strchr("ctbeing", letter) != NULL;
  return strchr(f->commands, letter) != NULL;
}

void command_help(FILE *out, const CommandInfo *c) {
  bool runs = strchr("tvnig", command_letter(c->name)) != NULL;
  fprintf(out, "usage: lcwc %s %s [options]\n%s\n\noptions:\n", c->name, c->places, c->what);
  for (FlagId i = 0; i < FLAG_COUNT; i++) {
    bool of_run = runs && i == FLAG_DEVICE; /* it is among these */
    if (of_run || !flag_serves(&flag[i], c->name)) continue;
    char left[48];
    snprintf(left, sizeof left, "%s%c%s--%s%s%s", flag[i].letter ? "-" : " ",
             flag[i].letter ? flag[i].letter : ' ', flag[i].letter ? ", " : "  ", flag[i].word,
             flag[i].argument ? "=" : "", flag[i].argument ? flag[i].argument : "");
    fprintf(out, "  %-26s %s\n", left, flag[i].what);
  }
  if (runs) fputs("\noptions of the run:\n", out), options_help(out);
  fprintf(out, "\nexample: %s\n", c->example);
}

/* ---- parsing ------------------------------------------------------------------------------- */

/* The flag that `arg` is, and its value if written with "="; FLAG_COUNT: none. */
static FlagId flag_find(const char *arg, const char *command, const char **value) {
  *value = NULL;
  for (FlagId i = 0; i < FLAG_COUNT; i++) {
    const Flag *f = &flag[i];
    if (!flag_serves(f, command)) continue;
    size_t n = strlen(f->word);
    bool one_dash = f->word[1] == 0 || f->word[0] == 'W'; /* -w, -Wall */
    const char *at = one_dash ? arg + 1 : arg + 2;
    if (f->letter && arg[0] == '-' && arg[1] == f->letter)
      return *value = arg[2] ? arg + 2 : NULL, i;
    if (arg[0] != '-' || (!one_dash && arg[1] != '-')) continue;
    if (!strncmp(at, f->word, n) && (!at[n] || at[n] == '='))
      return *value = at[n] ? at + n + 1 : NULL, i;
  }
  return FLAG_COUNT;
}

/* Takes argv[i] as a flag: arguments used, 0 if it is none, -1 after a message. */
static int flag_take(Arguments *a, int argc, char **argv, int i) {
  const char *value;
  FlagId id = flag_find(argv[i], a->command, &value);
  if (id == FLAG_COUNT) return 0;
  int used = 1;
  if (!flag[id].argument) {
    if (value) return command_fail(-1, "option --%s takes no value", flag[id].word);
    value = "";
  } else if (!value) {
    if (i + 1 == argc)
      return command_fail(-1, "option --%s needs a value: --%s=%s", flag[id].word, flag[id].word,
                          flag[id].argument);
    value = argv[i + 1], used = 2;
  }
  bool repeats = id == FLAG_DEFINE || id == FLAG_SET;
  uint32_t *n = id == FLAG_DEFINE ? &a->ndefine : &a->nset;
  if (repeats && *n == MAX_DEFINE)
    return command_fail(-1, "option --%s is given more than %d times", flag[id].word, MAX_DEFINE);
  if (repeats && !strchr(value, '='))
    return command_fail(-1, "`%s` after --%s is not NAME=VALUE", value, flag[id].word);
  if (repeats) (id == FLAG_DEFINE ? a->define : a->set)[(*n)++] = value;
  else if (a->flag[id]) return command_fail(-1, "option --%s is given twice", flag[id].word);
  a->flag[id] = value;
  return used;
}

static int unknown(const Arguments *a, const char *arg) {
  const char *more[FLAG_COUNT + 1];
  size_t n = 0;
  for (FlagId i = 0; i < FLAG_COUNT; i++)
    if (flag_serves(&flag[i], a->command)) more[n++] = flag[i].word;
  more[n] = NULL;
  Fault fault = {0};
  options_unknown(arg, more, &fault);
  return fault_print(&fault);
}

static const CommandInfo *info_of(const char *command) {
  const CommandInfo *c = command_table;
  while (c->name && strcmp(c->name, command)) c++;
  return c;
}

/* One argument; how many were used, or -1 with *code set. */
static int argument_take(Arguments *a, int argc, char **argv, int i, int *code) {
  Fault fault = {0};
  *code = LCW_USAGE;
  if (!strcmp(argv[i], "--help")) {
    command_help(stdout, info_of(a->command));
    return *code = text_write(&(Text){0}), -1;
  }
  int used = flag_take(a, argc, argv, i);
  if (used) return used;
  if (a->runs) used = options_take(&a->run, argc, argv, i, &fault);
  else if (!strcmp(argv[i], "--json")) a->run.json = true, used = 1;
  if (used < 0) *code = fault_print(&fault);
  else if (!used) *code = unknown(a, argv[i]);
  return used ? used : -1;
}

int arguments_parse(Arguments *a, const char *command, bool runs, uint32_t fewest, uint32_t most,
                    int argc, char **argv) {
  *a = (Arguments){.command = command, .runs = runs};
  a->run.argc = argc, a->run.argv = argv;
  bool options = true;
  for (int i = 0; i < argc;) {
    int used = 1, code;
    if (options && !strcmp(argv[i], "--")) options = false;
    else if (options && argv[i][0] == '-' && argv[i][1]) {
      if ((used = argument_take(a, argc, argv, i, &code)) < 0) return code;
    } else if (a->nplace == most || a->nplace == MAX_PLACE) {
      return command_fail(LCW_USAGE, "`%s` is one argument too many\nhelp: lcwc %s %s", argv[i],
                          command, info_of(command)->places);
    } else a->place[a->nplace++] = argv[i];
    i += used;
  }
  if (a->nplace < fewest)
    return command_fail(LCW_USAGE, "an argument is missing\nhelp: lcwc %s %s", command,
                        info_of(command)->places);
  Fault fault = {0};
  if (a->flag[FLAG_DEVICE]) a->run.device = a->flag[FLAG_DEVICE];
  if (runs && !options_check(&a->run, &fault)) return fault_print(&fault);
  return arguments_precision(a) ? -1 : LCW_USAGE;
}

bool arguments_precision(Arguments *a) {
  static const char *const setting[] = {"precision=fp32", "precision=tf32", "precision=bf16"};
  const char *word = a->flag[FLAG_PRECISION];
  for (size_t i = 0; word && i < COUNT_OF(setting); i++) {
    if (strcmp(strchr(setting[i], '=') + 1, word) || a->nset == MAX_DEFINE) continue;
    a->set[a->nset++] = setting[i];
    return true;
  }
  return !word ||
         (command_fail(LCW_USAGE, "--precision knows no `%s`\nhelp: fp32, tf32, bf16", word), false);
}

/* ---- to a Compile -------------------------------------------------------------------------- */

static bool pass_word(const char *word, PassId *out) {
  if (word && (*out = pass_find(word)) == PASS_COUNT)
    return command_fail(
               LCW_USAGE,
               "no pass named `%s`\nhelp:"
#define PASS(name, from, to, what) " " #name
#include "passes.def"
               , word),
           false;
  return true;
}

static bool lower_set(const char *word, Compile *c) {
  if (!word) return true;
  c->lower = lowering_find(word);
  if (c->lower < LOWER_COUNT) return c->request.lower = word, true;
  return command_fail(LCW_USAGE,
                      "--lower knows no `%s`\nhelp: fused, fused:epilogue, fused:update, unfused, "
                      "dense, projected",
                      word),
         false;
}

/* "host", "cuda" or "cuda:N". The target is what runs there. */
static bool device_set(const char *word, Compile *c) {
  int64_t ordinal = 0;
  if (!word || !strcmp(word, "host")) return true;
  c->target = &target_cuda;
  if (!strcmp(word, "cuda")) return true;
  if (!strncmp(word, "cuda:", 5) && integer_parse(word + 5, strlen(word + 5), &ordinal) &&
      ordinal >= 0 && ordinal < 256)
    return true;
  return command_fail(LCW_USAGE, "--device knows no `%s`\nhelp: host, cuda, cuda:N", word), false;
}

bool arguments_compile(const Arguments *a, Compile *c) {
  compile_init(c);
  c->exit = LCW_USAGE;
  c->request.net = a->nplace > 1 ? a->place[1] : NULL;
  c->request.recipe = a->flag[FLAG_WITH];
  c->request.data = a->flag[FLAG_ON];
  c->request.define = a->define, c->request.ndefine = a->ndefine;
  c->request.set = a->set, c->request.nset = a->nset;
  c->data_folder = a->run.data;
  c->times = a->flag[FLAG_TIMES] != NULL;
  Diags *d = &c->front.diags;
  d->remarks = a->flag[FLAG_WALL] != NULL;
  d->warnings_off = a->flag[FLAG_QUIETW] != NULL;
  d->color = (ColorMode)a->run.color;
  const char *form = a->flag[FLAG_DIAG], *most = a->flag[FLAG_ERRORS];
  if (form && strcmp(form, "short"))
    return command_fail(LCW_USAGE, "--diag knows only `short`, not `%s`", form), false;
  d->brief = form != NULL;
  int64_t errors = 0;
  if (most && (!integer_parse(most, strlen(most), &errors) || errors < 1 || errors > 10000))
    return command_fail(LCW_USAGE, "--max-errors needs a number from 1 to 10000, not `%s`", most),
           false;
  if (most) d->max_errors = (uint32_t)errors;
  if (!lower_set(a->flag[FLAG_LOWER], c) || !device_set(a->flag[FLAG_DEVICE], c)) return false;
  if (!targets_set(a, c)) return false;
  if (!pass_word(a->flag[FLAG_DUMP], &c->dump) || !pass_word(a->flag[FLAG_STOP], &c->stop))
    return false;
  c->exit = LCW_OK;
  return true;
}

int command_on_file(const char *command, bool runs, uint32_t most, int argc, char **argv,
                    int (*work)(Arguments *, Compile *)) {
  Arguments a;
  Compile c;
  int code = arguments_parse(&a, command, runs, 1, most, argc, argv);
  if (code >= 0) return code;
  code = arguments_compile(&a, &c) ? work(&a, &c) : c.exit;
  compile_release(&c);
  return code;
}
