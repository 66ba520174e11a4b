"""`make bench`: what batchwatch's promises about cost and speed rest on, measured anew.

    workload.py    simulated jobs as the messages that would tell of them
    timing.py      seconds of rivals in turn, so that a noisy machine slows all of them alike
    reading.py     events read, jobs merged, records written down: no AWS
    recording.py   the recorder on a local AWS: CPU, requests, write units
    filling.py     a table with very many jobs
    replay.py      the local AWS, whose time does not count
    listing.py     the API's answers with few jobs and with very many
    cold_start.py  what a new function imports
    report.py      the table

Speed is told as a ratio of two things measured in one run. Counts (requests, write units, bytes)
are the same on every machine.
"""
