"""Errors of the API. Each class carries the HTTP status and the code of its response, so that one
`except ApiError` at the edge serves all of them.

    ApiError
    ├── BadParameter            400
    │   ├── UnknownParameter         UnknownParameterError
    │   ├── InvalidParameter         InvalidParameterError
    │   └── InvalidNextToken         InvalidNextTokenError
    ├── TokenNotValid           401  UnauthorizedError, with WWW-Authenticate and Retry-After
    ├── NotFound                404
    │   ├── JobNotFound              JobNotFoundError
    │   ├── InvalidJobId             InvalidJobIdError
    │   ├── QueueNotFound            QueueNotFoundError
    │   ├── LogNotFound              LogNotFoundError
    │   ├── AttemptNotFound          AttemptNotFoundError
    │   └── AssetNotFound            AssetNotFoundError
    ├── LogUnavailable          409
    │   ├── JobNotStarted            JobNotStartedError
    │   ├── LogElsewhere             LogElsewhereError
    │   ├── LogGroupNotListed        LogGroupNotListedError
    │   └── LogGroupAccessDenied     LogGroupAccessDeniedError
    ├── UriTooLong              414  URITooLongError
    ├── AllSlotsTaken           429  TooManyRequestsError, with Retry-After
    ├── HeaderTooLarge          431  HeaderTooLargeError
    ├── InternalError           500  InternalServerError
    └── ServiceUnavailable      503  ServiceUnavailableError, with Retry-After

The message of an error is sent to the client. `routes` raises ServiceUnavailable in place of AWS's
errors, and InternalError in place of any other exception.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from chalicelib.errors import BatchwatchError


class ApiError(BatchwatchError):
    """The base class; never raised itself. `parameter` is the query parameter that is wrong."""

    status: ClassVar[HTTPStatus]
    code: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}
    parameter: str | None = None


class BadParameter(ApiError):
    """The base class of errors of a query parameter; never raised itself."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self, parameter: str, problem: str) -> None:
        self.parameter = parameter[:100]
        super().__init__(f"{self.parameter}: {problem}")


class UnknownParameter(BadParameter):
    """The route has no parameter of this name."""

    code = "UnknownParameterError"


class InvalidParameter(BadParameter):
    """The value is not one that the route accepts."""

    code = "InvalidParameterError"


class InvalidNextToken(BadParameter):
    """The page token was changed or belongs to another query."""

    code = "InvalidNextTokenError"


class TokenNotValid(ApiError):
    """The gateway accepted the token, but the secret does not contain it now or not yet."""

    status = HTTPStatus.UNAUTHORIZED
    code = "UnauthorizedError"
    headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer", "Retry-After": "30"}

    def __init__(self) -> None:
        super().__init__(
            "the token is not valid: it was removed, has expired, or is so new that it is not"
            " effective yet; a new token is valid within a minute"
        )


class NotFound(ApiError):
    """The base class of errors of what does not exist; never raised itself."""

    status = HTTPStatus.NOT_FOUND


class JobNotFound(NotFound):
    """The job does not exist, or the token does not cover its queue. The response is the same, so
    that a token reveals nothing about other queues."""

    code = "JobNotFoundError"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} not found")


class InvalidJobId(NotFound):
    """The path does not contain the id of a Batch job."""

    code = "InvalidJobIdError"

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"{text[:200]!r} {problem}")


class QueueNotFound(NotFound):
    """The queue does not exist, or the token does not cover it."""

    code = "QueueNotFoundError"

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue[:200]} not found")


class LogNotFound(NotFound):
    """The job, the attempt or the log group has no such log."""

    code = "LogNotFoundError"


class AttemptNotFound(NotFound):
    """The job has no attempt of this number."""

    code = "AttemptNotFoundError"


class AssetNotFound(NotFound):
    """The dashboard has no file of this name, or the version belongs to another deployment."""

    code = "AssetNotFoundError"


class LogUnavailable(ApiError):
    """The base class of errors of a log that may exist but can't be read; never raised itself."""

    status = HTTPStatus.CONFLICT


class JobNotStarted(LogUnavailable):
    """The job has no log yet."""

    code = "JobNotStartedError"


class LogElsewhere(LogUnavailable):
    """The log is not in CloudWatch."""

    code = "LogElsewhereError"


class LogGroupNotListed(LogUnavailable):
    """LOG_GROUPS does not list the log group."""

    code = "LogGroupNotListedError"


class LogGroupAccessDenied(LogUnavailable):
    """The role of the API's function is not allowed to read the log group."""

    code = "LogGroupAccessDeniedError"


class UriTooLong(ApiError):
    """The path and the parameters exceed the limit together."""

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
    """A header exceeds the limit."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    code = "HeaderTooLargeError"


class InternalError(ApiError):
    """An error in batchwatch; the exception is the `__cause__`."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    code = "InternalServerError"

    def __init__(self) -> None:
        super().__init__("internal error; the function's log contains it under this RequestId")


class ServiceUnavailable(ApiError):
    """DynamoDB, Secrets Manager or CloudWatch Logs failed; its error is the `__cause__`."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "ServiceUnavailableError"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self) -> None:
        super().__init__(
            "DynamoDB, Secrets Manager or CloudWatch Logs is unavailable; retry in a few seconds"
        )
