"""The wiring of the application, used by app.py, the tests and the benchmarks.

A Container builds each part once, on first use, from its settings, clients and runtime. Assign to
an attribute to replace a part before the parts that depend on it are used:

    container = Container(settings, clients, Runtime(now=lambda: 1_780_000_000.0))
    container.report = tallies.append

Modules that only some functions need are imported where the part is built, because imports are the
largest part of a cold start.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chalicelib import telemetry, toml_config
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import Table
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import SettingsError
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.prices import Prices
from chalicelib.notices.rules import Rules
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.telemetry import LogEvent, Tally, reporter

if TYPE_CHECKING:
    from chalicelib.api.access import Access
    from chalicelib.api.dashboard import Dashboard
    from chalicelib.api.health import Health
    from chalicelib.api.job_lists import JobLists
    from chalicelib.api.job_log import JobLog
    from chalicelib.api.jobs import Jobs
    from chalicelib.api.long_poll import LongPollSlots
    from chalicelib.api.parameters.page_token import PageTokens
    from chalicelib.api.queues import Queues
    from chalicelib.aws.secret import Secret
    from chalicelib.queues.environment_table import EnvironmentTable
    from chalicelib.queues.state_table import QueueStateTable
    from chalicelib.queues.stats_table import QueueStatsTable
    from chalicelib.recording.event import EventReader
    from chalicelib.recording.ingest import Ingest
    from chalicelib.recording.poison_messages import PoisonMessages
    from chalicelib.recording.recorder import Recorder
    from chalicelib.sweep.count.queue_counter import QueueCounter
    from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable
    from chalicelib.sweep.reconcile.step import ReconcileStep
    from chalicelib.sweep.sweep import Sweep
    from chalicelib.sweep.watch.queue_watch import QueueWatch
    from chalicelib.webex.client import Webex
    from chalicelib.webex.delivery_table import DeliveryTable
    from chalicelib.webex.notifier import Notifier
    from chalicelib.webex.room_delivery import RoomDelivery
    from chalicelib.webex.text import NoticeText


class Container:
    """The parts of one function.

    Raises SettingsError if the notice rules or the prices are wrong, so that a function with wrong
    rules does not start.
    """

    def __init__(
        self, settings: Settings, clients: Clients | None = None, runtime: Runtime = Runtime()
    ) -> None:
        self.settings = settings
        self.clients = clients or Clients()
        self.runtime = runtime
        self.account_id = settings.account_id
        """The account whose events are recorded."""
        self.rules = Rules.parse(
            _toml(settings.notice_rules, "notice rules"),
            settings.webex_room or None,
            are_default=settings.notice_rules == Settings.default("notice_rules"),
        )
        self.prices = (
            Prices.parse(_toml(settings.prices, "prices")) if settings.prices else Prices()
        )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        return cls(Settings.from_environment(environment))

    @cached_property
    def report(self) -> Callable[[Tally], None]:
        return reporter(self.settings.service_name)

    # Queues and tables

    @cached_property
    def events_queue(self) -> MessageQueue:
        settings = self.settings
        return MessageQueue(self.clients.sqs, settings.events_queue, settings.dead_letter_queue)

    @cached_property
    def notices_queue(self) -> MessageQueue:
        settings = self.settings
        return MessageQueue(
            self.clients.sqs, settings.notices_queue, settings.notices_dead_letter_queue
        )

    @cached_property
    def table(self) -> Table:
        return Table(self.clients.dynamodb, self.settings.jobs_table)

    @cached_property
    def job_table(self) -> JobTable:
        return JobTable(
            self.clients.dynamodb,
            self.settings.jobs_table,
            retention_days=self.settings.retention_days,
            runtime=self.runtime,
        )

    @cached_property
    def job_index(self) -> JobIndex:
        return JobIndex(self.clients.dynamodb, self.settings.jobs_table, self.job_table)

    @cached_property
    def queue_registry(self) -> QueueRegistry:
        return QueueRegistry(self.clients.dynamodb, self.settings.jobs_table, self.runtime)

    @cached_property
    def array_table(self) -> ArrayTable:
        return ArrayTable(
            self.clients.dynamodb,
            self.settings.jobs_table,
            retention_days=self.settings.retention_days,
        )

    @cached_property
    def queue_state_table(self) -> "QueueStateTable":
        from chalicelib.queues.state_table import QueueStateTable

        return QueueStateTable(self.table, self.runtime)

    @cached_property
    def queue_stats_table(self) -> "QueueStatsTable":
        from chalicelib.queues.stats_table import QueueStatsTable

        return QueueStatsTable(
            self.clients.dynamodb,
            self.settings.jobs_table,
            retention_days=self.settings.retention_days,
        )

    # Recording

    @cached_property
    def event_reader(self) -> "EventReader":
        from chalicelib.recording.event import EventReader

        if not self.account_id:
            raise SettingsError("ACCOUNT_ID is not set, and the function's ARN has no account id")
        settings = self.settings
        return EventReader(settings.event_sources, self.account_id, settings.redact_patterns)

    @cached_property
    def ingest(self) -> "Ingest":
        from chalicelib.recording.ingest import Ingest

        return Ingest(
            self.job_table, self.array_table, self.rules, self.notices_queue, self.runtime
        )

    @cached_property
    def poison_messages(self) -> "PoisonMessages":
        from chalicelib.recording.poison_messages import PoisonMessages

        return PoisonMessages(self.clients.dynamodb, self.settings.jobs_table, self.runtime)

    @cached_property
    def recorder(self) -> "Recorder":
        from chalicelib.recording.recorder import Recorder

        return Recorder(
            reader=self.event_reader,
            ingest=self.ingest,
            jobs=self.job_table,
            queue_states=self.queue_state_table,
            events_queue=self.events_queue,
            poison_messages=self.poison_messages,
            report=self.report,
            runtime=self.runtime,
        )

    # Notices

    @cached_property
    def delivery_table(self) -> "DeliveryTable":
        from chalicelib.webex.delivery_table import DeliveryTable

        return DeliveryTable(self.table, retention_days=self.settings.retention_days)

    @cached_property
    def webex(self) -> "Webex":
        from chalicelib.webex.client import Webex
        from chalicelib.webex.token import webex_token

        token = partial(webex_token, self.webex_secret.text)
        return Webex(self.settings.webex_api_url, token, self.runtime)

    @cached_property
    def webex_secret(self) -> "Secret":
        from chalicelib.aws.secret import Secret

        secret_id = self.settings.webex_secret_id or self.settings.secret_id
        return Secret(self.clients.secretsmanager, secret_id, self.runtime)

    @cached_property
    def notice_text(self) -> "NoticeText":
        from chalicelib.webex.text import NoticeText

        return NoticeText(self.settings.time_zone, self.settings.public_url)

    @cached_property
    def room_delivery(self) -> "RoomDelivery":
        from chalicelib.webex.records import RecordReader
        from chalicelib.webex.room_delivery import RoomDelivery

        return RoomDelivery(
            self.delivery_table,
            RecordReader(self.job_table, self.array_table, self.queue_state_table),
            self.notice_text,
            self.webex,
            max_age_seconds=self.settings.notice_max_age.total_seconds(),
            runtime=self.runtime,
        )

    @cached_property
    def notifier(self) -> "Notifier":
        from chalicelib.webex.notifier import Notifier

        return Notifier(self.notices_queue, self.room_delivery, self.report, self.runtime)

    # Sweep

    @cached_property
    def watch_calls(self) -> int:
        """Return the calls of the Batch API that the watch over queues may make: a sixth."""
        return max(1, self.settings.sweep_calls // 6)

    @cached_property
    def environment_calls(self) -> int:
        """Return the calls of the Batch API that may describe queues in a sweep: another sixth."""
        return max(1, self.settings.sweep_calls // 6)

    @cached_property
    def environment_table(self) -> "EnvironmentTable":
        from chalicelib.queues.environment_table import EnvironmentTable

        return EnvironmentTable(self.table)

    @cached_property
    def reconcile_calls(self) -> int:
        return self.settings.sweep_calls - self.watch_calls - self.environment_calls

    def is_recorded(self, queue: str) -> bool:
        """Return whether the stage records a job queue of this name."""
        return any(fnmatchcase(queue, glob) for glob in self.settings.job_queues)

    @cached_property
    def checkpoint_table(self) -> "CheckpointTable":
        from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable

        return CheckpointTable(self.clients.dynamodb, self.settings.jobs_table)

    @cached_property
    def reconcile_step(self) -> "ReconcileStep":
        from chalicelib.sweep.reconcile.step import ReconcileLimits, ReconcileStep

        settings = self.settings
        silent_after = _milliseconds(settings.repair_after)
        return ReconcileStep(
            batch=self.clients.batch,
            jobs=self.job_table,
            index=self.job_index,
            registry=self.queue_registry,
            checkpoints=self.checkpoint_table,
            ingest=self.ingest,
            redaction=settings.redact_patterns,
            limits=ReconcileLimits(silent_after, self.is_recorded, self.reconcile_calls),
            report=self.report,
            runtime=self.runtime,
        )

    @cached_property
    def queue_watch(self) -> "QueueWatch":
        from chalicelib.queues.incidents import IncidentPolicy
        from chalicelib.queues.stuck.limits import StuckLimits
        from chalicelib.sweep.watch.confirmation import BatchConfirmation
        from chalicelib.sweep.watch.environment_reader import EnvironmentReader
        from chalicelib.sweep.watch.outbox import Outbox
        from chalicelib.sweep.watch.overdue_reader import OverdueReader
        from chalicelib.sweep.watch.queue_watch import QueueWatch
        from chalicelib.sweep.watch.run_times import RunTimes
        from chalicelib.sweep.watch.snapshots import SnapshotReader
        from chalicelib.sweep.watch.waiting_reader import WaitingReader

        settings = self.settings
        blocked_after = int(settings.blocked_after.total_seconds() * 1000)
        environments = EnvironmentReader(
            self.clients.batch, settings.redact_patterns, self.environment_calls, self.runtime
        )
        return QueueWatch(
            lambda: filter(self.is_recorded, self.queue_registry.current()),
            environments,
            WaitingReader(environments, self.job_table),
            self.environment_table,
            SnapshotReader(
                self.job_table,
                self.job_index,
                self.queue_state_table,
                self.environment_table,
                OverdueReader(
                    self.job_table,
                    self.job_index,
                    RunTimes(self.job_index, self.runtime),
                    StuckLimits.of_durations(settings.stuck_after),
                ),
            ),
            BatchConfirmation(
                self.clients.batch,
                self.ingest,
                settings.redact_patterns,
                self.watch_calls,
                self.runtime,
            ),
            IncidentPolicy(rules=self.rules, blocked_after=blocked_after),
            Outbox(self.queue_state_table, self.notices_queue),
            self.report,
            self.runtime,
        )

    @cached_property
    def queue_counter(self) -> "QueueCounter":
        from chalicelib.sweep.count.queue_counter import QueueCounter

        return QueueCounter(
            self.job_index,
            self.queue_registry,
            self.queue_stats_table,
            self.report,
            retention_days=self.settings.retention_days,
            runtime=self.runtime,
        )

    @cached_property
    def sweep(self) -> "Sweep":
        from chalicelib.sweep.sweep import Step, Sweep

        steps: dict[str, Step] = {
            "reconcile": self.reconcile_step,
            "watch": self.queue_watch,
            "count": self.queue_counter,
        }
        return Sweep(steps, self.report)

    # API

    @cached_property
    def secret(self) -> "Secret":
        from chalicelib.aws.secret import Secret

        return Secret(self.clients.secretsmanager, self.settings.secret_id, self.runtime)

    @cached_property
    def access(self) -> "Access":
        from chalicelib.api.access import Access

        def reject(name: str, problem: str) -> None:
            telemetry.error(LogEvent.TOKEN_REJECTED, token=name, error=problem)

        return Access(self.secret.text, now=self.runtime.now, reject=reject)

    @cached_property
    def job_log(self) -> "JobLog":
        from chalicelib.api.job_log import JobLog

        settings = self.settings
        return JobLog(self.clients.logs, settings.log_groups, settings.redact_patterns)

    @cached_property
    def long_poll_slots(self) -> "LongPollSlots":
        from chalicelib.api.long_poll import LongPollSlots

        return LongPollSlots(self.clients.dynamodb, self.settings.jobs_table, self.runtime)

    @cached_property
    def jobs(self) -> "Jobs":
        from chalicelib.api.jobs import Jobs

        return Jobs(
            self.job_table,
            self.array_table,
            self.environment_table,
            self.job_log,
            self.long_poll_slots,
            self.prices,
            self.runtime,
        )

    @cached_property
    def job_lists(self) -> "JobLists":
        from chalicelib.api.job_lists import JobLists

        return JobLists(
            self.jobs, self.job_index, self.queue_registry, self.page_tokens, self.runtime
        )

    @cached_property
    def page_tokens(self) -> "PageTokens":
        from chalicelib.api.parameters.page_token import PageTokens

        return PageTokens(self.access.page_key)

    @cached_property
    def queues(self) -> "Queues":
        from chalicelib.api.queues import Queues

        return Queues(
            self.queue_registry,
            self.queue_stats_table,
            self.queue_state_table,
            self.environment_table,
            self.prices,
            self.page_tokens,
            self.runtime,
        )

    @cached_property
    def dashboard(self) -> "Dashboard":
        from chalicelib.api.dashboard import Dashboard

        return Dashboard()

    @cached_property
    def health(self) -> "Health":
        from chalicelib.api.health import Health

        queues = [self.events_queue.answers, self.notices_queue.answers]
        checks = [self.job_table.answers, *queues, self.secret.text]
        return Health(checks, self.runtime)


def _toml(value: str, what: str) -> str:
    return toml_config.text_of(value, lambda path: Path(path).read_text(encoding="utf-8"), what)


def _milliseconds(ages: Mapping[str, timedelta]) -> dict[str, int]:
    return {status: int(age.total_seconds() * 1000) for status, age in ages.items()}
