"""The next step for a stack in every status that CloudFormation has."""

import boto3
import pytest

from infra.errors import StackError
from infra.stack.step import Step, next_step

STATUSES = {
    None: Step.CREATE,
    "DELETE_COMPLETE": Step.CREATE,
    "CREATE_COMPLETE": Step.UPDATE,
    "UPDATE_COMPLETE": Step.UPDATE,
    "UPDATE_ROLLBACK_COMPLETE": Step.UPDATE,
    "IMPORT_COMPLETE": Step.UPDATE,
    "IMPORT_ROLLBACK_COMPLETE": Step.UPDATE,
    "CREATE_FAILED": Step.CONTINUE,
    "UPDATE_FAILED": Step.CONTINUE,
    "UPDATE_ROLLBACK_FAILED": Step.CONTINUE_ROLLBACK,
    "ROLLBACK_COMPLETE": Step.DELETE,
    "ROLLBACK_FAILED": Step.DELETE,
    "DELETE_FAILED": Step.DELETE,
    "REVIEW_IN_PROGRESS": Step.DELETE,
    "CREATE_IN_PROGRESS": Step.WAIT,
    "ROLLBACK_IN_PROGRESS": Step.WAIT,
    "DELETE_IN_PROGRESS": Step.WAIT,
    "UPDATE_IN_PROGRESS": Step.WAIT,
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_IN_PROGRESS": Step.WAIT,
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": Step.WAIT,
    "IMPORT_IN_PROGRESS": Step.WAIT,
    "IMPORT_ROLLBACK_IN_PROGRESS": Step.WAIT,
}


@pytest.mark.parametrize(("status", "step"), STATUSES.items())
def test_a_deployment_continues_from(status: str | None, step: Step) -> None:
    assert next_step(status) is step


def test_a_status_that_only_a_person_can_end_is_reported() -> None:
    with pytest.raises(StackError, match=r"IMPORT_ROLLBACK_FAILED.*console"):
        next_step("IMPORT_ROLLBACK_FAILED")


def test_every_status_of_cloudformation_is_covered() -> None:
    client = boto3.client("cloudformation", region_name="us-east-1")
    known = client.meta.service_model.shape_for("StackStatus").enum

    assert set(known) == {*STATUSES, "IMPORT_ROLLBACK_FAILED"} - {None}
