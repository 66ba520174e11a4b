"""Job details of AWS Batch, from events and its API, and their mapping to observations."""
