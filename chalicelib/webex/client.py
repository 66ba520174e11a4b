"""The Webex client: one message, one attempt, and an exact account of what became of it.

    WebexError          one attempt failed; `status` and `tracking_id` as far as Webex gave them
    ├── RateLimited     not now: Webex takes nothing for `retry_after` seconds
    ├── Unauthorized    the token is wrong: nothing is taken until a person replaces it
    ├── RoomGone        no such room, or the bot is no member of it: other rooms go on
    ├── Refused         this message will never be taken; says why
    └── Unavailable     an outage; `maybe_sent` if the message may be in the room all the same

The public SDK sleeps on a 429 without a cap and repeats no 5xx, which a function with a deadline
can't use. Here nothing sleeps, repeats or logs: who tries again, and when, is the notifier's
business. Knows HTTP and Webex's limits; knows nothing of jobs, of notices, or of where the token
comes from. https://developer.webex.com/docs/api/v1/messages/create-a-message
"""

import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import requests
import urllib3

from chalicelib.errors import BatchwatchError
from chalicelib.runtime import Runtime
from chalicelib.webex.limits import MAX_MESSAGE_BYTES

BYTES_LIMIT = MAX_MESSAGE_BYTES
"""Webex's limit for the text of a message, in bytes of UTF-8."""

RETRY_AFTER_DEFAULT = 30.0
RETRY_AFTER_LIMIT = 43_200.0
"""Seconds; SQS hides no message for longer than 12 hours."""

_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 10.0
_WAITS = 3
"""An attempt waits for the connection, the head of the answer and its body, one after another."""
_ANSWER_BYTES = 262_144
"""Webex's answer holds the message as text, markdown and HTML, and JSON can make of one byte six:
64 KB would cut off some answers to messages within the limit."""
_TOKEN = re.compile(r"[!-~]+")
_QUOTED_CHARACTERS = 300


class WebexError(BatchwatchError):
    """The root; never raised itself. Its text quotes Webex, but never the token."""

    def __init__(
        self, problem: str, status: int | None = None, tracking_id: str | None = None
    ) -> None:
        super().__init__(f"{problem} (tracking id {tracking_id})" if tracking_id else problem)
        self.status = status
        self.tracking_id = tracking_id


class RateLimited(WebexError):
    """429, or 423, which in Webex's words is "temporarily unavailable"."""

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
    """401, or a token that can't be one: then it was not even sent."""


class RoomGone(WebexError):
    """403 or 404; Webex does not tell a room that is not there from one that the bot is not in."""


class Refused(WebexError):
    """Any other 4xx."""


class Unavailable(WebexError):
    """5xx, or no answer that could be understood. `maybe_sent` is False only if Webex can't have
    taken the message: nothing of it has left this process, or the answer says so."""

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
    """`token` is asked for at each message, so that a new one counts at once. `runtime` has the
    time, for the rare Retry-After that is a date."""

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
        """Posts the message and returns its id: in the thread of the message `parent_id` if that
        is given.

        It is over within `time_left()` seconds, unless the resolver is slow, or several addresses
        of Webex are silent in turn. Raises ValueError for text over BYTES_LIMIT, before anything
        is sent, and a WebexError for whatever goes wrong then.
        """
        if (size := len(markdown.encode())) > BYTES_LIMIT:
            raise ValueError(f"a message may have {BYTES_LIMIT} bytes, not {size}")
        message = _Message(_encoded(room_id, markdown, parent_id))
        answer = self._send(message, _Token(self._token()), time_left)
        if answer.is_success and answer.message_id:
            return answer.message_id
        raise _error(answer, self._runtime.now())

    def _send(
        self, message: "_Message", token: "_Token", time_left: Callable[[], float]
    ) -> "_Answer":
        wait = min(time_left() / _WAITS, _ANSWER_SECONDS)
        if wait <= 0:
            raise Unavailable("there is no time left to ask Webex", maybe_sent=False)
        try:
            with self._session.post(
                f"{self._api_url}/messages",
                data=message,
                headers={
                    "Content-Type": "application/json; charset=utf-8",
                    "Accept-Encoding": "identity",
                },
                auth=token,
                timeout=(min(wait, _CONNECT_SECONDS), wait),
                stream=True,
            ) as response:
                body = b"".join(_chunks(response, wait, time_left))
                return _Answer.of(response, body, token)
        except requests.RequestException as error:
            cause = root_cause(error)
            raise Unavailable(
                f"no answer from Webex: {type(cause).__name__}: {cause}",
                maybe_sent=message.was_taken,
            ) from error


def root_cause(error: BaseException) -> BaseException:
    """What happened beneath the layers of urllib3 and requests, which wrap one another's errors
    sometimes as causes and sometimes as arguments."""
    wrapped = (part for part in error.args if isinstance(part, BaseException))
    inner = error.__cause__ or next(wrapped, None)
    return root_cause(inner) if inner else error


# The request


class _Session(requests.Session):
    """Never goes where an answer points to: the token is for one address."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Message(io.BytesIO):
    """The body of a request. It is read only once the way to Webex is open: until then, proxy and
    TLS included, whatever fails has sent nothing."""

    was_taken = False

    def read(self, size: int | None = -1, /) -> bytes:
        self.was_taken = True
        return super().read(size)


def _encoded(room_id: str, markdown: str, parent_id: str | None) -> bytes:
    body = {"roomId": room_id, "markdown": markdown}
    if parent_id:
        body["parentId"] = parent_id
    return json.dumps(body).encode()


class _Token:
    """The bearer token: in the header of a request, and *** wherever else it would show.

    What surrounds a secret that was pasted by hand is cut off. One that can't be a header is not
    given to requests, which would quote it.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()
        if not self._secret:
            raise Unauthorized("there is no Webex token")
        if not _TOKEN.fullmatch(self._secret):
            raise Unauthorized("the Webex token has characters that no token has")

    def __repr__(self) -> str:
        return "***"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """What requests asks for last, so that no ~/.netrc takes its place."""
        request.headers["Authorization"] = f"Bearer {self._secret}"
        return request

    def masked_in(self, text: str) -> str:
        return text.replace(self._secret, "***")


# The answer


class _Answer(NamedTuple):
    """`said` is the body, if it is the JSON object that Webex's answers are, and `text` if not."""

    status: int
    headers: Mapping[str, str]
    said: dict[str, Any]
    text: str

    @classmethod
    def of(cls, response: requests.Response, body: bytes, token: _Token) -> "_Answer":
        """Without the token, in case something on the way echoes what it got."""
        headers = {key: token.masked_in(value) for key, value in response.headers.items()}
        text = token.masked_in(body.decode("utf-8", "replace"))
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            said = None
        return cls(
            response.status_code,
            requests.structures.CaseInsensitiveDict(headers),
            said if isinstance(said, dict) else {},
            text,
        )

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def message_id(self) -> str | None:
        message_id = self.said.get("id")
        return message_id if isinstance(message_id, str) else None

    @property
    def tracking_id(self) -> str | None:
        ids = self.headers.get("TrackingID"), self.said.get("trackingId")
        return next((found[:200] for found in ids if isinstance(found, str) and found), None)

    @property
    def problem(self) -> str:
        """Webex's own words, or the beginning of what came instead. A success is not quoted, as it
        repeats the message."""
        if self.is_success:
            return f"Webex answered {self.status} without the id of the message"
        words = dict.fromkeys(_words(self.said)) or {self.text: None}
        quoted = " ".join(" ".join(words).split())[:_QUOTED_CHARACTERS]
        return f"Webex answered {self.status}: {quoted or 'nothing'}"


def _chunks(
    response: requests.Response, wait: float, time_left: Callable[[], float]
) -> Iterator[bytes]:
    """What arrives of the body in time, at most _ANSWER_BYTES. A body that breaks off is no error:
    the status has come, and it tells more than half a body."""
    room = _ANSWER_BYTES
    try:
        while room and (chunk := response.raw.read1(room, decode_content=False)):
            yield chunk
            room -= len(chunk)
            if time_left() < wait:
                return
    except (urllib3.exceptions.HTTPError, OSError):
        return


def _error(answer: _Answer, now: float) -> WebexError:
    """What an answer that brings no message id means."""
    told = answer.problem, answer.status, answer.tracking_id
    match answer.status:
        case 423 | 429:
            wait = retry_after(answer.headers.get("Retry-After"), now)
            return RateLimited(*told, retry_after=wait)
        case 401:
            return Unauthorized(*told)
        case 403 | 404:
            return RoomGone(*told)
        case 407 | 408:  # about the proxy or the connection: the message is not at fault
            return Unavailable(*told, maybe_sent=False)
        case status if 300 <= status < 400:  # points elsewhere: nobody has taken anything
            return Unavailable(*told, maybe_sent=False)
        case status if 400 <= status < 500:
            return Refused(*told)
        case _:
            return Unavailable(*told, maybe_sent=True)


def retry_after(header: str | None, now: float) -> float:
    """Seconds to wait, 0 to RETRY_AFTER_LIMIT. The header is a number of seconds or a date; what
    is neither, as the `rand(30),add(30)` that Webex was seen to send, is RETRY_AFTER_DEFAULT.
    https://github.com/WebexCommunity/WebexPythonSDK/pull/262
    """
    seconds = _seconds((header or "").strip(), now)
    return min(max(0.0, seconds), RETRY_AFTER_LIMIT)


def _seconds(header: str, now: float) -> float:
    if re.fullmatch(r"[+-]?[0-9]+(\.[0-9]*)?", header):
        return float(header)
    try:
        date = parsedate_to_datetime(header)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return RETRY_AFTER_DEFAULT


def _words(said: Mapping[str, Any]) -> Iterator[str]:
    """The sentences of Webex's error form: a message, and descriptions that often repeat it."""
    errors = said.get("errors")
    parts = [said.get("message")]
    if isinstance(errors, list):
        parts += [error.get("description") for error in errors if isinstance(error, dict)]
    return (part for part in parts if isinstance(part, str) and part.strip())
