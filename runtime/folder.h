/* folder.h: the folder of a run: run.json, source.lcwnet, metrics.jsonl and the checkpoints. */
#ifndef LCW_FOLDER_H
#define LCW_FOLDER_H
#include "device.h"

typedef struct RunFolder {
  int fd; /* open and locked; -1: none */
  char path[1024];
} RunFolder;

/* The folder for a new run: -o DIR, else the first free runs/NET-N. One that holds a run is
 * refused without --overwrite, which removes what a run wrote and nothing else. */
bool folder_new(RunFolder *r, const Plan *p, const RunOptions *o, Fault *f);
/* The folder to go on in: --resume=DIR, else -o DIR, else the newest runs/NET-N. */
bool folder_resume(RunFolder *r, const Plan *p, const RunOptions *o, Fault *f);
/* Opens a folder to read from. */
bool folder_open(RunFolder *r, const char *path, Fault *f);
void folder_close(RunFolder *r);
/* Writes run.json and source.lcwnet. */
bool folder_describe(const RunFolder *r, const Plan *p, const RunOptions *o, const Device *d,
                     uint64_t seed, Fault *f);
#endif
