/* checkpoint_read.c: proves and reads a checkpoint. In: any bytes at all; out: a table of
 * tensors whose offsets lie in the file, or one fault. Never more memory than twice the file
 * and 1 MiB. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "checkpoint.h"
#include "decimal.h"
#include "hash.h"
#include "json.h"
#include "plan_check.h"
#include "reader.h"
#include "seed.h"

/* Every refusal of this file: its name and the reason. */
static bool damaged(const Checkpoint *c, Fault *f, const char *what) {
  return fault_set(f, LCW_DATA, "%s: %s", c->shown, what);
}

/* Exactly n bytes at `at`. */
static bool read_at(const Checkpoint *c, uint64_t at, void *out, size_t n, Fault *f) {
  for (size_t got = 0; got < n;) {
    ssize_t k = pread(c->fd, (char *)out + got, n - got, (off_t)(at + got));
    if (k < 0 && errno == EINTR) continue;
    if (k < 0) return damaged(c, f, strerror(errno));
    if (k == 0) return damaged(c, f, "the file ends too early");
    got += (size_t)k;
  }
  return true;
}

/* ---- the header -------------------------------------------------------------------------- */

/* The DType of a name; DTYPE_COUNT if it is none. */
static uint32_t type_of(const char *name) {
  uint32_t t = 0;
  while (t < DTYPE_COUNT && strcmp(name, tensor_type(t))) t++;
  return t;
}

/* "shape":[...] of at most PLAN_MAX_RANK sizes. */
static bool read_shape(Json *j, Tensor *t) {
  uint64_t x;
  if (!json_expect(j, '[')) return false;
  for (t->rank = 0; !json_next(j, ']');) {
    if (t->rank && !json_expect(j, ',')) return false;
    if (t->rank == PLAN_MAX_RANK || !json_whole(j, &x) || x > INT32_MAX) return false;
    t->dim[t->rank++] = (uint32_t)x;
  }
  return true;
}

/* "data_offsets":[begin,end]. */
static bool read_offsets(Json *j, Tensor *t) {
  return json_expect(j, '[') && json_whole(j, &t->begin) && json_expect(j, ',') &&
         json_whole(j, &t->end) && json_expect(j, ']');
}

/* {"dtype":..., "shape":..., "data_offsets":...}, each once, in any order. */
static bool read_tensor(Json *j, Tensor *t) {
  static const char *const field[] = {"dtype", "shape", "data_offsets"};
  unsigned seen = 0;
  if (!json_expect(j, '{')) return false;
  for (int i = 0; i < 3; i++) {
    if (i && !json_expect(j, ',')) return false;
    const char *key = json_string(j), *type;
    unsigned k = 0;
    while (key && k < 3 && strcmp(key, field[k])) k++;
    if (!key || k == 3 || seen & 1u << k || !json_expect(j, ':')) return false;
    seen |= 1u << k;
    if (k == 0 && (!(type = json_string(j)) || (t->dtype = type_of(type)) == DTYPE_COUNT))
      return false;
    if ((k == 1 && !read_shape(j, t)) || (k == 2 && !read_offsets(j, t))) return false;
  }
  return json_expect(j, '}');
}

/* Offsets without gap or overlap, and a shape of as many bytes. */
static bool tensor_fits(const Tensor *t, uint64_t at) {
  uint64_t bytes = plan_dtype_bytes(t->dtype);
  for (uint32_t i = 0; i < t->rank; i++)
    if (__builtin_mul_overflow(bytes, (uint64_t)t->dim[i], &bytes)) return false;
  return t->begin == at && t->end >= at && t->end - at == bytes;
}

/* The strings of the metadata, moved together as key NUL value NUL ... where they stood. */
static bool read_metadata(Checkpoint *c, Json *j) {
  char *to = j->p;
  c->meta = to;
  if (!json_expect(j, '{')) return false;
  while (!json_next(j, '}')) {
    if (c->nmeta && !json_expect(j, ',')) return false;
    for (int k = 0; k < 2; k++) {
      char *s = json_string(j);
      if (!s || (k == 0 && !json_expect(j, ':'))) return false;
      size_t n = strlen(s) + 1;
      memmove(to, s, n);
      to += n;
    }
    if (++c->nmeta > CHECKPOINT_TENSORS) return false;
  }
  return true;
}

/* Tensors by name. */
static int name_order(const void *a, const void *b) {
  return strcmp((*(const Tensor *const *)a)->name, (*(const Tensor *const *)b)->name);
}

static int text_order(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two tensors of one name; leaves them sorted for checkpoint_find(). */
static bool names_differ(Checkpoint *c, Fault *f) {
  c->by_name = memory_new(c->ntensor, sizeof *c->by_name, c->shown, f);
  if (!c->by_name) return false;
  for (uint32_t i = 0; i < c->ntensor; i++) c->by_name[i] = &c->tensor[i];
  qsort(c->by_name, c->ntensor, sizeof *c->by_name, name_order);
  for (uint32_t i = 1; i < c->ntensor; i++)
    if (!strcmp(c->by_name[i]->name, c->by_name[i - 1]->name))
      return damaged(c, f, "two tensors have the same name");
  return true;
}

/* The same for the keys of the metadata. */
static bool keys_differ(Checkpoint *c, Fault *f) {
  const char **key = memory_new(c->nmeta, sizeof *key, c->shown, f), *s = c->meta;
  bool ok = key != NULL;
  for (uint32_t i = 0; ok && i < c->nmeta; i++) {
    key[i] = s;
    s += strlen(s) + 1;
    s += strlen(s) + 1;
  }
  if (ok) qsort(key, c->nmeta, sizeof *key, text_order);
  for (uint32_t i = 1; ok && i < c->nmeta; i++)
    if (!strcmp(key[i], key[i - 1])) ok = damaged(c, f, "the metadata has a key twice");
  free(key);
  return ok;
}

/* How many tensors the header can hold at most: each names its offsets. */
static uint32_t count_tensors(const char *s) {
  uint32_t n = 0;
  while ((s = strstr(s, "\"data_offsets\""))) {
    s++;
    n++;
  }
  return n;
}

/* The whole header: metadata first, then tensors to the end of the data. */
static bool parse_header(Checkpoint *c, size_t n, uint64_t data_bytes, Fault *f) {
  Json j = json_of(c->header, n);
  uint64_t at = 0;
  uint32_t most = count_tensors(c->header);
  const char *key;
  if (most > CHECKPOINT_TENSORS)
    return fault_set(f, LCW_LIMIT, "%s: more than %d tensors", c->shown, CHECKPOINT_TENSORS);
  if (!(c->tensor = memory_new(most, sizeof *c->tensor, c->shown, f))) return false;
  if (!json_expect(&j, '{') || !(key = json_string(&j)) || strcmp(key, "__metadata__") ||
      !json_expect(&j, ':') || !read_metadata(c, &j))
    return damaged(c, f, "the metadata of its header is damaged");
  while (!json_next(&j, '}')) {
    Tensor *t = &c->tensor[c->ntensor];
    if (c->ntensor == most || !json_expect(&j, ',') || !(t->name = json_string(&j)) ||
        !json_expect(&j, ':') || !read_tensor(&j, t))
      return damaged(c, f, "its header is damaged");
    if (!tensor_fits(t, at)) return damaged(c, f, "a tensor's shape and place do not agree");
    at = t->end;
    c->ntensor++;
  }
  if (!json_end(&j)) return damaged(c, f, "its header is damaged");
  if (at != data_bytes) return damaged(c, f, "the tensors do not fill the file");
  return names_differ(c, f) && keys_differ(c, f);
}

/* ---- the checksum ------------------------------------------------------------------------ */

/* Takes the checksum out of the header and puts zeros in its place. */
static bool take_checksum(char *header, size_t n, uint64_t *sum) {
  size_t at = strlen(CHECKPOINT_PREFIX);
  *sum = 0;
  if (n < at + 17 || memcmp(header, CHECKPOINT_PREFIX, at)) return false;
  for (size_t i = 0; i < 16; i++) {
    const char *digits = "0123456789abcdef", *d = strchr(digits, header[at + i]);
    if (!d || !*d) return false;
    *sum = *sum << 4 | (uint64_t)(d - digits);
    header[at + i] = '0';
  }
  return true;
}

/* Tensor by tensor and block by block, as it was made. */
static bool check_sum(const Checkpoint *c, uint64_t h, uint64_t sum, Fault *f) {
  char *block = memory_new(CHECKPOINT_BLOCK, 1, "reading", f);
  bool ok = block != NULL;
  for (uint32_t i = 0; ok && i < c->ntensor; i++)
    for (uint64_t at = c->tensor[i].begin, n; ok && at < c->tensor[i].end; at += n) {
      n = c->tensor[i].end - at;
      if (n > CHECKPOINT_BLOCK) n = CHECKPOINT_BLOCK;
      ok = read_at(c, c->data + at, block, n, f);
      if (ok) h = hash64(block, n, h);
    }
  free(block);
  return ok && (h == SEED(309, h, sum) || /* caught by runtime_checkpoint.c */
                damaged(c, f, "the checksum is wrong: the file is damaged"));
}

/* ---- the interface ----------------------------------------------------------------------- */

/* Opens a plain file; a pipe would block, a device never end. */
static bool open_file(Checkpoint *c, int dir, const char *name, struct stat *st, Fault *f) {
  c->fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (c->fd < 0 || fstat(c->fd, st)) return damaged(c, f, strerror(errno));
  if (!S_ISREG(st->st_mode)) return damaged(c, f, "it is not a regular file");
  return true;
}

/* The proof, in order: length, text, checksum taken out, header, data against the checksum. */
static bool read_checkpoint(Checkpoint *c, uint64_t size, Fault *f) {
  unsigned char raw[8];
  uint64_t sum;
  if (size < sizeof raw) return damaged(c, f, "it is too short for a checkpoint");
  if (!read_at(c, 0, raw, sizeof raw, f)) return false;
  Reader r = reader_of(raw, sizeof raw);
  uint64_t n = reader_u64le(&r);
  if (n > size - sizeof raw) return damaged(c, f, "its header is longer than the file");
  if (n > CHECKPOINT_HEADER)
    return fault_set(f, LCW_LIMIT, "%s: its header has %llu bytes, the limit is %d", c->shown,
                     (unsigned long long)n, CHECKPOINT_HEADER);
  if (!(c->header = memory_new(n + 1, 1, c->shown, f))) return false;
  if (!read_at(c, sizeof raw, c->header, n, f)) return false;
  if (memchr(c->header, 0, n) || !utf8_proper(c->header, n))
    return damaged(c, f, "its header is not UTF-8 text");
  if (!take_checksum(c->header, n, &sum)) return damaged(c, f, "it is not a checkpoint of lcwc");
  uint64_t h = hash64(c->header, n, n);
  c->data = sizeof raw + n;
  return parse_header(c, n, size - c->data, f) && check_sum(c, h, sum, f);
}

bool checkpoint_open(Checkpoint *c, int dir, const char *name, const char *shown, Fault *f) {
  struct stat st;
  *c = (Checkpoint){.fd = -1};
  if (shown && *shown) snprintf(c->shown, sizeof c->shown, "%s/%s", shown, name);
  else snprintf(c->shown, sizeof c->shown, "%s", name);
  if (open_file(c, dir, name, &st, f) && read_checkpoint(c, (uint64_t)st.st_size, f)) return true;
  checkpoint_close(c);
  return false;
}

void checkpoint_close(Checkpoint *c) {
  if (c->fd >= 0) close(c->fd);
  free(c->header);
  free(c->tensor);
  free(c->by_name);
  c->fd = -1;
  c->header = NULL;
  c->tensor = NULL;
  c->by_name = NULL;
}

const char *checkpoint_meta(const Checkpoint *c, const char *key) {
  const char *s = c->meta;
  for (uint32_t i = 0; i < c->nmeta; i++) {
    const char *value = s + strlen(s) + 1;
    if (!strcmp(s, key)) return value;
    s = value + strlen(value) + 1;
  }
  return NULL;
}

const Tensor *checkpoint_find(const Checkpoint *c, const char *name) {
  Tensor wanted = {.name = name};
  const Tensor *key = &wanted;
  if (!c->ntensor) return NULL;
  const Tensor **t = bsearch(&key, c->by_name, c->ntensor, sizeof *c->by_name, name_order);
  return t ? *t : NULL;
}

bool checkpoint_read(const Checkpoint *c, const Tensor *t, uint64_t at, void *out, size_t n,
                     Fault *f) {
  return read_at(c, c->data + t->begin + at, out, n, f);
}

/* ---- into the device --------------------------------------------------------------------- */

/* Same type and sizes as the buffer. */
static bool same_shape(const Tensor *t, const PlanBuf *b) {
  return t->dtype == b->dtype && t->rank == b->rank &&
         !memcmp(t->dim, b->dim, b->rank * sizeof *b->dim);
}

/* The data of one tensor, block by block, to its buffer. */
static bool load_tensor(const Checkpoint *c, const Tensor *t, const PlanBuf *b, Device *d,
                        char *block, Fault *f) {
  for (uint64_t at = 0, n; at < b->bytes; at += n) {
    n = b->bytes - at < CHECKPOINT_BLOCK ? b->bytes - at : CHECKPOINT_BLOCK;
    if (!checkpoint_read(c, t, at, block, n, f)) return false;
    d->put(d, b->offset + at, block, n);
  }
  return true;
}

/* What is loaded first, and what after phase prepare. */
static bool is_given(const PlanBuf *b) { return b->role == BUF_PARAM || b->role == BUF_STATE; }
static bool is_computed(const PlanBuf *b) { return b->computed; }

/* Tensors of the file of the one kind or the other. */
static uint32_t count_kind(const Checkpoint *c, bool computed) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < c->ntensor; i++) n += !strchr(c->tensor[i].name, '~') == !computed;
  return n;
}

/* Everything of that kind that the plan has is in the file, and no more of it. */
static bool match_names(const Checkpoint *c, const Plan *p, bool (*kind)(const PlanBuf *),
                        Fault *f) {
  uint32_t found = 0, have = count_kind(c, kind == is_computed);
  for (uint32_t i = 0; i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (!kind(b)) continue;
    const Tensor *t = checkpoint_find(c, buf_name(p, b));
    if (!t)
      return fault_set(f, LCW_DATA, "%s: it lacks %s of this network", c->shown, buf_name(p, b));
    if (!same_shape(t, b))
      return fault_set(f, LCW_DATA, "%s: %s has another shape or type in this network", c->shown,
                       t->name);
    found++;
  }
  return found == have || fault_set(f, LCW_DATA, "%s: it has %u tensors, this network has %u",
                                    c->shown, have, found);
}

/* All buffers of that kind, from the file to the device. */
static bool load_kind(const Checkpoint *c, const Plan *p, bool (*kind)(const PlanBuf *), Device *d,
                      Fault *f) {
  if (!match_names(c, p, kind, f)) return false;
  char *block = memory_new(CHECKPOINT_BLOCK, 1, "the checkpoint", f);
  bool ok = block != NULL;
  for (uint32_t i = 0; ok && i < p->nbuf; i++) {
    const PlanBuf *b = plan_buf(p, i);
    if (kind(b)) ok = load_tensor(c, checkpoint_find(c, buf_name(p, b)), b, d, block, f);
  }
  free(block);
  return ok && device_ok(d, f);
}

bool checkpoint_load(const Checkpoint *c, const Plan *p, Device *d, Fault *f) {
  if (!checkpoint_meta(c, "computed") && count_kind(c, true))
    return damaged(c, f, "it does not say what computed its sums");
  return load_kind(c, p, is_given, d, f);
}

bool checkpoint_same_work(const Checkpoint *c, const Plan *p, const Device *d) {
  char now[WORK_TEXT];
  const char *then = checkpoint_meta(c, "computed");
  return !strcmp(then ? then : "", work_text(p, d, now));
}

bool checkpoint_load_computed(const Checkpoint *c, const Plan *p, Device *d, Fault *f) {
  return load_kind(c, p, is_computed, d, f);
}

/* A whole number of the metadata. */
static bool meta_whole(const Checkpoint *c, const char *key, uint64_t *out) {
  const char *s = checkpoint_meta(c, key);
  return s && decimal_whole(s, out);
}

/* A real one; nan and inf are numbers too. */
static bool meta_double(const Checkpoint *c, const char *key, double *out) {
  const char *s = checkpoint_meta(c, key);
  char *end;
  if (!s || !*s) return false;
  *out = strtod(s, &end);
  return *end == 0;
}

bool checkpoint_state(const Checkpoint *c, TrainState *s, Fault *f) {
  bool ok = meta_whole(c, "step", &s->step) && meta_whole(c, "epoch", &s->epoch) &&
            meta_whole(c, "position", &s->position) && meta_whole(c, "seed", &s->seed) &&
            meta_whole(c, "fingerprint", &s->fingerprint) &&
            meta_double(c, "epoch_loss", &s->loss) && meta_double(c, "epoch_hits", &s->hits) &&
            meta_double(c, "epoch_samples", &s->samples) &&
            meta_double(c, "best_loss", &s->best_loss) && meta_double(c, "residual", &s->residual);
  return ok || damaged(c, f, "its metadata does not say where the run stands");
}
