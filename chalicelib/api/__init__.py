"""What the routes answer: parameters, pages, access and the JSON of a job. Knows HTTP's words
and the job; knows nothing of Chalice's bindings, SQS or how jobs get recorded."""
