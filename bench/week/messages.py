"""The messages of a healthy week with the default settings and the default notice rules.

The recorder, the watch of every sweep and the notifier run in simulated time, as in the tests of
the notifier, on the local AWS and the stand-ins for Batch and Webex. Events arrive within a minute.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from bench.report import Row, formatted_ratio
from bench.week.jobs import DAY, HOUR, MINUTE, SLOTS, Change, HealthyWeek
from local.aws import LocalAws
from local.batch import BatchServer, an_environment
from local.workload import DETAIL_TYPE
from tests.support.builders import NOON, an_envelope
from tests.support.simulation.simulated_notices import DEFAULT_RULES, SimulatedNotices

_SEED = 1
_VCPUS = 4
_DEMANDING = ("RUNNABLE", "STARTING", "RUNNING")
_SWEEP_INTERVAL = 5 * MINUTE


def rows(aws: LocalAws, days: float) -> Iterator[Row]:
    """Compare the messages with the jobs that failed, and print each for review on stderr."""
    aws.reset()
    simulation = SimulatedNotices(aws, aws.create_resources(), DEFAULT_RULES)
    week = HealthyWeek(_SEED)
    end = NOON + round(days * DAY)
    changes = list(takewhile(lambda change: change.at < end, week.changes()))
    with simulation.webex, BatchServer(clock=lambda: simulation.now) as batch:
        _run(simulation, batch, changes, end)
        texts = [message.text for message in simulation.webex.messages()]
    for at, text in sorted(zip(simulation.sent_at(), texts, strict=True)):
        print(f"  {at / 3_600:6.1f} h  {text.partition(chr(10))[0]}", file=sys.stderr)
    failed = sum(change.detail["status"] == "FAILED" for change in changes)
    jobs = len({change.detail["jobId"] for change in changes})
    yield Row(
        f"messages of {days:g} healthy days",
        f"{len(texts)}, {sum('❌' not in text for text in texts)} not about failures",
        f"{failed} of {jobs:,} jobs failed",
        formatted_ratio(len(texts) / failed),
    )


def _run(
    simulation: SimulatedNotices, batch: BatchServer, changes: Sequence[Change], end: int
) -> None:
    """Report the changes to batchwatch, and sweep as often as by default."""
    arriving = iter(changes)
    change = next(arriving, None)
    statuses: dict[str, tuple[str, str]] = {}
    simulation.use_batch(batch.url)
    for now in range(NOON + MINUTE, end + 1, MINUTE):
        arrived = []
        while change and change.at <= now:
            arrived.append(change)
            change = next(arriving, None)
        statuses |= {each.detail["jobId"]: (each.queue, each.detail["status"]) for each in arrived}
        batch.put(each.detail for each in arrived)
        simulation.record(
            [json.dumps(an_envelope(DETAIL_TYPE, each.detail, at=each.at)) for each in arrived]
        )
        simulation.run(MINUTE / 1_000)
        if (now - NOON) % _SWEEP_INTERVAL == 0:
            _put_environments(batch, statuses.values())
            simulation.watch_queues()
    simulation.run(HOUR / 1_000)


def _put_environments(batch: BatchServer, jobs: Iterable[tuple[str, str]]) -> None:
    """Describe each queue with the vCPUs that its waiting and running jobs request, up to the
    limit, as AWS Batch scales an environment. `jobs` are queue and status."""
    demand = Counter(queue for queue, status in jobs if status in _DEMANDING)
    for queue, slots in SLOTS.items():
        environment = an_environment(
            f"{queue}-ec2", desired=_VCPUS * min(slots, demand[queue]), most=_VCPUS * slots
        )
        batch.put_queue(queue, environment)
