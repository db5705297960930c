/* front_expect.c: files with the expectation inside. Goes in: names of .lcwnet files. A file
 * says in comments which messages it must get, `// error[E0501]@45:14`, `// warning[...]@...`
 * or `// note[...]@...`; it must get these and no others. One without such comments must be
 * accepted in silence. If FILE.txt exists beside FILE.lcwnet, the messages must also read
 * exactly like it. Comes out: `N passed, N failed, N skipped`. `--show FILE` prints what a file
 * gets, to be judged and copied into it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"
#include "diag_part.h"
#include "limits.h"
#include "parse.h"

enum { EXPECTED_MAX = 200 };

typedef struct {
  char code[8];
  uint32_t line, column;
  bool met;
} Expected;

typedef struct {
  Expected item[EXPECTED_MAX];
  size_t n;
} Expectation;

static void collect(Expectation *out, const char *text, const char *word) {
  char pattern[40];
  snprintf(pattern, sizeof pattern, "// %s[", word);
  for (const char *s = strstr(text, pattern); s && out->n < EXPECTED_MAX;
       s = strstr(s + 1, pattern)) {
    Expected e = {.met = false};
    if (sscanf(s + strlen(pattern), "%7[A-Z0-9]]@%u:%u", e.code, &e.line, &e.column) == 3)
      out->item[out->n++] = e;
  }
}

/* Marks the expectation that a message meets. */
static bool meet(Expectation *want, const char *code, Position at) {
  for (size_t i = 0; i < want->n; i++) {
    Expected *e = &want->item[i];
    if (e->met || strcmp(e->code, code) != 0 || e->line != at.line || e->column != at.column)
      continue;
    return e->met = true;
  }
  return false;
}

static bool compare(Front *f, const char *path, Expectation *want) {
  bool good = true;
  for (size_t i = 0; i < f->diags.ndiag; i++) {
    const Diag *d = &f->diags.diag[i];
    Position at = source_position(&f->sources, d->at);
    if (meet(want, diag_info[d->id].code, at)) continue;
    printf("FAILED %s: unexpected %s[%s]@%u:%u: %s\n", path,
           severity_word(diag_info[d->id].severity), diag_info[d->id].code, at.line, at.column,
           d->text);
    good = false;
  }
  for (size_t i = 0; i < want->n; i++) {
    if (want->item[i].met) continue;
    printf("FAILED %s: missing [%s]@%u:%u\n", path, want->item[i].code, want->item[i].line,
           want->item[i].column);
    good = false;
  }
  return good;
}

static void show(Front *f) {
  for (size_t i = 0; i < f->diags.ndiag; i++) {
    const Diag *d = &f->diags.diag[i];
    Position at = source_position(&f->sources, d->at);
    printf("// %s[%s]@%u:%u\n", severity_word(diag_info[d->id].severity), diag_info[d->id].code,
           at.line, at.column);
  }
}

/* Compares the printed messages with FILE.txt, if there is one. */
static bool compare_text(Front *f, const char *path) {
  const char *wanted =
      arena_printf(f->perm, "%.*s.txt", (int)(strlen(path) - strlen(".lcwnet")), path);
  FILE *in = fopen(wanted, "rb");
  if (!in) return true;
  char *text = arena_alloc(f->perm, 1 << 16), *printed = NULL;
  size_t n = fread(text, 1, (1 << 16) - 1, in), size = 0;
  fclose(in);
  FILE *out = open_memstream(&printed, &size);
  if (!out) return false;
  f->diags.color = COLOR_NEVER;
  diags_print(&f->diags, out);
  fclose(out);
  bool same = n == size && memcmp(text, printed, n) == 0;
  if (!same) printf("FAILED %s: the messages do not read like %s:\n%s", path, wanted, printed);
  free(printed);
  return same;
}

static bool run_file(const char *path, bool showing) {
  Arena perm;
  Front f;
  Expectation want = {.n = 0};
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  f.diags.remarks = true;
  Ast *tree = parse_file(&f, path);
  if (tree && !diags_exit(&f.diags)) check(&f);
  for (size_t i = f.nprelude + 1u; i < f.sources.nsource; i++) {
    collect(&want, f.sources.source[i].text, "error");
    collect(&want, f.sources.source[i].text, "warning");
    collect(&want, f.sources.source[i].text, "note");
  }
  bool good = true;
  if (showing) show(&f);
  else good = compare(&f, path, &want) && compare_text(&f, path);
  arena_release(&perm);
  return good;
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  bool showing = argc > 1 && strcmp(argv[1], "--show") == 0;
  for (int i = 1 + showing; i < argc; i++) {
    if (run_file(argv[i], showing)) passed++;
    else failed++;
  }
  if (!showing) printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed != 0 || passed == 0;
}
