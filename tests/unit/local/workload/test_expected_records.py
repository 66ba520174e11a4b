"""The expected record of each job agrees with its events."""

from local.workload import ExpectedRecord, SimulatedEvent, Workload
from local.workload.events import TERMINAL
from tests.support.simulation.simulated_jobs import (
    exit_code_of,
    finished_attempts_in,
    history_entry_of,
)

CAUSES = {
    "EXIT_CODE",
    "OUT_OF_MEMORY",
    "TIMEOUT",
    "SPOT_INTERRUPTION",
    "IMAGE_PULL",
    "DEPENDENCY_FAILED",
    "CHILD_FAILED",
    "CANCELLED",
    "TERMINATED",
    "TIME_LIMIT",
    "PREEMPTED",
    "UNKNOWN",
}


def test_an_expected_record_contains_what_the_events_contain(
    work: Workload, jobs: dict[str, list[SimulatedEvent]]
) -> None:
    for job_id, events in jobs.items():
        record, last = work.expected[job_id], events[-1]

        assert record.status == last.detail["status"]
        assert record.job_name == last.detail["jobName"]
        assert record.queue == last.detail["jobQueue"].rpartition("/")[2]
        assert record.exit_codes == tuple(map(exit_code_of, finished_attempts_in(last)))
        assert sorted(record.history, key=str) == sorted(map(history_entry_of, events), key=str)
        assert (record.cause is None) == (record.status == "SUCCEEDED")


def test_the_history_is_chronological_except_for_restarted_nodes(
    work: Workload, jobs: dict[str, list[SimulatedEvent]]
) -> None:
    for job_id, events in jobs.items():
        record = work.expected[job_id]
        if sum(status in TERMINAL for status, _ in record.history) == 1:
            assert record.history == tuple(map(history_entry_of, events))


def test_the_history_of_a_restarted_node_has_its_failure_after_the_next_start(
    restarted_nodes: list[ExpectedRecord],
) -> None:
    for node in restarted_nodes:
        position = node.history.index
        assert position(("STARTING", 1)) < position(("STARTING", 2)) < position(("FAILED", 1))
        assert node.history[-1] == (node.status, node.attempts)


def test_every_cause_of_failure_occurs_and_no_other(records: list[ExpectedRecord]) -> None:
    assert {record.cause for record in records} == CAUSES | {None}
