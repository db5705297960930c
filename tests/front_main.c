/* front_main.c: the front end alone, for tests and for looking. Goes in: a file. Comes out: its
 * messages on stderr, its tree on stdout when asked. Usage: front_main [--ast] [--no-check]
 * [--diag=short] [-Wall] FILE. Exit code as lcwc check. */
#include <string.h>
#include "check.h"
#include "limits.h"
#include "parse.h"

int main(int argc, char **argv) {
  Arena perm;
  Front f;
  bool dump = false, checks = true;
  const char *path = NULL;
  arena_init(&perm, "perm", LIMIT_ARENA);
  front_init(&f, &perm);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--ast") == 0) dump = true;
    else if (strcmp(argv[i], "--no-check") == 0) checks = false;
    else if (strcmp(argv[i], "--diag=short") == 0) f.diags.brief = true;
    else if (strcmp(argv[i], "--max-errors=0") == 0) f.diags.max_errors = 0;
    else if (strcmp(argv[i], "-Wall") == 0) f.diags.remarks = true;
    else path = argv[i];
  }
  if (!path) return 2;
  Ast *tree = parse_file(&f, path);
  if (tree && dump) ast_dump(stdout, &f.sources, f.names, tree);
  if (tree && checks && !diags_exit(&f.diags)) check(&f);
  diags_print(&f.diags, stderr);
  int status = diags_exit(&f.diags);
  arena_release(&perm);
  return status;
}
