"""The files of this folder that browsers load, and the addresses at which they may keep them for ever."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

from msgspec import Struct

KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
NAMES = ("board.css", "board.js", "live.js", "rows.js", "shown.js", "stage.js", "widget.js")
IMPORT = 'import { watch } from "./live.js";\n'
"""The line of a module that the one behind it takes the place of, in what is served as one file."""
_IMPORTED = re.compile(r'"\./(\w+\.js)"')
NOTE = "Laurels: web/widget.js and web/live.js of the package, without their comments"
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
    text = files("laurels.web").joinpath(name).read_text()
    if name == "widget.js":  # one file, which other sites can name without knowing of a second
        text = _shorten(text.replace(IMPORT, find("live.js").body.decode().replace("export ", "")))
    elif name.endswith(".js"):
        text = _IMPORTED.sub(lambda found: f'"./{found[1]}?v={find(found[1]).digest}"', text)
    body = text.encode()
    return WebFile(name, body, KINDS[name[name.rindex(".") :]], sha256(body).hexdigest()[:16])


def _shorten(text: str) -> str:
    """Return a module without its comments and its indentation. No string of ours has a line that looks like either."""
    return f"// {NOTE}\n{_COMMENT.sub('', text)}"
