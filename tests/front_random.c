/* front_random.c: random texts of the language; see front_random.h. Convention: each put_*()
 * writes one rule of the grammar; choices are made by an own generator, so a number always
 * gives the same text on every machine. */
#include "front_random.h"
#include <string.h>

enum { DEPTH = 3 };

/* splitmix64 */
static uint64_t random_next(Random *r) {
  uint64_t z = (r->state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint32_t random_below(Random *r, uint32_t n) { return (uint32_t)((random_next(r) >> 33) % n); }

static bool chance(Random *r, uint32_t percent) { return random_below(r, 100) < percent; }

#define PICK(r, ...)                                                                               \
  pick((r), (const char *const[]){__VA_ARGS__},                                                    \
       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))
static const char *pick(Random *r, const char *const *word, size_t n) {
  return word[random_below(r, (uint32_t)n)];
}

static void put(Random *r, const char *s) { text_add(r->out, "%s", s); }

/* White space where some may stand, sometimes a comment. */
static void gap(Random *r) {
  uint32_t k = random_below(r, 60);
  if (k == 0) put(r, " /* note \xC3\xA9 */ ");
  else if (k == 1) put(r, " // to the end\n");
  else if (k == 2) put(r, "\n\n");
  else if (k < 6) put(r, "\n  ");
  else if (k < 8) put(r, "   ");
  else put(r, " ");
}

/* ---- expressions ------------------------------------------------------------------------ */

static void put_int(Random *r) {
  if (++r->depth > DEPTH || chance(r, 50)) {
    if (r->nint && chance(r, 30)) text_add(r->out, "k%u", random_below(r, (uint32_t)r->nint));
    else text_add(r->out, "%u", 1 + random_below(r, 64));
  } else if (chance(r, 20)) {
    put(r, "(");
    put_int(r);
    put(r, ")");
  } else if (chance(r, 15)) {
    put_int(r);
    put(r, PICK(r, " == ", " < ", " >= "));
    put_int(r);
    put(r, " ? ");
    put_int(r);
    put(r, " : ");
    put_int(r);
  } else {
    put_int(r);
    put(r, PICK(r, "+", " - ", " * ", " % ", "/"));
    put_int(r);
  }
  r->depth--;
}

static void put_bool(Random *r) {
  if (chance(r, 40)) {
    put(r, PICK(r, "true", "false"));
    return;
  }
  put_int(r);
  put(r, PICK(r, " == ", "!=", " <= ", " > "));
  put_int(r);
}

static void put_set(Random *r) {
  put(r, PICK(r, "lcw", "free", "wn", "cwn", "sn", "ws"));
  if (r->nset && chance(r, 20)) text_add(r->out, " & s%u", random_below(r, (uint32_t)r->nset));
}

static void put_attribute(Random *r) {
  switch (random_below(r, 7)) {
    case 0: put(r, "@bias(false)"); break;
    case 1: put(r, "@init(xavier)"); break;
    case 2: put(r, "@decay(5e-4)"); break;
    case 3: put(r, "@init(normal(0.0, 0.02))"); break;
    case 4: put(r, "@freeze"); break;
    case 5: put(r, "@"), put(r, PICK(r, "lcw", "free", "wn")); break;
    default:
      put(r, "@(");
      put_set(r);
      put(r, ")");
  }
}

static void put_stage(Random *r);

static void put_chain(Random *r) {
  uint32_t n = 1 + random_below(r, 3);
  for (uint32_t i = 0; i < n; i++) {
    if (i) gap(r), put(r, "->"), gap(r);
    put_stage(r);
  }
}

static void put_stage(Random *r) {
  r->depth++;
  if (r->depth < DEPTH && chance(r, 10)) {
    put(r, "repeat (");
    put_int(r);
    put(r, ") { ");
    put_chain(r);
    put(r, " }");
  } else if (r->nblock && chance(r, 20)) {
    text_add(r->out, "b%u(", random_below(r, (uint32_t)r->nblock));
    put_int(r);
    put(r, ")");
  } else if (chance(r, 40)) {
    put(r, PICK(r, "relu", "sigmoid", "tanh", "bn", "dropout(0.5)", "gelu", "leaky_relu(0.1)",
                "standardize"));
  } else {
    put(r, PICK(r, "linear(", "conv(3, size = "));
    put_int(r);
    put(r, chance(r, 20) ? ", bias = false)" : ")");
    while (chance(r, 25)) put(r, " "), put_attribute(r);
  }
  r->depth--;
}

/* ---- statements ------------------------------------------------------------------------- */

static void put_statement(Random *r);

static void put_nested(Random *r) {
  r->depth++;
  put(r, "{ ");
  for (uint32_t n = random_below(r, 3); n > 0; n--) put_statement(r);
  put(r, "}");
  r->depth--;
}

static void put_statement(Random *r) {
  uint32_t k = r->depth >= DEPTH ? random_below(r, 3) : random_below(r, 11);
  switch (k) {
    case 0: put(r, "h = h + 1.0;"); break;
    case 1: put(r, "h += 0.5 * h;"); break;
    case 2: put(r, "h = h -> "), put_chain(r), put(r, ";"); break;
    case 3: put(r, "use "), put_attribute(r), put(r, ";"); break;
    case 4: put(r, "repeat ("), put_int(r), put(r, ") "), put_nested(r); break;
    case 5: put(r, "for (i in 0..3)"), gap(r), put_nested(r); break;
    case 6:
      put(r, "if ("), put_bool(r), put(r, ") "), put_nested(r),
          put(r, chance(r, 50) ? " else h = -h;" : "");
      break;
    case 7: put(r, "assert(n > 0, \"n\\t\\\"positive\\\"\");"); break;
    case 8:
      text_add(r->out, "l%llu: h = h -> ", (unsigned long long)(random_next(r) >> 40)),
          put_chain(r), put(r, ";");
      break;
    case 9: put(r, "(p, q) = split(h, 2); h = concat(p, q);"); break;
    default: put(r, "h = n == 3 && !(n > 4) ? h : h -> "), put_stage(r), put(r, ";");
  }
  gap(r);
}

static void put_body(Random *r) {
  put(r, "{\n    h = x;\n");
  for (uint32_t n = random_below(r, 4); n > 0; n--) put(r, "    "), put_statement(r);
  put(r, "\n    return h -> flatten -> linear(n);\n}\n");
}

/* ---- declarations ----------------------------------------------------------------------- */

static void put_block(Random *r) {
  int name = r->nblock;
  if (chance(r, 40)) {
    text_add(r->out, "block b%d(int n) = ", name);
    put_chain(r);
    put(r, ";\n");
  } else if (chance(r, 30)) {
    text_add(r->out, "block b%d(tensor x, int n) = x * 2.0 + (x -> relu);\n", name);
  } else {
    text_add(r->out, "block b%d(tensor x[C, _, _], int n = %u, weight W = lcw)", name,
             1 + random_below(r, 9));
    gap(r);
    put_body(r);
  }
  r->nblock++;
}

static void put_weight(Random *r) {
  text_add(r->out, "weight s%d = ", r->nset);
  if (chance(r, 50))
    put(r, PICK(r, "{ w | sum(w) == 0 }", "{ w | norm(w) == 1, sum(w) == 0 }",
                "{ w[c, y, x] | w[c, y, x] == w[c, y, -x] }",
                "{ w[c, :, :] | sum(w[c, :, :]) == 0 }"));
  else put_set(r);
  put(r, ";\n");
  r->nset++;
}

static void put_net(Random *r, int name) {
  text_add(r->out,
           "net n%d(tensor x[C, H, W], int n, real z = 0.5, weight W = free, block pre = id)",
           name);
  gap(r);
  put(r, "-> tensor[n]\n");
  put_body(r);
}

static void put_recipe(Random *r, int name) {
  text_add(r->out, "train t%d%s {", name, name ? " : t0" : "");
  while (chance(r, 70)) {
    uint32_t k = random_below(r, 6);
    static const char *const setting[] = {"lr = max(0.1 * pow(0.95, epoch / 3), 0.001);",
                                          "batch = 64;",
                                          "epochs = 3;",
                                          "decay = 1e-4;",
                                          "optimizer = sgd(momentum = 0.9);",
                                          "loss = cross_entropy(smoothing = 0.1);"};
    put(r, " ");
    put(r, setting[k]);
    if (chance(r, 70)) break;
  }
  put(r, " }\n");
}

static void put_experiment(Random *r) {
  put(r, "experiment e \"title\" {\n    sweep int Q = { 1, 2, 3 };\n    variant \"one\" { W = lcw; "
         "z = 1; }\n");
  put(r, "    variant \"two\" { pre = bn;");
  put(r, chance(r, 50) ? " lr = 0.1; }\n" : " }\n");
  put(r, "    run n0(n = Q) on d with t0;\n    plot curves(x = epoch, y = [train_loss, test_acc], "
         "panel = Q);\n}\n");
}

/* A file of a few declarations that know each other. */
static void put_file(Random *r) {
  put(r, chance(r, 3) ? "\xEF\xBB\xBF" : "");
  for (uint32_t n = random_below(r, 3); n > 0; n--) {
    uint32_t value = random_below(r, 99);
    text_add(r->out, "const int k%d = %u;\n", r->nint, value + 1);
    r->nint++;
  }
  for (uint32_t n = random_below(r, 3); n > 0; n--) put_weight(r);
  for (uint32_t n = random_below(r, 4); n > 0; n--) gap(r), put_block(r);
  bool experiment = chance(r, 30);
  if (experiment || chance(r, 60)) put_net(r, 0);
  if (!experiment && !chance(r, 30)) return;
  put(r, "data d { source = synthetic(shape = [3, 8, 8], classes = 4); normalize = channel; }\n");
  put_recipe(r, 0);
  put_recipe(r, 1);
  if (experiment) put_experiment(r);
}

/* ---- mutations -------------------------------------------------------------------------- */

static bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The token or single character that holds position i. */
static void token_at(const Text *t, size_t i, size_t *begin, size_t *end) {
  *begin = i;
  *end = i + 1;
  if (!is_word(t->s[i])) return;
  while (*begin > 0 && is_word(t->s[*begin - 1])) --*begin;
  while (*end < t->n && is_word(t->s[*end])) ++*end;
}

static const char *random_token(Random *r) {
  return PICK(r, ";", "{", "}", "(", ")", "[", "]", ",", "->", "=", "==", "+", "-", ":", "?", "@",
              "|", "&", "..", ".", "repeat", "for", "if", "else", "return", "net", "block",
              "tensor", "weight", "train", "run", "x", "linear", "q", "3", "0.5", "\"s\"", "true",
              "/*", "\"", "\x80", "\xC3\xA9", "#", "**", "1e999", "99999999999999999999", "while",
              "\n", "\r\n", "\t", "_", "%s%n", "import \"a\";");
}

static void mutate(Random *r, Text *t) {
  Text next;
  size_t begin, end;
  if (!t->n) return;
  token_at(t, random_below(r, (uint32_t)t->n), &begin, &end);
  text_init(&next, t->arena);
  text_bytes(&next, t->s, begin);
  switch (random_below(r, 5)) {
    case 0: break; /* delete */
    case 1:
      text_bytes(&next, t->s + begin, end - begin), text_bytes(&next, t->s + begin, end - begin);
      break;
    case 2: text_add(&next, " %s ", random_token(r)); break;
    case 3:
      text_add(&next, " %s ", random_token(r)), text_bytes(&next, t->s + begin, end - begin);
      break;
    default: end = t->n; /* cut off */
  }
  text_bytes(&next, t->s + end, t->n - end);
  *t = next;
}

void random_text(Text *out, uint64_t seed) {
  Random r = {.state = seed * 0xD1342543DE82EF95u + 1, .out = out};
  text_bytes(out, "", 0);
  put_file(&r);
  if (seed % 3 == 0) return;
  for (uint32_t n = random_below(&r, 4); n > 0; n--) mutate(&r, out);
}
