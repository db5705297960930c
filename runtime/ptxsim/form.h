/* form.h: what the files of forms share. A form reads the operands of an instruction, by the
 * modifiers of its word; it takes the modifiers that it knows. */
#ifndef LCW_SIM_FORM_H
#define LCW_SIM_FORM_H
#include "part.h"

enum { MAX_PART = 16 };
typedef struct { Token part[MAX_PART]; bool taken[MAX_PART]; uint32_t n; } Parts;

/* Takes a modifier; false: it is not there, or taken. */
bool parts_take(Parts *p, const char *text);
/* Takes one of several; its index, or `otherwise`. */
uint32_t parts_pick(Parts *p, const char *const *text, uint32_t n, uint32_t otherwise);
/* Takes the type of an element: its size and sign. */
bool type_take(Loader *l, Parts *p, Instruction *n);

typedef bool Form(Loader *l, Parts *p, Instruction *n);
Form form_load, form_store, form_atomic, form_reduction, form_copy; /* form_memory.c */
Form form_matrix, form_multiply;

#endif
