# Everything a contributor runs. `make` alone lists the targets.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN    := .venv/bin
PROGRAM := .venv/.program
STAMP  := .venv/.stamp

PIP_INSTALL := $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check
PIP_DOWNLOAD := $(BIN)/python -m pip download --quiet --no-input --disable-pip-version-check --only-binary :all: \
    --require-hashes
APT_RETRIES := --option Acquire::Retries=5
PIP_COMPILE := CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile pyproject.toml

BASE    ?= python:3.11-slim-bookworm
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' webhook/istio_netpol/__init__.py)
IMAGE   ?= istio-netpol:$(VERSION)
ARCHIVE := dist/istio-netpol-$(VERSION)-image.tar
BUILDER ?= $(or $(shell command -v buildah),docker)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv install tools packages wheels image image-test demo demo-cluster demo-mesh test lint bench docs \
    release release-packages lock coverage mutation clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(STAMP) ## Make .venv with everything that the lock pins.

install: $(PROGRAM) ## Make .venv with the program and what it runs on, without the tools to work on it.

# Whoever only looks waits for no test tool. Of what is installed, only what a command imports that reads files is
# compiled ahead: with no place for bytecode of its own, such a command would compile it again in every run.
$(PROGRAM): pyproject.toml requirements.lock
	@echo 'Installing the program in .venv; this takes some seconds, once.' >&2
	@$(PYTHON) -m venv .venv
	@sed -n '/^setuptools==/,/[^\]$$/p' requirements-dev.lock > .venv/setuptools.lock
	@$(PIP_INSTALL) --no-compile --require-hashes --requirement requirements.lock --requirement .venv/setuptools.lock
	@$(PIP_INSTALL) --no-build-isolation --no-deps --editable .
	@$(BIN)/python -m compileall -q webhook/istio_netpol \
	    $$($(BIN)/python -c 'import click, yaml; print(*click.__path__, *yaml.__path__)')
	@touch $@

$(STAMP): $(PROGRAM) requirements-dev.lock
	@$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

demo: $(PROGRAM) ## Show the webhook at work on example manifests.
	@$(BIN)/python tests/demo/run.py

demo-cluster: $(STAMP) tools ## Show it at work in a real cluster, typed with kubectl.
	@$(BIN)/python tests/demo/cluster.py

demo-mesh: $(STAMP) tools ## Show a timeout and its remedy in a real mesh, on packets; for root, on Linux.
	@$(BIN)/python tests/demo/mesh.py

tools: $(STAMP) ## Build the programs that the tests run: a real API server, kubectl, helm ...
	@$(BIN)/python -m tests.tools.build

packages: ## Install the Debian packages that tests of the image, the map and the mesh need; for root.
	@for program in buildah debootstrap chromium ip iptables ipset nft conntrack; do \
	    command -v $$program >/dev/null || missing="$$missing $$program"; done; test -z "$$missing" || { \
	    apt-get $(APT_RETRIES) update --quiet=2 && \
	    DEBIAN_FRONTEND=noninteractive apt-get $(APT_RETRIES) install --quiet=2 --yes --no-install-recommends \
	        buildah debootstrap chromium fonts-dejavu-core iproute2 iptables ipset nftables conntrack; }

wheels: build/wheels/.stamp ## Lay out the wheels that the image is built from: the lock's, pip's and ours.

build/wheels/.stamp: $(STAMP) requirements.lock $(shell find webhook/istio_netpol -name '*.py') $(wildcard webhook/istio_netpol/web/assets/*) $(wildcard docs/rules/*.md)
	@rm -rf $(@D) build/pip.lock build/lib build/bdist.*
	@mkdir -p $(@D)
	@$(PIP_DOWNLOAD) --requirement requirements.lock --dest $(@D)
	@sed -n '/^pip==/,/[^\\]$$/p' requirements-dev.lock > build/pip.lock
	@$(PIP_DOWNLOAD) --requirement build/pip.lock --dest $(@D)
	@mv $(@D)/pip-*.whl $(@D)/pip.whl
	@$(BIN)/python -m pip wheel --quiet --no-input --no-deps --no-build-isolation --wheel-dir $(@D) .
	@touch $@

image: wheels ## Build the image, on any BASE with Python 3.11.
	@$(BUILDER) build $(BUILD_OPTIONS) --build-arg BASE=$(BASE) --tag $(IMAGE) .

release-packages: $(STAMP) tools ## Build wheel, sdist, chart, SBOM and checksums in dist/, from the last commit.
	@$(BIN)/python -m release packages $(if $(HOMEPAGE),--homepage '$(HOMEPAGE)') \
	    --helm "$$($(BIN)/python -c 'from tests.tools.programs import located; print(located("helm"))')"
	@cd dist && cat SHA256SUMS

release: release-packages ## Build all that and the image as an archive, the same bytes from the same commit.
	@export SOURCE_DATE_EPOCH=$$($(BIN)/python -m release epoch); rm -f build/wheels/.stamp; \
	    case $(notdir $(firstword $(BUILDER))) in buildah) dates="--timestamp $$SOURCE_DATE_EPOCH";; esac; \
	    $(MAKE) --no-print-directory image \
	    BUILD_OPTIONS="$(BUILD_OPTIONS) $$dates"
	@rm -f $(ARCHIVE)
	@case $(notdir $(firstword $(BUILDER))) in \
	    buildah) $(BUILDER) push --quiet $(IMAGE) docker-archive:$(ARCHIVE):$(notdir $(IMAGE));; \
	    *) $(BUILDER) save --output $(ARCHIVE) $(IMAGE);; esac
	@$(BIN)/python -m release checksums
	@cd dist && cat SHA256SUMS

# Tests wait for servers nearly as long as they compute: three at a time keep two cores busy.
test: $(STAMP) tools ## Run all tests, three at a time.
	$(BIN)/python -m pytest -n 3 --dist loadgroup $(ARGS)

image-test: $(STAMP) packages ## Build the image with buildah on a base made by debootstrap, and run it; for root.
	$(BIN)/python -m pytest tests/image $(ARGS)

lint: $(STAMP) ## Check style, formatting, types and layers.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP) ## Build the documentation as a site in build/site; a warning is an error.
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo 'Open build/site/index.html.'

bench: $(STAMP) ## Measure speed and memory.
	@$(BIN)/python -m benchmarks

lock: $(STAMP) ## Pin the newest dependencies that pyproject.toml allows.
	@$(PIP_COMPILE) --upgrade --output-file requirements.lock
	@$(PIP_COMPILE) --upgrade --extra dev --constraint requirements.lock --output-file requirements-dev.lock

coverage: ARGS := --cov --cov-fail-under=95
coverage: test ## Run all tests and list what they miss of the pure packages; fail under 95 %.

# mutmut looks for code at the top level and in src/ only, so it works in a copy that has webhook/ under that name.
mutation: $(STAMP) ## Change the NetworkPolicy engine line by line and see whether a test notices.
	@rm -rf build/mutation
	@mkdir -p build/mutation
	@cp -R webhook build/mutation/src
	@cp -R tests pyproject.toml build/mutation
	cd build/mutation && nice ../../$(BIN)/mutmut run --max-children 1 $(MUTANTS)
	cd build/mutation && ../../$(BIN)/mutmut results

clean: ## Remove whatever the other targets made.
	@rm -rf .venv build dist mutants webhook/*.egg-info .coverage .coverage.* htmlcov
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks
	@find webhook tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
