"""Page tokens: where the next page begins, signed, and good for the query that they came from
only. Opaque to clients, so that the table's keys may change."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256


class BadPageToken(ValueError):
    """The token was changed, or belongs to another query."""


def page_token(place: str, query: str, key: bytes) -> str:
    signed = _signature(place, query, key) + place.encode()
    return urlsafe_b64encode(signed).decode().rstrip("=")


def place_of(token: str, query: str, key: bytes) -> str:
    """Raises BadPageToken."""
    try:
        signed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
        signature, place = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:].decode()
    except ValueError as error:
        raise BadPageToken from error
    if not hmac.compare_digest(signature, _signature(place, query, key)):
        raise BadPageToken
    return place


_SIGNATURE_BYTES = 16


def _signature(place: str, query: str, key: bytes) -> bytes:
    return hmac.digest(key, f"{query}\n{place}".encode(), sha256)[:_SIGNATURE_BYTES]
