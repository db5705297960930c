/* embed.c: a tool of the build: writes files as a C array of {name, text, size}, ending with a NULL
 * name, so that texts compiled elsewhere live in real files.
 *
 *   embed HEADER TYPE ARRAY FILE... > out.c */
#include <stdio.h>

static int file_write(FILE *in, int index) {
  printf("static const char text_%d[] = {", index);
  int c;
  for (unsigned n = 0; (c = getc(in)) != EOF; n++) printf(n % 20 ? "%d," : "\n%d,", c > 127 ? c - 256 : c);
  printf("\n0};\n");
  return ferror(in);
}

int main(int argc, char **argv) {
  if (argc < 4) return fprintf(stderr, "usage: embed HEADER TYPE ARRAY FILE...\n"), 2;
  printf("#include \"%s\"\n", argv[1]);
  for (int i = 4; i < argc; i++) {
    FILE *in = fopen(argv[i], "rb");
    if (!in || file_write(in, i)) return perror(argv[i]), 3;
    fclose(in);
  }
  printf("const %s %s[] = {\n", argv[2], argv[3]);
  for (int i = 4; i < argc; i++) printf("  {\"%s\", text_%d, sizeof text_%d - 1},\n", argv[i], i, i);
  printf("  {0, 0, 0}};\n");
  return fflush(stdout) ? 3 : 0;
}
