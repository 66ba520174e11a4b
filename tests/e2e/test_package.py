"""The deployment package: what is in it, when it is made, and for which machine."""

import importlib
import os
import zipfile
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.package import CODE, TEMPLATE, package, use_extensions_of_this_machine

NO_AWS = LocalAws(1, Path())


def test_only_what_runs_in_aws_is_in_it() -> None:
    made = package("local", NO_AWS.environment_for(os.environ))

    with zipfile.ZipFile(made / CODE) as code:
        tops = {name.split("/")[0] for name in code.namelist()}
    assert {"app.py", "chalicelib", "chalice", "msgspec", "aws_lambda_powertools"} <= tops
    assert tops.isdisjoint({"local", "infra", "tests", "bench", "boto3", "botocore", ".chalice"})
    assert (made / TEMPLATE).exists()


def test_it_is_made_once_for_the_same_input(monkeypatch: pytest.MonkeyPatch) -> None:
    made = package("local", NO_AWS.environment_for(os.environ))
    monkeypatch.setattr("local.package.CHALICE", Path("/nothing/that/could/make/it"))

    assert package("local", NO_AWS.environment_for(os.environ)) == made


def test_on_another_machine_its_own_compiled_modules_take_the_place_of_lambdas(
    tmp_path: Path,
) -> None:
    code = tmp_path / CODE
    with zipfile.ZipFile(code, "w") as made:
        made.writestr("app.py", "print()")
        made.writestr("msgspec/__init__.py", "as packed")
        made.writestr("msgspec/_core.cpython-311-another-machine.so", "of no use here")

    use_extensions_of_this_machine(code)

    here = Path(str(importlib.import_module("msgspec._core").__file__))
    with zipfile.ZipFile(code) as made:
        assert sorted(made.namelist()) == ["app.py", "msgspec/__init__.py", f"msgspec/{here.name}"]
        assert made.read("msgspec/__init__.py") == b"as packed"
        assert made.read(f"msgspec/{here.name}") == here.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [CODE]
