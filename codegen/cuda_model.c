/* cuda_model.c: all kernels of a network as one program, compiled for each architecture. In: Kernels,
 * a CudaBuild. Out: a CudaModel (cuda_model.h). Images are made side by side, each by a thread
 * with an arena of its own, or taken from the cache. */
#include "cuda_model.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "version.h"

/* One image on its way. */
typedef struct {
  uint32_t arch;
  bool ptx, nvrtc;                 /* PTX, or a cubin; by NVRTC, or by clang */
  Arena arena;                     /* of its thread */
  CudaImage image;
  Text key, note;
  bool done, hit;
} Job;

typedef struct {
  Arena *arena;
  Kernel *const *kernel;
  uint32_t nkernel;
  const CudaBuild *b;
  CudaTools tools;
  CudaCache cache;
  Text text;
  uint32_t *line;                  /* [nkernel + 1] */
  Job job[CUDA_MAX_ARCH + 1];
  uint32_t njob;
  pthread_mutex_t lock;
  uint32_t next;                   /* job that no thread has taken yet */
  Text note, *why;
} Build;

/* ---- the text -------------------------------------------------------------------------------- */

static uint32_t lines_count(const Text *t, size_t from) {
  uint32_t n = 0;
  for (size_t i = from; i < t->n; i++) n += t->s[i] == '\n';
  return n;
}

uint32_t cuda_texts(Kernel *const *kernel, uint32_t nkernel) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < nkernel; i++) n += !kernel[i]->launch.text;
  return n;
}

/* Above a text that serves other kernels of the program: which. */
static void users_print(Kernel *const *kernel, uint32_t nkernel, uint32_t i, Text *out) {
  bool any = false;
  for (uint32_t j = 0; j < nkernel; j++) {
    if (kernel[j]->launch.text != kernel[i]) continue;
    text_add(out, "%s%s", any ? ", " : "\n/* With other numbers: ", kernel[j]->name);
    any = true;
  }
  if (any) text_add(out, " */");
}

bool cuda_program(Kernel *const *kernel, uint32_t nkernel, const CudaBuild *b, Text *out,
                  uint32_t *line, Text *why) {
  const CudaOptions o = {.arch = b->tiled, .sources = b->sources};
  text_bytes(out, prelude_files[0].text, prelude_files[0].size);
  uint32_t at = 1 + lines_count(out, 0);
  for (uint32_t i = 0; i < nkernel; i++) {
    size_t from = out->n;
    line[i] = at;
    if (kernel[i]->launch.text) continue;
    const char *edited = b->edited ? b->edited[i] : NULL;
    if (edited) text_add(out, "%s\n", edited);
    else if (users_print(kernel, nkernel, i, out), !cuda_text(kernel[i], &o, out, why)) return false;
    at += lines_count(out, from);
  }
  line[nkernel] = at;
  return true;
}

uint32_t cuda_weakest(const CudaBuild *b) {
  uint32_t weakest = b->narch ? b->arch[0] : b->ptx;
  for (uint32_t i = 0; i <= b->narch; i++) {
    uint32_t arch = i < b->narch ? b->arch[i] : b->ptx, limit = cuda_shared_limit(arch),
             least = cuda_shared_limit(weakest);
    if (arch && (limit < least || (limit == least && arch < weakest))) weakest = arch;
  }
  return weakest;
}

/* ---- which compiler makes which image --------------------------------------------------------- */

/* PTX of NVRTC is as new as its CUDA, PTX of clang is of CUDA 11. */
static bool ptx_by_nvrtc(const Build *b) {
  if (!b->tools.nvrtc || !b->tools.clang_name) return b->tools.nvrtc != NULL;
  return !b->b->oldest || b->tools.version[0] < 11;
}

static int job_add(Build *b, uint32_t arch, bool ptx) {
  Job *j = &b->job[b->njob++];
  *j = (Job){.arch = arch, .ptx = ptx, .nvrtc = !ptx || ptx_by_nvrtc(b)};
  arena_init(&j->arena, "image", 0);
  text_init(&j->key, &j->arena), text_init(&j->note, &j->arena);
  if (j->nvrtc ? b->tools.nvrtc_name : b->tools.clang_name) return LCW_OK;
  const char *missing = *b->tools.missing ? b->tools.missing : "NVRTC was not asked for";
  text_add(b->why, "no compiler for %s%u: %s", ptx ? "PTX of sm_" : "a cubin of sm_", arch, missing);
  if (!ptx && b->tools.clang_name)
    text_add(b->why, "\nhelp: %s makes PTX, which the driver translates: --cuda-compiler=clang "
                     "(build, emit: --target=ptx)", b->tools.clang_name);
  return LCW_DEVICE;
}

static int jobs_plan(Build *b) {
  int code = LCW_OK;
  for (uint32_t i = 0; !code && i < b->b->narch; i++) code = job_add(b, b->b->arch[i], false);
  if (!code && b->b->ptx) code = job_add(b, b->b->ptx, true);
  return code;
}

static const char *job_compiler(const Build *b, const Job *j) {
  return j->nvrtc ? b->tools.nvrtc_name : b->tools.clang_name;
}

/* ---- making one ------------------------------------------------------------------------------- */

static bool job_compile(const Build *b, Job *j, const char *text, CudaImage *out) {
  const char *virtual = j->ptx && j->nvrtc ? "compute" : "sm";
  const char *arch = arena_printf(&j->arena, "%s_%u", virtual, j->arch);
  return j->nvrtc ? nvrtc_compile(b->tools.nvrtc, &j->arena, text, "text.cu", arch, out)
                  : clang_compile(&j->arena, text, arch, out);
}

/* What the image depends on. Its first line is the title of the entry. */
static void job_key(const Build *b, Job *j) {
  static const char *const nvrtc[] = {NVRTC_OPTIONS}, *const clang[] = {CLANG_OPTIONS};
  text_add(&j->key, "lcwc " LCW_VERSION ", %s, %ssm_%u, %u kernels\n", job_compiler(b, j),
           j->ptx ? "PTX of " : "", j->arch, cuda_texts(b->kernel, b->nkernel));
  if (j->nvrtc) text_add(&j->key, "%s\n", nvrtc_file(b->tools.nvrtc));
  const char *const *option = j->nvrtc ? nvrtc : clang;
  size_t n = j->nvrtc ? COUNT_OF(nvrtc) : COUNT_OF(clang);
  for (size_t i = 0; i < n; i++) text_add(&j->key, "%s\n", option[i]);
  text_bytes(&j->key, b->text.s, b->text.n);
}

/* Takes what the cache has; the number of images that are still to be made. */
static uint32_t jobs_recall(Build *b) {
  uint32_t left = 0;
  for (Job *j = b->job; j < b->job + b->njob; j++) {
    job_key(b, j);
    j->hit = j->done = cuda_cache_get(&b->cache, &j->arena, &j->key, &j->image, &j->note);
    left += !j->hit;
  }
  return left;
}

/* What is still to be made needs NVRTC itself, and an architecture that it knows. */
static int jobs_ready(Build *b) {
  Text known;
  text_init(&known, b->arena);
  for (Job *j = b->job; j < b->job + b->njob; j++) {
    if (j->hit || !j->nvrtc) continue;
    if (!nvrtc_load(b->tools.nvrtc, b->why)) return LCW_DEVICE;
    if (nvrtc_supports(b->tools.nvrtc, j->arch, &known)) continue;
    text_add(b->why, "sm_%u: %s does not compile for it\nhelp: %s", j->arch, b->tools.nvrtc_name,
             known.s);
    return LCW_USAGE;
  }
  return LCW_OK;
}

static void job_run(const Build *b, Job *j) {
  if (j->hit) return;
  j->done = job_compile(b, j, b->text.s, &j->image);
  if (j->done) cuda_cache_put(&b->cache, &j->key, &j->image, &j->note);
}

static void *jobs_take(void *context) {
  Build *b = context;
  for (;;) {
    pthread_mutex_lock(&b->lock);
    uint32_t mine = b->next++;
    pthread_mutex_unlock(&b->lock);
    if (mine >= b->njob) return NULL;
    job_run(b, &b->job[mine]);
  }
}

/* Makes the `left` images, on as many threads as there are processors. */
static void jobs_run(Build *b, uint32_t left) {
  pthread_t thread[CUDA_MAX_ARCH + 1];
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  uint32_t n = (uint32_t)size_min(left, processors > 0 ? (size_t)processors : 1), started = 0;
  pthread_mutex_init(&b->lock, NULL);
  while (started + 1 < n && !pthread_create(&thread[started], NULL, jobs_take, b)) started++;
  jobs_take(b);
  for (uint32_t i = 0; i < started; i++) pthread_join(thread[i], NULL);
  pthread_mutex_destroy(&b->lock);
}

/* ---- what a compiler refused ------------------------------------------------------------------ */

/* The text with its `#line`s blank, so that a compiler counts the lines of the text itself. */
static char *text_unmarked(Build *b) {
  char *text = arena_text(b->arena, b->text.s, b->text.n);
  for (char *at = text; (at = strstr(at, "\n#line "));)
    for (at++; *at && *at != '\n'; at++) *at = ' ';
  return text;
}

/* The first error of a log: its line in the text and the words. `text.cu(812): error: ...` of NVRTC,
 * `<stdin>:812:9: error: ...` of clang. 0: it has no place there. */
static uint32_t error_find(Arena *arena, const char *log, const char **message) {
  const char *error = strstr(log, "error:"), *line = error;
  *message = arena_text(arena, log, strcspn(log, "\n"));
  if (!error) return 0;
  while (line > log && line[-1] != '\n') line--;
  *message = arena_text(arena, error + 7, strcspn(error + 7, "\n"));
  size_t name = strcspn(line, "(:\n");
  return line[name] == '(' || line[name] == ':' ? (uint32_t)strtoul(line + name + 1, NULL, 10) : 0;
}

static const char *line_of(Build *b, uint32_t number) {
  const char *at = b->text.s;
  for (uint32_t i = 1; i < number && at; i++) at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
  return at ? arena_text(b->arena, at, strcspn(at, "\n")) : "";
}

static bool is_edited(const Build *b, uint32_t k) { return b->b->edited && b->b->edited[k]; }

/* The place of line `number`: the kernel, its stage in the .lcwnet, the line itself. An edited kernel
 * has a file of its own, with the same prelude. */
static void place_print(Build *b, uint32_t number, uint32_t k) {
  Span at = b->kernel[k]->span;
  uint32_t shown = is_edited(b, k) ? number - b->line[k] + b->line[0] : number;
  if (is_edited(b, k))
    text_add(b->why, "\n  --> %s/%s.cu:%u", b->b->folder, b->kernel[k]->name, shown);
  else if (b->b->sources && at.file) text_add(b->why, "\n  --> %s", span_text(b->b->sources, at));
  else text_add(b->why, "\n  --> the run's own kernels");
  text_add(b->why, ", in kernel %s\n     |\n%4u | %s\n     |", b->kernel[k]->name, shown,
           line_of(b, number));
}

static int job_refused(Build *b, Job *j) {
  CudaImage again;
  const char *message;
  bool passes = job_compile(b, j, text_unmarked(b), &again);
  uint32_t number = error_find(b->arena, passes ? j->image.log : again.log, &message), k = 0;
  if (passes) number = 0;
  text_add(b->why, "%s refused the text for sm_%u: %s", job_compiler(b, j), j->arch, message);
  while (k < b->nkernel && b->line[k + 1] <= number) k++;
  bool inside = k < b->nkernel && number >= b->line[0];
  if (inside) place_print(b, number, k);
  else if (number) text_add(b->why, "\n  --> prelude.cu:%u", number);
  if (inside && is_edited(b, k)) return LCW_INPUT;
  text_add(b->why, "\nhelp: lcwc emit --emit=cuda prints the text");
  return LCW_INTERNAL;
}

/* ---- the result -------------------------------------------------------------------------------- */

/* Copies what a job made to the caller's arena. */
static void image_take(Build *b, const Job *j, uint32_t at, CudaModel *out) {
  size_t size = j->image.size;
  if (j->ptx && (!size || j->image.bytes[size - 1])) size++; /* the NUL behind it counts */
  char *bytes = arena_alloc(b->arena, size);
  memcpy(bytes, j->image.bytes, j->image.size);
  out->image[at] = (PlanImage){j->ptx ? IMAGE_PTX : IMAGE_CUBIN, j->arch, bytes, size};
  out->log[at] = arena_text(b->arena, j->image.log, strlen(j->image.log));
  out->compiler[at] = job_compiler(b, j);
  out->hits += j->hit;
}

/* Registers and counts of every kernel of a cubin. */
static bool resources_read(Build *b, uint32_t at, CudaModel *out) {
  const PlanImage *image = &out->image[at];
  for (uint32_t k = 0; image->kind == IMAGE_CUBIN && k < b->nkernel; k++) {
    if (!sass_count(image->bytes, image->size, kernel_text(b->kernel[k])->name,
                    &out->resource[at * b->nkernel + k], b->why))
      return false;
  }
  return true;
}

/* Adds what the cache said, unless it said so before. */
static void note_add(Text *note, const char *said) {
  if (*said && !(note->n && strstr(note->s, said)))
    text_add(note, "%s%s", note->n ? "\n" : "", said);
}

static int result_take(Build *b, CudaModel *out) {
  *out = (CudaModel){.nimage = b->njob, .nkernel = b->nkernel, .text = b->text.s,
                     .text_size = b->text.n, .note = ""};
  out->image = NEW_ARRAY(b->arena, PlanImage, b->njob + 1);
  out->log = NEW_ARRAY(b->arena, const char *, b->njob);
  out->compiler = NEW_ARRAY(b->arena, const char *, b->njob);
  out->resource = NEW_ARRAY(b->arena, SassCount, (size_t)b->njob * b->nkernel);
  for (uint32_t i = 0; i < b->njob; i++) {
    Job *j = &b->job[i];
    if (!j->done) return job_refused(b, j);
    image_take(b, j, i, out);
    if (!resources_read(b, i, out)) return LCW_INTERNAL;
    if (j->note.n) note_add(&b->note, j->note.s);
  }
  if (b->note.n) out->note = b->note.s;
  return LCW_OK;
}

/* Between the tools and the cache being open and closed again. */
static int build_run(Build *b, CudaModel *out) {
  int code = jobs_plan(b);
  if (code) return code;
  if (!cuda_program(b->kernel, b->nkernel, b->b, &b->text, b->line, b->why)) return LCW_INTERNAL;
  uint32_t left = jobs_recall(b);
  if ((code = jobs_ready(b))) return code;
  jobs_run(b, left);
  return result_take(b, out);
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

int cuda_compile(Arena *arena, Kernel *const *kernel, uint32_t nkernel, const CudaBuild *build,
                 CudaModel *out, Text *why) {
  double start = now_ms();
  Build *b = NEW(arena, Build);
  *b = (Build){.arena = arena, .kernel = kernel, .nkernel = nkernel, .b = build, .why = why,
               .cache = {.fd = -1}};
  text_init(&b->text, arena), text_init(&b->note, arena);
  b->line = NEW_ARRAY(arena, uint32_t, nkernel + 1);
  if (build->cache) cuda_cache_open(&b->cache, arena, build->cache, true, &b->note);
  cuda_tools_open(&b->tools, arena, build->compiler, build->oldest && build->ptx, build->nvrtc,
                  &b->cache);
  note_add(&b->note, b->tools.note);
  int code = build_run(b, out);
  cuda_cache_close(&b->cache);
  cuda_tools_close(&b->tools);
  for (uint32_t i = 0; i < b->njob; i++) arena_release(&b->job[i].arena);
  if (!code) out->ms = now_ms() - start;
  return code;
}
