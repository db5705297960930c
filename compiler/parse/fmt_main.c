/* fmt_main.c: the command `lcwc fmt`. Goes in: file names. Comes out: the formatted texts, on
 * standard output, in place, or as a difference. A file with syntax errors is left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fmt.h"
#include "limits.h"
#include "parse.h"

static const char help[] =
    "usage: lcwc fmt [-i] [--check] [--diff] FILE...\n"
    "Prints each file in the canonical form: spacing, indentation, chains wrapped at 100 columns.\n"
    "  -i        writes the files in place\n"
    "  --check   prints the names of files that are not in canonical form, and exits with 1\n"
    "  --diff    prints what would change\n"
    "  -         standard input\n"
    "example: lcwc fmt --diff examples/*.lcwnet\n";

typedef struct {
  bool in_place, check, diff;
  int files;
} FmtOptions;

/* ---- differences ------------------------------------------------------------------------ */

typedef struct {
  const char **line; /* each with its length up to the newline */
  size_t *length;
  size_t n;
} Lines;

static Lines lines_of(Arena *a, const char *s, size_t size) {
  Lines l = {.n = 0};
  size_t most = 1;
  for (size_t i = 0; i < size; i++) most += s[i] == '\n';
  l.line = NEW_ARRAY(a, const char *, most);
  l.length = NEW_ARRAY(a, size_t, most);
  for (const char *end = s + size; s < end; l.n++) {
    const char *stop = memchr(s, '\n', (size_t)(end - s));
    l.line[l.n] = s;
    l.length[l.n] = (size_t)((stop ? stop : end) - s);
    s = stop ? stop + 1 : end;
  }
  return l;
}

static bool same_line(const Lines *a, size_t i, const Lines *b, size_t k) {
  return a->length[i] == b->length[k] && memcmp(a->line[i], b->line[k], a->length[i]) == 0;
}

/* The nearest place behind (i, k) where both texts agree again. */
static void resync(const Lines *a, const Lines *b, size_t i, size_t k, size_t *skip_a,
                   size_t *skip_b) {
  for (size_t sum = 1; sum < 400; sum++)
    for (size_t x = 0; x <= sum; x++) {
      size_t y = sum - x;
      if (i + x < a->n && k + y < b->n && same_line(a, i + x, b, k + y)) {
        *skip_a = x;
        *skip_b = y;
        return;
      }
    }
  *skip_a = a->n - i;
  *skip_b = b->n - k;
}

static void print_lines(const Lines *l, size_t from, size_t n, char sign) {
  for (size_t i = from; i < from + n; i++) printf("%c%.*s\n", sign, (int)l->length[i], l->line[i]);
}

static void print_difference(Arena *arena, const char *name, const char *old, size_t size,
                             const Text *new_text) {
  Lines a = lines_of(arena, old, size), b = lines_of(arena, new_text->s, new_text->n);
  printf("--- %s\n+++ %s (formatted)\n", name, name);
  for (size_t i = 0, k = 0; i < a.n || k < b.n;) {
    if (i < a.n && k < b.n && same_line(&a, i, &b, k)) {
      i++, k++;
      continue;
    }
    size_t x, y;
    resync(&a, &b, i, k, &x, &y);
    printf("@@ -%zu,%zu +%zu,%zu @@\n", i + 1, x, k + 1, y);
    print_lines(&a, i, x, '-');
    print_lines(&b, k, y, '+');
    i += x, k += y;
  }
}

/* ---- writing in place ------------------------------------------------------------------- */

static bool write_all(int fd, const char *s, size_t n) {
  while (n) {
    ssize_t k = write(fd, s, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return false;
    s += k, n -= (size_t)k;
  }
  return true;
}

static bool sync_folder(Arena *a, const char *path) {
  const char *slash = strrchr(path, '/');
  const char *folder = slash ? arena_text(a, path, (size_t)(slash - path) + 1) : ".";
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

/* Temporary file beside it, fsync, rename, fsync of the folder. */
static bool replace_file(Arena *a, const char *path, const Text *text) {
  uint64_t salt;
  struct stat st;
  if (stat(path, &st) != 0 || getrandom(&salt, sizeof salt, 0) != (ssize_t)sizeof salt)
    return false;
  const char *temporary = arena_printf(a, "%s.%016llx.tmp", path, (unsigned long long)salt);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, st.st_mode & 0777);
  if (fd < 0) return false;
  bool ok = write_all(fd, text->s, text->n) && fchmod(fd, st.st_mode & 0777) == 0 && fsync(fd) == 0;
  ok = close(fd) == 0 && ok;
  if (ok && rename(temporary, path) == 0) return sync_folder(a, path);
  int why = errno;
  unlink(temporary);
  errno = why;
  return false;
}

/* ---- one file --------------------------------------------------------------------------- */

static int fmt_changed(Arena *a, const FmtOptions *o, const char *name, const Source *old,
                       const Text *text) {
  if (o->diff) print_difference(a, name, old->text, old->size, text);
  else if (o->check) printf("%s\n", name);
  if (o->in_place && !replace_file(a, name, text)) {
    fprintf(stderr, "lcwc: cannot write `%s`: %s\n", name, strerror(errno));
    return 3;
  }
  return o->check ? 1 : 0;
}

/* A file whose imports are missing can still be formatted, so only its own text is parsed. */
static int fmt_file(const FmtOptions *o, const char *name) {
  Arena perm;
  Front f;
  Text text;
  int status;
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  text_init(&text, &perm);
  Ast *tree = parse_alone(&f, name);
  diags_print(&f.diags, stderr);
  status = diags_exit(&f.diags);
  if (tree && status == 0) {
    const Source *old = &f.sources.source[tree->span.file];
    format_text(&text, old->text, old->size);
    bool changed = old->size != text.n || memcmp(old->text, text.s, text.n) != 0;
    if (changed) status = fmt_changed(&perm, o, name, old, &text);
    if (!o->in_place && !o->check && !o->diff) fwrite(text.s, 1, text.n, stdout);
  }
  arena_release(&perm);
  return status;
}

/* ---- the command ------------------------------------------------------------------------ */

static int usage(const char *what, const char *argument) {
  fprintf(stderr, "lcwc fmt: %s `%s`\nSee `lcwc fmt --help`.\n", what, argument);
  return 2;
}

/* Reads an option; false when it is unknown. */
static bool fmt_option(FmtOptions *o, const char *s) {
  if (strcmp(s, "-i") == 0) return o->in_place = true;
  if (strcmp(s, "--check") == 0) return o->check = true;
  if (strcmp(s, "--diff") == 0) return o->diff = true;
  return false;
}

int fmt_main(int argc, char **argv) {
  FmtOptions o = {0};
  int status = 0, options = 1;
  for (int i = 1; i < argc; i++) {
    if (!options || argv[i][0] != '-' || strcmp(argv[i], "-") == 0) {
      o.files++;
      argv[o.files] = argv[i];
    } else if (strcmp(argv[i], "--") == 0) {
      options = 0;
    } else if (strcmp(argv[i], "--help") == 0) {
      return fputs(help, stdout) < 0 ? 3 : 0;
    } else if (!fmt_option(&o, argv[i])) {
      return usage("unknown option", argv[i]);
    }
  }
  if (!o.files) return usage("expected a file after", "fmt");
  for (int i = 1; i <= o.files; i++) {
    if (o.in_place && strcmp(argv[i], "-") == 0) return usage("-i cannot write to", "-");
    int s = fmt_file(&o, argv[i]);
    status = s > status ? s : status;
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "lcwc: cannot write to standard output: %s\n", strerror(errno));
    return 3;
  }
  return status;
}
