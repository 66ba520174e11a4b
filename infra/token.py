"""Makes an API token: `make token STAGE=prod NAME=nightly QUEUES=high,low`.

It is shown once and kept nowhere: the secret holds its SHA-256 alone, which is enough for 256
random bits and quick to compare. Knows the secret's shape, and nothing of who reads it.
"""

import argparse
import hashlib
import json
import secrets
import sys
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.errors import Refused, told_plainly

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
    """Lets the token in, to see the jobs of the named queues; "*" is all of them.

    Refused if there is another token of that name, unless it is to be replaced.
    """
    try:
        value = secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
    except secretsmanager.exceptions.ResourceNotFoundException as error:
        raise Refused(f"no secret {secret_id} here: is the stage deployed, and there?") from error
    secret = json.loads(value)
    tokens = secret["apiTokens"]
    entry = {"sha256": hashlib.sha256(token.encode()).hexdigest(), "queues": queues}
    if tokens.get(name) == entry:
        return
    if name in tokens and not replace:
        raise Refused(
            f"there is a token {name} already; with REPLACE=1 a new one takes its place, and the"
            " old one is refused"
        )
    tokens[name] = entry
    secretsmanager.put_secret_value(SecretId=secret_id, SecretString=json.dumps(secret))


def main() -> None:
    parser = argparse.ArgumentParser(prog="make token", description="Makes an API token.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--name", required=True, help="whose it is, for the log and to replace it")
    parser.add_argument("--queues", default="*", help="names, separated by commas; * is all")
    parser.add_argument("--replace", action="store_true", help="in place of one of that name")
    options = parser.parse_args()
    queues = [queue.strip() for queue in options.queues.split(",") if queue.strip()]
    if not options.name or not queues:
        raise Refused("a token needs a name, and queues that it may see; * is all of them")
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
    print("Keep it now, it is not shown again; it is let in within a minute.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(told_plainly(main))
