"""Puts the parts together, each once and when first needed, so that a function loads only what it
uses. The one module that knows all the others, the settings and the clients."""

import os
import time
from functools import cache

from aws_lambda_powertools.utilities.parameters import SecretsProvider

from chalicelib import clients
from chalicelib.api.access import Access
from chalicelib.api.health import Health
from chalicelib.api.jobs import Jobs
from chalicelib.errors import SettingsError
from chalicelib.event import EventReader
from chalicelib.events_queue import EventsQueue
from chalicelib.job_table import JobTable
from chalicelib.recorder import Recorder
from chalicelib.settings import Settings
from chalicelib.suspects import Suspects
from chalicelib.telemetry import batch_reporter

settings = Settings.from_environment(os.environ)

_SECRET_SECONDS = 25
"""How long a changed secret may go unnoticed."""


@cache
def recorder(own_account: str) -> Recorder:
    """`own_account` is the one that the function runs in."""
    account = settings.account_id or own_account
    if not account:
        raise SettingsError("ACCOUNT_ID is not set, and the function's ARN tells of no account")
    return Recorder(
        EventReader(
            settings.event_sources,
            account,
            settings.redact_patterns,
        ),
        _job_table(),
        _events_queue(),
        Suspects(clients.dynamodb(), settings.jobs_table),
        batch_reporter(settings.jobs_table),
    )


@cache
def access() -> Access:
    secrets = SecretsProvider(boto3_client=clients.secrets_manager())
    return Access(lambda: str(secrets.get(settings.secret_id, max_age=_SECRET_SECONDS)))


@cache
def jobs() -> Jobs:
    return Jobs(_job_table(), access().page_key)


@cache
def health() -> Health:
    return Health([_job_table().answers, _events_queue().answers], time.monotonic)


@cache
def _job_table() -> JobTable:
    return JobTable(clients.dynamodb(), settings.jobs_table, retention_days=settings.retention_days)


@cache
def _events_queue() -> EventsQueue:
    return EventsQueue(clients.sqs(), settings.events_queue, settings.dead_letter_queue)
