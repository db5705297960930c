# lcwc: `make` builds build/lcwc; `make help` lists the rest.

all:

LLVM_CONFIG ?= llvm-config-19
CC      ?= gcc
BUILD   ?= build
WARN     = -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Werror
CFLAGS  ?= -O2 -g
ROOMS    = -Icompiler $(addprefix -I,$(wildcard compiler/*/))
BASE     = -std=c11 -D_GNU_SOURCE -ffp-contract=off -fPIE -ffile-prefix-map=$(CURDIR)=. \
           $(ROOMS) -Iruntime -Icodegen -Igrammar -I$(BUILD) -MMD -MP
HARDEN   = -fstack-protector-strong -Wl,-z,relro,-z,now -pie
LLVM_INC = $(shell $(LLVM_CONFIG) --includedir 2>/dev/null)
LLVM_LIB = $(shell $(LLVM_CONFIG) --ldflags --libs 2>/dev/null)

RUNTIME  = $(filter-out runtime/trainer.c runtime/plot.c runtime/svg.c, $(wildcard runtime/*.c))
COMPILER = $(filter-out compiler/embed.c,$(wildcard compiler/*.c compiler/*/*.c)) runtime/plot.c runtime/svg.c
CODEGEN  = $(wildcard codegen/*.c)
LLVM_SRC = $(wildcard codegen/host*.c) codegen/object.c
STDLIB   = $(sort $(wildcard stdlib/*.lcwnet))

obj      = $(patsubst %.c,$(BUILD)/%.o,$(1))
GENERATED = $(BUILD)/lcwnet.tab.o $(BUILD)/lcwnet.lex.o $(BUILD)/embedded_stdlib.o \
            $(BUILD)/embedded_explain.o $(BUILD)/embedded_prelude.o $(BUILD)/embedded_trainer.o
LIB_OBJ  = $(call obj,$(filter-out compiler/main.c,$(COMPILER)) $(CODEGEN)) $(GENERATED)

all: $(BUILD)/lcwc $(BUILD)/liblcwsim.so

$(BUILD)/lcwc: $(call obj,compiler/main.c) $(LIB_OBJ) $(BUILD)/liblcwrt.a
	$(CC) $(HARDEN) -o $@ $^ $(LLVM_LIB) -ljansson -lz -lm -lpthread -ldl

$(BUILD)/liblcwrt.a: $(call obj,$(RUNTIME)) $(call obj,runtime/trainer.c)
	rm -f $@ && ar rcsD $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(BASE) $(WARN) $(CFLAGS) -c $< -o $@

# The simulated CUDA driver: a stand-in for libcuda.so.1 that stands alone.
SIM_OBJ  = $(call obj,$(wildcard runtime/ptxsim/*.c))
$(SIM_OBJ): BASE += -fPIC -fvisibility=hidden
$(BUILD)/liblcwsim.so: $(SIM_OBJ)
	$(CC) -shared -Wl,-z,relro,-z,now -o $@ $^ -lm -lpthread

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
$(BUILD)/embedded_explain.c: $(BUILD)/embed compiler/check/explain.txt
	$< front.h StdlibFile explain_files compiler/check/explain.txt >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_prelude.c: $(BUILD)/embed codegen/prelude.cu
	$< front.h StdlibFile prelude_files codegen/prelude.cu >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_trainer.c: $(BUILD)/embed $(BUILD)/liblcwrt.a
	$< front.h StdlibFile trainer_files $(BUILD)/liblcwrt.a >$@.tmp && mv $@.tmp $@
$(BUILD)/embedded_%.o: $(BUILD)/embedded_%.c
	$(CC) $(BASE) -O0 -c $< -o $@

# ---- tests -------------------------------------------------------------------------------------
# tests/list names the programs and their arguments; tests/NAME.c with a main() is one of them, the
# other files of tests/ are shared by them.

TEST_MAIN = $(shell grep -l '^int main' tests/*.c)
TEST_PART = $(filter-out $(TEST_MAIN),$(wildcard tests/*.c))
TEST_BIN  = $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_MAIN))
FRONT     = $(filter-out compiler/command/% compiler/lower/% compiler/main.c compiler/pass.c runtime/%,$(COMPILER))

$(BUILD)/liblcwc.a: $(LIB_OBJ)
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/libtest.a: $(call obj,$(TEST_PART))
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libtest.a $(BUILD)/liblcwc.a $(BUILD)/liblcwrt.a $(BUILD)/liblcwsim.so
	$(CC) -pie $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	  -Wl,--as-needed -L$(BUILD) -llcwsim -Wl,-rpath,'$$ORIGIN/..' $(LLVM_LIB) -lcmocka -ljansson -lz -lm -lpthread -ldl
$(BUILD)/tests/%.o: WARN = -Wall -Wextra -Wno-unused-function

# Programs that read hostile text, and the device whose driver fails, run under the address and
# undefined behaviour sanitizers.
SANITIZE  = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
$(BUILD)/libfront.a: $(call obj,$(FRONT)) $(BUILD)/lcwnet.tab.o $(BUILD)/lcwnet.lex.o \
                     $(BUILD)/embedded_stdlib.o $(BUILD)/embedded_explain.o $(call obj,tests/front_random.c runtime/hash.c)
	rm -f $@ && ar rcsD $@ $^
$(BUILD)/%_sanitized: $(BUILD)/tests/%.o $(BUILD)/libfront.a
	$(CC) -pie $(SANITIZE) -o $@ $^ -lm
$(BUILD)/tests/%_sanitized: $(BUILD)/tests/%.o $(call obj,$(wildcard tests/tiny_*.c)) $(BUILD)/liblcwrt.a
	$(CC) -pie $(SANITIZE) -o $@ $^ -lcmocka -ljansson -lz -lm -lpthread -ldl
$(BUILD)/tests/runtime_cuda_sanitized: | $(BUILD)/liblcwsim.so
sanitized:
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/sanitized CFLAGS="$(SANITIZE)" \
	  $(BUILD)/sanitized/front_fuzz_sanitized $(BUILD)/sanitized/expand_fuzz_sanitized \
	  $(BUILD)/sanitized/tests/runtime_cuda_sanitized

programs: all $(TEST_BIN)

# What clang says of the same sources.
warnings: $(BUILD)/lcwnet.tab.h $(BUILD)/lcwnet.lex.h
	@clang-19 -fsyntax-only $(filter-out -MMD -MP,$(BASE)) -isystem $(LLVM_INC) $(WARN) \
	  $(wildcard compiler/*.c compiler/*/*.c codegen/*.c runtime/*.c runtime/*/*.c)
	@clang-19 -fsyntax-only $(filter-out -MMD -MP,$(BASE)) -isystem $(LLVM_INC) -Itests -Wall -Wextra \
	  -Wno-unused-function -Werror $(wildcard tests/*.c)

test: setup
	@$(MAKE) --no-print-directory -j2 programs
	@$(MAKE) --no-print-directory -j2 sanitized
	@BUILD=$(BUILD) tests/run.sh tests/list

# On a CUDA device, with what is built here and nothing that is installed by it; DRIVER=sim: without one.
check-gpu:
	@LLVM_CONFIG=$(LLVM_CONFIG) tests/check_gpu.sh --needs
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/tests/gpu_kernels
	@BUILD=$(BUILD) DRIVER=$(DRIVER) tests/check_gpu.sh

# ---- what people type --------------------------------------------------------------------------

setup:
	@.ci/setup

demo: setup
	@$(MAKE) --no-print-directory -j2 $(BUILD)/lcwc
	@BUILD=$(BUILD) examples/demo.sh

bench: setup
	@$(MAKE) --no-print-directory -j2 $(BUILD)/lcwc
	@BUILD=$(BUILD) tests/bench.sh

layers:
	@tests/layers.sh
wc:
	@wc -l compiler/*.[ch] compiler/*/*.[ch] codegen/*.[ch] runtime/*.[ch] grammar/*.[ly] | sort -n | tail -25
	@awk 'FNR==1{f++} /^ *(\/\*|\*|\/\/)/{c++} {n++} END{printf "%d files, %d lines, %.0f%% comments\n", f, n, 100*c/n}' \
	  compiler/*.[ch] compiler/*/*.[ch] codegen/*.[ch] runtime/*.[ch]
bless: $(BUILD)/lcwc
	@BUILD=$(BUILD) tests/goldens.sh --bless

PREFIX ?= /usr/local
install: all
	install -D -m 755 $(BUILD)/lcwc $(DESTDIR)$(PREFIX)/bin/lcwc
	install -D -m 755 $(BUILD)/liblcwsim.so $(DESTDIR)$(PREFIX)/lib/lcwc/liblcwsim.so
clean:
	rm -rf $(BUILD)
help:
	@echo "make            build $(BUILD)/lcwc"
	@echo "make demo       train the 50-layer sigmoid MLP with and without LCW, leave curves to look at"
	@echo "make test       every test; ends in N passed, N failed, N skipped"
	@echo "make check-gpu  kernels, training and speed on a CUDA device; DRIVER=sim tries it without one"
	@echo "make bench      speed: against PyTorch, the roofline, and the lowerings against each other"
	@echo "make warnings   what clang says of the sources; nothing, that is"
	@echo "make layers     which file includes which: the order of STYLE and DESIGN holds"
	@echo "make wc         sizes of files and functions"
	@echo "make bless      accept the goldens of the passes as they are now"
	@echo "make install    PREFIX=/usr/local"
	@echo "make clean"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all programs sanitized warnings test check-gpu setup demo bench layers wc bless install clean help
.DELETE_ON_ERROR:
.SECONDARY:
