"""When API tokens were last used, from a log as Powertools writes it."""

import io
import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from aws_lambda_powertools import Logger

from infra.token.last_use import DAYS, last_uses
from local.aws import LocalAws

GROUP = "/aws/lambda/batchwatch-trial"
QUOTED = 'a "quoted" (name)/1'
NOW = datetime.now(UTC).replace(microsecond=0)


def log_lines(requests: Iterable[tuple[str, str]]) -> list[str]:
    """Return the lines of the log for events and tokens."""
    stream = io.StringIO()
    logger = Logger(service="last-use", logger_handler=logging.StreamHandler(stream))
    for event, token in requests:
        logger.info(event, extra={"token": token, "route": "/jobs", "status": 200})
    return stream.getvalue().splitlines()


def test_the_last_request_of_each_token_is_found(aws: LocalAws) -> None:
    logs = aws.client("logs")
    requests = [
        ("request_served", "nightly", 3),
        ("request_served", "nightly", 2),
        ("another_event", "nightly", 1),
        ("request_served", "night", 9),
        ("request_served", QUOTED, 8),
        ("request_served", "old", 24 * DAYS + 1),
    ]
    requests.sort(key=lambda request: -request[2])
    lines = log_lines((event, token) for event, token, _ in requests)
    times = [int((NOW - timedelta(hours=hours)).timestamp() * 1000) for *_, hours in requests]
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="1")
    events = [{"timestamp": at, "message": line} for at, line in zip(times, lines, strict=True)]
    logs.put_log_events(logGroupName=GROUP, logStreamName="1", logEvents=events)

    uses = last_uses(logs, GROUP, ["nightly", "night", QUOTED, "old", "never"], NOW)

    assert uses == {
        "nightly": NOW - timedelta(hours=2),
        "night": NOW - timedelta(hours=9),
        QUOTED: NOW - timedelta(hours=8),
    }
