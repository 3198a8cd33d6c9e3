"""One server of HTTP with handlers of the tests': what is held for clients that do not read, and in which order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from ovenbird_runtime.serve.http.account import Account
from ovenbird_runtime.serve.http.errors import ServeError
from ovenbird_runtime.serve.http.messages import Request, Response
from ovenbird_runtime.serve.http.server import HttpServer
from ovenbird_runtime.serve.settings import ServerLimits

LARGE = bytes(range(256)) * 78_125  # 20 MB
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def large(request: Request) -> Response:
    return Response(200, LARGE, "application/octet-stream")


Connect = Callable[[bytes], Awaitable[socket.socket]]


def run(
    limits: ServerLimits,
    handle: Callable[[Request], Awaitable[Response]],
    work: Callable[[HttpServer, Connect], Awaitable[None]],
) -> None:
    """Serve while `work(server, connect)` runs; `connect` sends, on a socket with little room for what comes."""

    def refusal(request: Request, error: ServeError) -> Response:
        return Response.json({"error": str(error)}, 503)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = HttpServer(handle, refusal, limits, Account(limits))
        await server.start("127.0.0.1", 0)
        sockets: list[socket.socket] = []

        async def connect(data: bytes) -> socket.socket:
            sock = socket.socket()
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", server.port))
            await loop.sock_sendall(sock, data)
            return sock

        try:
            await asyncio.wait_for(work(server, connect), 60)
        finally:
            for sock in sockets:
                sock.close()
            await server.drain(0)

    asyncio.run(serve())


async def received(sock: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (
        data := await asyncio.get_running_loop().sock_recv(sock, min(size - len(found), 1 << 20))
    ):
        found += data
    return bytes(found)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def test_answer_that_is_not_read_is_counted_once_and_comes_whole() -> None:
    async def work(server: HttpServer, connect: Connect) -> None:
        sock = await connect(GET * 10)
        await until(lambda: server.account.held >= len(LARGE))
        await asyncio.sleep(0.2)
        assert server.account.held <= 1.1 * len(LARGE)  # the other nine have not begun
        head = await received(sock, 1)
        while b"\r\n\r\n" not in head:
            head += await received(sock, 1)
        assert (await received(sock, len(LARGE))).startswith(LARGE[:1000])
        sock.close()
        await until(lambda: server.account.held == 0)

    run(ServerLimits(), large, work)


def test_client_that_takes_too_long_to_read_is_cut_off() -> None:
    """Reading a little now and then gives no new time."""

    async def work(server: HttpServer, connect: Connect) -> None:
        sock = await connect(GET)
        await until(lambda: server.account.held >= len(LARGE))
        taken = 0
        while server.connections:
            taken += len(await received(sock, 4096))
            await asyncio.sleep(0.05)
        assert taken < len(LARGE)
        assert server.account.held == 0

    run(ServerLimits(write_seconds=0.5), large, work)


def test_bodies_count_until_they_are_answered() -> None:
    answer = asyncio.Event()

    async def waiting(request: Request) -> Response:
        await answer.wait()
        return Response.json({"bytes": len(request.body)})

    async def work(server: HttpServer, connect: Connect) -> None:
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000
        sock = await connect(post * 3)
        await until(lambda: server.account.held >= 300_000)
        assert server.account.held <= 3 * 150_000
        answer.set()
        assert (await received(sock, 400)).count(b'{"bytes":100000}') >= 1
        await until(lambda: server.account.held == 0)
        sock.close()

    run(ServerLimits(), waiting, work)


def test_many_small_parts_make_reads_small() -> None:
    async def work(server: HttpServer, connect: Connect) -> None:
        reading, sizes = server.reading, set[int]()
        room = reading.room

        def watched(dense: bool) -> memoryview:
            memory = room(dense)
            sizes.add(len(memory))
            return memory

        reading.room = watched  # type: ignore[method-assign]
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock = await connect(head + b"2\r\naa\r\n" * 200_000)
        await until(lambda: min(sizes, default=65536) <= 8192)
        sizes.clear()
        await asyncio.get_running_loop().sock_sendall(sock, (b"c350\r\n" + b"a" * 50_000 + b"\r\n") * 20)
        await until(lambda: max(sizes, default=0) == 65536)

    run(ServerLimits(), large, work)
