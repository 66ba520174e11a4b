"""Imports go one way, folders stay small, every module has a docstring, and pure modules do no
I/O and read no clock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.aws import ROOT

PACKAGE = ROOT / "chalicelib"
MODULES = [ROOT / "app.py", *sorted(PACKAGE.rglob("*.py"))]
FOLDERS = [
    folder
    for name in ("chalicelib", "local", "infra", "bench", "tests")
    for folder in (ROOT / name, *sorted((ROOT / name).rglob("*/")))
    if any(folder.glob("*.py"))
]

ORDER = [
    "errors redaction runtime telemetry text_format table_keys version",
    "aws toml_config",
    "settings",
    "jobs",
    "notices",
    "queues",
    "recording webex api",
    "sweep",
    "bootstrap",
    "app",
]
"""Packages from the bottom up. A package imports only packages of lower lines."""
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names.split()}

MOST_MODULES = 12

PURE = {
    "": ["errors", "settings", "table_keys", "text_format", "toml_config"],
    "api": [
        "access",
        "errors",
        "formats.text",
        "parameters.page_token",
        "parameters.parameter",
        "representation.body",
        "representation.job",
        "representation.usage",
    ],
    "jobs": [
        "array_summary",
        "console_links",
        "dependencies",
        "durations",
        "failure",
        "job",
        "job_detail",
        "pending_reason",
        "preemption",
        "prices",
        "usage",
        "waiting",
    ],
    "notices": ["notice", "rules"],
    "queues": [
        "blocked",
        "histogram",
        "incidents",
        "missing_events",
        "rollup",
        "state",
        "stuck",
    ],
    "recording": ["event"],
    "redaction": ["names", "programs", "redactor", "rules", "tokens"],
    "webex": ["limits", "markdown", "text"],
}
"""Modules and subpackages, by package, that do no I/O and read neither the clock nor the
environment, directly or through what they import."""

IMPURE_LIBRARIES = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "chalice",
    "concurrent",
    "logging",
    "os",
    "pathlib",
    "random",
    "requests",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib3",
    "uuid",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def dotted(module: Path) -> str:
    """Return a module's name below chalicelib: `jobs.job`, or `webex.text` for a package."""
    relative = module.relative_to(PACKAGE).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


OURS = {
    dotted(path): path
    for path in MODULES[1:]
    if path.name != "__init__.py" or path.parents[1] not in (ROOT, PACKAGE)
}
PURE_NAMES = [f"{package}.{name}".lstrip(".") for package in PURE for name in PURE[package]]


def is_pure(module: Path) -> bool:
    """Return whether a module, or a package that contains it, is in PURE."""
    name = f"{dotted(module)}."
    return any(name.startswith(f"{pure}.") for pure in PURE_NAMES)


def imports_of(module: Path) -> Iterator[str]:
    """Yield the modules that a module imports, those for type checking alone included."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_of(imports: Iterator[str]) -> set[str]:
    ours = (name.split(".") for name in imports if name.startswith("chalicelib."))
    return {name[1] for name in ours}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_imports_only_packages_below_its_own(module: Path) -> None:
    package = "app" if module.name == "app.py" else dotted(module).split(".")[0]
    if not package:
        return

    imported = packages_of(imports_of(module)) - {package}

    assert {name for name in imported if RANK[name] >= RANK[package]} == set()


def test_every_package_has_its_place_in_the_order() -> None:
    names = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }

    assert names - {"__init__"} == RANK.keys() - {"app"}


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_has_at_most_a_dozen_modules(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]

    assert len(modules) <= MOST_MODULES, modules


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_every_module_has_a_docstring(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("name", PURE_NAMES)
def test_every_pure_module_exists(name: str) -> None:
    assert name in OURS


@pytest.mark.parametrize("module", [*filter(is_pure, OURS.values())], ids=name_of)
def test_a_pure_module_imports_only_pure_modules(module: Path) -> None:
    imported = set(imports_of(module))

    assert {name.split(".")[0] for name in imported} & IMPURE_LIBRARIES == set()
    ours = {OURS.get(name.removeprefix("chalicelib.")) for name in imported} - {None}
    assert {name_of(path) for path in ours if path and not is_pure(path)} == set()
