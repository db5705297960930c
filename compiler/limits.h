/* limits.h: every limit of the compiler, in one place. Each has its own diagnostic (E08xx,
 * exit 6) and its own test. They are far above what a person writes and far below what hurts. */
#ifndef LCW_LIMITS_H
#define LCW_LIMITS_H

enum {
  LIMIT_SOURCE = 8 << 20,       /* bytes of one source file                     E0802 */
  LIMIT_NAME = 255,             /* bytes of one identifier                      E0803 */
  LIMIT_NESTING = 64,           /* brackets, braces and bodies within another   E0804 */
  LIMIT_HEIGHT = 512,           /* height of one syntax tree: a sum of so many  E0804 */
  LIMIT_STACK = 2048,           /* symbols on the parser's stack                E0804 */
  LIMIT_IMPORT_DEPTH = 16,      /* imports within imports                       E0805 */
  LIMIT_FILES = 256,            /* files of one compilation                     E0806 */
  LIMIT_NODES = 1 << 19,        /* nodes of all syntax trees                    E0807 */
  LIMIT_LAYERS = 100000,        /* layers after expansion                       E0808 */
  LIMIT_RANK = 6,               /* dimensions of a tensor                       E0809 */
  LIMIT_DIM = 0x7FFFFFFF,       /* largest dimension                            E0810 */
  LIMIT_TENSORS = 65536,        /* parameters and states of one net             E0811 */
  LIMIT_ERRORS = 20,            /* errors printed, unless --max-errors          E0800 */
  LIMIT_ARENA = 256 << 20       /* bytes of one compilation's arena             exit 6 */
};
#define LIMIT_ELEMENTS (INT64_C(1) << 40) /* elements of one tensor             E0812 */

#endif
