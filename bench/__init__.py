"""`make bench`: measures what the documentation promises about cost and speed.

    workload.py    simulated jobs and the messages with their events
    timing.py      compares the durations of alternatives on a busy machine
    parsing.py     parsing events, merging jobs and encoding records, without AWS
    recording.py   the recorder on a local AWS: CPU time and requests
    write_units.py write units of the recorder
    filling.py     fills a table with many jobs
    replay.py      a proxy that caches the responses of the local AWS
    responses.py   response times of the API with few and with many jobs
    cold_start.py  import times and the first response of a new function
    report.py      the table that is printed

A duration is compared with that of an alternative in the same run, because machines differ in
speed. Counts of requests, write units and bytes are the same on every machine.
"""
