"""Style sheet, script and icon: a handful of files, read once."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from edge.web.headers import GUARDS, lines
from edge.web.request import EdgeRequest

FOLDER = Path(__file__).parent.parent / "static"
KINDS = {
    ".css": b"text/css; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".svg": b"image/svg+xml",
}
FOR_EVER = b"public, max-age=31536000, immutable"
VERSION_DIGITS = 12

_IMPORT = re.compile(rb'((?:from|import) "\./)([a-z_]+\.mjs)(?=";)')


def versions(files: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, str]]:
    """The files with each import of another named by its version, so that it is kept for ever too; and the
    versions. Imports must not go in a circle."""
    done: dict[str, bytes] = {}
    found: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in found:
            done[name] = _IMPORT.sub(named, files[name])
            found[name] = hashlib.sha256(done[name]).hexdigest()[:VERSION_DIGITS]
        return found[name]

    def named(written: re.Match[bytes]) -> bytes:
        return b"%b?v=%b" % (written[0], version(written[2].decode()).encode())

    for name in files:
        version(name)
    return done, found


FILES, VERSIONS = versions(
    {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.suffix in KINDS}
)


def versioned(name: str) -> str:
    """The address of this file as it is now: another one when its content changes."""
    return f"/static/{name}?v={VERSIONS[name]}"


class StaticFile(Resource):
    """One file. At its versioned address it may be kept for ever."""

    def __init__(self, name: str, missing: Resource) -> None:
        super().__init__()
        self._missing = missing
        self._octets = FILES[name]
        self._query = f"v={VERSIONS[name]}".encode()
        self._kind = KINDS[Path(name).suffix]

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """Nothing is below a file."""
        return self._missing

    def render(self, request: EdgeRequest) -> int:
        """GET and HEAD."""
        if request.method not in (b"GET", b"HEAD"):
            request.respond(405, lines((*GUARDS, (b"Allow", b"GET, HEAD"))), b"")
            return NOT_DONE_YET
        caching = FOR_EVER if request.query == self._query else b"no-cache"
        head = lines((*GUARDS, (b"Content-Type", self._kind), (b"Cache-Control", caching)))
        request.respond(200, head, self._octets)
        return NOT_DONE_YET
