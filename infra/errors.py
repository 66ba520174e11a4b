"""What can go wrong between a person and an account, told in one line instead of a stack trace.

InfraError
├── StackError   a stack did not become what its template says
└── Refused      what was asked for makes no sense, or would break something
"""

import sys
from collections.abc import Callable

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)


class InfraError(Exception):
    """The root; never raised itself."""


class StackError(InfraError):
    """Names each resource that failed, and why."""


class Refused(InfraError):
    """Says what to do instead."""


def told_plainly(command: Callable[[], None]) -> int:
    """Runs a command and returns its exit code; what goes wrong on the way is one line."""
    try:
        command()
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        return _tell(f"no usable AWS credentials: {error}")
    except NoRegionError:
        return _tell("no AWS region: set AWS_DEFAULT_REGION, or a region in the profile")
    except (InfraError, ClientError, BotoCoreError) as error:
        return _tell(str(error))
    except KeyboardInterrupt:
        return _tell("interrupted; what was begun in AWS goes on there")
    return 0


def _tell(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 1
