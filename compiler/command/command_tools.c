/* command_tools.c: plot and export: commands that read what a run has left and compile nothing.
 * In: run folders, a checkpoint. Out: one file each. */
#include <string.h>
#include "command.h"
#include "export.h"
#include "plot.h"

int command_plot(int argc, char **argv) {
  Arguments a;
  int code = arguments_parse(&a, "plot", false, 1, MAX_PLACE, argc, argv);
  if (code >= 0) return code;
  return plot_run(a.place, (int)a.nplace, a.flag[FLAG_OUT], a.flag[FLAG_TITLE]);
}

int command_export(int argc, char **argv) {
  Arguments a;
  int code = arguments_parse(&a, "export", false, 1, 1, argc, argv);
  if (code >= 0) return code;
  const char *to = a.flag[FLAG_TO];
  if (to && strcmp(to, "safetensors"))
    return command_fail(
        LCW_USAGE, "--to=%s: this version exports safetensors only\nhelp: --to=safetensors", to);
  return export_run(a.place[0], a.flag[FLAG_OUT], false);
}
