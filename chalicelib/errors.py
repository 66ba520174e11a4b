"""The errors that cross the boundary of a package, as a tree.

    BatchwatchError
    ├── SettingsError        a setting, or a file that it names, is missing or invalid; at start
    │   └── RulesError       the notice rules are invalid (notices.rules)
    ├── SecretUnavailable    Secrets Manager does not return the secret
    ├── TableUnavailable     DynamoDB returned only a part of what was read
    ├── MalformedEvent       a message is not an event that can be recorded: it is dead-lettered
    ├── MessagesLeft         some messages of a batch must be delivered again
    ├── ApiError             a request gets an error as its response (api.errors)
    └── WebexError           Webex did not accept a message (webex.client)

What DynamoDB rejects is not an error but an `Outcome` for each item (aws.dynamodb), because one
batch can have several.
"""


class BatchwatchError(Exception):
    """The base class; never raised itself."""


class SettingsError(BatchwatchError):
    """The message names the environment variable, its value and what is expected."""


class SecretUnavailable(BatchwatchError):
    """The message states the reason and nothing from the secret."""


class TableUnavailable(BatchwatchError):
    """DynamoDB was too busy for a part of a read, which may succeed later, or an item was written
    by another version of the code."""


class MalformedEvent(BatchwatchError):
    """The message names the field and the problem. It quotes no value, because it is logged."""


class MessagesLeft(BatchwatchError):
    """The message states how many messages are delivered again. The others have been deleted, so
    that raising this from a function makes SQS redeliver only the rest."""
