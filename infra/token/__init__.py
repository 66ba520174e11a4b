"""API tokens of a stage, whose digests are in its secret.

    commands   make token, make tokens
    last_use   when tokens were last used

A token is printed once. The secret contains only its SHA-256, which is sufficient for 256
random bits and fast to compare.
"""

import hashlib
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.errors import CommandError
from infra.secret import Json, change_secret

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def new_token() -> str:
    return "bw_" + secrets.token_urlsafe(32)


def allow_token(
    secretsmanager: "SecretsManagerClient",
    secret_id: str,
    name: str,
    token: str,
    queues: list[str],
    *,
    replace: bool = False,
    expires_at: datetime | None = None,
) -> None:
    """Add a token to the secret, for the jobs of the named queues; "*" means all queues.

    Raises CommandError if another token has this name, unless `replace` is set.
    """
    entry: Json = {"sha256": hashlib.sha256(token.encode()).hexdigest(), "queues": queues}
    if expires_at:
        entry["expiresAt"] = expires_at.isoformat()

    def add(secret: Json) -> Json:
        tokens = secret["apiTokens"]
        if tokens.get(name, entry) != entry and not replace:
            raise CommandError(
                f"a token named {name} exists; add REPLACE=1 to revoke it and create a new one"
            )
        return secret | {"apiTokens": tokens | {name: entry}}

    change_secret(secretsmanager, secret_id, add)


def remove_token(secretsmanager: "SecretsManagerClient", secret_id: str, name: str) -> None:
    """Remove a token from the secret. Raise CommandError if no token has this name."""

    def remove(secret: Json) -> Json:
        tokens = secret["apiTokens"]
        if name not in tokens:
            raise CommandError(f"no token is named {name}; `make tokens` lists the names")
        kept = {other: entry for other, entry in tokens.items() if other != name}
        return secret | {"apiTokens": kept}

    change_secret(secretsmanager, secret_id, remove)


def listed_tokens(secret: Json, uses: Mapping[str, datetime], days: int | None) -> Iterator[str]:
    """Yield a line for each token: its name, its queues, when it expires and when it was last used.
    `uses` are those of the last `days` days; None if they are not known."""
    tokens = secret["apiTokens"]
    width = max(map(len, tokens), default=0)
    for name, entry in sorted(tokens.items()):
        entry = entry if isinstance(entry, dict) else {}
        queues = entry.get("queues")
        described = (
            ",".join(map(str, queues)) if isinstance(queues, list) else "rejected: no queues"
        )
        expires_at = entry.get("expiresAt")
        valid = f"until {expires_at}" if expires_at else ""
        yield "  ".join(filter(None, (f"{name:{width}}", described, valid, _use(name, uses, days))))


def _use(name: str, uses: Mapping[str, datetime], days: int | None) -> str:
    if days is None:
        return ""
    used = uses.get(name)
    return f"used {used:%Y-%m-%d %H:%M} UTC" if used else f"no use in the log of {days} days"


def expiry(text: str, now: datetime) -> datetime:
    """Return the end of validity. Raise CommandError if it is not a date or time in the future."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid_expiry(text) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= now:
        raise _invalid_expiry(text)
    return moment


def _invalid_expiry(text: str) -> CommandError:
    return CommandError(
        f"EXPIRES must be a date in the future, such as EXPIRES=2027-01-31, not {text!r}"
    )
