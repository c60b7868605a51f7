"""The errors of the deployment, in one tree.

LaurelsError
└── DeploymentError
    ├── SettingRefused    a setting of the context is not one that can be deployed
    ├── NotStarted        a server of the local stack did not start
    ├── ServerMissing     a server of the local stack is not installed
    └── AssetError        a function's asset cannot be built
        ├── WheelsMissing
        ├── WheelRefused  a wheel is not one of those that were locked
        └── NotCarried    a handler needs a module that an asset cannot have

Each class builds its own message, which says what to do.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from laurels.errors import LaurelsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class DeploymentError(LaurelsError):
    """The stack cannot be deployed, or run on this machine."""


class SettingRefused(DeploymentError):
    """A setting of the context is not one that can be deployed."""

    def __init__(self, setting: str, problem: str, remedy: str) -> None:
        self.setting = setting
        super().__init__(f"The setting {setting} {problem}. {remedy}")


class AssetError(DeploymentError):
    """A function's asset cannot be built."""


class WheelsMissing(AssetError):
    """The wheels for a runtime and a processor cannot be downloaded."""

    def __init__(self, target: str, output: str) -> None:
        self.target = target
        reason = output.strip().rpartition("\n")[2]
        super().__init__(f"The functions' packages for {target} cannot be downloaded: {reason}")


class WheelRefused(AssetError):
    """A wheel is not one of those that were locked."""

    def __init__(self, wheel: Path, lock: Path) -> None:
        self.wheel = wheel
        super().__init__(
            f"{wheel} is not one of the wheels that {lock} names. Remove its directory: then it is downloaded again."
        )


class NotCarried(AssetError):
    """A handler needs a module of ours that is compiled, or missing."""

    def __init__(self, module: str) -> None:
        self.module = module
        super().__init__(f"A function's asset cannot carry {module}: there is no Python source of that name.")


class NotStarted(DeploymentError):
    """A local server ended before it was ready."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log = log
        super().__init__(f"`{shlex.join(command)}` did not start. It said:\n{log.read_text()}")


class ServerMissing(DeploymentError):
    """Neither of the servers that speak Redis's protocol is installed."""

    def __init__(self) -> None:
        super().__init__(
            "Neither valkey-server nor redis-server is installed, which keeps the boards here: apt install redis-server"
        )
