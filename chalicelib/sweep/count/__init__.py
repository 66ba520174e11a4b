"""The statistics of job queues: counts of active jobs, and rollups of jobs that ended."""
