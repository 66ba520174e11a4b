"""The state of job queues: stuck jobs, blocked queues, missing events, counts; and its tables."""
