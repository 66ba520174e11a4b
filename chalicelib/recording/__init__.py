"""Recording: messages from the events queue become records of jobs and queued notices."""
