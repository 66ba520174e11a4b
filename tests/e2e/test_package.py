"""The deployment package: its content, its cache, and its compiled modules."""

import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from local.aws import LocalAws
from local.package import CODE, TEMPLATE, package, use_local_extensions

NO_AWS = LocalAws(1, Path())


def test_a_package_contains_only_what_runs_in_aws() -> None:
    folder = package("local", NO_AWS.environment_for(os.environ))

    with zipfile.ZipFile(folder / CODE) as code:
        tops = {name.split("/")[0] for name in code.namelist()}
    assert {"app.py", "chalicelib", "chalice", "msgspec", "aws_lambda_powertools"} <= tops
    assert tops.isdisjoint({"local", "infra", "tests", "bench", "boto3", "botocore", ".chalice"})
    assert (folder / TEMPLATE).exists()


def test_a_packaged_template_has_the_responses_and_the_throttling_of_the_gateway() -> None:
    template = package("local", NO_AWS.environment_for(os.environ)) / TEMPLATE
    linter = Path(sys.executable).with_name("cfn-lint")

    linted = subprocess.run([linter, template], capture_output=True, text=True, check=False)

    api = json.loads(template.read_text())["Resources"]["RestAPI"]["Properties"]
    responses = api["DefinitionBody"]["x-amazon-apigateway-gateway-responses"]
    assert responses["MISSING_AUTHENTICATION_TOKEN"]["statusCode"] == "404"
    assert "/jobs/{job_id}" in api["DefinitionBody"]["paths"]
    assert api["MethodSettings"][0]["ThrottlingRateLimit"] == 100
    assert (linted.returncode, linted.stdout) == (0, "")


def test_a_package_is_created_once_for_the_same_input(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = package("local", NO_AWS.environment_for(os.environ))
    monkeypatch.setattr("local.package.CHALICE", Path("/missing/chalice"))

    assert package("local", NO_AWS.environment_for(os.environ)) == folder


def test_compiled_modules_are_replaced_by_those_of_this_machine(tmp_path: Path) -> None:
    code = tmp_path / CODE
    with zipfile.ZipFile(code, "w") as original:
        original.writestr("app.py", "print()")
        original.writestr("msgspec/__init__.py", "as packaged")
        original.writestr("msgspec/_core.cpython-311-another-machine.so", "of another machine")

    use_local_extensions(code)

    installed = Path(str(importlib.import_module("msgspec._core").__file__))
    with zipfile.ZipFile(code) as changed:
        assert sorted(changed.namelist()) == [
            "app.py",
            "msgspec/__init__.py",
            f"msgspec/{installed.name}",
        ]
        assert changed.read("msgspec/__init__.py") == b"as packaged"
        assert changed.read(f"msgspec/{installed.name}") == installed.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [CODE]
