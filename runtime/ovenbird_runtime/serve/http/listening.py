"""Sockets that listen: bound to one address each, and closed to new clients before they are closed.

sock = bound_socket(socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", 8000))
stop_handshakes(sock)           # who has connected stays in the queue; who connects now gets no answer yet
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import socket
import struct

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it
_DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # struct sock_filter: BPF_RET | BPF_K, 0 bytes of the packet pass


def bound_socket(family: int, kind: int, protocol: int, address: tuple[object, ...]) -> socket.socket:
    """Make a socket bound to `address`, of its own family alone. Raises OSError."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, "the address is in use") from None
        raise
    return sock


def stop_handshakes(sock: socket.socket) -> None:
    """Have the kernel drop whatever asks this listener for a connection; the queue stays as it is.

    Closing a listener resets the clients in its queue, and one can enter between the last accept and the close. Behind
    this filter (Linux, classic BPF, socket(7)) nobody enters: a client that asks repeats itself a second later, and is
    then refused by the closed port, which loses nothing that was sent. Where the kernel has no filters, a client may
    still be reset in that moment.
    """
    program = ctypes.create_string_buffer(_DROP_ALL, len(_DROP_ALL))
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
