"""AWS mechanics: clients, DynamoDB batches, SQS, Lambda events. Knows nothing of batchwatch."""
