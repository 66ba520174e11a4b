"""Page tokens are signed and bound to their query."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.errors import InvalidNextToken
from chalicelib.api.parameters.page_token import PageTokens

TOKENS = PageTokens(lambda: b"key")


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_a_token_returns_the_position_it_was_issued_for(position: str, query: str) -> None:

    assert TOKENS.position(TOKENS.issue(position, query), query) == position


@pytest.mark.parametrize("token", ["", "x", "made-up", "é", "A" * 40, "/job?&"])
def test_a_token_that_was_not_issued_is_refused(token: str) -> None:
    with pytest.raises(
        InvalidNextToken, match=r"^nextToken: '.*' is not a nextToken of this query$"
    ):
        TOKENS.position(token, "query")


def test_a_token_of_another_query_or_key_is_refused() -> None:
    token = TOKENS.issue("position", "query")

    for tokens, query in ((TOKENS, "other"), (PageTokens(lambda: b"other"), "query")):
        with pytest.raises(InvalidNextToken):
            tokens.position(token, query)


def test_a_changed_token_is_refused() -> None:
    token = TOKENS.issue("position", "query")

    for n, character in enumerate(token[:-1]):
        changed = token[:n] + ("A" if character != "A" else "B") + token[n + 1 :]
        with pytest.raises(InvalidNextToken):
            TOKENS.position(changed, "query")
