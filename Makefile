# Everything that is done with batchwatch. Needs make and Python 3.11 or later and nothing else:
# what a target needs is installed beside this file, into .venv and .venv-aws.
#
# Variables are given as in `make run PORT=8001` or in the environment. Those that no line below
# names reach the programs through the environment too.

PYTHON ?= python3
STATE_DIR ?= .state
AWS_PORT ?= 4566

PY := .venv/bin/python
LOCAL_AWS := AWS_ENDPOINT_URL=http://127.0.0.1:$(AWS_PORT) AWS_DEFAULT_REGION=us-east-1 \
             AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local

.PHONY: help run simulate send test check check-rules explain-rules bench deploy backfill redrive token webex-test clean

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):.*## /  make \1: /p' $(firstword $(MAKEFILE_LIST))

run: .venv/made .venv-aws/made  ## all of it on this machine [PORT, AWS_PORT, STATE_DIR, SIMULATE=0]
	@$(PY) -m local.run

simulate: .venv/made  ## feeds the running local stack [JOBS, RATE, SEED, SHUFFLE=1, DUPLICATE=1, DROP=0.1]
	@$(PY) -m local.simulate $(if $(JOBS),--jobs '$(JOBS)') $(if $(RATE),--rate '$(RATE)') \
	    $(if $(SEED),--seed '$(SEED)') $(if $(filter 1,$(SHUFFLE)),--shuffle) \
	    $(if $(filter 1,$(DUPLICATE)),--duplicate) \
	    $(if $(DROP),--drop '$(DROP)')

send: .venv/made  ## puts one event through the local rule [EVENT=file.json]
	@$(PY) -m local.send $(if $(EVENT),'$(EVENT)')

test: .venv/made .venv-aws/made  ## the whole test suite [ARGS='-k queue']
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

check: .venv/made .venv-aws/made  ## lint, types, tests
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/cfn-lint infra/resources.json
	$(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal $(ARGS)

bench: .venv/made .venv-aws/made  ## the benchmarks with their comparisons, as a table
	@$(PY) -m bench

deploy: .venv/made  ## both stacks, with the usual AWS credentials [STAGE, JOB_QUEUES, ALARM_TOPIC]
	@$(PY) -m infra.deploy --stage '$(STAGE)' \
	    $(if $(JOB_QUEUES),--job-queues '$(JOB_QUEUES)') \
	    $(if $(ALARM_TOPIC),--alarm-topic '$(ALARM_TOPIC)')

backfill: .venv/made  ## finds at once the jobs that no event told of [STAGE, SINCE=2026-11-01]
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.backfill \
	    --stage '$(STAGE)' --since '$(SINCE)'

redrive: .venv/made  ## gives dead letters another chance [STAGE, FROM=dead-letters]
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.redrive \
	    --stage '$(STAGE)' --from '$(FROM)'

token: .venv/made  ## makes an API token and shows it once [STAGE, NAME, QUEUES, REPLACE=1]
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.token \
	    --stage '$(STAGE)' --name '$(NAME)' \
	    $(if $(QUEUES),--queues '$(QUEUES)') $(if $(filter 1,$(REPLACE)),--replace)

webex-test: .venv/made  ## one test notice to the real Webex [ROOM, WEBEX_TOKEN or STAGE]
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m local.webex_test --room '$(ROOM)' \
	    $(if $(STAGE),--stage '$(STAGE)')

check-rules: .venv/made  ## whether the notice rules make sense [NOTICE_RULES, WEBEX_ROOM]
	@$(PY) -m local.rules check

explain-rules: .venv/made  ## which rules fire for an event, and the message [EVENT=file.json]
	@$(PY) -m local.rules explain $(if $(EVENT),'$(EVENT)')

clean:  ## forgets the local stack and what it recorded [STATE_DIR]
	rm -rf '$(STATE_DIR)' .cache

.venv/made: requirements.txt requirements-dev.txt
	@$(check_python)
	@echo 'Installing what batchwatch needs into .venv …'
	@$(PYTHON) -m venv .venv
	@.venv/bin/pip install -qq --disable-pip-version-check \
	    -r requirements.txt -r requirements-dev.txt
	@touch $@

.venv-aws/made: requirements-aws.txt
	@$(check_python)
	@echo 'Installing the local AWS into .venv-aws …'
	@$(PYTHON) -m venv .venv-aws
	@.venv-aws/bin/pip install -qq --disable-pip-version-check -r requirements-aws.txt
	@touch $@

define check_python
$(PYTHON) -c 'import sys; v = sys.version_info; v < (3, 11) and sys.exit( \
    "error: Python 3.11 or later is needed, and $(PYTHON) is %d.%d: name one with PYTHON=" % v[:2])'
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo \
    'error: $(PYTHON) has no venv: install it (python3-venv on Debian and Ubuntu)'; exit 1; } >&2
endef
