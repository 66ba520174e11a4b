"""The commands for API tokens.

make token STAGE=prod NAME=nightly QUEUES=high,low      create one
make token STAGE=prod NAME=nightly REMOVE=1             remove it
make tokens STAGE=prod                                  list them
"""

import argparse
import sys
from datetime import UTC, datetime

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import stages
from infra.errors import CommandError, run_command
from infra.secret import Json, read_secret
from infra.token import allow_token, expiry, listed_tokens, new_token, remove_token
from infra.token.last_use import DAYS, last_uses


def main() -> None:
    options = _parser().parse_args()
    secret_id = stages.environment_of(options.stage)["SECRET_ID"]
    if options.list:
        secret, _ = read_secret(boto3.client("secretsmanager"), secret_id)
        print("\n".join(_listed(options.stage, secret)) or "no tokens")
        return
    if not options.name:
        raise CommandError("NAME must be the token's owner, such as NAME=nightly")
    if options.remove:
        remove_token(boto3.client("secretsmanager"), secret_id, options.name)
        print(f"Removed token {options.name}. It is rejected within a minute.", file=sys.stderr)
        return
    _create(options, secret_id)


def _listed(stage: str, secret: Json) -> list[str]:
    """Return a line for each token; if the log can't be read, say so and list them without use."""
    names = sorted(secret["apiTokens"])
    print(f"Reading the last uses from the log of {DAYS} days …", file=sys.stderr)
    try:
        group = f"/aws/lambda/batchwatch-{stage}"
        uses = last_uses(boto3.client("logs"), group, names, datetime.now(UTC))
    except (CommandError, ClientError, BotoCoreError) as error:
        print(f"warning: last uses are not known: {error}", file=sys.stderr)
        return list(listed_tokens(secret, {}, None))
    return list(listed_tokens(secret, uses, DAYS))


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
