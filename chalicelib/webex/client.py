"""A client of the Webex API that posts one message in one attempt, and classifies every failure.

    WebexError          an attempt failed; `status` and `tracking_id` if Webex sent them
    ├── RateLimited     Webex accepts nothing for `retry_after` seconds
    ├── Unauthorized    the token is invalid: nothing is accepted until it is replaced
    ├── RoomGone        there is no such room, or the bot is not a member; other rooms work
    ├── Refused         Webex will never accept this message
    └── Unavailable     an outage; `maybe_sent` if Webex may have posted the message nevertheless

The public SDK waits after a 429 without an upper bound and never retries a 5xx, which does not suit
a function with a deadline. This client never waits between attempts, retries or logs: its caller
decides that. Independent of jobs, notices and the place where the token is stored.
https://developer.webex.com/docs/api/v1/messages/create-a-message
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import requests
import urllib3

from chalicelib.errors import BatchwatchError
from chalicelib.runtime import Runtime
from chalicelib.webex.limits import MAX_MESSAGE_BYTES

_DEFAULT_RETRY_AFTER = 30.0
"""Seconds, for a Retry-After that is missing or malformed."""
_MAX_RETRY_AFTER = 43_200.0
"""Seconds: twelve hours, the longest delay of a message in SQS."""
_CONNECT_SECONDS = 3.0
_RESPONSE_SECONDS = 10.0
_PHASES = 3
"""An attempt waits for the connection, then the head of the response, then its body."""
_MAX_BODY_BYTES = 262_144
"""The response contains the message as text, markdown and HTML, and JSON can encode one byte as
six: 64 KB would truncate some responses to messages within the limit."""
_TOKEN = re.compile(r"[!-~]+")
_MAX_QUOTED_CHARACTERS = 300


class WebexError(BatchwatchError):
    """The base class; never raised itself. Its text quotes Webex, but never the token."""

    def __init__(
        self, problem: str, status: int | None = None, tracking_id: str | None = None
    ) -> None:
        super().__init__(f"{problem} (tracking id {tracking_id})" if tracking_id else problem)
        self.status = status
        self.tracking_id = tracking_id


class RateLimited(WebexError):
    """Status 429, or 423, which Webex describes as "temporarily unavailable"."""

    def __init__(
        self,
        problem: str,
        status: int | None = None,
        tracking_id: str | None = None,
        *,
        retry_after: float,
    ) -> None:
        super().__init__(problem, status, tracking_id)
        self.retry_after = retry_after


class Unauthorized(WebexError):
    """Status 401, or a malformed token, which is not sent."""


class RoomGone(WebexError):
    """Status 403 or 404, which don't distinguish a missing room from one without the bot."""


class Refused(WebexError):
    """Any other status 4xx."""


class Unavailable(WebexError):
    """Status 5xx, or no valid response. `maybe_sent` is False only if Webex can't have received the
    message: nothing of it has left this process, or the response excludes it."""

    def __init__(
        self,
        problem: str,
        status: int | None = None,
        tracking_id: str | None = None,
        *,
        maybe_sent: bool,
    ) -> None:
        super().__init__(problem, status, tracking_id)
        self.maybe_sent = maybe_sent


class Webex:
    """A client for one API address. `token` is called for each message, so that a new token takes
    effect at once. `runtime` is for a Retry-After that is a date."""

    def __init__(
        self, api_url: str, token: Callable[[], str], runtime: Runtime = Runtime()
    ) -> None:
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._runtime = runtime
        self._session = _Session()

    def __repr__(self) -> str:
        return f"Webex({self._api_url!r})"

    def post_message(
        self,
        room_id: str,
        markdown: str,
        *,
        parent_id: str | None = None,
        time_left: Callable[[], float],
    ) -> str:
        """Post a message, as a reply to the message `parent_id` if given, and return its id.

        Take at most `time_left()` seconds, unless name resolution is slow or several addresses of
        Webex don't respond. Raise ValueError for more bytes than Webex accepts, before anything is
        sent, and WebexError for every failure after that.
        """
        if (size := len(markdown.encode())) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message may have {MAX_MESSAGE_BYTES} bytes, not {size}")
        body = _Body(_encoded(room_id, markdown, parent_id))
        response = self._send(body, _Token(self._token()), time_left)
        if response.is_success and response.message_id:
            return response.message_id
        raise _error(response, self._runtime.now())

    def _send(self, body: "_Body", token: "_Token", time_left: Callable[[], float]) -> "_Response":
        timeout = min(time_left() / _PHASES, _RESPONSE_SECONDS)
        if timeout <= 0:
            raise Unavailable("no time is left to call Webex", maybe_sent=False)
        try:
            with self._session.post(
                f"{self._api_url}/messages",
                data=body,
                headers={
                    "Content-Type": "application/json; charset=utf-8",
                    "Accept-Encoding": "identity",
                },
                auth=token,
                timeout=(min(timeout, _CONNECT_SECONDS), timeout),
                stream=True,
            ) as response:
                content = b"".join(_chunks(response, timeout, time_left))
                return _Response.of(response, content, token)
        except requests.RequestException as error:
            cause = root_cause(error)
            raise Unavailable(
                f"no response from Webex: {type(cause).__name__}: {cause}",
                maybe_sent=body.was_read,
            ) from error


def root_cause(error: BaseException) -> BaseException:
    """Return the innermost error. urllib3 and requests wrap each other's errors, sometimes as the
    cause and sometimes as an argument."""
    wrapped = (part for part in error.args if isinstance(part, BaseException))
    inner = error.__cause__ or next(wrapped, None)
    return root_cause(inner) if inner else error


# The request


class _Session(requests.Session):
    """A session that follows no redirect, because the token is for one address only."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Body(io.BytesIO):
    """The body of a request. It is read only when the connection to Webex is open: a failure before
    that, of the proxy or of TLS, has sent nothing."""

    was_read = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.was_read = True
        return super().read(size)


def _encoded(room_id: str, markdown: str, parent_id: str | None) -> bytes:
    body = {"roomId": room_id, "markdown": markdown}
    if parent_id:
        body["parentId"] = parent_id
    return json.dumps(body).encode()


class _Token:
    """The bearer token: sent in a header, and masked as *** everywhere else.

    White space around it, as after pasting by hand, is removed. A malformed token is not passed to
    requests, whose error message would quote it.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()
        if not self._secret:
            raise Unauthorized("the Webex token is empty")
        if not _TOKEN.fullmatch(self._secret):
            raise Unauthorized("the Webex token contains invalid characters")

    def __repr__(self) -> str:
        return "***"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header. requests calls this last, so that ~/.netrc does not replace the token."""
        request.headers["Authorization"] = f"Bearer {self._secret}"
        return request

    def masked_in(self, text: str) -> str:
        return text.replace(self._secret, "***")


# The response


class _Response(NamedTuple):
    """A response of Webex. `content` is its JSON object, or empty if the body is anything else;
    `text` is the body."""

    status: int
    headers: Mapping[str, str]
    content: dict[str, object]
    text: str

    @classmethod
    def of(cls, response: requests.Response, body: bytes, token: _Token) -> "_Response":
        """Return the response with the token masked, in case a proxy echoes the request."""
        headers = {key: token.masked_in(value) for key, value in response.headers.items()}
        text = token.masked_in(body.decode("utf-8", "replace"))
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        return cls(
            response.status_code,
            requests.structures.CaseInsensitiveDict(headers),
            content if isinstance(content, dict) else {},
            text,
        )

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message_id(self) -> str | None:
        message_id = self.content.get("id")
        return message_id if isinstance(message_id, str) else None

    @property
    def tracking_id(self) -> str | None:
        ids = self.headers.get("TrackingID"), self.content.get("trackingId")
        return next((found[:200] for found in ids if isinstance(found, str) and found), None)

    @property
    def problem(self) -> str:
        """Webex's error messages, or else the beginning of the body. The body of a success is not
        quoted, because it contains the message."""
        if self.is_success:
            return f"Webex returned {self.status} without the id of the message"
        sentences = dict.fromkeys(_error_messages(self.content)) or {self.text: None}
        quoted = " ".join(" ".join(sentences).split())[:_MAX_QUOTED_CHARACTERS]
        return f"Webex returned {self.status}: {quoted or 'an empty body'}"


def _chunks(
    response: requests.Response, timeout: float, time_left: Callable[[], float]
) -> Iterator[bytes]:
    """Yield what arrives of the body in time, at most _MAX_BODY_BYTES. An incomplete body is not an
    error, because the status, which has arrived, determines the outcome."""
    remaining = _MAX_BODY_BYTES
    try:
        while remaining and (chunk := response.raw.read1(remaining, decode_content=False)):
            yield chunk
            remaining -= len(chunk)
            if time_left() < timeout:
                return
    except (urllib3.exceptions.HTTPError, OSError):
        return


def _error(response: _Response, now: float) -> WebexError:
    """Return the error for a response without a message id."""
    details = response.problem, response.status, response.tracking_id
    match response.status:
        case 423 | 429:
            seconds = retry_after(response.headers.get("Retry-After"), now)
            return RateLimited(*details, retry_after=seconds)
        case 401:
            return Unauthorized(*details)
        case 403 | 404:
            return RoomGone(*details)
        case 407 | 408:  # about the proxy or the connection, not about the message
            return Unavailable(*details, maybe_sent=False)
        case status if 300 <= status < 400:  # a redirect has posted nothing
            return Unavailable(*details, maybe_sent=False)
        case status if 400 <= status < 500:
            return Refused(*details)
        case _:
            return Unavailable(*details, maybe_sent=True)


def retry_after(header: str | None, now: float) -> float:
    """Return the seconds of a Retry-After header, from 0 to twelve hours.

    The header is a number of seconds or a date. Return 30 for anything else, such as the
    `rand(30),add(30)` that Webex has sent
    (https://github.com/WebexCommunity/WebexPythonSDK/pull/262).
    """
    seconds = _seconds((header or "").strip(), now)
    return min(max(0.0, seconds), _MAX_RETRY_AFTER)


def _seconds(header: str, now: float) -> float:
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", header):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return _DEFAULT_RETRY_AFTER


def _error_messages(content: Mapping[str, object]) -> Iterator[str]:
    """Yield the sentences of an error: its message, and descriptions that often repeat it."""
    errors = content.get("errors")
    sentences = [content.get("message")]
    if isinstance(errors, list):
        sentences += [error.get("description") for error in errors if isinstance(error, dict)]
    return (text for text in sentences if isinstance(text, str) and text.strip())
