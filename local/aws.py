"""The local AWS: a ministack process, its clients, and the names of the resources in it.

`make run` and the tests use the same class. ministack has its own virtual environment (.venv-aws),
because it pins its own botocore. The resources stack is created from the template that
`make deploy` uses. This module must not know jobs, events or the app.
"""

import os
import shutil
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3

from infra.stack import StackSpec, deploy_stack
from local.ports import LOOPBACK
from local.process import LocalError, Process, wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-aws" / "bin" / "python"
RESOURCES = ROOT / "infra" / "resources.json"
STAGE = "local"
REGION = "us-east-1"
ROOT_KEY = "test"
"""The access key and the secret key of the root user in ministack."""


@dataclass(frozen=True)
class Resources:
    """The outputs of infra/resources.json, by name."""

    account_id: str
    jobs_table: str
    events_queue: str
    dead_letter_queue: str
    notices_queue: str
    notices_dead_letter_queue: str
    undeliverable_queue: str
    secret_id: str
    webex_secret_id: str
    rule: str

    @classmethod
    def from_outputs(cls, outputs: dict[str, str]) -> Self:
        return cls(
            account_id=outputs["AccountId"],
            jobs_table=outputs["JobsTable"],
            events_queue=outputs["EventsQueue"],
            dead_letter_queue=outputs["DeadLetterQueue"],
            notices_queue=outputs["NoticesQueue"],
            notices_dead_letter_queue=outputs["NoticesDeadLetterQueue"],
            undeliverable_queue=outputs["UndeliverableQueue"],
            secret_id=outputs["SecretId"],
            webex_secret_id=outputs["WebexSecretId"],
            rule=outputs["Rule"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that the app reads."""
        return {
            "ACCOUNT_ID": self.account_id,
            "JOBS_TABLE": self.jobs_table,
            "EVENTS_QUEUE": self.events_queue,
            "DEAD_LETTER_QUEUE": self.dead_letter_queue,
            "NOTICES_QUEUE": self.notices_queue,
            "NOTICES_DEAD_LETTER_QUEUE": self.notices_dead_letter_queue,
            "SECRET_ID": self.secret_id,
            "WEBEX_SECRET_ID": self.webex_secret_id,
            "EVENT_SOURCES": "aws.batch,batchwatch.simulated",
        }


class LocalAws:
    """ministack on a port of the loopback interface: `with LocalAws(port, folder) as aws: …`.

    With `keep`, its data is saved to the folder when it is stopped, and loaded at the next start.
    With `auth`, it enforces IAM and queue policies.
    """

    def __init__(
        self, port: int, state_dir: Path, *, keep: bool = True, auth: bool = False
    ) -> None:
        self.port = port
        self.state_dir = state_dir.resolve()
        self.keep = keep
        self.auth = auth
        self.endpoint = f"http://{LOOPBACK}:{port}"
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it responds. Raise LocalError."""
        if not PYTHON.exists():
            raise LocalError("the local AWS is not installed. Install it with `make run`")
        temporary = self.state_dir / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        self._process = Process(
            "the local AWS",
            [PYTHON, "-m", "ministack"],
            environment=self._environment(temporary),
            log=self.state_dir / "aws.log",
            stop_timeout=60,
        )
        try:
            wait_for(self._process, f"{self.endpoint}/_ministack/health")
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Raise LocalError if the process has ended."""
        self._process.check()

    def stop(self) -> None:
        """Stop the process. Saving its data can take some seconds."""
        self._process.stop()

    def reset(self) -> None:
        """Delete all data and stacks; takes a few milliseconds."""
        request = urllib.request.Request(f"{self.endpoint}/_ministack/reset", method="POST")
        urllib.request.urlopen(request, timeout=60).close()

    def create_resources(self, template: str | None = None, **parameters: str) -> Resources:
        """Create or update the resources stack, as `make deploy` does for other stages."""
        defaults = {
            "Stage": STAGE,
            "EventSources": "aws.batch,batchwatch.simulated",
            "Protect": "no",
        }
        resources = StackSpec(
            f"batchwatch-{STAGE}-resources",
            template or RESOURCES.read_text(),
            defaults | parameters,
        )
        outputs = deploy_stack(self.cloudformation, resources, poll_seconds=0.01)
        return Resources.from_outputs(outputs)

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that make an AWS SDK use the local AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
        }

    def environment_for(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return an environment for a child process, without the given AWS variables, which may
        refer to a real account."""
        kept = {key: value for key, value in environment.items() if not key.startswith("AWS_")}
        return {**kept, **self.environment}

    def client(self, service: str) -> Any:
        """Return a boto3 client. It is cached, because creating it takes longer than most calls."""
        if service not in self._clients:
            session: Any = boto3.Session(
                aws_access_key_id=ROOT_KEY, aws_secret_access_key=ROOT_KEY, region_name=REGION
            )
            self._clients[service] = session.client(service, endpoint_url=self.endpoint)
        return self._clients[service]

    @cached_property
    def cloudformation(self) -> "CloudFormationClient":
        client: CloudFormationClient = self.client("cloudformation")
        return client

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        client: DynamoDBClient = self.client("dynamodb")
        return client

    @cached_property
    def s3(self) -> "S3Client":
        client: S3Client = self.client("s3")
        return client

    @cached_property
    def sqs(self) -> "SQSClient":
        client: SQSClient = self.client("sqs")
        return client

    @cached_property
    def secretsmanager(self) -> "SecretsManagerClient":
        client: SecretsManagerClient = self.client("secretsmanager")
        return client

    def queue_url(self, queue: str) -> str:
        return self.sqs.get_queue_url(QueueName=queue)["QueueUrl"]

    def _environment(self, temporary: Path) -> dict[str, str]:
        """Return the process's environment, which the functions that it runs inherit."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "STATE_DIR": str(self.state_dir / "aws"),
            "PERSIST_STATE": "1" if self.keep else "0",
            "AUTH": "true" if self.auth else "false",
            "LAMBDA_EXECUTOR": "local",
            # These would listen on fixed ports.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
