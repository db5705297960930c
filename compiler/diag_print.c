/* diag_print.c: the form of a message (LANGUAGE.md section 6). Goes in: one Diag. Comes out:
 * text: headline, position, snippets with carets under the right columns, notes and helps.
 * Columns are those of a terminal: wide characters count two, combining ones none. */
#include <ctype.h>
#include <string.h>
#include "diag_part.h"

enum { LINE_SHOWN = 140, LINE_BEFORE = 40, MARKS_MAX = 12, TAB = 4 };

#define RED "\033[1;31m"
#define MAGENTA "\033[1;35m"
#define CYAN "\033[1;36m"
#define GREEN "\033[1;32m"
#define BLUE "\033[1;34m"
#define BOLD "\033[1m"
#define PLAIN "\033[0m"

typedef struct {
  Text *out;
  Sources *sources;
  bool color;
  int gutter; /* digits of the largest line number */
} Render;

/* One underlined range of a line. */
typedef struct {
  uint32_t begin, end; /* byte offsets */
  int column, width;   /* on the terminal */
  const char *text;    /* "" none */
  char mark;           /* ^ primary, - secondary */
} Mark;

typedef struct {
  Mark mark[MARKS_MAX];
  int n;
} Marks;

static void paint(Render *r, const char *code) {
  if (r->color) text_add(r->out, "%s", code);
}

/* ---- characters ------------------------------------------------------------------------- */

static bool in_ranges(uint32_t c, const uint32_t (*range)[2], size_t n) {
  for (size_t i = 0; i < n; i++)
    if (c >= range[i][0] && c <= range[i][1]) return true;
  return false;
}

/* Cells that a character takes. */
static int character_width(uint32_t c) {
  static const uint32_t none[][2] = {
      {0x300, 0x36F}, {0x200B, 0x200D}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};
  static const uint32_t wide[][2] = {{0x1100, 0x115F},   {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
                                     {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
                                     {0xFFE0, 0xFFE6},   {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF},
                                     {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
  return in_ranges(c, none, COUNT_OF(none)) ? 0 : in_ranges(c, wide, COUNT_OF(wide)) ? 2 : 1;
}

/* Decodes the sequence at s of at most n bytes; its length, 1 for a broken one. */
static size_t decode(const char *s, size_t n, uint32_t *c) {
  unsigned char first = (unsigned char)s[0];
  size_t k = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (k > n) k = 1;
  *c = k == 1 ? first : first & (0x7Fu >> k);
  for (size_t i = 1; i < k; i++) {
    if (((unsigned char)s[i] & 0xC0) != 0x80) return 1;
    *c = *c << 6 | ((unsigned char)s[i] & 0x3F);
  }
  return k;
}

/* Adds the character at s to `line` as it is shown; its length in bytes, its cells in *width. */
static size_t show_character(Text *line, const char *s, size_t n, int *width) {
  uint32_t c;
  size_t k = decode(s, n, &c), before = line->n;
  if (s[0] == '\t') {
    text_add(line, "%*s", TAB, "");
    *width = TAB;
  } else if (s[0] == '\r' && n == 1) {
    *width = 0;
  } else {
    text_escaped(line, s, k);
    bool escaped = line->n - before != k;
    *width = escaped ? (int)(line->n - before) : character_width(c);
  }
  return k;
}

/* ---- one line --------------------------------------------------------------------------- */

/* The first byte of a long line to show. */
static uint32_t window_begin(const Source *file, uint32_t begin, uint32_t end, const Marks *marks) {
  uint32_t first = end;
  if (end - begin <= LINE_SHOWN) return begin;
  for (int i = 0; i < marks->n; i++)
    if (marks->mark[i].begin < first) first = marks->mark[i].begin;
  uint32_t from = first - begin > LINE_BEFORE ? first - LINE_BEFORE : begin;
  while (from < end && from > begin && ((unsigned char)file->text[from] & 0xC0) == 0x80) from++;
  return from;
}

static void place_marks(Marks *marks, uint32_t off, int column, bool last) {
  for (int i = 0; i < marks->n; i++) {
    Mark *m = &marks->mark[i];
    if (m->column < 0 && (m->begin <= off || last)) m->column = column;
    if (m->column >= 0 && m->width < 0 && (m->end <= off || last)) m->width = column - m->column;
  }
}

/* Writes the text of a line and finds the columns of its marks. */
static void show_line(Render *r, const Source *file, uint32_t begin, uint32_t end, Marks *marks) {
  uint32_t off = window_begin(file, begin, end, marks);
  int column = 0;
  if (off > begin) text_add(r->out, "..."), column = 3;
  while (off < end && column < LINE_SHOWN) {
    int width;
    place_marks(marks, off, column, false);
    off += (uint32_t)show_character(r->out, file->text + off, end - off, &width);
    column += width;
  }
  if (off < end) text_add(r->out, "...");
  place_marks(marks, off, column, true);
  for (int i = 0; i < marks->n; i++)
    if (marks->mark[i].width < 1) marks->mark[i].width = 1;
  while (r->out->n && r->out->s[r->out->n - 1] == ' ') r->out->s[--r->out->n] = 0;
  text_add(r->out, "\n");
}

static void gutter(Render *r, uint32_t line) {
  paint(r, BLUE);
  if (line) text_add(r->out, "%*u |", r->gutter, line);
  else text_add(r->out, "%*s |", r->gutter, "");
  paint(r, PLAIN);
}

/* Sorts by column, from the left. */
static void sort_marks(Marks *marks) {
  for (int i = 1; i < marks->n; i++) {
    Mark m = marks->mark[i];
    int k = i;
    for (; k > 0 && marks->mark[k - 1].column > m.column; k--) marks->mark[k] = marks->mark[k - 1];
    marks->mark[k] = m;
  }
}

/* The row of carets and dashes, with the text of the rightmost mark beside it. */
static void show_marks(Render *r, const Marks *marks, const char *paint_primary) {
  int end = 0;
  for (int i = 0; i < marks->n; i++) {
    int e = marks->mark[i].column + marks->mark[i].width;
    end = e > end ? e : end;
  }
  gutter(r, 0);
  text_add(r->out, " ");
  paint(r, paint_primary);
  for (int column = 0; column < end; column++) {
    char c = ' ';
    for (int i = 0; i < marks->n; i++) {
      const Mark *m = &marks->mark[i];
      if (column >= m->column && column < m->column + m->width && c != '^') c = m->mark;
    }
    text_bytes(r->out, &c, 1);
  }
  const char *text = marks->mark[marks->n - 1].text;
  if (*text) text_add(r->out, " "), text_escaped(r->out, text, strlen(text));
  paint(r, PLAIN);
  text_add(r->out, "\n");
}

/* A row of `|` under the marks [0, n) that have a text, then the last one's text if wanted. */
static void show_hanging(Render *r, const Marks *marks, int n, bool with_text) {
  int column = 0;
  gutter(r, 0);
  text_add(r->out, " ");
  for (int i = 0; i < n; i++) {
    const Mark *m = &marks->mark[i];
    if (!*m->text || m->column < column) continue;
    text_add(r->out, "%*s", m->column - column, "");
    column = m->column;
    if (i == n - 1 && with_text) {
      text_escaped(r->out, m->text, strlen(m->text));
    } else {
      text_add(r->out, "|");
      column++;
    }
  }
  text_add(r->out, "\n");
}

/* The texts of all but the rightmost mark, from right to left, below the line. */
static void show_texts(Render *r, const Marks *marks) {
  bool first = true;
  for (int n = marks->n - 1; n > 0; n--) {
    if (!*marks->mark[n - 1].text) continue;
    if (!first || marks->mark[n - 1].width == 1) show_hanging(r, marks, n, false);
    show_hanging(r, marks, n, true);
    first = false;
  }
}

/* ---- a snippet -------------------------------------------------------------------------- */

static void line_range(const Source *file, uint32_t line, uint32_t *begin, uint32_t *end) {
  *begin = file->line[line - 1];
  *end = line < file->nline ? file->line[line] - 1 : (uint32_t)file->size;
  if (*end > *begin && file->text[*end - 1] == '\r') --*end;
  if (line == 1 && file->size >= 3 && memcmp(file->text, "\xEF\xBB\xBF", 3) == 0) *begin = 3;
}

/* One line of source with the marks among `all` that begin on it. */
static void show_source(Render *r, Span at, const Marks *all, const char *paint_primary) {
  uint32_t line = source_position(r->sources, at).line, begin, end;
  const Source *file = &r->sources->source[at.file];
  Marks marks = {.n = 0};
  line_range(file, line, &begin, &end);
  for (int i = 0; i < all->n; i++) {
    Mark m = all->mark[i];
    if (m.begin < begin || (m.begin > end && m.begin > begin)) continue;
    m.end = m.end < end ? m.end : end;
    marks.mark[marks.n++] = m;
  }
  gutter(r, line);
  text_add(r->out, " ");
  show_line(r, file, begin, end, &marks);
  if (!marks.n) return;
  sort_marks(&marks);
  show_marks(r, &marks, paint_primary);
  show_texts(r, &marks);
}

static Mark mark_of(Span at, const char *text, char mark) {
  return (Mark){at.off, at.off + at.len, -1, -1, text, mark};
}

static void show_arrow(Render *r, Span at) {
  Position where = source_position(r->sources, at);
  const char *name = source_name(r->sources, at);
  paint(r, BLUE);
  text_add(r->out, "%*s--> ", r->gutter, "");
  paint(r, PLAIN);
  text_escaped(r->out, name, strlen(name));
  text_add(r->out, ":%u:%u\n", where.line, where.column);
}

/* Collects the marks of the snippet at `at`: part[0..n) up to the next note. */
static void collect_marks(Marks *marks, Span at, const DiagPart *part, size_t n) {
  marks->mark[marks->n++] = mark_of(at, "", '^');
  for (size_t i = 0; i < n && part[i].kind != PART_NOTE && part[i].kind != PART_TRACE; i++) {
    if (part[i].kind == PART_HERE) marks->mark[0].text = part[i].text;
    if (part[i].kind == PART_LABEL && part[i].at.file == at.file && marks->n < MARKS_MAX)
      marks->mark[marks->n++] = mark_of(part[i].at, part[i].text, '-');
  }
}

/* Position, primary line, then the other lines that have labels. */
static void show_snippet(Render *r, Span at, const DiagPart *part, size_t n,
                         const char *paint_primary) {
  Marks marks = {.n = 0};
  uint32_t shown[MARKS_MAX];
  int nshown = 0;
  if (!at.file) return;
  collect_marks(&marks, at, part, n);
  show_arrow(r, at);
  gutter(r, 0);
  text_add(r->out, "\n");
  for (int i = 0; i < marks.n; i++) {
    Span where = {marks.mark[i].begin, 0, at.file};
    uint32_t line = source_position(r->sources, where).line;
    bool again = false;
    for (int k = 0; k < nshown; k++) again |= shown[k] == line;
    if (again) continue;
    shown[nshown++] = line;
    show_source(r, where, &marks, paint_primary);
  }
}

/* ---- a message -------------------------------------------------------------------------- */

const char *severity_word(Severity severity) {
  return severity >= SEV_ERROR ? "error" : severity == SEV_WARNING ? "warning" : "note";
}

static const char *severity_paint(Severity severity) {
  return severity >= SEV_ERROR ? RED : severity == SEV_WARNING ? MAGENTA : CYAN;
}

/* The digits of the largest line number that the message shows, at least two. */
static int gutter_width(Sources *sources, const Diag *diag) {
  uint32_t line = source_position(sources, diag->at).line;
  int digits = 1;
  for (size_t i = 0; i < diag->npart; i++) {
    uint32_t other = diag->part[i].at.file ? source_position(sources, diag->part[i].at).line : 0;
    line = other > line ? other : line;
  }
  while (line >= 10) line /= 10, digits++;
  return digits < 2 ? 2 : digits;
}

static void show_headline(Render *r, const char *word, const char *code, const char *color,
                          const char *text) {
  paint(r, color);
  text_add(r->out, "%s", word);
  if (code) text_add(r->out, "[%s]", code);
  paint(r, PLAIN);
  text_add(r->out, ": ");
  if (code) paint(r, BOLD);
  text_escaped(r->out, text, strlen(text));
  if (code) paint(r, PLAIN);
  text_add(r->out, "\n");
}

static void show_part(Render *r, const DiagPart *part, size_t left) {
  switch (part->kind) {
    case PART_HERE:
    case PART_LABEL: break;
    case PART_EQUALS:
      text_add(r->out, "%*s = ", r->gutter, "");
      text_escaped(r->out, part->text, strlen(part->text));
      text_add(r->out, "\n");
      break;
    case PART_NOTE:
      show_headline(r, "note", NULL, CYAN, part->text);
      show_snippet(r, part->at, part + 1, left, CYAN);
      break;
    case PART_TRACE:
      show_headline(r, "note", NULL, CYAN, part->text);
      if (part->at.file) show_arrow(r, part->at);
      break;
    case PART_HELP: show_headline(r, "help", NULL, GREEN, part->text); break;
  }
}

void diag_render(Text *out, Sources *sources, const Diag *diag, bool color) {
  const DiagInfo *info = &diag_info[diag->id];
  Render r = {out, sources, color, gutter_width(sources, diag)};
  const char *paint_primary = severity_paint(info->severity);
  show_headline(&r, severity_word(info->severity), info->code, paint_primary, diag->text);
  show_snippet(&r, diag->at, diag->part, diag->npart, paint_primary);
  for (size_t i = 0; i < diag->npart; i++) show_part(&r, &diag->part[i], diag->npart - i - 1);
}

void diag_render_short(Text *out, Sources *sources, const Diag *diag) {
  const DiagInfo *info = &diag_info[diag->id];
  Position where = source_position(sources, diag->at);
  const char *name = source_name(sources, diag->at);
  text_escaped(out, name, strlen(name));
  text_add(out, ":%u:%u: %s ", where.line, where.column, info->code);
  for (const char *s = info->slug; *s; s++) text_add(out, "%c", *s == '_' ? '-' : *s);
  text_add(out, "\n");
}
