/* model.h: a network made ready: from a file, a net and what the command line says, one Graph
 * with the roots of all phases, and everything about the run that is not a tensor.
 *
 *   Front f; front_init(&f, &perm); parse_file(&f, path); check(&f);
 *   ModelData data;   model_data(&f, &request, &data)     which data set, before it is opened
 *   request.facts = ...                                   what data_peek() found
 *   Model m;          model_expand(&f, &request, &m)      the graph
 *
 * Both report to f->diags and return false after an error. All text lives in f->perm. */
#ifndef LCW_MODEL_H
#define LCW_MODEL_H
#include "front.h"
#include "graph.h"
#include "value.h" /* Sizes */

/* What the compiler must know of the data before it expands; rank 0: unknown. */
typedef struct {
  uint32_t rank, dim[3];     /* of a sample as stored: [H, W, C] or [n] */
  uint32_t dtype;            /* DTYPE_U8 or DTYPE_F32 */
  uint32_t classes;          /* 0: targets are numbers */
  uint32_t targets;          /* then, how many per sample; 0 means 1 */
  uint32_t samples;          /* of the training split; 0: unknown */
} ModelFacts;

typedef struct {
  const char *net, *recipe, *data;       /* NULL: the only one of the file, or the defaults */
  const char *const *define; uint32_t ndefine; /* -D: "name=value" */
  const char *const *set; uint32_t nset;       /* --set: "key=value" */
  const char *lower;                     /* dense unfused fused projected ...; NULL: fused */
  bool checks;                           /* for `check`: sizes and counts, the forward pass only */
  bool lenient;                          /* a net that lacks a value is a note (N0902), no error */
  const Ast *experiment, *run;           /* arguments come from this RUN of it; NULL: none */
  ModelFacts facts;
} ModelRequest;

/* What a data declaration says. */
typedef struct {
  const Ast *decl;                       /* NULL: none */
  const char *name;
  DataKind kind;
  const char *path, *path2, *test, *test2; /* NULL: none */
  Normalize normalize;
  uint32_t classes;                      /* 0: as the data has */
  uint32_t rank, dim[3];                 /* synthetic, and cifar: known without reading */
  uint64_t samples, test_samples, seed;  /* synthetic */
  uint32_t pad;                          /* zero padding of images */
  bool augment;                          /* not executable yet */
  Span span;
} ModelData;

/* A row of the table that `check` prints. */
typedef struct {
  Name name, stage;                      /* hidden.7.linear; linear */
  Sizes shape;                           /* of a sample of its output */
  const char *set;                       /* name of its weight set; NULL: it has no weights */
  uint64_t full, free;                   /* parameters as exported; free ones */
  uint64_t flops;                        /* of one sample, forward */
  uint64_t bytes;                        /* of one sample, kept for the backward pass */
  Span span;
  const char *lower;                     /* of @lower; NULL: that of the run */
  const char *unready;                   /* why its set cannot be trained yet, or NULL */
  Val first, last;                       /* nodes made for it: [first, last) */
} ModelLayer;

/* A weight whose rows are stored in coordinates of its set; see PlanBuf.fold. */
typedef struct { Name param; const char *groups; } ModelFold;

typedef struct {
  const char *net, *recipe, *data, *lower, *precision, *loss, *optimizer;
  const char *arguments;                 /* "depth = 50, width = 256" */
  uint64_t seed, epochs, batch, eval_every, save_every;
  double decay, clip;                    /* clip 0: none */
  uint32_t classes;                      /* 0: regression */
} ModelSettings;

typedef struct Model {
  Graph graph;
  ModelLayer *layer; uint32_t nlayer, caplayer;
  ModelFold *fold; uint32_t nfold, capfold;
  PlanRate *rate; uint32_t nrate, caprate;
  uint64_t full, free;
  ModelSettings set;
  ModelData data;
} Model;

/* Resolves the data set of the request: --on, else the only one of the file. */
bool model_data(Front *f, const ModelRequest *r, ModelData *out);
bool model_expand(Front *f, const ModelRequest *r, Model *out);
/* Whether the network can be trained by this version; else reports E0901 for what cannot. */
bool model_executable(Front *f, const Model *m);

/* All of `lcwc check`: every net of the file, or the one of the request. The exit code. */
int check_report(Front *f, const ModelRequest *r, bool json, const char *path, Text *out);
/* The table of `lcwc check`, and the object `{"name", "full", "free", "layers"}` of --json. */
void check_table(const Model *m, Text *out);
void check_table_json(const Model *m, Text *out);

#endif
