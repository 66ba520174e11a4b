"""A secret of Secrets Manager, read again when its cached text is older than 25 seconds."""

from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.errors import SecretUnavailable
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CACHED_SECONDS = 25
"""A changed secret takes effect within this time."""
LAST_GOOD_SECONDS = 300
"""The last text is used for this time while Secrets Manager fails."""


class Secret:
    """A secret by its name or ARN. Its text is in no `repr`."""

    def __init__(
        self, client: "SecretsManagerClient", secret_id: str, runtime: Runtime = Runtime()
    ) -> None:
        self._client = client
        self._secret_id = secret_id
        self._runtime = runtime
        self._text = ""
        self._expires_at = self._read_at = float("-inf")

    def __repr__(self) -> str:
        return f"Secret({self._secret_id!r})"

    def text(self) -> str:
        """Return the SecretString, for some minutes the last one if Secrets Manager fails.

        Raises SecretUnavailable, at once if the secret does not exist or access to it is denied.
        """
        now = self._runtime.now()
        if now >= self._expires_at:
            self._text = self._read_or_last(now)
            self._expires_at = now + CACHED_SECONDS
        return self._text

    def _read_or_last(self, now: float) -> str:
        try:
            text = self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        except (ClientError, BotoCoreError) as error:
            if not _is_temporary(error) or now >= self._read_at + LAST_GOOD_SECONDS:
                raise SecretUnavailable(str(error)) from error
            telemetry.warning(LogEvent.SECRET_NOT_READ, error=str(error))
            return self._text
        except KeyError as error:
            raise SecretUnavailable(f"{self._secret_id} has no SecretString") from error
        self._read_at = now
        return text


_PERMANENT: Final = ("AccessDenied", "DecryptionFailure", "InvalidRequest", "ResourceNotFound")


def _is_temporary(error: Exception) -> bool:
    """Return whether Secrets Manager may return the secret later: it was not reached, throttled the
    request or failed."""
    if not isinstance(error, ClientError):
        return True
    return not error.response.get("Error", {}).get("Code", "").startswith(_PERMANENT)
