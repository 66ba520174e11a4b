"""Chalice's commands with bytecode in the package: `python -m infra.packaging deploy --stage prod`.

Lambda can't keep what it compiles, so without bytecode each new function compiles all modules
(docs/adr/0018-bytecode-in-the-package.md). Chalice has no hook between its package and the upload,
so its packager is replaced. Must not know what is packaged.
"""

import compileall
import sys
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

from chalice import cli
from chalice.deploy import deployer
from chalice.deploy.packager import LambdaDeploymentPackager

_TASK_ROOT = "/var/task"
"""Where Lambda unpacks a package: the path of the modules in stack traces."""


class _CompilingPackager(LambdaDeploymentPackager):
    def create_deployment_package(self, project_dir: str, python_version: str) -> str:
        package = super().create_deployment_package(project_dir, python_version)
        add_bytecode(Path(package))
        return package


def add_bytecode(package: Path) -> None:
    """Replace the bytecode of a package by that of all its modules, for the version of Python that
    runs this, which is also the one that Chalice chooses for the functions.

    The package may contain bytecode of this machine, which Chalice copies with chalicelib and which
    Lambda would ignore. The new one contains the hash of its source, so Python ignores it if the
    source is changed in the Lambda console.
    """
    with TemporaryDirectory(dir=package.parent) as temporary:
        folder, completed = Path(temporary) / "modules", Path(temporary) / "completed.zip"
        with ZipFile(package) as original, ZipFile(completed, "w", ZIP_DEFLATED) as compiled:
            for entry in original.infolist():
                if not entry.filename.endswith(".pyc"):
                    original.extract(entry, folder)
                    compiled.writestr(entry, original.read(entry), ZIP_DEFLATED)
            compileall.compile_dir(
                folder,
                quiet=2,
                stripdir=folder,
                prependdir=_TASK_ROOT,
                invalidation_mode=PycInvalidationMode.CHECKED_HASH,
            )
            for path in sorted(folder.rglob("*.pyc")):
                compiled.write(path, path.relative_to(folder))
        completed.replace(package)


if __name__ == "__main__":
    deployer.LambdaDeploymentPackager = _CompilingPackager  # type: ignore[attr-defined]
    sys.exit(cli.main())
