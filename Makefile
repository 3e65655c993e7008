# metaads: run it, test it, check it. Needs git, make and Python 3.11 to 3.13 with venv; nothing else.
#
#   make demo      everything offline: sandbox, web server, worker; signs people in, connects, syncs     PORT= GRAPH_PORT= RESET=1
#   make run       no demo data; says which variables a real Meta app needs                              PORT=
#   make server    the server form: several processes on PostgreSQL and Redis                            PORT= DATABASE_URL= REDIS_URL=
#   make test      the test suite on SQLite            make browser   the tests that need Chromium
#   make prove     large counts, real processes        N= (how much: N runs of the machine of changes, 2N days of the simulator;
#                                                      from 1000 on the whole kill grid and 100 double crashes on each database)
#   make bench     benchmarks, beside what others use  B="ingest queries push calls memory" (which)  BENCH_POSTGRES_URL=
#                                                      DAYS= ROWS= SOCKETS= HOURS= (how much)  PEER_SECONDS= (each peer at most)
#   make bench-peers   installs what landing is measured beside, each in an environment of its own (once, PyPI alone)
#   make check     format, lint, types, imports, migrations, deployment          make fix   mend what can be mended

PORT ?= 8000
GRAPH_PORT ?= 8010
N ?= 200
DAYS ?= 90
ROWS ?= 10000000
SOCKETS ?= 200 1000
HOURS ?= 2
PEER_SECONDS ?= 400
B ?=
DEMO_DIR ?= var/demo
VENV := .venv
PY := $(VENV)/bin/python
# pytest's own words; `make test T="tests/accounts -k tenancy"` runs some.
T ?= tests
JOBS ?= 2

# The newest Python that every package of the lock has been tried with.
PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { command -v "$$name"; break; }; done)

# One stamp per content of a lock: pulling a new lock installs, anything else does not.
sum = $(shell cat $(1) 2>/dev/null | cksum | cut -d' ' -f1)
RUNTIME := $(VENV)/.runtime-$(call sum,requirements.txt)
DEV := $(VENV)/.dev-$(call sum,requirements.txt requirements-dev.txt)

PIP := $(PY) -m pip --disable-pip-version-check --no-input install -qq --require-hashes --no-deps
export PYTHONUNBUFFERED := 1

.PHONY: help demo run server test browser prove bench bench-peers check fix lock install clean

help:
	@sed -n '2,/^$$/s/^# \{0,1\}//p' Makefile

# --- install ---------------------------------------------------------------------------------------------------

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "metaads needs Python 3.11, 3.12 or 3.13, and none was found (Debian: apt-get install python3 python3-venv)." >&2; \
		echo "If it is somewhere else: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13." >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "$(PYTHON) has no venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "making $(VENV) with $(PYTHON)"
	@"$(PYTHON)" -m venv $(VENV)

$(RUNTIME): | $(VENV)/bin/python
	@echo "installing the packages of requirements.txt (once, half a minute to two minutes)"
	@$(PIP) -r requirements.txt
	@rm -f $(VENV)/.runtime-*
	@touch $@

$(DEV): $(RUNTIME)
	@echo "installing the packages of requirements-dev.txt (once)"
	@$(PIP) -r requirements-dev.txt
	@rm -f $(VENV)/.dev-*
	@touch $@

install: $(RUNTIME)

# --- run -------------------------------------------------------------------------------------------------------

define free
@$(PY) -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); sys.exit(s.connect_ex(("127.0.0.1", $(1))) == 0)' \
	|| { echo "Port $(1) is taken by another program. Choose another one: make $@ $(2)=$$(( $(1) + 1 ))" >&2; exit 1; }
endef

# The demo has a folder of its own, so that it never touches real data, and ignores what .env says about servers, mail and Meta.
demo: export VAR_DIR := $(DEMO_DIR)
demo: export PUBLIC_URL := http://127.0.0.1:$(PORT)
demo: export DATABASE_URL :=
demo: export REDIS_URL :=
demo: export EMAIL_URL :=
demo: install
	$(call free,$(PORT),PORT)
	$(call free,$(GRAPH_PORT),GRAPH_PORT)
	@$(if $(filter 1,$(RESET)),if test -e "$(DEMO_DIR)/demo.json"; then rm -rf "$(DEMO_DIR)"; fi)
	@$(PY) manage.py migrate --skip-checks -v 0
	@exec $(PY) manage.py demo --port $(PORT) --graph-port $(GRAPH_PORT)

run: export PUBLIC_URL ?= http://127.0.0.1:$(PORT)
run: install
	$(call free,$(PORT),PORT)
	@$(PY) manage.py migrate -v 0
	@echo "open http://127.0.0.1:$(PORT)/"
	@exec $(PY) -m uvicorn config.asgi:application --host 127.0.0.1 --port $(PORT) --no-access-log --ws-per-message-deflate false --log-level warning

server: export PUBLIC_URL ?= http://127.0.0.1:$(PORT)
server: install
	$(call free,$(PORT),PORT)
	@test -z "$$DATABASE_URL" || $(PY) manage.py migrate -v 0
	@test "$$PRODUCTION" != true || $(PY) manage.py collectstatic --noinput -v 0
	@exec $(PY) -m config.server --port $(PORT)

# --- test ------------------------------------------------------------------------------------------------------

# A test belongs to a leg by its marker; what needs a server is left out where none is named (.ci/run names both).
LEG = not chromium and not prove$(if $(TEST_DATABASE_URL),, and not postgres)$(if $(TEST_REDIS_URL), and not embedded, and not redis)

test: $(DEV)
	$(PY) -m pytest $(T) -m "$(LEG)" -n $(JOBS) --dist loadfile -q

browser: $(DEV)
	DJANGO_ALLOW_ASYNC_UNSAFE=1 $(PY) -m pytest $(T) -m chromium -q

prove: export PROVE_N := $(N)
prove: $(DEV)
	$(PY) -m pytest $(T) -m prove -n $(JOBS) --dist loadfile -q

# Prints tables and writes var/bench.json. With BENCH_POSTGRES_URL, a server where databases may be made, PostgreSQL too.
bench: $(DEV)
	@$(PY) -m tests.bench $(B) --days $(DAYS) --rows $(ROWS) --sockets $(SOCKETS) --hours $(HOURS) --peer-seconds $(PEER_SECONDS)

# One that cannot be installed does not keep the others out: its last words are in var/peers/PACKAGE.log, and the bench names it.
PEERS := $(patsubst tests/bench/requirements/%.txt,%,$(wildcard tests/bench/requirements/*.txt))

bench-peers: $(foreach peer,$(PEERS),var/peers/$(peer)/.made)

var/peers/%/.made: tests/bench/requirements/%.txt | $(VENV)/bin/python
	@echo "installing $* into var/peers/$*"
	@rm -rf var/peers/$* && mkdir -p var/peers && $(PY) -m venv var/peers/$*
	@var/peers/$*/bin/pip --disable-pip-version-check --no-input install -qq --no-deps -r $< > var/peers/$*.log 2>&1 \
		&& touch $@ || { tail -n 3 var/peers/$*.log; rm -rf var/peers/$*; }

check: $(DEV)
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports --no-cache
	$(PY) manage.py makemigrations --check --dry-run -v 0
	@mkdir -p var && $(PY) -m tests.production_environment > var/check.env
	set -a; . var/check.env; set +a; $(PY) manage.py check --deploy --fail-level WARNING

fix: $(DEV)
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

# --- locks: requirements*.in is what people edit; uv compiles the locks, and nothing else needs it. A test compares them.

UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

lock:
	$(UV) requirements.in -o requirements.txt
	$(UV) requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
