"""Asks AWS Batch for the state of job queues, their environments and their first jobs.

A run asks for all queues with two or three calls for each hundred of them, and for the first jobs
of queues in which jobs wait, as far as its calls suffice. If a permission is missing, the sweep
continues without these facts, and its log names the permission.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib import telemetry
from chalicelib.aws.dynamodb import chunks
from chalicelib.jobs.waiting.queue_environment import (
    ENABLED,
    ConsumableResource,
    Environment,
    QueueEnvironment,
    QuotaShare,
    TimeLimit,
)
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.batch_api import (
    BatchApi,
    BatchRefused,
    BatchStopped,
    CallBudget,
    QueueFront,
)
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import (
        ComputeEnvironmentDetailTypeDef,
        JobQueueDetailTypeDef,
        QuotaShareDetailTypeDef,
        ServiceEnvironmentDetailTypeDef,
    )

_T = TypeVar("_T")

_MAX_DESCRIBED = 100
_MAX_REASON = 1_024


class EnvironmentRun(NamedTuple):
    """One run's access to AWS Batch, which began at `now` (epoch milliseconds)."""

    api: BatchApi
    now: int

    @property
    def calls(self) -> int:
        return self.api.budget.calls


class EnvironmentReader:
    """Reads through Batch's boto3 client, with at most `max_calls` calls a run."""

    def __init__(
        self,
        batch: "BatchClient",
        redaction: Redaction,
        max_calls: int,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._batch = batch
        self._redaction = redaction
        self._max_calls = max_calls
        self._runtime = runtime

    def start_run(self, time_left: Callable[[], float]) -> EnvironmentRun:
        budget = CallBudget(self._max_calls, time_left)
        api = BatchApi(self._batch, budget, self._redaction, self._runtime)
        return EnvironmentRun(api, self._runtime.now_ms())

    def environments(
        self, run: EnvironmentRun, queues: Iterable[str]
    ) -> dict[str, QueueEnvironment]:
        """Return the queues that exist, without those that can't be read in this run."""
        found: dict[str, QueueEnvironment] = {}
        try:
            for names in chunks(list(queues), _MAX_DESCRIBED):
                described = run.api.describe_queues(names)
                environments = self._environments_of(run, described)
                found |= {
                    queue["jobQueueName"]: self._queue(queue, environments, run.now)
                    for queue in described
                }
        except BatchStopped:
            return found
        except BatchRefused as error:
            telemetry.warning(LogEvent.QUEUE_NOT_DESCRIBED, error=str(error))
        return found

    def fronts(self, run: EnvironmentRun, queues: Iterable[str]) -> dict[str, QueueFront]:
        """Return the first jobs of as many queues as the calls suffice for, in random order, so
        that each queue has its turn."""
        return self._by_name(queues, run.api.front)

    def shares(
        self, run: EnvironmentRun, fronts: Mapping[str, QueueFront]
    ) -> dict[str, tuple[QuotaShare, ...]]:
        """Return the quota shares of these queues, with what they use."""
        listed = self._by_name(fronts, run.api.quota_shares)
        return {
            queue: tuple(_quota_share(share, fronts[queue].used_by_share) for share in shares)
            for queue, shares in listed.items()
        }

    def consumables(
        self, run: EnvironmentRun, names: Iterable[str]
    ) -> dict[str, ConsumableResource]:
        """Return the consumable resources that exist, by name."""
        described = self._by_name(names, run.api.consumable_resource)
        return {
            name: ConsumableResource(
                name, resource.get("availableQuantity", 0), resource.get("totalQuantity", 0)
            )
            for name, resource in described.items()
            if resource
        }

    def _by_name(self, names: Iterable[str], describe: Callable[[str], _T]) -> dict[str, _T]:
        """Make one call for each name, as far as the calls suffice, in random order."""
        found: dict[str, _T] = {}
        for name in sorted(names, key=lambda _: self._runtime.random()):
            try:
                found[name] = describe(name)
            except BatchStopped:
                break
            except BatchRefused as error:
                telemetry.warning(LogEvent.QUEUE_NOT_DESCRIBED, resource=name, error=str(error))
                if not error.concerns_one_resource:
                    break
        return found

    def _environments_of(
        self, run: EnvironmentRun, queues: Sequence["JobQueueDetailTypeDef"]
    ) -> dict[str, Environment]:
        """Return the environments of queues by ARN and by name."""
        compute = {name for queue in queues for name in _compute_environments(queue)}
        service = {name for queue in queues for name in _service_environments(queue)}
        found: dict[str, Environment] = {}
        for names in chunks(sorted(compute), _MAX_DESCRIBED):
            for described in run.api.describe_compute_environments(names):
                environment = self._compute_environment(described)
                arn = described["computeEnvironmentArn"]
                found |= {arn: environment, environment.name: environment}
        for names in chunks(sorted(service), _MAX_DESCRIBED):
            for described_service in run.api.describe_service_environments(names):
                environment = _service_environment(described_service)
                arn = described_service["serviceEnvironmentArn"]
                found |= {arn: environment, environment.name: environment}
        return found

    def _queue(
        self, queue: "JobQueueDetailTypeDef", environments: Mapping[str, Environment], now: int
    ) -> QueueEnvironment:
        names = [*_compute_environments(queue), *_service_environments(queue)]
        return QueueEnvironment(
            as_of=now,
            state=queue["state"],
            status=queue.get("status", "VALID"),
            reason=self._reason(queue.get("statusReason")),
            environments=tuple(environments[name] for name in names if name in environments),
            time_limits=tuple(
                TimeLimit(
                    reason=limit["reason"],
                    max_seconds=limit["maxTimeSeconds"],
                    action=limit["action"],
                )
                for limit in queue.get("jobStateTimeLimitActions", [])
            ),
        )

    def _compute_environment(self, environment: "ComputeEnvironmentDetailTypeDef") -> Environment:
        resources = environment.get("computeResources")
        return Environment(
            name=environment["computeEnvironmentName"],
            state=environment.get("state", "ENABLED"),
            status=environment.get("status", "VALID"),
            reason=self._reason(environment.get("statusReason")),
            type=resources["type"] if resources else "",
            desired_vcpus=resources.get("desiredvCpus") if resources else None,
            max_vcpus=resources["maxvCpus"] if resources else None,
        )

    def _reason(self, reason: str | None) -> str:
        return self._redaction.text(reason)[:_MAX_REASON] if reason else ""


def _service_environment(environment: "ServiceEnvironmentDetailTypeDef") -> Environment:
    return Environment(
        name=environment["serviceEnvironmentName"],
        state=environment.get("state", "ENABLED"),
        status=environment.get("status", "VALID"),
        type=environment["serviceEnvironmentType"],
    )


def _quota_share(
    share: "QuotaShareDetailTypeDef", used: Mapping[tuple[str, str], float]
) -> QuotaShare:
    """Return the share by the unit of which it uses the most. It may borrow a percentage of its own
    limit from others."""
    name, sharing = share["quotaShareName"], share.get("resourceSharingConfiguration", {})
    borrows = sharing.get("strategy") == "LEND_AND_BORROW"
    factor = 1 + (sharing.get("borrowLimit", 0) / 100 if borrows else 0)
    limits = [
        (used.get((name, limit["capacityUnit"]), 0.0), limit["maxCapacity"] * factor, limit)
        for limit in share.get("capacityLimits", [])
    ]
    if not limits:
        return QuotaShare(name=name, state=share.get("state", ENABLED))
    in_use, most, limit = max(limits, key=lambda each: each[0] / (each[1] or 1))
    return QuotaShare(
        name=name,
        state=share.get("state", ENABLED),
        unit=limit["capacityUnit"],
        in_use=in_use,
        most=most,
    )


def _compute_environments(queue: "JobQueueDetailTypeDef") -> list[str]:
    order = sorted(queue["computeEnvironmentOrder"], key=lambda each: each["order"])
    return [each["computeEnvironment"] for each in order]


def _service_environments(queue: "JobQueueDetailTypeDef") -> list[str]:
    order = sorted(queue.get("serviceEnvironmentOrder", []), key=lambda each: each["order"])
    return [each["serviceEnvironment"] for each in order]
