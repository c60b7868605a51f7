"""References to secrets: where one is that an access file needs, and must not hold.

env:NAME    a variable of the environment
file:PATH   a file, relative to the access file; the newline at its end is not of the secret
ssm:NAME    a parameter of AWS Systems Manager, on Lambda alone
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING

from laurels.errors import AccessFileUnusable
from laurels.limits import KIB, format_size

if TYPE_CHECKING:
    from pathlib import Path

SECRET_BYTES = 32, 64 * KIB
"""How long a secret is: HS256 needs as many bits as SHA-256 has (RFC 7518, section 3.2)."""
ENV, FILE, SSM = "env", "file", "ssm"

_REFERENCE = re.compile(rf"({ENV}|{FILE}|{SSM}):([^\x00]+)")
_HOW = "openssl rand -base64 48"


def check_reference(reference: str, *, on_lambda: bool | None) -> None:
    """Raise ValueError if it refers to nothing that can be read there; None is for wherever the file will be read.

    The message never repeats it: it may be bare.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        written = "ssm:NAME" if on_lambda else "env:LAURELS_TOKEN_SECRET or file:token-secret"
        raise ValueError(
            f"[players]: secret must say where the secret is, as in {written}: it must not stand in this file itself"
        )
    if on_lambda and found[1] != SSM:
        raise ValueError(
            f"[players]: secret is in {found[1]}:, and on Lambda it must be in a parameter, as in ssm:NAME"
        )
    if on_lambda is False and found[1] == SSM:
        raise ValueError(
            "[players]: secret is in ssm:, which is read on Lambda alone: write env:NAME or file:PATH here"
        )


def read_secret(reference: str, file: Path) -> bytes:
    """Return the secret that ``file``, an access file, refers to by ``env:`` or ``file:``; raise AccessFileUnusable."""
    kind, _, place = reference.partition(":")
    where = f"[players]: secret is in {'the variable' if kind == ENV else 'the file'} {place}"
    secret = (
        _read_variable(place, file, where) if kind == ENV else _read_file(secret_file(reference, file), file, where)
    )
    least, most = SECRET_BYTES
    if not least <= len(secret) <= most:
        raise AccessFileUnusable(
            file, f"{where}, and must have {least} bytes to {format_size(most)}: make one by `{_HOW}`"
        )
    return secret


def secret_file(reference: str, file: Path) -> Path:
    """Return which file ``file:PATH`` is in an access file."""
    return file.parent / reference.partition(":")[2]


def _read_variable(name: str, file: Path, where: str) -> bytes:
    value = os.environ.get(name)
    if not value:
        raise AccessFileUnusable(file, f"{where}, which is not set: make a secret by `{_HOW}`")
    return os.fsencode(value)


def read_file(file: Path, most: int) -> bytes:
    """Return that many bytes of a file; raise OSError, also for a pipe, which would be waited for."""
    if not (file.is_file() or file.is_dir()) and file.exists():
        raise OSError(errno.EINVAL, "it is a pipe or a device, which is read only once")
    with file.open("rb") as source:
        return source.read(most)


def _read_file(secret: Path, file: Path, where: str) -> bytes:
    try:
        found = read_file(secret, SECRET_BYTES[1] + 3)
    except OSError as error:
        raise AccessFileUnusable(file, f"{where}, which cannot be read: {error.strerror}") from error
    return found.removesuffix(b"\n").removesuffix(b"\r")
