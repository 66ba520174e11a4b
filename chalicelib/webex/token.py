"""The bot's token, from the secret."""

from collections.abc import Callable

import msgspec

from chalicelib.errors import SecretUnavailable
from chalicelib.webex.client import Unauthorized, Unavailable


class _WebexSecret(msgspec.Struct, rename="camel"):
    """The part of the secret that Webex needs."""

    webex_token: str

    def __repr__(self) -> str:
        return "_WebexSecret(webex_token=…)"


def webex_token(read_secret: Callable[[], str]) -> str:
    """Return the token from the secret's JSON. Raise a WebexError, because a missing token delays
    notices as an outage of Webex does."""
    try:
        return msgspec.json.decode(read_secret(), type=_WebexSecret).webex_token
    except msgspec.DecodeError as error:
        raise Unauthorized("the secret contains no webexToken") from error
    except SecretUnavailable as error:
        raise Unavailable("the secret can't be read", maybe_sent=False) from error
