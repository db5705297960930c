/* front.h: the front end's state, one per compilation, and its three steps: parse, check, and
 * (by others) expand. There is no other state: two compilations may run side by side.
 *
 *   Front f; front_init(&f, &perm, max_errors...);     Ast *file = parse_file(&f, "mlp.lcwnet");
 *   if (file) check(&f);                               diags_print(&f.diags, stderr);
 */
#ifndef LCW_FRONT_H
#define LCW_FRONT_H
#include "ast.h"

/* One file of stdlib/, embedded at build; the array ends with a NULL name. */
typedef struct {
  const char *name; /* "stdlib/layers.lcwnet" */
  const char *text;
  size_t size;
} StdlibFile;
extern const StdlibFile stdlib_files[];

typedef struct Declarations Declarations; /* of all files, by name; made by check() */

typedef struct Front {
  Arena *perm;
  Names *names;
  Sources sources;
  Diags diags;
  Ast **file;            /* prelude's files first, then the user's, imports after importers */
  size_t nfile, capfile;
  uint32_t nprelude;     /* file[0 .. nprelude) are the prelude's: visible without import */
  Ast *root;             /* the file the user named, or NULL */
  Declarations *declarations;
  uint32_t nnode;        /* ids of nodes are below or equal to this */
} Front;

/* Prepares an empty compilation. parse_file() adds the prelude on its first use. */
void front_init(Front *f, Arena *perm);

#endif
