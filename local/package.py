"""The deployment package, made by `chalice package` and kept until what goes into it changes.

It is made from a copy of what Chalice packs, so that nothing else can get into it unnoticed, and
several can be made side by side. What comes out on Linux x86_64 is exactly what gets deployed.
Elsewhere the compiled parts, which are for Lambda, are replaced by those that this machine's
virtual environment holds of the same packages: only so can the local AWS run the functions here.
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
PACKED = ("app.py", "chalicelib", "requirements.txt", "vendor", ".chalice")
UNPACKED = ("__pycache__", "deployments", "deployed")
TEMPLATE, CODE = "sam.json", "deployment.zip"


def package(stage: str, environment: Mapping[str, str], cache: Path = CACHE) -> Path:
    """The folder with the stage's template (sam.json) and code (deployment.zip).

    `environment` is for the packaging: Chalice imports the app, and wants a region.
    """
    folder = cache / f"{stage}-{_digest()}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="making-") as temporary:
        made = _make(stage, environment, Path(temporary))
        with suppress(OSError):  # another process was as quick, and made the same
            made.rename(folder)
    for older in set(cache.glob(f"{stage}-*")) - {folder}:
        shutil.rmtree(older, ignore_errors=True)
    return folder


def _make(stage: str, environment: Mapping[str, str], temporary: Path) -> Path:
    project, made = temporary / "project", temporary / "made"
    for path in _inputs():
        copy = project / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    with Process(
        "chalice package",
        [CHALICE, "package", "--stage", stage, made],
        environment=environment,
        folder=project,
        log=temporary / "log",
    ) as chalice:
        chalice.finish()
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        use_extensions_of_this_machine(made / CODE)
    return made


def use_extensions_of_this_machine(code: Path) -> None:
    """Replaces each compiled module in the zip by the same package's here."""
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


def _inputs() -> Iterator[Path]:
    for name in PACKED:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and not set(UNPACKED) & set(path.relative_to(ROOT).parts):
                yield path


def _digest() -> str:
    """What the package depends on: the files, and who packs them for which Python."""
    digest = hashlib.sha256(f"{sys.version_info[:2]} {version('chalice')}".encode())
    for path in _inputs():
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
