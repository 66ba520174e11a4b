"""Arrays, multi-node jobs, dependencies and service jobs, as in AWS Batch."""

import re
from collections import Counter, defaultdict

from local.workload import ExpectedRecord, SimulatedEvent, Workload, job_arn
from tests.support.simulation.simulated_jobs import is_service


def test_an_array_parent_ends_after_its_children_and_fails_if_one_has_failed(
    work: Workload, jobs: dict[str, list[SimulatedEvent]]
) -> None:
    parents = [e[-1] for e in jobs.values() if "size" in e[-1].detail.get("arrayProperties", {})]

    assert parents
    for parent in parents:
        size = parent.detail["arrayProperties"]["size"]
        children = [work.expected[f"{parent.job_id}:{index}"] for index in range(size)]
        summary = Counter(parent.detail["arrayProperties"]["statusSummary"])
        record = work.expected[parent.job_id]

        assert 2 <= size <= 10_000
        assert all(jobs[child.job_id][-1].at < parent.at for child in children)
        assert +summary == Counter(child.status for child in children)
        assert record.cause == ("CHILD_FAILED" if summary["FAILED"] else None)
        assert [status for status, _ in record.history][-2:] == ["PENDING", record.status]


def test_only_children_and_nodes_have_a_parent_and_an_index(work: Workload) -> None:
    members = [r for r in work.expected.values() if re.search("[:#]", r.job_id)]

    assert members
    for record in work.expected.values():
        root, _, index = record.job_id.replace("#", ":").partition(":")
        expected = (root, int(index)) if record in members else (None, None)
        assert (record.parent_id, record.index) == expected


def test_the_tag_resource_arn_of_a_child_is_its_parents_arn(work: Workload) -> None:
    for event in work.events:
        if "index" in event.detail.get("arrayProperties", {}):
            parent_arn = event.detail["jobArn"].rpartition(":")[0]
            assert event.detail["tags"]["resourceArn"] == parent_arn


def test_the_main_node_ends_as_its_parent(work: Workload) -> None:
    parents = {event.job_id for event in work.events if "nodeProperties" in event.detail}

    assert parents
    for parent in map(work.expected.__getitem__, parents):
        main = work.expected[f"{parent.job_id}#0"]
        assert (main.status, main.exit_codes, main.cause) == (
            parent.status,
            parent.exit_codes,
            parent.cause,
        )


def test_a_retry_of_the_main_node_restarts_failed_nodes(
    restarted_nodes: list[ExpectedRecord],
) -> None:
    assert any(node.status == "SUCCEEDED" and node.cause is None for node in restarted_nodes)
    assert all("#" in node.job_id and node.index for node in restarted_nodes)


def test_dependents_wait_for_all_dependencies_and_fail_with_the_first_failure(
    work: Workload, jobs: dict[str, list[SimulatedEvent]]
) -> None:
    dependents = [events for events in jobs.values() if events[0].detail.get("dependsOn")]

    causes = Counter[str | None]()
    for events in dependents:
        needed = [jobs[need["jobId"]][-1] for need in events[0].detail["dependsOn"]]
        failures = [need.at for need in needed if need.detail["status"] == "FAILED"]
        resolved = min(failures) if failures else max(need.at for need in needed)
        later = [e.at for e in events if e.detail["status"] not in ("SUBMITTED", "PENDING")]
        cause = work.expected[events[0].job_id].cause
        causes[cause] += 1

        assert 1 <= len(needed) <= 20
        if cause != "CANCELLED":
            assert later[0] > resolved
            assert bool(failures) == (cause == "DEPENDENCY_FAILED")

    assert causes["DEPENDENCY_FAILED"]
    assert causes[None]


# Service jobs


def test_a_training_queue_has_service_jobs_only_and_no_other_queue_has_any(
    work: Workload,
) -> None:
    for event in work.events:
        assert is_service(event) == ("training" in event.detail["jobQueue"])
        assert is_service(event) == ("serviceJobType" in event.detail)
        assert (":service-job/" in job_arn(event.detail)) == is_service(event)


def test_only_a_service_job_is_scheduled_before_it_starts(
    jobs: dict[str, list[SimulatedEvent]],
) -> None:
    for events in jobs.values():
        statuses = [event.detail["status"] for event in events]
        assert statuses.count("SCHEDULED") == is_service(events[0]) * statuses.count("STARTING")


def test_each_preemption_has_two_events_and_is_in_the_jobs_own_events(
    work: Workload, jobs: dict[str, list[SimulatedEvent]]
) -> None:
    steps: dict[str, Counter[str]] = defaultdict(Counter)
    for event in work.preemptions:
        assert job_arn(event.detail).endswith(f":service-job/{event.job_id}")
        assert not {"jobId", "jobQueue", "jobName"} & event.detail.keys()
        steps[event.job_id][event.detail_type.rpartition(" ")[2]] += 1

    assert steps
    for job_id, events in jobs.items():
        summary = events[-1].detail.get("preemptionSummary", {"preemptedAttemptCount": 0})
        count = summary["preemptedAttemptCount"]
        assert (steps[job_id]["Started"], steps[job_id]["Completed"]) == (count, count)
