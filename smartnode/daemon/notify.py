"""Tells systemd that the node is ready, alive or stopping (sd_notify); without systemd it says nothing."""

import os
import socket


def notify(state: str) -> None:
    """Send *state* (``READY=1``, ``STOPPING=1``) to $NOTIFY_SOCKET; a missing or dead socket is ignored."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as messenger:
            messenger.connect(address)
            messenger.sendall(state.encode())
    except OSError:
        return
