"""`make simulate`: send a workload to the running local stack, and compare what it recorded."""

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from infra.backfill import RECONCILE, sweeps
from infra.errors import CommandError
from local.batch import batch_url_file, put_jobs
from local.simulator.api_client import ApiClient
from local.simulator.bus import MAX_ENTRIES, Bus, entry_of
from local.simulator.comparison import Mismatch, compare
from local.simulator.delivery import disorder, drop, workload_until
from local.simulator.event_queues import EventQueues
from local.simulator.local_stack import (
    LocalStackError,
    add_url_options,
    aws_errors,
    lambda_client,
    token_file,
)
from local.simulator.progress import Report, progress_line
from local.workload import SECOND, SimulatedEvent, Workload

MAX_REPORTED = 10
JOBS_TABLE = "batchwatch-local-jobs"
_SWEEPS = 2
"""The second one finds the children of parents that the first one has discovered."""


@dataclass(frozen=True)
class Options:
    """The options of the command; `rate` is in events per second, `timeout` in seconds."""

    jobs: int
    rate: float
    seed: int
    shuffle: bool
    duplicate: bool
    drop: float
    timeout: float
    token: str | None
    aws_url: str
    api_url: str


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse_options(arguments)
    try:
        mismatches = simulate(options)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(summary(options.jobs, mismatches))
    return 1 if mismatches else 0


def simulate(options: Options) -> list[Mismatch]:
    """Send a workload, wait until it is recorded, and return the mismatches in the API."""
    work = workload_until(int(time.time() * SECOND), options.seed, options.jobs)
    events = disorder(
        drop(work.all_events, options.seed, options.drop),
        options.seed,
        shuffle=options.shuffle,
        duplicate=options.duplicate,
    )
    api = ApiClient(options.api_url, options.token or _read_token())
    api.job("none-yet")  # fails for a missing API or a wrong token before anything is sent
    bus, queues = Bus(options.aws_url), EventQueues(options.aws_url)
    print(f"seed {options.seed}: {options.jobs} jobs, {len(events)} events", flush=True)
    with progress_line() as report:
        if options.drop:
            put_final_states(work)
        send(bus, events, options.rate, report)
        queues.wait_until_empty(options.timeout, report)
        if options.drop:
            reconcile(options.aws_url, work.events[0].detail["createdAt"], report)
        return compare(api, work.expected.values(), report, events_dropped=options.drop > 0)


def summary(jobs: int, mismatches: Sequence[Mismatch]) -> str:
    """Return the first mismatches, one per line, and a last line with the totals."""
    missing = sum(mismatch.is_missing for mismatch in mismatches)
    totals = f"{jobs} jobs, {missing} missing, {len(mismatches) - missing} wrong"
    return "\n".join([*(mismatch.line for mismatch in mismatches[:MAX_REPORTED]), totals])


def send(bus: Bus, events: Sequence[SimulatedEvent], rate: float, report: Report) -> None:
    """Send all events, at most `rate` per second."""
    batch_size = max(1, int(min(rate, MAX_ENTRIES)))
    began = time.monotonic()
    for first in range(0, len(events), batch_size):
        time.sleep(max(0.0, began + first / rate - time.monotonic()))
        bus.put([entry_of(event) for event in events[first : first + batch_size]])
        report(f"{first} of {len(events)} events sent")


def put_final_states(work: Workload) -> None:
    """Store the final state of each job in the stand-in Batch, from which dropped events are
    repaired."""
    file = batch_url_file(token_file().parent)
    final_states = {event.job_id: event.detail for event in work.events}
    try:
        url = os.environ.get("AWS_ENDPOINT_URL_BATCH") or file.read_text()
        put_jobs(url, list(final_states.values()))
    except (OSError, ValueError) as error:
        raise LocalStackError(
            f"the stand-in Batch does not respond: {error}; start the local stack with `make run`"
        ) from error


def reconcile(aws_url: str, since: int, report: Report) -> None:
    """Run the reconciliation with Batch, as `make backfill` does."""
    client = lambda_client(aws_url)
    with aws_errors(aws_url):
        for _ in range(_SWEEPS):
            for tally in sweeps(client, JOBS_TABLE, since, RECONCILE):
                result = f"{tally['discovered']} jobs discovered, {tally['repaired']} repaired"
                report(f"sweep: {result}")
                print(f"sweep: {result}, {tally['calls']} Batch API calls", flush=True)


def _parse_options(arguments: Sequence[str] | None) -> Options:
    """Parse the command line. Defaults come from the variables that `make simulate` takes."""
    variable = os.environ.get
    parser = argparse.ArgumentParser(
        prog="python -m local.simulator",
        description="Send simulated jobs to the running local stack and verify the records.",
    )
    add = parser.add_argument
    add("--jobs", type=_count, default=variable("JOBS") or "200", help="job records (200)")
    add("--rate", type=_rate, default=variable("RATE") or "inf", help="events per second (inf)")
    add("--seed", type=_seed, default=variable("SEED") or _random_seed(), help="(random)")
    _add_flag(parser, "shuffle", "send the events in random order")
    _add_flag(parser, "duplicate", "send half of the events twice")
    add("--drop", type=_share, default=variable("DROP") or "0", help="share of lost events (0)")
    add("--timeout", type=_timeout, default="300", help="seconds until all is recorded (300)")
    add("--token", default=variable("BATCHWATCH_TOKEN"), help=f"API token (in {token_file()})")
    add_url_options(parser)
    return Options(**vars(parser.parse_args(arguments)))


def _add_flag(parser: argparse.ArgumentParser, name: str, help: str) -> None:
    default = os.environ.get(name.upper()) == "1"
    parser.add_argument(f"--{name}", action="store_true", default=default, help=help)


def _random_seed() -> str:
    return str(random.SystemRandom().randrange(1_000_000))


def _seed(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise _invalid("SEED", "a whole number such as 17", text) from error


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise _invalid("JOBS", "a whole number above 0, such as 2000", text)
    return int(text)


def _share(text: str) -> float:
    share = _number(text)
    if share is None or not 0 <= share <= 1:
        raise _invalid("DROP", "a share from 0 to 1, such as 0.2", text)
    return share


def _rate(text: str) -> float:
    rate = _number(text)
    if rate is None or not rate > 0:
        raise _invalid("RATE", "a number of events per second above 0, such as 50", text)
    return rate


def _timeout(text: str) -> float:
    seconds = _number(text)
    if seconds is None or not seconds > 0:
        raise _invalid("--timeout", "a number of seconds above 0, such as 300", text)
    return seconds


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _invalid(variable: str, rule: str, text: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{variable} must be {rule}, not {text!r}")


def _read_token() -> str:
    try:
        return token_file().read_text().strip()
    except OSError as error:
        raise LocalStackError(
            f"API token not found in {token_file()}: start the local stack with `make run`, or use"
            " --token"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
