/* command_show.c: check, info, fmt and explain: commands that print what the compiler knows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command.h"
#include "version.h"

/* ---- check --------------------------------------------------------------------------------- */

/* Every net of the file, or the one named: a table each, or one JSON document. */
static int check_nets(Arguments *a, Compile *c) {
  Text out;
  text_init(&out, &c->perm);
  c->request.checks = true;
  if (!compile_run(c, a->place[0], PASS_check)) return c->exit;
  if (c->request.data && !compile_facts(c)) {
    diags_print(&c->front.diags, stderr);
    return c->exit ? c->exit : diags_exit(&c->front.diags);
  }
  int code = check_report(&c->front, &c->request, a->run.json, a->place[0], &out);
  diags_print(&c->front.diags, stderr);
  int written = text_write(&out);
  return code ? code : written;
}

int command_check(int argc, char **argv) {
  return command_on_file("check", false, 2, argc, argv, check_nets);
}

/* ---- info ------------------------------------------------------------------------------------- */

/* The compilers of CUDA text, and the one that is taken if none is asked for. */
static void tools_print(const CudaTools *t, const char *cache) {
  printf("CUDA compiler   %s%s%s%s\n", t->nvrtc_name ? t->nvrtc_name : "",
         t->nvrtc_name && t->clang_name ? " (taken), " : "", t->clang_name ? t->clang_name : "",
         t->nvrtc_name ? "" : t->clang_name ? " (PTX only)" : "none");
  for (const char *s = t->missing; *s; s += strcspn(s, "\n"), s += *s == '\n')
    printf("                %.*s\n", (int)strcspn(s, "\n"), s);
  printf("CUDA cache      %s\n", cache ? cache : "none: neither XDG_CACHE_HOME nor HOME is set");
}

static void info_json(const CudaTools *t, long threads) {
  const char *const name[] = {t->nvrtc_name, t->clang_name};
  printf("{\"schema\":\"lcwc.info/1\",\"version\":\"%s\",\"target\":\"host\",\"isa\":\"%s\","
         "\"threads\":%ld,\"cuda_compilers\":[",
         LCW_VERSION, host_isa(), threads);
  for (int i = 0, n = 0; i < 2; i++)
    if (name[i]) printf("%s\"%s\"", n++ ? "," : "", name[i]);
  printf("]}\n");
}

static void info_print(const CudaTools *t, const char *cache, long threads) {
  const char *data = getenv("LCWC_DATA");
  printf("lcwc            %s\ntarget          host (LLVM 19)\ninstruction set %s\n"
         "threads         %ld\n"
         "data folders    --data DIR, then LCWC_DATA%s%s, the folder of the file, "
         "/usr/share/datasets\n",
         LCW_VERSION, host_isa(), threads, data ? " = " : "", data ? data : "");
  tools_print(t, cache);
}

int command_info(int argc, char **argv) {
  Arguments a;
  Arena arena;
  CudaTools tools;
  int code = arguments_parse(&a, "info", false, 0, 0, argc, argv);
  if (code >= 0) return code;
  arena_init(&arena, "perm", 0);
  cuda_tools_open(&tools, &arena, COMPILER_ANY, true, NULL, NULL);
  long threads = sysconf(_SC_NPROCESSORS_ONLN);
  if (a.run.json) info_json(&tools, threads);
  else info_print(&tools, cuda_cache_folder(&arena), threads);
  cuda_tools_close(&tools);
  arena_release(&arena);
  bool bad = fflush(stdout) != 0 || ferror(stdout);
  return bad ? command_fail(LCW_DATA, "cannot write to standard output") : LCW_OK;
}

/* ---- fmt, explain ------------------------------------------------------------------------------ */

/* These two count the command's own name among their arguments. */
int command_fmt(int argc, char **argv) { return fmt_main(argc + 1, argv - 1); }
int command_explain(int argc, char **argv) { return explain_main(argc + 1, argv - 1); }
