"""Why a job waits: what AWS Batch reports about its queue, and the first cause that applies."""
