"""Access to the API: tokens, and the job queues that each token covers.

The secret contains the SHA-256 of each token, never the token itself. What a token covers is looked
up for each request, so that changing or removing a token takes effect within seconds and without a
deployment. An entry that is not valid is rejected and logged by its name; the others keep working.
"""

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct, ValidationError

from chalicelib.api.errors import TokenNotValid
from chalicelib.errors import SecretUnavailable


class Grant(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The digest of a token (hex), globs of the names of the queues that it covers, and when it
    expires. `queues` has no default, so that a misspelt field can't grant all queues."""

    sha256: Annotated[str, Meta(pattern="^[0-9A-Fa-f]{64}$")]
    queues: tuple[str, ...]
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class ApiSecret(Struct, frozen=True, rename="camel"):
    """The part of the secret that the API needs. `page_key` signs page tokens."""

    page_key: Annotated[str, Meta(min_length=1)]
    api_tokens: dict[str, Raw] = {}

    def __repr__(self) -> str:
        return "Secret(page_key=…)"


class Scope(Struct, frozen=True):
    """The job queues that a request may see, as globs of their names."""

    queues: tuple[str, ...]

    def covers(self, queue: str) -> bool:
        return any(fnmatchcase(queue, glob) for glob in self.queues)


NOTHING = Scope(())


class _Tokens(Struct, frozen=True):
    """The contents of a text of the secret."""

    text: str | bytes
    page_key: str
    grants: Mapping[str, Grant]


class Access:
    """`read` returns the secret's JSON, cached for less than a minute, and `now` the time in epoch
    seconds. `reject` receives the name of each entry that is not valid, and the problem."""

    def __init__(
        self,
        read: Callable[[], str | bytes],
        *,
        now: Callable[[], float],
        reject: Callable[[str, str], None],
    ) -> None:
        self._read = read
        self._now = now
        self._reject = reject
        self._parsed: _Tokens | None = None

    def holder(self, authorization: str | None) -> str | None:
        """Return the name of the token in an `Authorization: Bearer …` header, or None if it is not
        valid.

        Compares the token with every valid token in constant time, so that the response time
        reveals nothing about how close a guess was.
        """
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return None
        digest = sha256(token.strip().encode("utf-8", "surrogatepass")).hexdigest()
        found = None
        for name, grant in self._tokens().grants.items():
            is_same = hmac.compare_digest(grant.sha256.lower().encode(), digest.encode())
            if is_same and self._is_current(grant):
                found = name
        return found

    def scope(self, holder: str) -> Scope:
        """Return what the named token covers.

        Raises TokenNotValid if it was removed since the gateway accepted it, or is so new that the
        cached secret does not contain it.
        """
        grant = self._tokens().grants.get(holder)
        if grant is None or not self._is_current(grant):
            raise TokenNotValid
        return Scope(grant.queues)

    def page_key(self) -> bytes:
        return self._tokens().page_key.encode()

    def _is_current(self, grant: Grant) -> bool:
        return grant.expires_at is None or self._now() < grant.expires_at.timestamp()

    def _tokens(self) -> _Tokens:
        """Return the tokens. Parses the secret only when its text has changed."""
        text = self._read()
        if self._parsed is None or self._parsed.text != text:
            self._parsed = _parse(text, self._reject)
        return self._parsed


def _parse(text: str | bytes, reject: Callable[[str, str], None]) -> _Tokens:
    """Return what the secret contains, without the entries that are not valid.

    Raises SecretUnavailable if the text is not the JSON of a secret.
    """
    try:
        secret = msgspec.json.decode(_without_trailing_commas(text), type=ApiSecret)
    except msgspec.DecodeError as error:
        raise SecretUnavailable(f"the secret of the API is not valid: {error}") from error
    grants = {}
    for name, entry in secret.api_tokens.items():
        try:
            grants[name] = msgspec.json.decode(entry, type=Grant)
        except ValidationError as error:
            reject(name, str(error))
    return _Tokens(text, secret.page_key, grants)


_STRING_OR_TRAILING_COMMA: Final = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def _without_trailing_commas(text: str | bytes) -> str:
    """Return the JSON without a comma before a closing bracket, which an edit by hand may leave."""
    json = text.decode() if isinstance(text, bytes) else text
    return _STRING_OR_TRAILING_COMMA.sub(lambda found: found[1] or "", json)
