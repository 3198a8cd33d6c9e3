"""Compressed bodies, both ways, never more than a limit in memory.

plain = decompress(body, "gzip", limit=10 << 20)
response = compress(response, accept="gzip, deflate")
"""

from __future__ import annotations

import zlib
from typing import TypeVar

from ...limits import SERVE_GZIP_MEMBERS
from .body import Bytes
from .errors import BadRequest, BodyTooLarge, UnsupportedContent
from .messages import Response

Data = TypeVar("Data", bound=Bytes)
_GZIP, _ZLIB, _RAW = 31, 15, -15  # zlib's `wbits`
_WINDOW = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}
_GZIP_MAGIC = b"\x1f\x8b"
_PIECE_BYTES = 16384  # what follows a member is copied by zlib each time: a piece, never the whole body
_WORTH_BYTES = 1024


def decompress(body: Data, encoding: str, limit: int) -> Data | bytes:
    """Undo `Content-Encoding`: gzip of one member or several (RFC 1952, 2.2); deflate in zlib's wrapper, or bare as
    some clients send it (RFC 9110, 8.4.1.2).

    Raises UnsupportedContent, BodyTooLarge, BadRequest.
    """
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOW:
        raise UnsupportedContent(f"content encoding {name[:40]!r} is not read here: use gzip, deflate or none")
    window = _WINDOW[name] if name != "deflate" or _has_zlib_header(body) else _RAW
    parts: list[bytes] = []
    rest = memoryview(body)
    members = unpacked = 0
    while not members or rest:
        if members and (window != _GZIP or rest[:2] != _GZIP_MAGIC):
            raise BadRequest(f"the {name} body has bytes behind its end")
        if members == SERVE_GZIP_MEMBERS:
            raise BadRequest(f"the {name} body has more than {members} members, the limit: compress it in one go")
        rest, unpacked = _unpack(rest, window, name, parts, unpacked, limit)
        members += 1
    return b"".join(parts)


def _has_zlib_header(body: Bytes) -> bool:
    """Return whether a body begins as RFC 1950 says; bare deflate does not, unless its writer spoils unused bits."""
    return len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _unpack(
    body: memoryview, window: int, name: str, parts: list[bytes], unpacked: int, limit: int
) -> tuple[memoryview, int]:
    """Unpack one stream at the beginning of `body` into `parts`; return what lies behind it,
    and `unpacked` plus its bytes.
    """
    machine = zlib.decompressobj(window)
    place = 0
    while not machine.eof:
        piece = body[place : place + _PIECE_BYTES]
        if not piece:
            raise BadRequest(f"the {name} body is truncated")
        try:
            plain = machine.decompress(piece, limit - unpacked + 1)
        except zlib.error as error:
            raise BadRequest(f"the body is not {name}: {error}") from None
        unpacked += len(plain)
        if unpacked > limit:
            raise BodyTooLarge(f"the body unpacks to more than {limit} bytes, the limit (--max-body-bytes)")
        parts.append(plain)
        place += len(piece) - len(machine.unused_data)
    return body[place:], unpacked


def compress(response: Response, accept: str) -> Response:
    """Compress a response's body where the client takes it, and it is worth it or must be (RFC 9110, 12.5.3)."""
    if not accept or not response.body:
        return response
    weights = {name.strip().lower(): _weight(rest) for name, _, rest in (p.partition(";") for p in accept.split(","))}
    others = weights.get("*", 0.0)
    if len(response.body) < _WORTH_BYTES and weights.get("identity", others if "*" in weights else 1.0):
        return response
    for name in ("gzip", "deflate"):
        if weights.get(name, weights.get(f"x-{name}", others)):
            machine = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[name])
            response.body = machine.compress(response.body) + machine.flush()
            response.headers += [("Content-Encoding", name), ("Vary", "Accept-Encoding")]
            break
    return response


def _weight(parameters: str) -> float:
    """Return a coding's weight (RFC 9110, 12.4.2): 1 unsaid, 0 for "not this one" or what cannot be read."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
