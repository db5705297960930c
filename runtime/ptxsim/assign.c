/* assign.c: which registers are written before they are read on every way through a function. Only
 * the others are watched when it runs: instructions that write one are `tracked`, those that
 * read one are `checked`. The usual bits over basic blocks: a register is assigned at the begin
 * of a block if it is at the end of all blocks before it. */
#include "part.h"
#include <stdlib.h>
#include <string.h>

typedef struct { uint32_t begin, end; } Run; /* of instructions */
typedef struct {
  const SimFunction *f;
  uint32_t words;            /* of a set */
  uint64_t *in, *watched;    /* a set for each run; registers to be watched */
  Run *run;
  uint32_t nrun, *run_of;    /* of each instruction */
  bool watching;
} Assign;

/* Vectors first, by their 32 bits, then predicates. */
static uint32_t set_index(const SimFunction *f, Operand o, bool predicate) {
  return predicate ? f->file_bytes / VECTOR + o : o / VECTOR;
}
static bool set_has(const uint64_t *set, uint32_t i) { return set[i / 64] >> i % 64 & 1; }
static void set_add(uint64_t *set, uint32_t i) { set[i / 64] |= UINT64_C(1) << i % 64; }

static bool ends_run(const Instruction *n) {
  return n->kind == KIND_BRANCH || n->kind == KIND_RETURN || n->kind == KIND_TRAP;
}

/* Cuts the code where a branch goes to or comes from. */
static void runs_find(Assign *a) {
  const SimFunction *f = a->f;
  bool *first = calloc(f->ncode + 1, sizeof *first);
  if (!first) abort();
  first[0] = true;
  for (uint32_t i = 0; i < f->ncode; i++) {
    const Instruction *n = &f->code[i];
    if (ends_run(n)) first[i + 1] = true;
    if (n->kind == KIND_BRANCH) first[n->target] = true;
  }
  for (uint32_t i = 0; i < f->ncode; i++) {
    if (first[i]) a->run[a->nrun++].begin = i;
    a->run[a->nrun - 1].end = i + 1;
    a->run_of[i] = a->nrun - 1;
  }
  free(first);
}

/* What a run that begins with `set` has assigned at its end. */
static void run_pass(const Assign *a, const Run *r, uint64_t *set) {
  for (uint32_t i = r->begin; i < r->end; i++) {
    const Instruction *n = &a->f->code[i];
    for (uint32_t j = 0; n->guard == NONE && j < n->nto; j++)
      set_add(set, set_index(a->f, n->to[j], operand_is_predicate(n, j, true)));
  }
}

/* The set at the begin of a run shrinks to what this way to it brings; true if it did. */
static bool run_meet(Assign *a, uint32_t run, const uint64_t *set) {
  uint64_t *in = a->in + (size_t)run * a->words, lost = 0;
  for (uint32_t w = 0; w < a->words; w++) lost |= in[w] & ~set[w], in[w] &= set[w];
  return lost != 0;
}

static void sets_settle(Assign *a, uint64_t *set) {
  memset(a->in, 0xff, (size_t)a->nrun * a->words * sizeof *a->in);
  memset(a->in, 0, a->words * sizeof *a->in);
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t r = 0; r < a->nrun; r++) {
      const Instruction *last = &a->f->code[a->run[r].end - 1];
      memcpy(set, a->in + (size_t)r * a->words, a->words * sizeof *set);
      run_pass(a, &a->run[r], set);
      bool goes_on = !ends_run(last) || last->guard != NONE;
      if (goes_on && r + 1 < a->nrun) changed |= run_meet(a, r + 1, set);
      if (last->kind == KIND_BRANCH) changed |= run_meet(a, a->run_of[last->target], set);
    }
  }
}

/* Marks readers of registers that are not assigned for sure. */
static void reads_mark(Assign *a, uint32_t r, uint64_t *set) {
  memcpy(set, a->in + (size_t)r * a->words, a->words * sizeof *set);
  for (uint32_t i = a->run[r].begin; i < a->run[r].end; i++) {
    Instruction *n = &a->f->code[i];
    for (uint32_t j = 0; j < (uint32_t)n->nfrom + (n->guard != NONE); j++) {
      bool guard = j == n->nfrom, predicate = guard || operand_is_predicate(n, j, false);
      Operand o = guard ? (Operand)n->guard : n->from[j];
      if ((!predicate && (o & CONSTANT)) || set_has(set, set_index(a->f, o, predicate))) continue;
      n->checked = a->watching = true;
      set_add(a->watched, set_index(a->f, o, predicate));
    }
    run_pass(a, &(Run){i, i + 1}, set);
  }
}

static void writes_mark(Assign *a) {
  for (uint32_t i = 0; i < a->f->ncode; i++) {
    Instruction *n = &a->f->code[i];
    for (uint32_t j = 0; j < n->nto; j++)
      n->tracked |=
          set_has(a->watched, set_index(a->f, n->to[j], operand_is_predicate(n, j, true)));
  }
}

/* Fills checked and tracked of a function's instructions. */
void assign_check(Loader *l) {
  Assign a = {.f = l->f, .words = (l->f->file_bytes / VECTOR + l->f->npredicate) / 64 + 1};
  a.run = calloc(l->f->ncode + 1, sizeof *a.run);
  a.run_of = calloc(l->f->ncode + 1, sizeof *a.run_of);
  if (!a.run || !a.run_of) abort();
  runs_find(&a);
  a.in = malloc((size_t)a.nrun * a.words * sizeof *a.in);
  a.watched = calloc(a.words, sizeof *a.watched);
  uint64_t *set = malloc(a.words * sizeof *set);
  if (!a.in || !a.watched || !set) abort();
  sets_settle(&a, set);
  for (uint32_t r = 0; r < a.nrun; r++) reads_mark(&a, r, set);
  writes_mark(&a);
  l->f->watched = a.watching;
  free(a.run), free(a.run_of), free(a.in), free(a.watched), free(set);
}
