/* export.h: a checkpoint as plain folded weights under PyTorch's conventions. */
#ifndef LCW_EXPORT_H
#define LCW_EXPORT_H
#include "fault.h"

/* Writes `out` (NULL: beside the checkpoint, as NET.safetensors) from a checkpoint or a run's
 * folder. The exit code; the name of the file is printed on stdout. */
int export_run(const char *checkpoint, const char *out, bool quiet);
#endif
