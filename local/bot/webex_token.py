"""Stores the bot's Webex token in a stage's secret: `make webex-token STAGE=prod`.

The token is read from WEBEX_TOKEN or from a prompt that does not show it, and is stored only if
Webex accepts it. Everything else in the secret is kept.
"""

import argparse
import getpass
import os
import re
import sys
from collections.abc import Sequence

import boto3
import requests

from chalicelib.webex.client import Unauthorized, Unavailable
from infra import stages
from infra.errors import CommandError, run_command
from infra.secret import change_secret
from local.bot.webex_test import API_URL, TIMEOUT_SECONDS, explained

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")


def bot_name(api_url: str, token: str) -> str:
    """Return the name of the token's account in Webex. Raise CommandError if Webex rejects the
    token or does not respond."""
    try:
        response = requests.get(
            f"{api_url.rstrip('/')}/people/me",
            auth=lambda request: _with_token(request, token),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        if response.status_code == 401:
            raise CommandError(explained(Unauthorized("401"), api_url))
        if response.status_code != 200:
            raise CommandError(
                f"the token could not be verified: {api_url} returned status"
                f" {response.status_code}. The secret is unchanged."
            )
        return str(response.json()["displayName"])
    except (KeyError, TypeError, requests.JSONDecodeError) as error:
        raise CommandError(
            f"the server at {api_url} is not Webex, but perhaps a proxy. Check WEBEX_API_URL and"
            " HTTPS_PROXY."
        ) from error
    except requests.RequestException as error:
        outage = Unavailable(f"no response: {type(error).__name__}", maybe_sent=False)
        outage.__cause__ = error
        raise CommandError(explained(outage, api_url)) from error


def _with_token(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    """Add the token. As `auth`, it is not replaced by an entry of ~/.netrc."""
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="make webex-token", description="Stores the bot's Webex token in a stage's secret."
    )
    parser.add_argument("--stage", required=True, help="stage whose notices use the token")
    options = parser.parse_args(arguments)
    secret_id = stages.webex_secret_of(options.stage)
    token = (os.environ.get("WEBEX_TOKEN") or _prompted()).strip()
    if not _TOKEN.fullmatch(token):
        raise CommandError("the Webex token is empty or contains invalid characters")

    name = bot_name(os.environ.get("WEBEX_API_URL") or API_URL, token)
    change_secret(
        boto3.client("secretsmanager"), secret_id, lambda secret: secret | {"webexToken": token}
    )
    print(f"stored the token of {name} in the secret {secret_id}; add {name} to the room")


def _prompted() -> str:
    if not sys.stdin.isatty():
        raise CommandError("no token: set WEBEX_TOKEN, or run the command in a terminal")
    return getpass.getpass("Webex token of the bot (not shown): ")


if __name__ == "__main__":
    sys.exit(run_command(main))
