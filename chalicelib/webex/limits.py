"""Limits of the Webex API, which the client checks and messages are written for.

https://developer.webex.com/docs/api/v1/messages/create-a-message
"""

from typing import Final

MAX_MESSAGE_BYTES: Final = 7_439
"""The longest text, markdown or HTML that Webex accepts, in bytes of UTF-8. It applies to the HTML
that Webex makes of markdown too: encrypted, that has at most 10,000 characters."""
