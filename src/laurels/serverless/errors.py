"""The errors of the functions on Lambda, in one tree. Those of their store are in :mod:`laurels.errors`.

LaurelsError
├── AccountRefused            Momento's account API did not carry out a request of the rotation
├── BadSetting                a variable of the environment is missing, or cannot be used
└── ParameterNotWritten       SSM did not store a parameter
"""

from __future__ import annotations

from laurels.errors import LaurelsError


class AccountRefused(LaurelsError):
    """Momento's account API did not carry out a request; ``status`` is None if it gave no answer."""

    def __init__(self, request: str, status: int | None, problem: str) -> None:
        self.status = status
        ending = "" if status is None else f" with {status}"
        super().__init__(f"Momento's account API failed {request}{ending}: {problem}. The next run goes on from there.")


class BadSetting(LaurelsError):
    """A variable of the function's environment is missing, or has a value that cannot be used."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem} Correct it in the function's environment and deploy again.")


class ParameterNotWritten(LaurelsError):
    """SSM did not store a parameter."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        super().__init__(f"The parameter {name} cannot be written: {reason.rstrip('.')}.")
