/* parse.h: from files to syntax trees. Goes in: a path or a text. Comes out: the tree of the
 * file the user named, and in Front.file every tree: the prelude's, this one, its imports.
 * Mistakes are reported to Front.diags; a tree with mistakes is returned all the same (with
 * ERROR nodes), so ask diags_exit() before going on. */
#ifndef LCW_PARSE_H
#define LCW_PARSE_H
#include "front.h"

/* Reads the file (`-`: standard input) and what it imports, beneath the file's folder only.
 * NULL when it cannot be read at all (E0101, exit 3) or a limit stopped it (exit 6). */
Ast *parse_file(Front *f, const char *path);
/* The same for a text in memory; its imports are looked for beneath `folder` (NULL: refused).
 * The text, `size` bytes and a NUL, must live as long as the compilation. */
Ast *parse_buffer(Front *f, const char *name, const char *text, size_t size, const char *folder);
/* Reads and parses one file by itself: no prelude, no imports. For `lcwc fmt`. */
Ast *parse_alone(Front *f, const char *path);
/* One expression, for `-D name=VALUE` and `--set key=VALUE`; `name` is how messages call it
 * ("-D depth"). NULL after a mistake. */
Ast *parse_expression(Front *f, const char *name, const char *text, size_t size);
/* The prelude, if it is not there yet; parse_file and parse_buffer do this by themselves. */
void parse_prelude(Front *f);
/* The texts of all files of the user, imports first, each under a comment that names it. */
const char *parse_flattened(Front *f);

#endif
