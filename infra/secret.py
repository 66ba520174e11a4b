"""Changes of a secret that lose nothing when several are made at the same time.

read AWSCURRENT ─► change it ─► put a version that is not current ─► make it current, on the
  ▲                                                                  condition that the version
  └───────────────── try again if the condition does not hold ◄───── that was read still is
"""

import json
import random
import secrets
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from infra.errors import CommandError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

Json = dict[str, Any]

_TRIES = 20
_WEBEX_TOKEN = "webexToken"
_MAX_PAUSE_SECONDS = 0.5


def read_secret(client: "SecretsManagerClient", secret_id: str) -> tuple[Json, str]:
    """Return the secret and the id of its version. Raise CommandError if there is none, or if it is
    not JSON."""
    try:
        answer = client.get_secret_value(SecretId=secret_id)
        return json.loads(answer["SecretString"]), answer["VersionId"]
    except client.exceptions.ResourceNotFoundException as error:
        raise CommandError(
            f"secret {secret_id} not found: is the stage deployed in this account and region?"
        ) from error
    except json.JSONDecodeError as error:
        raise CommandError(
            f"secret {secret_id} is not valid JSON: {error.msg} in line {error.lineno}, column"
            f" {error.colno}"
        ) from error


def change_secret(
    client: "SecretsManagerClient", secret_id: str, change: Callable[[Json], Json]
) -> None:
    """Store what `change` returns for the secret. Calls it again if the secret has changed since.

    Raises CommandError.
    """
    for _ in range(_TRIES):
        secret, version = read_secret(client, secret_id)
        changed = change(secret)
        if changed == secret or _replace(client, secret_id, version, json.dumps(changed)):
            return
        time.sleep(random.uniform(0, _MAX_PAUSE_SECONDS))
    raise CommandError(f"secret {secret_id} is being changed by others: try again")


def copy_webex_token(
    client: "SecretsManagerClient", api_secret_id: str, webex_secret_id: str
) -> bool:
    """Copy the Webex token that an earlier version stored in the API's secret, and return whether
    there was one. Raise CommandError."""
    token = read_secret(client, api_secret_id)[0].get(_WEBEX_TOKEN)
    if not token or api_secret_id == webex_secret_id:
        return False
    change_secret(client, webex_secret_id, lambda secret: secret | {_WEBEX_TOKEN: token})
    return True


def remove_webex_token(client: "SecretsManagerClient", api_secret_id: str) -> None:
    """Remove the copied token from the API's secret. Raise CommandError."""
    change_secret(client, api_secret_id, _without_webex_token)


def _without_webex_token(secret: Json) -> Json:
    return {name: value for name, value in secret.items() if name != _WEBEX_TOKEN}


def _replace(
    client: "SecretsManagerClient", secret_id: str, expected_version: str, text: str
) -> bool:
    """Make the text current, and return whether the expected version was current until then."""
    label = f"batchwatch-{secrets.token_hex(8)}"
    put = client.put_secret_value(SecretId=secret_id, SecretString=text, VersionStages=[label])
    version = put["VersionId"]
    try:
        client.update_secret_version_stage(
            SecretId=secret_id,
            VersionStage="AWSCURRENT",
            MoveToVersionId=version,
            RemoveFromVersionId=expected_version,
        )
    except (
        client.exceptions.InvalidParameterException,
        client.exceptions.InvalidRequestException,
    ):
        return False
    finally:
        client.update_secret_version_stage(
            SecretId=secret_id, VersionStage=label, RemoveFromVersionId=version
        )
    return True
