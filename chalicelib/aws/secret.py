"""A secret of Secrets Manager, read again when its cached text is older than 25 seconds."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import SecretUnavailable
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CACHED_SECONDS = 25
"""A changed secret takes effect within this time."""


class Secret:
    """A secret by its name or ARN. Its text is in no `repr`."""

    def __init__(
        self, client: "SecretsManagerClient", secret_id: str, runtime: Runtime = Runtime()
    ) -> None:
        self._client = client
        self._secret_id = secret_id
        self._runtime = runtime
        self._text = ""
        self._expires_at = float("-inf")

    def __repr__(self) -> str:
        return f"Secret({self._secret_id!r})"

    def text(self) -> str:
        """Return the SecretString. Raise SecretUnavailable if Secrets Manager does not return it,
        even if an expired text is cached: it may contain a token that was revoked."""
        now = self._runtime.now()
        if now >= self._expires_at:
            self._text = self._read()
            self._expires_at = now + CACHED_SECONDS
        return self._text

    def _read(self) -> str:
        try:
            return self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        except (ClientError, BotoCoreError) as error:
            raise SecretUnavailable(str(error)) from error
        except KeyError as error:
            raise SecretUnavailable(f"{self._secret_id} has no SecretString") from error
