/* durable.h: the one way in which a file is written: to a temporary name, synced, renamed, the
 * folder synced. Only when durable_write has returned true may anyone say "saved". Temporary
 * names are .NAME.XXXXXXXX.tmp; those that a killed process left are swept at the next start. */
#ifndef LCW_DURABLE_H
#define LCW_DURABLE_H
#include "fault.h"
#include "io.h"

/* Takes the bytes of the file, in order. False once a write has failed. */
typedef struct Sink Sink;
bool sink_write(Sink *s, const void *p, size_t n);
typedef bool DurableBody(void *ctx, Sink *s, Fault *f);

typedef struct DurableFile {
  int dir;           /* folder, open */
  const char *shown; /* its name in messages */
  const char *name;
  const char *keep;  /* the file that has the name now is kept under this one; NULL: replaced */
  mode_t mode;
} DurableFile;

bool durable_write(const Io *io, const DurableFile *file, DurableBody *body, void *ctx, Fault *f);
bool durable_bytes(const Io *io, const DurableFile *file, const void *p, size_t n, Fault *f);
/* Gives the file `from` a second name, replacing what had it. False with errno if not possible. */
bool durable_alias(const Io *io, int dir, const char *from, const char *to);
void durable_sweep(const Io *io, int dir);
#endif
