"""Feeds a running local stack simulated jobs, and asks its API whether it recorded them right.

    python -m local.simulate --jobs 2000 --shuffle --duplicate    # make simulate JOBS=2000 …

The simulator knows the truth about every job that it makes up (local/lifecycles.py). It puts
their events on the bus, waits until the queues behind the rule are empty, asks the API about
every job and compares. It must see no more of the product than any client does: neither its code
nor its table.

`feed` makes another use of the same lives: an endless trickle in fast motion, for `make run`.
"""

import argparse
import http.client
import json
import os
import random
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from infra.backfill import sweeps
from infra.errors import CommandError
from local.batch import batch_url_file, put_jobs
from local.job_details import SECOND
from local.lifecycles import QUEUES, SimulatedEvent, Truth, Workload, retimed, workload
from local.send import (
    PUT_AT_ONCE,
    SOURCE,
    Bus,
    LocalStackError,
    add_urls,
    entry_of,
    local_client,
    plain_errors,
    silent,
    token_file,
)

SHOWN_MISTAKES = 10
JOBS_TABLE = "batchwatch-local-jobs"
THREADS = 8
SECOND_THOUGHTS = (0.0, 1.0, 3.0)
"""Seconds before each time that a job is asked for which is not right yet."""


Tell = Callable[[str], None]
"""Takes a line about how far it is."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A job that the API does not know, or has wrong."""

    job_id: str
    missing: bool
    line: str


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        mistakes = simulate(options)
    except LocalStackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(report(options.jobs, mistakes))
    return 1 if mistakes else 0


def simulate(options: argparse.Namespace) -> list[Mistake]:
    """Sends a workload, waits until it is recorded, and returns what the API has wrong."""
    dropping = options.drop > 0
    jobs = until(_now(), options.seed, options.jobs)
    events = disordered(
        kept(jobs.told, options.seed, options.drop),
        options.seed,
        shuffle=options.shuffle,
        duplicate=options.duplicate,
    )
    api = Api(options.api_url, options.token or _read_token())
    api.job("none-yet")  # so that a silent API or a wrong token shows before anything is sent
    bus, queues = Bus(options.aws_url), Queues(options.aws_url)
    print(f"seed {options.seed}: {options.jobs} jobs, {len(events)} events", flush=True)
    with telling_how_far() as tell:
        if dropping:
            tell_batch(jobs)
        send_all(bus, events, options.rate, tell)
        queues.wait_until_empty(options.timeout, tell)
        if dropping:
            sweep_twice(options.aws_url, jobs.events[0].detail["createdAt"], tell)
        return compare(api, jobs.truth.values(), tell, dropping=dropping)


def report(jobs: int, mistakes: Sequence[Mistake]) -> str:
    """The first few mistakes, a line each, and the verdict in the last line."""
    missing = sum(mistake.missing for mistake in mistakes)
    verdict = f"{jobs} jobs, {missing} missing, {len(mistakes) - missing} wrong"
    return "\n".join([*(mistake.line for mistake in mistakes[:SHOWN_MISTAKES]), verdict])


def until(end: int, seed: int, jobs: int) -> Workload:
    """A workload whose last event is at `end`, so that none of its times lies in the future."""
    length = workload(seed, jobs, start=0).events[-1].at
    return workload(seed, jobs, start=end - length)


def disordered(
    events: Sequence[SimulatedEvent], seed: int, *, shuffle: bool, duplicate: bool
) -> list[SimulatedEvent]:
    """As badly as EventBridge may deliver: half of the events twice, all of them in any order."""
    chance = random.Random(seed)
    sent = list(events)
    if duplicate:
        sent = [event for event in sent for _ in range(chance.choice((1, 2)))]
    if shuffle:
        chance.shuffle(sent)
    return sent


def kept(events: Sequence[SimulatedEvent], seed: int, drop: float) -> list[SimulatedEvent]:
    """Without the share that is dropped on the way."""
    chance = random.Random(seed)
    return [event for event in events if chance.random() >= drop]


def tell_batch(jobs: Workload) -> None:
    """The stand-in Batch knows how each job ended, whatever becomes of the events."""
    file = batch_url_file(token_file().parent)
    ended = {event.job_id: event.detail for event in jobs.events}
    try:
        put_jobs(os.environ.get("AWS_ENDPOINT_URL_BATCH") or file.read_text(), [*ended.values()])
    except (OSError, ValueError) as error:
        raise LocalStackError(
            f"no Batch to tell the truth to: {error}; start the stack with `make run`"
        ) from error


def sweep_twice(aws_url: str, since: int, tell: Tell) -> None:
    """Anew and at once, as `make backfill` does it."""
    client = local_client("lambda", aws_url)
    with plain_errors(aws_url):
        for _ in range(2):
            try:
                for told in sweeps(client, JOBS_TABLE, since, "reconcile"):
                    tell(f"sweeping: {told['discovered']} found, {told['repaired']} repaired")
                    print(
                        f"sweep: {told['calls']} calls of Batch, {told['discovered']} jobs found,"
                        f" {told['repaired']} repaired",
                        flush=True,
                    )
            except CommandError as error:
                raise LocalStackError(str(error)) from error


def send_all(bus: Bus, events: Sequence[SimulatedEvent], rate: float, tell: Tell) -> None:
    """Puts all events on the bus, at most `rate` a second."""
    at_once = max(1, int(min(rate, PUT_AT_ONCE)))
    began = time.monotonic()
    for first in range(0, len(events), at_once):
        time.sleep(max(0.0, began + first / rate - time.monotonic()))
        bus.put([entry_of(event) for event in events[first : first + at_once]])
        tell(f"{first} of {len(events)} events sent")


def feed(
    stop: threading.Event,
    aws_url: str,
    *,
    queues: Sequence[str] = QUEUES,
    seed: int | None = None,
    speed: int = 240,
    active: int = 5,
    on_event: Callable[[SimulatedEvent], None] = lambda event: None,
) -> None:
    """Keeps some jobs alive until `stop` is set, in fast motion: an hour passes in 15 seconds.

    Whenever fewer than `active` jobs have anything to come, a few more are submitted. `on_event`
    hears of each event that was sent. While nothing answers, the feed waits and tries again.
    """
    chance = random.Random(seed)
    bus = Bus(aws_url)
    coming: list[SimulatedEvent] = []
    while not stop.wait(0.5):
        now = _now()
        if len({event.job_id for event in coming}) < active:
            lives = workload(chance.getrandbits(32), chance.randint(1, 6), 0, queues)
            coming += fast_motion(lives.told, now, speed)
            coming.sort(key=lambda event: event.at)
        due = [event for event in coming if event.at <= now]
        try:
            bus.put([entry_of(event) for event in due])
        except LocalStackError:
            continue
        del coming[: len(due)]
        for event in due:
            on_event(event)


def fast_motion(
    events: Sequence[SimulatedEvent], start: int, speed: int
) -> Iterator[SimulatedEvent]:
    """Events that began at 0 begin at `start` and pass `speed` times as fast."""
    return (retimed(event, lambda at: start + at // speed) for event in events)


# ------------------------------------------------------------------ what was recorded


def compare(
    api: "Api", truths: Iterable[Truth], tell: Tell, *, dropping: bool = False
) -> list[Mistake]:
    """Asks for every job, in parallel; for those that are not right yet, once more or twice."""
    asked = {truth.job_id: truth for truth in truths}
    mistakes: list[Mistake] = []
    for pause in SECOND_THOUGHTS:
        time.sleep(pause)
        mistakes = list(filter(None, _ask(api, list(asked.values()), tell, dropping)))
        if not mistakes:
            break
        asked = {mistake.job_id: asked[mistake.job_id] for mistake in mistakes}
    return mistakes


def _ask(
    api: "Api", truths: Sequence[Truth], tell: Tell, dropping: bool
) -> Iterable[Mistake | None]:
    pool = ThreadPoolExecutor(THREADS)
    try:
        checks = pool.map(lambda truth: check(api, truth, dropping=dropping), truths)
        for done, mistake in enumerate(checks, 1):
            tell(f"{done} of {len(truths)} jobs compared")
            yield mistake
    finally:
        pool.shutdown(cancel_futures=True)


def check(api: "Api", truth: Truth, *, dropping: bool = False) -> Mistake | None:
    """What the API has wrong about one job, if anything."""
    try:
        job = api.job(truth.job_id)
    except BadAnswer as error:
        return Mistake(truth.job_id, False, f"{truth.job_id}: {error}")
    if job is None:
        expected = f"expected {truth.status}, but the API knows no such job"
        return Mistake(truth.job_id, True, f"{truth.job_id}: {expected}")
    return mistake_in(job, truth, dropping=dropping)


def mistake_in(job: dict[str, Any], truth: Truth, *, dropping: bool = False) -> Mistake | None:
    """Compares a job as the API shows it with the truth about it.

    What only a dropped event told is gone for good: Batch knows how a job is, not how it was. So
    then the history must hold the end, and nothing that was not.
    """
    told: dict[str, tuple[Any, Any]] = {
        "status": (truth.status, job.get("status")),
        "history": (
            [f"{status} {attempt or '-'}" for status, attempt in truth.history],
            [f"{s.get('status')} {s.get('attempt') or '-'}" for s in job.get("history") or ()],
        ),
        "exit codes": (
            list(truth.exit_codes),
            [a.get("exitCode") for a in job.get("attempts") or () if a.get("stoppedAt")],
        ),
        "cause": (truth.cause, (job.get("failure") or {}).get("cause")),
    }
    expected_history, seen_history = told["history"]
    if dropping and seen_history[-1:] == expected_history[-1:]:
        known = [one for one in expected_history if one in seen_history]
        told["history"] = (known, seen_history)
    wrong = [
        f"{what} expected {expected}, seen {seen}"
        for what, (expected, seen) in told.items()
        if expected != seen
    ]
    return Mistake(truth.job_id, False, f"{truth.job_id}: {'; '.join(wrong)}") if wrong else None


# ------------------------------------------------------------------ the local stack, from outside


class BadAnswer(Exception):
    """An answer of the API that tells nothing about the job; the next one may."""


class Api:
    """batchwatch's API, as a client with a token sees it."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise LocalStackError(f"not a URL: {url}")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        # What is local is not reached through a proxy, whatever the environment says.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def job(self, job_id: str) -> dict[str, Any] | None:
        """None if the API knows no such job. Raises BadAnswer and LocalStackError."""
        url = f"{self._url}/jobs/{quote(job_id, safe='')}"
        request = urllib.request.Request(url, headers=self._headers)
        try:
            with self._open(request, timeout=30) as answer:
                job = json.load(answer)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise self._refusal(error.code) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
                raise silent(self._url) from error
            raise BadAnswer(f"no answer: {error}") from error
        except ValueError as error:
            raise BadAnswer("the answer is not JSON") from error
        if not isinstance(job, dict):
            raise BadAnswer("the answer is no job")
        return job

    def _refusal(self, code: int) -> Exception:
        if code in (401, 403):
            return LocalStackError(
                f"{self._url} refuses the token ({code}): pass the one that `make run` printed"
                " with --token"
            )
        return BadAnswer(f"the API answers with {code}")


class Queues:
    """The SQS queues that the bus leads simulated events to."""

    def __init__(self, aws_url: str) -> None:
        self._aws_url = aws_url
        self._sqs = local_client("sqs", aws_url)
        events = local_client("events", aws_url)
        with plain_errors(aws_url):
            targets = [
                target["Arn"]
                for rule in events.list_rules()["Rules"]
                if SOURCE in rule.get("EventPattern", "")
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            ]
            self._urls = [
                self._sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
                for arn in targets
                if ":sqs:" in arn
            ]
        if not self._urls:
            raise LocalStackError(
                f"no rule at {aws_url} leads {SOURCE} to a queue: start the stack with `make run`"
            )

    def wait_until_empty(self, timeout: float, tell: Tell) -> None:
        """Empty three times in a row: nothing waits, and nothing is being handled.

        Gives up after `timeout` seconds, for what was recorded by then to be compared.
        """
        deadline = time.monotonic() + timeout
        empty = 0
        while empty < 3:
            left = self._length()
            empty = 0 if left else empty + 1
            tell(f"{left} events to be recorded")
            if time.monotonic() > deadline:
                print(f"not recorded after {timeout:g} s: {left} events", file=sys.stderr)
                return
            time.sleep(0.2)

    def _length(self) -> int:
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        with plain_errors(self._aws_url):
            answers = [
                self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)
                for url in self._urls
            ]
        return sum(int(answer["Attributes"].get(name, 0)) for answer in answers for name in names)


# ------------------------------------------------------------------ the terminal


@contextmanager
def telling_how_far() -> Iterator[Tell]:
    """On stderr: a line that is written over and gone in the end, or one every few seconds."""
    on_terminal = sys.stderr.isatty()
    start, end, every = ("\r", "\033[K", 0.1) if on_terminal else ("", "\n", 5.0)
    last = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        if on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """From the command line; `make simulate JOBS=…` gives the same in the environment."""
    parser = argparse.ArgumentParser(
        prog="python -m local.simulate",
        description="Feed the running local stack simulated jobs, and check what it recorded.",
    )
    given = os.environ.get
    add = parser.add_argument
    add("--jobs", type=_count, default=given("JOBS") or "200", help="job records in all (200)")
    add("--rate", type=_number, default=given("RATE") or "inf", help="events a second (no limit)")
    add("--seed", type=int, default=given("SEED") or _any_seed(), help="of the jobs (random)")
    add("--shuffle", action="store_true", default=given("SHUFFLE") == "1", help="mix all events")
    add("--duplicate", action="store_true", default=given("DUPLICATE") == "1", help="half twice")
    add("--drop", type=_share, default=given("DROP") or "0", help="of the events, 0 to 1 (0)")
    add("--timeout", type=_number, default="300", help="seconds to wait for the recording (300)")
    add("--token", default=given("BATCHWATCH_TOKEN"), help=f"for the API (from {token_file()})")
    add_urls(parser)
    return parser.parse_args(arguments)


def _any_seed() -> int:
    return random.SystemRandom().randrange(1_000_000)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share from 0 to 1")
    return share


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not number > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _read_token() -> str:
    try:
        return token_file().read_text().strip()
    except OSError as error:
        raise LocalStackError(
            f"no token: {token_file()} cannot be read; pass --token, or start the stack with"
            " `make run`"
        ) from error


def _now() -> int:
    return int(time.time() * SECOND)


if __name__ == "__main__":
    sys.exit(main())
