"""Who may see what: API tokens, each for some job queues.

The secret holds a token's SHA-256, never the token. What a token may see is looked up at each
request, so that a changed or removed token counts within seconds, without a deployment.
"""

import hmac
from collections.abc import Callable
from fnmatch import fnmatchcase
from hashlib import sha256

import msgspec
from msgspec import Struct


class Grant(Struct, frozen=True):
    """A token's digest (hex) and the globs of the queue names that it may see."""

    sha256: str
    queues: tuple[str, ...] = ("*",)


class Secret(Struct, frozen=True, rename="camel"):
    """The part of the secret that the API needs. `page_key` signs page tokens."""

    page_key: str
    api_tokens: dict[str, Grant] = {}


class Scope(Struct, frozen=True):
    """The job queues that one request may see, as globs of their names."""

    queues: tuple[str, ...]

    def covers(self, queue: str) -> bool:
        return any(fnmatchcase(queue, glob) for glob in self.queues)


NOTHING = Scope(())


class Access:
    """`read` gives the secret's JSON, cached for less than a minute."""

    def __init__(self, read: Callable[[], str | bytes]) -> None:
        self._read = read

    def holder(self, authorization: str | None) -> str | None:
        """The name of the token in an `Authorization: Bearer …` header; None if it is not ours.

        Compares with every token there is, in constant time each, so that the time of the answer
        tells nothing of how near a guess came.
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
        """What the named token may see; nothing, if it was removed meanwhile."""
        grant = self._secret().api_tokens.get(holder)
        return Scope(grant.queues) if grant else NOTHING

    def page_key(self) -> bytes:
        return self._secret().page_key.encode()

    def _secret(self) -> Secret:
        return msgspec.json.decode(self._read(), type=Secret)
