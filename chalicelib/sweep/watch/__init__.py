"""The watch over job queues: stuck jobs, blocked queues and missing events."""
