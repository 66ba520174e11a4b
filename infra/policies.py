"""IAM policies of the functions, rendered for a stage: `python -m infra.policies`.

The policies of prod are written by hand, one file per function, because Chalice reads a file per
stage and function. The files of other stages are rendered from them by replacing the stage's name
in resource names. The stage `local` has additional statements where the local AWS checks other
permissions than AWS does. As a command, this module rewrites the rendered files of all stages in
.chalice/config.json; a test compares them.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

CHALICE = Path(__file__).parent.parent / ".chalice"
SOURCE = "prod"
"""The stage whose configuration and policies are written by hand."""
LOCAL = "local"

Json = dict[str, Any]

_SQS_ACTIONS = ("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:SendMessage")
_LOG_STREAM = ":log-stream:"


def render_stage_name(text: str, stage: str) -> str:
    """Replace prod's name with the stage's in names of resources and policy files."""
    for prefix in ("batchwatch-", "policy-"):
        text = text.replace(f"{prefix}{SOURCE}", f"{prefix}{stage}")
    return text


def policies(stage: str, folder: Path = CHALICE) -> Iterator[tuple[Path, str]]:
    """Yield the path and the content of each of the stage's policy files."""
    functions = read_config(folder)["stages"][SOURCE]["lambda_functions"]
    for path in sorted(folder / function["iam_policy_file"] for function in functions.values()):
        policy = render_stage_name(path.read_text(), stage)
        if stage == LOCAL:
            policy = _with_local_statements(policy)
        yield path.with_name(render_stage_name(path.name, stage)), policy


def _with_local_statements(policy: str) -> str:
    document = json.loads(policy)
    document["Statement"] += _local_statements(document["Statement"])
    return json.dumps(document, indent=2) + "\n"


def _local_statements(statements: Sequence[Json]) -> Iterator[Json]:
    """Yield what the local AWS requires in addition.

    For BatchExecuteStatement and the SQS batch calls it checks an action of the call's own name,
    where AWS checks the PartiQL actions and the actions for a single message. For GetLogEvents it
    checks the log group, where AWS checks the log stream.
    """
    actions = {action for statement in statements for action in statement["Action"]}
    if any(action.startswith("dynamodb:PartiQL") for action in actions):
        yield _allow("LocalAwsBatchExecuteStatement", ["dynamodb:BatchExecuteStatement"], ["*"])
    if batched := actions & set(_SQS_ACTIONS):
        queues = _resources(statements, _SQS_ACTIONS)
        yield _allow("LocalAwsSqsBatches", [f"{action}Batch" for action in batched], queues)
    if streams := _resources(statements, ["logs:GetLogEvents"]):
        groups = [stream.partition(_LOG_STREAM)[0] for stream in streams]
        yield _allow("LocalAwsLogGroups", ["logs:GetLogEvents"], groups)


def _resources(statements: Sequence[Json], actions: Sequence[str]) -> list[str]:
    """Return the resources of the statements that allow one of the actions."""
    return [
        resource
        for statement in statements
        if set(statement["Action"]) & set(actions)
        for resource in statement["Resource"]
    ]


def _allow(sid: str, actions: Sequence[str], resources: Sequence[str]) -> Json:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": sorted(actions),
        "Resource": sorted(resources),
    }


def read_config(folder: Path) -> Json:
    config: Json = json.loads((folder / "config.json").read_text())
    return config


def write_policies(stage: str, folder: Path = CHALICE) -> None:
    for path, policy in policies(stage, folder):
        path.write_text(policy)


if __name__ == "__main__":
    for stage in read_config(CHALICE)["stages"]:
        write_policies(stage)
