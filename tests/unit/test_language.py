"""The code is in plain English: complete docstrings, and names without verbs of people."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import ROOT

FOLDERS = ("chalicelib", "local", "infra", "bench", "tests")
MODULES = [ROOT / "app.py", *sorted(p for name in FOLDERS for p in (ROOT / name).rglob("*.py"))]

FRAGMENTS = {"Of", "Those", "That", "Who", "Whom", "Whose", "What", "Whatever", "Whoever"}
"""A docstring begins with a verb or with a noun that names the thing."""

VERBS_OF_PEOPLE = re.compile("tells?|told|untold|hears?|heard|says?|said|speaks?|knows?|learn")
"""Software receives, records, reports and returns."""


def name_of(module: Path) -> str:
    return str(module.relative_to(ROOT))


def docstrings(tree: ast.AST) -> Iterator[str]:
    """Yield the docstrings of the module, its classes, functions, constants and fields."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield text


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield name
            case ast.MatchAs(name=str(name)):
                yield name


def words(identifier: str) -> list[str]:
    """Return the words of a name in snake_case, CamelCase or CAPITALS, in lower case."""
    return re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", identifier).lower())


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_docstring_begins_as_a_fragment(module: Path) -> None:
    first_words = {text.split(maxsplit=1)[0] for text in docstrings(ast.parse(module.read_text()))}

    assert first_words & FRAGMENTS == set()


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_identifier_contains_a_verb_of_people(module: Path) -> None:
    found = {
        name
        for name in identifiers(ast.parse(module.read_text()))
        if any(map(VERBS_OF_PEOPLE.fullmatch, words(name)))
    }

    assert found == set()
