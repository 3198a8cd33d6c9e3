"""Compressed bodies, both ways, never more than a limit in memory.

plain = decompress(body, "gzip", limit=10 << 20)
response = compress(response, accept="gzip, deflate")
"""

from __future__ import annotations

import zlib

from ..errors import BadRequest, BodyTooLarge, UnsupportedContent
from .messages import Response

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_WORTH_BYTES = 1024


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo `Content-Encoding`. Raises UnsupportedContent, BodyTooLarge, BadRequest."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name not in _WINDOW:
        raise UnsupportedContent(f"content encoding {name[:40]!r} is not read here: use gzip, deflate or none")
    machine = zlib.decompressobj(_WINDOW[name])
    try:
        plain = machine.decompress(body, limit + 1)
        if len(plain) > limit or machine.unconsumed_tail:
            raise BodyTooLarge(f"the body unpacks to more than {limit} bytes, the limit (--max-body-bytes)")
        if not machine.eof:
            raise BadRequest(f"the {name} body is truncated")
        if machine.unused_data:
            raise BadRequest(f"the {name} body has bytes behind its end")
    except zlib.error as error:
        raise BadRequest(f"the body is not {name}: {error}") from None
    return plain


def compress(response: Response, accept: str) -> Response:
    """Compress a response's body where the client takes it and it is worth it."""
    if len(response.body) < _WORTH_BYTES or not accept:
        return response
    accepted = {part.partition(";")[0].strip().lower(): part for part in accept.split(",")}
    for name in ("gzip", "deflate"):
        if name in accepted and "q=0" not in accepted[name].replace(" ", "").replace("q=0.", ""):
            machine = zlib.compressobj(1, zlib.DEFLATED, _WINDOW[name])
            response.body = machine.compress(response.body) + machine.flush()
            response.headers += [("Content-Encoding", name), ("Vary", "Accept-Encoding")]
            break
    return response
