"""Tokens, and the queues that they cover."""

import json
from hashlib import sha256
from typing import Any

import pytest

from chalicelib.api.access import NOTHING, Access, Scope


def access(**tokens: dict[str, Any]) -> Access:
    return Access(lambda: json.dumps({"pageKey": "k", "apiTokens": tokens}))


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


@pytest.mark.parametrize("header", ["Bearer secret", "bearer  secret ", "BEARER secret"])
def test_a_valid_token_has_a_holder(header: str) -> None:
    tokens = access(ada={"sha256": digest("secret")}, bob={"sha256": digest("other")})

    assert tokens.holder(header) == "ada"


def test_the_case_of_the_digest_does_not_matter() -> None:
    assert access(ada={"sha256": digest("secret").upper()}).holder("Bearer secret") == "ada"


@pytest.mark.parametrize(
    "header",
    [None, "", "secret", "Basic secret", "Bearer", "Bearer ", "Bearer wrong", "Bearer \ud800"],
)
def test_an_invalid_token_has_no_holder(header: str | None) -> None:
    assert access(ada={"sha256": digest("secret")}).holder(header) is None


def test_an_empty_token_is_invalid_even_if_its_digest_is_stored() -> None:
    assert access(ada={"sha256": digest("")}).holder("Bearer ") is None


def test_a_token_covers_the_queues_that_match_one_of_its_globs() -> None:
    tokens = access(ada={"sha256": "", "queues": ["gpu-*", "spot"]}, bob={"sha256": ""})

    scope = tokens.scope("ada")
    assert [
        queue for queue in ("gpu-1", "GPU-1", "gpu", "spot", "spot-1") if scope.covers(queue)
    ] == [
        "gpu-1",
        "spot",
    ]
    assert tokens.scope("bob").covers("any")


def test_a_removed_token_covers_nothing() -> None:
    assert access().scope("ada") == NOTHING == Scope(())
    assert not NOTHING.covers("gpu")
