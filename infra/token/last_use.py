"""When API tokens were last used, according to the log of the API's function.

The log has the name of the token in a line for each request, so recording the use costs no write
and the API needs no permission for it. This module must not know what a token may read.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from infra.errors import CommandError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

DAYS = 90
"""How long the log is kept (ApiLogGroup of infra/resources.json)."""
_QUERIES_AT_ONCE = 10
_POLL_SECONDS = 0.5
_MAX_POLLS = 240


def last_uses(
    logs: "CloudWatchLogsClient", group: str, names: Iterable[str], now: datetime
) -> dict[str, datetime]:
    """Return when each token of these names was last used, without those that were not used for
    DAYS days. Raise CommandError if CloudWatch Logs does not complete a query."""
    remaining = iter(names)
    uses: dict[str, datetime] = {}
    while some := list(islice(remaining, _QUERIES_AT_ONCE)):
        started = {name: _start(logs, group, name, now) for name in some}
        for name, query in started.items():
            for used in _times(logs, query):
                uses[name] = used
    return uses


def _start(logs: "CloudWatchLogsClient", group: str, name: str, now: datetime) -> str:
    token = re.escape(json.dumps(name)).replace("/", r"\/")
    return logs.start_query(
        logGroupName=group,
        startTime=int((now - timedelta(days=DAYS)).timestamp()),
        endTime=int(now.timestamp()) + 1,
        queryString=(
            "fields @timestamp"
            ' | filter @message like /"message":"request_served"/'
            f' | filter @message like /"token":{token}/'
            " | sort @timestamp desc | limit 1"
        ),
    )["queryId"]


def _times(logs: "CloudWatchLogsClient", query: str) -> Iterator[datetime]:
    """Yield the times that a query finds, after waiting for its end."""
    for _ in range(_MAX_POLLS):
        response = logs.get_query_results(queryId=query)
        if response["status"] not in ("Scheduled", "Running"):
            break
        time.sleep(_POLL_SECONDS)
    if response["status"] != "Complete":
        raise CommandError(f"CloudWatch Logs did not complete the query: {response['status']}")
    for row in response["results"]:
        fields = {cell["field"]: cell["value"] for cell in row}
        yield datetime.fromisoformat(fields["@timestamp"]).replace(tzinfo=UTC)
