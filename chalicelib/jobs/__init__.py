"""Jobs: their state, details, failures, durations and usage, and the tables that store them."""
