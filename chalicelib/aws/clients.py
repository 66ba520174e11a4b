"""Builds the AWS clients, each once: building a client is a large part of a cold start.

Functions that answer a person build theirs at import, when Lambda gives every function the CPU of a
large one. Other functions build theirs on first use.

Region, credentials and AWS_ENDPOINT_URL come from the environment, as the AWS SDK reads it.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    parameter_validation=False,
)
"""Three attempts of five seconds: a longer failure is an outage, and SQS redelivers the messages.
AWS validates the parameters: botocore's validation takes an eighth of the CPU of recording an
event."""

_BATCH_CONFIG = Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1})
"""One attempt: `BatchApi` counts every call and waits between attempts."""

_BUILT_AT_IMPORT: Final[Mapping[str, Sequence[str]]] = {
    "app.app": ("dynamodb", "secretsmanager"),
    "app.authorize": ("secretsmanager",),
}
"""Clients by the handler of a function, as Chalice names it."""


class Clients:
    """The boto3 clients of one function. Assign to an attribute to replace a client.

    `session`, `endpoint_url` and `config` (merged into CONFIG) are for tests and benchmarks.
    """

    def __init__(
        self,
        session: boto3.Session | None = None,
        *,
        endpoint_url: str | None = None,
        config: Config | None = None,
    ) -> None:
        self._given_session = session
        self._endpoint_url = endpoint_url
        self._config = CONFIG.merge(config) if config else CONFIG
        self._lock = Lock()
        self.table_requests = 0
        """Requests to DynamoDB so far, retries included."""

    @cached_property
    def _session(self) -> boto3.Session:
        return self._given_session or boto3.Session()

    def build_for(self, handler: str) -> None:
        """Build the clients that the handler's requests need. `handler` is Lambda's `_HANDLER`."""
        for name in _BUILT_AT_IMPORT.get(handler, ()):
            getattr(self, name)

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        client = self._session.client(
            "dynamodb", endpoint_url=self._endpoint_url, config=self._config
        )
        client.meta.events.register("before-send.dynamodb", self._count_request)
        return client

    def _count_request(self, **_: object) -> None:
        with self._lock:
            self.table_requests += 1

    @cached_property
    def sqs(self) -> "SQSClient":
        return self._session.client("sqs", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        return self._session.client("logs", endpoint_url=self._endpoint_url, config=self._config)

    @cached_property
    def batch(self) -> "BatchClient":
        config = self._config.merge(_BATCH_CONFIG)
        return self._session.client("batch", endpoint_url=self._endpoint_url, config=config)

    @cached_property
    def secretsmanager(self) -> "SecretsManagerClient":
        return self._session.client(
            "secretsmanager", endpoint_url=self._endpoint_url, config=self._config
        )
