"""Access to the API: tokens, and the job queues that each token covers.

The secret contains the SHA-256 of each token, never the token itself. What a token covers is looked
up for each request, so that changing or removing a token takes effect within seconds and without a
deployment.
"""

import hmac
from collections.abc import Callable
from fnmatch import fnmatchcase
from hashlib import sha256

import msgspec
from msgspec import Struct


class Grant(Struct, frozen=True):
    """The digest of a token (hex), and globs of the names of the queues that it covers."""

    sha256: str
    queues: tuple[str, ...] = ("*",)


class ApiSecret(Struct, frozen=True, rename="camel"):
    """The part of the secret that the API needs. `page_key` signs page tokens."""

    page_key: str
    api_tokens: dict[str, Grant] = {}

    def __repr__(self) -> str:
        return "Secret(page_key=…)"


class Scope(Struct, frozen=True):
    """The job queues that a request may see, as globs of their names."""

    queues: tuple[str, ...]

    def covers(self, queue: str) -> bool:
        return any(fnmatchcase(queue, glob) for glob in self.queues)


NOTHING = Scope(())


class Access:
    """`read` returns the secret's JSON, cached for less than a minute."""

    def __init__(self, read: Callable[[], str | bytes]) -> None:
        self._read = read

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
        for name, grant in self._secret().api_tokens.items():
            if hmac.compare_digest(grant.sha256.lower().encode(), digest.encode()):
                found = name
        return found

    def scope(self, holder: str) -> Scope:
        """Return what the named token covers: nothing if it was removed since the gateway accepted
        it."""
        grant = self._secret().api_tokens.get(holder)
        return Scope(grant.queues) if grant else NOTHING

    def page_key(self) -> bytes:
        return self._secret().page_key.encode()

    def _secret(self) -> ApiSecret:
        return msgspec.json.decode(self._read(), type=ApiSecret)
