# The two commands of the README are `make demo` and `make test`; each sets up what it needs.
.PHONY: help setup demo test nojit lint format sample bench bench-source bench-planner bench-admission bench-warframe bench-map slow px4 lock clean
.DEFAULT_GOAL := help
PYTHON_FILES := utm sims tests benchmarks data tools
bin := .venv/bin

help: ## Say what there is
	@grep -E '^[a-z0-9-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 10

setup: .venv/ready ## Make .venv with the package in it

.venv/ready: pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh

demo: setup ## From a drone survey to two flown sky roads, under out/demo
	@$(bin)/utm demo

test: lint ## Lint, import contract, tests, and those of kernels once more without the compiler
	@$(bin)/python -m pytest -q
	@$(MAKE) --no-print-directory nojit

nojit: setup ## The tests of kernels as plain Python; fails when a kernel was never called
	@NUMBA_DISABLE_JIT=1 $(bin)/python -m pytest -q -m nojit

lint: setup ## Style and the import contract of the house
	@$(bin)/ruff check $(PYTHON_FILES)
	@$(bin)/ruff format --check --quiet $(PYTHON_FILES) || { echo "run: make format" >&2; exit 1; }
	@$(bin)/lint-imports --no-cache

format: setup ## Mend the style
	@$(bin)/ruff check --fix --quiet $(PYTHON_FILES); $(bin)/ruff format $(PYTHON_FILES)

slow: setup ## The tests that take minutes: other seeds of the sample city
	@$(bin)/python -m pytest -q -m slow

px4: setup ## The tests that need a real PX4 SITL
	@$(bin)/python -m pytest -q -m px4

sample: setup ## Make the sample city again
	@$(bin)/python data/sample_dsm/generate.py --out data/sample_dsm

.venv/bench: .venv/ready
	@if command -v uv >/dev/null; then uv pip install --quiet --python $(bin)/python --constraint constraints.txt -e '.[bench]'; \
	  else PIP_CONSTRAINT=constraints.txt $(bin)/python -m pip install --quiet -e '.[bench]'; fi
	@touch .venv/bench

bench: .venv/bench ## Benchmarks, peers side by side: minutes (peers that are not installed are skipped, with the reason)
	@$(bin)/python -m pytest benchmarks -q --benchmark-only --benchmark-timer=time.process_time \
	  --benchmark-columns=median,mean,max,rounds --benchmark-sort=mean

bench-source: .venv/bench ## One more peer of the benchmarks, which is built here: needs a C++ compiler
	@if command -v uv >/dev/null; then uv pip install --quiet --python $(bin)/python --constraint constraints.txt -e '.[bench-source]'; \
	  else PIP_CONSTRAINT=constraints.txt $(bin)/python -m pip install --quiet -e '.[bench-source]'; fi

bench-planner: .venv/bench ## Figures of the planner, into docs/benchmarks-planner.md: twelve minutes of a quiet machine
	@$(bin)/python -m benchmarks.planner_figures

bench-admission: .venv/bench ## Figures of admission, into docs/benchmarks-admission.md: most of an hour of a quiet machine
	@$(bin)/python -m benchmarks.admission_figures --measure

bench-warframe: setup ## All 30,000 published questions, lengths compared
	@$(bin)/python -m benchmarks.warframe

bench-map: setup ## Figures of city maps, into docs/benchmarks-map.md: minutes, and a gigabyte of made surveys in /tmp
	@for script in map_cloud_speed map_100m_points map_city; do $(bin)/python -m benchmarks.$$script || exit 1; done

lock: ## Pin every dependency again, for all supported Pythons (needs uv)
	@uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra sim --extra test --extra bench --extra bench-source \
	  --no-emit-index-url --no-header --no-annotate pyproject.toml -o constraints.txt

clean: ## Remove what was made
	@rm -rf .venv build dist out *.egg-info .pytest_cache .ruff_cache .hypothesis
