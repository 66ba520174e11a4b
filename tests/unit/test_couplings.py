"""Values in two places that have to agree, because neither place can import the other."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from chalicelib import table_keys
from chalicelib.api.errors import InvalidParameter
from chalicelib.api.long_poll import LEASE_SECONDS
from chalicelib.api.parameters.parameter import parse
from chalicelib.api.parameters.queries import JobQuery
from chalicelib.aws import clients
from chalicelib.aws.secret import CACHED_SECONDS
from chalicelib.aws.sqs import Disposition
from chalicelib.jobs.job import BATCH_LOG_GROUP, LISTED_ENDED, JobStatus
from chalicelib.queues import queue_registry, state_table
from chalicelib.recording import poison_messages
from chalicelib.recording.event import (
    JOB_STATE_CHANGE,
    QUEUE_BLOCKED_EVENTS,
    SERVICE_JOB_STATE_CHANGE,
)
from chalicelib.settings import Settings
from chalicelib.sweep.batch_api import RETENTION_MS
from chalicelib.sweep.count.windows import WINDOWS
from chalicelib.version import VERSION
from chalicelib.webex.client import retry_after
from infra.table import forget, upgrade
from infra.token import last_use
from local.aws import ROOT
from local.batch import RETENTION_MS as LOCAL_RETENTION_MS
from tests.support.builders import REQUIRED_SETTINGS

CHALICE_CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
CONFIG = CHALICE_CONFIG["lambda_functions"]
RESOURCES = json.loads((ROOT / "infra" / "resources.json").read_text())["Resources"]
APP = (ROOT / "app.py").read_text()
DEFAULTS = Settings.from_environment(REQUIRED_SETTINGS)


def properties(resource: str) -> dict[str, Any]:
    found: dict[str, Any] = RESOURCES[resource]["Properties"]
    return found


def timeout(function: str) -> int:
    seconds: int = CONFIG[function]["lambda_timeout"]
    return seconds


def test_the_functions_are_tagged_with_the_version() -> None:
    assert CHALICE_CONFIG["tags"] == {"version": VERSION}


def test_a_slot_for_long_polling_outlives_the_function_that_holds_it() -> None:
    assert timeout("api_handler") < LEASE_SECONDS


def test_a_long_poll_ends_before_its_function() -> None:
    longest = timeout("api_handler") - 2

    with pytest.raises(InvalidParameter):
        parse(JobQuery, {"wait": [str(longest)]})


def test_the_dashboard_waits_no_longer_than_the_api_allows() -> None:
    script = (ROOT / "chalicelib" / "dashboard" / "job.js").read_text()
    (seconds,) = re.findall(r"WAIT_SECONDS = (\d+)", script)

    assert parse(JobQuery, {"wait": [seconds]}).wait == int(seconds)


def test_the_dashboard_offers_every_status() -> None:
    script = (ROOT / "chalicelib" / "dashboard" / "status.js").read_text()
    listed = re.findall(r'"([A-Z]+)"', script.partition("export const hasEnded")[0])

    assert set(listed) == set(JobStatus)


def test_the_template_defines_the_indexes_that_the_code_queries() -> None:
    indexes = {
        index["IndexName"]: [key["AttributeName"] for key in index["KeySchema"]]
        for index in properties("JobsTable")["GlobalSecondaryIndexes"]
    }

    used = (table_keys.BY_ACTIVITY, table_keys.BY_STATUS, table_keys.BY_NAME)
    assert indexes == {index.name: [index.partition, index.sort] for index in used}


@pytest.mark.parametrize("function", ["api_handler", "sweep"])
def test_functions_that_list_jobs_may_query_every_index(function: str) -> None:
    policy = (ROOT / ".chalice" / f"policy-prod-{function}.json").read_text()

    allowed = set(re.findall(r"/index/([a-z-]+)", policy))

    used = (table_keys.BY_ACTIVITY, table_keys.BY_STATUS, table_keys.BY_NAME)
    assert allowed == {index.name for index in used}


def test_the_logs_of_every_function_expire() -> None:
    """Chalice would apply the retention of api_handler to a log group that no function has."""
    group = properties("ApiLogGroup")

    of_chalice = {name: each.get("log_retention_in_days") for name, each in CONFIG.items()}
    assert of_chalice.pop("api_handler") is None
    assert set(of_chalice.values()) == {group["RetentionInDays"]}
    assert group["LogGroupName"] == {"Fn::Sub": "/aws/lambda/batchwatch-${Stage}"}


def test_the_rule_sends_every_kind_of_event_that_is_recorded() -> None:
    alternatives = properties("BatchEventsRule")["EventPattern"]["$or"]
    sent = {kind for alternative in alternatives for kind in alternative["detail-type"]}

    assert {JOB_STATE_CHANGE, SERVICE_JOB_STATE_CHANGE, *QUEUE_BLOCKED_EVENTS} <= sent


def test_a_changed_token_takes_effect_within_a_minute() -> None:
    (cached_by_the_gateway,) = re.findall(r"authorizer\(ttl_seconds=(\d+)\)", APP)

    assert int(cached_by_the_gateway) + CACHED_SECONDS < 60


def test_an_unresponsive_table_is_a_503_before_the_gateway_gives_up() -> None:
    config: Any = clients.CONFIG
    attempts = config.retries["total_max_attempts"]
    longest_backoff = sum(2**attempt for attempt in range(attempts - 1))

    of_one_request = attempts * config.read_timeout + longest_backoff
    assert of_one_request < CONFIG["api_handler"]["lambda_timeout"] - 5


def test_jobs_are_repaired_before_batch_forgets_them() -> None:
    longest = timedelta(milliseconds=RETENTION_MS) - timedelta(days=1)

    accepted = {"REPAIR_AFTER": f"RUNNING={longest.days}d"}
    assert Settings.from_environment(REQUIRED_SETTINGS | accepted)
    assert RETENTION_MS == LOCAL_RETENTION_MS


def test_a_sweep_comes_at_least_twice_before_the_alarm_for_a_missing_one() -> None:
    alarm = properties("NoSweepAlarm")
    watched = timedelta(seconds=alarm["Period"] * alarm["EvaluationPeriods"])

    assert Settings.from_environment(REQUIRED_SETTINGS | {"SWEEP_MINUTES": "60"})
    assert watched >= 2 * timedelta(minutes=60)


@pytest.mark.parametrize(
    "seconds",
    [
        poison_messages._KEPT_SECONDS,
        state_table._BLOCKED_EVENT_TTL_SECONDS,
        WINDOWS["fortnight"].oldest * 3_600,
    ],
    ids=["crash marks", "blocked events", "recomputed hours"],
)
def test_what_a_late_event_needs_is_kept_longer_than_the_queue_keeps_the_event(
    seconds: int,
) -> None:
    assert seconds > properties("EventsQueue")["MessageRetentionPeriod"]


def test_webex_can_ask_for_the_longest_delay_that_sqs_allows() -> None:
    century = 3_155_760_000

    assert retry_after(str(century), now=0) == Disposition.retry(century).retry_after


def test_the_log_group_of_batch_may_be_shown_by_default() -> None:
    assert DEFAULTS.log_groups == (BATCH_LOG_GROUP,)


def test_the_default_rules_are_deployed_with_the_code() -> None:
    assert (ROOT / DEFAULTS.notice_rules).is_file()
    assert DEFAULTS.notice_rules.startswith("chalicelib/")


def test_make_forget_writes_the_mark_that_the_registry_reads() -> None:
    assert table_keys.registered_queues() == forget.REGISTRY
    assert forget.GONE_SINCE == queue_registry.GONE_SINCE


def test_an_upgrade_writes_the_index_keys_of_this_version() -> None:
    assert table_keys.SHARDS == upgrade.SHARDS
    assert set(LISTED_ENDED) == set(upgrade.ENDED)


def test_the_last_uses_of_tokens_are_read_from_the_whole_log_of_the_api() -> None:
    assert properties("ApiLogGroup")["RetentionInDays"] == last_use.DAYS
