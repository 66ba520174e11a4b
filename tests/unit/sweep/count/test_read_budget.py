"""Each pass of a run has its share of what the passes before it have left."""

from chalicelib.sweep.count.read_budget import ReadBudget


def read_by_passes(needs: list[int], max_jobs: int) -> list[int]:
    """Return how many jobs each pass reads, by how many it needs."""
    budget = ReadBudget(lambda: 100, max_jobs, len(needs))
    read: list[int] = []
    for need in needs:
        before = budget.jobs_read
        budget.begin_pass()
        while budget.jobs_read - before < need and not budget.is_spent:
            budget.jobs_read += 1
        read.append(budget.jobs_read - before)
    return read


def test_a_pass_reads_what_others_have_left() -> None:
    assert read_by_passes([0, 0, 500, 0, 500], 1_000) == [0, 0, 333, 0, 500]


def test_no_pass_uses_up_the_share_of_others() -> None:
    assert read_by_passes([10_000, 100, 100, 10_000], 1_000) == [250, 100, 100, 550]


def test_a_busy_queue_among_hundreds_reads_more_than_an_equal_share() -> None:
    assert read_by_passes([900, *[0] * 1_999], 250_000)[0] == 900


def test_a_run_is_exhausted_by_its_jobs_or_its_time() -> None:
    budget = ReadBudget(lambda: 100, 5, 1)
    late = ReadBudget(lambda: 0, 5, 1)

    budget.begin_pass()
    budget.jobs_read = 5

    assert budget.is_exhausted
    assert late.is_exhausted
    assert late.is_out_of_time
