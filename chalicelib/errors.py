"""Every error of our own, so that each edge knows what it may meet.

    BatchwatchError
    ├── SettingsError     at start: a variable is missing or makes no sense
    ├── SecretUnavailable at use: Secrets Manager does not give the secret
    ├── TableUnavailable  at use: DynamoDB gives a part of what was asked for
    ├── MalformedEvent    a message can't be read: it is quarantined, its mates go on
    └── MessagesLeft      part of a batch isn't done: raised so that SQS delivers that part again

What AWS refuses is not an error but an `Outcome` of `job_table`, for one batch can meet several.
"""


class BatchwatchError(Exception):
    """The root; never raised itself."""


class SettingsError(BatchwatchError):
    """Names the environment variable and the problem."""


class SecretUnavailable(BatchwatchError):
    """Says why Secrets Manager did not give the secret; nothing of what is in it."""


class TableUnavailable(BatchwatchError):
    """DynamoDB was too busy for a part of a read, which may succeed in a moment; or what it holds
    is of another version."""


class MalformedEvent(BatchwatchError):
    """Says what is wrong with which field. Quotes no value, for it is logged."""


class MessagesLeft(BatchwatchError):
    """Says how many messages come back. The done ones have been deleted by then."""
