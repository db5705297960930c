/* runtime_checkpoint.c: a checkpoint comes back bit for bit; any damage is refused; a loss of
 * power at any moment loses nothing that was said to be saved; any call may fail. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "checkpoint.h"
#include "export.h"
#include "hash.h"
#include "plan_check.h"
#include "scratch.h"
#include "tiny_plan.h"

static Scratch scratch;
static Device *device;

static const TrainState begun = {.step = 40,
                                 .epoch = 1,
                                 .position = 9,
                                 .seed = 1,
                                 .fingerprint = 77,
                                 .loss = 0.1,
                                 .hits = 3,
                                 .samples = 5,
                                 .best_loss = 0.25};

/* Every byte of the arena from one number, so that two versions differ everywhere. */
static void fill_arena(uint32_t seed) {
  unsigned char arena[8192];
  for (size_t i = 0; i < sizeof arena; i++) arena[i] = (unsigned char)(i * 31 + seed * 17);
  device->put(device, 0, arena, sizeof arena);
}

static bool save_in(const Io *io, int dir, uint64_t step, Fault *f) {
  DurableFile file = {dir, "run", CHECKPOINT_LAST, CHECKPOINT_PREVIOUS, 0600};
  TrainState s = begun;
  s.step = step;
  return checkpoint_save(io, &file, &lcw_plan.plan, device, &s, f);
}

static int open_scratch(void) {
  int dir = open(scratch.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  assert_true(dir >= 0);
  return dir;
}

/* ---- round trip -------------------------------------------------------------------------- */

static void round_trip(void **state) {
  Fault f = {0};
  Checkpoint c;
  TrainState s;
  unsigned char before[2064], after[2064];
  int dir = open_scratch();
  (void)state;
  fill_arena(1);
  device->get(device, before, 2432, sizeof before);
  if (!save_in(&io_system, dir, 40, &f)) fail_msg("%s", f.text);
  fill_arena(2);
  if (!checkpoint_open(&c, dir, CHECKPOINT_LAST, "run", &f)) fail_msg("%s", f.text);
  assert_true(checkpoint_load(&c, &lcw_plan.plan, device, &f) && checkpoint_state(&c, &s, &f));
  device->get(device, after, 2432, 1024 + 16); /* linear.v, linear.bias */
  assert_memory_equal(before, after, 1024 + 16);
  assert_true(s.step == 40 && s.position == 9 && s.loss == 0.1 && s.best_loss == 0.25 &&
              s.fingerprint == 77);
  assert_string_equal(checkpoint_meta(&c, "source"), "net tiny(...)\n");
  assert_string_equal(checkpoint_meta(&c, "fold.linear.v"), "0:64");
  assert_null(checkpoint_meta(&c, "fold.linear.bias"));
  checkpoint_close(&c);
  close(dir);
}

/* A run without classes has no hits, and one that was never tested no best loss. */
static void numbers_that_are_none(void **state) {
  DurableFile file = {open_scratch(), "run", "none.safetensors", NULL, 0600};
  TrainState s = {.hits = NAN, .best_loss = INFINITY}, back;
  Checkpoint c;
  Fault f = {0};
  (void)state;
  assert_true(checkpoint_save(&io_system, &file, &lcw_plan.plan, device, &s, &f));
  assert_true(checkpoint_open(&c, file.dir, file.name, "run", &f) &&
              checkpoint_state(&c, &back, &f));
  assert_true(isnan(back.hits) && isinf(back.best_loss) && back.best_loss > 0);
  checkpoint_close(&c);
  close(file.dir);
}

/* What a checkpoint of another network lacks is named. */
static void other_network(void **state) {
  Fault f = {0};
  Checkpoint c;
  TinyPlan *p = tiny_plan_new();
  int dir = open_scratch();
  (void)state;
  assert_true(p && save_in(&io_system, dir, 40, &f) &&
              checkpoint_open(&c, dir, CHECKPOINT_LAST, "run", &f));
  strcpy(p->text.buf[7], "linear.other");
  assert_false(checkpoint_load(&c, &p->plan, device, &f));
  assert_non_null(strstr(f.text, "linear.other"));
  p->buf[6].dim[0] = 32;
  p->buf[6].dim[1] = 8;
  assert_false(checkpoint_load(&c, &p->plan, device, &f));
  assert_non_null(strstr(f.text, "linear.v"));
  assert_int_equal(f.code, LCW_DATA);
  checkpoint_close(&c);
  free(p);
  close(dir);
}

/* What was computed comes back for the plan and the kind of device that did, and for no other; what
 * of it is not there is named. */
static void computed(void **state) {
  Fault f = {0};
  Checkpoint c;
  TinyPlan *p = tiny_plan_new();
  DurableFile file = {open_scratch(), "run", "computed.safetensors", NULL, 0600};
  unsigned char before[1024], after[1024];
  Device other = *device;
  (void)state;
  assert_non_null(p);
  PlanBuf *b = &p->buf[9];
  strcpy(p->text.buf[9], "linear~11");
  b->computed = 1;
  fill_arena(1);
  device->get(device, before, b->offset, sizeof before);
  if (!checkpoint_save(&io_system, &file, &p->plan, device, &begun, &f)) fail_msg("%s", f.text);
  if (!checkpoint_open(&c, file.dir, file.name, "run", &f)) fail_msg("%s", f.text);
  fill_arena(2);
  if (!checkpoint_load(&c, &p->plan, device, &f)) fail_msg("%s", f.text);
  device->get(device, after, b->offset, sizeof after);
  assert_memory_not_equal(before, after, sizeof before);
  assert_true(checkpoint_same_work(&c, &p->plan, device));
  assert_true(checkpoint_load_computed(&c, &p->plan, device, &f));
  device->get(device, after, b->offset, sizeof after);
  assert_memory_equal(before, after, sizeof before);
  other.isa = "sm_80";
  assert_false(checkpoint_same_work(&c, &p->plan, &other));
  p->kernel[1].chunks++;
  assert_false(checkpoint_same_work(&c, &p->plan, device));
  assert_false(checkpoint_same_work(&c, &lcw_plan.plan, device));
  assert_true(checkpoint_load(&c, &lcw_plan.plan, device, &f));
  strcpy(p->text.buf[9], "linear~12");
  assert_false(checkpoint_load_computed(&c, &p->plan, device, &f));
  assert_non_null(strstr(f.text, "linear~12"));
  checkpoint_close(&c);
  free(p);
  close(file.dir);
}

/* ---- damage ------------------------------------------------------------------------------ */

static void must_refuse(const void *p, size_t n, const char *what, size_t at) {
  Checkpoint c;
  Fault f = {0};
  const char *path = scratch_path(&scratch, "bad.safetensors");
  scratch_write(path, p, n);
  if (checkpoint_open(&c, AT_FDCWD, path, NULL, &f)) fail_msg("accepted: %s at %zu", what, at);
  assert_true(f.code == LCW_DATA || f.code == LCW_LIMIT);
  assert_non_null(strstr(f.text, "bad.safetensors"));
}

static unsigned char *good_file(size_t *n) {
  Fault f = {0};
  int dir = open_scratch();
  fill_arena(1);
  assert_true(save_in(&io_system, dir, 40, &f));
  close(dir);
  return scratch_read(scratch_path(&scratch, CHECKPOINT_LAST), n);
}

/* Every byte changed, every length. */
static void any_damage(void **state) {
  size_t n;
  unsigned char *p = good_file(&n), *longer = calloc(n + 16, 1);
  (void)state;
  assert_non_null(longer);
  for (size_t i = 0; i < n; i++) {
    p[i] ^= (unsigned char)(1u << i % 8);
    must_refuse(p, n, "a changed bit", i);
    p[i] ^= (unsigned char)(1u << i % 8);
  }
  for (size_t i = 0; i < n; i += i < 200 || i > n - 200 ? 1 : 13)
    must_refuse(p, i, "a cut file", i);
  memcpy(longer, p, n);
  must_refuse(longer, n + 1, "a byte more", n);
  must_refuse(longer, n + 16, "sixteen bytes more", n);
  free(longer);
  free(p);
}

/* Headers that a liar wrote, with a right checksum: `from` is replaced by `to` in a good one. */
static void lies(void **state) {
  static const struct { const char *from, *to;
  } lie[] = {
      {"\"shape\":[4],", "\"shape\":[5],"},
      {"\"shape\":[4],", "\"shape\":[4,1,1,1,1,1,1],"},
      {"\"shape\":[4],", "\"shape\":[-4],"},
      {"\"shape\":[4],", "\"shape\":[4.0],"},
      {"\"shape\":[4],", "\"shape\":[04],"},
      {"\"shape\":[4],", "\"shape\":[18446744073709551620],"},
      {"\"shape\":[64,4],", "\"shape\":[2147483647,2147483647,2147483647],"},
      {"\"shape\":[64,4],", "\"shape\":[4294967296,0],"},
      {"\"shape\":[4],", "\"shape\":4,"},
      {"\"shape\":[4],", ""},
      {"\"shape\":[4],", "\"shape\":[4],\"shape\":[4],"},
      {"\"F32\"", "\"F33\""},
      {"\"F32\"", "\"F64\""},
      {"\"F32\"", "32"},
      {"\"dtype\"", "\"Dtype\""},
      {"[0,1024]", "[0,1023]"},
      {"[0,1024]", "[1,1024]"},
      {"[0,1024]", "[1024,0]"},
      {"[0,1024]", "[0]"},
      {"[0,1024]", "[0,1024,1024]"},
      {"[1024,1040]", "[0,16]"},
      {"[1024,1040]", "[1025,1041]"},
      {"[1040,2064]", "[1040,2065]"},
      {"[1040,2064]", "[1040,18446744073709551615]"},
      {"[1040,2064]", "[1040,99999999999999999999]"},
      {"\"linear.bias\"", "\"linear.v\""},
      {"\"linear.bias\"", "\"linear.\\u0000\""},
      {"\"linear.bias\"", "\"linear.\\ud800\""},
      {"\"linear.bias\"", "\"linear.\xff\""},
      {"\"linear.bias\"", "\"linear.\n\""},
      {"\"linear.bias\"", "linear"},
      {"\"step\":\"40\"", "\"step\":40"},
      {"\"step\":\"40\"", "\"step\":\"40\",\"step\":\"41\""},
      {"\"step\":\"40\"", "\"step\":{}"},
      {"\"step\":\"40\"", "\"step\""},
      {"\"lcwc\":\"1\"", "\"lcwc\":\"2\""},
      {"{\"__metadata__\"", "{\"__Metadata__\""},
      {"},\"linear.v\"", "}\"linear.v\""},
      {"[64,4]", "[[64],4]"},
      {"]}}", "]}},"},
      {"]}}", "]}"},
      {"]}}", "]}} {}"},
      {"]}}", "],\"x\":1}}"},
  };
  size_t n;
  unsigned char *p = good_file(&n);
  uint64_t head;
  (void)state;
  memcpy(&head, p, sizeof head);
  for (size_t i = 0; i < COUNT_OF(lie); i++) {
    unsigned char *bad = calloc(n + 256, 1), *text = bad + 8;
    const char *at = strstr((const char *)p + 8, lie[i].from);
    assert_true(bad && at);
    size_t before = (size_t)(at - (const char *)p) - 8, from = strlen(lie[i].from),
           to = strlen(lie[i].to);
    uint64_t size = head - from + to, sum;
    memcpy(bad, &size, sizeof size);
    memcpy(text, p + 8, before);
    memcpy(text + before, lie[i].to, to);
    memcpy(text + before + to, at + from, n - 8 - before - from);
    memset(text + strlen(CHECKPOINT_PREFIX), '0', 16);
    sum = hash64(text, size, size);
    sum = hash64(text + size, 1024, sum);
    sum = hash64(text + size + 1024, 16, sum);
    sum = hash64(text + size + 1040, 1024, sum);
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sum);
    memcpy(text + strlen(CHECKPOINT_PREFIX), hex, 16);
    must_refuse(bad, n - from + to, lie[i].to, i);
    free(bad);
  }
  free(p);
}

static void absurd_lengths(void **state) {
  static const uint64_t length[] = {0, 1, 1u << 24, UINT64_C(1) << 40, UINT64_MAX, UINT64_MAX - 7};
  unsigned char file[64] = {0};
  (void)state;
  memset(file + 8, '{', 56);
  for (size_t i = 0; i < COUNT_OF(length); i++) {
    memcpy(file, &length[i], 8);
    must_refuse(file, sizeof file, "a length", i);
  }
}

/* ---- export ------------------------------------------------------------------------------ */

static void folded(void **state) {
  size_t n;
  float v[64][4], w[4][64], sum;
  (void)state;
  for (int j = 0; j < 64; j++)
    for (int k = 0; k < 4; k++) v[j][k] = j == 0 ? 0 : (float)((j * 7 + k * 3) % 11) - 5;
  device->put(device, 2432, v, sizeof v);
  Fault f = {0};
  int dir = open_scratch();
  assert_true(save_in(&io_system, dir, 40, &f));
  close(dir);
  const char *out = scratch_path(&scratch, "out.safetensors");
  assert_int_equal(export_run(scratch_path(&scratch, CHECKPOINT_LAST), out, true), 0);
  unsigned char *p = scratch_read(out, &n);
  uint64_t head;
  memcpy(&head, p, sizeof head);
  assert_non_null(
      strstr((char *)p + 8,
             "\"linear.weight\":{\"dtype\":\"F32\",\"shape\":[4,64],\"data_offsets\":[0,1024]}"));
  assert_null(strstr((char *)p + 8, "momentum"));
  memcpy(w, p + 8 + head, sizeof w);
  for (int k = 0; k < 4; k++) {
    float s = 0;
    for (int j = 1; j < 64; j++) s += v[j][k];
    assert_float_equal(w[k][0], -s / 8, 1e-5f);
    assert_float_equal(w[k][5], v[5][k] - s / (64 + 8), 1e-5f);
    sum = 0;
    for (int j = 0; j < 64; j++) sum += w[k][j];
    assert_float_equal(sum, 0, 1e-4f);
  }
  free(p);
}

/* ---- a disk that loses power ------------------------------------------------------------- */

enum { INODES = 16, OPS = 64, DIR_FD = 1000, FILE_FD = 2000, BYTES = 8192 };

typedef struct { char name[64]; int inode; } Entry;
typedef struct { Entry entry[INODES]; int n; } Names;
typedef struct { char from[64], to[64]; int inode; } DirOp; /* to gets inode; from goes; "": none */

typedef struct {
  unsigned char bytes[INODES][BYTES];
  size_t n[INODES], synced[INODES];
  int inodes;
  Names live, durable;
  DirOp pending[OPS];
  int npending;
  int calls, limit;  /* calls so far; from call `limit` on nothing happens any more */
  int fail, error;   /* this one call fails */
  bool lazy;         /* fsync says yes and does nothing */
} Disk;

static int names_find(const Names *t, const char *name) {
  for (int i = 0; i < t->n; i++)
    if (!strcmp(t->entry[i].name, name)) return i;
  return -1;
}

static void names_apply(Names *t, const DirOp *op) {
  int from = *op->from ? names_find(t, op->from) : -1;
  if (from >= 0) t->entry[from] = t->entry[--t->n];
  if (!*op->to) return;
  int to = names_find(t, op->to);
  if (to < 0) to = t->n++;
  snprintf(t->entry[to].name, sizeof t->entry[to].name, "%s", op->to);
  t->entry[to].inode = op->inode;
}

/* Counts a call; false if it does not happen. */
static bool disk_call(Disk *d) {
  int now = d->calls++;
  if (now < d->limit && now != d->fail) return true;
  errno = now == d->fail ? d->error : EIO;
  return false;
}

static void disk_change(Disk *d, const char *from, const char *to, int inode) {
  DirOp op = {"", "", inode};
  snprintf(op.from, sizeof op.from, "%s", from);
  snprintf(op.to, sizeof op.to, "%s", to);
  names_apply(&d->live, &op);
  assert_true(d->npending < OPS);
  d->pending[d->npending++] = op;
}

static int disk_create(void *ctx, int dir, const char *name, mode_t mode) {
  Disk *d = ctx;
  (void)dir;
  (void)mode;
  if (!disk_call(d)) return -1;
  assert_true(d->inodes < INODES);
  disk_change(d, "", name, d->inodes);
  return FILE_FD + d->inodes++;
}

/* Writes at most 1,000 bytes: short writes are the rule here. */
static ssize_t disk_write(void *ctx, int fd, const void *p, size_t n) {
  Disk *d = ctx;
  int i = fd - FILE_FD;
  if (!disk_call(d)) return -1;
  if (n > 1000) n = 1000;
  assert_true(d->n[i] + n <= BYTES);
  memcpy(d->bytes[i] + d->n[i], p, n);
  d->n[i] += n;
  return (ssize_t)n;
}

static int disk_sync(void *ctx, int fd) {
  Disk *d = ctx;
  if (!disk_call(d)) return -1;
  if (d->lazy) return 0;
  if (fd == DIR_FD) {
    d->durable = d->live;
    d->npending = 0;
  } else {
    d->synced[fd - FILE_FD] = d->n[fd - FILE_FD];
  }
  return 0;
}

static int disk_close(void *ctx, int fd) {
  (void)fd;
  return disk_call(ctx) ? 0 : -1;
}

static int disk_rename(void *ctx, int dir, const char *from, const char *to) {
  Disk *d = ctx;
  (void)dir;
  if (!disk_call(d)) return -1;
  int i = names_find(&d->live, from);
  if (i < 0) return errno = ENOENT, -1;
  disk_change(d, from, to, d->live.entry[i].inode);
  return 0;
}

static int disk_link(void *ctx, int dir, const char *from, const char *to) {
  Disk *d = ctx;
  (void)dir;
  if (!disk_call(d)) return -1;
  int i = names_find(&d->live, from);
  if (i < 0) return errno = ENOENT, -1;
  disk_change(d, "", to, d->live.entry[i].inode);
  return 0;
}

static int disk_unlink(void *ctx, int dir, const char *name) {
  Disk *d = ctx;
  (void)dir;
  if (!disk_call(d)) return -1;
  disk_change(d, name, "", 0);
  return 0;
}

static Io disk_io(Disk *d) {
  return (Io){d,          disk_create, disk_write, disk_sync,
              disk_close, disk_rename, disk_link,  disk_unlink};
}

typedef enum { DATA_KEPT, DATA_LOST, DATA_TORN, DATA_WAYS } DataLoss;

/* The file as the disk has it after the power came back. */
static void put_back(const Disk *d, int inode, const char *name, DataLoss loss) {
  static unsigned char bytes[BYTES];
  size_t safe = d->synced[inode], n = loss == DATA_LOST ? safe : d->n[inode];
  memcpy(bytes, d->bytes[inode], n);
  if (loss == DATA_TORN) memset(bytes + safe + (n - safe) / 2, 0, n - safe - (n - safe) / 2);
  scratch_write(scratch_path(&scratch, name), bytes, n);
}

/* The step of the checkpoint that a run would go on with; -1: none loads. */
static int64_t what_loads(void) {
  static const char *const name[] = {CHECKPOINT_LAST, CHECKPOINT_PREVIOUS};
  for (int i = 0; i < 2; i++) {
    Checkpoint c;
    TrainState s;
    Fault f;
    if (!checkpoint_open(&c, AT_FDCWD, scratch_path(&scratch, name[i]), NULL, &f)) continue;
    bool ok = checkpoint_state(&c, &s, &f);
    checkpoint_close(&c);
    if (ok) return (int64_t)s.step;
  }
  return -1;
}

/* The folder with the names of the table. */
static int64_t load_state(const Disk *d, const Names *names, DataLoss loss) {
  unlink(scratch_path(&scratch, CHECKPOINT_LAST));
  unlink(scratch_path(&scratch, CHECKPOINT_PREVIOUS));
  for (int i = 0; i < names->n; i++)
    if (names->entry[i].name[0] != '.')
      put_back(d, names->entry[i].inode, names->entry[i].name, loss);
  return what_loads();
}

/* Four saves, as far as the disk lets them; the number of the last acknowledged, 0 for none. */
static int four_saves(Disk *d) {
  Io io = disk_io(d);
  int acknowledged = 0;
  for (int step = 1; step <= 4; step++) {
    Fault f;
    fill_arena((uint32_t)step);
    if (save_in(&io, DIR_FD, (uint64_t)step, &f)) acknowledged = step;
  }
  return acknowledged;
}

/* All states after a loss of power at call `limit`: how many lost what was acknowledged. */
static int states_after(Disk *d, int limit, bool lazy, int *states) {
  int lost = 0;
  *d = (Disk){.limit = limit, .fail = -1, .lazy = lazy};
  int acknowledged = four_saves(d);
  for (int kept = 0; kept <= d->npending; kept++) {
    Names names = d->durable;
    for (int i = 0; i < kept; i++) names_apply(&names, &d->pending[i]);
    for (int loss = 0; loss < DATA_WAYS; loss++, ++*states)
      lost += acknowledged && load_state(d, &names, (DataLoss)loss) < acknowledged;
  }
  return lost;
}

static void power_loss(void **state) {
  Disk *d = malloc(sizeof *d);
  int states = 0, lost = 0;
  (void)state;
  assert_non_null(d);
  *d = (Disk){.limit = 1 << 20, .fail = -1};
  assert_int_equal(four_saves(d), 4);
  int total = d->calls;
  for (int limit = 0; limit <= total; limit++) lost += states_after(d, limit, false, &states);
  printf("power loss: %d states, %d that lost an acknowledged checkpoint\n", states, lost);
  assert_true(states > 150 && lost == 0);
  /* The model can tell: a disk whose fsync does nothing loses. */
  lost = states_after(d, total, true, &states);
  assert_true(lost > 0);
  free(d);
}

/* One call fails, the next ones work: what was acknowledged loads, and nothing is left over. */
static void any_call_fails(void **state) {
  static const int error[] = {EIO, ENOSPC, EDQUOT, EINTR, EPERM};
  Disk *d = malloc(sizeof *d);
  (void)state;
  assert_non_null(d);
  *d = (Disk){.limit = 1 << 20, .fail = -1};
  four_saves(d);
  int total = d->calls;
  for (int fail = 0; fail < total; fail++)
    for (size_t e = 0; e < COUNT_OF(error); e++) {
      *d = (Disk){.limit = 1 << 20, .fail = fail, .error = error[e]};
      int acknowledged = four_saves(d);
      int64_t step = load_state(d, &d->live, DATA_KEPT);
      if (step < acknowledged || acknowledged < 3)
        fail_msg("call %d, %s: step %d, acknowledged %d", fail, strerror(error[e]), (int)step,
                 acknowledged);
      for (int i = 0; i < d->live.n; i++)
        if (d->live.entry[i].name[0] == '.')
          fail_msg("call %d leaves %s", fail, d->live.entry[i].name);
    }
  free(d);
}

/* What a killed process left is removed, and nothing else. */
static void sweep(void **state) {
  int dir = open_scratch();
  (void)state;
  scratch_write(scratch_path(&scratch, ".last.safetensors.12345678.tmp"), "x", 1);
  scratch_write(scratch_path(&scratch, ".keep"), "x", 1);
  durable_sweep(&io_system, dir);
  assert_int_equal(access(scratch_path(&scratch, ".last.safetensors.12345678.tmp"), F_OK), -1);
  assert_int_equal(access(scratch_path(&scratch, ".keep"), F_OK), 0);
  close(dir);
}

static int setup(void **state) {
  Fault f;
  (void)state;
  scratch = scratch_new();
  device = cpu_open(&(ModelCode){.plan = &lcw_plan.plan, .table = lcw_table}, NULL, 1, &f);
  return device && device->alloc(device, lcw_plan.plan.arena, &f) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  device->close(device);
  scratch_remove(scratch.path);
  return 0;
}

int main(void) {
  const struct CMUnitTest test[] = {
      cmocka_unit_test(round_trip), cmocka_unit_test(other_network),
      cmocka_unit_test(computed),  cmocka_unit_test(any_damage),
      cmocka_unit_test(lies),       cmocka_unit_test(absurd_lengths), cmocka_unit_test(folded),
      cmocka_unit_test(power_loss), cmocka_unit_test(any_call_fails), cmocka_unit_test(sweep),
      cmocka_unit_test(numbers_that_are_none),
  };
  return cmocka_run_group_tests(test, setup, teardown);
}
