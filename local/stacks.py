"""Deployment of the app to the local AWS as a stack, with its API token and Webex token.

The resources stack must exist (LocalAws.create_resources).
"""

import json
from collections.abc import Mapping
from pathlib import Path

from infra.stack import StackSpec, deploy_stack
from infra.token import allow_token, new_token
from local.aws import STAGE, LocalAws
from local.package import CODE, TEMPLATE

BUCKET = "batchwatch-local-packages"
TOKEN_NAME = "local"
CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
"""Acknowledgements that the app's template creates roles and has a transform (SAM)."""


def create_app(aws: LocalAws, package: Path, environment: Mapping[str, str] | None = None) -> None:
    """Create or update the app's stack from a package (local.package). `environment` overrides
    the functions' environment variables in .chalice/config.json."""
    key = f"{package.name}.zip"
    aws.s3.create_bucket(Bucket=BUCKET)
    aws.s3.upload_file(str(package / CODE), BUCKET, key)
    template = json.loads((package / TEMPLATE).read_text())
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = {"Bucket": BUCKET, "Key": key}
            resource["Properties"]["Environment"]["Variables"] |= environment or {}
    app = StackSpec(f"batchwatch-{STAGE}", json.dumps(template), capabilities=CAPABILITIES)
    deploy_stack(aws.cloudformation, app, poll_seconds=0.05)


def kept_token(aws: LocalAws, secret_id: str, file: Path) -> str:
    """Return the API token in the file, which is created at the first start, and allow it."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(new_token())
    token = file.read_text()
    allow_token(aws.secretsmanager, secret_id, TOKEN_NAME, token, ["*"], replace=True)
    return token


def put_webex_token(aws: LocalAws, secret_id: str, token: str) -> None:
    """Store the bot's token in the secret, and keep the secret's other values."""
    value = aws.secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
    secret = json.loads(value)
    if secret["webexToken"] != token:
        changed = json.dumps(secret | {"webexToken": token})
        aws.secretsmanager.put_secret_value(SecretId=secret_id, SecretString=changed)
