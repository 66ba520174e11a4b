"""The clients that a function builds at import."""

import boto3
import pytest

from chalicelib.aws.clients import Clients


@pytest.mark.parametrize(
    ("handler", "built"),
    [
        ("app.app", {"dynamodb", "secretsmanager"}),
        ("app.authorize", {"secretsmanager"}),
        ("app.on_batch_events", set()),
        ("", set()),
    ],
)
def test_a_function_builds_only_the_clients_that_its_requests_need(
    handler: str, built: set[str]
) -> None:
    session = boto3.Session(
        aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"
    )
    clients = Clients(session)

    clients.build_for(handler)

    assert {"dynamodb", "sqs", "logs", "batch", "secretsmanager"} & vars(clients).keys() == built
