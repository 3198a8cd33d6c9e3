"""What an inference request will cost to parse, estimated from its outer fields before it is.

    weigh(data, limit=10 << 20)         # how much work it is, in bytes; raises BadRequest, BodyTooLarge

Parsers make an object of every field and eight bytes of every small number: 10 MB of empty inputs became 490 MB, of
zeros as int64 170 MB, and both kept the event loop for as long as they took. A request has a handful of fields, and
its tensors unpack to no more than its body may have. Written by hand, because protobuf's parsers have no limit of
fields or of memory that one could set. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

from ...limits import SERVE_MESSAGE_FIELDS, SERVE_TENSOR_RANK
from ..http.errors import BadRequest, BodyTooLarge

Encoded: TypeAlias = bytes | bytearray

_SMALL_BYTES = 4096  # what is smaller cannot become large
_COPY_BYTES = 16  # copying so many takes as long as parsing one
_LARGEST_VARINT = 10
# ModelInferRequest's parameters, inputs, outputs and raw contents; an input's shape and contents
_PARAMETERS, _INPUTS, _OUTPUTS, _RAW = 4, 5, 6, 7
_SHAPE, _CONTENTS = 3, 5
# The bytes of a value, by its field in InferTensorContents; those of bytes_contents are for no tensor that we know.
_VALUE_BYTES = {1: 1, 2: 4, 3: 8, 4: 4, 5: 8, 6: 4, 7: 8}
_FIXED = (6, 7)
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


def weigh(data: Encoded, limit: int) -> int:
    """Return the work of parsing a ModelInferRequest, in bytes. Raises BadRequest, BodyTooLarge."""
    if len(data) < _SMALL_BYTES:
        return len(data)
    raw = unpacked = 0
    fields = _Fields(data)
    for number, start, end in fields.walk(0, len(data)):
        if number == _RAW:
            raw += end - start
        elif number == _INPUTS:
            for inner, begin, close in fields.walk(start, end):
                if inner == _SHAPE and close - begin > SERVE_TENSOR_RANK * _LARGEST_VARINT:
                    raise BadRequest(f"an input's shape has more than {SERVE_TENSOR_RANK} whole numbers")
                if inner == _CONTENTS:
                    unpacked += sum(_unpacked(data, *field) for field in fields.walk(begin, close))
        elif number in (_PARAMETERS, _OUTPUTS):
            for _ in fields.walk(start, end):
                pass
    if unpacked > limit:
        raise BodyTooLarge(f"the contents unpack to {unpacked} bytes, limit {limit} (--max-body-bytes)")
    return len(data) - raw + raw // _COPY_BYTES


def _unpacked(data: Encoded, number: int, start: int, end: int) -> int:
    """Return the bytes that a field of InferTensorContents unpacks to. Raises BadRequest."""
    size = _VALUE_BYTES.get(number)
    if size is None:
        raise BadRequest("an input has bytes_contents: the network takes numbers")
    if number in _FIXED:
        return end - start
    bytes_ = np.frombuffer(data, np.uint8, end - start, start) if end > start else np.empty(0, np.uint8)
    return size * int(np.count_nonzero(bytes_ < 0x80))


class _Fields:
    """The fields of a message and of what is in it, counted together."""

    def __init__(self, data: Encoded) -> None:
        self._data, self._count = data, 0

    def walk(self, place: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield (number, start, end) of each field between two places. Raises BadRequest."""
        while place < end:
            self._count += 1
            if self._count > SERVE_MESSAGE_FIELDS:
                raise BadRequest(f"the message has more than {SERVE_MESSAGE_FIELDS} fields")
            key, place = self._varint(place, end)
            kind = key & 7
            if kind == _LENGTH:
                size, place = self._varint(place, end)
            elif kind == _VARINT:
                size = self._varint(place, end)[1] - place
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                size = 8 if kind == _EIGHT_BYTES else 4
            else:  # groups, which proto3 does not have, and kinds that do not exist
                raise _unreadable("a field is of no kind that proto3 has")
            if size > end - place:
                raise _unreadable("a field is longer than its message")
            yield key >> 3, place, place + size
            place += size

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while place < end and shift < 7 * _LARGEST_VARINT:
            byte = self._data[place]
            place += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place
            shift += 7
        raise _unreadable("a number does not end")


def _unreadable(why: str) -> BadRequest:
    return BadRequest(f"the message is not what the method takes: {why}")
