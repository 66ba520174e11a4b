"""Creation and update of a CloudFormation stack, in AWS and in the local AWS.

`make run` and `make deploy` use the same function, so local runs exercise the path of a real
deployment. This module must not know what the stacks contain.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.errors import StackError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef, StackTypeDef

Report = Callable[[str], None]
"""Receives one line for each change of a resource's status."""

_COMPLETE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


@dataclass(frozen=True)
class StackSpec:
    """A stack as it should be. A parameter that is not given keeps its value; in a new stack it
    has its default."""

    name: str
    template: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    capabilities: Sequence[str] = ()


def deploy_stack(
    cloudformation: "CloudFormationClient",
    spec: StackSpec,
    *,
    poll_seconds: float = 2.0,
    report: Report = lambda line: None,
) -> dict[str, str]:
    """Create or update a stack, wait until that is complete, and return the stack's outputs.

    Raises StackError with each failed resource and the reason.
    """
    stack = _Stack(cloudformation, spec.name)
    if stack.start(spec):
        stack.wait(poll_seconds, report)
    else:
        report(f"{spec.name}: no changes")
    return stack.outputs()


class _Stack:
    def __init__(self, cloudformation: "CloudFormationClient", name: str) -> None:
        self._cloudformation = cloudformation
        self._name = name
        self._last_event_id: str | None = None

    def start(self, spec: StackSpec) -> bool:
        """Start a creation or an update. Return False if there is nothing to change.

        A failed first creation is not rolled back, so that the next deployment continues it. A
        rollback would leave the table, which is retained, and later creations would fail because
        its name exists.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
        """
        stack = self._describe()
        request: dict[str, Any] = {
            "StackName": self._name,
            "TemplateBody": spec.template,
            "Capabilities": list(spec.capabilities),
            "Parameters": _parameters(spec, stack),
        }
        if stack is None:
            self._cloudformation.create_stack(**request, DisableRollback=True)
            return True
        self._last_event_id = next(self._events())["EventId"]
        return self._update(request, is_recovery=stack["StackStatus"] == "CREATE_FAILED")

    def _update(self, request: dict[str, Any], *, is_recovery: bool) -> bool:
        try:
            self._cloudformation.update_stack(**request, DisableRollback=is_recovery)
        except ClientError as error:
            if "No updates are to be performed" in error.response["Error"]["Message"]:
                return False
            raise
        return True

    def wait(self, poll_seconds: float, report: Report) -> None:
        failures: list[str] = []
        while (status := self._status()).endswith("_IN_PROGRESS"):
            failures += self._report_new_events(report)
            time.sleep(poll_seconds)
        failures += self._report_new_events(report)
        if status not in _COMPLETE:
            raise StackError(f"stack {self._name} is {status}: {'; '.join(failures)}")

    def _report_new_events(self, report: Report) -> list[str]:
        """Report the events since the last call; return the lines of those that are failures."""
        last = self._last_event_id
        new = list(takewhile(lambda event: event["EventId"] != last, self._events()))[::-1]
        for event in new:
            report(_line(event))
            self._last_event_id = event["EventId"]
        return [_line(event) for event in new if event["ResourceStatus"].endswith("_FAILED")]

    def outputs(self) -> dict[str, str]:
        stack = self._describe()
        outputs = stack.get("Outputs", []) if stack else []
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def _status(self) -> str:
        stack = self._describe()
        return stack["StackStatus"] if stack else "DELETED"

    def _describe(self) -> "StackTypeDef | None":
        try:
            [stack] = self._cloudformation.describe_stacks(StackName=self._name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        return stack

    def _events(self) -> "Iterator[StackEventTypeDef]":
        """Yield the stack's events, newest first, as CloudFormation lists them."""
        paginator = self._cloudformation.get_paginator("describe_stack_events")
        for page in paginator.paginate(StackName=self._name):
            yield from page["StackEvents"]


def _parameters(spec: StackSpec, stack: "StackTypeDef | None") -> list[dict[str, Any]]:
    """Return the request's parameters: the given values, and the others that keep their value."""
    current = stack.get("Parameters", []) if stack else []
    existing = {parameter["ParameterKey"] for parameter in current}
    in_template = json.loads(spec.template).get("Parameters", {}).keys()
    kept = (existing & in_template) - spec.parameters.keys()
    return [
        *({"ParameterKey": key, "ParameterValue": value} for key, value in spec.parameters.items()),
        *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)),
    ]


def _line(event: "StackEventTypeDef") -> str:
    reason = event.get("ResourceStatusReason")
    line = f"{event['LogicalResourceId']} {event['ResourceStatus']}"
    return f"{line}: {reason}" if reason else line
