"""The details of events have the shapes that AWS sends, with secrets in the usual places."""

import json
import re
from collections import Counter
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from local.workload import Workload, job_arn
from tests.support.simulation.simulated_jobs import START, is_service


def test_all_shapes_of_details_occur(work: Workload) -> None:
    details = [event.detail for event in work.events]

    for field in ("eksProperties", "ecsProperties", "nodeProperties", "nodeDetails"):
        assert any(field in detail for detail in details)
    assert any("size" in detail.get("arrayProperties", {}) for detail in details)
    assert any("index" in detail.get("arrayProperties", {}) for detail in details)
    assert any(detail.get("platformCapabilities") == ["FARGATE"] for detail in details)
    containers = [detail["container"] for detail in details if detail.get("container")]
    assert {"logConfiguration" in container for container in containers} == {True, False}
    requirements = [r for c in containers for r in c.get("resourceRequirements", [])]
    assert {r["type"] for r in requirements} == {"VCPU", "MEMORY", "GPU"}


def test_events_of_2017_have_numbers_and_neither_arn_nor_tags(work: Workload) -> None:
    old = [event for event in work.events if "vcpus" in event.detail.get("container", {})]

    assert old
    for event in old:
        assert not {"jobArn", "tags", "eksAttempts"} & event.detail.keys()
        assert isinstance(event.detail["container"]["memory"], int)
        assert job_arn(event.detail).endswith(f":000000000000:job/{event.job_id}")


def test_details_conform_to_botocores_job_detail(work: Workload) -> None:
    job_detail = botocore.session.get_session().get_service_model("batch").shape_for("JobDetail")
    validator = ParamValidator()

    for event in [e for e in work.events if not is_service(e)][::7]:
        # The model requires startedAt, but a job that has not run doesn't have it.
        detail = {"startedAt": START, **event.detail}
        report = validator.validate(detail, job_detail)
        assert not report.has_errors(), report.generate_report()


def test_service_details_conform_to_botocores_describe_service_job(work: Workload) -> None:
    model = botocore.session.get_session().get_service_model("batch")
    described = model.shape_for("DescribeServiceJobResponse")
    service = [event for event in work.events if is_service(event)]

    assert service
    for event in service:
        report = ParamValidator().validate({"startedAt": START, **event.detail}, described)
        assert not report.has_errors(), report.generate_report()


def test_job_names_have_only_characters_that_batch_allows(work: Workload) -> None:
    names = {record.job_name for record in work.expected.values()}

    assert all(re.fullmatch(r"[\w-]{1,128}", name) for name in names)


# Secrets


def test_the_secrets_of_a_workload_are_exactly_those_in_its_events(work: Workload) -> None:
    text = json.dumps([event.detail for event in work.events])

    assert len(work.secrets) > 100
    assert set(re.findall(r"SECRET-[0-9a-f]+", text)) == work.secrets


def test_secrets_are_in_environments_commands_parameters_and_reasons(work: Workload) -> None:
    found = Counter[str]()
    for event in work.events:
        found.update(fields_with_secrets(event.detail))

    assert found.keys() >= {"environment", "env", "command", "args", "parameters", "reason"}


def fields_with_secrets(value: Any, field: str = "") -> set[str]:
    if isinstance(value, dict):
        inner = [(field if key in ("name", "value") else key, v) for key, v in value.items()]
        inner = [("parameters" if field == "parameters" else key, v) for key, v in inner]
    elif isinstance(value, list):
        inner = [(field, item) for item in value]
    else:
        return {field} if "SECRET-" in str(value) else set()
    return {found for key, item in inner for found in fields_with_secrets(item, key)}
