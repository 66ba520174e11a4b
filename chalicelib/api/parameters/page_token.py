"""Page tokens: where the next page begins, signed, and valid only for the query that returned them.
Opaque to clients, so that the table's keys may change."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from chalicelib.api.errors import InvalidNextToken

_SIGNATURE_BYTES = 16


@dataclass(frozen=True)
class PageTokens:
    """`read_key` returns the key that signs the tokens. A position is where a page ended, in the
    words of the table; `query` identifies the query."""

    read_key: Callable[[], bytes]

    def issue(self, position: str, query: str) -> str:
        signed = self._signature(position, query) + position.encode()
        return urlsafe_b64encode(signed).decode().rstrip("=")

    def position(self, token: str, query: str) -> str:
        """Return the position in a token.

        Raises InvalidNextToken if the token was changed or belongs to another query.
        """
        try:
            signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
            signature, position = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:].decode()
        except ValueError as error:
            raise _not_issued(token) from error
        if not hmac.compare_digest(signature, self._signature(position, query)):
            raise _not_issued(token)
        return position

    def _signature(self, position: str, query: str) -> bytes:
        message = f"{query}\n{position}".encode()
        return hmac.digest(self.read_key(), message, sha256)[:_SIGNATURE_BYTES]


def _not_issued(token: str) -> InvalidNextToken:
    return InvalidNextToken("nextToken", f"{token[:50]!r} is not a nextToken of this query")
