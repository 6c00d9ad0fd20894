# `make WORD NAME=value` is `featurestack WORD NAME=value` in this clone's environment, .venv.
# Variables count only when given on this command line, and reach the program as they are.
# `make help` lists the words; PYTHON=python uses the environment that is active, and never .venv.
# Names in small letters are this file's own: no command has such a variable.

ifeq ($(origin PYTHON),command line)
python := $(PYTHON)
else
python := .venv/bin/python
environment := .venv/installed
test_environment := .venv/installed-for-tests
base := python3
endif
for_tests = -c constraints.txt -e '.[test]'
pip = -m pip install --quiet --disable-pip-version-check
compile = from featurestack.pipeline.features import compile_kernels; compile_kernels()
ready = the environment is ready in $(python); next: make demo   (some minutes, synthetic sounds)
quote := '
define newline


endef
ifneq ($(findstring $(newline),$(MAKEOVERRIDES)),)
$(error a variable holds a line break, which make cannot hand on: give it in one line)
endif
own := help test setup docs lint
typed := $(strip $(foreach name,$(sort $(filter-out ALL GPU PYTHON FEATURES,$(.VARIABLES))) FEATURES,$(if $(filter command,$(origin $(name))),$(name))))
quoted = '$1=$(subst $(quote),'\'',$(value $1))'
commands := $(filter-out $(own) .venv/%,$(MAKECMDGOALS))
further := $(wordlist 2,99,$(commands))

.DEFAULT_GOAL := help
ifneq ($(filter help,$(firstword $(MAKECMDGOALS) help)),)
topic := $(wordlist 2,9,$(MAKECMDGOALS))
.PHONY: help $(topic)
help:
	@$(or $(if $(environment),$(if $(wildcard $(environment)),,$(base))),$(python)) -m featurestack help $(or $(topic),$(if $(filter 1,$(ALL)),ALL=1))
$(filter-out help,$(topic)):;@:
else
.PHONY: $(own) $(commands)
ifneq ($(and $(typed),$(filter $(own),$(MAKECMDGOALS))),)
$(error $(typed): make $(filter $(own),$(MAKECMDGOALS)) takes no variable but ALL, GPU and PYTHON)
endif
$(firstword $(commands)): $(environment)
	@$(python) -m featurestack $@ $(foreach name,$(typed),$(call quoted,$(name))) $(foreach word,$(further),'$(subst $(quote),'\'',$(word))')
$(further):;@:
setup: $(environment)
	@$(if $(environment),:,$(python) $(pip) $(if $(filter 1,$(ALL)),$(for_tests),-r requirements.txt) && $(python) -c "$(compile)")
	@echo '$(ready)'
test: $(test_environment)
	@$(python) -m pytest $(if $(filter 1,$(GPU)),-rs -m gpu tests/train,-n 2 --dist loadfile $(if $(filter 1,$(ALL)),-m ''))
docs: $(test_environment)
	@$(python) -m sphinx -W --keep-going -q $(if $(filter 1,$(ALL)),-t online) docs docs/out
	@$(if $(filter 1,$(ALL)),$(python) -m sphinx -b linkcheck -q docs docs/out/links,:)
	@echo "docs/out/index.html"
lint: $(test_environment)
	@$(python) -m ruff format --check . && $(python) -m ruff check . && $(python) -m mypy
endif

.venv/installed: requirements.txt
	@$(base) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] else "error: this is Python %d.%d; 3.11 or newer is needed" % v[:2])'
	@echo "setting up .venv (once, some minutes)"
	@$(base) -m venv .venv && .venv/bin/python $(pip) -r requirements.txt
	@.venv/bin/python $(pip) --no-deps -e .
	@echo "compiling for this processor" && .venv/bin/python -c "$(compile)" && touch $@
.venv/installed-for-tests: .venv/installed pyproject.toml constraints.txt
	@echo "adding what the tests need" && .venv/bin/python $(pip) $(for_tests)
	@.venv/bin/python -m tests.compiled && touch $@
