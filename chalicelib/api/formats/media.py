"""The media types that each body is available in, and which of them a client prefers."""

from collections.abc import Callable
from typing import Any

import msgspec

from chalicelib.api.formats import job_csv, job_text, queue_csv, queue_text
from chalicelib.api.representation.job import JobBody, JobPage
from chalicelib.api.representation.log import LogBody
from chalicelib.api.representation.queue import QueueBody, QueueList

JSON, TEXT, CSV = "application/json", "text/plain", "text/csv"

_FORMATS: dict[type | None, dict[str, Callable[[Any], str]]] = {
    JobPage: {TEXT: job_text.format_page, CSV: job_csv.format_page},
    JobBody: {TEXT: job_text.format_job},
    LogBody: {TEXT: job_text.format_log},
    QueueList: {TEXT: queue_text.format_queues, CSV: queue_csv.format_queues},
    QueueBody: {TEXT: queue_text.format_queue},
}


def offered(body: type | None) -> tuple[str, ...]:
    """Return the media types of this type of body, the default first."""
    return (JSON, *_FORMATS.get(body, ()))


def negotiate(accept: str, body: object) -> str:
    """Return the media type that an Accept header prefers among those offered, or JSON."""
    media_types = offered(type(body))
    for media_range in _by_preference(accept):
        for media_type in media_types:
            if media_range in (media_type, "*/*", f"{media_type.partition('/')[0]}/*"):
                return media_type
    return JSON


def encode(body: object, media_type: str) -> str:
    if media_type == JSON:
        return msgspec.json.encode(body).decode() + "\n"
    return _FORMATS[type(body)][media_type](body)


def _by_preference(accept: str) -> list[str]:
    def quality(media_range: str) -> float:
        _, _, weight = media_range.replace(" ", "").partition(";q=")
        try:
            return float(weight.partition(";")[0] or 1)
        except ValueError:
            return 0

    ranges = [item for item in accept.lower().split(",") if quality(item) > 0]
    return [item.partition(";")[0].strip() for item in sorted(ranges, key=quality, reverse=True)]
