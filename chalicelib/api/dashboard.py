"""The dashboard's files as a browser gets them. They hold no data: the page asks the API for it.

The address of each has the digest of all of them, so that a browser may keep it for ever and never
mixes those of two deployments. Knows the folder; of HTTP only the names of media types.
"""

from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

_FOLDER = Path(__file__).parent.parent / "dashboard"
_PAGE = "index.html"
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    kind: str
    text: str


class NoSuchAsset(LookupError):
    """There is none, or it is another deployment's."""


class Dashboard:
    """Reads its files at once, so it is to be made when first asked for, not at start."""

    def __init__(self) -> None:
        files = {path.name: path for path in sorted(_FOLDER.iterdir()) if path.suffix in _KINDS}
        self._assets = {
            name: Asset(_KINDS[path.suffix], path.read_text("utf-8"))
            for name, path in files.items()
        }
        texts = "\0".join(f"{name}\0{asset.text}" for name, asset in self._assets.items())
        self.version = sha256(texts.encode()).hexdigest()[:20]

    def page(self) -> Asset:
        """All its references are relative to its own address, which must end with a slash."""
        kind, text = self._assets[_PAGE]
        return Asset(kind, text.replace("VERSION", self.version))

    def asset(self, version: str, name: str) -> Asset:
        """Raises NoSuchAsset."""
        asset = self._assets.get(name)
        if asset is None or version != self.version:
            raise NoSuchAsset(f"there is no {name[:100]} in version {version[:100]} of the page")
        return asset
