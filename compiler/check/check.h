/* check.h: the static pass over all trees of a compilation: names, kinds, arguments, settings,
 * experiments. Goes in: trees without syntax errors. Comes out: messages, nothing else; the
 * trees stay as they are. What needs sizes (shapes, ranks of sets, counts) is expand's.
 *
 * Scopes, innermost first: locals and parameters of the declaration, declarations of the
 * file, of the prelude, and the words of builtins.def. Names of an import are reached by
 * `alias.name`, or, without `as`, as if they stood in the importing file. */
#ifndef LCW_CHECK_H
#define LCW_CHECK_H
#include "front.h"

/* Checks every file; true when there was no error. */
bool check(Front *f);

/* The declaration that a NAME or QNAME in `file` means when no local hides it; NULL if none.
 * This is how expand finds blocks, sets and initialisers too. */
Ast *check_resolve(const Front *f, const Ast *file, const Ast *name);
/* The file tree that holds a node. */
Ast *check_file_of(const Front *f, const Ast *node);
/* The declaration of that kind named on the command line, or the only one when `name` is
 * NULL; else reports E0311 or E0312 (exit 2) and returns NULL. */
Ast *check_pick(Front *f, AstKind kind, const char *name);
/* The value of a setting of a data set or recipe, bases followed; NULL when none gives it. */
Ast *check_setting(const Front *f, const Ast *decl, Name name);
/* 1 when `key` is a setting that `kind` (AST_DATA, AST_TRAIN) has; else 0. */
bool check_is_setting(AstKind kind, const char *key);
/* The name of a setting nearest to a wrong one, and its hint; NULL none. */
const char *setting_nearest(Names *names, AstKind kind, Name wrong, const char **hint);

#endif
