"""Creation, update and deletion of a CloudFormation stack, in AWS and in the local AWS.

`make run` and `make deploy` use the same function, so local runs exercise the path of a real
deployment. `step` decides what to do about a stack in any status. This package must not know what
the stacks contain.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.errors import StackError
from infra.stack.step import Step, next_step

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import (
        DescribeChangeSetOutputTypeDef,
        ParameterTypeDef,
        StackEventTypeDef,
        StackTypeDef,
    )

Report = Callable[[str], None]
"""Receives one line for each change of a resource's status."""

_BEING_CREATED = ("CREATE_PENDING", "CREATE_IN_PROGRESS")
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
    retained: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    poll_seconds: float = 2.0,
    report: Report = lambda line: None,
) -> dict[str, str]:
    """Create or update a stack, wait until that is complete, and return the stack's outputs.

    After a failure, continue from the status in which the stack is. `retained` are resources that
    an earlier stack left and a new one has to adopt: the identifier of each, by its logical id.

    Raises StackError with each failed resource and the reason.
    """
    stack = _Stack(cloudformation, spec.name, poll_seconds, report)
    while (step := next_step(stack.status())) not in (Step.CREATE, Step.UPDATE, Step.CONTINUE):
        report(f"{spec.name}: {stack.status()}, {step.name.lower().replace('_', ' ')}")
        stack.prepare(step)
    if step is Step.CREATE and retained:
        report(f"{spec.name}: adopts {', '.join(sorted(retained))} of an earlier stack")
        stack.adopt(spec, retained)
        step = Step.UPDATE
    if not stack.deploy(spec, step):
        report(f"{spec.name}: no changes")
    return stack.outputs()


def delete_stack(
    cloudformation: "CloudFormationClient",
    name: str,
    *,
    poll_seconds: float = 2.0,
    report: Report = lambda line: None,
) -> bool:
    """Delete a stack, protected or not, and wait until that is complete. Return False if there is
    none. Raises StackError with each resource that could not be deleted."""
    stack = _Stack(cloudformation, name, poll_seconds, report)
    if stack.status() is None:
        return False
    stack.prepare(Step.DELETE)
    return True


class _Stack:
    def __init__(
        self,
        cloudformation: "CloudFormationClient",
        name: str,
        poll_seconds: float,
        report: Report,
    ) -> None:
        self._cloudformation = cloudformation
        self._name = name
        self._poll_seconds = poll_seconds
        self._report = report
        self._last_event_id: str | None = None

    def deploy(self, spec: StackSpec, step: Step) -> bool:
        """Create or update the stack. Return False if there is nothing to change."""
        request: dict[str, Any] = {
            "StackName": self._name,
            "TemplateBody": spec.template,
            "Capabilities": list(spec.capabilities),
            "Parameters": _parameters(spec, self._describe()),
            "DisableRollback": step is not Step.UPDATE,
        }
        if step is Step.CREATE:
            self._cloudformation.create_stack(**request)
        elif not self._update(request):
            return False
        self._wait(_COMPLETE)
        return True

    def _update(self, request: dict[str, Any]) -> bool:
        self._skip_events()
        try:
            self._cloudformation.update_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" in error.response["Error"]["Message"]:
                return False
            raise
        return True

    def prepare(self, step: Step) -> None:
        """Take a step after which the stack can be created or updated, or another step is next."""
        self._skip_events()
        if step is Step.DELETE:
            self._cloudformation.update_termination_protection(
                StackName=self._name, EnableTerminationProtection=False
            )
            self._cloudformation.delete_stack(StackName=self._name)
            self._wait((None, "DELETE_COMPLETE"))
        elif step is Step.CONTINUE_ROLLBACK:
            self._cloudformation.continue_update_rollback(StackName=self._name)
            self._wait(("UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"))
        else:
            self._wait(None)

    def adopt(self, spec: StackSpec, retained: Mapping[str, Mapping[str, str]]) -> None:
        """Create the stack from existing resources only, as an import requires."""
        template = json.loads(spec.template)
        resources = {name: template["Resources"][name] for name in retained}
        parts = {key: part for key, part in template.items() if key != "Outputs"}
        self._cloudformation.create_change_set(
            StackName=self._name,
            ChangeSetName="adopt",
            ChangeSetType="IMPORT",
            TemplateBody=json.dumps({**parts, "Resources": resources}),
            Parameters=_parameters(spec, None),
            ResourcesToImport=[
                {
                    "LogicalResourceId": name,
                    "ResourceType": resources[name]["Type"],
                    "ResourceIdentifier": dict(identifier),
                }
                for name, identifier in retained.items()
            ],
        )
        while (change_set := self._change_set())["Status"] in _BEING_CREATED:
            time.sleep(self._poll_seconds)
        if change_set["ExecutionStatus"] != "AVAILABLE":
            reason = change_set.get("StatusReason")
            raise StackError(f"stack {self._name} can't adopt its resources: {reason}")
        self._cloudformation.execute_change_set(StackName=self._name, ChangeSetName="adopt")
        self._wait(("IMPORT_COMPLETE",))

    def _change_set(self) -> "DescribeChangeSetOutputTypeDef":
        return self._cloudformation.describe_change_set(StackName=self._name, ChangeSetName="adopt")

    def _wait(self, expected: Sequence[str | None] | None) -> None:
        """Wait until no operation is in progress. Raise StackError if the status is not one of the
        expected ones; None expects any status."""
        failures: list[str] = []
        while (status := self.status()) and status.endswith("_IN_PROGRESS"):
            failures += self._report_new_events()
            time.sleep(self._poll_seconds)
        if status:
            failures += self._report_new_events()
        if expected is not None and status not in expected:
            raise StackError(f"stack {self._name} is {status}: {'; '.join(failures)}")

    def _skip_events(self) -> None:
        """Report no event before this call."""
        self._last_event_id = next(self._events())["EventId"]

    def _report_new_events(self) -> list[str]:
        """Report the events since the last call; return the lines of those that are failures."""
        last = self._last_event_id
        new = list(takewhile(lambda event: event["EventId"] != last, self._events()))[::-1]
        for event in new:
            self._report(_line(event))
            self._last_event_id = event["EventId"]
        return [_line(event) for event in new if event["ResourceStatus"].endswith("_FAILED")]

    def outputs(self) -> dict[str, str]:
        stack = self._describe()
        outputs = stack.get("Outputs", []) if stack else []
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def status(self) -> str | None:
        stack = self._describe()
        return stack["StackStatus"] if stack else None

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


def _parameters(spec: StackSpec, stack: "StackTypeDef | None") -> "list[ParameterTypeDef]":
    """Return the request's parameters: the given values, and the others that keep their value."""
    current = stack.get("Parameters", []) if stack else []
    existing = {parameter["ParameterKey"] for parameter in current}
    in_template = json.loads(spec.template).get("Parameters", {}).keys()
    kept = (existing & in_template) - spec.parameters.keys()
    given: list[ParameterTypeDef] = [
        {"ParameterKey": key, "ParameterValue": value} for key, value in spec.parameters.items()
    ]
    return given + [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)]


def _line(event: "StackEventTypeDef") -> str:
    reason = event.get("ResourceStatusReason")
    line = f"{event['LogicalResourceId']} {event['ResourceStatus']}"
    return f"{line}: {reason}" if reason else line
