"""What needs no AWS: reading events, folding them into jobs, writing jobs down."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from json import loads
from statistics import median, quantiles
from typing import Any

import msgspec
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from msgspec import Struct

from bench.report import Row, microseconds, times
from bench.timing import cpu_seconds, in_turn
from bench.workload import bodies, merged, observations, reader
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_detail.shapes import JobDetail
from chalicelib.jobs.job_table import job_attributes, job_key
from chalicelib.redaction import Redaction

_WRITE_UNIT = 1_024
"""Bytes that DynamoDB writes for one unit."""


class _Unredacted(Redaction):
    """Lets everything through, so that the difference is what redaction takes."""

    def text(self, value: str) -> str:
        return value

    def command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(arguments)

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return dict(values)


class _Envelope(Struct):
    detail: JobDetail


def rows(jobs: int, rounds: int) -> Iterator[Row]:
    """Of reading and folding the events of so many simulated jobs."""
    given = bodies(jobs)
    seen = observations(given)
    warm, unredacted = reader(), reader(_Unredacted())
    measured = in_turn(
        rounds,
        {
            "json.loads": lambda: cpu_seconds(lambda: _each(loads, given)),
            "decode": lambda: cpu_seconds(lambda: _each(_decode, given)),
            "unredacted": lambda: cpu_seconds(lambda: _each(unredacted.read, given)),
            "read": lambda: cpu_seconds(lambda: _each(warm.read, given)),
            "forgetful": lambda: cpu_seconds(lambda: _each(_read_with_no_memory, given)),
            "merge": lambda: cpu_seconds(lambda: merged(seen)),
        },
    )

    def per_event(name: str) -> str:
        return microseconds(measured.seconds(name) / len(given))

    def row(what: str, name: str, to: str, called: str) -> Row:
        comparison = f"{per_event(to)} {called}"
        return Row(what, per_event(name), comparison, times(measured.ratio(name, to)))

    yield row("CPU to read one event", "read", "json.loads", "json.loads")
    yield row("… its decoding alone", "decode", "json.loads", "json.loads")
    yield row("… without redaction", "unredacted", "read", "with it")
    yield row("… remembering no redacted text", "forgetful", "read", "remembering")
    yield row("CPU to merge one event into its job", "merge", "json.loads", "json.loads")


def record_rows(jobs: int, rounds: int) -> Iterator[Row]:
    """A job to what is stored and back, as one JSON text and as DynamoDB's typed attributes."""
    known = list(merged(observations(bodies(jobs))).values())
    plain = [_plain(job) for job in known]
    measured = in_turn(
        rounds,
        {
            "json": lambda: cpu_seconds(lambda: _each(_there_and_back, known)),
            "typed": lambda: cpu_seconds(lambda: _each(_typed_there_and_back, plain)),
        },
    )
    per_job = {name: microseconds(measured.seconds(name) / jobs) for name in ("json", "typed")}
    yield Row(
        "CPU to write and read one record as JSON",
        per_job["json"],
        f"{per_job['typed']} attribute by attribute",
        times(measured.ratio("json", "typed")),
    )


def size_rows(jobs: int) -> Iterator[Row]:
    """DynamoDB's bytes of a job item at the end of its life."""
    known = merged(observations(bodies(jobs))).values()
    sizes = [_item_bytes(job) for job in known]
    figures = {
        "median": median(sizes),
        "90th percentile": quantiles(sizes, n=10)[-1],
        "largest": max(sizes),
    }
    for name, size in figures.items():
        yield Row(
            f"bytes of a job item, {name}",
            f"{size:,.0f}",
            f"{_WRITE_UNIT:,} a write unit",
            times(size / _WRITE_UNIT),
        )
    above = sum(size > _WRITE_UNIT for size in sizes)
    yield Row("job items above one write unit", f"{above}", f"{jobs:,} jobs", times(above / jobs))


def _each(work: Any, items: Sequence[Any]) -> None:
    for item in items:
        work(item)


def _decode(body: str) -> object:
    return msgspec.json.decode(body, type=_Envelope)


def _read_with_no_memory(body: str) -> object:
    return reader().read(body)


def _there_and_back(job: Job) -> Job:
    return msgspec.json.decode(msgspec.json.encode(job), type=Job)


_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def _typed_there_and_back(attributes: Mapping[str, Any]) -> dict[str, Any]:
    typed = {name: _serialize(value) for name, value in attributes.items()}
    return {name: _deserialize(value) for name, value in typed.items()}


def _plain(value: Any) -> Any:
    """With the names of all attributes, as DynamoDB takes it: neither None nor floats."""
    match value:
        case msgspec.Struct():
            named = msgspec.structs.asdict(value).items()
            return {name: _plain(each) for name, each in named if each is not None}
        case list() | tuple():
            return [_plain(each) for each in value]
        case float():
            return Decimal(str(value))
    return value


def _item_bytes(job: Job) -> int:
    """Names and texts in UTF-8, and two digits of a number a byte, and one more."""
    item = {**job_key(job.job_id), **job_attributes(job), "version": {"N": "1"}}
    texts = sum(len(value.get("S", "").encode()) for value in item.values())
    digits = sum((len(value["N"]) + 1) // 2 + 1 for value in item.values() if "N" in value)
    return sum(map(len, item)) + texts + digits
