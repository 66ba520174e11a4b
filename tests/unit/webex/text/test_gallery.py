"""docs/notices.md shows the messages that are written now."""

from itertools import chain

from tests.support.samples.notice_gallery import PAGE, gallery, page

COMMAND = "run .venv/bin/python -m tests.support.samples.notice_gallery, and read the difference"


def test_the_page_of_notices_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), COMMAND


def test_the_page_has_a_message_of_every_kind() -> None:
    samples = list(chain.from_iterable(gallery().values()))

    assert len(samples) >= 60
    assert len({sample.message for sample in samples}) == len(samples)
