"""What `make` offers, and what it says where it can't begin."""

import re
import shutil
import subprocess
from pathlib import Path

from infra.stages import ROOT

COMMANDS = [
    *("run", "test", "check", "bench", "simulate", "send", "deploy", "backfill", "token", "clean"),
    *("webex-test", "check-rules", "explain-rules", "redrive"),
]


def make(*arguments: str, folder: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["make", *arguments], cwd=folder, capture_output=True, text=True)


def test_make_alone_lists_every_command() -> None:
    listed = re.findall(r"^  make ([a-z-]+): ", make().stdout, re.MULTILINE)

    assert set(COMMANDS) <= set(listed)


def test_an_older_python_is_told_in_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    for requirements in ROOT.glob("requirements*.txt"):
        shutil.copy(requirements, tmp_path)
    old = tmp_path / "python3.9"
    old.write_text(
        "#!/bin/sh\n"
        """exec python3 -c "import sys; sys.version_info = (3, 9, 1); exec(sys.argv[1])" "$2"\n"""
    )
    old.chmod(0o755)

    answer = make("test", f"PYTHON={old}", folder=tmp_path)

    assert answer.returncode != 0
    assert answer.stderr.startswith(f"error: Python 3.11 or later is needed, and {old} is 3.9")
    assert not (tmp_path / ".venv").exists()
