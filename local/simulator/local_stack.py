"""The address of the local stack, clients for its AWS, and errors when it can't be reached."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as AwsConnectionError
from botocore.parsers import ResponseParserError

from local.process import LocalError
from local.workload import REGION

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient


class LocalStackError(LocalError):
    """A failed request to the local stack, or to a part of it that does not run."""


def events_client(url: str) -> "EventBridgeClient":
    client: EventBridgeClient = _client("events", url)
    return client


def lambda_client(url: str) -> "LambdaClient":
    client: LambdaClient = _client("lambda", url)
    return client


def sqs_client(url: str) -> "SQSClient":
    client: SQSClient = _client("sqs", url)
    return client


def _client(service: Any, url: str) -> Any:
    """Return a client without a proxy, with credentials that are valid in no AWS account."""
    session = boto3.Session(
        aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION
    )
    config = Config(proxies={}, retries={"total_max_attempts": 2, "mode": "standard"})
    try:
        return session.client(service, endpoint_url=url, config=config)
    except ValueError as error:
        raise LocalStackError(f"AWS_ENDPOINT_URL must be a URL, not {url!r}") from error


@contextmanager
def aws_errors(url: str) -> Iterator[None]:
    """Translate botocore's errors to LocalStackError."""
    try:
        yield
    except (AwsConnectionError, HTTPClientError) as error:
        raise not_running(url) from error
    except (ClientError, ResponseParserError) as error:
        raise LocalStackError(f"request to {url} failed: {error}") from error


def not_running(url: str) -> LocalStackError:
    return LocalStackError(f"no response from {url} : start the local stack with `make run`")


def add_url_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for the addresses of the local AWS and the API."""
    variable = os.environ.get
    aws = variable("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{variable('AWS_PORT') or 4566}"
    api = f"http://127.0.0.1:{variable('PORT') or 8000}"
    parser.add_argument("--aws-url", default=aws, help=f"URL of the local AWS (default: {aws})")
    parser.add_argument("--api-url", default=api, help=f"URL of the API (default: {api})")


def token_file() -> Path:
    """Return the path of the file in which `make run` stores an API token."""
    return Path(os.environ.get("STATE_DIR") or ".state") / "token"
