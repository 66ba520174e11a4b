"""The deployment package, created by `chalice package` and cached until its input changes.

It is created in a copy of the files that Chalice packages, so that no other file can get into it,
and several packages can be created at the same time. On Linux x86_64 it is what is deployed to
AWS. On other machines its compiled modules, which are for Lambda, are replaced by those of this
machine's virtual environment, so that the local AWS can run the functions.
"""

import hashlib
import platform
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZipFile

from local.process import Process

ROOT = Path(__file__).parent.parent
CHALICE = Path(sys.executable).with_name("chalice")
CACHE = ROOT / ".cache" / "package"
_MERGED = "infra/gateway.json"
INPUTS = ("app.py", "chalicelib", "requirements.txt", "vendor", ".chalice", _MERGED)
EXCLUDED = ("__pycache__", "deployments", "deployed")
TEMPLATE, CODE = "sam.json", "deployment.zip"
"""The files in a package's folder."""


def package(stage: str, environment: Mapping[str, str], cache: Path = CACHE) -> Path:
    """Return the folder of the stage's package. Raise LocalError if Chalice fails.

    `environment` is that of `chalice package`, which imports the app and needs an AWS region.
    """
    folder = cache / f"{stage}-{_digest()}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as temporary:
        created = _create(stage, environment, Path(temporary))
        with suppress(OSError):  # another process has just created the same package
            created.rename(folder)
    for older in set(cache.glob(f"{stage}-*")) - {folder}:
        shutil.rmtree(older, ignore_errors=True)
    return folder


def _create(stage: str, environment: Mapping[str, str], temporary: Path) -> Path:
    project, output = temporary / "project", temporary / "output"
    for path in _input_files():
        copy = project / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    with Process(
        "chalice package",
        [CHALICE, "package", "--stage", stage, "--merge-template", _MERGED, output],
        environment=environment,
        folder=project,
        log=temporary / "log",
    ) as chalice:
        chalice.finish()
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        use_local_extensions(output / CODE)
    return output


def use_local_extensions(code: Path) -> None:
    """Replace the compiled modules in a zip by those of the same packages on this machine."""
    installed = Path(sysconfig.get_path("platlib"))
    original = code.rename(code.with_suffix(".original"))
    with ZipFile(original) as old, ZipFile(code, "w", ZIP_DEFLATED) as new:
        folders = set()
        for entry in old.infolist():
            if _is_extension(entry.filename):
                folders.add(PurePosixPath(entry.filename).parent)
            else:
                new.writestr(entry, old.read(entry))
        for folder in sorted(folders):
            for path in filter(_is_extension, sorted((installed / folder).iterdir())):
                new.write(path, str(folder / path.name))
    original.unlink()


def _is_extension(path: Path | str) -> bool:
    return PurePosixPath(path).suffix in (".so", ".pyd", ".dylib")


def _input_files() -> Iterator[Path]:
    for name in INPUTS:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not set(EXCLUDED) & set(path.relative_to(ROOT).parts):
                yield path


def _digest() -> str:
    """Return a digest of the input files, the Python version and Chalice's version."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {version('chalice')}".encode())
    for path in _input_files():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
