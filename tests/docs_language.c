/* docs_language.c: docs/language.md says what is. Its tables hold every declaration of stdlib/ with
 * the signature as declared and no other, every setting of settings.def and every attribute of
 * vocabulary.def; and its samples of the language, and those of docs/lcw.md,
 * pass `lcwc check`. */
#include <ctype.h>
#include <glob.h>
#include "process.h"
#include "scratch.h"

enum { DECLARATIONS = 256 };

typedef struct {
  char text[512];
} Signature;
typedef struct {
  Signature item[DECLARATIONS];
  int n;
} Signatures;

static int is_declaration(const char *s) {
  static const char *const kind[] = {"block ", "weight ", "init "};
  for (size_t i = 0; i < COUNT_OF(kind); i++)
    if (!strncmp(s, kind[i], strlen(kind[i]))) return 1;
  return 0;
}

/* Adds s[0..n) with each run of white space as one space, none at the end. */
static void signature_add(Signatures *t, const char *s, size_t n) {
  char *to = t->item[t->n].text;
  size_t k = 0;
  for (size_t i = 0; i < n && k + 1 < sizeof t->item->text; i++) {
    if (!isspace((unsigned char)s[i])) to[k++] = s[i];
    else if (k && to[k - 1] != ' ') to[k++] = ' ';
  }
  while (k && to[k - 1] == ' ') k--;
  to[k] = 0;
  if (t->n + 1 < DECLARATIONS) t->n++;
}

/* Up to the `=` or `{` outside parentheses: the signature of a declaration. */
static size_t signature_length(const char *s) {
  size_t n = 0;
  for (int depth = 0; s[n] && (depth || (s[n] != '=' && s[n] != '{')); n++)
    depth += (s[n] == '(') - (s[n] == ')');
  return n;
}

static void library_read(Signatures *t) {
  glob_t files;
  scratch_must(glob("stdlib/*.lcwnet", 0, NULL, &files) == 0, "stdlib");
  for (size_t i = 0; i < files.gl_pathc; i++) {
    size_t n;
    char *text = (char *)scratch_read(files.gl_pathv[i], &n);
    for (char *line = text; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
      if (is_declaration(line)) signature_add(t, line, signature_length(line));
    free(text);
  }
  globfree(&files);
}

/* The first cell of every table row that is a declaration. */
static void page_read(Signatures *t, const char *page) {
  for (const char *line = page; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
    if (strncmp(line, "| `", 3) || !is_declaration(line + 3)) continue;
    if (strstr(line, "name(params)") && strstr(line, "name(params)") < strchr(line, '\n'))
      continue; /* the table of forms */
    signature_add(t, line + 3, strcspn(line + 3, "`"));
  }
}

static int has(const Signatures *t, const char *s) {
  for (int i = 0; i < t->n; i++)
    if (!strcmp(t->item[i].text, s)) return 1;
  return 0;
}

static void library_match(Tally *t, const char *page) {
  static Signatures library, shown;
  library_read(&library), page_read(&shown, page);
  tally(t, library.n > 40 && shown.n > 40, "%d declarations in stdlib/, %d on the page", library.n,
        shown.n);
  for (int i = 0; i < library.n; i++)
    tally(t, has(&shown, library.item[i].text), "not on the page: %s", library.item[i].text);
  for (int i = 0; i < shown.n; i++)
    tally(t, has(&library, shown.item[i].text), "not in stdlib/: %s", shown.item[i].text);
}

/* Rows `MACRO(PLACE, name, ...` of a .def file; each must appear as `form` printed with name. */
static void words_match(Tally *t, const char *page, const char *file, const char *row,
                        const char *form) {
  size_t n;
  char *text = (char *)scratch_read(file, &n), name[64], want[128];
  int found = 0;
  for (char *at = strstr(text, row); at; at = strstr(at + 1, row)) {
    if (sscanf(at + strlen(row), " %63[a-z0-9_]", name) != 1) continue;
    snprintf(want, sizeof want, form, name);
    tally(t, strstr(page, want) != NULL, "%s: `%s` is not on the page as %s", file, name, want);
    found++;
  }
  tally(t, found > 0, "%s: no rows %s", file, row);
  free(text);
}

/* Each ```c sample is a file of its own. */
static void samples_check(Tally *t, const char *page) {
  Scratch s = scratch_new();
  Process how = {.folder = s.path};
  int n = 0;
  for (const char *at = strstr(page, "\n```c\n"); at; at = strstr(at + 1, "\n```c\n")) {
    const char *end = strstr(at + 6, "\n```");
    scratch_write(scratch_path(&s, "sample.lcwnet"), at + 6, (size_t)(end - at - 5));
    const char *data = memmem(at, (size_t)(end - at), "data fashion", 12);
    const Ran *r = process_run(&how, "lcwc check sample.lcwnet%s", data ? " --on fashion" : "");
    n++;
    if (data && r->code == 3) t->skipped++; /* Fashion-MNIST is not installed */
    else tally(t, r->code == 0, "sample %d: exit %d\n%s", n, r->code, r->err);
  }
  tally(t, n > 0, "%d samples", n);
  scratch_remove(s.path);
}

int main(void) {
  Tally t = {0};
  size_t n;
  char *page = (char *)scratch_read("docs/language.md", &n);
  library_match(&t, page);
  words_match(&t, page, "compiler/check/settings.def", "SETTING(DATA,", "| `data` | `%s` |");
  words_match(&t, page, "compiler/check/settings.def", "SETTING(TRAIN,", "| `train` | `%s` |");
  words_match(&t, page, "compiler/check/settings.def", "SETTING(EXPERIMENT,", "| `experiment` | `%s` |");
  words_match(&t, page, "compiler/check/vocabulary.def", "TERM(ATTRIBUTE,", "`@%s");
  words_match(&t, page, "compiler/check/intrinsics.def", "\nINTRINSIC(", "| `%s(");
  samples_check(&t, page);
  free(page);
  page = (char *)scratch_read("docs/lcw.md", &n);
  samples_check(&t, page);
  free(page);
  return tally_end(&t);
}
