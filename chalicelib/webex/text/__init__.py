"""The text of Webex messages, as markdown.

    job, array, queue    one message each, by what the notice is about
    digest               one message for many notices
    notice_text          the entry: selects the message for a notice
    context, layout      what every message is written from, and how its parts are put together
    phrases              words that several messages share

The first line states which job, in which queue, what happened and why, because a phone's lock
screen shows nothing else. The explanation and the next step follow, then the facts and the links.

Text from events is escaped by `markdown`. No message is longer than Webex accepts.

Pure: no queues, tables, HTTP, clock or environment.
"""

from chalicelib.webex.text.array import ArrayOutcome
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.notice_text import NoticeText

__all__ = ["ArrayOutcome", "NoticeContext", "NoticeText"]
