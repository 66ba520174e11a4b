"""Tokens, and the queues that they cover."""

import json
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from chalicelib.api.access import NOTHING, Access
from chalicelib.api.errors import TokenNotValid
from chalicelib.errors import SecretUnavailable


def access(**tokens: Any) -> Access:
    return reading(json.dumps({"pageKey": "k", "apiTokens": tokens}))


def reading(
    text: str,
    now: Callable[[], float] = lambda: 0,
    reject: Callable[[str, str], None] = lambda name, problem: None,
) -> Access:
    return Access(lambda: text, now=now, reject=reject)


def digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def a_grant(token: str, **fields: Any) -> dict[str, Any]:
    """Return the entry of a token that covers all queues."""
    return {"sha256": digest(token), "queues": ["*"], **fields}


@pytest.mark.parametrize("header", ["Bearer secret", "bearer  secret ", "BEARER secret"])
def test_a_valid_token_has_a_holder(header: str) -> None:
    tokens = access(ada=a_grant("secret"), bob=a_grant("other"))

    assert tokens.holder(header) == "ada"


def test_the_case_of_the_digest_does_not_matter() -> None:
    assert (
        access(ada=a_grant("secret", sha256=digest("secret").upper())).holder("Bearer secret")
        == "ada"
    )


@pytest.mark.parametrize(
    "header",
    [None, "", "secret", "Basic secret", "Bearer", "Bearer ", "Bearer wrong", "Bearer \ud800"],
)
def test_an_invalid_token_has_no_holder(header: str | None) -> None:
    assert access(ada=a_grant("secret")).holder(header) is None


def test_an_empty_token_is_invalid_even_if_its_digest_is_stored() -> None:
    assert access(ada=a_grant("")).holder("Bearer ") is None


def test_a_token_covers_the_queues_that_match_one_of_its_globs() -> None:
    tokens = access(ada=a_grant("secret", queues=["gpu-*", "spot"]))

    scope = tokens.scope("ada")
    assert [
        queue for queue in ("gpu-1", "GPU-1", "gpu", "spot", "spot-1") if scope.covers(queue)
    ] == [
        "gpu-1",
        "spot",
    ]


def test_the_scope_of_an_unknown_holder_is_an_error_and_not_empty() -> None:
    with pytest.raises(TokenNotValid):
        access().scope("ada")


def test_a_public_request_covers_nothing() -> None:
    assert not NOTHING.covers("gpu")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"sha256": digest("secret")}, "missing required field `queues`"),
        (a_grant("secret", queue=["a"]), "unknown field `queue`"),
        (a_grant("secret", queues="*"), "Expected `array`"),
        (a_grant("secret", queues=[1]), "Expected `str`"),
        (a_grant("secret", queues=None), "Expected `array`"),
        ({"queues": ["*"]}, "missing required field `sha256`"),
        (a_grant("secret", sha256="secret"), "matching regex"),
        (a_grant("secret", expiresAt="tomorrow"), "RFC3339"),
        (a_grant("secret", expiresAt="2026-11-24T03:55:00"), "timezone"),
        ("secret", "Expected `object`"),
        (None, "Expected `object`"),
    ],
)
def test_an_invalid_entry_is_rejected_by_name_and_affects_no_other(
    entry: Any,
    problem: str,
) -> None:
    rejected: list[tuple[str, str]] = []
    secret = {"pageKey": "k", "apiTokens": {"ada": entry, "bob": a_grant("other")}}
    tokens = reading(json.dumps(secret), reject=lambda *given: rejected.append(given))

    assert tokens.holder("Bearer secret") is None
    assert tokens.holder("Bearer other") == "bob"
    [(name, reason)] = rejected
    assert name == "ada"
    assert problem in reason
    assert digest("secret") not in reason


def test_trailing_commas_in_the_secret_are_ignored() -> None:
    entry = f'{{"sha256": "{digest("secret")}", "queues": ["gpu,]", "*",],}}'
    text = f'{{"pageKey": "\\",}}", "apiTokens": {{"a,]": {entry},\n}}, }}'
    tokens = reading(text)

    assert tokens.holder("Bearer secret") == "a,]"
    assert tokens.scope("a,]").queues == ("gpu,]", "*")
    assert tokens.page_key() == b'",}'


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apiTokens": {}}', '{"pageKey": ""}'])
def test_a_secret_that_can_not_be_parsed_is_unavailable(text: str) -> None:
    with pytest.raises(SecretUnavailable):
        reading(text).holder("Bearer secret")


def test_an_expired_token_is_not_valid() -> None:
    now = [0.0]
    grant = a_grant("secret", expiresAt="1970-01-01T00:01:00Z")
    secret = {"pageKey": "k", "apiTokens": {"ada": grant}}
    tokens = reading(json.dumps(secret), now=lambda: now[0])

    now[0] = 59.9
    before = tokens.holder("Bearer secret")
    now[0] = 60

    assert (before, tokens.holder("Bearer secret")) == ("ada", None)
    with pytest.raises(TokenNotValid):
        tokens.scope("ada")
