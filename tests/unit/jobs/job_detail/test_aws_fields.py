"""docs/fields.md names every field with which AWS Batch describes a job, and states the truth."""

import re

import botocore.session
import pytest
from msgspec.structs import fields

from chalicelib.jobs.job_detail import shapes
from local.aws import ROOT

BATCH = botocore.session.get_session().get_service_model("batch")
DOCUMENT = (ROOT / "docs" / "fields.md").read_text(encoding="utf-8")
DECODED = {
    "JobDetail": shapes.JobDetail,
    "ContainerDetail": shapes.Container,
    "AttemptDetail": shapes.AttemptDetail,
    "AttemptContainerDetail": shapes.Container,
    "AttemptEcsTaskDetails": shapes.Containers,
    "AttemptTaskContainerDetails": shapes.Container,
    "EksAttemptDetail": shapes.AttemptDetail,
    "EksAttemptContainerDetail": shapes.Container,
    "EcsTaskDetails": shapes.Containers,
    "TaskContainerDetails": shapes.Container,
    "EksPodPropertiesDetail": shapes.Containers,
    "EksContainerDetail": shapes.Container,
    "ArrayPropertiesDetail": shapes.ArrayProperties,
    "NodeProperties": shapes.NodeProperties,
    "NodeRangeProperty": shapes.NodeRange,
    "ConsumableResourceProperties": shapes.ConsumableResources,
    "ConsumableResourceRequirement": shapes.ConsumableResource,
    "RetryStrategy": shapes.RetryStrategy,
    "EvaluateOnExit": shapes.EvaluateOnExit,
    "JobTimeout": shapes.Timeout,
    "JobDependency": shapes.DependsOn,
    "DescribeServiceJobResponse": shapes.ServiceJobDetail,
    "ServiceJobAttemptDetail": shapes.AttemptDetail,
    "LatestServiceJobAttempt": shapes.AttemptDetail,
    "ServiceJobTimeout": shapes.Timeout,
    "ServiceJobCapacityUsageDetail": shapes.CapacityUsage,
    "ServiceJobPreemptionConfiguration": shapes.PreemptionConfiguration,
    "ServiceJobPreemptionSummary": shapes.PreemptionSummary,
}
"""The struct into which each of AWS's shapes is decoded. Other shapes are tags, or not decoded."""


def documented(shape: str) -> dict[str, str]:
    """Return what happens to each field of a shape."""
    section = DOCUMENT.partition(f"## {shape}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))


def test_every_shape_is_documented() -> None:
    assert re.findall(r"^## (\w+)$", DOCUMENT, re.MULTILINE) == list(DECODED)


@pytest.mark.parametrize("shape", DECODED)
def test_the_documented_fields_are_those_of_aws(shape: str) -> None:
    assert documented(shape).keys() == BATCH.shape_for(shape).members.keys()


@pytest.mark.parametrize(("shape", "struct"), DECODED.items())
def test_a_field_is_decoded_if_it_is_documented_as_kept(shape: str, struct: type) -> None:
    decoded = {field.encode_name for field in fields(struct)}

    fates = documented(shape)
    assert all(re.match(r"(kept|(derived|omitted)[:,] )", fate) for fate in fates.values())
    kept = {field for field, fate in fates.items() if fate.startswith("kept")}
    assert kept <= decoded
    if struct is not shapes.Container and struct is not shapes.Containers:
        assert decoded & fates.keys() <= kept | {"tags", "podName", "nodeName"}
