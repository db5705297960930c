/* sim_ptx.c: the PTX interpreter. Instructions against what they should give, in every lane; and
 * each check by a small kernel with a mistake, which must be found, and the same without it,
 * which must be clean. Links liblcwsim. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../runtime/ptxsim/sim.h"

typedef struct { uint32_t passed, failed; } Tests;

static void verdict(Tests *t, bool good, const char *what, const char *name, const char *detail) {
  if (!good) printf("FAIL %-8s %-28s %s\n", what, name, detail ? detail : "");
  good ? t->passed++ : t->failed++;
}

/* A kernel `k` of one parameter, the address of 4096 words in %rd1; %r1 is the thread. */
static const char head[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n"
    ".const .align 4 .u32 c[4] = {5, 0x10, 7};\n.global .align 8 .b8 g[16] = {1, 2, 3, 255};\n"
    ".visible .entry k(.param .u64 p)\n{\n"
    ".reg .pred %p<9>;\n.reg .b32 %r<40>;\n.reg .f32 %f<40>;\n.reg .b64 %rd<20>;\n"
    ".shared .align 16 .b8 s[4096];\n"
    "ld.param.u64 %rd1, [p];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\n"
    "add.s64 %rd3, %rd1, %rd2;\nshl.b32 %r2, %r1, 2;\nmov.u32 %r3, %ctaid.x;\nmov.u32 %r4, s;\n"
    "add.s32 %r5, %r4, %r2;\n";
static const char tail[] = "\nret;\n}\n";

enum { WORDS = 4096 };

/* Runs head + body + tail on the words; those after it in `out`, which may be the same. */
static SimFault run_on(const uint32_t *word, const char *body, uint32_t blocks, uint32_t threads,
                       uint32_t *out, SimText *why) {
  static char text[16384];
  const SimSettings settings = {.threads = 2, .checks = SIM_CHECKS_ALL, .architecture = 80};
  Sim *sim = sim_create(&settings, why);
  snprintf(text, sizeof text, "%s%s%s", head, body, tail);
  SimModule *m = sim_load(sim, text, strlen(text), "test", why);
  uint64_t at = sim_alloc(sim, WORDS * sizeof *word);
  SimFault fault = SIM_FAULT_COUNT;
  sim_write(sim, at, word, WORDS * sizeof *word, why);
  if (m) {
    SimLaunch l = {.function = sim_function(m, "k"), .grid = {blocks, 1, 1}, .block = {threads, 1, 1},
                   .parameters = &at};
    fault = sim_launch(sim, &l, why);
    sim_read(sim, out, at, WORDS * sizeof *word, why);
  }
  sim_destroy(sim);
  return fault;
}

/* On words that hold their number. */
static SimFault run(const char *body, uint32_t blocks, uint32_t threads, uint32_t *out, SimText *why) {
  for (uint32_t i = 0; i < WORDS; i++) out[i] = i;
  return run_on(out, body, blocks, threads, out, why);
}

/* ---- instructions ---------------------------------------------------------------------------- */

/* An atomic on word 1024 + i; what it leaves there. */
#define ATOMIC(operation, operands, value)                                                        \
  X("atom.global." operation " %r11, [%rd3+4096], " operands "; ld.global.u32 %r10, [%rd3+4096];", value)
/* On the 64 bits of words 2048 + 2 i and the next; the word that it leaves there. */
#define ATOMIC_64(operation, operands, word, value)                                               \
  X("add.s64 %rd4, %rd3, %rd2; atom.global." operation " %rd5, [%rd4+8192], " operands ";"        \
    " ld.global.u32 %r10, [%rd4+" word "];", value)

/* What sets %r10 from the thread's number i in %r1, and the value that it must have. */
#define CASES(X)                                                                                  \
  X("add.s32 %r10, %r1, 5;", i + 5)                                                               \
  X("mad.lo.s32 %r10, %r1, 3, 7;", 3 * i + 7)                                                     \
  X("mul.hi.u32 %r10, %r1, -1;", i ? i - 1 : 0)                                                   \
  X("shl.b32 %r10, %r1, 31;", i << 31)                                                            \
  X("shr.s32 %r10, -8, %r1;", i > 3 ? 0xffffffffu : (uint32_t)(-8 >> i))                          \
  X("bfe.u32 %r10, %r1, 1, 3;", i >> 1 & 7)                                                       \
  X("bfe.s32 %r10, %r1, 0, 2;", i & 2 ? (i & 3) | 0xfffffffcu : i & 3)                            \
  X("bfi.b32 %r10, %r1, 255, 4, 4;", (i & 15) << 4 | 15)                                          \
  X("prmt.b32 %r10, %r1, 0, 0x4440;", i & 255)                                                    \
  X("lop3.b32 %r10, %r1, 12, 6, 0x96;", i ^ 12 ^ 6)                                               \
  X("shf.l.wrap.b32 %r10, %r1, %r1, 4;", i << 4 | i >> 28)                                        \
  X("popc.b32 %r10, %r1;", (uint32_t)__builtin_popcount(i))                                       \
  X("not.b32 %r10, %r1;", ~i)                                                                     \
  X("rem.u32 %r10, %r1, 7;", i % 7)                                                               \
  X("div.s32 %r10, %r1, -3;", (uint32_t)((int32_t)i / -3))                                        \
  X("max.s32 %r10, %r1, 9;", i > 9 ? i : 9)                                                       \
  X("setp.lt.u32 %p1, %r1, 9; selp.b32 %r10, 1, 2, %p1;", i < 9 ? 1 : 2)                          \
  X("cvt.rn.f32.u32 %f1, %r1; mul.f32 %f2, %f1, 0f3F000000; cvt.rzi.s32.f32 %r10, %f2;", i / 2)   \
  X("mov.b32 %f1, 0f3F801FFF; cvt.rna.tf32.f32 %r10, %f1;", 0x3f802000u + 0 * i)                  \
  X("mov.b32 %f1, 0f3F808000; cvt.rn.bf16x2.f32 %r10, %f1, %f1;", 0x3f803f80u + 0 * i)            \
  X("shfl.sync.bfly.b32 %r10, %r1, 1, 31, -1;", i ^ 1)                                            \
  X("shfl.sync.down.b32 %r10, %r1, 4, 31, -1;", i + 4 < 32 ? i + 4 : i)                           \
  X("shfl.sync.up.b32 %r10, %r1, 4, 0, -1;", i >= 4 ? i - 4 : i)                                  \
  X("shfl.sync.idx.b32 %r10, %r1, 3, 31, -1;", 3 + 0 * i)                                         \
  X("shfl.sync.bfly.b32 %r10, %r1, 4, 0x1803, -1;", i & ~4u)                                      \
  X("setp.lt.u32 %p1, %r1, 4; vote.sync.ballot.b32 %r10, %p1, -1;", 15 + 0 * i)                   \
  X("atom.shared.add.u32 %r11, [%r4], 0; mov.u32 %r10, %r1;", i)                                  \
  X("st.shared.u32 [%r5], %r1; bar.warp.sync -1; xor.b32 %r11, %r2, 4; add.s32 %r11, %r11, %r4;"  \
    " ld.shared.u32 %r10, [%r11];", i ^ 1)                                                        \
  ATOMIC("add.u32", "7", 1031 + i)                                                                \
  ATOMIC("inc.u32", "1030", i >= 6 ? 0 : 1025 + i)                                                \
  ATOMIC("dec.u32", "1030", i > 6 ? 1030 : 1023 + i)                                              \
  ATOMIC("exch.b32", "7", 7 + 0 * i)                                                              \
  ATOMIC("min.u32", "1030", i < 6 ? 1024 + i : 1030)                                              \
  ATOMIC("min.s32", "-3", 0 * i - 3)                                                              \
  ATOMIC("max.s32", "1030", i > 6 ? 1024 + i : 1030)                                              \
  ATOMIC("and.b32", "3", i & 3)                                                                   \
  ATOMIC("or.b32", "3", (1024 + i) | 3)                                                           \
  ATOMIC("xor.b32", "1024", i)                                                                    \
  ATOMIC("cas.b32", "1030, 5", i == 6 ? 5 : 1024 + i)                                             \
  ATOMIC_64("add.u64", "-2048", "8192", 2 * i)                                                    \
  ATOMIC_64("add.u64", "-2048", "8196", 2049 + 2 * i)                                             \
  ATOMIC_64("max.s64", "-1", "8196", 2049 + 2 * i)                                                \
  ATOMIC_64("cas.b64", "0x80700000806, 9", "8192", i == 3 ? 9 : 2048 + 2 * i)                     \
  X("red.global.add.u32 [%rd3+4096], 7; ld.global.u32 %r10, [%rd3+4096];", 1031 + i)              \
  X("setp.lt.u32 %p1, %r1, 40; vote.sync.all.pred %p2, %p1, -1; selp.b32 %r10, %r1, 99, %p2;", i) \
  X("setp.eq.u32 %p1, %r1, 4; vote.sync.any.pred %p2, !%p1, -1; selp.b32 %r10, %r1, 99, %p2;", i) \
  X("mov.u32 %r10, 0; setp.lt.u32 %p1, %r1, 4; @!%p1 bra A; activemask.b32 %r10; A:", i < 4 ? 15 : 0) \
  X("ld.const.u32 %r10, [c+4];", 16 + 0 * i)                                                      \
  X("rem.u32 %r11, %r1, 4; mul.wide.u32 %rd5, %r11, 4; mov.u64 %rd4, c; add.s64 %rd4, %rd4, %rd5;" \
    " ld.const.u32 %r10, [%rd4];", i % 4 > 1 ? i % 4 == 2 ? 7 : 0 : i % 4 ? 16 : 5)               \
  X("mov.u64 %rd4, g; ld.global.u32 %r10, [%rd4];", 0xff030201u + 0 * i)                          \
  X("ld.global.u32 %r10, [g+12];", 0 * i)                                                         \
  X("{ .reg .u64 t; mov.b64 t, {%r1, 7}; shr.u64 t, t, 32; cvt.u32.u64 %r10, t; }", 7 + 0 * i)

static void instructions_run(Tests *t) {
  static uint32_t out[WORDS];
  char body[1024], detail[200];
#define X(code, expression)                                                                       \
  {                                                                                               \
    SimText why = {0};                                                                            \
    bool good;                                                                                    \
    if (!strstr(code, "atom.shared")) body[0] = 0;                                                \
    else snprintf(body, sizeof body, "setp.eq.u32 %%p2, %%r1, 0;\n@%%p2 st.shared.u32 [%%r4], 0;\n" \
                                     "bar.warp.sync -1;\n");                                      \
    strcat(body, code "\nst.global.u32 [%rd3], %r10;");                                           \
    SimFault fault = run(body, 1, 32, out, &why);                                                 \
    good = fault == SIM_FAULT_NONE;                                                               \
    snprintf(detail, sizeof detail, "%s", why.text ? why.text : "");                              \
    for (uint32_t i = 0; good && i < 32; i++)                                                     \
      if (out[i] != (uint32_t)(expression)) {                                                     \
        good = false;                                                                             \
        snprintf(detail, sizeof detail, "lane %u: %08x, not %08x", i, out[i], (uint32_t)(expression)); \
      }                                                                                           \
    verdict(t, good, "value", code, detail);                                                      \
    sim_text_release(&why);                                                                       \
  }
  CASES(X)
#undef X
}

/* ---- matrices -------------------------------------------------------------------------------- */

/* Lane l has words 16 l to 16 l + 15. */
static const char lane_words[] =
    "shl.b32 %r6, %r1, 6; cvt.u64.u32 %rd4, %r6; add.s64 %rd4, %rd4, %rd1;";

static uint32_t float_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/* The element of row r, column c: a small whole number. */
static float element(uint32_t matrix, uint32_t r, uint32_t c) {
  return (float)((r * 7 + c * 5 + matrix * 3 + r * c) % 11) - 5;
}

/* Word w of a fragment of A (w < 4) or B: one tf32 with bits that are not read, or two bf16. */
static uint32_t fragment(bool bf16, uint32_t lane, uint32_t w) {
  uint32_t g = lane / 4, t = lane % 4, half = w < 4 ? w / 2 : w - 4, word = 0;
  for (uint32_t h = 0; h < 2; h++) {
    uint32_t k = bf16 ? 8 * half + 2 * t + h : 4 * half + t;
    float x = w < 4 ? element(0, g + w % 2 * 8, k) : element(1, k, g);
    if (!bf16) return float_bits(x) | 0x1abc;
    word |= float_bits(x) >> 16 << 16 * h;
  }
  return word;
}

/* mma against the sums of products, which are whole numbers: exact. */
static void multiply_run(Tests *t, bool bf16) {
  static uint32_t word[WORDS];
  static const char load[] = "ld.global.v4.u32 {%r10, %r11, %r12, %r13}, [%rd4];"
                             "ld.global.v2.u32 {%r14, %r15}, [%rd4+16];"
                             "ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd4+32];";
  static const char rest[] =
      " {%f5, %f6, %f7, %f8}, {%r10, %r11, %r12, %r13}, {%r14, %r15},"
      "{%f1, %f2, %f3, %f4}; st.global.v4.f32 [%rd4+48], {%f5, %f6, %f7, %f8};";
  const char *name = bf16 ? "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
                          : "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32";
  char body[1024];
  SimText why = {0};
  for (uint32_t i = 0; i < 512; i++)
    word[i] = i % 16 < 6 ? fragment(bf16, i / 16, i % 16) : float_bits((float)(i % 16) / 4);
  snprintf(body, sizeof body, "%s%s%s%s", lane_words, load, name, rest);
  bool good = run_on(word, body, 1, 32, word, &why) == SIM_FAULT_NONE;
  for (uint32_t i = 0; i < 128 && good; i++) {
    uint32_t lane = i / 4, r = lane / 4 + i % 4 / 2 * 8, c = lane % 4 * 2 + i % 2;
    float sum = (float)(8 + i % 4) / 4;
    for (uint32_t k = 0; k < (bf16 ? 16 : 8); k++) sum += element(0, r, k) * element(1, k, c);
    good = word[16 * lane + 12 + i % 4] == float_bits(sum);
  }
  verdict(t, good, "matrix", name, why.text);
  sim_text_release(&why);
}

/* ldmatrix of n matrices whose elements are their numbers: row r of all lies at 16 r bytes. */
static void matrix_run(Tests *t, uint32_t n, bool transposed) {
  static const char *const list[] = {"", "{%r10}", "{%r10, %r11}", "", "{%r10, %r11, %r12, %r13}"};
  static uint32_t word[WORDS];
  char body[1024], name[80];
  SimText why = {0};
  snprintf(name, sizeof name, "ldmatrix.sync.aligned.m8n8.x%u%s.shared.b16", n,
           transposed ? ".trans" : "");
  for (uint32_t i = 0; i < 512; i++)
    word[i] = i % 16 < 4 ? (i / 16 * 8 + i % 16 * 2) * 0x10001 + 0x10000 : 0;
  snprintf(body, sizeof body,
           "%s ld.global.v4.u32 {%%r10, %%r11, %%r12, %%r13}, [%%rd4]; shl.b32 %%r7, %%r1, 4;"
           "add.s32 %%r7, %%r7, %%r4; st.shared.v4.u32 [%%r7], {%%r10, %%r11, %%r12, %%r13};"
           "bar.warp.sync -1; %s %s, [%%r7];"
           "st.global.v4.u32 [%%rd4+16], {%%r10, %%r11, %%r12, %%r13};", lane_words, name, list[n]);
  bool good = run_on(word, body, 1, 32, word, &why) == SIM_FAULT_NONE;
  for (uint32_t i = 0; i < 32 * n && good; i++) {
    uint32_t lane = i / n, j = i % n, r = lane / 4, c = lane % 4 * 2;
    uint32_t low = transposed ? c * 8 + r : r * 8 + c, high = low + (transposed ? 8 : 1);
    good = word[16 * lane + 4 + j] == ((j * 64 + high) << 16 | (j * 64 + low));
  }
  verdict(t, good, "matrix", name, why.text);
  sim_text_release(&why);
}

static void matrices_run(Tests *t) {
  for (int i = 0; i < 2; i++) {
    multiply_run(t, i);
    for (uint32_t n = 1; n <= 4; n *= 2) matrix_run(t, n, i);
  }
}

/* ---- checks ---------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  SimFault fault;
  uint32_t blocks, threads;
  const char *bad, *good;
} Check;

#define READ_NEXT "add.s32 %r6, %r2, 128; and.b32 %r6, %r6, 255; add.s32 %r6, %r6, %r4; ld.shared.u32 %r7, [%r6];"
#define TICKET(fence)                                                                             \
  "mul.wide.u32 %rd4, %r3, 256; add.s64 %rd5, %rd3, %rd4; st.global.u32 [%rd5+1024], %r3;" fence  \
  "bar.sync 0; setp.ne.u32 %p1, %r1, 0; @%p1 bra D; atom.global.add.u32 %r6, [%rd1], 1;"          \
  "st.shared.u32 [%r4], %r6; D: bar.sync 0; ld.shared.u32 %r6, [%r4]; setp.ne.u32 %p2, %r6, 3;"   \
  "@%p2 bra E; ld.global.u32 %r7, [%rd3+1024]; st.global.u32 [%rd3+4096], %r7; E:"
#define COPY "cp.async.ca.shared.global [%r5], [%rd3], 4; cp.async.commit_group;"

#define COPY_OTHER "cp.async.ca.shared.global [%r5+2048], [%rd3], 4; cp.async.commit_group;"

static const Check check[] = {
  {"barrier missing", SIM_FAULT_RACE, 1, 64, "st.shared.u32 [%r5], %r1;" READ_NEXT,
   "st.shared.u32 [%r5], %r1; bar.sync 0;" READ_NEXT},
  {"reused too early", SIM_FAULT_RACE, 1, 64,
   "st.shared.u32 [%r5], %r1; bar.sync 0;" READ_NEXT "st.shared.u32 [%r5], %r7;",
   "st.shared.u32 [%r5], %r1; bar.sync 0;" READ_NEXT "bar.sync 0; st.shared.u32 [%r5], %r7;"},
  {"lanes of a warp", SIM_FAULT_RACE, 1, 32,
   "st.shared.u32 [%r5], %r1; xor.b32 %r6, %r2, 4; add.s32 %r6, %r6, %r4; ld.shared.u32 %r7, [%r6];",
   "st.shared.u32 [%r5], %r1; bar.warp.sync -1; xor.b32 %r6, %r2, 4; add.s32 %r6, %r6, %r4;"
   "ld.shared.u32 %r7, [%r6];"},
  {"blocks write one word", SIM_FAULT_RACE, 2, 32, "st.global.u32 [%rd3], %r3;",
   "mul.wide.u32 %rd4, %r3, 128; add.s64 %rd4, %rd4, %rd3; st.global.u32 [%rd4], %r3;"},
  {"ticket without fence", SIM_FAULT_RACE, 4, 64, TICKET(""), TICKET("membar.gl;")},
  {"out of bounds", SIM_FAULT_ADDRESS, 1, 32, "st.global.u32 [%rd3+16384], %r1;",
   "st.global.u32 [%rd3+16256], %r1;"},
  {"before the begin", SIM_FAULT_ADDRESS, 1, 32, "ld.global.u32 %r6, [%rd3+-4];",
   "ld.global.u32 %r6, [%rd3];"},
  {"beyond shared memory", SIM_FAULT_ADDRESS, 1, 32, "st.shared.u32 [%r5+4000], %r1;",
   "st.shared.u32 [%r5+3968], %r1;"},
  {"misaligned", SIM_FAULT_MISALIGNED, 1, 32, "ld.global.v2.u32 {%r6, %r7}, [%rd3];",
   "add.s64 %rd4, %rd3, %rd2; ld.global.v2.u32 {%r6, %r7}, [%rd4];"},
  {"shared memory unwritten", SIM_FAULT_UNINITIALISED, 1, 32, "ld.shared.u32 %r6, [%r5];",
   "st.shared.u32 [%r5], 0; ld.shared.u32 %r6, [%r5];"},
  {"register unwritten", SIM_FAULT_UNINITIALISED, 1, 32,
   "setp.lt.u32 %p1, %r1, 9; @%p1 mov.u32 %r20, 1; st.global.u32 [%rd3], %r20;",
   "setp.lt.u32 %p1, %r1, 9; mov.u32 %r20, 0; @%p1 mov.u32 %r20, 1; st.global.u32 [%rd3], %r20;"},
  {"copy not waited for", SIM_FAULT_ASYNC, 1, 32, COPY "ld.shared.u32 %r6, [%r5];",
   COPY "cp.async.wait_group 0; ld.shared.u32 %r6, [%r5];"},
  {"wait too short", SIM_FAULT_ASYNC, 1, 32, COPY "cp.async.wait_group 1; ld.shared.u32 %r6, [%r5];",
   COPY COPY_OTHER "cp.async.wait_group 1; ld.shared.u32 %r6, [%r5];"},
  {"barrier in diverged code", SIM_FAULT_BARRIER, 1, 32,
   "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; bar.sync 0; A:",
   "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; mov.u32 %r6, 0; A: bar.sync 0;"},
  {"warp leaves early", SIM_FAULT_BARRIER, 1, 64, "setp.gt.u32 %p1, %r1, 31; @%p1 ret; bar.sync 0;",
   "bar.sync 0; setp.gt.u32 %p1, %r1, 31; @%p1 ret;"},
  {"shuffle in diverged code", SIM_FAULT_WARP, 1, 32,
   "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; shfl.sync.idx.b32 %r6, %r1, 0, 31, -1; A:",
   "shfl.sync.idx.b32 %r6, %r1, 0, 31, -1;"},
  {"lanes not in the mask", SIM_FAULT_WARP, 1, 32, "shfl.sync.bfly.b32 %r6, %r1, 1, 31, 0xffff;",
   "setp.gt.u32 %p1, %r1, 15; @%p1 bra A; shfl.sync.bfly.b32 %r6, %r1, 1, 31, 0xffff; A:"},
  {"endless loop", SIM_FAULT_DEADLOCK, 1, 32, "setp.eq.u32 %p1, %r1, %r1; A: @%p1 bra A;",
   "setp.ne.u32 %p1, %r1, %r1; A: @%p1 bra A;"},
  {"trap", SIM_FAULT_TRAP, 1, 32, "trap;", ""},
};

static void checks_run(Tests *t) {
  static uint32_t out[WORDS];
  for (size_t i = 0; i < sizeof check / sizeof *check; i++) {
    const Check *c = &check[i];
    SimText bad = {0}, good = {0};
    SimFault found = run(c->bad, c->blocks, c->threads, out, &bad);
    verdict(t, found == c->fault, "found", c->name, bad.text);
    verdict(t, run(c->good, c->blocks, c->threads, out, &good) == SIM_FAULT_NONE, "clean", c->name, good.text);
    sim_text_release(&bad), sim_text_release(&good);
  }
}

/* What is not known stops the load, with its line. */
static void refusals_run(Tests *t) {
  static const char *const text[] = {"frobnicate.u32 %r6, %r1;", "ld.global.magic.u32 %r6, [%rd1];",
                                     "atom.global.add.f32 %f1, [%rd1], %f2;", "mov.u32 %r6, %nothing;",
                                     "bra nowhere;", "brx.idx %r1, table;"};
  static uint32_t out[WORDS];
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
    SimText why = {0};
    bool good = run(text[i], 1, 32, out, &why) == SIM_FAULT_COUNT && why.text && strstr(why.text, "line ");
    verdict(t, good, "refused", text[i], why.text);
    sim_text_release(&why);
  }
}

int main(void) {
  Tests t = {0};
  instructions_run(&t);
  matrices_run(&t);
  checks_run(&t);
  refusals_run(&t);
  printf("%u passed, %u failed, 0 skipped\n", t.passed, t.failed);
  return t.failed || !t.passed;
}
