"""Which change is worth a message, and which rooms want it."""
