"""What systemd is told of a service that it has started as ``Type=notify`` (sd_notify(3))."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger(__name__)


def notify(state: str) -> None:
    """Tell systemd a state, such as ``READY=1``; do nothing if none waits for it, and log it if it cannot be told."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    address = f"\0{place[1:]}" if place.startswith("@") else place  # @ stands for Linux's abstract sockets
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
        sending.settimeout(0)
        try:
            sending.sendto(state.encode(), address)
        except OSError as error:
            log.warning("%s cannot be told to systemd at %s: %s.", state, place, error.strerror or error)
