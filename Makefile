# All tasks of batchwatch. Requires make and Python 3.11 or later; each target installs what it needs
# into .venv and .venv-aws (local/install.py).
#
# Set variables as in `make run PORT=8001`, or in the environment. Variables that no target passes on
# below reach the programs through the environment.

PYTHON ?= python3
STATE_DIR ?= .state
AWS_PORT ?= 4566

PY := .venv/bin/python
INSTALL := @$(PYTHON) local/install.py
PYTEST := $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal
LOCAL_AWS := AWS_ENDPOINT_URL=http://127.0.0.1:$(AWS_PORT) AWS_DEFAULT_REGION=us-east-1 \
             AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local

.PHONY: help run simulate send test test-fast check check-rules explain-rules bench deploy destroy backfill \
        canary dead-letters redrive restore upgrade-records forget token tokens webex-test webex-token clean

help:  ## list the targets
	@sed -n -e 's/^## \(.*\)/\n\1/p' -e 's/^\([a-z-]*\):.*## /  make \1: /p' $(firstword $(MAKEFILE_LIST))

## On this machine

run:  ## start everything, with simulated jobs [PORT, AWS_PORT, WEBEX_PORT, STATE_DIR, SIMULATE=0]
	$(INSTALL) run
	@$(PY) -m local.run

simulate:  ## send jobs to the running stack and verify them [JOBS=2000 RATE SEED SHUFFLE=1 DUPLICATE=1 DROP=0.2]
	$(INSTALL) run
	@$(PY) -m local.simulator $(if $(JOBS),--jobs '$(JOBS)') $(if $(RATE),--rate '$(RATE)') \
	    $(if $(SEED),--seed '$(SEED)') $(if $(filter 1,$(SHUFFLE)),--shuffle) \
	    $(if $(filter 1,$(DUPLICATE)),--duplicate) \
	    $(if $(DROP),--drop '$(DROP)')

send:  ## send one event to the running stack [EVENT=event.json]
	$(INSTALL) run
	@$(PY) -m local.send $(if $(EVENT),'$(EVENT)')

clean:  ## delete the data of the local stack and the package cache [STATE_DIR]
	rm -rf '$(STATE_DIR)' .cache

## Development

test:  ## run the whole test suite [ARGS='-k queue']
	$(INSTALL) dev
	$(PYTEST) $(ARGS)

test-fast:  ## run the tests that need no server, in under a minute [ARGS]
	$(INSTALL) dev
	$(PYTEST) tests/unit $(ARGS)

check:  ## lint, types and tests [ARGS]
	$(INSTALL) dev
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	.venv/bin/cfn-lint infra/resources.json
	$(PYTEST) $(ARGS)

bench:  ## run the benchmarks, for 50 minutes, and print them beside alternatives [ONLY='recording']
	$(INSTALL) dev
	@$(PY) -m bench $(if $(ONLY),--only '$(ONLY)')

## A stage in AWS

deploy:  ## create or update a stage [STAGE=prod JOB_QUEUES='high,genomics-*' ADD_QUEUES REMOVE_QUEUES ALARM_TOPIC]
	$(INSTALL) deploy
	@$(PY) -m infra.deploy --stage '$(STAGE)' \
	    $(if $(JOB_QUEUES),--job-queues '$(JOB_QUEUES)') \
	    $(if $(ADD_QUEUES),--add-queues '$(ADD_QUEUES)') \
	    $(if $(REMOVE_QUEUES),--remove-queues '$(REMOVE_QUEUES)') \
	    $(if $(ALARM_TOPIC),--alarm-topic '$(ALARM_TOPIC)')

destroy:  ## delete a stage, except for its table and its secrets [STAGE=dev CONFIRM=dev]
	$(INSTALL) deploy
	@$(PY) -m infra.destroy --stage '$(STAGE)' $(if $(CONFIRM),--confirm '$(CONFIRM)')

restore:  ## restore a table as that of a new stage [STAGE=prod AT=2026-11-26T12:00:00Z INTO=prod2]
	$(INSTALL) deploy
	@$(PY) -m infra.table.restore --stage '$(STAGE)' --at '$(AT)' --into '$(INTO)'

upgrade-records:  ## after an upgrade, write the current index keys of all records [STAGE=prod]
	$(INSTALL) deploy
	@$(PY) -m infra.table.upgrade --stage '$(STAGE)'

forget:  ## remove a queue that is no longer recorded from the overview [STAGE=prod QUEUE=gpu]
	$(INSTALL) deploy
	@$(PY) -m infra.table.forget --stage '$(STAGE)' --queue '$(QUEUE)'

token:  ## create or remove an API token [STAGE=prod NAME=ada QUEUES='genomics-*' EXPIRES REPLACE=1 REMOVE=1]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.token \
	    --stage '$(STAGE)' --name '$(NAME)' \
	    $(if $(QUEUES),--queues '$(QUEUES)') $(if $(filter 1,$(REPLACE)),--replace) \
	    $(if $(EXPIRES),--expires '$(EXPIRES)') $(if $(filter 1,$(REMOVE)),--remove)

tokens:  ## list the API tokens with their queues and their last use [STAGE=prod]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.token --stage '$(STAGE)' --list

backfill:  ## record the jobs that Batch still has, without waiting for events [STAGE=prod SINCE=2026-11-01]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.backfill \
	    --stage '$(STAGE)' --since '$(SINCE)'

canary:  ## send the event of a made-up job, and wait until the API returns the job [STAGE=prod URL TOKEN]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.canary --stage '$(STAGE)'

dead-letters:  ## count dead letters by reason, or delete them [STAGE=prod FROM=dead-letters DISCARD='*source*']
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.dead_letters.reasons \
	    --stage '$(STAGE)' $(if $(FROM),--from '$(FROM)') $(if $(DISCARD),--discard '$(DISCARD)')

redrive:  ## process the messages of a dead-letter queue again [STAGE=prod FROM=dead-letters REASON='*source*']
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m infra.dead_letters.redrive \
	    --stage '$(STAGE)' --from '$(FROM)' $(if $(REASON),--reason '$(REASON)')

## Notices

check-rules:  ## check the notice rules [NOTICE_RULES, WEBEX_ROOM]
	$(INSTALL) deploy
	@$(PY) -m local.rules check

explain-rules:  ## show which rules match an event, and the message [EVENT=event.json]
	$(INSTALL) deploy
	@$(PY) -m local.rules explain $(if $(EVENT),'$(EVENT)')

webex-token:  ## store the bot's token in a stage's secret, if Webex accepts it [STAGE=prod WEBEX_TOKEN]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m local.bot.webex_token --stage '$(STAGE)'

webex-test:  ## send one test message to a Webex room [ROOM=… and STAGE=prod or WEBEX_TOKEN=…]
	$(INSTALL) deploy
	@$(if $(filter local,$(STAGE)),$(LOCAL_AWS)) $(PY) -m local.bot.webex_test --room '$(ROOM)' \
	    $(if $(STAGE),--stage '$(STAGE)')
