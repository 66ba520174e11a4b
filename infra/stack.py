"""Brings a CloudFormation stack to what its template says, in AWS and in the local AWS alike.

One function does both, so that `make run` tries the very path that `make deploy` takes. It knows
nothing of what the stacks hold.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StackError

Event = dict[str, Any]
Report = Callable[[str], None]

DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def deploy_stack(
    cloudformation: Any,
    name: str,
    template: str,
    parameters: Mapping[str, str] | None = None,
    *,
    capabilities: Sequence[str] = (),
    poll_seconds: float = 2.0,
    report: Report = lambda line: None,
) -> dict[str, str]:
    """Creates or updates the stack, waits until that is done, and returns its outputs.

    A parameter that is not given keeps its value, or in a new stack its default. `report` hears
    of each resource that changes its status. StackError tells which of them failed, and why.
    """
    stack = _Stack(cloudformation, name)
    if stack.begin(template, parameters or {}, capabilities):
        stack.wait(poll_seconds, report)
    else:
        report(f"{name}: nothing to change")
    return stack.outputs()


class _Stack:
    def __init__(self, cloudformation: Any, name: str):
        self._cloudformation = cloudformation
        self._name = name
        self._last_event: str | None = None

    def begin(
        self, template: str, parameters: Mapping[str, str], capabilities: Sequence[str]
    ) -> bool:
        """Asks for the change; False when there is nothing to change.

        A first creation that fails is left as it is, and the next try goes on from there: rolling
        it back would leave the table behind, which is retained, and its name taken.
        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
        """
        stack = self._describe()
        request = {
            "StackName": self._name,
            "TemplateBody": template,
            "Capabilities": list(capabilities),
            "Parameters": _values(template, parameters, stack),
        }
        if stack is None:
            self._cloudformation.create_stack(**request, DisableRollback=True)
            return True
        self._last_event = next(self._events())["EventId"]
        return self._update(request, keep_going=stack["StackStatus"] == "CREATE_FAILED")

    def _update(self, request: dict[str, Any], *, keep_going: bool) -> bool:
        try:
            self._cloudformation.update_stack(**request, DisableRollback=keep_going)
        except ClientError as error:
            if "No updates are to be performed" in error.response["Error"]["Message"]:
                return False
            raise
        return True

    def wait(self, poll_seconds: float, report: Report) -> None:
        failures: list[str] = []
        while (status := self._status()).endswith("_IN_PROGRESS"):
            failures += self._tell_news(report)
            time.sleep(poll_seconds)
        failures += self._tell_news(report)
        if status not in DONE:
            raise StackError(f"stack {self._name} is {status}: {'; '.join(failures)}")

    def _tell_news(self, report: Report) -> list[str]:
        """Reports what happened since it was last asked; returns the part of it that failed."""
        last = self._last_event
        news = list(takewhile(lambda event: event["EventId"] != last, self._events()))[::-1]
        for event in news:
            report(_line(event))
            self._last_event = event["EventId"]
        return [_line(event) for event in news if event["ResourceStatus"].endswith("_FAILED")]

    def outputs(self) -> dict[str, str]:
        stack = self._describe() or {}
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def _status(self) -> str:
        return str((self._describe() or {"StackStatus": "GONE"})["StackStatus"])

    def _describe(self) -> dict[str, Any] | None:
        try:
            [stack] = self._cloudformation.describe_stacks(StackName=self._name)["Stacks"]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise
        return dict(stack)

    def _events(self) -> Iterator[Event]:
        """Newest first, as CloudFormation lists them."""
        paginator = self._cloudformation.get_paginator("describe_stack_events")
        for page in paginator.paginate(StackName=self._name):
            yield from page["StackEvents"]


def _values(
    template: str, given: Mapping[str, str], stack: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """The parameters as CloudFormation wants them: those given, and those to keep."""
    known = {one["ParameterKey"] for one in (stack or {}).get("Parameters", [])}
    kept = (known & json.loads(template).get("Parameters", {}).keys()) - given.keys()
    return [
        *({"ParameterKey": key, "ParameterValue": value} for key, value in given.items()),
        *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)),
    ]


def _line(event: Event) -> str:
    reason = event.get("ResourceStatusReason")
    line = f"{event['LogicalResourceId']} {event['ResourceStatus']}"
    return f"{line}: {reason}" if reason else line
