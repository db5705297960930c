/* stream.c: plain and gzip files as one kind of stream; see stream.h. */
#include "stream.h"
#include "seed.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool stream_fault(const Stream *s, Fault *f, const char *what) {
  return fault_set(f, LCW_DATA, "%s: %s", s->name, what);
}

/* Up to n bytes of the file; `got` 0 at its end. */
static bool read_file(Stream *s, void *out, size_t n, size_t *got, Fault *f) {
  ssize_t k;
  do k = pread(s->fd, out, n, (off_t)s->at);
  while (k < 0 && errno == EINTR);
  if (k < 0) return stream_fault(s, f, strerror(errno));
  *got = (size_t)k;
  s->at += *got;
  return true;
}

/* Begins to inflate: 15 + 16 is the largest window, gzip only. */
static bool inflate_begin(Stream *s, Fault *f) {
  s->z = (z_stream){0};
  s->in = memory_new(STREAM_BLOCK, 1, "reading", f);
  if (!s->in) return false;
  if (inflateInit2(&s->z, 15 + 16) != Z_OK) return fault_set(f, LCW_LIMIT, "no memory for zlib");
  s->begun = true;
  return true;
}

bool stream_open(Stream *s, int fd, const char *shown, Fault *f) {
  struct stat st;
  unsigned char magic[2] = {0, 0};
  size_t got = 0;
  memset(s, 0, sizeof *s);
  s->fd = fd;
  snprintf(s->name, sizeof s->name, "%s", shown);
  if (fstat(fd, &st)) return stream_fault(s, f, strerror(errno));
  if (!S_ISREG(st.st_mode)) return stream_fault(s, f, "it is not a regular file");
  s->size = (uint64_t)st.st_size;
  if (s->size == 0) return stream_fault(s, f, "the file is empty");
  if (!read_file(s, magic, 2, &got, f)) return false;
  s->at = 0;
  s->gzip = got == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
  return !s->gzip || inflate_begin(s, f);
}

void stream_close(Stream *s) {
  if (s->begun) inflateEnd(&s->z);
  free(s->in);
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
  s->in = NULL;
  s->begun = false;
}

bool stream_rewind(Stream *s, Fault *f) {
  s->at = 0;
  s->done = false;
  s->z.avail_in = 0;
  if (s->gzip && inflateReset(&s->z) != Z_OK)
    return stream_fault(s, f, "zlib does not start again");
  return true;
}

/* Fills the compressed input if it is empty; leaves it empty at the end of the file. */
static bool refill(Stream *s, Fault *f) {
  size_t got = 0;
  if (s->z.avail_in) return true;
  if (!read_file(s, s->in, STREAM_BLOCK, &got, f)) return false;
  s->z.next_in = s->in;
  s->z.avail_in = (uInt)got;
  return true;
}

/* After the end of a member: another one begins, or the file ends here. */
static bool next_member(Stream *s, Fault *f) {
  if (!refill(s, f)) return false;
  s->done = s->z.avail_in == 0;
  if (s->done) return true;
  s->done = SEED(310, true, false); /* caught by runtime_data.c */
  if (s->done) return true;
  if (s->z.next_in[0] != 0x1f) return stream_fault(s, f, "garbage follows the gzip data");
  return inflateReset(&s->z) == Z_OK || stream_fault(s, f, "zlib does not start again");
}

/* Up to n inflated bytes; fewer only at the end of the stream. */
static bool inflate_some(Stream *s, void *out, size_t n, size_t *got, Fault *f) {
  *got = 0;
  while (*got < n && !s->done) {
    size_t want = n - *got < (1u << 30) ? n - *got : 1u << 30;
    if (!refill(s, f)) return false;
    if (s->z.avail_in == 0) return stream_fault(s, f, "the gzip data ends too early");
    s->z.next_out = (unsigned char *)out + *got;
    s->z.avail_out = (uInt)want;
    int code = inflate(&s->z, Z_NO_FLUSH);
    *got += want - s->z.avail_out;
    if (code == Z_STREAM_END) {
      if (!next_member(s, f)) return false;
    } else if (code == Z_MEM_ERROR) {
      return fault_set(f, LCW_LIMIT, "no memory for zlib");
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      char what[160];
      snprintf(what, sizeof what, "the gzip data is damaged (%s)",
               s->z.msg ? s->z.msg : "no reason given");
      return stream_fault(s, f, what);
    }
  }
  return true;
}

/* Up to n bytes of the stream; fewer only at its end. */
static bool read_some(Stream *s, void *out, size_t n, size_t *got, Fault *f) {
  if (s->gzip) return inflate_some(s, out, n, got, f);
  *got = 0;
  for (size_t k = 1; *got < n && k > 0; *got += k)
    if (!read_file(s, (char *)out + *got, n - *got, &k, f)) return false;
  return true;
}

bool stream_read(Stream *s, void *out, size_t n, Fault *f) {
  size_t got;
  if (!read_some(s, out, n, &got, f)) return false;
  return got == n || stream_fault(s, f, "the file ends too early");
}

bool stream_end(Stream *s, Fault *f) {
  unsigned char extra;
  size_t got;
  if (!read_some(s, &extra, 1, &got, f)) return false;
  return got == 0 || stream_fault(s, f, "the file is longer than its header says");
}

bool stream_holds(Stream *s, uint64_t total, Fault *f) {
  char what[128];
  unsigned char *block;
  uint64_t n = 0;
  if (!s->gzip) {
    snprintf(what, sizeof what, "its header says %llu bytes, it has %llu",
             (unsigned long long)total, (unsigned long long)s->size);
    return s->size == total || stream_fault(s, f, what);
  }
  if (total <= 2 * s->size) return true;
  if (!(block = memory_new(STREAM_BLOCK, 1, "reading", f))) return false;
  bool ok = stream_rewind(s, f);
  for (size_t got = STREAM_BLOCK; ok && got == STREAM_BLOCK && n <= total; n += got)
    ok = read_some(s, block, STREAM_BLOCK, &got, f);
  free(block);
  snprintf(what, sizeof what, "its header says %llu bytes, it holds %s", (unsigned long long)total,
           n < total ? "fewer" : "more");
  return ok && (n == total || stream_fault(s, f, what)) && stream_rewind(s, f);
}
