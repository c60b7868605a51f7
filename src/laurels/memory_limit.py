"""How much memory the process may have: the least of what its control groups and the machine allow."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.figures import Figures

GROUPS, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def measure_memory_limit() -> Figures:
    """Return the figure by its name in the metrics."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"memory_limit_bytes": min([machine, *read_limits(GROUPS, MOUNT)])}


def read_limits(groups: Path, mount: Path) -> Iterator[int]:
    """Yield the limits of the control groups, of both versions, that a process is in, and of those around them.

    ``groups`` is the process's list of them. In a container it may show them as they are outside: then there is no such
    directory below ``mount``, and the limit is that of ``mount`` itself.
    """
    with suppress(OSError):
        for line in groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in {"", "memory"}:
                root = mount / controllers
                group = root / path.lstrip("/")
                name = "memory.limit_in_bytes" if controllers else "memory.max"
                depth = len(group.relative_to(root).parts)
                for each in (group, *group.parents)[: depth + 1]:
                    with suppress(OSError, ValueError):  # ValueError: "max", which is no limit
                        yield int((each / name).read_text())
