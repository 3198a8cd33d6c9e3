"""What a message will cost to parse, told from its outer fields.

    weigh(data)             # its bytes without those of raw tensors; raises BadRequest where it has too many fields

Parsers make an object of every field: 10 MB of empty inputs, two bytes each, become 490 MB and keep the event loop for
two seconds. A request has a handful of fields, so they are counted first, in two levels.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

from ...limits import SERVE_MESSAGE_FIELDS
from ..errors import BadRequest

_LARGE_BYTES = 4096  # what is smaller cannot become large
_NESTED = frozenset((4, 5, 6))  # ModelInferRequest's parameters, inputs and outputs
_RAW = 7  # ModelInferRequest.raw_input_contents
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def weigh(data: bytes | bytearray) -> int:
    """Give the bytes of a message without those of raw tensors. Raises BadRequest."""
    if len(data) < _LARGE_BYTES:
        return len(data)
    count = raw = 0
    for number, start, end in _fields(data, 0, len(data)):
        count += 1
        if number == _RAW:
            raw += end - start
        elif number in _NESTED:
            for _ in _fields(data, start, end):
                count += 1
                if count > SERVE_MESSAGE_FIELDS:
                    break
        if count > SERVE_MESSAGE_FIELDS:
            raise BadRequest(f"the message has more than {SERVE_MESSAGE_FIELDS} fields")
    return len(data) - raw


def _fields(data: bytes | bytearray, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give (number, start, end) of each field of a message. Raises BadRequest."""
    while place < end:
        key, place = _varint(data, place, end)
        kind = key & 7
        if kind == _LENGTH:
            size, place = _varint(data, place, end)
        elif kind == _VARINT:
            start = place
            _, place = _varint(data, place, end)
            size, place = place - start, start
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if kind == _EIGHT_BYTES else 4
        else:  # groups, which proto3 does not have, and kinds that do not exist
            raise BadRequest("the message is not what the method takes: a field is of no kind that proto3 has")
        if size > end - place:
            raise BadRequest("the message is not what the method takes: a field is longer than its message")
        yield key >> 3, place, place + size
        place += size


def _varint(data: bytes | bytearray, place: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise BadRequest("the message is not what the method takes: a number does not end")
