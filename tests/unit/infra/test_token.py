"""Lists of API tokens, and their expiry."""

from datetime import UTC, datetime

import pytest

from infra.errors import CommandError
from infra.token import expiry, listed_tokens

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_list_contains_names_queues_and_expiry_and_no_digest() -> None:
    tokens = {
        "nightly": {"sha256": "4711", "queues": ["high", "low"]},
        "ada": {"sha256": "4711", "queues": ["*"], "expiresAt": "2027-01-31T00:00:00+00:00"},
        "typo": {"sha256": "4711", "queue": ["*"]},
        "text": "4711",
    }

    lines = list(listed_tokens({"apiTokens": tokens}))

    assert lines == [
        "ada      *  until 2027-01-31T00:00:00+00:00",
        "nightly  high,low",
        "text     rejected: no queues",
        "typo     rejected: no queues",
    ]


def test_an_expiry_is_a_date_in_utc_or_a_time() -> None:
    assert expiry("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert expiry("2026-11-26T15:00:00+02:00", NOW) == datetime(2026, 11, 26, 13, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-26", "30d", "2027-13-01", "2026-11-26T13:00:00+02:00"])
def test_an_expiry_that_is_not_in_the_future_is_an_error(text: str) -> None:
    with pytest.raises(CommandError, match="such as EXPIRES=2027-01-31"):
        expiry(text, NOW)
