"""Both stacks, deployed to a local AWS that enforces the policies of the functions."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests

from infra.deploy import API_STAGE
from infra.gateway import configure
from local.aws import RESOURCES, LocalAws
from local.package import package
from local.stacks import create_app, kept_token


class DeployedStack:
    """Both stacks, without the statements of the queue policies that require TLS: the local AWS
    supports only plain HTTP."""

    def __init__(
        self, aws: LocalAws, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.aws = aws
        self.resources = aws.create_resources(without_tls(RESOURCES.read_text()))
        create_app(aws, package("local", aws.environment_for(os.environ)), environment)
        [api] = aws.client("apigateway").get_rest_apis()["items"]
        configure(aws.client("apigateway"), api["id"], API_STAGE)
        self.url = f"{aws.endpoint}/_aws/execute-api/{api['id']}/api"
        self.token = kept_token(aws, self.resources.secret_id, folder / "token")

    def put(self, *details: dict[str, Any]) -> None:
        entry = {"Source": "batchwatch.simulated", "DetailType": "Batch Job State Change"}
        entries = [{**entry, "Detail": json.dumps(detail)} for detail in details]
        self.aws.client("events").put_events(Entries=entries)

    def get(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.get(self.url + path, headers=headers, timeout=240)

    def dead_letters(self) -> int:
        url = self.aws.queue_url(self.resources.dead_letter_queue)
        answer = self.aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def without_tls(template: str) -> str:
    resources = json.loads(template)["Resources"]
    for name, resource in list(resources.items()):
        if resource["Type"] == "AWS::SQS::QueuePolicy":
            document = resource["Properties"]["PolicyDocument"]
            kept = [s for s in document["Statement"] if s["Sid"] != "OnlyOverTls"]
            document["Statement"] = kept
            if not kept:
                del resources[name]
    return json.dumps({**json.loads(template), "Resources": resources})
