/* plot.h: the curves of one or more runs, loss and accuracy side by side, as SVG. */
#ifndef LCW_PLOT_H
#define LCW_PLOT_H

/* folder: n runs' folders. out: a file; "-": stdout; NULL: curves.svg in the first folder. title
 * may be NULL. The exit code. */
int plot_run(const char *const *folder, int n, const char *out, const char *title);
#endif
