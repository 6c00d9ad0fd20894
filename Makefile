# A target runs a Python module; the same line works without make.
# Variables count only when given on this command line, and reach the module unread, in one word.
#
#: make demo        set up, synthesise a dataset, extract, train two feature sets, report: 2 minutes
#: make answer      from a folder of sounds to the report: DATASET="my sounds"   python -m answer
#: make test        set up and run the test suite; ALL=1 also what is slow and rarely wrong
#: make setup       only the environment, .venv
#: make data        download, verify, unpack a dataset            python -m pipeline data
#: make events      recordings with annotation tables, trained by the frame   python -m pipeline events
#: make features    every feature of every clip, into the cache   python -m pipeline features
#: make train       all folds of one feature set                  python -m train run
#: make sweep       every combination of lists of options         python -m train sweep
#: make importance  what each feature is worth beside others      python -m train importance
#: make curve       the score against the number of recordings  python -m train curve
#: make analysis    tables, figures and the report                python -m analysis
#: make predict     the classes of new audio                      python -m train predict
#: make bench       side by side with the alternatives            python -m bench
#: make docs        the documentation site, docs/out/index.html; ALL=1 also follows every link
#: make check       format, lint, types; with DATASET= faults of a dataset   python -m pipeline check
#:
#: DATASET=esc50             esc50, esc10, synth, synth_mix, a folder of sounds, a CSV, a cache folder
#: FEATURES=mel+mfcc+chroma  one feature set for train; a list for features and sweep; all, small
#: MODEL=resnet18            python -m train list shows them
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
#: ARGS="--wait"             other options; make help ALL=1 lists every variable, make help VAL shows one,
#:                           make help train those of a command

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
ready = the environment is ready in $(python); next: make demo   (two minutes, synthetic sounds)
quote := '
define newline


endef
ifneq ($(findstring $(newline),$(MAKEOVERRIDES)),)
$(error a variable holds a line break, which make cannot hand on: give it in one line)
endif
several = $(if $(word 2,$(MAKECMDGOALS)),--several-targets )
given = $(several)--make '$(subst $(quote),'\'',$(MAKEOVERRIDES))'
this = $(firstword $(MAKEFILE_LIST))

.DEFAULT_GOAL := help
.PHONY: help test setup docs check
# the others are commands, those of rooms too
commands := $(filter-out help test setup docs check .venv/%,$(MAKECMDGOALS))

ifeq ($(firstword $(MAKECMDGOALS)),help)
topic := $(wordlist 2,9,$(MAKECMDGOALS))
endif

help:
ifneq ($(filter 1,$(ALL))$(filter-out help test setup docs check,$(topic)),)
help: $(environment)
	@$(python) -m featurestack help $(topic) $(given)
else
	@sed -n 's/^#: \{0,1\}//p' '$(this)'
endif

ifdef topic  # words that help explains, no targets
.PHONY: $(topic)
$(filter-out help,$(topic)):;@:
else
test: $(test_environment)
	@$(python) -m featurestack known $(given)
	@$(python) -m pytest -n 3 --dist worksteal $(if $(filter 1,$(ALL)),-m '')
setup: $(environment)
ifndef environment
	@$(python) -m pip install --quiet --disable-pip-version-check $(if $(filter 1,$(ALL)),$(for_tests),-r requirements.txt)
	@$(python) -m pipeline.kernels
endif
	@$(python) -m featurestack known $(given)
	@echo '$(ready)'
.PHONY: $(commands)
$(commands): $(environment)
	@$(python) -m featurestack $@ $(given)
docs: $(test_environment)
	@$(python) -m featurestack known $(given)
	@$(python) -m sphinx -W --keep-going -q $(if $(filter 1,$(ALL)),-t online) docs docs/out
	@$(if $(filter 1,$(ALL)),$(python) -m sphinx -b linkcheck -q docs docs/out/links,:)
	@echo "docs/out/index.html"
ifeq ($(filter command,$(origin DATASET)),)
check: $(test_environment)
	@$(python) -m featurestack known $(given)
	@$(python) -m ruff format --check . && $(python) -m ruff check . && $(python) -m mypy
else
check: $(environment)
	@$(python) -m pipeline check $(given)
endif
endif

.venv/installed: requirements.txt
	@$(base) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v[:2] else "error: this is Python %d.%d; 3.11 or newer is needed" % v[:2])'
	@echo "setting up .venv (once, some minutes)"
	@$(base) -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@echo "compiling for this processor"
	@.venv/bin/python -m pipeline.kernels
	@touch $@
.venv/installed-for-tests: .venv/installed pyproject.toml constraints.txt
	@echo "adding what the tests need"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check $(for_tests)
	@.venv/bin/python -m tests.compiled
	@touch $@
