"""Puts the app into the local AWS as a stack, and lets one token in: what a deployment does in AWS.

The resources stack comes first (LocalAws.create_resources). Knows what Chalice packs, nothing of
what it does.
"""

import json
from pathlib import Path

from infra.stack import deploy_stack
from infra.token import allow_token, new_token
from local.aws import STAGE, LocalAws
from local.package import CODE, TEMPLATE

BUCKET = "batchwatch-local-packages"
TOKEN_NAME = "local"


def create_app(aws: LocalAws, package: Path) -> None:
    """Creates the app's stack from a package (local.package), or brings it up to date."""
    s3 = aws.client("s3")
    key = f"{package.name}.zip"
    s3.create_bucket(Bucket=BUCKET)
    s3.upload_file(str(package / CODE), BUCKET, key)
    template = json.loads((package / TEMPLATE).read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": BUCKET, "Key": key}
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
