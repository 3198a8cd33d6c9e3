"""`multipart/form-data`, read from a body that is wholly in memory: linear in its size, bounded in its parts.

for part in parse_multipart(body, content_type, limits):
    part.name, part.filename, part.content      # a memoryview of the body
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...limits import SERVE_PART_HEADER_BYTES
from ..errors import BadRequest
from ..settings import Limits

# RFC 2046: 1 to 70 of these characters, not ending in a space.
_BOUNDARY = re.compile(r"""boundary=(?:"([A-Za-z0-9'()+_,\-./:=? ]{1,70})"|([A-Za-z0-9'()+_,\-./:=?]{1,70}))(?:;|$)""")
_FIELD = re.compile(r';\s*(name|filename)="((?:[^"\\\r\n]|\\.){0,512})"')


@dataclass(frozen=True)
class Part:
    """A field (filename None) or a file of a form."""

    name: str
    filename: str | None
    content: memoryview


def parse_multipart(body: bytes, content_type: str, limits: Limits) -> list[Part]:
    """Give the parts in order. Raises BadRequest for what is not a whole, plain form."""
    found = _BOUNDARY.search(content_type.replace("; ", ";"))
    if found is None:
        raise BadRequest("multipart/form-data needs a boundary of 1 to 70 plain characters in its content type")
    mark = b"--" + (found[1] or found[2]).encode("ascii")
    whole = memoryview(body)
    position = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if position == 1:
        raise BadRequest("the multipart body does not hold its own boundary")
    parts: list[Part] = []
    while True:
        start = position + len(mark)
        if body[start : start + 2] == b"--":
            return parts
        if body[start : start + 2] != b"\r\n":
            raise BadRequest("a multipart boundary does not end its line")
        if len(parts) >= limits.parts:
            raise BadRequest(f"the form has more than {limits.parts} parts, the limit (--max-parts)")
        end = body.find(b"\r\n" + mark, start)
        if end < 0:
            raise BadRequest("the multipart body is truncated: its last boundary is missing")
        parts.append(_part(body, whole, start + 2, end, limits))
        position = end + 2


def _part(body: bytes, whole: memoryview, start: int, end: int, limits: Limits) -> Part:
    head = body.find(b"\r\n\r\n", start, min(end + 4, start + SERVE_PART_HEADER_BYTES))
    if head < 0:
        raise BadRequest(f"a part's headers have no end within {SERVE_PART_HEADER_BYTES} bytes")
    name = filename = None
    try:
        lines = body[start:head].decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BadRequest("a part's headers are not UTF-8") from None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == "content-disposition":
            fields = dict(_FIELD.findall(value))
            name, filename = fields.get("name"), fields.get("filename")
        elif key.strip().lower() == "content-transfer-encoding" and value.strip().lower() not in (
            "binary",
            "8bit",
            "7bit",
        ):
            raise BadRequest("a part with a transfer encoding is not read here: send its bytes as they are")
    if name is None:
        raise BadRequest("a part has no name in its Content-Disposition")
    content = whole[head + 4 : end] if head + 4 <= end else whole[:0]
    if filename is None and len(content) > limits.field_bytes:
        raise BadRequest(f"the field {name[:40]!r} has {len(content)} bytes, limit {limits.field_bytes}")
    return Part(name, filename, content)
