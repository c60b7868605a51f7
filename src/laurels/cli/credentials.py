"""The key, or the token, that client commands show to a service, and where they take it from.

    --key env:NAME      a variable
    --key file:PATH     a file, as --key-file PATH
    LAURELS_KEY         the key itself, if no option says where one is

A key never stands on the command line, which every user of the machine can read, nor in what a command says.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import click
from msgspec import Struct

from laurels.access.keys import PREFIX, is_key
from laurels.cli.printing import write
from laurels.client.errors import KeyUnusable
from laurels.client.keys import is_key_form
from laurels.errors import explain_os_error
from laurels.limits import CREDENTIAL_CHARACTERS

try:
    import resource
except ModuleNotFoundError:  # on Windows
    WRITES_CORES = False
else:
    WRITES_CORES = True

VARIABLE = "LAURELS_KEY"
BARE = (
    "--key says where the key is, and must not be the key itself: whoever lists the processes of this machine sees the "
    f"command line. Put it into {VARIABLE} or a file, and name that: --key env:NAME, --key file:PATH or --key-file "
    "FILE. Was it a good one? Others may know it now: revoke it."
)
HOW = f"Show a key or a token: in {VARIABLE}, or from a file, with --key-file FILE."

_SECRET = re.compile(f"{PREFIX}|eyJ")
"""How keys and tokens begin."""
_PLACE = f"{__name__}.credential"


class Credential(Struct, frozen=True):
    """A key or a token; ``source`` is where it is from, as a message names it."""

    text: str
    source: str

    def __post_init__(self) -> None:
        """Raise KeyUnusable for what can be neither; from here on the process leaves no core."""
        if not is_key_form(self.text):
            raise KeyUnusable(f"There is no key in {self.source}: it must hold a key or a token, and nothing else.")
        if self.text.startswith(PREFIX) and not is_key(self.text):
            raise KeyUnusable(f"The key in {self.source} is mistyped, or not whole: its checksum is wrong.")
        if WRITES_CORES:
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

    def __repr__(self) -> str:
        """Return nothing of the key."""
        return f"<Credential from {self.source}>"


def find_credential() -> Credential | None:
    """Return what the command line names, or else the environment; None if there is nothing. Raises KeyUnusable."""
    given: Credential | None = click.get_current_context().meta.get(_PLACE)
    if given is None and (text := os.environ.get(VARIABLE, "").strip()):
        return Credential(text, VARIABLE)
    return given


def take_reference(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Read the key that --key says the place of, for :func:`find_credential`."""
    if value is not None:
        _keep(ctx, read_reference(value))


def read_reference(value: str) -> Credential:
    """Return the key that an option says the place of; raise BadParameter for what is no place, and KeyUnusable."""
    kind, _, place = value.partition(":")
    if kind not in {"env", "file"} or not place or _SECRET.match(place):
        raise click.BadParameter(BARE)
    return _read_variable(place) if kind == "env" else _read_file(Path(place))


def take_file(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    """Read the key in the file of --key-file, for :func:`find_credential`."""
    if value is None:
        return
    if _SECRET.match(value):
        raise click.BadParameter(BARE)
    _keep(ctx, _read_file(Path(value)))


def _keep(ctx: click.Context, credential: Credential) -> None:
    if _PLACE in ctx.meta:
        raise click.UsageError("--key and --key-file contradict each other.")
    ctx.meta[_PLACE] = credential


def _read_variable(name: str) -> Credential:
    text = os.environ.get(name, "").strip()
    if not text:
        raise KeyUnusable(f"There is no key in the variable {name}: it is not set, or empty.")
    return Credential(text, f"the variable {name}")


def _read_file(file: Path) -> Credential:
    try:
        with file.open("rb") as source:
            status = os.fstat(source.fileno())
            content = source.read(CREDENTIAL_CHARACTERS + 3)
    except (OSError, ValueError) as error:
        raise KeyUnusable(f"The key in {file} cannot be read: {explain_os_error(error)}.") from error
    is_shared = os.name == "posix" and status.st_mode & (stat.S_IROTH | stat.S_IWOTH)
    if is_shared and stat.S_ISREG(status.st_mode):
        write(f"Warning: every user of this machine can read the key in {file}: chmod 600 {file}", err=True)
    return Credential(content.decode(errors="replace").strip(), str(file))
