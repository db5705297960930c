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
    ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n"
    ".reg .pred %p<9>;\n.reg .b32 %r<40>;\n.reg .f32 %f<40>;\n.reg .b64 %rd<20>;\n"
    ".shared .align 16 .b8 s[4096];\n"
    "ld.param.u64 %rd1, [p];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\n"
    "add.s64 %rd3, %rd1, %rd2;\nshl.b32 %r2, %r1, 2;\nmov.u32 %r3, %ctaid.x;\nmov.u32 %r4, s;\n"
    "add.s32 %r5, %r4, %r2;\n";
static const char tail[] = "\nret;\n}\n";

/* Runs head + body + tail on words that hold their number; the words after it in `out`. */
static SimFault run(const char *body, uint32_t blocks, uint32_t threads, uint32_t *out, SimText *why) {
  static char text[16384];
  uint32_t word[4096];
  const SimSettings settings = {.threads = 2, .checks = SIM_CHECKS_ALL, .architecture = 80};
  Sim *sim = sim_create(&settings, why);
  snprintf(text, sizeof text, "%s%s%s", head, body, tail);
  SimModule *m = sim_load(sim, text, strlen(text), "test", why);
  uint64_t at = sim_alloc(sim, sizeof word);
  SimFault fault = SIM_FAULT_COUNT;
  for (uint32_t i = 0; i < 4096; i++) word[i] = i;
  sim_write(sim, at, word, sizeof word, why);
  if (m) {
    SimLaunch l = {.function = sim_function(m, "k"), .grid = {blocks, 1, 1}, .block = {threads, 1, 1},
                   .parameters = &at};
    fault = sim_launch(sim, &l, why);
    sim_read(sim, out, at, sizeof word, why);
  }
  sim_destroy(sim);
  return fault;
}

/* ---- instructions ---------------------------------------------------------------------------- */

/* What sets %r10 from the thread's number i in %r1, and the value that it must have. */
#define CASES(X)                                                                                    \
  X("add.s32 %r10, %r1, 5;", i + 5)                                                                 \
  X("mad.lo.s32 %r10, %r1, 3, 7;", 3 * i + 7)                                                       \
  X("mul.hi.u32 %r10, %r1, -1;", i ? i - 1 : 0)                                                     \
  X("shl.b32 %r10, %r1, 31;", i << 31)                                                              \
  X("shr.s32 %r10, -8, %r1;", i > 3 ? 0xffffffffu : (uint32_t)(-8 >> i))                             \
  X("bfe.u32 %r10, %r1, 1, 3;", i >> 1 & 7)                                                         \
  X("bfe.s32 %r10, %r1, 0, 2;", i & 2 ? (i & 3) | 0xfffffffcu : i & 3)                               \
  X("bfi.b32 %r10, %r1, 255, 4, 4;", (i & 15) << 4 | 15)                                            \
  X("prmt.b32 %r10, %r1, 0, 0x4440;", i & 255)                                                      \
  X("lop3.b32 %r10, %r1, 12, 6, 0x96;", i ^ 12 ^ 6)                                                 \
  X("shf.l.wrap.b32 %r10, %r1, %r1, 4;", i << 4 | i >> 28)                                          \
  X("popc.b32 %r10, %r1;", (uint32_t)__builtin_popcount(i))                                         \
  X("not.b32 %r10, %r1;", ~i)                                                                       \
  X("rem.u32 %r10, %r1, 7;", i % 7)                                                                 \
  X("div.s32 %r10, %r1, -3;", (uint32_t)((int32_t)i / -3))                                          \
  X("max.s32 %r10, %r1, 9;", i > 9 ? i : 9)                                                         \
  X("setp.lt.u32 %p1, %r1, 9; selp.b32 %r10, 1, 2, %p1;", i < 9 ? 1 : 2)                             \
  X("cvt.rn.f32.u32 %f1, %r1; mul.f32 %f2, %f1, 0f3F000000; cvt.rzi.s32.f32 %r10, %f2;", i / 2)       \
  X("mov.b32 %f1, 0f3F801FFF; cvt.rna.tf32.f32 %r10, %f1;", 0x3f802000u + 0 * i)                     \
  X("mov.b32 %f1, 0f3F808000; cvt.rn.bf16x2.f32 %r10, %f1, %f1;", 0x3f803f80u + 0 * i)               \
  X("shfl.sync.bfly.b32 %r10, %r1, 1, 31, -1;", i ^ 1)                                              \
  X("shfl.sync.down.b32 %r10, %r1, 4, 31, -1;", i + 4 < 32 ? i + 4 : i)                              \
  X("shfl.sync.up.b32 %r10, %r1, 4, 0, -1;", i >= 4 ? i - 4 : i)                                    \
  X("shfl.sync.idx.b32 %r10, %r1, 3, 31, -1;", 3 + 0 * i)                                           \
  X("shfl.sync.bfly.b32 %r10, %r1, 4, 0x1803, -1;", i & ~4u)                                          \
  X("setp.lt.u32 %p1, %r1, 4; vote.sync.ballot.b32 %r10, %p1, -1;", 15 + 0 * i)                      \
  X("atom.shared.add.u32 %r11, [%r4], 0; mov.u32 %r10, %r1;", i)                                    \
  X("st.shared.u32 [%r5], %r1; bar.warp.sync -1; xor.b32 %r11, %r2, 4; add.s32 %r11, %r11, %r4;"      \
    " ld.shared.u32 %r10, [%r11];", i ^ 1)                                                          \
  X("{ .reg .u64 t; mov.b64 t, {%r1, 7}; shr.u64 t, t, 32; cvt.u32.u64 %r10, t; }", 7 + 0 * i)

static void instructions_run(Tests *t) {
  static uint32_t out[4096];
  char body[1024], detail[200];
#define X(code, expression)                                                                         \
  {                                                                                                 \
    SimText why = {0};                                                                              \
    bool good;                                                                                      \
    if (!strstr(code, "atom")) body[0] = 0;                                                         \
    else snprintf(body, sizeof body, "setp.eq.u32 %%p2, %%r1, 0;\n@%%p2 st.shared.u32 [%%r4], 0;\n"  \
                                     "bar.warp.sync -1;\n");                                        \
    strcat(body, code "\nst.global.u32 [%rd3], %r10;");                                             \
    SimFault fault = run(body, 1, 32, out, &why);                                                   \
    good = fault == SIM_FAULT_NONE;                                                                 \
    snprintf(detail, sizeof detail, "%s", why.text ? why.text : "");                                \
    for (uint32_t i = 0; good && i < 32; i++)                                                       \
      if (out[i] != (uint32_t)(expression)) {                                                       \
        good = false;                                                                               \
        snprintf(detail, sizeof detail, "lane %u: %08x, not %08x", i, out[i], (uint32_t)(expression)); \
      }                                                                                             \
    verdict(t, good, "value", code, detail);                                                        \
    sim_text_release(&why);                                                                         \
  }
  CASES(X)
#undef X
}

/* ---- checks ---------------------------------------------------------------------------------- */

typedef struct { const char *name; SimFault fault; uint32_t blocks, threads; const char *bad, *good; } Check;

#define READ_NEXT "add.s32 %r6, %r2, 128; and.b32 %r6, %r6, 255; add.s32 %r6, %r6, %r4; ld.shared.u32 %r7, [%r6];"
#define TICKET(fence)                                                                                \
  "mul.wide.u32 %rd4, %r3, 256; add.s64 %rd5, %rd3, %rd4; st.global.u32 [%rd5+1024], %r3;" fence       \
  "bar.sync 0; setp.ne.u32 %p1, %r1, 0; @%p1 bra D; atom.global.add.u32 %r6, [%rd1], 1;"             \
  "st.shared.u32 [%r4], %r6; D: bar.sync 0; ld.shared.u32 %r6, [%r4]; setp.ne.u32 %p2, %r6, 3;"      \
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
  {"out of bounds", SIM_FAULT_ADDRESS, 1, 32, "st.global.u32 [%rd3+16384], %r1;", "st.global.u32 [%rd3+16256], %r1;"},
  {"before the begin", SIM_FAULT_ADDRESS, 1, 32, "ld.global.u32 %r6, [%rd3+-4];", "ld.global.u32 %r6, [%rd3];"},
  {"beyond shared memory", SIM_FAULT_ADDRESS, 1, 32, "st.shared.u32 [%r5+4000], %r1;", "st.shared.u32 [%r5+3968], %r1;"},
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
  {"barrier in diverged code", SIM_FAULT_BARRIER, 1, 32, "setp.lt.u32 %p1, %r1, 9; @%p1 bra A; bar.sync 0; A:",
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
  static uint32_t out[4096];
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
                                     "bra nowhere;"};
  static uint32_t out[4096];
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
  checks_run(&t);
  refusals_run(&t);
  printf("%u passed, %u failed, 0 skipped\n", t.passed, t.failed);
  return t.failed || !t.passed;
}
