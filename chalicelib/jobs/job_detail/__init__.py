"""How AWS Batch describes a job, in events and in its API, and the observation that it becomes."""
