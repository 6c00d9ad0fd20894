# `make WORD NAME=value` is `featurestack WORD NAME=value` in this clone's environment, .venv.
# Variables count only when given on this command line, and reach the program as they are.
#
#: make demo        set up, synthesise a dataset, extract, train ResNet-18, report: 3 minutes
#: make answer      from a folder of sounds to the report: DATASET="my sounds"
#: make test        set up and run the test suite; ALL=1 also what is slow and rarely wrong, GPU=1
#:                  what needs a CUDA card alone
#: make setup       only the environment, .venv
#: make data        download, verify, unpack a dataset
#: make check       faults of a dataset: leaks, silent or clipped clips, artefacts
#: make events      recordings with annotation tables, trained by the frame
#: make features    every feature of every clip, into the cache
#: make train       all folds of one feature set
#: make sweep       every combination of lists of options
#: make importance  what each feature is worth beside others
#: make curve       the score against the number of recordings
#: make analysis    tables, figures and the report
#: make predict     the classes of new audio
#: make bench       extraction against librosa and audioFlux
#: make docs        the documentation site, docs/out/index.html; ALL=1 also follows every link
#: make lint        format, lint and types of the code
#:
#: DATASET=esc50             esc50, esc10, synth, synth_mix, a folder of sounds, a CSV, a cache folder
#: FEATURES=mel+mfcc+chroma  one feature set for train; a list for features and sweep; all, small
#: MODEL=resnet18            make models lists them
#: FOLDS="1 3"               some of the folds; all of them by default
#: EPOCHS=  GRID=64x216      how long, on which grid of rows and frames
#: AUGMENT=  VAL=none        random changes of training clips; VAL=group or next for early stopping
#: TASK=auto                 classes, categories, tags (several labels per clip), events; auto: from the labels
#: SEED=0                    another seed is another run of the same configuration
#: RUN=last                  a run for predict and analysis: a name, a unique prefix, a path
#: AUDIO=                    a file or folder for predict
#: JOBS=  DEVICE=auto        processes for extraction; cpu, cuda, mps for training
#: DATA=data  RUNS=runs  REPORTS=reports   where things are kept
#: PYTHON=python             use the environment that is active, and never .venv; make setup PYTHON=python
#:                           brings it to the tested versions (a GPU build of the same torch stays)
#: make help ALL=1 lists every command and every variable, make help train those of a command,
#: make help VAL shows one variable

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
ready = the environment is ready in $(python); next: make demo   (three minutes, synthetic sounds)
quote := '
define newline


endef
ifneq ($(findstring $(newline),$(MAKEOVERRIDES)),)
$(error a variable holds a line break, which make cannot hand on: give it in one line)
endif
own := help test setup docs lint
quoted = '$1=$(subst $(quote),'\'',$(value $1))'
typed := $(strip $(foreach name,$(sort $(filter-out ALL PYTHON $(if $(filter test,$(MAKECMDGOALS)),GPU),$(.VARIABLES))),$(if $(filter command,$(origin $(name))),$(name))))
given = $(foreach name,$(typed),$(call quoted,$(name)))
this = $(firstword $(MAKEFILE_LIST))

.DEFAULT_GOAL := help
.PHONY: $(own)
# the others are commands
commands := $(filter-out $(own) .venv/%,$(MAKECMDGOALS))

ifeq ($(firstword $(MAKECMDGOALS)),help)
topic := $(wordlist 2,9,$(MAKECMDGOALS))
endif

help:
ifneq ($(filter 1,$(ALL))$(filter-out $(own),$(topic)),)
help: $(environment)
	@$(python) -m featurestack help $(or $(topic),ALL=1)
else
	@sed -n 's/^#: \{0,1\}//p' '$(this)'
endif

ifdef topic  # words that help explains, no targets
.PHONY: $(topic)
$(filter-out help,$(topic)):;@:
else
ifneq ($(typed),)
ifneq ($(filter $(own),$(MAKECMDGOALS)),)
$(error $(typed): make $(filter $(own),$(MAKECMDGOALS)) takes no variable but ALL and PYTHON)
endif
endif
test: $(test_environment)
	@$(python) -m pytest $(if $(filter 1,$(GPU)),-rs -m gpu tests/train,-n 2 --dist loadfile $(if $(filter 1,$(ALL)),-m ''))
setup: $(environment)
ifndef environment
	@$(python) -m pip install --quiet --disable-pip-version-check $(if $(filter 1,$(ALL)),$(for_tests),-r requirements.txt)
	@$(python) -m featurestack.pipeline.kernels
endif
	@echo '$(ready)'
.PHONY: $(commands)
$(commands): $(environment)
	@$(python) -m featurestack $@ $(given)
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
	@$(base) -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@echo "compiling for this processor"
	@.venv/bin/python -m featurestack.pipeline.kernels
	@touch $@
.venv/installed-for-tests: .venv/installed pyproject.toml constraints.txt
	@echo "adding what the tests need"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check $(for_tests)
	@.venv/bin/python -m tests.compiled
	@touch $@
