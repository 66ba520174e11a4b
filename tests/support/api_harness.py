"""The functions and routes of the app in this process, on the local AWS."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple, Self

from chalice.test import Client, HTTPResponse

from local.aws import ROOT, STAGE, LocalAws, Resources


class Answer(NamedTuple):
    status: int
    body: Any


class Api:
    """The app with its test client. Needs the environment variables of the local AWS. The token
    `all` covers all queues."""

    def __init__(self, aws: LocalAws, resources: Resources) -> None:
        # At import, app.py reads the names of its queues from the environment.
        import app
        from chalicelib.bootstrap import Container

        app.container = Container.from_environment(os.environ)
        self.app = app.app
        self.container = app.container
        self._aws = aws
        self._secret_id = resources.secret_id
        self._client = Client(self.app, stage_name=STAGE, project_dir=str(ROOT))
        self.allow("all", ["*"])

    def __enter__(self) -> Self:
        self._client.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.__exit__(kind, error, trace)

    def allow(self, token: str, queues: list[str]) -> None:
        """Add a token, whose name is the token itself."""
        self.allow_each({token: queues})

    def allow_each(self, tokens: Mapping[str, list[str]]) -> None:
        secret = self._secret()
        for token, queues in tokens.items():
            digest = hashlib.sha256(token.encode()).hexdigest()
            secret["apiTokens"][token] = {"sha256": digest, "queues": queues}
        self._put(secret)

    def revoke(self, token: str) -> None:
        secret = self._secret()
        del secret["apiTokens"][token]
        self._put(secret)

    def get(self, path: str, *, token: str | None = "all") -> Answer:
        response = self.response(path, token=token)
        return Answer(response.status_code, json.loads(response.body))

    def response(self, path: str, *, token: str | None = "all", **headers: str) -> HTTPResponse:
        """Send a request. The names of headers have underscores: `if_none_match="…"`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        return self._client.http.get(path, headers=given)

    def pages(self, path: str, *, token: str = "all") -> Iterator[list[Any]]:
        """Yield the jobs of each page of a list."""
        next_page = ""
        while True:
            status, page = self.get(f"{path}{next_page}", token=token)
            assert status == 200, page
            yield page["jobs"]
            if page["nextToken"] is None:
                return
            next_page = f"{'&' if '?' in path else '?'}nextToken={page['nextToken']}"

    def requests(self, path: str) -> Counter[str]:
        """Return the number of requests to DynamoDB that one response takes, by operation."""
        counted: Counter[str] = Counter()

        def count(request: Any, **_: object) -> None:
            counted[request.headers["X-Amz-Target"].decode().rpartition(".")[2]] += 1

        events = self.container.clients.dynamodb.meta.events
        events.register("before-send.dynamodb", count)
        answer = self.get(path)
        events.unregister("before-send.dynamodb", count)
        assert answer.status == 200, answer.body
        return counted

    @contextmanager
    def cached_reads(self) -> Iterator[None]:
        """Answer a repeated read of DynamoDB from memory, for a test that makes thousands of them
        and writes nothing meanwhile."""
        responses: dict[tuple[str, bytes], Any] = {}

        def recall(model: Any, params: Any, context: Any, **_: object) -> Any:
            context["read"] = model.name, params["body"]
            return responses.get(context["read"])

        def remember(http_response: Any, parsed: Any, context: Any, **_: object) -> None:
            responses[context["read"]] = http_response, parsed

        events = self.container.clients.dynamodb.meta.events
        for operation in ("Query", "GetItem", "BatchGetItem"):
            events.register(f"before-call.dynamodb.{operation}", recall)
            events.register(f"after-call.dynamodb.{operation}", remember)
        yield
        for operation in ("Query", "GetItem", "BatchGetItem"):
            events.unregister(f"before-call.dynamodb.{operation}", recall)
            events.unregister(f"after-call.dynamodb.{operation}", remember)

    def invoke(self, function: str, event: dict[str, Any]) -> Any:
        return self._client.lambda_.invoke(function, event).payload

    def record(self, *bodies: str) -> None:
        """Record events through on_batch_events, as SQS invokes it."""
        self.invoke("on_batch_events", self._client.events.generate_sqs_event(list(bodies)))

    def count(self) -> None:
        """Run the sweep's step that counts jobs."""
        scheduled = self._client.events.generate_cw_event(
            source="", detail_type="", detail={"step": "count"}, resources=[]
        )
        self.invoke("sweep", scheduled)

    def _secret(self) -> dict[str, Any]:
        answer = self._aws.secretsmanager.get_secret_value(SecretId=self._secret_id)
        secret: dict[str, Any] = json.loads(answer["SecretString"])
        return secret

    def _put(self, secret: dict[str, Any]) -> None:
        self._aws.secretsmanager.put_secret_value(
            SecretId=self._secret_id, SecretString=json.dumps(secret)
        )
