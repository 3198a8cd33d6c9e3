"""Sockets that listen, for HTTP and for gRPC, and are closed to new clients before they are closed.

sockets, servers = await listen("127.0.0.1", 8000, make_protocol, connections=1024)
stop_handshakes(sockets[0])     # who has connected stays in the queue; who connects now gets no answer yet
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import socket
import struct
from collections.abc import Callable

from .errors import StartFailed

_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it
_DROP_SYN = b"".join(
    struct.pack("HBBI", *instruction)  # struct sock_filter: code, jump if true, jump if false, constant
    for instruction in (
        (0x30, 0, 0, 13),  # BPF_LD | BPF_B | BPF_ABS: the flags of the TCP header
        (0x54, 0, 0, 0x12),  # BPF_ALU | BPF_AND | BPF_K: SYN and ACK of them
        (0x15, 0, 1, 0x02),  # BPF_JMP | BPF_JEQ | BPF_K: SYN alone?
        (0x06, 0, 0, 0),  # BPF_RET | BPF_K: no byte of the packet passes
        (0x06, 0, 0, 0xFFFFFFFF),  # all pass
    )
)


async def listen(
    host: str, port: int, make_protocol: Callable[[], asyncio.BaseProtocol], connections: int
) -> tuple[list[socket.socket], list[asyncio.Server]]:
    """Listen on every address of `host`, all on one port (0: any that is free). Raises StartFailed.

    "::" is every address of this machine, those of IPv4 too.
    """
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    try:
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            chosen = sockets[0].getsockname()[1] if sockets else port
            place = (address[0], chosen, *address[2:])
            sockets.append(bound_socket(family, kind, protocol, place, both=host == "::"))
        backlog = min(connections, 1024)
        return sockets, [await loop.create_server(make_protocol, sock=sock, backlog=backlog) for sock in sockets]
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise StartFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def url_host(host: str) -> str:
    """Return a host as URLs, and gRPC's addresses, have it: an IPv6 address in brackets (RFC 3986 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def bound_socket(
    family: int, kind: int, protocol: int, address: tuple[object, ...], both: bool = False
) -> socket.socket:
    """Make a socket bound to `address`, of its own family alone or of both. Raises OSError."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not both))
        sock.setblocking(False)
        sock.bind(address)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(error.errno, "the address is in use") from None
        raise
    return sock


def stop_handshakes(sock: socket.socket) -> None:
    """Have the kernel drop whatever asks this listener for a connection; the queue stays as it is, and who has been
    answered may still enter it.

    Closing a listener resets the clients in its queue, and one can enter between the last accept and the close. Behind
    this filter (Linux, classic BPF, socket(7)) nobody asks to: a client that does repeats itself a second later, and is
    then refused by the closed port, which loses nothing that was sent. A handshake that has begun goes on: its client
    holds itself for connected, and sends. Where the kernel has no filters, a client may still be reset in that moment.
    """
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    count = len(_DROP_SYN) // struct.calcsize("HBBI")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))
