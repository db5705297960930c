/* svg.c: see svg.h. The colours are Okabe and Ito's, which stay apart for colour-blind eyes. */
#include "svg.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TICKS = 5, DOTS = 40 };

static const char *const color_of[SVG_COLORS] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8c6d1f", "#444444"};

/* Text with the characters that XML keeps for itself escaped; control bytes left out. */
static void add_escaped(Lines *l, const char *s) {
  bool whole = utf8_proper(s, strlen(s));
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    if (c == '&') lines_add(l, "&amp;");
    else if (c == '<') lines_add(l, "&lt;");
    else if (c == '>') lines_add(l, "&gt;");
    else if (c == '"') lines_add(l, "&quot;");
    else if (c >= 0x80 && !whole) lines_bytes(l, "?", 1);
    else if (c >= 0x20 && c != 0x7f) lines_bytes(l, s, 1);
  }
}

void svg_begin(Lines *l, double width, double height, const char *title) {
  lines_add(
      l,
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
      "viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"13\">\n",
      width, height, width, height);
  lines_add(l, "<title>");
  add_escaped(l, title);
  lines_add(l, "</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n");
}

void svg_end(Lines *l) { lines_add(l, "</svg>\n"); }

void svg_text(Lines *l, double x, double y, const char *anchor, const char *style,
              const char *text) {
  lines_add(l, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"#222\" %s>", x, y, anchor,
            style);
  add_escaped(l, text);
  lines_add(l, "</text>\n");
}

/* A straight line. */
static void svg_line(Lines *l, double x1, double y1, double x2, double y2, const char *style) {
  lines_add(l, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2,
            style);
}

/* From the data's coordinates to pixels. */
static double pixel_x(const Panel *p, double x) {
  return p->x + (x - p->left) / (p->right - p->left) * p->width;
}

static double pixel_y(const Panel *p, double y) {
  return p->y + p->height - (y - p->bottom) / (p->top - p->bottom) * p->height;
}

/* 1, 2 or 5 times a power of ten: about TICKS of them in the range. */
static double tick_step(double range) {
  double raw = range / (double)TICKS, power = pow(10, floor(log10(raw))), lead = raw / power;
  return (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10) * power;
}

/* A range that begins and ends at ticks; an empty one gets some room. */
static double round_range(double *low, double *high) {
  if (!(*high > *low)) *high = *low + (*low != 0 ? fabs(*low) : 1);
  double step = tick_step(*high - *low);
  *low = floor(*low / step + 1e-9) * step;
  *high = ceil(*high / step - 1e-9) * step;
  return step;
}

/* As many decimals as the step between ticks needs. */
static void tick_text(char *out, size_t n, double x, double step) {
  int decimals = (int)ceil(-log10(step) - 1e-9);
  if (decimals < 0) decimals = 0;
  if (fabs(x) >= 1e6 || decimals > 6) snprintf(out, n, "%g", x);
  else snprintf(out, n, "%.*f", decimals, fabs(x) < step / 2 ? 0.0 : x);
}

/* Ticks, their numbers and the name of the axis. */
static void x_axis(Lines *l, const Panel *p, double step) {
  char text[32];
  for (int i = 0; p->left + i * step <= p->right + step / 2; i++) {
    double at = p->left + i * step, x = pixel_x(p, at);
    svg_line(l, x, p->y + p->height, x, p->y + p->height + 5, "stroke=\"#444\"");
    tick_text(text, sizeof text, at, step);
    svg_text(l, x, p->y + p->height + 20, "middle", "", text);
  }
  svg_text(l, p->x + p->width / 2, p->y + p->height + 40, "middle", "", p->x_label);
}

/* The same, with lines across the panel. */
static void y_axis(Lines *l, const Panel *p, double step) {
  char text[32];
  for (int i = 0; p->bottom + i * step <= p->top + step / 2; i++) {
    double at = p->bottom + i * step, y = pixel_y(p, at);
    svg_line(l, p->x, y, p->x + p->width, y, "stroke=\"#e4e4e4\"");
    svg_line(l, p->x - 5, y, p->x, y, "stroke=\"#444\"");
    tick_text(text, sizeof text, at, step);
    svg_text(l, p->x - 9, y + 4.5, "end", "", text);
  }
}

void svg_panel(Lines *l, Panel *p) {
  double x_step = round_range(&p->left, &p->right), y_step = round_range(&p->bottom, &p->top);
  y_axis(l, p, y_step);
  x_axis(l, p, x_step);
  lines_add(l,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" "
            "stroke=\"#444\"/>\n",
            p->x, p->y, p->width, p->height);
  svg_text(l, p->x + p->width / 2, p->y - 12, "middle", "font-weight=\"bold\"", p->title);
}

/* Dashed curves are also lighter. */
static const char *dash_of(bool dashed) {
  return dashed ? " stroke-dasharray=\"5 4\" opacity=\"0.75\"" : "";
}

void svg_curve(Lines *l, const Panel *p, const Point *point, size_t n, unsigned color,
               bool dashed) {
  const char *ink = color_of[color % SVG_COLORS];
  bool drawing = false;
  lines_add(
      l, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" stroke-linejoin=\"round\"%s d=\"",
      ink, dashed ? "1.6" : "2.2", dash_of(dashed));
  for (size_t i = 0; i < n; i++) {
    bool gap = !isfinite(point[i].y);
    if (!gap)
      lines_add(l, "%s%.1f %.1f ", drawing ? "L" : "M", pixel_x(p, point[i].x),
                pixel_y(p, point[i].y));
    drawing = !gap;
  }
  lines_add(l, "\"/>\n");
  for (size_t i = 0; i < n && n <= DOTS && !dashed; i++)
    if (isfinite(point[i].y))
      lines_add(l, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.8\" fill=\"%s\"/>\n",
                pixel_x(p, point[i].x), pixel_y(p, point[i].y), ink);
}

void svg_entry(Lines *l, double x, double y, const char *text, unsigned color, bool dashed) {
  char style[128];
  snprintf(style, sizeof style, "stroke=\"%s\" stroke-width=\"%s\"%s", color_of[color % SVG_COLORS],
           dashed ? "1.6" : "2.2", dash_of(dashed));
  svg_line(l, x, y, x + 28, y, style);
  svg_text(l, x + 36, y + 4.5, "start", "", text);
}
