"""API tokens of a stage.

    make token STAGE=prod NAME=nightly QUEUES=high,low      create one
    make token STAGE=prod NAME=nightly REMOVE=1             remove it
    make tokens STAGE=prod                                  list them

A token is printed once. The secret contains only its SHA-256, which is sufficient for 256
random bits and fast to compare.
"""

import argparse
import hashlib
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.errors import CommandError, run_command
from infra.secret import Json, change_secret, read_secret

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


def listed_tokens(secret: Json) -> Iterator[str]:
    """Yield a line for each token: its name, its queues and when it expires."""
    tokens = secret["apiTokens"]
    width = max(map(len, tokens), default=0)
    for name, entry in sorted(tokens.items()):
        entry = entry if isinstance(entry, dict) else {}
        queues = entry.get("queues")
        described = (
            ",".join(map(str, queues)) if isinstance(queues, list) else "rejected: no queues"
        )
        expires_at = entry.get("expiresAt")
        yield f"{name:{width}}  {described}" + (f"  until {expires_at}" if expires_at else "")


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


def main() -> None:
    options = _parser().parse_args()
    secret_id = stages.environment_of(options.stage)["SECRET_ID"]
    if options.list:
        secret, _ = read_secret(boto3.client("secretsmanager"), secret_id)
        print("\n".join(listed_tokens(secret)) or "no tokens")
        return
    if not options.name:
        raise CommandError("NAME must be the token's owner, such as NAME=nightly")
    if options.remove:
        remove_token(boto3.client("secretsmanager"), secret_id, options.name)
        print(f"Removed token {options.name}. It is rejected within a minute.", file=sys.stderr)
        return
    _create(options, secret_id)


def _create(options: argparse.Namespace, secret_id: str) -> None:
    """Create a token and print it. Raise CommandError."""
    queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
    if not queues:
        raise CommandError(
            "QUEUES must be names of job queues, such as QUEUES=high,low, or QUEUES='*' for all"
        )
    expires_at = expiry(options.expires, datetime.now(UTC)) if options.expires else None
    token = new_token()
    allow_token(
        boto3.client("secretsmanager"),
        secret_id,
        options.name,
        token,
        queues,
        replace=options.replace,
        expires_at=expires_at,
    )
    print(token)
    print("Store the token now: it is not shown again. Valid within a minute.", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make token", description="Manage the API tokens.")
    parser.add_argument("--stage", required=True, help="the stage that accepts the token")
    parser.add_argument("--name", default="", help="the owner, in the log and for REPLACE=1")
    parser.add_argument(
        "--queues", default="", help="job queues that it can read, comma-separated; * is all"
    )
    parser.add_argument("--expires", default="", help="a date in UTC, or a time")
    parser.add_argument("--replace", action="store_true", help="replace the token of this name")
    parser.add_argument("--remove", action="store_true", help="remove the token of this name")
    parser.add_argument("--list", action="store_true", help="list the tokens")
    return parser


if __name__ == "__main__":
    sys.exit(run_command(main))
