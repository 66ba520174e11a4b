"""What gets deployed. Imports point one way: app, then api and recorder, then job_table,
then the pure modules (job, event, failure, redaction), which know nothing of AWS, HTTP, the
clock or the environment."""
