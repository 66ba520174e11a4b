"""JOB_QUEUES: names, ARNs and globs, and the event pattern that matches their events."""

import json
from typing import Any

import pytest

from infra import job_queues
from infra.deploy import TEMPLATE, QueueChange
from infra.errors import CommandError

PREFIX = "arn:aws:batch:eu-west-1:111122223333:job-queue/"
OTHER_REGION = PREFIX.replace("eu-west-1", "us-east-1")


def matchers(queues: list[str]) -> Any:
    template = json.loads(job_queues.with_rule_for(TEMPLATE.read_text(), queues, PREFIX))
    rule = template["Resources"]["BatchEventsRule"]["Properties"]["EventPattern"]
    return rule["$or"][0].get("detail")


@pytest.mark.parametrize(
    ("given", "queues"),
    [
        ("*", ["*"]),
        ("high,*", ["*"]),
        ("high", ["high"]),
        (f" high , {PREFIX}low,,high", ["high", "low"]),
        (f"genomics-*,{PREFIX}gpu-*", ["genomics-*", "gpu-*"]),
        ("a**b", ["a*b"]),
    ],
)
def test_job_queues_are_given_by_name_glob_or_arn(given: str, queues: list[str]) -> None:
    assert job_queues.parse(given, PREFIX) == queues


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (" , ", "such as JOB_QUEUES=high,low"),
        ("hi gh", "not 'hi gh'"),
        ("gpu-?", "globs with \\* of job queues"),
        ("[ab]", "not '\\[ab\\]'"),
        (f"high,{OTHER_REGION}low", "contains arn:aws:batch:us-east-1:111122223333:job-queue/low"),
        ("arn:aws:sqs:eu-west-1:1:high", "records job queues of arn:aws:batch:eu-west-1"),
    ],
)
def test_other_texts_are_refused_by_name(given: str, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        job_queues.parse(given, PREFIX)


@pytest.mark.parametrize(
    ("change", "queues"),
    [
        (QueueChange(), ["high", "low"]),
        (QueueChange(added=f"{PREFIX}gpu-*,low"), ["high", "low", "gpu-*"]),
        (QueueChange(removed="high"), ["low"]),
        (QueueChange(added="gpu", removed="high,low"), ["gpu"]),
        (QueueChange(replaced="*"), ["*"]),
    ],
)
def test_queues_are_added_and_removed_without_the_others(
    change: QueueChange, queues: list[str]
) -> None:
    assert change.applied(["high", "low"], PREFIX) == queues


@pytest.mark.parametrize(
    ("current", "change", "problem"),
    [
        (["high"], QueueChange(removed="low"), "contains low, but the stage records high"),
        (["high"], QueueChange(removed="high"), "would leave no job queue"),
        (["*"], QueueChange(added="high"), "the stage records all job queues"),
        (["*"], QueueChange(removed="high"), "contains high, but the stage records \\*"),
    ],
)
def test_a_change_without_effect_is_refused(
    current: list[str], change: QueueChange, problem: str
) -> None:
    with pytest.raises(CommandError, match=problem):
        change.applied(current, PREFIX)


def test_a_name_or_glob_that_matches_no_queue_is_refused_with_those_that_exist() -> None:
    existing = ["genomics-a", "genomics-b", "high"]

    assert job_queues.matching(["genomics-*", "high"], existing) == existing
    for queue in ("hihg", "gpu-*"):
        with pytest.raises(CommandError) as refused:
            job_queues.matching(["high", queue], existing)
        assert f"contains {queue}, but" in str(refused.value)
        assert str(refused.value).endswith("It has: genomics-a, genomics-b, high")


def test_names_are_matched_as_ends_of_arns_and_globs_behind_their_prefix() -> None:
    assert matchers(["*"]) is None
    assert matchers(["high", "gpu-*"]) == {
        "jobQueue": [{"suffix": "/high"}, {"wildcard": f"{PREFIX}gpu-*"}]
    }


def test_a_pattern_beyond_the_quota_of_eventbridge_is_refused_with_advice() -> None:
    names = [f"queue-{number}" for number in range(100)]

    assert len(matchers(names[:50])["jobQueue"]) == 50
    with pytest.raises(CommandError, match=r"EventBridge allows 2,048: replace names by globs"):
        matchers(names)
