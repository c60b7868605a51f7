"""The files of this folder that browsers load, and the addresses at which they may keep them for ever."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

from msgspec import Struct

KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
NAMES = tuple(sorted(each.name for each in files(__name__.rpartition(".")[0]).iterdir() if each.suffix in KINDS))
NOTE = "Laurels: web/widget.js of the package and what it imports, without comments"
_IMPORT = re.compile(r'^import .* from "\./(\w+\.js)";\n', re.MULTILINE)
_IMPORTED = re.compile(r'"\./(\w+\.js)"')
_COMMENT = re.compile(r"^\s*(//.*|/\*\*[^/]*\*/)?\s*|(?<=[;{,]) // .*", re.MULTILINE)


class WebFile(Struct, frozen=True):
    """A file as it is sent. Its ``digest`` is in its address, so that another content has another address."""

    name: str
    body: bytes
    kind: bytes
    digest: str

    @property
    def address(self) -> str:
        """Where it is, below where the service is."""
        return f"-/{self.name}?v={self.digest}"


@cache
def find(name: str) -> WebFile:
    """Return a file by its name."""
    text = _read(name)
    if name == "widget.js":  # one file, which loads on any page without asking for a second
        text = _shorten(_IMPORT.sub(lambda found: _read(found[1]).replace("export ", ""), text))
    if name.endswith(".js"):
        text = _IMPORTED.sub(lambda found: f'"./{found[1]}?v={find(found[1]).digest}"', text)
    body = text.encode()
    return WebFile(name, body, KINDS[name[name.rindex(".") :]], sha256(body).hexdigest()[:16])


def _read(name: str) -> str:
    return files("laurels.web").joinpath(name).read_text()


def _shorten(text: str) -> str:
    """Return a module without its comments and its indentation. No string of ours has a line that looks like either."""
    return f"// {NOTE}\n{_COMMENT.sub('', text)}"
