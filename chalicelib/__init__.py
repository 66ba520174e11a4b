"""The deployed package of batchwatch. Packages import only packages below them:

    app
    bootstrap
    sweep
    recording  webex  api
    queues
    notices
    jobs
    settings
    aws  toml_config
    errors  redaction  runtime  telemetry  text_format  table_keys  version

tests/unit/test_architecture.py enforces it.
"""
