/* whole_cli.c: the command line as a user meets it. In: tables of command lines. Out: each has its
 * exit code (DESIGN, section 10), says on standard error what it must name, and leaves no file
 * behind when it is refused.
 *
 * The lines run in a folder that holds net.lcwnet (tests/whole/tiny.lcwnet) and what the second
 * half of this file writes: broken sources, broken data, broken checkpoints. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "process.h"
#include "scratch.h"

typedef struct {
  int code;
  const char *line, *names;
} Row;
typedef struct {
  Tally t;
  Scratch s;
  Process in;
} Cli;

static int entries(const char *path) {
  int n = 0;
  DIR *d = opendir(path);
  scratch_must(d != NULL, path);
  while (readdir(d)) n++;
  closedir(d);
  return n;
}

static int lines(const char *s) {
  int n = 0;
  for (; *s; s++) n += *s == '\n';
  return n;
}

/* ---- wrong command lines: exit 2, at most three lines, the word named, nothing made --------- */

static void usage(Cli *c, const char *line, const char *names) {
  int before = entries(c->s.path);
  const Ran *r = process_run(&c->in, "lcwc %s", line);
  int made = entries(c->s.path) - before;
  int ok = r->code == 2 && lines(r->err) <= 3 && strstr(r->err, names) && !*r->out && !made;
  tally(&c->t, ok, "lcwc %s: exit %d, %d lines, %d files made, `%s` not named?\n%s%s", line,
        r->code, lines(r->err), made, names, r->out, r->err);
}

static const char *const command[][2] = {
    {"check", "net.lcwnet"},
    {"train", "net.lcwnet"},
    {"eval", "run"},
    {"build", "net.lcwnet"},
    {"emit", "net.lcwnet"},
    {"inspect", "net.lcwnet"},
    {"bench", "net.lcwnet"},
    {"gradcheck", "net.lcwnet"},
    {"plot", "run"},
    {"export", "run"},
    {"fmt", "net.lcwnet"},
    {"explain", ""},
    {"info", ""},
};

/* What every command refuses. */
static const Row every[] = {
    {2, "--nosuch", "nosuch"}, {2, "--nosuch=1", "nosuch"}, {2, "-Z", "-Z"},
    {2, "--hel", "hel"},       {2, "--jsn", "jsn"},
};

/* What every command refuses that compiles. */
static const Row compiles[] = {
    {2, "--dump=tokens", "tokens"},
    {2, "--stop=tokens", "tokens"},
    {2, "--diag=long", "long"},
    {2, "--max-errors=0", "0"},
    {2, "--max-errors=x", "x"},
    {2, "--stop", "--stop"},
    {2, "-D", "define"},
    {2, "-D width", "width"},
    {2, "-D nosuch=1", "nosuch"},
    {2, "--on=nosuch", "nosuch"},
};

static const char *const compiling[] = {
    "check",    "train", "build -o bin", "emit --emit=graph", "inspect", "bench --lower=fused",
    "gradcheck"};

static const Row one[] = {
    {2, "nosuch", "nosuch"},
    {2, "trian net.lcwnet", "train"},
    {2, "''", "command"},
    {2, "--versio", "versio"},
    {2, "check", "argument"},
    {2, "train", "argument"},
    {2, "eval", "argument"},
    {2, "build", "argument"},
    {2, "emit", "argument"},
    {2, "inspect", "argument"},
    {2, "bench", "argument"},
    {2, "gradcheck", "argument"},
    {2, "plot", "argument"},
    {2, "export", "argument"},
    {2, "explain", "explain"},
    {2, "fmt", "fmt"},
    {2, "info extra", "extra"},
    {2, "check net.lcwnet tiny third", "third"},
    {2, "train net.lcwnet tiny third", "third"},
    {2, "eval run third", "third"},
    {2, "build net.lcwnet tiny", "-o"},
    {2, "explain E9999", "E9999"},
    {2, "explain sigmiod", "sigmiod"},
    {2, "check net.lcwnet nosuch", "nosuch"},
    {2, "train net.lcwnet nosuch", "nosuch"},
    {2, "train net.lcwnet tinny", "tiny"},
    {2, "train net.lcwnet --with=nosuch", "nosuch"},
    {2, "train net.lcwnet --with points", "points"},
    {2, "train net.lcwnet --on recipe", "recipe"},
    {2, "train net.lcwnet --set=batch", "batch"},
    {2, "train net.lcwnet --set bacth=3", "bacth"},
    {2, "train net.lcwnet --set bacth=3", "did you mean `batch`"},
    {2, "train net.lcwnet --set batch_size=3", "did you mean `batch`"},
    {2, "train net.lcwnet -D clases=3", "did you mean `classes`"},
    {2, "train net.lcwnet --threads", "threads"},
    {2, "train net.lcwnet --threads=", "threads"},
    {2, "train net.lcwnet --threads=-1", "-1"},
    {2, "train net.lcwnet --threads=0", "threads"},
    {2, "train net.lcwnet --threads=1e9", "1e9"},
    {2, "train net.lcwnet --threads=0x2", "0x2"},
    {2, "train net.lcwnet --threads=1025", "1025"},
    {2, "train net.lcwnet --threads=99999999999999999999", "threads"},
    {2, "train net.lcwnet --steps=x", "x"},
    {2, "train net.lcwnet --steps=1.5", "1.5"},
    {2, "train net.lcwnet --steps -5", "steps"},
    {2, "train net.lcwnet --epochs=1000001", "1000001"},
    {2, "train net.lcwnet --seed=4294967296", "4294967296"},
    {2, "train net.lcwnet --seed=-1", "-1"},
    {2, "train net.lcwnet --max-memory=1Q", "1Q"},
    {2, "train net.lcwnet --max-memory=", "max-memory"},
    {2, "train net.lcwnet --log=line", "line"},
    {2, "train net.lcwnet --progress=maybe", "maybe"},
    {2, "train net.lcwnet --color=red", "red"},
    {2, "train net.lcwnet --cpu=sse9", "sse9"},
    {2, "train net.lcwnet --json=1", "json"},
    {2, "train net.lcwnet --quiet=yes", "quiet"},
    {2, "train net.lcwnet -o", "-o"},
    {2, "train net.lcwnet -o ''", "output"},
    {2, "train net.lcwnet -o a -o b", "--output"},
    {2, "train net.lcwnet --steps=1 --steps=2", "steps"},
    {2, "train net.lcwnet --seed=1 --seed=1", "seed"},
    {2, "train net.lcwnet --lower=fast", "fast"},
    {2, "train net.lcwnet --lower=dense --lower=fused", "lower"},
    {2, "train net.lcwnet --precision=tf32", "tf32"},
    {2, "train net.lcwnet --precision=bf16", "bf16"},
    {2, "train net.lcwnet --precision=fp8", "fp8"},
    {2, "train net.lcwnet --set precision=bf16", "bf16"},
    {2, "build net.lcwnet --set precision=tf32 -o x", "tf32"},
    {2, "train net.lcwnet --resume --overwrite", "overwrite"},
    {2, "train net.lcwnet -- --threads=2 extra", "extra"},
    {2, "train net.lcwnet --emit=llvm", "emit"},
    {2, "emit net.lcwnet", "emit"},
    {2, "emit net.lcwnet --emit=ptx2", "ptx2"},
    {2, "emit net.lcwnet --emit=", "emit"},
    {2, "emit net.lcwnet --emit=llvm --isa=sse9", "sse9"},
    {2, "emit net.lcwnet --emit=llvm --kernel=nosuch", "nosuch"},
    {2, "inspect net.lcwnet --phase=never", "never"},
    {2, "bench net.lcwnet --lower=fused,fast", "fast"},
    {2, "bench net.lcwnet --lower=", "lower"},
    {2, "export run --to=onnx", "onnx"},
    {2, "export run --to", "to"},
    {2, "plot -o curves.svg", "argument"},
    {2, "build net.lcwnet --steps=3 -o x", "steps"},
    {2, "check --json=yes net.lcwnet", "json"},
    {2, "check net.lcwnet --threads=2", "threads"},
    {2, "info --set a=b", "set"},
    {2, "train net.lcwnet --\x01\xff", "--"},
    {2, "\xff\xfe", "command"},
};

static void usages(Cli *c) {
  char line[512];
  for (size_t i = 0; i < COUNT_OF(one); i++) usage(c, one[i].line, one[i].names);
  for (size_t k = 0; k < COUNT_OF(command); k++)
    for (size_t i = 0; i < COUNT_OF(every); i++) {
      snprintf(line, sizeof line, "%s %s %s", command[k][0], command[k][1], every[i].line);
      usage(c, line, every[i].names);
    }
  for (size_t k = 0; k < COUNT_OF(compiling); k++)
    for (size_t i = 0; i < COUNT_OF(compiles); i++) {
      snprintf(line, sizeof line, "%s net.lcwnet tiny %s", compiling[k], compiles[i].line);
      usage(c, line, compiles[i].names);
    }
}

/* An argument of 100,000 bytes. */
static void huge(Cli *c) {
  static char line[100100];
  strcpy(line, "train net.lcwnet --threads=");
  memset(line + strlen(line), '9', 100000);
  const Ran *r = process_run(&c->in, "lcwc %s", line);
  tally(&c->t, r->code == 2, "an option of 100,000 digits: exit %d", r->code);
}

/* A wrong value of -D or --set: the diagnostics of a file, but the command line is to blame. */
static const char *const values[][2] = {
    {"--set batch=", "--set batch:1:1"},
    {"--set batch=x", "--set batch:1:1"},
    {"--set batch=1.5", "batch"},
    {"--set batch=0", "batch"},
    {"--set batch=-3", "batch"},
    {"--set optimizer=sgdd", "sgdd"},
    {"--set optimizer=sgd(momentun=1.0)", "momentun"},
    {"--set lr=epocj", "epocj"},
    {"--set loss=mes", "mes"},
    {"--set '--set'", "--set"},
    {"-D classes=1.5", "-D classes:1:1"},
    {"-D classes=x", "-D classes:1:1"},
    {"-D classes=(", "-D classes:1:"},
    {"-D classes=1;", "-D classes:1:2"},
};

static void wrong_values(Cli *c) {
  for (size_t i = 0; i < COUNT_OF(values); i++) {
    int before = entries(c->s.path);
    const Ran *r = process_run(&c->in, "lcwc train net.lcwnet %s", values[i][0]);
    int ok = r->code == 2 && strstr(r->err, values[i][1]) && entries(c->s.path) == before;
    tally(&c->t, ok, "lcwc train net.lcwnet %s: exit %d, `%s` in\n%s", values[i][0], r->code,
          values[i][1], r->err);
  }
}

/* ---- help ----------------------------------------------------------------------------------- */

static void helps(Cli *c) {
  for (size_t k = 0; k < COUNT_OF(command); k++) {
    const Ran *r = process_run(&c->in, "lcwc %s --help", command[k][0]);
    int ok = !r->code && !*r->err && strstr(r->out, "usage: lcwc ") && strstr(r->out, "example") &&
             strstr(r->out, command[k][0]);
    tally(&c->t, ok, "lcwc %s --help: exit %d\n%s%s", command[k][0], r->code, r->out, r->err);
  }
  const Ran *r = process_run(&c->in, "lcwc --help");
  for (size_t k = 0; k < COUNT_OF(command); k++)
    tally(&c->t, !r->code && strstr(r->out, command[k][0]), "lcwc --help does not name %s",
          command[k][0]);
  r = process_run(&c->in, "lcwc --version");
  tally(&c->t, !r->code && !strncmp(r->out, "lcwc ", 5), "lcwc --version: exit %d: %s", r->code,
        r->out);
}

/* ---- what is wrong with files: the other codes ----------------------------------------------- */

/* Files that the rows below name. A name that ends in / is a folder. */
static const struct {
  const char *name, *text;
} file[] = {
    {"empty.lcwnet", ""},
    {"syntax.lcwnet",
     "net tiny(tensor x[n]) -> tensor[3]\n{\n    return x -> linear(3) sigmoid;\n}\n"},
    {"import_missing.lcwnet", "import \"nowhere.lcwnet\";\n"},
    {"import_outside.lcwnet", "import \"../outside.lcwnet\";\n"},
    {"import_cycle.lcwnet", "import \"import_cycle.lcwnet\";\n"},
    {"utf8.lcwnet", "// \xff\xfe\n"},
    {"a.npy", "not an npy file"},
    {"data_npy.lcwnet", "data d { source = npy(\"a.npy\", \"a.npy\"); }\n"},
    {"data_idx.lcwnet", "data d { source = idx(\"idx\"); }\n"},
    {"idx/", ""},
    {"idx/train-images-idx3-ubyte", "too short"},
    {"idx/train-labels-idx1-ubyte", "too short"},
    {"data_gone.lcwnet", "data d { source = idx(\"no-such-folder\"); }\n"},
    {"data_up.lcwnet", "data d { source = idx(\"../../etc\"); }\n"},
    {"folder/", ""},
    {"broken.safetensors", "\x10\x01\x01\x01\x01\x01\x01\x01{\"__metadata__\":"},
    {"text.safetensors", "hello"},
    {"void.safetensors", ""},
    {"bomb.lcwnet", "net tiny(tensor x[n], int classes) -> tensor[classes]\n{\n    h = x;\n    "
                    "repeat (1000000000) h = h -> linear(8);\n"
                    "    return h -> linear(classes);\n}\ndata points { source = synthetic(shape = "
                    "[6], classes = 3); }\ntrain r {}\n"},
};

static const char model[] = "net tiny(tensor x[n], int classes) -> tensor[classes]\n{\n    return "
                            "x -> linear(4) -> linear(classes);\n}\n"
                            "net image(tensor x[C, H, W], int classes) -> tensor[classes]\n{\n    "
                            "return x -> flatten -> linear(classes);\n}\n"
                            "train r { batch = 4; }\n";

static const Row rows[] = {
    {1, "check syntax.lcwnet", "syntax.lcwnet:3:"},
    {1, "train syntax.lcwnet", "E0203"},
    {1, "check import_missing.lcwnet", "import_missing.lcwnet:1:"},
    {1, "check import_outside.lcwnet", "import_outside.lcwnet:1:"},
    {1, "check import_cycle.lcwnet", "import_cycle.lcwnet:1:"},
    {1, "check utf8.lcwnet", "utf8.lcwnet:1:"},
    {1, "train net.lcwnet -D classes=0", "E0509"},
    {1, "train net.lcwnet -D classes=5", "points.classes"},
    {0, "check empty.lcwnet", ""},
    {3, "check nowhere.lcwnet", "nowhere.lcwnet"},
    {3, "check folder", "folder"},
    {3, "train nowhere.lcwnet", "nowhere.lcwnet"},
    {3, "fmt nowhere.lcwnet", "nowhere.lcwnet"},
    {3, "train data_npy.lcwnet tiny", "a.npy"},
    {3, "train data_idx.lcwnet image", "idx"},
    {3, "train data_gone.lcwnet image", "no-such-folder"},
    {3, "train data_up.lcwnet image", ".."},
    {3, "eval nowhere", "nowhere"},
    {3, "eval folder", "folder"},
    {3, "eval broken.safetensors", "broken.safetensors"},
    {3, "eval text.safetensors", "text.safetensors"},
    {3, "eval void.safetensors", "void.safetensors"},
    {3, "export text.safetensors --to=safetensors -o out", "text.safetensors"},
    {3, "plot folder -o out.svg", "folder"},
    {3, "train net.lcwnet --steps=1 -o a.npy", "a.npy"},
    {3, "train net.lcwnet --steps=1 -o a.npy/run", "a.npy"},
    {3, "train net.lcwnet --steps=1 --resume=nowhere", "nowhere"},
    {3, "build net.lcwnet -o nowhere/bin", "nowhere/bin"},
    {4, "train net.lcwnet --device=cuda", "cuda"},
    {4, "train net.lcwnet --device=cuda:1 --driver=/nowhere/libcuda.so.1", "/nowhere/libcuda.so.1"},
    {4, "build net.lcwnet --target=sm_80 --cuda-compiler=clang -o bin", "sm_80"},
    {6, "check bomb.lcwnet", "bomb.lcwnet:"},
    {6, "train bomb.lcwnet", "1000000001"},
    {6, "train net.lcwnet --max-memory=1K --steps=1", "max-memory"},
};

static void files_write(Cli *c) {
  size_t n;
  unsigned char *tiny = scratch_read("tests/whole/tiny.lcwnet", &n);
  scratch_write(scratch_path(&c->s, "net.lcwnet"), tiny, n);
  free(tiny);
  for (size_t i = 0; i < COUNT_OF(file); i++) {
    const char *path = scratch_path(&c->s, file[i].name), *text = file[i].text;
    char whole[2000];
    if (path[strlen(path) - 1] == '/') {
      scratch_must(mkdir(path, 0700) == 0, path);
      continue;
    }
    snprintf(whole, sizeof whole, "%s%s", strncmp(file[i].name, "data_", 5) ? "" : model, text);
    scratch_write(path, whole, strlen(whole));
  }
}

static void refusals(Cli *c) {
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int before = entries(c->s.path);
    const Ran *r = process_run(&c->in, "lcwc %s", rows[i].line);
    int made = entries(c->s.path) - before;
    tally(&c->t, r->code == rows[i].code && strstr(r->err, rows[i].names) && !made,
          "lcwc %s: exit %d, not %d; %d files made; `%s` in\n%s", rows[i].line, r->code,
          rows[i].code, made, rows[i].names, r->err);
  }
}

/* ---- outputs that cannot be written ------------------------------------------------------------
 */

static void outputs(Cli *c) {
  static const char *const prints[] = {"--help",
                                       "--version",
                                       "train --help",
                                       "check net.lcwnet",
                                       "check --json net.lcwnet",
                                       "emit net.lcwnet --emit=graph",
                                       "emit net.lcwnet --emit=llvm",
                                       "info",
                                       "explain E0501",
                                       "fmt net.lcwnet",
                                       "train net.lcwnet --print-plan",
                                       "train net.lcwnet --steps=2 --json -o full --overwrite",
                                       "inspect net.lcwnet",
                                       "gradcheck net.lcwnet"};
  static const char *const to[] = {"/dev/full", "|"};
  for (size_t i = 0; i < COUNT_OF(prints); i++)
    for (size_t k = 0; k < COUNT_OF(to); k++) {
      Process how = {.folder = c->s.path, .stdout_to = to[k]};
      const Ran *r = process_run(&how, "lcwc %s", prints[i]);
      tally(&c->t, r->code == 3, "lcwc %s >%s: exit %d, not 3\n%s", prints[i], to[k], r->code,
            r->err);
    }
}

/* ---- folders of runs ----------------------------------------------------------------------------
 */

static void expect(Cli *c, int code, const char *names, const char *line) {
  const Ran *r = process_run(&c->in, "lcwc %s", line);
  tally(&c->t, r->code == code && strstr(r->err, names), "lcwc %s: exit %d, not %d; `%s` in\n%s",
        line, r->code, code, names, r->err);
}

/* Changes one byte near the end of the weights. */
static void damage(const char *from, const char *to) {
  size_t n;
  unsigned char *p = scratch_read(from, &n);
  p[n - 3] ^= 1;
  scratch_write(to, p, n);
  free(p);
}

static void runs(Cli *c) {
  expect(c, 0, "", "train net.lcwnet --steps=3 -q -o run");
  expect(c, 3, "run", "train net.lcwnet --steps=3 -q -o run");
  expect(c, 0, "", "train net.lcwnet --steps=3 -q -o run --overwrite");
  expect(c, 0, "", "train net.lcwnet --steps=5 -q -o run --resume");
  expect(c, 0, "", "eval run -q");
  expect(c, 3, "", "train net.lcwnet --steps=9 -q -o run --resume --seed=7");
  expect(c, 0, "", "train net.lcwnet --steps=3 -q -o run --overwrite --lower=projected");
  expect(c, 3, "projected", "train net.lcwnet --steps=5 -q -o run --resume --lower=fused");
  expect(c, 0, "", "train net.lcwnet --steps=5 -q -o run --resume --lower=projected");
  expect(c, 0, "", "eval run -q");
  expect(c, 0, "", "train net.lcwnet --steps=3 -q -o run --overwrite --lower=dense");
  expect(c, 0, "", "train net.lcwnet --steps=5 -q -o run --resume --lower=fused");
  damage(scratch_path(&c->s, "run/last.safetensors"), scratch_path(&c->s, "bent.safetensors"));
  expect(c, 3, "bent.safetensors", "eval bent.safetensors");
  expect(c, 3, "bent.safetensors", "export bent.safetensors --to=safetensors -o out");
}

/* A learning rate of 1e30: exit 5, the step, layer and line named, the last checkpoint intact. */
static void numbers(Cli *c) {
  const Ran *r =
      process_run(&c->in, "lcwc train net.lcwnet --set lr=epoch<2?0.1:1e30 --epochs=40 -q -o nan");
  tally(&c->t,
        r->code == 5 && strstr(r->err, "step") && strstr(r->err, "linear") &&
            strstr(r->err, "net.lcwnet:"),
        "lr = 1e30: exit %d, step, layer and line in\n%s", r->code, r->err);
  r = process_run(&c->in, "lcwc export nan/last.safetensors --to=safetensors -o nan.out");
  tally(&c->t, r->code == 0, "lr = 1e30: the last checkpoint: %s", r->err);
}

int main(void) {
  static Cli c;
  c.s = scratch_new();
  c.in.folder = c.s.path;
  files_write(&c);
  usages(&c);
  wrong_values(&c);
  huge(&c);
  helps(&c);
  refusals(&c);
  outputs(&c);
  runs(&c);
  numbers(&c);
  scratch_remove(c.s.path);
  return tally_end(&c.t);
}
