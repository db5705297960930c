/* cuda_proof.c: kernel.h drives a fast CUDA generator. Each proof kernel is
 *
 *   printed     twice: the same bytes
 *   run         on the CPU by cuda_shim.h, in fp32 and in tf32 (operands rounded before), at shapes
 *               that straddle the tile, within the error bound of kernel_eval()
 *   summed      with sums over rows and columns by all blocks, each stage using the sums, one of the
 *               prologue among them; tickets are zero again
 *   compiled    for sm_80 by NVRTC, all kernels in one program, and by clang-19; skipped by name
 *               where one is not there
 *   counted     instructions of the main loop per 32 values of K from the cubin, against DESIGN
 *               section 8; no spills; the lcw terms add none to the loop
 *   broken      by planted bugs, each of which a run must notice
 *
 * Usage: cuda_proof [FOLDER]: the texts are left in FOLDER. Run from the root of the sources. */
#include "cuda_run.h"
#include "graph.h" /* Scalar */
#include "proof_kernels.h"
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_CASE = 2 * PROOF_COUNT, LARGE = 1, MAX_TILE = 3 };
typedef struct { Kernel k; uint32_t tile; } Case;
typedef struct {
  uint32_t passed, failed, skipped;
  Arena arena;
  const char *folder;
} Proofs;

static const char *const precision_name[PRECISIONS] = {"fp32", "tf32", "bf16"};
static const uint32_t tile_count[PRECISIONS] = {2, 3, 3};

static void verdict(Proofs *p, bool good, const char *what, const char *name, const char *detail) {
  printf("%-4s %-8s %-24s %s\n", good ? "ok" : "FAIL", what, name, detail ? detail : "");
  good ? p->passed++ : p->failed++;
}

static void skip(Proofs *p, const char *what, const char *why) {
  printf("skip %-8s %s\n", what, why);
  p->skipped++;
}

static CudaOptions options_of(const Case *c) {
  return (CudaOptions){.arch = 80, .tile = c->tile};
}

/* A kernel under a name of its own: conv_forward_tf32_1_a. */
static void case_make(Case *c, Proof which, const ProofShape *shape, Precision precision,
                      uint32_t tile, const char *suffix) {
  Kernel *k = &c->k;
  proof_kernel[which].build(k, shape);
  k->precision = (uint8_t)precision, c->tile = tile;
  if (precision == PRECISION_BF16) k->arg[k->lhs].dtype = k->arg[k->rhs].dtype = DTYPE_BF16;
  size_t n = strlen(k->name);
  snprintf(k->name + n, sizeof k->name - n, "_%s_%u_%s", precision_name[precision], tile, suffix);
}

/* ---- printed and run ------------------------------------------------------------------------ */

static void proof_print(Proofs *p, const Case *c) {
  const CudaOptions options = options_of(c);
  Text text[2], why;
  text_init(&why, &p->arena);
  for (int i = 0; i < 2; i++) {
    text_init(&text[i], &p->arena);
    if (kernel_verify(&c->k, &why) && cuda_text(&c->k, &options, &text[i], &why)) continue;
    verdict(p, false, "print", c->k.name, why.s);
    return;
  }
  bool same = text[0].n == text[1].n && !memcmp(text[0].s, text[1].s, text[0].n);
  verdict(p, same, "print", c->k.name, arena_printf(&p->arena, "%zu bytes", text[0].n));
}

/* Batches, widths and images smaller than a tile, a little more; one slab of K and several. */
static const struct { const char *name; ProofShape shape; } run_shape[] = {
  {"a", {.batch = 130, .in = 68, .out = 132, .size = 2, .row = 1, .column = 1, .copy = true}},
  {"b", {.batch = 20, .in = 32, .out = 128, .size = 8, .row = 0, .column = 1, .copy = true}},
  {"c", {.batch = 7, .in = 161, .out = 10, .size = 6, .row = 1, .column = 0, .copy = false}},
  {"d", {.batch = 3, .in = 3, .out = 40, .size = 10, .row = 0, .column = 0, .copy = false}},
};

/* The cases of one proof kernel: every tile of every precision at every shape. */
static uint32_t cases_make(Proof which, void (*change)(Kernel *), Case *c) {
  uint32_t n = 0;
  for (size_t i = 0; i < COUNT_OF(run_shape); i++)
    for (Precision precision = PRECISION_FP32; precision < PRECISIONS; precision++)
      for (uint32_t tile = 1; tile <= tile_count[precision]; tile++) {
        case_make(&c[n++], which, &run_shape[i].shape, precision, tile, run_shape[i].name);
        if (change) change(&c[n - 1].k);
        if (c[n - 1].k.kind != KERNEL_CONTRACT) precision = PRECISIONS, tile = MAX_TILE;
      }
  return n;
}

/* They all, in one object. */
static void proof_runs(Proofs *p, Proof which, void (*change)(Kernel *)) {
  static Case c[PRECISIONS * MAX_TILE * COUNT_OF(run_shape)];
  uint32_t n = cases_make(which, change, c);
  Text texts, why;
  text_init(&texts, &p->arena);
  text_init(&why, &p->arena);
  bool printed = true;
  for (uint32_t i = 0; i < n && printed; i++) {
    const CudaOptions options = options_of(&c[i]);
    proof_print(p, &c[i]);
    printed = cuda_run_text(&c[i].k, &options, NULL, NULL, &texts, &why);
  }
  void *object =
      printed ? cuda_run_load(&p->arena, texts.s, p->folder, proof_kernel[which].name, &why) : NULL;
  if (!object) {
    verdict(p, false, "run", proof_kernel[which].name, why.s);
    return;
  }
  for (uint32_t i = 0; i < n; i++) {
    text_init(&why, &p->arena);
    bool good = cuda_run_agrees(&p->arena, object, &c[i].k, i, &why);
    verdict(p, good, "run", c[i].k.name, why.s);
  }
  dlclose(object);
}

/* ---- compiled and counted ------------------------------------------------------------------- */

/* Largest number of instructions per 32 values of K; 0: not a contraction. In slabs of 64 (bf16) two
 * texts that differ after the loop may come out one instruction apart. The wgrad of a
 * convolution is held to the bound of wgrad. fp32 must spend 2048 of them on FFMA. */
static const uint32_t loop_bound[PROOF_COUNT][PRECISIONS] = {
  [PROOF_linear_forward] = {2400, 140, 70}, [PROOF_linear_dgrad] = {2400, 140, 70},
  [PROOF_linear_wgrad] = {2400, 250, 75},   [PROOF_linear_update] = {2400, 250, 75},
  [PROOF_conv_forward] = {2500, 175, 90},   [PROOF_conv_dgrad] = {2500, 175, 90},
  [PROOF_conv_wgrad] = {2500, 250, 100},
};
static const uint32_t loop_slab[PRECISIONS] = {16, 32, 64};

static const ProofShape count_shape = {
  .batch = 256, .in = 256, .out = 256, .size = 16, .row = 1, .column = 1, .copy = true,
};

/* Every proof kernel, with and without its lcw terms, after one prelude. */
static uint32_t program_make(Proofs *p, Precision precision, uint32_t tile, uint32_t arch, Case *c,
                             Text *text) {
  ProofShape shape[2] = {count_shape, count_shape};
  shape[1].plain = true;
  Text why;
  text_init(&why, &p->arena);
  text_init(text, &p->arena);
  text_bytes(text, prelude_files[0].text, prelude_files[0].size);
  for (uint32_t i = 0; i < MAX_CASE; i++) {
    case_make(&c[i], (Proof)(i / 2), &shape[i % 2], precision, tile, i % 2 ? "plain" : "lcw");
    const CudaOptions options = {.arch = arch, .tile = tile};
    if (cuda_text(&c[i].k, &options, text, &why)) continue;
    verdict(p, false, "print", c[i].k.name, why.s);
    return 0;
  }
  return MAX_CASE;
}

/* The loops of a kernel and of its plain twin. */
static void proof_count(Proofs *p, Proof which, const Case *c, const CudaImage *image) {
  SassCount count[2];
  Text why;
  text_init(&why, &p->arena);
  for (int i = 0; i < 2; i++)
    if (!sass_count(image->bytes, image->size, c[i].k.name, &count[i], &why)) {
      verdict(p, false, "count", c[i].k.name, why.s);
      return;
    }
  uint32_t bound = loop_bound[which][c->k.precision], slab = loop_slab[c->k.precision];
  uint32_t loop = count[0].loop, plain = count[1].loop;
  if (bound) loop = loop * 32 / slab, plain = plain * 32 / slab;
  bool good = count[0].spills == 0 && (!bound || (loop <= bound && loop <= plain + (slab == 64)));
  const char *held = bound ? arena_printf(&p->arena, " (bound %u, plain %u)", bound, plain) : "";
  verdict(p, good, "count", c->k.name,
          arena_printf(&p->arena, "%u in the loop%s, %u in all, %u registers, %u spills", loop,
                       held, count[0].total, count[0].registers, count[0].spills));
}

static void program_count(Proofs *p, Nvrtc *nvrtc, Precision precision) {
  static Case c[MAX_CASE];
  Text text;
  CudaImage image;
  if (!program_make(p, precision, LARGE, 80, c, &text)) return;
  bool good = nvrtc_compile(nvrtc, &p->arena, text.s, "proof.cu", "sm_80", &image);
  verdict(p, good, "nvrtc", precision_name[precision],
          good ? "all kernels in one program" : image.log);
  for (uint32_t i = 0; good && i < MAX_CASE; i += 2) proof_count(p, (Proof)(i / 2), &c[i], &image);
}

/* The other architectures and tiles: they compile, and nothing is spilled. */
static void program_clean(Proofs *p, Nvrtc *nvrtc, Precision precision, uint32_t tile,
                          uint32_t arch) {
  static Case c[MAX_CASE];
  Text text, why;
  CudaImage image;
  SassCount count;
  const char *sm = arena_printf(&p->arena, "sm_%u", arch);
  text_init(&why, &p->arena);
  if (!program_make(p, precision, tile, arch, c, &text)) return;
  bool good = nvrtc_compile(nvrtc, &p->arena, text.s, "proof.cu", sm, &image);
  if (!good) text_add(&why, "%s", image.log);
  for (uint32_t i = 0; good && i < MAX_CASE; i++) {
    good = sass_count(image.bytes, image.size, c[i].k.name, &count, &why) && !count.spills;
    if (count.spills) text_add(&why, "%s spills %u times", c[i].k.name, count.spills);
  }
  verdict(p, good, "clean", arena_printf(&p->arena, "%s %s tile %u", precision_name[precision], sm, tile),
          why.s);
}

static void program_clang(Proofs *p, Precision precision) {
  static Case c[MAX_CASE];
  Text text;
  CudaImage image;
  if (!program_make(p, precision, LARGE, 80, c, &text)) return;
  bool good = clang_compile(&p->arena, text.s, "sm_80", &image);
  verdict(p, good, "clang", precision_name[precision],
          good ? arena_printf(&p->arena, "%zu bytes of PTX", image.size) : image.log);
}

static bool clang_there(Proofs *p) {
  CudaImage image;
  return clang_compile(&p->arena, "__attribute__((global)) void nothing() {}\n", "sm_80", &image);
}

/* ---- broken --------------------------------------------------------------------------------- */

/* One replacement in the text of linear_forward in tf32, at 130 x 132 x 196: seven slabs. */
static const struct { const char *name, *find, *replace; } planted[] = {
  {"wait too short", "copy_wait(2)", "copy_wait(3)"},
  {"barrier missing", "__syncthreads();", ";"},
  {"slot reused early", "slot == 98304 ? 0", "slot == 65536 ? 0"},
  {"swizzle on one side", "(lane / 16 ^ lane % 8)", "(lane / 16)"},
  {"row guard dropped", "if (m >= 130 || n >= 132)", "if (n >= 132)"},
  {"column guard dropped", "if (m >= 130 || n >= 132)", "if (m >= 130)"},
  {"pointer steps too far", "lhs_at += 32", "lhs_at += 36"},
  {"one slab too few", "ahead < 10", "ahead < 9"},
  {"wrong fragment", "* 2048", "* 1024"},
};

/* True if a run of the broken text ends badly; it runs in a process of its own. */
static bool planted_found(Proofs *p, size_t i, Text *why) {
  static Case c;
  const ProofShape shape = {.batch = 130, .in = 196, .out = 132, .copy = true};
  Text text;
  text_init(&text, &p->arena);
  case_make(&c, PROOF_linear_forward, &shape, PRECISION_TF32, LARGE, "broken");
  const CudaOptions options = options_of(&c);
  if (!cuda_run_text(&c.k, &options, planted[i].find, planted[i].replace, &text, why)) return false;
  void *object =
      cuda_run_load(&p->arena, text.s, p->folder, arena_printf(&p->arena, "broken_%zu", i), why);
  if (!object) return false;
  fflush(stdout);
  pid_t child = fork();
  int status = 0;
  if (child == 0) {
    fclose(stderr);
    _exit(!cuda_run_agrees(&p->arena, object, &c.k, 1, why));
  }
  dlclose(object);
  return child > 0 && waitpid(child, &status, 0) == child && status != 0;
}

static void proofs_broken(Proofs *p) {
  for (size_t i = 0; i < COUNT_OF(planted); i++) {
    Text why;
    text_init(&why, &p->arena);
    bool found = planted_found(p, i, &why);
    verdict(p, found, "broken", planted[i].name, found ? "noticed" : why.s ? why.s : "not noticed");
  }
}

/* Removes a folder of plain files. */
static void folder_remove(const char *folder) {
  DIR *d = opendir(folder);
  for (struct dirent *entry; d && (entry = readdir(d));) unlinkat(dirfd(d), entry->d_name, 0);
  if (d) closedir(d);
  rmdir(folder);
}

int main(int argc, char **argv) {
  static Proofs p;
  Text why;
  char folder[] = "/tmp/cuda_proof-XXXXXX";
  arena_init(&p.arena, "perm", (size_t)2 << 30);
  text_init(&why, &p.arena);
  p.folder = argc > 1 ? argv[1] : mkdtemp(folder);
  for (Proof i = 0; i < PROOF_COUNT; i++) proof_runs(&p, i, NULL);
  proof_runs(&p, PROOF_linear_forward, proof_add_sums);
  proof_runs(&p, PROOF_conv_wgrad, proof_add_sums);
  proofs_broken(&p);
  Nvrtc *nvrtc = nvrtc_open(&p.arena, NULL, &why);
  for (Precision i = PRECISION_FP32; nvrtc && i < PRECISIONS; i++) {
    static const uint32_t arch[] = {75, 86, 90, 100, 120};
    program_count(&p, nvrtc, i);
    for (uint32_t tile = 2; tile <= tile_count[i]; tile++) program_clean(&p, nvrtc, i, tile, 80);
    for (size_t a = i == PRECISION_FP32 ? 0 : 1; a < COUNT_OF(arch); a++)
      program_clean(&p, nvrtc, i, LARGE, arch[a]);
  }
  if (!nvrtc) skip(&p, "count", why.s);
  nvrtc_close(nvrtc);
  bool clang = clang_there(&p);
  for (Precision i = PRECISION_FP32; clang && i < PRECISIONS; i++) program_clang(&p, i);
  if (!clang) skip(&p, "clang", "clang-19 is not installed");
  printf("%u passed, %u failed, %u skipped\n", p.passed, p.failed, p.skipped);
  if (argc < 2) folder_remove(p.folder);
  arena_release(&p.arena);
  return p.failed || !p.passed;
}
