"""Compares the table with AWS Batch and records what events did not report.

    source            candidates: jobs that Batch is to describe
    in_flight         jobs that another run was processing; if that run crashed, their notices may
                      not have been sent
    silent_jobs       jobs that have not ended and had no event for REPAIR_AFTER, oldest first
    discovery         jobs that Batch lists and the table does not contain, newest first
    missing_children  children and nodes of ended parents that the table does not contain

`reconciler` takes candidates from all sources in this order, so that they share calls, and
processes them in batches of 100 jobs: describe, save, queue notices, commit. `lost_jobs` handles
the jobs that Batch does not return. `step` connects the parts of a run.

A response of Batch is an observation like an event, and recording it twice changes nothing. A run
can therefore be interrupted anywhere and can overlap with another run. After each batch, the
sources' positions are stored as checkpoints, at which the next run resumes. A job that does not
change costs a hundredth of a call (a service job: one call) per pass and no write.
"""
