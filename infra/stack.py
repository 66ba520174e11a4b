"""Brings a CloudFormation stack to what its template says, in AWS and in the local AWS alike.

One function does both, so that `make run` tries the very path that `make deploy` takes. It knows
nothing of what the stacks hold.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any

from botocore.exceptions import ClientError

from infra.errors import StackError

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

    `report` is given a line for each resource that changes its status. A parameter that is not
    given keeps its value, or in a new stack its default.
    """
    before = _status(cloudformation, name)
    last_event = None if before is None else next(_events(cloudformation, name))["EventId"]
    if not _begin(cloudformation, name, before, template, dict(parameters or {}), capabilities):
        report(f"{name}: nothing to change")
        return _outputs(cloudformation, name)

    reasons: list[str] = []
    while True:
        status = _status(cloudformation, name)
        for event in _events_since(cloudformation, name, last_event):
            last_event = event["EventId"]
            line = _line(event)
            report(line)
            if event["ResourceStatus"].endswith("_FAILED"):
                reasons.append(line)
        if status is None or not status.endswith("_IN_PROGRESS"):
            break
        time.sleep(poll_seconds)
    if status not in DONE:
        raise StackError(f"stack {name} is {status}: " + "; ".join(reasons or ["no reason given"]))
    return _outputs(cloudformation, name)


def _begin(
    cloudformation: Any,
    name: str,
    status: str | None,
    template: str,
    parameters: dict[str, str],
    capabilities: Sequence[str],
) -> bool:
    """Asks for the change; False when there is nothing to change.

    A first creation that fails is left as it is, to go on from there with the next try: rolling
    it back would leave behind the table, which is retained, and whose name would then be taken.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/stack-failure-options.html
    """
    request = {"StackName": name, "TemplateBody": template, "Capabilities": list(capabilities)}
    given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    if status is None:
        cloudformation.create_stack(**request, Parameters=given, DisableRollback=True)
        return True
    kept = [
        {"ParameterKey": key, "UsePreviousValue": True}
        for key in _parameters(cloudformation, name)
        if key not in parameters
    ]
    try:
        cloudformation.update_stack(
            **request, Parameters=given + kept, DisableRollback=status == "CREATE_FAILED"
        )
    except ClientError as error:
        if "No updates are to be performed" in error.response["Error"]["Message"]:
            return False
        raise
    return True


def _describe(cloudformation: Any, name: str) -> dict[str, Any]:
    stacks: list[dict[str, Any]] = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return stacks[0]


def _status(cloudformation: Any, name: str) -> str | None:
    try:
        return str(_describe(cloudformation, name)["StackStatus"])
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise


def _parameters(cloudformation: Any, name: str) -> list[str]:
    stack = _describe(cloudformation, name)
    return [parameter["ParameterKey"] for parameter in stack.get("Parameters", [])]


def _outputs(cloudformation: Any, name: str) -> dict[str, str]:
    stack = _describe(cloudformation, name)
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _events(cloudformation: Any, name: str) -> Iterator[dict[str, Any]]:
    """The stack's events, newest first, as CloudFormation lists them."""
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=name):
        yield from page["StackEvents"]


def _events_since(cloudformation: Any, name: str, last: str | None) -> list[dict[str, Any]]:
    newer = takewhile(lambda event: event["EventId"] != last, _events(cloudformation, name))
    return list(newer)[::-1]


def _line(event: Mapping[str, Any]) -> str:
    reason = event.get("ResourceStatusReason")
    line = f"{event['LogicalResourceId']} {event['ResourceStatus']}"
    return f"{line}: {reason}" if reason else line
