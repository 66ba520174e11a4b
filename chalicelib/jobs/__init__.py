"""What a job is, how AWS describes it, why it waits or failed, what it used; and its tables."""
