# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run replay test test-postgresql coverage mutants check format bench chapter study lock clean

run: $(READY)  ## the exchange with its documentation, simulated prices and keys to try it with
	$(BIN)/evergamma serve --demo

replay: $(READY)  ## one month through the exchange, then the report
	$(BIN)/evergamma replay

test: $(READY)  ## the whole suite, kernels compiled; WORKERS=2 shares it between two processes
	$(if $(WORKERS),$(BIN)/python -c 'from api.warmup import warm_up; warm_up()'  # once for all)
	$(if $(WORKERS),$(BIN)/pytest -qq --collect-only >/dev/null || true  # what is wrong is told below)
	$(BIN)/pytest $(if $(WORKERS),-n $(WORKERS) --dist loadfile)

# What is refused or told before a database is asked, and simulations, which are in none.
NO_DATABASE := bad_requests documentation names openapi privileges protocol proxies simulations

test-postgresql: $(READY)  ## the tests over HTTP that store something, their servers on PostgreSQL
	EVERGAMMA_TEST_DATABASE=postgresql $(BIN)/pytest tests/api/http -m "not file" \
		$(NO_DATABASE:%=--ignore=tests/api/http/test_%.py)

coverage: $(READY)  ## the suite of the rules again, interpreted: branch coverage and a differential test
	NUMBA_DISABLE_JIT=1 HYPOTHESIS_PROFILE=interpreted $(BIN)/pytest tests/amm tests/vaults \
		-m "not compiled" --cov=amm --cov=vaults --cov-branch --cov-report=term:skip-covered \
		--cov-fail-under=94

mutants: $(READY)  ## turn every rounding, clamp and bound of the pools; a test has to notice each
	$(BIN)/python -m tests.mutation

check: $(READY)  ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)  ## measure and rewrite docs/benchmarks.md, beside the packages of the bench group
	$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["bench"], sep="\n")' \
		| $(BIN)/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin
	$(BIN)/python -m tests.benchmarks

chapter: $(READY)  ## compute the figures of docs/pricing.md and draw its pictures
	$(BIN)/python -m sims.chapters.pricing

study: $(READY)  ## compute the figures of docs/waterfall.md and docs/settlement.md: half an hour
	$(BIN)/evergamma study waterfall
	$(BIN)/evergamma study settlement

$(READY): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m compileall -q -j 0 $(VENV) >/dev/null || true  # by all cores; templates of packages are no Python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

lock:  ## refresh requirements.lock (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group dev --group build pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
