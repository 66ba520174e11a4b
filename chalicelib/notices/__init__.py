"""Which changes of jobs and queues deserve a message, and in which rooms."""
