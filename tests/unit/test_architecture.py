"""Packages import one way, every module says why it exists, and the pure ones stay pure."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]

ORDER = [
    "errors redaction runtime telemetry text_format table_keys",
    "aws",
    "toml_config",
    "settings",
    "jobs",
    "notices",
    "queues",
    "recording webex api",
    "sweep",
    "bootstrap",
    "app",
]
"""From the bottom up; packages on one line don't know each other."""
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}


def package_of(dotted: str) -> str:
    return dotted.removeprefix("chalicelib.").split(".")[0]


def imports_of(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("chalicelib"):
            if node.module == "chalicelib":
                found |= {alias.name for alias in node.names}
            else:
                found.add(package_of(str(node.module)))
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_imports_point_down(module: Path) -> None:
    if module.name == "__init__.py":
        return
    name = module.relative_to(ROOT).with_suffix("").parts
    mine = name[1] if name[0] == "chalicelib" else name[0]
    assert {one for one in imports_of(module) - {mine} if RANK[one] >= RANK[mine]} == set()
