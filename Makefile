# Tickwire: `make site` for a proven rollout on the lab, `make test` for every test. `make help` lists the rest.

INVENTORY ?= inventories/lab
ARGS ?=
SECONDS ?= 60
LAB_INVENTORY := inventories/lab

SHELL := /bin/sh
PYTHON := .venv/bin/python
# Not the one in .venv: it may be about to be replaced.
SYSTEM_PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)
STAGE := $(SYSTEM_PYTHON) scripts/stage.py
# The lab is started for its own inventory only.
IS_LAB := $(filter $(abspath $(LAB_INVENTORY) $(LAB_INVENTORY)/hosts.yml),$(abspath $(INVENTORY)))
LAB_STAGES := $(if $(IS_LAB),lab)
# Containers with systemd need root; root's caches are its own, and nothing of root's is left in .venv.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo env PATH="$$PATH" PYTHONDONTWRITEBYTECODE=1)
UNIT_PATHS := tests/unit tests/property tests/devices tests/oracles runtime/tests

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# How the failing stage is run alone.
export TICKWIRE_MAKE_VARIABLES := $(MAKEOVERRIDES)

.PHONY: site test help inventory reachable setup setup-test ready ready-test lab lab-down rollout validate \
	lint unit sanity molecule lab-test runtime fuzz bench dist docs clean

site: inventory ## set up, start the lab, roll out, validate: the whole story
	@$(STAGE) all --report report/report.html site setup $(LAB_STAGES) rollout validate

test: ## every test: lint, unit, sanity, molecule, lab-test
	@$(STAGE) all --tests test setup-test lint unit sanity molecule lab-test lab-down

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile
	@echo "Variables: INVENTORY=$(INVENTORY)  ARGS='further arguments of ansible-playbook, pytest or molecule'"

inventory:
	@test -e "$(INVENTORY)" || { \
		echo "There is no inventory at $(INVENTORY). Next: make site INVENTORY=<directory or file>;" \
			"inventories/ has examples, $(LAB_INVENTORY) is the lab." >&2; exit 2; }

reachable:
	@test -z "$(IS_LAB)" || test -e .lab/ssh_config || { echo "The lab is not up. Next: make lab" >&2; exit 2; }

setup: ## system packages and .venv for make site
	@$(STAGE) run setup -- scripts/bootstrap site

setup-test: ## system packages and .venv for make test
	@$(STAGE) run setup-test -- scripts/bootstrap test

ready:
	@scripts/bootstrap --quiet site

ready-test:
	@scripts/bootstrap --quiet test

lab: ready ## start the lab: exch1, sw1, trade1
	@$(STAGE) run lab -- $(PYTHON) -m lab up

lab-down: ## stop the lab; no process, mount or socket of it is left
	@$(STAGE) run lab-down -- $(SYSTEM_PYTHON) -m lab down

rollout: inventory ready reachable ## playbooks/site.yml on INVENTORY
	@$(STAGE) run rollout -- ansible-playbook -i "$(INVENTORY)" playbooks/site.yml $(ARGS)

validate: inventory ready reachable ## playbooks/validate.yml on INVENTORY, report in report/
	@$(STAGE) run validate -- ansible-playbook -i "$(INVENTORY)" playbooks/validate.yml $(ARGS)

lint: ready-test ## ruff, mypy, ansible-lint, changelog, shellcheck
	@$(STAGE) run lint -- $(PYTHON) -m scripts.lint

runtime: ready-test ## the runtime, built and installed into .venv for its tests
	@$(PYTHON) -m scripts.install_runtime

unit: ready-test ## unit and property tests, oracles, the runtime's tests
	@$(STAGE) run unit -- $(PYTHON) -m scripts.unit $(UNIT_PATHS) $(ARGS)

fuzz: runtime ## the fuzz targets on their kept corpus, SECONDS=60 each
	@$(STAGE) run fuzz -- $(PYTHON) -m scripts.fuzz --seconds $(SECONDS) $(ARGS)

sanity: ready-test ## ansible-test sanity on the built artifact
	@$(STAGE) run sanity -- $(PYTHON) -m scripts.sanity

molecule: ready-test ## molecule/default in containers, as root
	@$(STAGE) run molecule -- $(AS_ROOT) molecule/run $(ARGS)

lab-test: ready-test ## the end-to-end tests on the lab
	@$(STAGE) run lab-test -- $(PYTHON) -m pytest -x -s tests/lab $(ARGS)

bench: runtime ## side-by-side benchmarks into bench/results; ARGS='--peers FILE book' for peers, one section
	@$(STAGE) run bench -- $(PYTHON) -m bench $(ARGS)

dist: ready-test ## dist/tickwire-fabric-VERSION.tar.gz
	@$(PYTHON) -m scripts.artifact dist

docs: ready-test ## the roles' tables of variables, CHANGELOG.md and CHANGELOG.rst
	@$(PYTHON) -m scripts.role_readme
	@antsibull-changelog generate

clean: lab-down ## what was built here; .venv and the image cache stay
	rm -rf .stage .ansible .mypy_cache .ruff_cache .pytest_cache .hypothesis dist report
	rm -rf runtime/build runtime/dist runtime/*.egg-info runtime/tickwire/*.so
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
