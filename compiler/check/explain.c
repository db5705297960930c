/* explain.c: pages about codes and names; the contract is in explain.h. */
#include "explain.h"
#include <string.h>
#include "check_scope.h"
#include "limits.h"
#include "parse.h"

static const char help[] =
    "usage: lcwc explain CODE|NAME\n"
    "Prints the page of a diagnostic (E0501 or shape-mismatch), of a stage, weight set or\n"
    "initialiser of the standard library, or of another word of the language.\n"
    "example: lcwc explain E0501; lcwc explain linear\n";

/* ---- codes ------------------------------------------------------------------------------ */

/* The section of explain.txt under `# CODE`; its length without blank lines at the end. */
static const char *find_section(const char *code, size_t *size) {
  size_t n = strlen(code);
  for (const char *s = explain_files[0].text; s; s = strstr(s, "\n# ")) {
    s += *s == '\n';
    if (strncmp(s, "# ", 2) != 0 || strncmp(s + 2, code, n) != 0 || s[2 + n] != '\n') continue;
    s += n + 3;
    const char *end = strstr(s, "\n# ");
    *size = end ? (size_t)(end - s) : strlen(s);
    while (*size && s[*size - 1] == '\n') --*size;
    return s;
  }
  return NULL;
}

/* A printf format with its directives as `...`. */
static void add_format(Text *out, const char *format) {
  for (; *format; format++) {
    if (*format != '%') {
      text_bytes(out, format, 1);
    } else if (format[1] == '%') {
      text_bytes(out, format++, 1);
    } else {
      format += strspn(format + 1, "0123456789.lz") + 1;
      text_add(out, "...");
    }
  }
}

static const char *severity_text(Severity s) {
  static const char *const text[] = {[SEV_REMARK] = "note, with -Wall",
                                     [SEV_NOTE] = "note",
                                     [SEV_WARNING] = "warning",
                                     [SEV_ERROR] = "error in the source, exit 1",
                                     [SEV_USAGE] = "error on the command line, exit 2",
                                     [SEV_DATA] = "error of a file or data, exit 3",
                                     [SEV_DEVICE] = "error of a device or toolchain, exit 4",
                                     [SEV_LIMIT] = "limit reached, exit 6"};
  return text[s];
}

bool explain_code(Text *out, const char *code) {
  DiagId id = diag_find(code);
  if (id == DIAG_COUNT) return false;
  const DiagInfo *info = &diag_info[id];
  size_t size;
  const char *section = find_section(info->code, &size);
  text_add(out, "%s ", info->code);
  for (const char *s = info->slug; *s; s++) text_add(out, "%c", *s == '_' ? '-' : *s);
  text_add(out, " (%s)\n    ", severity_text(info->severity));
  add_format(out, info->format);
  text_add(out, "\n");
  if (!section) return true;
  text_add(out, "\n");
  text_bytes(out, section, size);
  text_add(out, "\n");
  return true;
}

/* ---- names ------------------------------------------------------------------------------ */

/* The start of the comment lines directly above a declaration. */
static size_t comment_begin(const char *text, size_t begin) {
  while (begin > 0) {
    size_t line = begin - 1;
    while (line > 0 && text[line - 1] != '\n') line--;
    if (strncmp(text + line, "//", 2) != 0) break;
    begin = line;
  }
  return begin;
}

static bool explain_declaration(Front *f, Text *out, Name name) {
  bool found = false;
  for (uint32_t i = 0; i < f->nprelude; i++) {
    const Ast *decl = ast_find(f->file[i], name);
    if (!decl) continue;
    const Source *s = &f->sources.source[decl->span.file];
    size_t begin = comment_begin(s->text, decl->span.off), end = decl->span.off + decl->span.len;
    const char *rest = memchr(s->text + end, '\n', s->size - end);
    if (rest) end = (size_t)(rest - s->text);
    text_add(out, "%s%s %s, declared at %s\n\n", found ? "\n" : "", ast_word(decl->kind),
             name_text(f->names, name), span_text(&f->sources, decl->name_span));
    text_bytes(out, s->text + begin, end - begin);
    text_add(out, "\n");
    found = true;
  }
  return found;
}

static const char *place_text(Place place) {
  static const char *const text[] = {"",
                                     "source of data",
                                     "value of `normalize`",
                                     "augmentation",
                                     "loss",
                                     "optimiser",
                                     "precision",
                                     "value of `clip`",
                                     "value of `reference`",
                                     "attribute, behind `@`",
                                     "word of equations of a weight set",
                                     "plot",
                                     "word of plots and tables",
                                     "name in a schedule"};
  return text[place];
}

static bool explain_terms(Text *out, const char *name, bool found) {
  for (size_t i = 0; term_at(i); i++) {
    const Term *t = term_at(i);
    if (strcmp(t->name, name) != 0) continue;
    text_add(out, "%s%s (%s): %s\n", found ? "\n" : "", name, place_text(t->place), t->what);
    if (*t->params) text_add(out, "parameters: %s\n", t->params);
    found = true;
  }
  return found;
}

static bool explain_intrinsic(Text *out, const char *name, bool found) {
  const char *word, *synopsis;
  for (size_t i = 0; (word = intrinsic_at(i, &synopsis)) != NULL; i++) {
    if (strcmp(word, name) != 0) continue;
    text_add(out, "%s%s (function of the language)\n    %s\n", found ? "\n" : "", name, synopsis);
    found = true;
  }
  return found;
}

static bool explain_setting(Text *out, const char *name, bool found) {
  static const AstKind kinds[] = {AST_DATA, AST_TRAIN, AST_EXPERIMENT};
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    const char *hint;
    if (!setting_hint(kinds[i], name, &hint)) continue;
    text_add(out, "%s%s (setting of `%s`)%s%s\n", found ? "\n" : "", name, ast_word(kinds[i]),
             *hint ? ": " : "", hint);
    found = true;
  }
  return found;
}

bool explain_name(Front *f, Text *out, const char *name) {
  bool found = explain_declaration(f, out, name_of_text(f->names, name));
  found = explain_terms(out, name, found);
  found = explain_intrinsic(out, name, found);
  return explain_setting(out, name, found);
}

/* ---- the command ------------------------------------------------------------------------ */

/* What else may be explained, nearest to the word. */
static const char *nearest(Front *f, const char *word) {
  Check c = {.front = f, .file = f->nprelude ? f->file[0] : NULL};
  Name codes[DIAG_COUNT], wrong = name_of_text(f->names, word);
  for (int i = 0; i < DIAG_COUNT; i++) codes[i] = name_of_text(f->names, diag_info[i].code);
  Name near = c.file ? scope_nearest(&c, wrong, false) : 0;
  if (!near) near = name_nearest(f->names, wrong, codes, DIAG_COUNT);
  return near ? name_text(f->names, near) : NULL;
}

static int explain_word(Front *f, const char *word) {
  Text out, shown;
  text_init(&out, f->perm);
  if (explain_code(&out, word) || explain_name(f, &out, word)) {
    fwrite(out.s, 1, out.n, stdout);
    return 0;
  }
  const char *near = nearest(f, word);
  text_init(&shown, f->perm);
  text_escaped(&shown, word, strlen(word));
  fprintf(stderr, "lcwc explain: nothing is called `%s`", shown.n ? shown.s : "");
  if (near) fprintf(stderr, "; did you mean `%s`?", near);
  fprintf(stderr, "\n");
  return 2;
}

int explain_main(int argc, char **argv) {
  Arena perm;
  Front f;
  if (argc == 2 && strcmp(argv[1], "--help") == 0) return fputs(help, stdout) < 0 || fflush(stdout) ? 3 : 0;
  if (argc != 2 || (argv[1][0] == '-' && argv[1][1])) {
    fprintf(stderr, "lcwc explain: expected one code or name%s%s\nSee `lcwc explain --help`.\n",
            argc > 1 ? ", got " : "", argc > 1 ? argv[argc - 1] : "");
    return 2;
  }
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  parse_prelude(&f);
  int status = explain_word(&f, argv[1]);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "lcwc: cannot write to standard output\n");
    status = 3;
  }
  arena_release(&perm);
  return status;
}
