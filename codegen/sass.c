/* sass.c: what a cubin holds, without a disassembler. In: the bytes of an ELF cubin and the name
 * of a function. Out: instructions of its main loop and of the whole, spills, registers.
 *
 * From sm_70 on an instruction is 16 bytes and its low 12 bits are the opcode. A loop is what
 * lies between the target of a backward BRA and the branch; the main one has most multiply
 * instructions and, among equals, is the shortest. Every offset is checked against the size. */
#include "cuda.h"
#include <string.h>

/* Opcodes of interest, each with the counter it adds to. */
typedef enum {
  SASS_MATRIX, SASS_FFMA, SASS_SHARED, SASS_COPY, SASS_GLOBAL, SASS_LOCAL, SASS_NOP, SASS_BRANCH,
  SASS_CLASSES /* any other */
} SassClass;
static const struct { uint16_t opcode; uint8_t class; const char *name; } sass_row[] = {
  {0x23c, SASS_MATRIX, "HMMA"},  {0x223, SASS_FFMA, "FFMA"},    {0x423, SASS_FFMA, "FFMA"},
  {0x823, SASS_FFMA, "FFMA"},    {0x83b, SASS_SHARED, "LDSM"},  {0x984, SASS_SHARED, "LDS"},
  {0xfae, SASS_COPY, "LDGSTS"},  {0x981, SASS_GLOBAL, "LDG"},   {0x986, SASS_GLOBAL, "STG"},
  {0x983, SASS_LOCAL, "LDL"},    {0x387, SASS_LOCAL, "STL"},    {0x918, SASS_NOP, "NOP"},
  {0x947, SASS_BRANCH, "BRA"},   {0x547, SASS_BRANCH, "BRA.U"},
};

/* The system's part of a function's shared memory, from sm_90 on. */
enum { SYSTEM_SHARED = 1024 };

/* ---- reading an ELF file -------------------------------------------------------------------- */

typedef struct { const uint8_t *bytes; size_t size; } Elf;
typedef struct { uint64_t offset, size; uint32_t name, info; } Section;

/* A little-endian number of `n` bytes at `at`; 0 outside of the file. */
static uint64_t elf_number(const Elf *f, uint64_t at, uint32_t n) {
  uint64_t x = 0;
  if (at > f->size || n > f->size - at) return 0;
  for (uint32_t i = n; i-- > 0;) x = x << 8 | f->bytes[at + i];
  return x;
}

static bool elf_section(const Elf *f, uint64_t index, Section *s) {
  uint64_t table = elf_number(f, 0x28, 8), each = elf_number(f, 0x3a, 2),
           count = elf_number(f, 0x3c, 2);
  if (index >= count || each < 64 || table > f->size || (index + 1) * each > f->size - table)
    return false;
  uint64_t at = table + index * each;
  *s = (Section){elf_number(f, at + 0x18, 8), elf_number(f, at + 0x20, 8),
                 (uint32_t)elf_number(f, at, 4), (uint32_t)elf_number(f, at + 0x2c, 4)};
  return s->offset <= f->size && s->size <= f->size - s->offset;
}

/* True if the section is called `prefix` followed by `name`. */
static bool section_named(const Elf *f, const Section *names, const Section *s, const char *prefix,
                          const char *name) {
  size_t np = strlen(prefix), nn = strlen(name);
  if (s->name > names->size || np + nn + 1 > names->size - s->name) return false;
  const uint8_t *at = f->bytes + names->offset + s->name;
  return !memcmp(at, prefix, np) && !memcmp(at + np, name, nn + 1);
}

/* The section called `prefix` followed by `name`. */
static bool section_find(const Elf *f, const char *prefix, const char *name, Section *out) {
  Section names;
  if (f->size < 64 || memcmp(f->bytes, "\177ELF\2\1", 6)) return false;
  if (!elf_section(f, elf_number(f, 0x3e, 2), &names)) return false;
  for (uint64_t i = 0; elf_section(f, i, out); i++)
    if (section_named(f, &names, out, prefix, name)) return true;
  return false;
}

/* Registers of the function whose symbol is `symbol`: .nv.info holds records {format, attribute,
 * size, data}; attribute 0x2f is {symbol, registers}. */
static uint32_t registers_find(const Elf *f, uint32_t symbol) {
  Section s;
  if (!section_find(f, ".nv.info", "", &s)) return 0;
  for (uint64_t at = s.offset, end = s.offset + s.size; at + 4 <= end;) {
    uint64_t format = elf_number(f, at, 1), attribute = elf_number(f, at + 1, 1),
             size = elf_number(f, at + 2, 2);
    if (format == 4 && attribute == 0x2f && elf_number(f, at + 4, 4) == symbol)
      return (uint32_t)elf_number(f, at + 8, 4);
    at += 4 + (format == 4 ? size : 0);
  }
  return 0;
}

/* ---- counting ------------------------------------------------------------------------------- */

static uint32_t opcode_at(const Elf *f, const Section *code, uint64_t i) {
  return (uint32_t)elf_number(f, code->offset + 16 * i, 2) & 0xfff;
}

static uint32_t class_of(uint32_t opcode) {
  for (size_t i = 0; i < COUNT_OF(sass_row); i++)
    if (sass_row[i].opcode == opcode) return sass_row[i].class;
  return SASS_CLASSES;
}

/* Instructions of every class in [begin, end). */
static void histogram(const Elf *f, const Section *code, uint64_t begin, uint64_t end,
                      uint32_t *count) {
  memset(count, 0, (SASS_CLASSES + 1) * sizeof *count);
  for (uint64_t i = begin; i < end; i++) count[class_of(opcode_at(f, code, i))]++;
}

/* Where a branch at instruction i goes: a signed count of 4 bytes from bit 34 on, relative to
 * the next instruction; from sm_90 on its low 8 bits lie at bit 16. False: not a branch back. */
static bool branch_back(const Elf *f, const Section *code, uint64_t i, bool split,
                        uint64_t *target) {
  if (class_of(opcode_at(f, code, i)) != SASS_BRANCH) return false;
  uint64_t low = elf_number(f, code->offset + 16 * i, 8),
           high = elf_number(f, code->offset + 16 * i + 8, 8);
  int64_t words = (int64_t)((low >> 34 | high << 30) & 0xffffffffffffull);
  if (words >> 47) words -= INT64_C(1) << 48;
  if (split) words = words * 256 + (int64_t)(low >> 16 & 255);
  int64_t to = (int64_t)i + 1 + words / 4;
  *target = (uint64_t)to;
  return to >= 0 && to < (int64_t)i;
}

bool sass_count(const void *cubin, size_t size, const char *function, SassCount *out, Text *why) {
  Elf f = {cubin, size};
  Section code;
  uint64_t target, total;
  memset(out, 0, sizeof *out);
  if (!section_find(&f, ".text.", function, &code)) {
    text_add(why, "no code of `%s` in this file: not a cubin, or cut short", function);
    return false;
  }
  uint32_t flags = (uint32_t)elf_number(&f, 0x30, 4),
           arch = flags >> 8 & 255 ? flags >> 8 & 255 : flags & 255;
  uint32_t all[SASS_CLASSES + 1], in[SASS_CLASSES + 1];
  total = code.size / 16;
  histogram(&f, &code, 0, total, all);
  bool tensor = all[SASS_MATRIX] > 0;
  for (uint64_t i = 0; i < total; i++) {
    if (!branch_back(&f, &code, i, arch >= 90, &target)) continue;
    histogram(&f, &code, target, i + 1, in);
    uint32_t work = tensor ? in[SASS_MATRIX] : in[SASS_FFMA], length = (uint32_t)(i + 1 - target);
    if (!work || work < out->multiplies || (work == out->multiplies && length >= out->loop))
      continue;
    *out = (SassCount){.loop = length,
                       .after = (uint32_t)(total - i - 1),
                       .multiplies = work,
                       .shared_loads = in[SASS_SHARED],
                       .copies = in[SASS_COPY],
                       .global = in[SASS_GLOBAL]};
  }
  out->total = (uint32_t)total - all[SASS_NOP];
  out->after -= out->after ? (uint32_t)size_min(all[SASS_NOP], out->after) : 0;
  out->matrix = tensor;
  out->spills = all[SASS_LOCAL];
  out->registers = registers_find(&f, code.info & 0xffffff);
  if (section_find(&f, ".nv.shared.", function, &code)) out->shared = (uint32_t)code.size;
  if (arch >= 90 && out->shared >= SYSTEM_SHARED) out->shared -= SYSTEM_SHARED;
  return true;
}
