/* lcwnet.y: tokens to trees. Goes in: syntax_token(). Comes out: Parse.result. Each action is
 * one ast_*() or list_*() call (ast.c); messages are written by syntax_report() (syntax.c).
 * LALR(1) with LAC, no conflicts. GRAMMAR.md is the guide. The stacks grow in the arena up to
 * LIMIT_STACK symbols; a deeper text is refused as nested too deeply. */
%code top {
/* bison's own code is not written for these warnings. */
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
}
%code requires {
#include "syntax.h"
}
%define api.pure full
%define api.prefix {grammar_}
%define api.value.type {TokenValue}
%define api.location.type {Span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param { Parse *p }
%code {
#define YYINITDEPTH 128
#define YYMAXDEPTH LIMIT_STACK
#define GROW(stack, used, size) \
  (*(stack) = arena_grow(p->front->perm, *(stack), (size_t)(used),       \
                         (size_t)(size) * 2 * sizeof **(stack)))
#define yyoverflow(message, states, nstates, values, nvalues, spans, nspans, size) \
  do {                                                                             \
    if (*(size) >= LIMIT_STACK) grammar_error(&yylloc, p, message);                \
    GROW(states, nstates, *(size));                                                \
    GROW(values, nvalues, *(size));                                                \
    GROW(spans, nspans, *(size));                                                  \
    *(size) *= 2;                                                                  \
  } while (0)
/* LAC has a stack of its own, as deep as one reduction chain: it never grows. */
#define YYMALLOC(bytes) ((void)(bytes), (void *)0)
#define YYFREE(pointer) ((void)(pointer))
#define YYLLOC_DEFAULT(result, rhs, n) \
  ((result) = (n) ? span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : span_after(YYRHSLOC(rhs, 0)))
#define grammar_lex syntax_token
static Span span_after(Span at);
static void grammar_error(Span *at, Parse *p, const char *message);
}

%token T_END 0 "the end of the file" T_FILE "a file" T_EXPRESSION "an expression alone"
%token T_IMPORT "import" T_AS "as" T_CONST "const" T_EXPERIMENT "experiment" T_SWEEP "sweep"
%token T_VARIANT "variant"
%token T_RUN "run" T_ON "on" T_WITH "with" T_PLOT "plot" T_TABLE "table" T_USE "use"
%token T_REPEAT "repeat" T_FOR "for"
%token T_IN "in" T_IF "if" T_ELSE "else" T_RETURN "return" T_ASSERT "assert" T_TRUE "true"
%token T_FALSE "false"
%token <type> T_INT "int" T_REAL "real" T_BOOL "bool" T_STRING "string" T_TENSOR "tensor"
%token <type> T_WEIGHT "weight"
%token <type> T_BLOCK "block" T_NET "net" T_DATA "data" T_TRAIN "train" T_INIT "init"
%token T_ARROW "->" T_RANGE ".." T_ADDEQ "+=" T_EQ "==" T_NE "!=" T_LE "<=" T_GE ">=" T_AND "&&"
%token T_OR "||"
%token T_LPAREN "(" T_RPAREN ")" T_LBRACKET "[" T_RBRACKET "]" T_LBRACE "{" T_RBRACE "}"
%token T_SEMICOLON ";" T_COMMA ","
%token T_COLON ":" T_DOT "." T_ASSIGN "=" T_QUESTION "?" T_AT "@" T_BAR "|" T_MEET "&" T_LT "<"
%token T_GT ">" T_PLUS "+"
%token T_MINUS "-" T_STAR "*" T_SLASH "/" T_PERCENT "%" T_NOT "!"
%token <ast> T_NUMBER_INT "an integer" T_NUMBER_REAL "a number" T_TEXT "a string"
%token <id> T_NAME "a name"

%type <ast> declaration wset indices_opt base_opt title_opt params_opt params param default_opt
%type <ast> dims_opt result_opt
%type <ast> result type body statement setting item on_opt with_opt index_list name_node
%type <ast> expr cond or and meet equality relation sum product unary pipe primary postfix stage
%type <ast> repeat qname attribute
%type <ast> attribute_name argument index literal
%type <list> declarations param_list types statements names settings items arguments argument_list
%type <list> attributes indices exprs
%type <id> key
%type <type> kind
%precedence NO_ELSE
%precedence "else"
%%
start: T_FILE declarations { p->result = ast_many(p, AST_FILE, @$, $2); }
    | T_EXPRESSION expr { p->result = $2; } ;

declarations: %empty { $$ = list_new(p, NULL); }
    | declarations declaration { $$ = list_add(p, $1, $2); }
    | declarations error ";" { $$ = list_add(p, $1, ast_error(p, @2)); yyerrok; } ;

declaration: "import" T_TEXT ";" { $$ = ast_import(p, @$, $2, id_none()); }
    | "import" T_TEXT "as" T_NAME ";" { $$ = ast_import(p, @$, $2, $4); }
    | "const" kind T_NAME "=" expr ";" { $$ = ast_typed(p, AST_CONST, @$, $2, $3, 1, $5); }
    | "weight" T_NAME params_opt "=" wset ";" { $$ = ast_named(p, AST_WEIGHT, @$, $2, 2, $3, $5); }
    | "block" T_NAME params_opt "=" expr ";"
        { $$ = ast_named(p, AST_BLOCK, @$, $2, 3, $3, ast_none(p, @3), $5); }
    | "block" T_NAME params result_opt body { $$ = ast_named(p, AST_BLOCK, @$, $2, 3, $3, $4, $5); }
    | "init" T_NAME params_opt "=" expr ";"
        { $$ = ast_named(p, AST_INIT, @$, $2, 3, $3, ast_none(p, @3), $5); }
    | "init" T_NAME params body { $$ = ast_named(p, AST_INIT, @$, $2, 3, $3, ast_none(p, @3), $4); }
    | "net" T_NAME params result body { $$ = ast_named(p, AST_NET, @$, $2, 3, $3, $4, $5); }
    | "data" T_NAME base_opt "{" settings "}"
        { $$ = ast_named_many(p, AST_DATA, @$, $2, list_prepend(p, $3, $5)); }
    | "train" T_NAME base_opt "{" settings "}"
        { $$ = ast_named_many(p, AST_TRAIN, @$, $2, list_prepend(p, $3, $5)); }
    | "experiment" T_NAME title_opt "{" items "}"
        { $$ = ast_titled(p, AST_EXPERIMENT, @$, $2, $3, $5); } ;

wset: "{" T_NAME indices_opt "|" exprs "}"
        { $$ = ast_named_many(p, AST_WSET, @$, $2, list_prepend(p, $3, $5)); }
    | expr ;
indices_opt: %empty { $$ = ast_none(p, @$); } | "[" index_list "]" { $$ = $2; } ;
base_opt: %empty { $$ = ast_none(p, @$); } | ":" qname { $$ = $2; } ;
title_opt: %empty { $$ = ast_none(p, @$); } | T_TEXT ;

params_opt: %empty { $$ = ast_many(p, AST_PARAMS, @$, list_new(p, NULL)); } | params ;
params: "(" ")" { $$ = ast_many(p, AST_PARAMS, @$, list_new(p, NULL)); }
    | "(" param_list ")" { $$ = ast_many(p, AST_PARAMS, @$, $2); } ;
param_list: param { $$ = list_new(p, $1); } | param_list "," param { $$ = list_add(p, $1, $3); } ;
param: kind T_NAME dims_opt default_opt { $$ = ast_typed(p, AST_PARAM, @$, $1, $2, 2, $3, $4); } ;
default_opt: %empty { $$ = ast_none(p, @$); } | "=" expr { $$ = $2; } ;
kind: "int" | "real" | "bool" | "string" | "tensor" | "weight" | "block" | "net" | "data" | "train"
    | "init" ;
dims_opt: %empty { $$ = ast_none(p, @$); } | "[" exprs "]" { $$ = ast_many(p, AST_DIMS, @$, $2); } ;
result_opt: %empty { $$ = ast_none(p, @$); } | result ;
result: "->" type { $$ = ast_node(p, AST_RESULT, @2, 1, $2); }
    | "->" "(" types ")" { $$ = ast_many(p, AST_RESULT, @$, $3); } ;
types: type { $$ = list_new(p, $1); } | types "," type { $$ = list_add(p, $1, $3); } ;
type: "tensor" dims_opt { $$ = ast_node(p, AST_TYPE, @$, 1, $2); } ;

body: "{" statements "}" { $$ = ast_many(p, AST_BODY, @$, $2); } ;
statements: %empty { $$ = list_new(p, NULL); }
    | statements statement { $$ = list_add(p, $1, $2); }
    | statements error ";" { $$ = list_add(p, $1, ast_error(p, @2)); yyerrok; } ;
statement: T_NAME "=" expr ";" { $$ = ast_named(p, AST_LET, @$, $1, 1, $3); }
    | T_NAME "+=" expr ";" { $$ = ast_named(p, AST_ADD_TO, @$, $1, 1, $3); }
    | "(" names ")" "=" expr ";" { $$ = ast_many(p, AST_SPLIT, @$, list_add(p, $2, $5)); }
    | kind T_NAME dims_opt "=" expr ";" { $$ = ast_typed(p, AST_DECLARE, @$, $1, $2, 2, $3, $5); }
    | "use" attributes ";" { $$ = ast_many(p, AST_USE, @$, $2); }
    | "repeat" "(" expr ")" statement { $$ = ast_node(p, AST_REPEAT, @$, 2, $3, $5); }
    | "for" "(" T_NAME "in" expr ")" statement { $$ = ast_named(p, AST_FOR, @$, $3, 2, $5, $7); }
    | "if" "(" expr ")" statement %prec NO_ELSE
        { $$ = ast_node(p, AST_IF, @$, 3, $3, $5, ast_none(p, @5)); }
    | "if" "(" expr ")" statement "else" statement { $$ = ast_node(p, AST_IF, @$, 3, $3, $5, $7); }
    | "return" exprs ";" { $$ = ast_many(p, AST_RETURN, @$, $2); }
    | "assert" "(" exprs ")" ";" { $$ = ast_many(p, AST_ASSERT, @$, $3); }
    | T_NAME ":" statement { $$ = ast_named(p, AST_LABEL, @$, $1, 1, $3); }
    | body ;
names: name_node { $$ = list_new(p, $1); } | names "," name_node { $$ = list_add(p, $1, $3); } ;
name_node: T_NAME { $$ = ast_leaf(p, AST_NAME, @$, $1); } ;

settings: %empty { $$ = list_new(p, NULL); }
    | settings setting { $$ = list_add(p, $1, $2); }
    | settings error ";" { $$ = list_add(p, $1, ast_error(p, @2)); yyerrok; } ;
setting: key "=" expr ";" { $$ = ast_named(p, AST_SETTING, @$, $1, 1, $3); } ;
key: T_NAME | "init" { $$ = id_of(p, "init", @$); } | "weight" { $$ = id_of(p, "weight", @$); } ;
items: %empty { $$ = list_new(p, NULL); }
    | items item { $$ = list_add(p, $1, $2); }
    | items error ";" { $$ = list_add(p, $1, ast_error(p, @2)); yyerrok; } ;
item: setting
    | "sweep" kind T_NAME "=" "{" exprs "}" ";" { $$ = ast_sweep(p, @$, $2, $3, $6); }
    | "variant" T_TEXT "{" settings "}" { $$ = ast_titled(p, AST_VARIANT, @$, id_none(), $2, $4); }
    | "run" expr on_opt with_opt ";" { $$ = ast_node(p, AST_RUN, @$, 3, $2, $3, $4); }
    | "plot" expr ";" { $$ = ast_node(p, AST_PLOT, @$, 1, $2); }
    | "table" expr ";" { $$ = ast_node(p, AST_TABLE, @$, 1, $2); } ;
on_opt: %empty { $$ = ast_none(p, @$); } | "on" expr { $$ = $2; } ;
with_opt: %empty { $$ = ast_none(p, @$); } | "with" expr { $$ = $2; } ;

expr: cond | cond ".." cond { $$ = ast_node(p, AST_RANGE, @$, 2, $1, $3); } ;
cond: or | or "?" expr ":" cond { $$ = ast_node(p, AST_COND, @$, 3, $1, $3, $5); } ;
or: and | or "||" and { $$ = ast_binary(p, OP_OROR, @2, $1, $3); } ;
and: meet | and "&&" meet { $$ = ast_binary(p, OP_ANDAND, @2, $1, $3); } ;
meet: equality | meet "&" equality { $$ = ast_binary(p, OP_AND, @2, $1, $3); } ;
equality: relation
    | equality "==" relation { $$ = ast_binary(p, OP_EQ, @2, $1, $3); }
    | equality "!=" relation { $$ = ast_binary(p, OP_NE, @2, $1, $3); } ;
relation: sum
    | relation "<" sum { $$ = ast_binary(p, OP_LT, @2, $1, $3); }
    | relation ">" sum { $$ = ast_binary(p, OP_GT, @2, $1, $3); }
    | relation "<=" sum { $$ = ast_binary(p, OP_LE, @2, $1, $3); }
    | relation ">=" sum { $$ = ast_binary(p, OP_GE, @2, $1, $3); } ;
sum: product
    | sum "+" product { $$ = ast_binary(p, OP_ADD, @2, $1, $3); }
    | sum "-" product { $$ = ast_binary(p, OP_SUB, @2, $1, $3); } ;
product: unary
    | product "*" unary { $$ = ast_binary(p, OP_MUL, @2, $1, $3); }
    | product "/" unary { $$ = ast_binary(p, OP_DIV, @2, $1, $3); }
    | product "%" unary { $$ = ast_binary(p, OP_MOD, @2, $1, $3); } ;
unary: pipe
    | "-" unary { $$ = ast_unary(p, OP_NEG, @1, $2); }
    | "!" unary { $$ = ast_unary(p, OP_NOT, @1, $2); } ;
/* As in C, tighter than any operator; @ marks the last stage. */
pipe: primary
    | pipe "->" stage { $$ = ast_pipe(p, $1, $3); }
    | pipe attribute { $$ = ast_attach(p, $1, $2); } ;
primary: qname | qname arguments { $$ = ast_call(p, @$, $1, $2); } | postfix | literal ;
postfix: "(" expr ")" { $$ = ast_node(p, AST_GROUP, @$, 1, $2); }
    | "[" exprs "]" { $$ = ast_many(p, AST_LIST, @$, $2); }
    | "[" "]" { $$ = ast_many(p, AST_LIST, @$, list_new(p, NULL)); }
    | repeat
    | primary "[" index_list "]" { $$ = ast_node(p, AST_INDEX, @$, 2, $1, $3); } ;
stage: qname
    | qname arguments { $$ = ast_call(p, @$, $1, $2); }
    | "(" expr ")" { $$ = ast_node(p, AST_GROUP, @$, 1, $2); }
    | repeat ;
repeat: "repeat" "(" expr ")" "{" expr "}" { $$ = ast_node(p, AST_REPEAT_EXPR, @$, 2, $3, $6); } ;
qname: T_NAME
        { $$ = ast_leaf(p, AST_NAME, @$, $1); }
    | qname "." T_NAME { $$ = ast_qualify(p, $1, $3); } ;
arguments: "(" ")" { $$ = list_new(p, NULL); } | "(" argument_list ")" { $$ = $2; } ;
argument_list: argument
        { $$ = list_new(p, $1); } | argument_list "," argument { $$ = list_add(p, $1, $3); } ;
argument: expr | key "=" expr { $$ = ast_named(p, AST_NAMED, @$, $1, 1, $3); } ;
attributes: attribute
        { $$ = list_new(p, $1); } | attributes attribute { $$ = list_add(p, $1, $2); } ;
attribute: "@" attribute_name { $$ = ast_node(p, AST_ATTR, @$, 1, $2); }
    | "@" attribute_name arguments
        { $$ = ast_node(p, AST_ATTR, @$, 1, ast_call(p, span_join(@2, @3), $2, $3)); }
    | "@" "(" expr ")"
        { $$ = ast_node(p, AST_ATTR, @$, 1, ast_node(p, AST_GROUP, span_join(@2, @4), 1, $3)); } ;
attribute_name: qname | "init" { $$ = ast_leaf(p, AST_NAME, @$, id_of(p, "init", @$)); } ;
index_list: indices { $$ = ast_many(p, AST_INDICES, @$, $1); } ;
indices: index { $$ = list_new(p, $1); } | indices "," index { $$ = list_add(p, $1, $3); } ;
index: expr | ":" { $$ = ast_leaf(p, AST_ALL, @$, id_none()); } ;
exprs: expr { $$ = list_new(p, $1); } | exprs "," expr { $$ = list_add(p, $1, $3); } ;
literal: T_NUMBER_INT | T_NUMBER_REAL | T_TEXT
    | "true" { $$ = ast_boolean(p, @$, 1); } | "false" { $$ = ast_boolean(p, @$, 0); } ;
%%
/* The place just behind `at`, for what was left out. */
static Span span_after(Span at)
{
  return (Span){at.off + at.len, 0, at.file};
}

/* Called by bison when the stacks are full. */
static void grammar_error(Span *at, Parse *p, const char *message)
{
  (void)message;
  diag_at(&p->front->diags, E0804, *at, LIMIT_NESTING);
  syntax_stop(p);
}

/* Called by bison for a token that cannot follow. */
static int yyreport_syntax_error(const yypcontext_t *context, Parse *p)
{
  yysymbol_kind_t kind[YYNTOKENS];
  const char *name[YYNTOKENS];
  int n = yypcontext_expected_tokens(context, kind, YYNTOKENS);
  for (int i = 0; i < n; i++) name[i] = yysymbol_name(kind[i]);
  syntax_report(p, name, n);
  return 0;
}
