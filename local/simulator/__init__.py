"""Simulated jobs for a running local stack, and the comparison of what was recorded.

    python -m local.simulator --jobs 2000 --shuffle --duplicate    # make simulate JOBS=2000 …

`make simulate` sends the events of a workload (local.workload), waits until they are recorded,
and compares each job in the API with its expected record. `make run` uses `feed`, an endless
stream of jobs in fast motion. This package uses the product only as its clients do: through the
event bus and the API, without its code and its table.

    __main__      the command, from its options to the report
    delivery      drops, duplicates and reorders events
    comparison    compares the API's jobs with the expected records
    feed          the stream of jobs for `make run`
    bus           sends events to EventBridge
    event_queues  the queues behind the rule, and whether they are empty
    api_client    a client of the API
    local_stack   where the local stack is, and errors when it can't be reached
    progress      a line of progress on the terminal
"""
