"""The containers of a job: those that its definition lists, how each of them ended in an attempt,
and which of them determined the result.

When an essential container ends, ECS stops the other containers (exit code 137 or 143). AWS reports
no times of containers and lists them in any order, so the one that ended first is the essential
container that ended by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from chalicelib.jobs.failure.aws_text import stated_of_container
from chalicelib.jobs.failure.cause import Cause
from chalicelib.jobs.job import BATCH_LOG_GROUP, ContainerEnd
from chalicelib.jobs.job_detail.fields import (
    MAX_ENTRIES,
    MAX_NAME,
    MAX_TEXT,
    redacted_text,
    truncated,
)
from chalicelib.jobs.job_detail.shapes import Container, Containers, JobDetail, ServiceJobDetail
from chalicelib.redaction import Redaction

_STOPPED: Final = frozenset({137, 143})
"""Exit codes of a container that was stopped, which say nothing about why."""


def defined_containers(detail: JobDetail) -> list[Container]:
    """Return the containers of the job's definition; those of the main node of a multi-node job."""
    nodes = detail.node_properties
    ranges = (nodes.node_range_properties if nodes else None) or []
    main = (nodes.main_node if nodes else None) or 0
    of_main_node = next((each for each in ranges if each.contains(main)), None)
    return detail.all_containers() or (of_main_node.all_containers() if of_main_node else [])


def main_container(containers: Sequence[Container]) -> Container:
    """Return the first essential container."""
    essential = (container for container in containers if container.is_essential)
    return next(essential, next(iter(containers), Container()))


def container_ends(
    attempt: Containers, defined: Sequence[Container], redaction: Redaction
) -> tuple[ContainerEnd, ...]:
    """Return the containers of an attempt: first the one that determined its result, in an order
    that does not depend on AWS's."""
    definitions = {container.name: container for container in defined}
    ends = [_end(each, definitions, redaction) for each in attempt.all_containers()]
    ends += [
        _end(each, definitions, redaction, is_init=True) for each in attempt.all_init_containers()
    ]
    return tuple(sorted(ends, key=_order)[:MAX_ENTRIES])


def log_group(detail: JobDetail) -> str | None:
    """Return the CloudWatch log group of the main container, or None if AWS Batch configures no
    CloudWatch log: EKS, a service job, another log driver."""
    if detail.eks_properties is not None or isinstance(detail, ServiceJobDetail):
        return None
    containers = defined_containers(detail)
    if not containers:
        return None if detail.container is None else BATCH_LOG_GROUP
    return _log_group(main_container(containers))


def log_driver(container: Container) -> str | None:
    """Return the name of a log driver other than CloudWatch's."""
    driver = container.log_configuration.log_driver if container.log_configuration else None
    return None if driver == "awslogs" else truncated(driver, MAX_NAME)


def _log_group(container: Container) -> str | None:
    if log_driver(container):
        return None
    configuration = container.log_configuration
    options = (configuration.options if configuration else None) or {}
    return truncated(options.get("awslogs-group"), MAX_TEXT) or BATCH_LOG_GROUP


def _end(
    container: Container,
    definitions: Mapping[str | None, Container],
    redaction: Redaction,
    *,
    is_init: bool = False,
) -> ContainerEnd:
    defined = definitions.get(container.name, container)
    return ContainerEnd(
        name=truncated(container.name, MAX_NAME),
        is_essential=defined.is_essential,
        is_init=is_init,
        exit_code=container.exit_code,
        reason=redacted_text(container.reason, redaction),
        log_stream_name=truncated(container.log_stream_name, MAX_TEXT),
        log_group=_log_group(defined),
    )


def _order(end: ContainerEnd) -> tuple[int, str, int, str, str]:
    """Return a sort key that puts the container that determined the result first."""
    exit_code = -1 if end.exit_code is None else end.exit_code
    return _rank(end), end.name or "", exit_code, end.reason or "", end.log_stream_name or ""


def _rank(end: ContainerEnd) -> int:
    statement = stated_of_container(end.reason)
    is_explained = statement is not None and statement.cause is not Cause.UNKNOWN
    failed = end.exit_code not in (None, 0, *_STOPPED) or is_explained
    if not end.is_essential:
        # An essential container may wait for this one and therefore never start.
        return 3 if failed else 5
    if failed:
        return 0
    if end.exit_code is None and end.reason:
        return 1
    return 2 if end.exit_code in _STOPPED else 4
