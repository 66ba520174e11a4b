"""A stand-in for Webex: a real HTTP server on the loopback interface, for `make run` and the tests.

    with WebexServer(port) as webex:
        webex.script(Fault(status=429, retry_after="194"))
        …                                  # post to webex.api_url with the token TOKEN
        webex.messages(), webex.requests   # what was posted, and what was requested

    server      the API, its tokens and its log of requests
    faults      errors that a test scripts
    rooms       rooms, messages and the rules that they share with Webex
    markdown    markdown as Webex displays it
    page        the rooms as a web page

The API: POST /v1/messages, GET /v1/messages?roomId=&max=, GET /v1/messages/{id}, GET /v1/rooms,
GET /v1/people/me. GET / returns the page.
"""

from local.webex.faults import Fault, Request
from local.webex.server import BOT, ROOM, TOKEN, WebexServer

__all__ = ["BOT", "ROOM", "TOKEN", "Fault", "Request", "WebexServer"]
