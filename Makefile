# Each of these does all the set-up from a bare clone: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUNS ?= runs

.PHONY: demo demo-distillation test test-long test-slow test-tpu planted wheels lint docs clean

demo: $(VENV)/.installed
	$(BIN)/python -m train --config=configs/digits_ikl_at.py:natural --workdir=$(RUNS)/digits_natural
	$(BIN)/python -m train --config=configs/digits_ikl_at.py --workdir=$(RUNS)/digits_ikl_at
	$(BIN)/python -m train.evaluate --workdir=$(RUNS)/digits_natural --attack=autoattack
	$(BIN)/python -m train.evaluate --workdir=$(RUNS)/digits_ikl_at --attack=autoattack
	@echo "Natural training, and IKL adversarial training, on the same images:"
	@$(BIN)/python -m train.compare $(RUNS)/digits_natural $(RUNS)/digits_ikl_at
	@echo "Curves, robustness, images and configs, to be opened in a browser:"
	@$(BIN)/python -m train.report $(RUNS)/digits_natural $(RUNS)/digits_ikl_at --output=$(RUNS)/report.html

demo-distillation: $(VENV)/.installed
	$(BIN)/python -m train --config=configs/digits_distill.py:teacher --workdir=$(RUNS)/digits_teacher
	$(BIN)/python -m train --config=configs/digits_distill.py:alone --workdir=$(RUNS)/digits_alone
	$(BIN)/python -m train --config=configs/digits_distill.py:loss=kd --workdir=$(RUNS)/digits_kd \
		--config.teacher.path=$(RUNS)/digits_teacher
	$(BIN)/python -m train --config=configs/digits_distill.py:loss=ikl --workdir=$(RUNS)/digits_ikl \
		--config.teacher.path=$(RUNS)/digits_teacher
	@$(BIN)/python -m train.compare $(RUNS)/digits_teacher $(RUNS)/digits_alone $(RUNS)/digits_kd $(RUNS)/digits_ikl

test: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n auto --dist worksteal

test-long: $(VENV)/.installed
	$(BIN)/python -m pytest -q -n auto --dist worksteal -m "long and not slow"

test-slow: $(VENV)/.installed
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(BIN)/python -m pytest -q -m slow

# Compiles for TPUs, which takes libtpu but no TPU. Where it is installed, the tests of
# everything else need JAX_PLATFORMS=cpu to stay quiet, so it comes last in CI.
test-tpu: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[plan-tpu]'
	JAX_PLATFORMS=cpu JAX_ENABLE_COMPILATION_CACHE=0 JAX_DISABLE_MOST_OPTIMIZATIONS=0 \
		$(BIN)/python -m pytest -q -m tpu -n auto --dist worksteal --durations=0 --durations-min=1 -rs

planted: $(VENV)/.installed
	$(BIN)/python tests/planted.py --long

# For a machine without a network; docs/performance.md.
wheels:
	$(PYTHON) -m benchmarks.support.wheels --output wheels $(WHEELS_OPTIONS)

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tests/check_site.py site

clean:
	rm -rf $(VENV) .cache runs site build *.egg-info

# pip compiles what it installs on one core; this takes all, and leaves packages' own tests.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile -e '.[train,test]'
	$(BIN)/python -m compileall -q -j 0 -x '[/]tests?[/]' $(VENV)/lib > /dev/null || true
	touch $@
