"""Errors that a command reports in one line instead of a stack trace.

CommandError             the message states the problem and what to do about it
├── StackError           a CloudFormation stack could not be created or updated
├── FunctionFailed       a Lambda function returned an error (infra.functions)
├── UnusableFile         a file does not contain an event (local.send)
└── LocalError           the local stack can't run (local.process)
    └── LocalStackError  a request to the local stack failed (local.simulator.local_stack)
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


class CommandError(Exception):
    """A problem that the user of a command can solve."""


class StackError(CommandError):
    """Each failed resource of a stack, with the reason."""


def run_command(command: Callable[[], None]) -> int:
    """Run a command, print its error in one line, and return the exit code."""
    try:
        command()
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        return _fail(f"no usable AWS credentials: {error}")
    except NoRegionError:
        return _fail("no AWS region: set AWS_DEFAULT_REGION, or a region in the profile")
    except (CommandError, ClientError, BotoCoreError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted; operations that were started in AWS continue there")
    return 0


def _fail(problem: str) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return 1
