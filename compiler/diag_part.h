/* diag_part.h: how a reported message is kept until it is printed; for diag*.c only. */
#ifndef LCW_DIAG_PART_H
#define LCW_DIAG_PART_H
#include "diag.h"

typedef enum { PART_HERE, PART_LABEL, PART_EQUALS, PART_NOTE, PART_TRACE, PART_HELP } PartKind;

struct DiagPart {
  PartKind kind;
  Span at; /* of LABEL, NOTE, TRACE */
  const char *text;
};

struct Diag {
  DiagId id;
  Span at;
  const char *text;
  DiagPart *part;
  size_t npart, cappart;
  size_t order; /* of reporting */
};

/* Adds one message to `out`, in colour if asked. */
void diag_render(Text *out, Sources *sources, const Diag *diag, bool color);
void diag_render_short(Text *out, Sources *sources, const Diag *diag);
/* "error", "warning" or "note". */
const char *severity_word(Severity severity);

#endif
