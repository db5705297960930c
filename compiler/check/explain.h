/* explain.h: `lcwc explain CODE|NAME`. Goes in: a diagnostic's code or slug, or a name of the
 * language. Comes out: its page. The pages of codes are sections of explain.txt, embedded at
 * build as the files of stdlib/ are; a code without a section gets a short page made from its
 * row in diags.def. The page of a stage, set or initialiser is its declaration in stdlib/ with
 * the comment above it; of another word, its row in vocabulary.def, intrinsics.def or
 * settings.def. */
#ifndef LCW_EXPLAIN_H
#define LCW_EXPLAIN_H
#include "front.h"

extern const StdlibFile explain_files[];

/* Adds the page of a code or slug; false when there is none. */
bool explain_code(Text *out, const char *code);
/* Adds the page of a name of the language; false when there is none. */
bool explain_name(Front *f, Text *out, const char *name);
/* argv[0] is "explain". Exit code 2 for what is unknown. */
int explain_main(int argc, char **argv);

#endif
