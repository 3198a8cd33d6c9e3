# Ovenbird's commands. Each sets up what it needs; the logic is in ci/steps/.
#
#     make demo                        compile ResNet50 for this machine and run it on a photograph
#     make demo WEIGHTS=resnet50.pth   the same, with a local file
#     make demo PHOTO=me.jpg           the same, on a photograph of yours
#     make test                        format, lint, types, import rules, tests; says what it leaves out
#     make test SLOW=1                 the same with the tests marked slow, as CI runs it
#     make test TESTS=tests/unit       only these tests, without the checks before them
#     make mutants                     put known faults in, and see that a test fails of each
#
# PYTHON=/path/to/python3.12 chooses the interpreter (3.10 to 3.13).

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo notebook site test native mutants onnx networks detectors bench load lint format clean
export PYTHON SLOW JOBS

WEIGHTS ?=
TESTS ?=
SLOW ?=
JOBS ?=
BENCH ?=
PHOTO ?=
MODEL ?=
FAULTS ?=
ONNX ?=
CONTAINER ?=
NETWORKS ?=
DETECTORS ?=

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: ## create .venv (compiler, tests, peers) and .venv-runtime (the target, nothing else)
	@ci/steps/setup.sh all

demo: ## compile ResNet50 here, run it through the runtime alone  [WEIGHTS=file.pth PHOTO=file.jpg]
	@ci/steps/setup.sh compiler runtime
	@.venv/bin/python ci/steps/demo.py $(if $(WEIGHTS),--weights "$(WEIGHTS)") $(if $(PHOTO),--image "$(PHOTO)")

notebook: ## the demo explained step by step, in JupyterLab  [CONTAINER=1: in a container]
	@ci/steps/notebook.sh $(if $(CONTAINER),container)

site: ## docs/ as pages in build/site, every link checked
	@ci/steps/setup.sh test
	@ci/steps/site.sh

test: ## every check and every test that needs no special hardware  [SLOW=1, TESTS=tests/unit/...]
	@ci/steps/setup.sh all
	@$(if $(TESTS),,ci/steps/lint.sh)
	@ci/steps/test.sh $(TESTS)

native: ## build the C++ runtime into build/native, and run its own tests
	@ci/steps/native.sh --test

mutants: ## put known faults in, see that a test fails of each  [FAULTS="signature winograd"]
	@ci/steps/setup.sh all
	@.venv/bin/python ci/mutation/mutate.py $(FAULTS)

onnx: ## compile ONNX's own node tests, print which are right, by operator  [ONNX="Resize Pad"]
	@ci/steps/setup.sh compiler test
	@.venv/bin/python ci/onnx_nodes $(ONNX)

networks: ## compile networks of torchvision and timm, time them: hours  [NETWORKS="convnext --no-bench"]
	@ci/steps/setup.sh test
	@.venv/bin/python ci/networks $(NETWORKS)

detectors: ## time detectors from a photograph to its boxes, beside others: an hour  [DETECTORS="yolo --again"]
	@ci/steps/setup.sh test
	@.venv/bin/python ci/detectors $(DETECTORS)

bench: ## time artifacts against ONNX Runtime, OpenVINO and torch  [BENCH="resnet50 zoo ..." or options]
	@ci/steps/setup.sh all
	@ci/steps/bench.sh $(BENCH)

load: ## load our server and others with Apache's ab  [PHOTO=file.jpg, MODEL=git-base-textcaps for captions]
	@ci/steps/setup.sh all
	@$(if $(filter git%,$(MODEL)),ci/captions/run.sh,ci/load/run.sh) $(PHOTO)

lint: ## format, lint, types, import rules
	@ci/steps/setup.sh test
	@ci/steps/lint.sh

format: ## put the sources into shape
	@ci/steps/setup.sh test
	@ci/steps/lint.sh --fix

clean: ## remove the environments, caches and compiled artifacts
	rm -rf .venv .venv-runtime .venv-examples build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache artifacts/*/ compile/*.egg-info runtime/*.egg-info
	find compile runtime tests ci -name __pycache__ -type d -prune -exec rm -rf {} +
