"""`make run` and `make deploy` work without the packages of the development environment."""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from infra.stages import ROOT

OURS = {"app", "chalicelib", "infra", "local"}
LOCAL = [path for folder in ("infra", "local") for path in sorted((ROOT / folder).rglob("*.py"))]
RUN = [path for path in LOCAL if path.name != "install.py"]


def packages_imported_at_run_time(path: Path) -> set[str]:
    """Return the top-level packages that a module imports, except for type checking only."""
    return {name.partition(".")[0] for name in _imports(ast.parse(path.read_text()))}


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case _:
                yield from _imports(child)


@pytest.mark.parametrize("path", RUN, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_make_run_installs(path: Path) -> None:
    installed = {
        re.split(r"[=\[]", line)[0].lower().replace("_", "-")
        for file in ("requirements.txt", "requirements-run.txt")
        for line in (ROOT / file).read_text().splitlines()
        if not line.startswith("#")
    } | {"botocore"}  # a dependency of boto3

    third_party = packages_imported_at_run_time(path) - OURS - sys.stdlib_module_names

    distributions = packages_distributions()
    missing = {
        package
        for package in third_party
        if installed.isdisjoint(name.lower().replace("_", "-") for name in distributions[package])
    }
    assert missing == set()
