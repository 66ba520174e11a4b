"""Puts the app into the local AWS as a stack, and lets one token in: what a deployment does in AWS.

The resources stack comes first (LocalAws.create_resources). Knows what Chalice packs, nothing of
what it does.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.stack import deploy_stack
from infra.token import allow_token, new_token
from local.aws import STAGE, LocalAws
from local.package import CODE, TEMPLATE

BUCKET = "batchwatch-local-packages"
TOKEN_NAME = "local"


def create_app(aws: LocalAws, package: Path, environment: Mapping[str, str] | None = None) -> None:
    """Creates the app's stack from a package (local.package), or brings it up to date. The
    functions get `environment` over what .chalice/config.json gives them."""
    s3 = aws.client("s3")
    key = f"{package.name}.zip"
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(package / CODE), BUCKET, key)
    template = json.loads((package / TEMPLATE).read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": BUCKET, "Key": key}
            resource["Properties"]["Environment"]["Variables"] |= environment or {}
    deploy_stack(
        aws.client("cloudformation"),
        f"batchwatch-{STAGE}",
        json.dumps(template),
        capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        poll_seconds=0.05,
    )


def kept_token(aws: LocalAws, secret_id: str, file: Path) -> str:
    """The API token that the file holds, made at the first start; the secret knows its hash."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(new_token())
    token = file.read_text()
    allow_token(aws.secretsmanager, secret_id, TOKEN_NAME, token, ["*"], replace=True)
    return token


def put_webex_token(aws: LocalAws, secret_id: str, token: str) -> None:
    """Puts the bot's token into the secret, beside what is there."""
    value = aws.secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
    secret = json.loads(value)
    if secret["webexToken"] != token:
        changed = json.dumps(secret | {"webexToken": token})
        aws.secretsmanager.put_secret_value(SecretId=secret_id, SecretString=changed)
