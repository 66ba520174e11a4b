"""Lists of API tokens, and their expiry."""

from datetime import UTC, datetime

import pytest

from infra.errors import CommandError
from infra.token import expiry, listed_tokens

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_the_list_contains_names_queues_expiry_and_last_use_and_no_digest() -> None:
    tokens = {
        "nightly": {"sha256": "4711", "queues": ["high", "low"]},
        "ada": {"sha256": "4711", "queues": ["*"], "expiresAt": "2027-01-31T00:00:00+00:00"},
        "typo": {"sha256": "4711", "queue": ["*"]},
        "text": "4711",
    }

    lines = list(listed_tokens({"apiTokens": tokens}, {"ada": NOW}, 90))
    without_use = list(listed_tokens({"apiTokens": tokens}, {}, None))

    assert lines == [
        "ada      *  until 2027-01-31T00:00:00+00:00  used 2026-11-26 12:00 UTC",
        "nightly  high,low  no use in the log of 90 days",
        "text     rejected: no queues  no use in the log of 90 days",
        "typo     rejected: no queues  no use in the log of 90 days",
    ]
    assert without_use[:2] == ["ada      *  until 2027-01-31T00:00:00+00:00", "nightly  high,low"]


def test_an_expiry_is_a_date_in_utc_or_a_time() -> None:
    assert expiry("2027-01-31", NOW) == datetime(2027, 1, 31, tzinfo=UTC)
    assert expiry("2026-11-26T15:00:00+02:00", NOW) == datetime(2026, 11, 26, 13, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-26", "30d", "2027-13-01", "2026-11-26T13:00:00+02:00"])
def test_an_expiry_that_is_not_in_the_future_is_an_error(text: str) -> None:
    with pytest.raises(CommandError, match="such as EXPIRES=2027-01-31"):
        expiry(text, NOW)
