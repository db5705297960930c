/* cuda_tools.c: what becomes of the emitted text.
 *
 *   clean      every kernel of the examples' linear networks and of one with every activation,
 *              for the architectures from sm_80 to sm_120 that this NVRTC knows: compiles, and
 *              nothing is spilled; and to PTX by clang. All for the MLP, others take turns
 *   cache      hit, miss, damaged entry, folders that cannot be used or written; what the compiler
 *              said comes again on a hit
 *   refused    an error in the text shows the line of the .lcwnet, that of the text, the words
 *   stable     the same text, byte for byte, from every run
 *
 * A compiler that is not there is skipped by name. */
#include <dirent.h>
#include "command.h"
#include "process.h"
#include "scratch.h"

enum { WORDS = 8 };

typedef struct {
  Tally t;
  Scratch s;
  CudaTools tools;
  Arena arena;
  const char *log; /* what the compiler said when the cache was last written */
} Tools;

/* ---- networks ------------------------------------------------------------------------------ */

/* A copy of an example that needs no data set: images of the size of Fashion-MNIST. */
static const char *example_copy(Tools *x, const char *path) {
  size_t n;
  char *text = (char *)scratch_read(path, &n), *data = strstr(text, "data fashion {");
  const char *copy = scratch_path(&x->s, strrchr(path, '/') + 1);
  Text out;
  text_init(&out, &x->arena);
  scratch_must(data != NULL, path);
  text_add(&out, "%.*sdata fashion { source = synthetic(shape = [1, 28, 28], classes = 10); }%s",
           (int)(data - text), text, strchr(data, '\n'));
  scratch_write(copy, out.s, out.n);
  free(text);
  return arena_text(&x->arena, copy, strlen(copy));
}

/* Kernels with the geometry for an architecture. `options`: FILE and more words. */
static bool network_tile(Tools *x, Arguments *a, Compile *c, const char *options, uint32_t arch) {
  char *word[WORDS], *save = NULL, device[] = "--device=cuda";
  int n = 0;
  char *text = arena_text(&x->arena, options, strlen(options));
  for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) word[n++] = w;
  word[n++] = device;
  if (arguments_parse(a, "train", true, 1, 2, n, word) >= 0 || !arguments_compile(a, c))
    return false;
  c->cuda.tiled = arch;
  c->cuda.cache = NULL;
  return compile_run(c, a->place[0], PASS_tile);
}

/* ---- clean --------------------------------------------------------------------------------- */

/* Every kernel has code, and none touches local memory, where what is spilled goes. */
static void image_clean(Tools *x, const Compile *c, const CudaModel *m, const char *what) {
  const Program *p = c->program;
  uint32_t empty = 0, spills = 0;
  for (uint32_t i = 0; i < p->ncall; i++) {
    const SassCount *r = &m->resource[p->call[i].kernel];
    empty += !r->total;
    if (r->spills)
      printf("%s: %s, %u times local memory\n", what, p->kernel[p->call[i].kernel]->name, r->spills);
    spills += r->spills > 0;
  }
  tally(&x->t, !spills && !empty, "%s: %u launches spill, %u have no code", what, spills, empty);
}

/* One network for one architecture (PTX by clang if 0). */
static void network_clean(Tools *x, const char *options, uint32_t arch) {
  static Arguments a;
  Compile c;
  CudaModel m;
  Text why;
  text_init(&why, &x->arena);
  const char *what = arena_printf(&x->arena, "%s, %s%u", options, arch ? "sm_" : "clang", arch);
  int code = LCW_INTERNAL;
  if (network_tile(x, &a, &c, options, arch ? arch : 80)) {
    if (arch) c.cuda.arch[c.cuda.narch++] = arch;
    else c.cuda.ptx = 80, c.cuda.compiler = COMPILER_CLANG;
    code = cuda_compile(&c.perm, c.program->kernel, c.program->nkernel, &c.cuda, &m, &why);
  }
  tally(&x->t, code == LCW_OK, "%s: %d: %s", what, code, why.n ? why.s : "it does not compile");
  if (!code && arch) image_clean(x, &c, &m, what);
  if (!code && !arch)
    tally(&x->t, strstr(m.image[0].bytes, ".target sm_80") != NULL, "%s: no PTX", what);
  compile_release(&c);
}

static const uint32_t every_arch[] = {80, 86, 90, 100, 120};

/* %s: the copy of an example; the architectures: 0: take turns, 1: all. */
static const struct { const char *file, *options; int all; } network[] = {
    {"examples/mlp.lcwnet", "mlp -Ddepth=2 --precision=tf32", 1},
    {"examples/mlp.lcwnet", "mlp -Ddepth=2 --precision=bf16", 0},
    {"examples/mlp.lcwnet", "mlp -Ddepth=2", 0},
    {"examples/mlp-bn.lcwnet", "mlp -Ddepth=2 --precision=bf16", 0},
    {"examples/halves.lcwnet", "mlp -w -Ddepth=2 --precision=tf32", 0},
    {"examples/paper.lcwnet", "mlp -Ddepth=2 -DW=lcw --with=mlp100 --on=fashion", 0},
    {"tests/whole/activations.lcwnet", "mlp --precision=tf32", 0},
    {"tests/whole/activations.lcwnet", "mlp", 0},
};

static void networks_clean(Tools *x) {
  for (size_t i = 0; i < COUNT_OF(network); i++) {
    bool example = !strncmp(network[i].file, "examples", 8);
    const char *file = example ? example_copy(x, network[i].file) : network[i].file;
    const char *options = arena_printf(&x->arena, "%s %s", file, network[i].options);
    for (size_t k = 0; x->tools.nvrtc && k < COUNT_OF(every_arch); k++) {
      Text known;
      text_init(&known, &x->arena);
      if (!network[i].all && k != i % COUNT_OF(every_arch)) continue;
      if (nvrtc_supports(x->tools.nvrtc, every_arch[k], &known))
        network_clean(x, options, every_arch[k]);
      else
        printf("skipped: sm_%u: not known to %s\n", every_arch[k], x->tools.nvrtc_name),
            x->t.skipped++;
    }
    if (x->tools.clang_name && i % 3 == 0) network_clean(x, options, 0);
  }
}

/* ---- a small program and a cache ----------------------------------------------------------- */

typedef struct {
  Arguments a;
  Compile c;
  CudaModel m;
  Text why;
  int code;
} Small;

/* The tiny network for what compiler there is, with a cache. */
static void small_compile(Tools *x, Small *s, const char *cache) {
  text_init(&s->why, &x->arena);
  s->code = LCW_INTERNAL;
  if (!network_tile(x, &s->a, &s->c, "tests/whole/tiny.lcwnet", 80)) return;
  s->c.cuda.cache = cache;
  if (x->tools.nvrtc) s->c.cuda.arch[s->c.cuda.narch++] = 80;
  else s->c.cuda.ptx = 80;
  s->code = cuda_compile(&s->c.perm, s->c.program->kernel, s->c.program->nkernel, &s->c.cuda, &s->m,
                         &s->why);
}

/* Compiles it: `hits` of the cache, a note that holds `note` (NULL: none); the image is always the
 * one of `first`, and a hit says what the compiler said when it was made. */
static void cache_case(Tools *x, const char *name, const char *folder, const Small *first,
                       uint32_t hits, const char *note) {
  static Small s;
  small_compile(x, &s, folder);
  bool said = note && !s.code ? strstr(s.m.note, note) != NULL : !s.code && !*s.m.note;
  bool ok = s.code == LCW_OK && s.m.hits == hits && said;
  tally(&x->t, ok, "cache, %s: exit %d, %u hits, note: %s%s", name, s.code, s.m.hits,
        s.code ? "" : s.m.note, s.why.n ? s.why.s : "");
  bool same = ok && s.m.image[0].size == first->m.image[0].size &&
              !memcmp(s.m.image[0].bytes, first->m.image[0].bytes, s.m.image[0].size);
  tally(&x->t, same, "cache, %s: another image", name);
  if (ok && !hits) x->log = arena_text(&x->arena, s.m.log[0], strlen(s.m.log[0]));
  tally(&x->t, ok && x->log && !strcmp(s.m.log[0], x->log), "cache, %s: another log", name);
  compile_release(&s.c);
}

/* Changes a byte in the middle of every entry (the image, the version of NVRTC), or cuts it. */
static void entries_damage(const char *folder, bool cut) {
  char path[700];
  DIR *d = opendir(folder);
  scratch_must(d != NULL, folder);
  for (struct dirent *e; (e = readdir(d));) {
    if (*e->d_name == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    size_t n;
    unsigned char *bytes = scratch_read(path, &n);
    bytes[n / 2] ^= 1;
    scratch_write(path, bytes, cut ? n / 2 : n);
    free(bytes);
  }
  closedir(d);
}

/* A folder that can be read and not written, also by root, who becomes somebody else for it. */
static void cache_readonly(Tools *x, const Small *first) {
  const char *folder = scratch_path(&x->s, "readonly");
  bool root = geteuid() == 0;
  scratch_must(mkdir(folder, 0700) == 0 && chmod(x->s.path, 0755) == 0, folder);
  if (root) scratch_must(chown(folder, 65534, 65534) == 0 && seteuid(65534) == 0, "seteuid");
  scratch_must(chmod(folder, 0500) == 0, folder);
  cache_case(x, "read-only folder", folder, first, 0, "nothing is kept in the cache");
  scratch_must(chmod(folder, 0700) == 0, folder);
  if (root) scratch_must(seteuid(0) == 0, "seteuid");
}

static void caches(Tools *x) {
  static Small first;
  const char *folder = scratch_path(&x->s, "cache"), *open = scratch_path(&x->s, "open");
  const char *file = scratch_path(&x->s, "file"), *below = scratch_path(&x->s, "file/cache");
  small_compile(x, &first, NULL);
  bool logged = !first.code && (!x->tools.nvrtc || strstr(first.m.log[0], "registers"));
  tally(&x->t, logged, "tiny: %d %s", first.code, first.why.n ? first.why.s : "no log");
  if (first.code) return;
  cache_case(x, "miss", folder, &first, 0, NULL);
  cache_case(x, "hit", folder, &first, 1, NULL);
  entries_damage(folder, false);
  cache_case(x, "a byte changed", folder, &first, 0, "damaged and not used");
  cache_case(x, "written again", folder, &first, 1, NULL);
  entries_damage(folder, true);
  cache_case(x, "cut short", folder, &first, 0, "damaged and not used");
  scratch_must(mkdir(open, 0700) == 0 && chmod(open, 0777) == 0, open);
  cache_case(x, "others may write", open, &first, 0, "others may write to it");
  scratch_write(file, "", 0);
  cache_case(x, "no folder", below, &first, 0, "Not a directory");
  cache_readonly(x, &first);
  compile_release(&first.c);
}

/* ---- refused ------------------------------------------------------------------------------- */

/* The emitted text of kernel k with one name that nobody declared. */
static const char *text_break(Small *s, uint32_t k) {
  Text text;
  CudaOptions o = {.arch = 80, .sources = &s->c.front.sources};
  text_init(&text, &s->c.perm);
  if (!cuda_text(s->c.program->kernel[k], &o, &text, &s->why)) return NULL;
  char *brace = strrchr(text.s, '}');
  return arena_printf(&s->c.perm, "%.*s  undeclared = 1;\n}\n", (int)(brace - text.s), text.s);
}

static void refused(Tools *x, CudaCompiler compiler, const char *name) {
  static Small s;
  text_init(&s.why, &x->arena);
  if (!network_tile(x, &s.a, &s.c, "tests/whole/tiny.lcwnet", 80)) return;
  uint32_t n = s.c.program->nkernel, k = 0;
  while (k + 1 < n && !strstr(s.c.program->kernel[k]->name, "fwd")) k++;
  const char **edited = NEW_ARRAY(&s.c.perm, const char *, n);
  edited[k] = text_break(&s, k);
  s.c.cuda.edited = edited, s.c.cuda.folder = "edits";
  s.c.cuda.compiler = compiler, s.c.cuda.ptx = 80;
  s.code = cuda_compile(&s.c.perm, s.c.program->kernel, n, &s.c.cuda, &s.m, &s.why);
  bool says = strstr(s.why.s, "--> edits/k") && strstr(s.why.s, " |   undeclared = 1;") &&
              strstr(s.why.s, s.c.program->kernel[k]->name);
  tally(&x->t, s.code == LCW_INPUT && says, "%s refuses a kernel: %d: %s", name, s.code, s.why.s);
  compile_release(&s.c);
}

/* The emitted text itself, broken on its way to clang: the stage of the .lcwnet is named. */
static void refused_emitted(Tools *x) {
  static const char script[] =
      "#!/bin/sh\n[ \"$1\" = --version ] && exec clang-19 \"$@\"\n"
      "sed 's/ 1[.]0f - v/ undeclared - v/' | clang-19 \"$@\"\n";
  const char *compiler = scratch_path(&x->s, "clang");
  scratch_write(compiler, script, sizeof script - 1);
  scratch_must(chmod(compiler, 0700) == 0 && setenv("LCWC_CLANG", compiler, 1) == 0, compiler);
  const Ran *r = process_run(&(Process){0}, "lcwc emit tests/whole/tiny.lcwnet --emit=ptx "
                             "--device=cuda --cuda-compiler=clang --no-cache -o %s",
                             scratch_path(&x->s, "tiny.ptx"));
  bool says = strstr(r->err, "undeclared identifier") && strstr(r->err, ".lcwnet:") &&
              strstr(r->err, ", in kernel k") && strstr(r->err, " 1.0f - v");
  tally(&x->t, r->code == LCW_INTERNAL && says, "a broken text: exit %d: %s", r->code, r->err);
  unsetenv("LCWC_CLANG");
}

/* ---- stable -------------------------------------------------------------------------------- */

static void stable(Tools *x) {
  static const char *const precision[] = {"fp32", "tf32", "bf16"};
  for (size_t i = 0; i < COUNT_OF(precision); i++) {
    unsigned char *text[2];
    size_t n[2];
    for (int k = 0; k < 2; k++) {
      const char *out = scratch_path(&x->s, k ? "second.cu" : "first.cu");
      const Ran *r = process_run(&(Process){0}, "lcwc emit tests/whole/bn.lcwnet --device=cuda "
                                 "--emit=cuda --precision=%s -o %s", precision[i], out);
      tally(&x->t, !r->code, "emit: exit %d: %s", r->code, r->err);
      text[k] = scratch_read(out, &n[k]);
    }
    tally(&x->t, n[0] > 10000 && n[0] == n[1] && !memcmp(text[0], text[1], n[0]),
          "the text in %s differs from run to run", precision[i]);
    free(text[0]), free(text[1]);
  }
}

int main(void) {
  static Tools x;
  arena_init(&x.arena, "tools", 0);
  x.s = scratch_new();
  cuda_tools_open(&x.tools, &x.arena, COMPILER_ANY, true, NULL, NULL);
  if (*x.tools.missing) printf("skipped: %s\n", x.tools.missing), x.t.skipped++;
  networks_clean(&x);
  if (x.tools.nvrtc || x.tools.clang_name) caches(&x);
  if (x.tools.nvrtc) refused(&x, COMPILER_NVRTC, "NVRTC");
  if (x.tools.clang_name) refused(&x, COMPILER_CLANG, "clang"), refused_emitted(&x);
  stable(&x);
  cuda_tools_close(&x.tools);
  scratch_remove(x.s.path);
  arena_release(&x.arena);
  return tally_end(&x.t);
}
