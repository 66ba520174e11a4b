"""Errors of the API. Each class carries the HTTP status and the code of its response, so that one
`except ApiError` at the edge serves all of them.

    ApiError
    ├── BadParameter         400  BadRequestError
    ├── NotFound             404  NotFoundError
    │   ├── JobNotFound
    │   ├── InvalidJobId
    │   ├── QueueNotFound
    │   ├── LogNotFound
    │   └── AssetNotFound
    ├── LogUnavailable       409  ConflictError
    ├── UriTooLong           414  URITooLongError
    ├── AllSlotsTaken        429  TooManyRequestsError, with Retry-After
    ├── HeaderTooLarge       431  HeaderTooLargeError
    └── ServiceUnavailable   503  ServiceUnavailableError

The message of an error is sent to the client. Errors of AWS become ServiceUnavailable in `routes`.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from chalicelib.errors import BatchwatchError


class ApiError(BatchwatchError):
    """The base class; never raised itself."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}


class BadParameter(ApiError):
    """A query parameter is unknown or has a value that the route does not accept."""

    status = HTTPStatus.BAD_REQUEST
    code = "BadRequestError"

    def __init__(self, parameter: str, problem: str) -> None:
        super().__init__(f"{parameter[:100]}: {problem}")


class NotFound(ApiError):
    status = HTTPStatus.NOT_FOUND
    code = "NotFoundError"


class JobNotFound(NotFound):
    """The job does not exist, or the token does not cover its queue. The response is the same, so
    that a token reveals nothing about other queues."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} not found")


class InvalidJobId(NotFound):
    """The path does not contain the id of a Batch job."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{text[:200]!r} {problem}")


class QueueNotFound(NotFound):
    """The queue does not exist, or the token does not cover it."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue[:200]} not found")


class LogNotFound(NotFound):
    """The job, the attempt or the log group has no such log."""


class AssetNotFound(NotFound):
    """The dashboard has no file of this name, or the version belongs to another deployment."""


class LogUnavailable(ApiError):
    """The log may exist, but the job has not started or batchwatch is not allowed to read it."""

    status = HTTPStatus.CONFLICT
    code = "ConflictError"


class UriTooLong(ApiError):
    status = HTTPStatus.REQUEST_URI_TOO_LONG
    code = "URITooLongError"


class AllSlotsTaken(ApiError):
    """The maximum number of requests is already waiting for a job to change."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "TooManyRequestsError"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self) -> None:
        super().__init__(
            "too many requests are waiting for a job; retry in a few seconds, or without wait"
        )


class HeaderTooLarge(ApiError):
    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    code = "HeaderTooLargeError"


class ServiceUnavailable(ApiError):
    """DynamoDB, Secrets Manager or CloudWatch Logs failed; its error is the `__cause__`."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ServiceUnavailableError"

    def __init__(self) -> None:
        super().__init__(
            "DynamoDB, Secrets Manager or CloudWatch Logs is unavailable; retry in a few seconds"
        )
