# Les deux commandes du README : `make run` et `make test`. `make help` donne les autres.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PORT   ?= 8001
BENCH  := .venv-bench
SPARK  := .venv-spark
SETS   ?= --count 10000

# PYTHONDONTWRITEBYTECODE would make each import of dagster three times slower.
unexport PYTHONDONTWRITEBYTECODE
export DAGSTER_DISABLE_TELEMETRY := yes
export UV_COMPILE_BYTECODE := 1

.DEFAULT_GOAL := help
.PHONY: help run test test-full test-spark check format lock serve bench-matching bench-harvest benchmark clean

help: ## liste les commandes
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.runtime ## moissonne l'échantillon fourni, publie la base, l'ouvre sur localhost
	@$(BIN)/lowtech run --sample
	@$(BIN)/lowtech serve --port $(PORT)

test: $(VENV)/.dev ## lance la suite de tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-full: $(VENV)/.dev ## suites longues (navigateur, arrêts brutaux, gros volumes)
	@LOWTECH_EXEMPLES=default $(BIN)/python -m pytest -n auto --dist loadfile -m "full or not full"

test-spark: $(SPARK)/.spark ## l’appariement sur Spark, en local, égal à celui de DuckDB (Java 17)
	@$(SPARK)/bin/python -m pytest tests/resolve/test_spark.py

check: $(VENV)/.dev ## style, types, documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lowtech sources check --sources sources.yaml
	@$(BIN)/lowtech sources check --sources warehouse/sample/sources.yaml

format: $(VENV)/.dev ## met le code en forme
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

serve: $(VENV)/.runtime ## sert la dernière version publiée
	@$(BIN)/lowtech serve --port $(PORT)

bench-matching: $(BENCH)/.bench ## compare les moteurs de rapprochement (SETS="--count 10000 100000")
	@$(BENCH)/bin/python -m benchmarks.matching $(SETS) --write

bench-harvest: $(VENV)/.dev ## mesure deux grandes moissons et écrit benchmarks/moisson.md
	@$(BIN)/python -m benchmarks.harvest

benchmark: $(VENV)/.dev ## mesure chaque étape et écrit benchmarks/resultats.md
	@$(BIN)/python -m benchmarks.stages

COMPILE = $(BIN)/uv pip compile --quiet --python-version 3.11.7 --generate-hashes --no-header \
  --no-annotate --no-emit-index-url --no-emit-find-links

lock: $(VENV)/.installer ## refait les verrous (versions et empreintes) depuis pyproject.toml
	@$(COMPILE) --group installer -o requirements-installer.lock
	@$(COMPILE) pyproject.toml --group build -o requirements.lock
	@$(COMPILE) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	@$(COMPILE) pyproject.toml --group bench -c requirements.lock -o requirements-bench.lock
	@$(COMPILE) pyproject.toml --extra spark --group dev -c requirements-dev.lock -o requirements-spark.lock

clean: ## enlève l'environnement et les données produites
	@rm -rf $(VENV) $(BENCH) $(SPARK) warehouse/data

# A fast installer when it can be had, plain pip otherwise: the same locks and hashes either way.
$(VENV)/.venv:
	@echo "Environnement Python dans $(VENV)…"
	@$(PYTHON) -c 'import sys; assert sys.version_info[:2] == (3, 11), f"Python 3.11 attendu, trouvé {sys.version.split()[0]} : make PYTHON=/chemin/vers/python3.11"'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installer: requirements-installer.lock | $(VENV)/.venv
	@echo "Installateur…"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-installer.lock \
	  || echo "  uv indisponible : pip prendra le relais, en quelques minutes"
	@touch $@

define install
	@echo "Paquets de $(1)…"
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --python $(BIN)/python --require-hashes -r $(1); \
	  else $(BIN)/python -m pip install --no-deps --require-hashes -r $(1); fi
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	  else $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .; fi
endef

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.installer
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	$(call install,requirements-dev.lock)
	@touch $@

define environment
	@echo "Environnement à part dans $(1)…"
	@$(PYTHON) -m venv $(1)
	@if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install --python $(1)/bin/python --require-hashes -r $<; \
	  else $(1)/bin/python -m pip install --no-deps --require-hashes -r $<; fi
	@$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
endef

# Peers of matching bring numpy, pandas and scikit-learn: they stay out of the project's environment.
$(BENCH)/.bench: requirements-bench.lock pyproject.toml | $(VENV)/.installer
	$(call environment,$(BENCH))
	@touch $@

$(SPARK)/.spark: requirements-spark.lock pyproject.toml | $(VENV)/.installer
	$(call environment,$(SPARK))
	@touch $@
