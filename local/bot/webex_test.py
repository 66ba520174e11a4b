"""Sends one test message to Webex: `make webex-test ROOM=…`.

It uses the notifier's client, so that it fails if the notifier would: because of the token, the
room, the bot's membership or a proxy. Each error is explained with what to do about it.
"""

import argparse
import json
import os
import socket
import ssl
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import boto3
import requests

from chalicelib.webex.client import (
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    Webex,
    WebexError,
    root_cause,
)
from infra import stages
from infra.errors import CommandError, run_command

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

API_URL = "https://webexapis.com/v1"
TIMEOUT_SECONDS = 30.0
MESSAGE = (
    "**batchwatch test message**\n\n"
    "This room can receive notices about AWS Batch jobs. No job is affected: someone ran"
    " `make webex-test`."
)


def send(api_url: str, token: str, room: str) -> str:
    """Send the message and return its id. Raise CommandError, which explains what to do."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    webex = Webex(api_url, lambda: token)
    try:
        return webex.post_message(room, MESSAGE, time_left=lambda: deadline - time.monotonic())
    except WebexError as error:
        raise CommandError(f"{explained(error, api_url)} [{error}]") from error


def explained(error: WebexError, api_url: str) -> str:
    match error:
        case Unauthorized():
            return (
                "Webex rejected the token. It may be mistyped, truncated or replaced by a newer"
                " one. A personal token of the developer portal expires after 12 hours."
                " Generate a new token on the bot's page at https://developer.webex.com."
            )
        case RoomGone():
            return (
                "The room does not exist, or the bot is not a member of it: Webex returns the same"
                " error for both. Add the bot to the room by its email address, and copy the room's"
                f" id from the response of {api_url}/rooms to the bot's token."
            )
        case RateLimited():
            return (
                f"Webex limits the rate of requests from this bot or its organization. Try again in"
                f" {error.retry_after:.0f} s."
            )
        case Refused():
            return "Webex rejected the message. Most often the room's id is malformed or truncated."
        case Unavailable():
            note = " The message may have been posted: check the room." if error.maybe_sent else ""
            return _outage(error, api_url) + note
        case _:
            return "Webex did not accept the message."


def _outage(error: Unavailable, api_url: str) -> str:
    if error.status is not None and error.status >= 500:
        return "Webex reported an error of its own. Check https://status.webex.com."
    if error.status is not None:
        return (
            f"The server at {api_url} is not Webex, but perhaps a proxy. Check WEBEX_API_URL and"
            " HTTPS_PROXY."
        )
    cause, root = error.__cause__, root_cause(error)
    if isinstance(cause, requests.exceptions.ProxyError):
        return "The proxy rejected the connection. Check HTTPS_PROXY and NO_PROXY."
    if isinstance(root, ssl.SSLError):
        return (
            f"The TLS connection to {api_url} failed. If a proxy inspects TLS, set"
            " REQUESTS_CA_BUNDLE to the file with its certificate."
        )
    if isinstance(root, socket.gaierror):
        return (
            f"The host name of {api_url} can't be resolved. Without direct Internet access, set"
            " HTTPS_PROXY to the proxy."
        )
    if isinstance(cause, ValueError):
        return f"WEBEX_API_URL is not a URL: {api_url}"
    if isinstance(cause, requests.Timeout):
        return (
            f"{api_url} did not respond in time. If a firewall blocks the connection, set"
            " HTTPS_PROXY to the proxy."
        )
    if isinstance(root, ConnectionRefusedError):
        return f"{api_url} refused the connection. Check WEBEX_API_URL."
    return f"The connection to {api_url} was closed before a response."


def stage_token(secretsmanager: "SecretsManagerClient", stage: str) -> str:
    """Return the token in the secret of a stage. Raise CommandError if there is none."""
    secret_id = stages.webex_secret_of(stage)
    try:
        value = secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
        token = json.loads(value).get("webexToken")
    except secretsmanager.exceptions.ResourceNotFoundException as error:
        raise CommandError(
            f"the secret {secret_id} does not exist in this account and region:"
            " deploy the stage first"
        ) from error
    except (ValueError, AttributeError):
        raise CommandError(f"the secret {secret_id} is not a JSON object") from None
    if not token:
        raise CommandError(
            f"the secret {secret_id} has no webexToken: run make webex-token STAGE={stage}"
        )
    return str(token)


def main(arguments: Sequence[str] | None = None) -> None:
    given = os.environ.get
    parser = argparse.ArgumentParser(
        prog="make webex-test",
        description="Sends one test message, with the token in WEBEX_TOKEN or in a stage's secret.",
    )
    parser.add_argument("--room", default=given("ROOM"), help="id of a Webex room")
    parser.add_argument(
        "--stage", default=given("STAGE"), help="stage whose token to use if WEBEX_TOKEN is not set"
    )
    options = parser.parse_args(arguments)
    if not options.room:
        raise CommandError("ROOM is missing: make webex-test ROOM=<id of a Webex room>")
    token = given("WEBEX_TOKEN")
    if not token and not options.stage:
        raise CommandError(
            "no token: set WEBEX_TOKEN, or STAGE to the stage whose secret contains it"
        )

    token = token or stage_token(boto3.client("secretsmanager"), options.stage)
    api_url = given("WEBEX_API_URL") or API_URL
    message_id = send(api_url, token, options.room)
    print(f"sent to {api_url}: the message is in the room, with the id {message_id}")


if __name__ == "__main__":
    sys.exit(run_command(main))
