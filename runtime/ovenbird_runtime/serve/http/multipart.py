"""`multipart/form-data` (RFC 7578), read from a body that is in memory: linear in its size, bounded in its parts.

for part in parse_multipart(body, content_type, limits, files=("image",)):
    part.name, part.filename, part.content      # a memoryview of the body

Written by hand: every library copies what it cuts out of a body, and a picture is the largest thing that a request
holds; the standard library's `email` takes quadratic time for some headers and fails on others. What clients write is
read: names in any case, values as tokens or quoted, `filename*=utf-8''...`, white space, lines that are folded.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import unquote

from ...dataclass import dataclass
from ...errors import shown
from ...limits import SERVE_PART_HEADER_BYTES
from .body import Bytes
from .errors import BadRequest
from .settings import HttpLimits

# RFC 2046 5.1.1: 1 to 70 of these characters, not ending in a space.
_BOUNDARY = re.compile(r"[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]")
_END_OF_LINE = re.compile(rb"[ \t]*\r\n")
_FOLD = re.compile(r"\r\n[ \t]+")
# RFC 2045 5.1 and RFC 9110 5.6.6, and white space around `=`; no two ways to match, so that it takes linear time.
_PARAMETER = re.compile(r""";[ \t]*(?:([^ \t;="]+)[ \t]*=(?:[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*|([^;"]*)))?(?=;|$)""")
_ESCAPED = re.compile(r"\\(.)")
_PLAIN_ENCODINGS = ("", "binary", "8bit", "7bit")


@dataclass(frozen=True)
class Part:
    """A field (filename None) or a file of a form."""

    name: str
    filename: str | None
    content: memoryview


def parse_multipart(body: Bytes, content_type: str, limits: HttpLimits, files: Collection[str] = ()) -> list[Part]:
    """Return the parts in order; one named in `files` may be as large as a file, whether it has a filename or not.

    Raises BadRequest for what is not a whole, plain form.
    """
    mark = b"--" + _boundary(content_type)
    whole = memoryview(body)
    position = 0 if body[: len(mark)] == mark else body.find(b"\r\n" + mark) + 2
    if position == 1:
        raise BadRequest("the multipart body does not hold its own boundary")
    parts: list[Part] = []
    while True:
        start = position + len(mark)
        if body[start : start + 2] == b"--":
            return parts
        line = _END_OF_LINE.match(body, start, start + SERVE_PART_HEADER_BYTES)
        if line is None:
            raise BadRequest("a multipart boundary does not end its line")
        if len(parts) >= limits.parts:
            raise BadRequest(f"the form has more than {limits.parts} parts, the limit (--max-parts)")
        end = body.find(b"\r\n" + mark, line.end() - 2)
        if end < 0:
            raise BadRequest("the multipart body is truncated: its last boundary is missing")
        part = _part(body, whole, line.end(), end)
        if part.filename is None and part.name not in files and len(part.content) > limits.field_bytes:
            raise BadRequest(
                f"the field {part.name[:40]!r} has {len(part.content)} bytes, limit {limits.field_bytes} "
                "(--max-field-bytes)"
            )
        parts.append(part)
        position = end + 2


def _boundary(content_type: str) -> bytes:
    boundary = _parameters(content_type).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadRequest("multipart/form-data needs a boundary of 1 to 70 plain characters in its content type")
    return boundary.encode("ascii")


def _part(body: Bytes, whole: memoryview, start: int, end: int) -> Part:
    head = body.find(b"\r\n\r\n", start - 2, min(end + 4, start + SERVE_PART_HEADER_BYTES))
    if head < 0:
        raise BadRequest(f"a part's headers have no end within {SERVE_PART_HEADER_BYTES} bytes")
    fields: dict[str, str] = {}
    for line in _FOLD.sub(" ", body[start:head].decode("utf-8", "replace")).split("\r\n"):
        key, _, value = line.partition(":")
        fields.setdefault(key.strip().lower(), value.strip())
    encoding = fields.get("content-transfer-encoding", "").lower()
    if encoding not in _PLAIN_ENCODINGS:
        raise BadRequest(f"a part is encoded as {encoding[:40]!r}, which is not read here: send its bytes as they are")
    parameters = _parameters(fields.get("content-disposition", ""))
    if "name" not in parameters:
        raise BadRequest("a part has no name in its Content-Disposition")
    content = whole[head + 4 : end] if head + 4 <= end else whole[:0]
    return Part(parameters["name"], parameters.get("filename"), content)


def _parameters(field: str) -> dict[str, str]:
    """Return what follows a header field's value, by names in small letters; `name*` (RFC 5987) is decoded as `name`.

    Raises BadRequest for what cannot be read to its end.
    """
    found: dict[str, str] = {}
    field = field.rstrip()
    place = len(field.partition(";")[0])
    while place < len(field):
        match = _PARAMETER.match(field, place)
        if match is None:
            raise BadRequest(f"the parameters of a multipart header cannot be read: {shown(field[place:])}")
        place = match.end()
        key, quoted, token = match.groups()
        if key is None:  # two semicolons in a row, or one at the end
            continue
        value = (token or "").strip() if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if key.endswith("*"):
            key, value = key[:-1], unquote(value.rpartition("'")[2])
        found.setdefault(key.lower(), value)
    return found
