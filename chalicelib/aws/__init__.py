"""AWS mechanics: clients, DynamoDB, SQS and Lambda events; nothing specific to batchwatch."""
