/* part.h: what the files of the simulated device share.
 *
 * A module is decoded once: every function becomes an array of Instructions whose operands are
 * offsets of 32-lane vectors. A warp executes an instruction for all its lanes at once; a
 * predicate is a mask of lanes. Lanes that went different ways are groups with a program counter
 * each, of which the one furthest behind runs, until counters meet.
 *
 *   text.c      growing text, JSON, pools         memory.c    allocations, addresses, copies
 *   lex.c       tokens and names of PTX           shared.c    shared memory and its shadow
 *   parse.c     modules and symbols               race.c      what orders blocks of a launch
 *   decode.c    functions, operands               access.c    loads and stores
 *   form*.c     instructions with modifiers       async.c     asynchronous copies
 *   assign.c    registers written before read     together.c  atomics, shuffles, mma
 *   ptx.def     the elementwise instructions      execute.c   the warp
 *   lanes.inc   their code, built twice           block.c     a block: its warps and barriers
 *   counters.c  what was counted                  launch.c    a launch: threads, grid
 *   report.c    faults in words                                                            */
#ifndef LCW_SIM_PART_H
#define LCW_SIM_PART_H
#include "sim.h"
#include <pthread.h>

enum {
  LANES = 32,
  MAX_WARPS = 32,
  VECTOR = 4 * LANES, /* bytes of a register of 32 bits */
  NONE = -1
};
typedef uint32_t Mask; /* of lanes */
#define ALL_LANES 0xffffffffu
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

/* The windows of generic addresses; global memory lies below both. */
#define SHARED_WINDOW (UINT64_C(1) << 56)
#define LOCAL_WINDOW (UINT64_C(1) << 57)

/* ---- memory of a load or a Sim --------------------------------------------------------------- */

/* Everything of a module lies in its pool and goes with it. */
typedef struct PoolChunk PoolChunk;
typedef struct { PoolChunk *last; } Pool;
void *pool_alloc(Pool *p, size_t bytes); /* zeroed */
void pool_release(Pool *p);
/* Doubles an array of the pool when it is full. */
void *pool_grow(Pool *p, void *array, size_t used, size_t *room, size_t each);

void sim_text_json(SimText *t, const char *s); /* quoted and escaped */

/* ---- instructions ---------------------------------------------------------------------------- */

/* A vector: an offset in the registers of the warp, or with CONSTANT in those of the function. */
typedef uint32_t Operand;
#define CONSTANT 0x80000000u
#define NO_OPERAND 0x7fffffffu

typedef enum { SPACE_GENERIC, SPACE_GLOBAL, SPACE_SHARED, SPACE_LOCAL, SPACE_PARAM } Space;

/*      name            class          what executes it                                        */
#define KINDS(X)                                                                                 \
  X(LANES,       integer)       X(COMPARE,     integer)       X(SELECT,     move)                \
  X(LOGIC,       integer)       X(SPECIAL,     move)          X(PACK,       move)                \
  X(UNPACK,      move)          X(PARAMETER,   other_access)  X(LOAD,       global_access)       \
  X(STORE,       global_access) X(ATOMIC,      atomic)        X(COPY,       async_copy)          \
  X(COMMIT,      async_copy)    X(WAIT,        async_copy)    X(MATRIX,     shared_access)       \
  X(MULTIPLY,    matrix)        X(SHUFFLE,     warp)          X(VOTE,       warp)                \
  X(BARRIER,     control)       X(WARP_SYNC,   control)       X(FENCE,      control)             \
  X(BRANCH,      control)       X(RETURN,      control)       X(TRAP,       control)

typedef enum {
#define X(name, class) KIND_##name,
  KINDS(X)
#undef X
  KIND_COUNT
} Kind;

/* The classes are counters of sim.h. */
typedef enum {
  CLASS_integer, CLASS_floating, CLASS_special, CLASS_convert, CLASS_move, CLASS_control,
  CLASS_global_access, CLASS_shared_access, CLASS_other_access, CLASS_async_copy, CLASS_matrix,
  CLASS_warp, CLASS_atomic, CLASS_COUNT
} Class;

typedef void LanesRun(void *d, const void *const *s);
typedef Mask CompareRun(const void *a, const void *b);

enum { MAX_FROM = 12, MAX_TO = 4 };
typedef struct {
  uint8_t kind, class;
  bool guard_not, checked, tracked; /* reads, writes registers that may be unwritten */
  uint8_t nto, nfrom;
  uint8_t space, size, vector;      /* of an access: bytes of an element, elements */
  uint8_t is_signed, mode, wide;    /* wide: 64-bit addresses */
  uint8_t register_bytes;           /* of what is loaded or stored, per lane */
  bool release;                     /* an atomic that is a fence, too */
  int32_t guard;                    /* predicate, NONE */
  Operand to[MAX_TO], from[MAX_FROM]; /* predicates: their numbers */
  int64_t immediate;                /* offset of an address, literal */
  uint32_t target;                  /* of a branch: index; labels before they are resolved */
  union { LanesRun *lanes; CompareRun *compare; } run;
} Instruction;

enum { ACCESS_WEAK, ACCESS_READ_ONLY, ACCESS_SYNC };  /* mode of LOAD, STORE */
enum { SHUFFLE_BFLY, SHUFFLE_DOWN, SHUFFLE_UP, SHUFFLE_IDX };
enum { VOTE_ALL, VOTE_ANY, VOTE_UNI, VOTE_BALLOT, VOTE_ACTIVE };
enum { LOGIC_SET, LOGIC_MOV, LOGIC_NOT, LOGIC_AND, LOGIC_OR, LOGIC_XOR };
enum { FENCE_BLOCK, FENCE_DEVICE };
/*             name  over 32 bits; `a` is in memory                                              */
#define ATOMICS(X)                                                                               \
  X(add, a + b) X(inc, a >= b ? 0 : a + 1) X(dec, a == 0 || a > b ? b : a - 1) X(exch, b)         \
  X(min, a < b ? a : b) X(max, a > b ? a : b) X(and, a & b) X(or, a | b) X(xor, a ^ b)            \
  X(cas, a == b ? c : a)
typedef enum {
#define X(name, value) ATOMIC_##name,
  ATOMICS(X)
#undef X
  ATOMIC_COUNT
} Atomic;

/* Special registers, in the order of their names in form.c. */
typedef enum {
  SPECIAL_TID_X, SPECIAL_TID_Y, SPECIAL_TID_Z, SPECIAL_NTID_X, SPECIAL_NTID_Y, SPECIAL_NTID_Z,
  SPECIAL_CTAID_X, SPECIAL_CTAID_Y, SPECIAL_CTAID_Z, SPECIAL_NCTAID_X, SPECIAL_NCTAID_Y,
  SPECIAL_NCTAID_Z, SPECIAL_LANE, SPECIAL_WARP, SPECIAL_NWARP, SPECIAL_MASK_EQ, SPECIAL_MASK_LT,
  SPECIAL_MASK_LE, SPECIAL_MASK_GT, SPECIAL_MASK_GE, SPECIAL_CLOCK,
  SPECIAL_DYNAMIC_SHARED /* where that begins; has no name */
} Special;

/* The table ptx.def and its code; lanes.inc builds it for the instruction set it is told. */
typedef struct {
  const char *text;
  uint8_t kind, class, nfrom, to, from[4]; /* bytes of a lane of each operand */
} Operation;
typedef struct {
  LanesRun *const *lanes;
  CompareRun *const *compare;
  /* Addresses of lanes: a + offset, and their extremes; lanes out of the mask get the first one's.
   * Returns whether lane i is at the first + i * bytes. */
  bool (*addresses)(uint64_t *out, const void *base, bool wide, int64_t offset, Mask mask,
                    uint32_t bytes, uint64_t range[3]);
  void (*select)(void *d, const void *a, const void *b, Mask mask, uint32_t bytes);
  void (*multiply)(void *const *d, const void *const *from, bool bf16); /* mma; see lanes.inc */
} LanesTable;
extern const Operation operation[];
extern const size_t operation_count;
extern const LanesTable lanes_plain, lanes_fast;
const LanesTable *lanes_here(void); /* what this processor can run */

/* ---- modules --------------------------------------------------------------------------------- */

typedef struct { uint32_t ptx, file, line, outer_file, outer_line; } Place;

/* A part of shared memory with a name, for reports. */
typedef struct { const char *name; uint32_t offset, bytes; } SharedPart;

struct SimFunction {
  SimFunctionInfo info;
  SimModule *module;
  Instruction *code;
  Place *place;                    /* of each instruction */
  uint32_t ncode, file_bytes, npredicate;
  uint8_t *constants;              /* vectors */
  SharedPart *part;
  uint32_t npart;
  uint32_t granule;                /* log2 of the bytes that a shadow of shared memory stands for */
  bool watched;                    /* some registers are: see assign.c */
  bool dynamic;                    /* uses dynamic shared memory */
  uint32_t dynamic_align;
  bool ordered;                    /* has global atomics: blocks keep their order at them */
};

struct SimModule {
  Sim *sim;
  Pool pool;
  const char *name;
  SimFunction **function;
  size_t nfunction, room_function;
  const char **file;               /* names of .file, by number */
  size_t nfile, room_file;
  uint64_t *owned;                 /* addresses of its variables */
  size_t nowned, room_owned;
  struct Variable { const char *name; uint64_t address, bytes; } *variable;
  size_t nvariable, room_variable;
  uint32_t ptx_version, architecture, constants;
  struct SimModule *next;
};

/* ---- device memory --------------------------------------------------------------------------- */

/* Who touched four bytes of global memory last in which launch; race.c knows the fields. */
typedef struct { uint64_t write, read; } Cell;

typedef struct {
  uint64_t begin, bytes;
  uint8_t *data;
  uint8_t *written;  /* a bit for each byte */
  Cell *cell;        /* for each four bytes */
  char name[32];
  bool of_module;
} Allocation;

typedef struct {
  Allocation **at; /* by address */
  size_t n, room;
  uint64_t used, total, next;
} Memory;

Allocation *memory_find(const Memory *m, uint64_t address);
void memory_release(Memory *m);
uint64_t memory_alloc(Sim *sim, uint64_t bytes, bool of_module);
void bits_set(uint8_t *bits, uint64_t first, uint64_t n);
bool bits_all(const uint8_t *bits, uint64_t first, uint64_t n);

/* ---- a launch -------------------------------------------------------------------------------- */

typedef struct Launch Launch;
typedef struct Block Block;

/* Lanes of a warp that are at the same place. held: before an instruction that wants all lanes,
 * until the others come; forced: they can't come any more. */
typedef struct { uint32_t pc; Mask mask; bool waiting, held, forced; } Group;

/* An asynchronous copy that is under way. */
typedef struct {
  Mask mask;
  uint32_t bytes, group, pc;
  uint32_t to[LANES], valid[LANES]; /* bytes read; the rest are zeros */
  const uint8_t *from[LANES];
} Copy;

typedef struct {
  Block *block;
  uint32_t index;
  uint8_t *file;                /* registers */
  Mask *predicate;
  Mask *written, *written_predicate;
  uint8_t *local;               /* info.local bytes a thread */
  Mask began, live;             /* lanes that there are; that have not returned */
  Group group[LANES];
  uint32_t ngroup;
  uint32_t barrier_pc;          /* where it waits */
  bool left;                    /* ended before others reached a barrier, and that was told */
  uint32_t sync;                /* warp synchronisations in this epoch */
  uint64_t loops;               /* branches backwards */
  Copy *copy;
  size_t ncopy, room_copy;
  uint32_t copy_group;          /* number of the open group */
  Mask dirty, fenced;           /* since the barrier: lanes with unfenced writes; that fenced */
} Warp;

struct Block {
  Launch *launch;
  const SimFunction *f;
  const LanesTable *lanes;
  uint32_t index, id[3];        /* linear, x y z */
  uint32_t nthread, nwarp;
  SimChecks checks;
  bool counting, stop;          /* stop: a fault ended it */
  uint8_t *shared;
  uint32_t shared_bytes;
  uint32_t *shadow_write, *shadow_read;
  uint32_t epoch;               /* barriers passed, for the shadow: wraps; from 2 */
  uint32_t barriers;            /* the same, for global memory: does not wrap */
  bool dirty;                   /* global writes of earlier epochs that nobody fenced */
  struct Acquired *acquired;    /* what it knows of other blocks: race.c */
  size_t nacquired, room_acquired;
  uint64_t known_write;         /* the last cell found to be ordered before this block */
  Warp warp[MAX_WARPS];
  Allocation **hint;            /* per instruction: the allocation of its last access */
  uint64_t *count;              /* per instruction: executed */
  SimCounters tally;            /* the other counters */
};

/* A mistake, as one instruction made it. */
typedef struct {
  SimFault fault;
  uint32_t pc, block, thread; /* thread: linear in the block */
  uint64_t times;
  SimText text;
} Mistake;
enum { MAX_MISTAKES = 16 };

struct Launch {
  Sim *sim;
  const SimLaunch *what;
  const SimFunction *f;
  uint32_t nblock;
  uint64_t serial;              /* number of the launch, in cells */
  pthread_mutex_t lock;
  pthread_cond_t advanced;
  uint32_t next, done_below;    /* first block not begun; all below it are done */
  uint8_t *done;
  bool stop;
  Mistake mistake[MAX_MISTAKES];
  size_t nmistake;
  uint64_t more;                /* mistakes beyond the table */
  struct SyncVariable *sync;    /* race.c */
  size_t nsync, room_sync;
  SimCounters tally;
};

struct Sim {
  SimSettings settings;
  bool count_memory;
  Memory memory;
  SimModule *modules;
  struct Names *names;          /* hash of ptx.def: lex.c */
  const LanesTable *lanes;
  struct Counted { char *name; SimCounters counters; } *counted;
  size_t ncounted, room_counted;
  SimCounters total;
  uint64_t serial;
  struct Workers *workers;      /* launch.c */
};

/* ---- between the files ----------------------------------------------------------------------- */

static inline const void *warp_vector(const Warp *w, Operand o) {
  return (o & CONSTANT ? w->block->f->constants : w->file) + (o & ~CONSTANT);
}
static inline Mask lane_bit(uint32_t lane) { return (Mask)1 << lane; }
#define EACH_LANE(lane, mask)                                                                    \
  for (Mask each_ = (mask); each_ && ((lane) = (uint32_t)__builtin_ctz(each_), true);              \
       each_ &= each_ - 1)

/* An access of a warp: where each of its lanes goes. */
typedef struct {
  const Instruction *n;
  uint32_t pc, bytes;     /* of a lane */
  Mask mask;
  uint8_t space;          /* never SPACE_GENERIC */
  bool packed;            /* lane i at address[0] + i * bytes, all lanes */
  uint64_t address[LANES];
  uint8_t *host;          /* of address 0 of that space, or of its allocation */
  uint64_t base;          /* of its allocation, else 0 */
  Allocation *in;         /* of global memory */
} Access;
typedef struct { uint8_t space; bool wide; Operand base; int64_t offset; uint32_t bytes; } Where;

static inline uint8_t *access_host(const Access *a, uint32_t lane) {
  return a->host + (a->address[lane] - a->base);
}

/* execute.c: runs a warp until all its lanes wait at a barrier or have ended. */
void warp_run(Warp *w);
/* Writes a vector to a register, in some lanes. */
void warp_result(Warp *w, Operand to, uint32_t bytes, Mask mask, const void *vector);
/* Whether all living lanes of `wanted` are in the mask; else a fault. */
bool warp_together(Warp *w, uint32_t pc, Mask wanted, Mask mask, const char *what);

/* block.c */
void block_run(Block *b, uint32_t index);
bool block_create(Block *b, Launch *l);
void block_release(Block *b);

/* access.c: the lanes that an access is done for at once (those in the window of the first);
 * 0 after a fault. */
Mask access_begin(Warp *w, const Instruction *n, uint32_t pc, Where where, Mask mask, Access *a);
void access_read(Warp *w, const Access *a);   /* the checks of a read */
void access_write(Warp *w, const Access *a);  /* of a write */
void warp_load(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_store(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_parameter(Warp *w, const Instruction *n, Mask mask);

/* together.c: what lanes do together. */
void warp_atomic(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_matrix(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_multiply(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_shuffle(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_vote(Warp *w, const Instruction *n, uint32_t pc, Mask mask);

/* async.c */
void warp_copy(Warp *w, const Instruction *n, uint32_t pc, Mask mask);
void warp_copy_wait(Warp *w, uint32_t before); /* groups before that number have arrived */

/* shared.c: who touched which part of shared memory since the last barrier. */
void shared_read(Warp *w, const Access *a);
void shared_write(Warp *w, const Access *a);
void shared_in_flight(Warp *w, const Access *a);
void shared_landed(Warp *w, uint32_t lane, uint32_t at, uint32_t bytes);
void shared_barrier(Block *b);
void shared_warp_sync(Warp *w);
void shared_clear(Block *b);
void shared_describe(const Block *b, uint64_t at, SimText *out);

/* race.c: cells of global memory, and what atomics order. */
void race_read(Warp *w, const Access *a);
void race_write(Warp *w, const Access *a);
void race_atomic(Warp *w, const Access *a);
void race_fence(Warp *w, Mask mask);
void race_barrier(Block *b);
void race_release(Launch *l);
void launch_wait_turn(Block *b);

/* report.c */
void fault_report(const Warp *w, SimFault fault, uint32_t pc, uint32_t lane, const char *format,
                  ...)
    __attribute__((format(printf, 5, 6)));
void launch_describe(Launch *l, SimText *report);

/* launch.c */
void workers_end(Sim *sim);
/* counters.c */
void counters_take(Launch *l, Block *b);
void counters_finish(Launch *l);
void counters_release(Sim *sim);
void counters_access(Block *b, const Access *a, bool shared);

/* lex.c: a token is a part of the text. */
typedef struct { const char *at; uint32_t length, line; } Token;
typedef struct { const char *at, *end; uint32_t line; Token token; } Lexer;
void lex_begin(Lexer *l, const char *text, size_t length);
void lex_next(Lexer *l);
void lex_skip_line(Lexer *l);
bool token_is(const Token *t, const char *text);

/* Names of registers, variables, labels: the last one of that name that is in scope. */
typedef enum { SYMBOL_REGISTERS, SYMBOL_PREDICATES, SYMBOL_SHARED, SYMBOL_GLOBAL, SYMBOL_LOCAL,
               SYMBOL_PARAMETER, SYMBOL_FUNCTION, SYMBOL_LABEL } SymbolKind;
typedef struct Symbol {
  Token name;
  SymbolKind kind;
  uint32_t count;              /* registers %r0 .. %r(count-1); 0: one without a number */
  uint32_t bytes, align;       /* of a register, a variable */
  uint64_t at;                 /* slot, offset, address or number of a label */
  const SimFunction *owner;    /* the function in whose shared memory it has a place */
  bool dynamic;
  Lexer body;                  /* of a device function, from its parameters on */
  Token result;                /* name of its result, if it has one */
  uint32_t result_bytes;
  struct Symbol *next;         /* in the hash */
  struct Symbol *before;       /* declared before it */
} Symbol;
enum { SYMBOL_HASH = 1024 };
typedef struct { Symbol *hash[SYMBOL_HASH]; Symbol *last; } Symbols;
Symbol *symbol_add(Symbols *s, Pool *pool, Token name, SymbolKind kind);
Symbol *symbol_find(const Symbols *s, Token name);
void symbols_leave(Symbols *s, Symbol *mark); /* forgets what was added after `mark` */
int operation_find(const Sim *sim, Token text);
struct Names *names_create(void);

/* parse.c, decode.c, form.c: one load under way. */
typedef struct Loader {
  Sim *sim;
  SimModule *module;
  Pool *pool;                  /* of the module */
  Lexer lex;
  Symbols symbols;
  SimText *why;
  bool failed;
  SimFunction *f;              /* the function being decoded, and its arrays' room */
  size_t room_code, room_place, room_part, room_constants;
  struct { uint64_t value; uint32_t bytes; } *literal; /* each has a vector in f->constants */
  uint32_t nliteral;
  size_t room_literal;
  uint32_t depth;              /* of inlined calls */
  uint32_t leave;              /* label that `ret` of an inlined call goes to */
  Place place;
  uint32_t *label;             /* index of the instruction of each label */
  size_t nlabel, room_label;
  Symbols *labels;             /* their names, of this body */
} Loader;
bool load_fail(Loader *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool load_expect(Loader *l, const char *text);
bool load_accept(Loader *l, const char *text);
bool load_number(Loader *l, uint64_t *value);
bool load_parameters(Loader *l, SimFunction *f);
bool load_variable(Loader *l, bool in_function);
const char *load_name(Loader *l, Token name);
typedef struct { uint32_t bytes, align, count; Token name; bool open; } Declared;
bool load_declared(Loader *l, Declared *d); /* .align 4 .b8 name[16] */
bool decode_function(Loader *l);            /* from { to } */
bool decode_call(Loader *l);
uint32_t label_new(Loader *l);
uint32_t label_named(Loader *l, Token name);
Instruction *code_add(Loader *l, const Instruction *n);
Operand register_new(Loader *l, uint32_t bytes);
void special_add(Loader *l, Special which, Operand to, uint32_t bytes);
Symbol *local_add(Loader *l, Token name, uint32_t bytes, uint32_t align);
/* Operands. */
bool operand_read(Loader *l, uint32_t bytes, Operand *out);
bool operand_list(Loader *l, uint32_t bytes, Operand *out, uint8_t *n, uint32_t most);
bool operand_register(Loader *l, Operand *out, uint32_t *bytes);
bool operand_registers(Loader *l, Operand *out, uint8_t *n, uint32_t most, uint32_t *bytes);
bool operand_predicate(Loader *l, Operand *out);
bool operand_symbol(Loader *l, const Symbol *s, uint64_t *address);
bool operand_is_predicate(const Instruction *n, uint32_t index, bool to);
bool operand_address(Loader *l, Instruction *n, Operand *base);
Operand operand_constant(Loader *l, uint64_t value, uint32_t bytes);
bool form_decode(Loader *l, Token text, Instruction *n); /* instructions with modifiers */
void assign_check(Loader *l);                              /* fills checked and tracked */

#endif
