"""The only place that builds AWS clients, each once, on first use: clients are cold start.

Region, credentials and AWS_ENDPOINT_URL come from the environment, as the AWS SDK reads it.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    parameter_validation=False,
)
"""Three tries of five seconds: what takes longer is an outage, and messages come again. Validation
is left to AWS: here it would take an eighth of the CPU of recording an event."""


@cache
def dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_CONFIG)


@cache
def logs() -> "CloudWatchLogsClient":
    return boto3.client("logs", config=_CONFIG)


@cache
def sqs() -> "SQSClient":
    return boto3.client("sqs", config=_CONFIG)


@cache
def batch() -> Any:
    """Tries once: `batch_api` counts every call and does the waiting."""
    patient = Config(read_timeout=20, retries={"mode": "standard", "total_max_attempts": 1})
    return boto3.client("batch", config=_CONFIG.merge(patient))


@cache
def secrets_manager() -> "SecretsManagerClient":
    return boto3.client("secretsmanager", config=_CONFIG)
