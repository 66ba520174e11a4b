"""The scheduled work: reconcile jobs with AWS Batch, watch job queues, and count jobs."""
