"""The Makefile lists its targets, and an unusable Python is reported in one line."""

import re
import shutil
import subprocess
from pathlib import Path

from infra.stages import ROOT

COMMANDS = [
    *("run", "test", "test-fast", "check", "bench", "simulate", "send", "deploy", "backfill"),
    *("token", "clean", "webex-test", "check-rules", "explain-rules", "redrive"),
]


def make(*arguments: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)


def test_make_alone_lists_every_command() -> None:
    listed = re.findall(r"^  make ([a-z-]+): ", make().stdout, re.MULTILINE)

    assert set(COMMANDS) <= set(listed)


def test_an_older_python_is_reported_in_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "local").mkdir()
    shutil.copy(ROOT / "local" / "install.py", tmp_path / "local")
    for requirements in ROOT.glob("requirements*.txt"):
        shutil.copy(requirements, tmp_path)
    old = tmp_path / "python3.9"
    old.write_text(
        "#!/bin/sh\n"
        """exec python3 -c "import runpy, sys; sys.argv = sys.argv[1:]; """
        """sys.version_info = (3, 9, 1); runpy.run_path(sys.argv[0], run_name='__main__')" "$@"\n"""
    )
    old.chmod(0o755)

    result = make("test", f"PYTHON={old}", folder=tmp_path)

    assert result.returncode != 0
    assert re.match(r"error: Python 3\.11 or later is required, but .* is 3\.9\.", result.stderr)
    assert "PYTHON=" in result.stderr
    assert not (tmp_path / ".venv").exists()
