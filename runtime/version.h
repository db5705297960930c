/* version.h: the version of the project, in run.json, checkpoints and --version. */
#ifndef LCW_VERSION_H
#define LCW_VERSION_H
#define LCW_VERSION "0.1.0"
#endif
