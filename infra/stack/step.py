"""The next step towards a deployed stack, by the status of the stack. Pure: must not know
CloudFormation's client or what the stack contains.

A failed first creation is not rolled back, so that the next deployment continues it. A rollback
would leave the table, which is retained, and later creations would fail because its name exists.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
"""

from enum import Enum, auto
from typing import Final

from infra.errors import StackError


class Step(Enum):
    CREATE = auto()
    UPDATE = auto()
    CONTINUE = auto()
    """Update without a rollback, after a failure that was not rolled back."""
    CONTINUE_ROLLBACK = auto()
    """Complete the rollback of an update; after that, the stack can be updated."""
    DELETE = auto()
    """Delete what is left of a creation or a deletion; after that, the stack can be created."""
    WAIT = auto()
    """Another operation is in progress."""


_STEPS: Final = {
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
    "DELETE_COMPLETE": Step.CREATE,
}


def next_step(status: str | None) -> Step:
    """Return the next step for a stack in this status, None for a stack that does not exist.

    Raise StackError for a status that only a person can end.
    """
    if status is None:
        return Step.CREATE
    if status in _STEPS:
        return _STEPS[status]
    if status.endswith("_IN_PROGRESS"):
        return Step.WAIT
    raise StackError(
        f"the stack is {status}, from which no deployment can continue: repair it, or delete it, in"
        " the CloudFormation console"
    )
