/* vocabulary.c: the tables of words that are no declarations, as data. Goes in: a place and a
 * word. Comes out: the row of vocabulary.def or intrinsics.def. */
#include <string.h>
#include "check_scope.h"

static const Term terms[] = {
#define TERM(place, name, params, what) {PLACE_##place, #name, params, what},
#include "vocabulary.def"
};

static const struct {
  const char *name;
  uint32_t fewest, most;
  const char *synopsis;
} intrinsics[] = {
#define INTRINSIC(name, fewest, most, synopsis) {#name, fewest, most, synopsis},
#include "intrinsics.def"
};

const Term *term_find(Place place, const char *name) {
  for (size_t i = 0; i < COUNT_OF(terms); i++)
    if (terms[i].place == place && strcmp(terms[i].name, name) == 0) return &terms[i];
  return NULL;
}

const Term *term_at(size_t i) { return i < COUNT_OF(terms) ? &terms[i] : NULL; }

const char *term_list(Arena *a, Place place) {
  Text out;
  const char *between = "";
  text_init(&out, a);
  for (size_t i = 0; i < COUNT_OF(terms); i++) {
    if (terms[i].place != place) continue;
    text_add(&out, "%s%s", between, terms[i].name);
    between = ", ";
  }
  return out.s;
}

bool term_has_param(const Term *t, const char *name) {
  if (!name) return *t->params != 0;
  for (const char *s = t->params; *s;) {
    size_t n = strcspn(s, " ");
    if (n == strlen(name) && memcmp(s, name, n) == 0) return true;
    s += n + (s[n] == ' ');
  }
  return false;
}

uint32_t term_count_params(const Term *t) {
  uint32_t n = *t->params != 0;
  for (const char *s = t->params; *s; s++) {
    n += *s == ' ';
    if (*s == '.') return UINT32_MAX;
  }
  return n;
}

bool intrinsic_known(const char *name, uint32_t *fewest, uint32_t *most) {
  for (size_t i = 0; i < COUNT_OF(intrinsics); i++) {
    if (strcmp(intrinsics[i].name, name) != 0) continue;
    *fewest = intrinsics[i].fewest;
    *most = intrinsics[i].most;
    return true;
  }
  return false;
}

const char *intrinsic_at(size_t i, const char **synopsis) {
  if (i >= COUNT_OF(intrinsics)) return NULL;
  *synopsis = intrinsics[i].synopsis;
  return intrinsics[i].name;
}
