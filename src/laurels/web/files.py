"""The files of this folder that browsers load, and the addresses at which they may keep them for ever."""

from __future__ import annotations

import re
from functools import cache
from hashlib import sha256
from importlib.resources import files

from msgspec import Struct

KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}
_FOLDER = files(__name__.rpartition(".")[0])
NAMES = tuple(sorted(each.name for each in _FOLDER.iterdir() if each.name.endswith((".css", ".js"))))
NOTE = "Laurels: web/widget.js of the package and what it imports, without comments"
_IMPORT = re.compile(r'^import .* from "\./(\w+\.js)";\n', re.MULTILINE)
_IMPORTED = re.compile(r'"\./(\w+\.js)"')
_COMMENT = re.compile(r"^\s*(//.*|/\*\*[^/]*\*/)?\s*|(?<=[;{,]) // .*", re.MULTILINE)
_SPACES = re.compile(r"""("[^"]*"|`[^`]*`)| ?(=>|[=*<>&|?:,;{}()!]+) ?| ([-+%]) (?![-+])""")
_ENDS = re.compile(r"(?<=[;{,])\n")


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
        text = _shorten(_bundle(name, set()))
    if name.endswith(".js"):
        text = _IMPORTED.sub(lambda found: f'"./{found[1]}?v={find(found[1]).digest}"', text)
    body = text.encode()
    return WebFile(name, body, KINDS[name[name.rindex(".") :]], sha256(body).hexdigest()[:16])


def _read(name: str) -> str:
    return files("laurels.web").joinpath(name).read_text()


def _bundle(name: str, done: set[str]) -> str:
    """Return a module with those that it imports in it, each once."""
    done.add(name)
    return _IMPORT.sub(lambda found: "" if found[1] in done else _bundle(found[1], done), _read(name)).replace(
        "export ", ""
    )


def _shorten(text: str) -> str:
    """Return a module without its comments, and without spaces and ends of lines that it does without.

    None of our strings goes on in another line. Lines with a slash, which may be a regular expression, keep theirs.
    """
    lines = _COMMENT.sub("", text).splitlines()
    short = "\n".join(line if "/" in line else _SPACES.sub(r"\1\2\3", line) for line in lines)
    return f"// {NOTE}\n{_ENDS.sub('', short)}\n"
