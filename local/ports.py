"""Ports of this machine: which are taken, and free ones.

address ─► taken or not
"""

import socket
from collections.abc import Mapping

from marketdata.errors import LocalError

PROBE_TIMEOUT_S = 0.5


def free_ports(count: int) -> list[int]:
    """Distinct ports that nobody listens on; all are held open while they are chosen."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def refuse_taken(ports: Mapping[str, int], host: str) -> None:
    """Check every port before anything is started.

    Raises:
        LocalError: the host is not of this machine, or ports are taken: names each, what
            wanted it, and the option to change.
    """
    if not _bindable(host, 0):
        raise LocalError(f"--host {host} is not an address of this machine")
    taken = [f"{port} ({name})" for name, port in ports.items() if not _bindable(host, port)]
    if taken:
        many = len(taken) > 1
        raise LocalError(
            f"port{'s' if many else ''} {', '.join(taken)} {'are' if many else 'is'} in use: "
            f"stop what has {'them' if many else 'it'}, or start with `--ports free`"
        )


def _bindable(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
