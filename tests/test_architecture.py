"""Imports point one way, every module says why it exists, and the pure ones stay pure."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]

LAYERS = [
    {"errors", "job", "failure", "waiting", "redaction", "markdown", "human_time", "message"}
    | {"toml_setting"},
    {"durations", "links", "blockage", "stuck", "silence", "queue_state", "episodes", "use"}
    | {"job_detail", "preemption", "event", "notice_rules", "notice", "notice_text", "prices"}
    | {"histogram", "rollup", "array_summary"},
    {"dynamodb", "job_table", "notice_ledger", "queue_ledger", "job_log", "message_queue"}
    | {"suspects", "webex"},
    {"settings", "clients", "batch_api", "wait_places", "array_table"},
    {"archive", "repair_ledger", "queue_table"},
    {"recorder", "repair", "queue_watch", "counting", "notifier", "api", "telemetry"},
    {"sweep"},
    {"assembly"},
    {"app"},
]
"""From the inside out: a module imports from its own layer and those before it."""

PURE = LAYERS[0] | LAYERS[1]
FORBIDDEN_IN_PURE = {"boto3", "botocore", "chalice", "requests", "os", "time", "random", "logging"}


def name_of(module: Path) -> str:
    return module.stem if module.parent.name != "api" else "api"


def imports_of(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def layer_of(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_imports_point_inwards(module: Path) -> None:
    if module.name == "__init__.py":
        return
    ours = {name.split(".")[1] for name in imports_of(module) if name.startswith("chalicelib.")}

    assert {name for name in ours if layer_of(name) > layer_of(name_of(module))} == set()


@pytest.mark.parametrize("name", sorted(PURE))
def test_a_pure_module_knows_nothing_of_the_world(name: str) -> None:
    roots = {imported.split(".")[0] for imported in imports_of(ROOT / "chalicelib" / f"{name}.py")}

    assert roots & FORBIDDEN_IN_PURE == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_every_module_says_why_it_exists(module: Path) -> None:
    assert ast.get_docstring(ast.parse(module.read_text()))


def test_only_clients_builds_clients() -> None:
    builders = {module.name for module in MODULES if "boto3" in imports_of(module)}

    assert builders == {"clients.py"}
