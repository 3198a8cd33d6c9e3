"""Where servers listen."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest

from ovenbird_runtime.serve.http.errors import StartFailed
from ovenbird_runtime.serve.http.listening import listen, stop_handshakes


@contextlib.asynccontextmanager
async def listening(host: str, port: int = 0) -> AsyncIterator[list[socket.socket]]:
    sockets, servers = await listen(host, port, asyncio.Protocol, 16)
    try:
        yield sockets
    finally:
        for server in servers:
            server.close()
            await server.wait_closed()


async def answers(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@needs_ipv6
@pytest.mark.parametrize(
    ("host", "four", "six"),
    [("::", True, True), ("0.0.0.0", True, False), ("::1", False, True), ("127.0.0.1", True, False)],
)
def test_every_address_of_a_host_is_listened_on(host: str, four: bool, six: bool) -> None:
    async def run() -> None:
        async with listening(host) as sockets:
            port = sockets[0].getsockname()[1]
            assert (await answers("127.0.0.1", port), await answers("::1", port)) == (four, six)

    asyncio.run(run())


def test_a_port_in_use_is_named() -> None:
    async def run() -> None:
        async with listening("127.0.0.1") as sockets:
            port = sockets[0].getsockname()[1]
            with pytest.raises(StartFailed, match=f"port {port}: the address is in use"):
                async with listening("127.0.0.1", port):
                    pass

    asyncio.run(run())


def test_who_has_been_answered_still_enters_where_nobody_else_may() -> None:
    with socket.socket() as listener, socket.socket() as begun, socket.socket() as late:
        listener.bind(("127.0.0.1", 0))
        # the kernel answers, but a connection is none before data comes: a handshake that has begun, and no more
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        listener.listen(4)
        listener.settimeout(5)
        begun.settimeout(5)
        begun.connect(listener.getsockname())
        stop_handshakes(listener)
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):
            late.connect(listener.getsockname())
        begun.sendall(b"x")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(1) == b"x"
