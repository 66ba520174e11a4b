"""Creation of an API token: `make token STAGE=prod NAME=nightly QUEUES=high,low`.

The token is printed once. The secret contains only its SHA-256, which is sufficient for 256
random bits and fast to compare.
"""

import argparse
import hashlib
import json
import secrets
import sys
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.errors import CommandError, run_command

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
) -> None:
    """Add a token to the secret, for the jobs of the named queues; "*" means all queues.

    Raises CommandError if another token has this name, unless `replace` is set.
    """
    try:
        value = secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
    except secretsmanager.exceptions.ResourceNotFoundException as error:
        raise CommandError(
            f"secret {secret_id} not found: is the stage deployed in this account and region?"
        ) from error
    secret = json.loads(value)
    tokens = secret["apiTokens"]
    entry = {"sha256": hashlib.sha256(token.encode()).hexdigest(), "queues": queues}
    if tokens.get(name) == entry:
        return
    if name in tokens and not replace:
        raise CommandError(
            f"a token named {name} exists; add REPLACE=1 to revoke it and create a new one"
        )
    tokens[name] = entry
    secretsmanager.put_secret_value(SecretId=secret_id, SecretString=json.dumps(secret))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make token", description="Create an API token and print it once."
    )
    parser.add_argument("--stage", required=True, help="the stage that accepts the token")
    parser.add_argument("--name", required=True, help="the owner, in the log and for REPLACE=1")
    parser.add_argument(
        "--queues",
        default="*",
        help="job queues that it can read, comma-separated; * is all",
    )
    parser.add_argument("--replace", action="store_true", help="replace the token of this name")
    options = parser.parse_args()
    queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
    if not options.name:
        raise CommandError("NAME must be the token's owner, such as NAME=nightly")
    if not queues:
        raise CommandError("QUEUES must be names of job queues, such as QUEUES=high,low, or *")
    secret_id = stages.environment_of(options.stage)["SECRET_ID"]

    token = new_token()
    allow_token(
        boto3.client("secretsmanager"),
        secret_id,
        options.name,
        token,
        queues,
        replace=options.replace,
    )
    print(token)
    print("Store the token now: it is not shown again. Valid within a minute.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run_command(main))
