"""The dashboard's static files. They contain no data: the page requests it from the API.

The address of each file contains a digest of all of them, so that browsers may keep a file
forever and never mix the files of two deployments.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from chalicelib.api.dashboard.script import joined
from chalicelib.api.errors import AssetNotFound

_FOLDER: Final = Path(__file__).parent.parent.parent / "dashboard"
_PAGE: Final = "index.html"
_SCRIPT: Final = "dashboard.js"
"""All modules of the folder in one file."""
_CONTENT_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class File(NamedTuple):
    """A file, and the ETag under which a browser may revalidate it; None if it never changes."""

    content_type: str
    text: str
    etag: str | None = None


class Redirect(NamedTuple):
    """A redirect to a `location` relative to the address of the request."""

    location: str


class Dashboard:
    """The files, read at construction: construct it on first use and not at start."""

    def __init__(self) -> None:
        paths = sorted(path for path in _FOLDER.iterdir() if path.suffix in _CONTENT_TYPES)
        texts = {path: path.read_text("utf-8") for path in paths}
        script = joined({path.stem: text for path, text in texts.items() if path.suffix == ".js"})
        files = {path.name: text for path, text in texts.items() if path.suffix != ".js"}
        self._files = {
            name: File(_CONTENT_TYPES[Path(name).suffix], text)
            for name, text in (files | {_SCRIPT: script}).items()
        }
        content = "\0".join(f"{name}\0{file.text}" for name, file in self._files.items())
        self.version = sha256(content.encode()).hexdigest()[:20]

    def page(self, path: str) -> File | Redirect:
        """Return the page for a path as the browser requested it, with the stage if there is one.

        The references in the page are relative, so that they are valid under a stage (`/prod/`), a
        custom domain and `chalice local`. The path must therefore end with a slash.
        """
        if not path.endswith("/"):
            return Redirect(f"./{path.rpartition('/')[2]}/")
        page = self._files[_PAGE]
        return page._replace(text=page.text.replace("VERSION", self.version), etag=self.version)

    def asset(self, version: str, name: str) -> File:
        """Return a file of the current version. Raises AssetNotFound."""
        file = self._files.get(name)
        if file is None or version != self.version:
            raise AssetNotFound(f"file {name[:100]} not found in dashboard {version[:100]}")
        return file
