"""Puts the parts together, each once and when first needed, so that a function loads only what it
uses: what one function alone needs is imported where it is needed. The one module that knows all
the others, the settings and the clients."""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib import toml_config as toml_setting
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import Table
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import SecretUnavailable, SettingsError
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.prices import Prices
from chalicelib.notices.rules import Rules
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.settings import Settings
from chalicelib.telemetry import Tally, reporter

if TYPE_CHECKING:
    from chalicelib.api.access import Access
    from chalicelib.api.dashboard import Dashboard
    from chalicelib.api.health import Health
    from chalicelib.api.job_lists import JobLists
    from chalicelib.api.jobs import Jobs
    from chalicelib.api.queues import Queues
    from chalicelib.queues.state_table import QueueStateTable
    from chalicelib.queues.stats_table import QueueStatsTable
    from chalicelib.recording.ingest import Ingest
    from chalicelib.recording.recorder import Recorder
    from chalicelib.sweep.count.queue_counter import QueueCounter
    from chalicelib.sweep.reconcile.step import ReconcileStep
    from chalicelib.sweep.sweep import Sweep
    from chalicelib.sweep.watch.queue_watch import QueueWatch
    from chalicelib.webex.notifier import Notifier

_SECRET_SECONDS = 25
"""How long a changed secret may go unnoticed."""

settings = Settings.from_environment(os.environ)
clients = Clients()


def _toml(value: str, what: str) -> str:
    return toml_setting.text_of(value, lambda path: Path(path).read_text(encoding="utf-8"), what)


rules = Rules.parse(
    _toml(settings.notice_rules, "notice rules"),
    settings.webex_room or None,
    are_default=settings.notice_rules == Settings.default("notice_rules"),
)
prices = Prices.parse(_toml(settings.prices, "prices")) if settings.prices else Prices()


@cache
def recorder(own_account: str) -> "Recorder":
    """`own_account` is the one that the function runs in."""
    from chalicelib.recording.event import EventReader
    from chalicelib.recording.poison_messages import PoisonMessages
    from chalicelib.recording.recorder import Recorder

    account = settings.account_id or own_account
    if not account:
        raise SettingsError("ACCOUNT_ID is not set, and the function's ARN tells of no account")
    return Recorder(
        reader=EventReader(settings.event_sources, account, settings.redact_patterns),
        ingest=_ingest(),
        jobs=_job_table(),
        queue_states=_queue_state_table(),
        events_queue=_events_queue(),
        poison_messages=PoisonMessages(clients.dynamodb, settings.jobs_table),
        report=report(),
    )


@cache
def notifier() -> "Notifier":
    from chalicelib.webex.client import Webex
    from chalicelib.webex.delivery_table import DeliveryTable
    from chalicelib.webex.notifier import Notifier
    from chalicelib.webex.records import RecordReader
    from chalicelib.webex.room_delivery import RoomDelivery
    from chalicelib.webex.text import NoticeText

    table = Table(clients.dynamodb, settings.jobs_table)
    rooms = RoomDelivery(
        DeliveryTable(table, retention_days=settings.retention_days),
        RecordReader(_job_table(), _job_index(), _queue_state_table()),
        NoticeText(settings.time_zone, settings.public_url.rstrip("/")),
        Webex(settings.webex_api_url, _webex_token),
        max_age_seconds=settings.notice_max_age.total_seconds(),
    )
    return Notifier(_notices_queue(), rooms, report())


@cache
def sweeper() -> "Sweep":
    from chalicelib.sweep.sweep import Step, Sweep

    calls_of_watch = max(1, settings.sweep_calls // 6)
    steps: dict[str, Step] = {
        "reconcile": _reconcile(settings.sweep_calls - calls_of_watch),
        "watch": _queue_watch(calls_of_watch),
        "count": _counting(),
    }
    return Sweep(steps, report())


def _counting() -> "QueueCounter":
    from chalicelib.sweep.count.queue_counter import QueueCounter

    return QueueCounter(
        _job_index(),
        _queue_registry(),
        _queue_stats_table(),
        report(),
        retention_days=settings.retention_days,
    )


def _queue_watch(calls: int) -> "QueueWatch":
    from chalicelib.queues.incidents import IncidentPolicy
    from chalicelib.sweep.watch.confirmation import BatchConfirmation
    from chalicelib.sweep.watch.outbox import Outbox
    from chalicelib.sweep.watch.queue_watch import QueueWatch
    from chalicelib.sweep.watch.run_times import RunTimes
    from chalicelib.sweep.watch.snapshots import SnapshotReader

    jobs, index, states = _job_table(), _job_index(), _queue_state_table()
    registry, watched_queues = _queue_registry(), settings.watched_queues
    stuck_after = _milliseconds(settings.stuck_after)
    blocked_after = int(settings.blocked_after.total_seconds() * 1000)
    return QueueWatch(
        lambda: [*registry.names(), *watched_queues],
        SnapshotReader(jobs, index, states, RunTimes(index), stuck_after),
        BatchConfirmation(clients.batch, _ingest(), settings.redact_patterns, calls),
        IncidentPolicy(rules=rules, blocked_after=blocked_after),
        Outbox(states, _notices_queue()),
        report(),
    )


def _milliseconds(ages: Mapping[str, timedelta]) -> dict[str, int]:
    return {status: int(age.total_seconds() * 1000) for status, age in ages.items()}


def _reconcile(calls: int) -> "ReconcileStep":
    from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable
    from chalicelib.sweep.reconcile.step import ReconcileLimits, ReconcileStep

    silent_after = _milliseconds(settings.repair_after)
    return ReconcileStep(
        batch=clients.batch,
        jobs=_job_table(),
        index=_job_index(),
        registry=_queue_registry(),
        checkpoints=CheckpointTable(clients.dynamodb, settings.jobs_table),
        ingest=_ingest(),
        redaction=settings.redact_patterns,
        limits=ReconcileLimits(silent_after, settings.watched_queues, calls),
        report=report(),
    )


def _webex_token() -> str:
    from chalicelib.webex.client import Unauthorized, Unavailable

    try:
        return msgspec.json.decode(_secret()(), type=_WebexSecret).webex_token
    except msgspec.DecodeError as error:
        raise Unauthorized("the secret holds no webexToken") from error
    except SecretUnavailable as error:
        raise Unavailable("the secret can't be read", maybe_sent=False) from error


class _WebexSecret(msgspec.Struct, rename="camel"):
    webex_token: str


@cache
def access() -> "Access":
    from chalicelib.api.access import Access

    return Access(_secret())


@cache
def report() -> Callable[[Tally], None]:
    return reporter(settings.jobs_table)


@cache
def jobs() -> "Jobs":
    from chalicelib.api.job_log import JobLog
    from chalicelib.api.jobs import Jobs
    from chalicelib.api.long_poll import LongPollSlots

    log = JobLog(clients.logs, settings.log_groups, settings.redact_patterns)
    slots = LongPollSlots(clients.dynamodb, settings.jobs_table)
    return Jobs(_job_table(), _array_table(), log, slots, prices)


@cache
def job_lists() -> "JobLists":
    from chalicelib.api.job_lists import JobLists
    from chalicelib.api.parameters.page_token import PageTokens

    return JobLists(jobs(), _job_index(), _queue_registry(), PageTokens(access().page_key))


@cache
def queues() -> "Queues":
    from chalicelib.api.queues import Queues

    return Queues(_queue_registry(), _queue_stats_table(), _queue_state_table(), prices)


@cache
def dashboard() -> "Dashboard":
    from chalicelib.api.dashboard import Dashboard

    return Dashboard()


@cache
def health() -> "Health":
    from chalicelib.api.health import Health

    checks = [_job_table().answers, _events_queue().answers, _notices_queue().answers]
    return Health(checks)


@cache
def _secret() -> Callable[[], str]:
    """Reads the secret's JSON, at most every `_SECRET_SECONDS`. Raises SecretUnavailable."""
    from aws_lambda_powertools.utilities.parameters import GetParameterError, SecretsProvider

    secrets = SecretsProvider(boto3_client=clients.secretsmanager)

    def read() -> str:
        try:
            return str(secrets.get(settings.secret_id, max_age=_SECRET_SECONDS))
        except GetParameterError as error:
            raise SecretUnavailable(str(error)) from error

    return read


@cache
def _job_table() -> JobTable:
    return JobTable(clients.dynamodb, settings.jobs_table, retention_days=settings.retention_days)


@cache
def _job_index() -> JobIndex:
    return JobIndex(clients.dynamodb, settings.jobs_table, _job_table())


@cache
def _queue_registry() -> QueueRegistry:
    return QueueRegistry(clients.dynamodb, settings.jobs_table)


@cache
def _queue_state_table() -> "QueueStateTable":
    from chalicelib.queues.state_table import QueueStateTable

    return QueueStateTable(Table(clients.dynamodb, settings.jobs_table))


@cache
def _queue_stats_table() -> "QueueStatsTable":
    from chalicelib.queues.stats_table import QueueStatsTable

    return QueueStatsTable(
        clients.dynamodb, settings.jobs_table, retention_days=settings.retention_days
    )


@cache
def _array_table() -> ArrayTable:
    return ArrayTable(clients.dynamodb, settings.jobs_table, retention_days=settings.retention_days)


@cache
def _ingest() -> "Ingest":
    from chalicelib.recording.ingest import Ingest

    return Ingest(_job_table(), _array_table(), rules, _notices_queue())


@cache
def _events_queue() -> MessageQueue:
    return MessageQueue(clients.sqs, settings.events_queue, settings.dead_letter_queue)


@cache
def _notices_queue() -> MessageQueue:
    return MessageQueue(clients.sqs, settings.notices_queue, settings.notices_dead_letter_queue)
