# Annulus: everything from a fresh clone, with nothing but Python >= 3.11 there. `make help` lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo picture test test-slow lint bench clean

# The first Python on the path that is new enough; `make PYTHON=/some/python3.12 test` chooses another.
PYTHON ?= $(shell for p in python3 python python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin
READY := .venv/.installed

# Nothing is written outside this folder: cached frames and the settings of Keras and Matplotlib go below build/.
# pip uses its own cache where there is one already.
export ANNULUS_CACHE ?= $(CURDIR)/build/cache
export KERAS_HOME ?= $(CURDIR)/build/keras
export MPLCONFIGDIR ?= $(CURDIR)/build/matplotlib
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
PIP_CACHE := $(if $(PIP_CACHE_DIR)$(wildcard $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/pip),,--no-cache-dir)

DEMO := build/demo

help:
	@echo "make demo       simulate, train briefly, evaluate, report, export, measure one frame without TensorFlow"
	@echo "make test       style, types, layers and the tests (.ci/run does the same)"
	@echo "make test-slow  the tests that take longer, with a browser where one is installed"
	@echo "make lint       style, types and layers only"
	@echo "make bench      the measurements of docs/PERFORMANCE.md; those of a bundle are named"
	@echo "make picture    the picture in README.md, after make demo"
	@echo "make clean      remove build/ (the virtual environment stays)"

$(READY): requirements.txt requirements-dev.txt
	@if [ -z "$(PYTHON)" ]; then \
		echo "error: no Python >= 3.11 with the venv module was found; install one (Debian: apt install python3-venv)" \
			"or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@echo "installing the pinned requirements into .venv (once, a few minutes)"
	@$(BIN)/python -c 'import sys, ssl, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| $(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet $(PIP_CACHE) -r requirements-dev.txt
	@if ! $(BIN)/python -c 'import cv2' 2>/dev/null; then \
		opencv=$$(sed -n 's/^opencv-python==/opencv-python-headless==/p' requirements.txt); \
		echo "this machine lacks the graphics libraries of opencv-python; installing $$opencv instead"; \
		$(BIN)/python -m pip uninstall --quiet --yes opencv-python; \
		$(BIN)/python -m pip install --quiet $(PIP_CACHE) --force-reinstall --no-deps "$$opencv"; \
		$(BIN)/python -c 'import cv2'; fi
	@touch $(READY)

demo: $(READY)
	@rm -rf $(DEMO)
	$(BIN)/python -m data_pipeline.phantom $(DEMO)/phantom
	$(BIN)/python train.py --model unet1 --recipe demo --data phantom:$(DEMO)/phantom --out $(DEMO)/run
	$(BIN)/python evaluate.py --run $(DEMO)/run --out $(DEMO)/evaluation
	$(BIN)/python -m export --run $(DEMO)/run --format saved_model tflite-float32 tflite-int8 --out $(DEMO)/bundles
	@patient=$$($(BIN)/python -c 'import json; print(json.load(open("$(DEMO)/run/split.json"))["test"][0])'); \
	frame="$(DEMO)/phantom/$$patient/$${patient}_4CH_ED.nii.gz"; \
	set -x; \
	$(BIN)/python predict.py --run $(DEMO)/run "$$frame" --out $(DEMO)/measurements; \
	$(BIN)/python -m cart --bundle $(DEMO)/bundles/tflite-int8 "$$frame" --json
	@echo
	@echo "one frame, drawn:  $(DEMO)/measurements/"
	@echo "all the numbers:   $(DEMO)/evaluation/summary.json, $(DEMO)/evaluation/cases.csv"
	@echo "the report:        $(DEMO)/evaluation/report.html"

# README's picture, after `make demo`: a test frame of good quality with the whole atrium in view.
PATIENT ?= patient0049
picture: $(READY)
	$(BIN)/python predict.py --run $(DEMO)/run $(DEMO)/phantom/$(PATIENT)/$(PATIENT)_4CH_ED.nii.gz --out $(DEMO)/picture
	$(BIN)/python -c 'import cv2; picture = cv2.imread("$(DEMO)/picture/$(PATIENT)_4CH_ED_overlay.png"); \
		smaller = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA); \
		cv2.imwrite("docs/images/phantom_overlay.png", smaller)'

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest -m "not slow and not gpu"

test-slow: $(READY)
	$(BIN)/python -m pytest -m "slow and not gpu"

bench: $(READY)
	@for file in benchmarks/[a-z]*.py; do name="benchmarks.$$(basename "$$file" .py)"; echo "== $$name"; \
		case "$$name" in \
			*.cart|*.engines|*.smoothing) echo "of a bundle: $(BIN)/python -m $$name --help says which";; \
			*) $(BIN)/python -m "$$name";; esac; done

clean:
	rm -rf build
