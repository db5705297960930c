/* targets.c: see targets.h. A target is `host`, `sm_80` (a cubin for that architecture) or `ptx` (code
 * that drivers translate for architectures to come); a list may hold each once. */
#include "targets.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "edits.h"

/* sm_80: 80; 0 if the word is no architecture. */
static uint32_t arch_of(const char *word) {
  char *end;
  if (strncmp(word, "sm_", 3) || word[3] < '1' || word[3] > '9') return 0;
  unsigned long arch = strtoul(word + 3, &end, 10);
  return *end || arch < 50 || arch > 999 ? 0 : (uint32_t)arch;
}

static bool target_known(const CudaBuild *b, uint32_t arch) {
  for (uint32_t i = 0; i < b->narch; i++)
    if (b->arch[i] == arch) return true;
  return false;
}

static bool target_take(Compile *c, const char *word, bool *ptx) {
  uint32_t arch = arch_of(word);
  bool host = !strcmp(word, "host");
  if (host) return c->for_host = true;
  if (!strcmp(word, "ptx")) return *ptx = true;
  if (arch && arch < 75)
    return compile_fail(c, LCW_USAGE, "--target=%s: the oldest architecture is sm_75", word);
  if (!arch)
    return compile_fail(c, LCW_USAGE, "--target knows no `%s`\nhelp: host, ptx, sm_75, sm_80, "
                        "sm_86, sm_89, sm_90, sm_100, sm_120", word);
  if (!target_known(&c->cuda, arch) && c->cuda.narch == CUDA_MAX_ARCH)
    return compile_fail(c, LCW_USAGE, "--target: more than %d architectures", CUDA_MAX_ARCH);
  if (!target_known(&c->cuda, arch)) c->cuda.arch[c->cuda.narch++] = arch;
  return true;
}

static bool targets_take(Compile *c, const char *list) {
  bool ptx = false;
  c->for_host = false;
  for (const char *s = list;; s++) {
    size_t n = strcspn(s, ",");
    if (!target_take(c, arena_text(&c->perm, s, n), &ptx)) return false;
    if (!*(s += n)) break;
  }
  if (ptx) c->cuda.ptx = 80;
  if (c->cuda.narch) c->cuda.tiled = cuda_weakest(&c->cuda);
  if (ptx) c->cuda.ptx = c->cuda.tiled;
  return true;
}

static bool compiler_take(Compile *c, const char *word) {
  static const char *const known[COMPILERS] = {"", "nvrtc", "clang"};
  if (!word) return true;
  while (c->cuda.compiler < COMPILERS && strcmp(known[c->cuda.compiler], word)) c->cuda.compiler++;
  return (*word && c->cuda.compiler < COMPILERS) ||
         compile_fail(c, LCW_USAGE, "--cuda-compiler=%s: not one of nvrtc, clang", word);
}

bool targets_set(const Arguments *a, Compile *c) {
  c->cuda.sources = &c->front.sources;
  c->cuda.nvrtc = a->flag[FLAG_NVRTC];
  c->cuda.folder = a->flag[FLAG_KERNELS];
  c->cuda.cache = a->flag[FLAG_NOCACHE] ? NULL : cuda_cache_folder(&c->perm);
  if (!compiler_take(c, a->flag[FLAG_COMPILER])) return false;
  if (c->cuda.nvrtc && c->cuda.compiler == COMPILER_CLANG)
    return compile_fail(c, LCW_USAGE, "--nvrtc and --cuda-compiler=clang exclude each other");
  if (c->cuda.folder && c->target != &target_cuda)
    return compile_fail(c, LCW_USAGE, "--kernels is for a CUDA device\nhelp: --device=cuda");
  return !a->flag[FLAG_TARGET] || targets_take(c, a->flag[FLAG_TARGET]);
}

bool targets_compile(Compile *c) {
  Text why;
  text_init(&why, &c->perm);
  if (c->cuda.folder && !edits_read(c)) return false;
  int code = cuda_compile(&c->perm, c->program->kernel, c->program->nkernel, &c->cuda, &c->device,
                          &why);
  if (code) return compile_fail(c, code, "%s", why.s);
  if (*c->device.note) fprintf(stderr, "note: %s\n", c->device.note);
  return true;
}
