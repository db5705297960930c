/* parse.c: from files to trees; the contract is in parse.h. Goes in: a path or a text. Comes
 * out: Front.file, filled. An import is found beneath the folder of the first file, relative
 * to the file that imports it; a file that is imported twice is parsed once.
 *
 * A bundle (parse_flattened) is the first file's text followed by the others, each under a
 * line `//! file "NAME"`; such a text needs no folder: its imports are found in itself. */
#include "parse.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "read.h"
#include "syntax.h"

int grammar_parse(Parse *p);

#define BUNDLE_MARK "//! file \""

typedef struct {
  const char *path; /* beneath the folder */
  int64_t index;    /* in Front.file */
  bool open;        /* it is being imported: meeting it again is a cycle */
} Loaded;

/* One call of parse_file or parse_buffer. */
typedef struct {
  Front *front;
  const char *folder;      /* as written by the user, for names in messages */
  int descriptor;          /* of it; -1: there is none */
  const char *bundle;      /* the text behind the first file, or NULL */
  uint32_t depth;
  Loaded *loaded;
  size_t nloaded, caploaded;
} Loader;

void front_init(Front *f, Arena *perm) {
  *f = (Front){.perm = perm, .names = names_new(perm)};
  sources_init(&f->sources, perm);
  diags_init(&f->diags, perm, &f->sources);
}

/* ---- one text --------------------------------------------------------------------------- */

/* False, with a message, when the text is not UTF-8. */
static bool check_encoding(Front *f, uint16_t file) {
  const Source *s = &f->sources.source[file];
  size_t good = utf8_valid(s->text, s->size);
  if (good == s->size) return true;
  const char *what =
      arena_printf(f->perm, "this is not UTF-8: byte 0x%02X", (unsigned char)s->text[good]);
  diag_at(&f->diags, E0105, ((Span){(uint32_t)good, 1, file}), what);
  return false;
}

/* The arena is full: a little more is allowed, so that this can be said. */
static void report_memory(Front *f) {
  f->perm->cap += 1 << 20;
  diag_at(&f->diags, E0814, ((Span){0, 0, 0}), f->perm->cap >> 20);
}

/* Parses one text; NULL when a limit stopped it or nothing could be made of it. */
static Ast *parse_text(Front *f, uint16_t file, bool expression) {
  const Source *s = &f->sources.source[file];
  if (!check_encoding(f, file)) return NULL;
  Parse *p = NEW(f->perm, Parse);
  jmp_buf *outer = f->perm->fail;
  *p = (Parse){
      .front = f, .file = file, .text = s->text, .size = s->size, .want_expression = expression};
  if (s->size >= 3 && memcmp(s->text, "\xEF\xBB\xBF", 3) == 0) p->offset = 3;
  f->perm->fail = &p->stop;
  int stopped = setjmp(p->stop);
  if (!stopped) {
    scan_begin(p);
    grammar_parse(p);
    scan_end(p);
  }
  f->perm->fail = outer;
  if (stopped == STOP_MEMORY) report_memory(f);
  return stopped ? NULL : p->result;
}

/* Adds a tree for the file; its number in Front.file, or -1. */
static int64_t add_file(Front *f, const char *name, const char *text, size_t size, bool prelude) {
  uint16_t file = source_add(&f->sources, name, text, size);
  f->sources.source[file].prelude = prelude;
  Ast *tree = parse_text(f, file, false);
  if (!tree) return -1;
  tree->text = name;
  PUSH(f->perm, f, file, tree);
  return (int64_t)f->nfile - 1;
}

void parse_prelude(Front *f) {
  if (f->nfile) return;
  for (const StdlibFile *s = stdlib_files; s->name; s++)
    add_file(f, s->name, s->text, s->size, true);
  f->nprelude = (uint32_t)f->nfile;
}

Ast *parse_expression(Front *f, const char *name, const char *text, size_t size) {
  uint32_t errors = f->diags.errors;
  if (size > LIMIT_SOURCE) {
    diag_at(&f->diags, E0802, ((Span){0, 0, 0}), name, size, LIMIT_SOURCE);
    return NULL;
  }
  uint16_t file = source_add(&f->sources, name, text, size);
  f->sources.source[file].prelude = true;
  Ast *tree = parse_text(f, file, true);
  return f->diags.errors == errors ? tree : NULL;
}

/* ---- imports ---------------------------------------------------------------------------- */

static void load_imports(Loader *l, const char *path, int64_t index);

static Loaded *find_loaded(Loader *l, const char *path) {
  for (size_t i = 0; i < l->nloaded; i++)
    if (strcmp(l->loaded[i].path, path) == 0) return &l->loaded[i];
  return NULL;
}

/* The text of that name in a bundle, up to the next mark or the end. */
static ReadFile read_bundle(Arena *a, const char *bundle, const char *path) {
  size_t n = strlen(path);
  for (const char *mark = bundle; mark; mark = strstr(mark + 1, "\n" BUNDLE_MARK)) {
    const char *name = mark + (mark[0] == '\n') + strlen(BUNDLE_MARK);
    if (strncmp(name, path, n) != 0 || name[n] != '"' || name[n + 1] != '\n') continue;
    const char *text = name + n + 2, *end = strstr(text, "\n" BUNDLE_MARK);
    size_t size = end ? (size_t)(end + 1 - text) : strlen(text);
    return (ReadFile){.text = arena_text(a, text, size), .size = size};
  }
  return (ReadFile){.why = "it is not in this bundle"};
}

static ReadFile read_import(Loader *l, const char *path) {
  Arena *perm = l->front->perm;
  if (l->bundle) return read_bundle(perm, l->bundle, path);
  if (l->descriptor < 0) return (ReadFile){.why = "this text has no folder"};
  return read_beneath(perm, l->descriptor, path);
}

/* Reports at the import why it failed. */
static void report_import(Loader *l, const Ast *import, const ReadFile *file) {
  Diags *d = &l->front->diags;
  if (file->large) diag_at(d, E0802, import->name_span, import->text, file->size, LIMIT_SOURCE);
  else if (file->outside) diag_at(d, E0103, import->name_span, import->text);
  else diag_at(d, E0102, import->name_span, import->text, file->why);
  if (!file->large && !file->outside && l->folder)
    diag_equals(d, "looked for beneath `%s`", l->folder);
}

/* False, with a message, when a limit or a cycle forbids one more import. */
static bool may_import(Loader *l, const Ast *import, const Loaded *old) {
  Diags *d = &l->front->diags;
  if (old && old->open) {
    diag_at(d, E0104, import->name_span, import->text);
    return false;
  }
  if (l->depth >= LIMIT_IMPORT_DEPTH) {
    diag_at(d, E0805, import->name_span, LIMIT_IMPORT_DEPTH);
    return false;
  }
  if (l->nloaded >= LIMIT_FILES) {
    diag_at(d, E0806, import->name_span, LIMIT_FILES);
    return false;
  }
  return true;
}

static void load_import(Loader *l, const char *from, Ast *import) {
  Front *f = l->front;
  const char *path = path_join(f->perm, from, import->text);
  ReadFile file = {.outside = true};
  Loaded *old = path ? find_loaded(l, path) : NULL;
  if (!may_import(l, import, old)) return;
  if (old) {
    import->integer = old->index;
    return;
  }
  if (path) file = read_import(l, path);
  if (!file.text) {
    report_import(l, import, &file);
    return;
  }
  bool here = !l->folder || strcmp(l->folder, ".") == 0;
  const char *name = here ? path : arena_printf(f->perm, "%s/%s", l->folder, path);
  import->integer = add_file(f, name, file.text, file.size, false);
  load_imports(l, path, import->integer);
}

/* Loads what file[index], known as `path` beneath the folder, imports. */
static void load_imports(Loader *l, const char *path, int64_t index) {
  size_t self = l->nloaded;
  PUSH(l->front->perm, l, loaded, (Loaded){path, index, true});
  if (index < 0) return;
  const Ast *tree = l->front->file[index];
  l->depth++;
  for (uint32_t i = 0; i < tree->nchild; i++)
    if (tree->child[i]->kind == AST_IMPORT) load_import(l, path, tree->child[i]);
  l->depth--;
  l->loaded[self].open = false;
}

/* Parses the first file and all it imports. */
static Ast *load_root(Loader *l, const char *name, const char *path, const char *text,
                      size_t size) {
  Front *f = l->front;
  parse_prelude(f);
  int64_t index = add_file(f, name, text, size, false);
  load_imports(l, path, index);
  if (index < 0) return NULL;
  if (!f->root) f->root = f->file[index];
  return f->file[index];
}

/* ---- entry points ----------------------------------------------------------------------- */

Ast *parse_buffer(Front *f, const char *name, const char *text, size_t size, const char *folder) {
  Loader l = {.front = f, .folder = folder, .descriptor = -1};
  const char *mark = strstr(text, "\n" BUNDLE_MARK);
  if (size > LIMIT_SOURCE) {
    diag_at(&f->diags, E0802, ((Span){0, 0, 0}), name, size, LIMIT_SOURCE);
    return NULL;
  }
  if (folder) l.descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (!folder && mark) l.bundle = mark, size = (size_t)(mark + 1 - text);
  const char *base = strrchr(name, '/');
  Ast *tree = load_root(&l, name, base ? base + 1 : name, text, size);
  if (l.descriptor >= 0) close(l.descriptor);
  return tree;
}

/* Reads a file named by the user; reports E0101 or E0802 when that fails. */
static ReadFile read_reported(Front *f, const char *path) {
  ReadFile file = read_named(f->perm, path);
  if (file.large) diag_at(&f->diags, E0802, ((Span){0, 0, 0}), path, file.size, LIMIT_SOURCE);
  else if (!file.text) diag_at(&f->diags, E0101, ((Span){0, 0, 0}), path, file.why);
  return file;
}

static const char *display_name(const char *path) {
  return strcmp(path, "-") == 0 ? "<standard input>" : path;
}

Ast *parse_alone(Front *f, const char *path) {
  ReadFile file = read_reported(f, path);
  int64_t index = file.text ? add_file(f, display_name(path), file.text, file.size, false) : -1;
  return index < 0 ? NULL : f->file[index];
}

Ast *parse_file(Front *f, const char *path) {
  ReadFile file = read_reported(f, path);
  const char *slash = strrchr(path, '/');
  if (!file.text) return NULL;
  const char *folder = !slash          ? "."
                       : slash == path ? "/"
                                       : arena_text(f->perm, path, (size_t)(slash - path));
  return parse_buffer(f, display_name(path), file.text, file.size, folder);
}

const char *parse_flattened(Front *f) {
  Text out;
  text_init(&out, f->perm);
  text_bytes(&out, "", 0);
  size_t strip = 0;
  for (size_t i = f->nprelude; i < f->nfile; i++) {
    const Source *s = &f->sources.source[f->file[i]->span.file];
    const char *slash = strrchr(s->name, '/');
    if (i == f->nprelude) strip = slash ? (size_t)(slash + 1 - s->name) : 0;
    else text_add(&out, "\n" BUNDLE_MARK "%s\"\n", s->name + size_min(strip, strlen(s->name)));
    text_bytes(&out, s->text, s->size);
  }
  return out.s;
}
