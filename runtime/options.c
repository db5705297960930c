/* options.c: a strict parser over options.def. Names are not abbreviated; a value follows after
 * "=" or as the next argument; every message names the argument and has at most three lines. */
#include "options.h"
#include <string.h>
#include "decimal.h"

typedef enum { TEXT, MAYBE, COUNT, BYTES, FLAG, CHOICE } Kind;

typedef struct {
  Kind kind;
  const char *name;
  char letter;
  const char *argument;
  uint64_t limit;
  const char *help;
  size_t field;
} Row;

static const Row row[] = {
#define OPTION(kind, field, name, letter, argument, limit, help) \
  {kind, name, letter, argument, limit, help, offsetof(RunOptions, field)},
#include "options.def"
};
enum { ROWS = sizeof row / sizeof *row, WORD = 64 };
_Static_assert(ROWS <= 32, "RunOptions.given has a bit for each");

/* ---- did you mean ------------------------------------------------------------------------ */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, changes and swaps of neighbours between two words. */
static size_t distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b), d[3][WORD + 1];
  if (n > WORD || m > WORD) return WORD;
  for (size_t j = 0; j <= m; j++) d[0][j] = j;
  for (size_t i = 1; i <= n; i++) {
    size_t *now = d[i % 3], *before = d[(i + 2) % 3], *older = d[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= m; j++) {
      now[j] = least(least(before[j], now[j - 1]) + 1, before[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = least(now[j], older[j - 2] + 1);
    }
  }
  return d[n % 3][m];
}

/* Keeps the nearer of two names; what is further than a third of the word is no suggestion. */
static const char *nearer(const char *word, const char *name, const char *best, size_t *at) {
  size_t d = distance(word, name);
  if (d >= *at || d > 1 + strlen(word) / 3) return best;
  *at = d;
  return name;
}

bool options_unknown(const char *arg, const char *const *more, Fault *f) {
  char word[WORD + 1];
  const char *name = arg + strspn(arg, "-"), *best = NULL;
  size_t n = strcspn(name, "="), at = WORD;
  n = least(n, WORD);
  memcpy(word, name, n);
  word[n] = 0;
  for (size_t i = 0; i < ROWS; i++) best = nearer(word, row[i].name, best, &at);
  for (; more && *more; more++) best = nearer(word, *more + strspn(*more, "-"), best, &at);
  fault_set(f, LCW_USAGE, "unknown %s \"%.200s\"", *arg == '-' ? "option" : "argument", arg);
  if (best && *arg == '-') fault_add(f, "\nhelp: did you mean --%s?", best);
  return false;
}

/* ---- values ------------------------------------------------------------------------------ */

/* --NAME: "VALUE" is not what was wanted. */
static bool wrong_value(const Row *r, const char *value, const char *wanted, Fault *f) {
  return fault_set(f, LCW_USAGE, "--%s: \"%.200s\" is not %s", r->name, value, wanted);
}

/* The index of the word in "a|b|c". */
static bool choose(const Row *r, const char *value, OptionCHOICE *out, Fault *f) {
  const char *s = r->argument;
  size_t n = strlen(value);
  for (OptionCHOICE i = 0;; i++) {
    size_t k = strcspn(s, "|");
    if (n && k == n && !memcmp(s, value, n)) {
      *out = i;
      return true;
    }
    if (s[k] == 0) break;
    s += k + 1;
  }
  char wanted[96] = "one of ";
  strncat(wanted, r->argument, sizeof wanted - strlen(wanted) - 1);
  return wrong_value(r, value, wanted, f);
}

/* A whole number up to the limit of its row. */
static bool count(const Row *r, const char *value, OptionCOUNT *out, Fault *f) {
  if (!decimal_whole(value, &out->n)) return wrong_value(r, value, "a whole number", f);
  if (out->n > r->limit)
    return fault_set(f, LCW_USAGE, "--%s: %.40s is too large; the limit is %llu", r->name, value,
                     (unsigned long long)r->limit);
  if (out->n == 0 && strstr(r->name, "threads")) return wrong_value(r, value, "at least 1", f);
  out->given = true;
  return true;
}

/* A number of bytes with its unit. */
static bool bytes(const Row *r, const char *value, OptionBYTES *out, Fault *f) {
  out->given = decimal_bytes(value, &out->n);
  return out->given || wrong_value(r, value, "a number of bytes, such as 512M or 2GiB", f);
}

/* Stores the value; for FLAG and a lone MAYBE it is NULL. */
static bool store(RunOptions *o, const Row *r, const char *value, Fault *f) {
  void *field = (char *)o + r->field;
  switch (r->kind) {
  case FLAG: *(OptionFLAG *)field = true; return true;
  case MAYBE:
    *(OptionMAYBE *)field = value ? value : "";
    return !value || *value || wrong_value(r, value, "a name", f);
  case TEXT: *(OptionTEXT *)field = value; return *value || wrong_value(r, value, "a name", f);
  case COUNT: return count(r, value, field, f);
  case BYTES: return bytes(r, value, field, f);
  case CHOICE: return choose(r, value, field, f);
  }
  return false;
}

/* ---- arguments --------------------------------------------------------------------------- */

/* The row of an argument; *value: what is glued to it ("--name=value", "-oDIR"), or NULL. */
static const Row *find_row(const char *arg, const char **value) {
  *value = NULL;
  if (arg[0] != '-' || arg[1] == 0) return NULL;
  for (size_t i = 0; i < ROWS; i++) {
    size_t n = strlen(row[i].name);
    if (arg[1] == '-' && !strncmp(arg + 2, row[i].name, n) &&
        (arg[2 + n] == 0 || arg[2 + n] == '=')) {
      if (arg[2 + n]) *value = arg + 3 + n;
      return &row[i];
    }
    bool takes = row[i].kind != FLAG;
    if (row[i].letter && arg[1] == row[i].letter && (arg[2] == 0 || takes)) {
      if (arg[2]) *value = arg + 2;
      return &row[i];
    }
  }
  return NULL;
}

int options_take(RunOptions *o, int argc, char **argv, int i, Fault *f) {
  const char *value;
  const Row *r = find_row(argv[i], &value);
  if (!r) return 0;
  if (r->kind == FLAG && value) {
    fault_set(f, LCW_USAGE, "--%s takes no value, got \"%.200s\"", r->name, value);
    return -1;
  }
  if (o->given >> (r - row) & 1) {
    fault_set(f, LCW_USAGE, "--%s is given twice", r->name);
    return -1;
  }
  o->given |= 1u << (r - row);
  bool next = !value && r->kind != FLAG && r->kind != MAYBE;
  if (next && i + 1 >= argc) {
    fault_set(f, LCW_USAGE, "--%s needs a value: --%s=%s", r->name, r->name, r->argument);
    return -1;
  }
  return store(o, r, next ? argv[i + 1] : value, f) ? 1 + next : -1;
}

bool options_device(const RunOptions *o, int *ordinal, Fault *f) {
  const char *s = o->device;
  uint64_t n = 0;
  bool host = !s || !strcmp(s, "host"), cuda = !host && !strncmp(s, "cuda", 4);
  bool numbered = cuda && s[4] == ':';
  *ordinal = ON_HOST;
  if (host) return true;
  if (!cuda || (s[4] && !numbered) || (numbered && (!decimal_whole(s + 5, &n) || n > INT32_MAX)))
    return fault_set(f, LCW_USAGE, "--device: \"%.200s\" is not host, cuda or cuda:N", s);
  *ordinal = (int)n;
  return true;
}

/* What belongs to one device is not asked of the other. */
static bool device_check(const RunOptions *o, Fault *f) {
  int ordinal;
  if (!options_device(o, &ordinal, f)) return false;
  bool sim = o->sim_threads.given || o->sim_checks;
  if (ordinal == ON_HOST && (o->driver || sim))
    return fault_set(f, LCW_USAGE, "--%s is for a CUDA device\nhelp: --device=cuda",
                     o->driver ? "driver" : o->sim_checks ? "sim-checks" : "sim-threads");
  if (ordinal != ON_HOST && o->cpu)
    return fault_set(f, LCW_USAGE, "--cpu is for the host, --device=%.200s is not", o->device);
  if (sim && !o->driver)
    return fault_set(f, LCW_USAGE, "--%s is for the simulated device\nhelp: --driver=sim",
                     o->sim_checks ? "sim-checks" : "sim-threads");
  return true;
}

bool options_check(const RunOptions *o, Fault *f) {
  if (o->resume && o->overwrite)
    return fault_set(f, LCW_USAGE, "--resume and --overwrite exclude each other");
  if (o->quiet && o->verbose)
    return fault_set(f, LCW_USAGE, "--quiet and --verbose exclude each other");
  if (o->resume && *o->resume && o->folder && strcmp(o->resume, o->folder))
    return fault_set(f, LCW_USAGE, "--resume=%.200s and --output=%.200s name two folders",
                     o->resume, o->folder);
  return device_check(o, f);
}

bool options_parse(RunOptions *o, int argc, char **argv, Fault *f) {
  *o = (RunOptions){.argc = argc, .argv = argv};
  for (int i = 1; i < argc;) {
    if (!strcmp(argv[i], "--")) {
      if (i + 1 < argc) return options_unknown(argv[i + 1], NULL, f);
      break;
    }
    int taken = options_take(o, argc, argv, i, f);
    if (taken < 0) return false;
    if (taken == 0) return options_unknown(argv[i], NULL, f);
    i += taken;
  }
  return options_check(o, f);
}

void options_help(FILE *out) {
  for (size_t i = 0; i < ROWS; i++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s%s", row[i].name, row[i].kind == MAYBE ? "[" : "",
             row[i].argument ? "=" : "", row[i].argument ? row[i].argument : "");
    fprintf(out, "  %c%c%c %-36s%s %s\n", row[i].letter ? '-' : ' ',
            row[i].letter ? row[i].letter : ' ', row[i].letter ? ',' : ' ', left,
            row[i].kind == MAYBE ? "]" : "", row[i].help);
  }
}
