"""Sends one test notice to the real Webex: `make webex-test ROOM=…`.

What can be wrong between a deployment and a room, a token, a membership, a proxy, is found out by
trying, with the client that the notifier uses; this module puts into plain words what that client
says. Knows where the token may be, and nothing of notices.
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
from infra.errors import Refused as NotSent
from infra.errors import told_plainly

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

API_URL = "https://webexapis.com/v1"
PATIENCE_SECONDS = 30.0
NOTICE = (
    "**Test notice of batchwatch**\n\n"
    "This room can hear of AWS Batch jobs. Nothing has happened: somebody tried `make webex-test`."
)


def send(api_url: str, token: str, room: str) -> str:
    """The id of the message; NotSent says in a sentence or two what is wrong, and what helps."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    webex = Webex(api_url, lambda: token)
    try:
        return webex.post_message(room, NOTICE, time_left=lambda: deadline - time.monotonic())
    except WebexError as error:
        raise NotSent(f"{explained(error, api_url)} [{error}]") from error


def explained(error: WebexError, api_url: str) -> str:
    match error:
        case Unauthorized():
            return (
                "Webex does not take this token. It may be mistyped, cut off or replaced by a"
                " newer one; one from the developer portal's own pages ends after 12 hours, a"
                " bot's does not. A bot's page at developer.webex.com makes a new one."
            )
        case RoomGone():
            return (
                "There is no such room, or the bot is not a member of it; Webex does not say"
                " which. Add the bot to the room by its e-mail address, and take the room's id"
                f" from what {api_url}/rooms answers to the bot's token."
            )
        case RateLimited():
            return (
                f"Webex takes nothing for {error.retry_after:.0f} s: too many requests came from"
                " this bot or its organization. Try again then."
            )
        case Refused():
            return (
                "Webex does not take this message. That the room's id is not one, or is cut off,"
                " is the likeliest reason."
            )
        case Unavailable():
            arrived = " The notice may have arrived all the same: look." if error.maybe_sent else ""
            return _outage(error, api_url) + arrived
        case _:
            return "Webex did not take the notice."


def _outage(error: Unavailable, api_url: str) -> str:
    if error.status is not None and error.status >= 500:
        return "Webex is in trouble itself; https://status.webex.com may know more."
    if error.status is not None:
        return (
            f"Something else than Webex answers at {api_url}, a proxy perhaps. Look at"
            " WEBEX_API_URL and HTTPS_PROXY."
        )
    cause, root = error.__cause__, root_cause(error)
    if isinstance(cause, requests.exceptions.ProxyError):
        return "The proxy does not let us through. Look at HTTPS_PROXY and NO_PROXY."
    if isinstance(root, ssl.SSLError):
        return (
            f"There is no safe connection to {api_url}. If a proxy opens TLS here, name the file"
            " with its certificate in REQUESTS_CA_BUNDLE."
        )
    if isinstance(root, socket.gaierror):
        return (
            f"The host of {api_url} has no address here. Without a way to the Internet, name the"
            " proxy in HTTPS_PROXY."
        )
    if isinstance(cause, ValueError):
        return f"WEBEX_API_URL is no URL: {api_url}"
    if isinstance(cause, requests.Timeout):
        return (
            f"{api_url} kept us waiting for too long. If a firewall is in the way, name the proxy"
            " in HTTPS_PROXY."
        )
    if isinstance(root, ConnectionRefusedError):
        return f"Nothing listens at {api_url}. Look at WEBEX_API_URL."
    return f"The connection to {api_url} broke off."


def stage_token(secretsmanager: "SecretsManagerClient", stage: str) -> str:
    """The token in the secret of a stage."""
    secret_id = stages.environment_of(stage)["SECRET_ID"]
    try:
        value = secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"]
        token = json.loads(value).get("webexToken")
    except secretsmanager.exceptions.ResourceNotFoundException as error:
        raise NotSent(f"no secret {secret_id} here: is the stage deployed, and there?") from error
    except (ValueError, AttributeError):
        raise NotSent(f"the secret {secret_id} is no JSON object") from None
    if not token:
        raise NotSent(f"the secret {secret_id} has no webexToken yet: put the bot's token there")
    return str(token)


def main(arguments: Sequence[str] | None = None) -> None:
    given = os.environ.get
    parser = argparse.ArgumentParser(
        prog="make webex-test", description="Sends one test notice; WEBEX_TOKEN has the token."
    )
    parser.add_argument("--room", default=given("ROOM"), help="the id of a Webex room")
    parser.add_argument(
        "--stage", default=given("STAGE"), help="whose token to use when there is no WEBEX_TOKEN"
    )
    options = parser.parse_args(arguments)
    if not options.room:
        raise NotSent("which room? make webex-test ROOM=<the id of a Webex room>")
    token = given("WEBEX_TOKEN")
    if not token and not options.stage:
        raise NotSent("no token: set WEBEX_TOKEN, or name the STAGE whose secret has it")

    token = token or stage_token(boto3.client("secretsmanager"), options.stage)
    api_url = given("WEBEX_API_URL") or API_URL
    message_id = send(api_url, token, options.room)
    print(f"sent to {api_url}: look into the room. Its id there is {message_id}")


if __name__ == "__main__":
    sys.exit(told_plainly(main))
