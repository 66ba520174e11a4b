"""The job queues that a stage records: JOB_QUEUES, as names, ARNs and globs.

The stage keeps them as names and globs in its environment variables, which the sweep reads too. The
rule of the resources stack contains them as an event pattern. A name that AWS Batch doesn't have
would match no event, silently, so names and globs are checked against the existing queues.
"""

import json
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from infra.errors import CommandError

ALL = "*"
_RULE = "BatchEventsRule"
_MAX_PATTERN = 2_048
"""Characters of an event pattern, a quota of EventBridge."""
_QUEUE = re.compile(r"[A-Za-z0-9_*-]{1,128}")


def parse(text: str, arn_prefix: str, variable: str = "JOB_QUEUES") -> list[str]:
    """Return the names and globs of a comma-separated list. `arn_prefix` is that of the stage,
    `arn:<partition>:batch:<region>:<account>:job-queue/`.

    Raises CommandError if an element is no name, glob or ARN of a queue there.
    """
    queues: list[str] = []
    for element in filter(None, map(str.strip, text.split(","))):
        name = element.removeprefix(arn_prefix)
        if name.startswith("arn:"):
            raise CommandError(
                f"{variable} contains {element}, but the stage records job queues of"
                f" {arn_prefix.removesuffix('job-queue/')} only"
            )
        if not _QUEUE.fullmatch(name):
            raise CommandError(
                f"{variable} must contain names, ARNs or globs with * of job queues, such as"
                f" {variable}='high,genomics-*', not {element!r}"
            )
        queues.append(re.sub(r"\*+", "*", name))
    if not queues:
        raise CommandError(
            f"{variable} must contain names or ARNs of job queues, such as {variable}=high,low"
        )
    return [ALL] if ALL in queues else list(dict.fromkeys(queues))


def without(queues: Sequence[str], removed: Sequence[str]) -> list[str]:
    """Return the queues that are left.

    Raises CommandError if one was not recorded, or if none is left.
    """
    if missing := [queue for queue in removed if queue not in queues]:
        raise CommandError(
            f"REMOVE_QUEUES contains {', '.join(missing)}, but the stage records"
            f" {', '.join(queues)}"
        )
    left = [queue for queue in queues if queue not in removed]
    if not left:
        raise CommandError("REMOVE_QUEUES would leave no job queue to record")
    return left


def matching(queues: Iterable[str], existing: Sequence[str]) -> list[str]:
    """Return which existing queues are recorded. Raise CommandError if a name or a glob matches
    none of them."""
    found: dict[str, None] = {}
    for queue in queues:
        matched = [name for name in existing if fnmatchcase(name, queue)]
        if not matched:
            raise CommandError(
                f"JOB_QUEUES contains {queue}, but AWS Batch has no such job queue here. It has:"
                f" {', '.join(existing) or 'none'}"
            )
        found |= dict.fromkeys(matched)
    return sorted(found)


def with_rule_for(template: str, queues: Sequence[str], arn_prefix: str) -> str:
    """Return the template with a rule that matches the events of these queues.

    A name is matched as the end of the ARN, which is its shortest form, and a glob behind the
    prefix of ARNs, because EventBridge rejects patterns with many wildcards as too complex.

    Raises CommandError if the pattern would exceed the quota of EventBridge.
    """
    parsed: dict[str, Any] = json.loads(template)
    pattern = parsed["Resources"][_RULE]["Properties"]["EventPattern"]
    with_queue = pattern["$or"][0]
    if list(queues) != [ALL]:
        with_queue["detail"] = {
            "jobQueue": [
                {"wildcard": f"{arn_prefix}{queue}"} if "*" in queue else {"suffix": f"/{queue}"}
                for queue in queues
            ]
        }
    length = len(json.dumps(pattern, separators=(",", ":")))
    if length > _MAX_PATTERN:
        raise CommandError(
            f"JOB_QUEUES needs an event pattern of {length:,} characters, and EventBridge allows"
            f" {_MAX_PATTERN:,}: replace names by globs such as genomics-*, or record all with *"
        )
    return json.dumps(parsed)
