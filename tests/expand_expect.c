/* expand_expect.c: messages of the expansion, with the expectation in the file.
 *
 * In: .lcwnet files. A line `// error[E0501]@6:14` (or warning, note) says that `check` reports
 * that code at that place; a file without such a line must pass. Out: one line a file that
 * differs, and `N passed, N failed`. */
#include "check.h"
#include "diag_part.h"
#include "limits.h"
#include "model.h"
#include "parse.h"
#include <string.h>

/* Appends `E0501@6:14 ` for every message of the user's file, in the order of the report. */
static void found(Front *f, Text *out) {
  for (size_t i = 0; i < f->diags.ndiag; i++) {
    const Diag *d = &f->diags.diag[i];
    if (diag_info[d->id].severity == SEV_REMARK) continue;
    Position p = source_position(&f->sources, d->at);
    text_add(out, "%s@%u:%u ", diag_info[d->id].code, p.line, p.column);
  }
}

/* Appends what the comments of the text say. */
static void wanted(const char *text, Text *out) {
  static const char *const word[] = {"// error[", "// warning[", "// note["};
  for (size_t w = 0; w < COUNT_OF(word); w++)
    for (const char *s = text; (s = strstr(s, word[w])); s++) {
      const char *code = s + strlen(word[w]);
      const char *at = strchr(code, '@');
      size_t n = at ? strcspn(at, " \r\n") : 0;
      if (at) text_add(out, "%.5s%.*s ", code, (int)n, at);
    }
}

/* Whether every word of `a` is one of `b`. */
static bool within(const char *a, const char *b) {
  char word[64];
  for (size_t n; *a; a += n + 1) {
    n = strcspn(a, " ");
    if (n + 2 > sizeof word) return false;
    memcpy(word, a, n);
    memcpy(word + n, " ", 2);
    if (!strstr(b, word)) return false;
  }
  return true;
}

/* Checks one file; false when it says something else than it should. */
static bool expect(const char *path) {
  Arena perm;
  Front f;
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  Text got, want, report;
  text_init(&got, &perm);
  text_init(&want, &perm);
  text_init(&report, &perm);
  text_add(&got, "%s", "");
  text_add(&want, "%s", "");
  ModelRequest r = {0};
  Ast *tree = parse_file(&f, path);
  if (tree && !diags_exit(&f.diags) && check(&f)) check_report(&f, &r, false, path, &report);
  found(&f, &got);
  if (tree) wanted(f.sources.source[tree->span.file].text, &want);
  bool ok = tree && within(got.s, want.s) && within(want.s, got.s);
  if (!ok) printf("FAIL %s\n  wanted %s\n  got    %s\n", path, want.s, got.s);
  arena_release(&perm);
  return ok;
}

int main(int n, char **path) {
  int failed = 0;
  for (int i = 1; i < n; i++) failed += !expect(path[i]);
  printf("%d passed, %d failed\n", n - 1 - failed, failed);
  return failed != 0 || n < 2;
}
