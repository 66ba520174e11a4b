"""The scheduled work: reconcile with Batch, watch queues, count."""
