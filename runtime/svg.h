/* svg.h: drawings of curves as SVG text: panels with axes, ticks at round numbers, curves,
 * a legend. Coordinates of a panel are those of the data. */
#ifndef LCW_SVG_H
#define LCW_SVG_H
#include "json.h"

enum { SVG_COLORS = 8 };

typedef struct Panel {
  double x, y, width, height;          /* of its plotting area, in pixels */
  double left, right, bottom, top;     /* the data's range that it shows */
  const char *title, *x_label;
} Panel;

typedef struct Point { double x, y; } Point; /* y NaN: a gap */

void svg_begin(Lines *l, double width, double height, const char *title);
void svg_end(Lines *l);
/* Widens the panel's range to round numbers and draws frame, grid, ticks and titles. */
void svg_panel(Lines *l, Panel *p);
void svg_curve(Lines *l, const Panel *p, const Point *point, size_t n, unsigned color, bool dashed);
/* One entry of a legend with its upper left corner at x, y. */
void svg_entry(Lines *l, double x, double y, const char *text, unsigned color, bool dashed);
void svg_text(Lines *l, double x, double y, const char *anchor, const char *style,
              const char *text);
#endif
