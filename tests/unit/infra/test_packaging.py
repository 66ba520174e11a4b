"""Bytecode in a package: of each module, bound to its source."""

import importlib.util
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.packaging import add_bytecode

CHECKED_HASH = 0b11
MODULES = {"app.py": "def f():\n    raise ValueError\n", "package/module.py": "VALUE = 1\n"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "deployment.zip"
    with ZipFile(path, "w") as package:
        for name, source in (MODULES | {"package/page.html": "<p>"}).items():
            package.writestr(name, source)
    return path


def test_each_module_has_bytecode_with_the_hash_of_its_source(package: Path) -> None:
    add_bytecode(package)

    with ZipFile(package) as compiled:
        for name, source in MODULES.items():
            bytecode = compiled.read(importlib.util.cache_from_source(name))
            assert bytecode[:4] == importlib.util.MAGIC_NUMBER
            assert int.from_bytes(bytecode[4:8], "little") == CHECKED_HASH
            assert bytecode[8:16] == importlib.util.source_hash(source.encode())
            assert f"/var/task/{name}".encode() in bytecode
            assert compiled.read(name).decode() == source


def test_other_bytecode_is_replaced(package: Path) -> None:
    outdated = importlib.util.cache_from_source("app.py")
    other_python = outdated.replace("app.", "app.cpython-30.")
    with ZipFile(package, "a") as original:
        original.writestr(outdated, "of another app.py")
        original.writestr(other_python, "of another Python")

    add_bytecode(package)
    add_bytecode(package)

    with ZipFile(package) as compiled:
        bytecode = sorted(name for name in compiled.namelist() if name.endswith(".pyc"))
        assert bytecode == sorted(importlib.util.cache_from_source(name) for name in MODULES)
        assert compiled.read(outdated)[:4] == importlib.util.MAGIC_NUMBER
    assert list(package.parent.iterdir()) == [package]


def test_a_module_that_can_not_be_compiled_is_packaged_without_bytecode(package: Path) -> None:
    with ZipFile(package, "a") as original:
        original.writestr("template.py", "{{ not Python }} !")

    add_bytecode(package)

    with ZipFile(package) as compiled:
        assert "template.py" in compiled.namelist()
        assert importlib.util.cache_from_source("template.py") not in compiled.namelist()
