"""Keys: random secrets that say who asks. Of a key only its SHA-256 is kept.

    laurels_ + 43 characters (256 random bits) + 6 characters (CRC-32 of all before), in base 62

The prefix lets scanners of secrets find one, and the checksum tells a mistyped key from a wrong one.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from zlib import crc32

PREFIX = "laurels_"
SECRET_CHARACTERS, CHECK_CHARACTERS = 43, 6
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_SHOWN = re.compile(rf"({PREFIX})[0-9A-Za-z]{{20,}}")
_FORM = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{SECRET_CHARACTERS + CHECK_CHARACTERS}}}")


def make_key() -> str:
    """Return a new key."""
    return complete_key(PREFIX + _base62(secrets.randbits(256), SECRET_CHARACTERS))


def complete_key(text: str) -> str:
    """Return a key that is whole but for its checksum."""
    return text + _checksum(text)


def is_key(text: str) -> bool:
    """Return whether a text has the form of a key, its checksum included: one that is mistyped has not."""
    return _FORM.fullmatch(text) is not None and _checksum(text[:-CHECK_CHARACTERS]) == text[-CHECK_CHARACTERS:]


def hide_keys(text: str) -> str:
    """Return a text without the secrets of keys in it, also of such as are mistyped or cut off."""
    return _SHOWN.sub(r"\1...", text)


def digest_key(key: str) -> str:
    """Return what is kept of a key: its SHA-256, in hexadecimal."""
    return sha256(key.encode()).hexdigest()


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode()), CHECK_CHARACTERS)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(DIGITS))
        digits.append(DIGITS[digit])
    return "".join(reversed(digits))
