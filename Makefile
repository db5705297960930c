# lcwc: `make` builds build/lcwc; `make help` lists the rest.

LLVM_CONFIG ?= llvm-config-19
CC      ?= gcc
BUILD   ?= build
WARN     = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Werror
CFLAGS  ?= -O2 -g
BASE     = -std=c11 -D_GNU_SOURCE -ffp-contract=off -fPIE -ffile-prefix-map=$(CURDIR)=. \
           -Icompiler -Iruntime -Icodegen -Igrammar -I$(BUILD) -MMD -MP
HARDEN   = -fstack-protector-strong -Wl,-z,relro,-z,now -pie
LLVM_INC = $(shell $(LLVM_CONFIG) --includedir 2>/dev/null)
LLVM_LIB = $(shell $(LLVM_CONFIG) --ldflags --libs 2>/dev/null)

RUNTIME  = $(filter-out runtime/trainer.c runtime/plot.c runtime/svg.c, $(wildcard runtime/*.c))
COMPILER = $(filter-out compiler/embed.c, $(wildcard compiler/*.c)) runtime/plot.c runtime/svg.c
CODEGEN  = $(wildcard codegen/*.c)
LLVM_SRC = $(wildcard codegen/host*.c) codegen/object.c
STDLIB   = $(sort $(wildcard stdlib/*.lcwnet))

obj      = $(patsubst %.c,$(BUILD)/%.o,$(1))
GENERATED = $(BUILD)/lcwnet.tab.o $(BUILD)/lcwnet.lex.o $(BUILD)/embedded_stdlib.o \
            $(BUILD)/embedded_explain.o $(BUILD)/embedded_prelude.o $(BUILD)/embedded_trainer.o
LIB_OBJ  = $(call obj,$(filter-out compiler/main.c,$(COMPILER)) $(CODEGEN)) $(GENERATED)

all: $(BUILD)/lcwc

$(BUILD)/lcwc: $(call obj,compiler/main.c) $(LIB_OBJ) $(BUILD)/liblcwrt.a
	$(CC) $(HARDEN) -o $@ $^ $(LLVM_LIB) -ljansson -lz -lm -lpthread -ldl

$(BUILD)/liblcwrt.a: $(call obj,$(RUNTIME)) $(call obj,runtime/trainer.c)
	rm -f $@ && ar rcsD $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(WARN) $(CFLAGS) -c $< -o $@

$(call obj,$(LLVM_SRC)): BASE += -isystem $(LLVM_INC)

# ---- generated files ---------------------------------------------------------------------------

$(BUILD)/lcwnet.tab.c: grammar/lcwnet.y
	@mkdir -p $(@D)
	bison -Wall -Wcounterexamples -Werror -d -o $@ $<
$(BUILD)/lcwnet.tab.h: $(BUILD)/lcwnet.tab.c ;
$(BUILD)/lcwnet.lex.c: grammar/lcwnet.l $(BUILD)/lcwnet.tab.h
	flex -o $@ --header-file=$(BUILD)/lcwnet.lex.h $<
$(BUILD)/lcwnet.lex.h: $(BUILD)/lcwnet.lex.c ;
$(BUILD)/lcwnet.%.o: $(BUILD)/lcwnet.%.c $(BUILD)/lcwnet.lex.h
	$(CC) $(BASE) -w $(CFLAGS) -c $< -o $@
$(call obj,$(COMPILER)): | $(BUILD)/lcwnet.tab.h $(BUILD)/lcwnet.lex.h

$(BUILD)/embed: compiler/embed.c
	@mkdir -p $(@D)
	$(CC) -O1 -o $@ $<
$(BUILD)/embedded_stdlib.c: $(BUILD)/embed $(STDLIB)
	$< front.h StdlibFile stdlib_files $(STDLIB) >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_explain.c: $(BUILD)/embed compiler/explain.txt
	$< front.h StdlibFile explain_files compiler/explain.txt >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_prelude.c: $(BUILD)/embed codegen/prelude.cu
	$< front.h StdlibFile prelude_files codegen/prelude.cu >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_trainer.c: $(BUILD)/embed $(BUILD)/liblcwrt.a
	$< front.h StdlibFile trainer_files $(BUILD)/liblcwrt.a >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_%.o: $(BUILD)/embedded_%.c
	$(CC) $(BASE) -O0 -c $< -o $@

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all
.DELETE_ON_ERROR:
