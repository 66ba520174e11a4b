"""Benchmarks without AWS: parsing events, merging them into jobs, and encoding records."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from statistics import median, quantiles
from typing import TypeVar

import msgspec
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from msgspec import Struct

from bench.report import Row, formatted_ratio, microseconds
from bench.timing import cpu_seconds, measure_in_rounds
from bench.workload import bodies, event_reader, merged, observations
from chalicelib.aws.dynamodb import Item
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_detail.shapes import JobDetail
from chalicelib.jobs.job_table import job_attributes, job_key
from chalicelib.redaction import Redaction

_WRITE_UNIT = 1_024
"""Bytes that DynamoDB writes for one write unit."""

_T = TypeVar("_T")


class _NoRedaction(Redaction):
    """Redacts nothing: the difference is the cost of redaction."""

    def text(self, value: str) -> str:
        return value

    def command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        return tuple(arguments)

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return dict(values)


class _Envelope(Struct):
    detail: JobDetail


def event_rows(jobs: int, rounds: int) -> Iterator[Row]:
    """Measure parsing and merging the events of simulated jobs."""
    events = bodies(jobs)
    observed = observations(events)
    reader, reader_without_redaction = event_reader(), event_reader(_NoRedaction())
    measured = measure_in_rounds(
        rounds,
        {
            "json.loads": lambda: cpu_seconds(lambda: _for_each(json.loads, events)),
            "decode": lambda: cpu_seconds(lambda: _for_each(_decode, events)),
            "parse": lambda: cpu_seconds(lambda: _for_each(reader.read, events)),
            "unredacted": lambda: cpu_seconds(
                lambda: _for_each(reader_without_redaction.read, events)
            ),
            "uncached": lambda: cpu_seconds(lambda: _for_each(_read_uncached, events)),
            "merge": lambda: cpu_seconds(lambda: merged(observed)),
        },
    )

    def per_event(name: str) -> str:
        return microseconds(measured.seconds(name) / len(events))

    def row(benchmark: str, name: str, to: str, alternative: str) -> Row:
        comparison = f"{per_event(to)} {alternative}"
        return Row(
            benchmark, per_event(name), comparison, formatted_ratio(measured.ratio(name, to))
        )

    yield row("CPU time to parse an event", "parse", "json.loads", "json.loads")
    yield row("… decoding only", "decode", "json.loads", "json.loads")
    yield row("… without redaction", "unredacted", "parse", "with redaction")
    yield row("… without the cache of redacted texts", "uncached", "parse", "with the cache")
    yield row("CPU time to merge an event into its job", "merge", "json.loads", "json.loads")


def record_rows(jobs: int, rounds: int) -> Iterator[Row]:
    """Compare encoding a record as one JSON text with encoding it as DynamoDB attributes."""
    records = list(merged(observations(bodies(jobs))).values())
    attributes = [_plain(job) for job in records]
    measured = measure_in_rounds(
        rounds,
        {
            "json": lambda: cpu_seconds(lambda: _for_each(_json_round_trip, records)),
            "attributes": lambda: cpu_seconds(
                lambda: _for_each(_attributes_round_trip, attributes)
            ),
        },
    )
    per_record = {
        name: microseconds(measured.seconds(name) / jobs) for name in ("json", "attributes")
    }
    yield Row(
        "CPU time to encode and decode a record as JSON",
        per_record["json"],
        f"{per_record['attributes']} as DynamoDB attributes",
        formatted_ratio(measured.ratio("json", "attributes")),
    )


def size_rows(jobs: int) -> Iterator[Row]:
    """Measure the sizes of the items of ended jobs."""
    sizes = [_item_bytes(job) for job in merged(observations(bodies(jobs))).values()]
    statistics = {
        "median": median(sizes),
        "90th percentile": quantiles(sizes, n=10)[-1],
        "largest": max(sizes),
    }
    for name, size in statistics.items():
        yield Row(
            f"bytes of a job item, {name}",
            f"{size:,.0f}",
            f"{_WRITE_UNIT:,} per write unit",
            formatted_ratio(size / _WRITE_UNIT),
        )
    larger = sum(size > _WRITE_UNIT for size in sizes)
    yield Row(
        "job items larger than a write unit",
        f"{larger}",
        f"{jobs:,} jobs",
        formatted_ratio(larger / jobs),
    )


def _for_each(work: Callable[[_T], object], items: Sequence[_T]) -> None:
    for item in items:
        work(item)


def _decode(body: str) -> object:
    return msgspec.json.decode(body, type=_Envelope)


def _read_uncached(body: str) -> object:
    return event_reader().read(body)


def _json_round_trip(job: Job) -> Job:
    return msgspec.json.decode(msgspec.json.encode(job), type=Job)


_serialize, _deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize


def _attributes_round_trip(record: object) -> object:
    return _deserialize(_serialize(record))


def _plain(value: object) -> object:
    """Return a record as values that DynamoDB accepts, by the names of its fields: without None and
    floats."""
    match value:
        case msgspec.Struct():
            fields = msgspec.structs.asdict(value).items()
            return {name: _plain(field) for name, field in fields if field is not None}
        case list() | tuple():
            return [_plain(element) for element in value]
        case float():
            return Decimal(str(value))
    return value


def _item_bytes(job: Job) -> int:
    """Return the size of an item as DynamoDB counts it: names and strings in UTF-8, and for a
    number one byte plus one for two digits."""
    item: Item = {**job_key(job.job_id), **job_attributes(job), "version": {"N": "1"}}
    strings = sum(len(value.get("S", "").encode()) for value in item.values())
    numbers = sum((len(value["N"]) + 1) // 2 + 1 for value in item.values() if "N" in value)
    return sum(map(len, item)) + strings + numbers
