"""The simulation shares no code with the product, so that both can't have the same defect."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import ROOT

PURE = {"collections", "dataclasses", "datetime", "enum", "fnmatch", "random", "typing", "uuid"}
"""Modules of the standard library without input and output."""


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("package", ["workload", "simulator"])
def test_it_does_not_import_the_product(package: str) -> None:
    modules = list((ROOT / "local" / package).glob("*.py"))

    imported = {name for module in modules for name in imports(module)}

    assert modules
    assert not [name for name in imported if name.split(".")[0] in ("chalicelib", "app")]


def test_the_workload_has_no_input_or_output() -> None:
    modules = (ROOT / "local" / "workload").glob("*.py")

    imported = {name for module in modules for name in imports(module)}

    standard = {name for name in imported if not name.startswith("local.workload")}
    assert {name.split(".")[0] for name in standard} == PURE
