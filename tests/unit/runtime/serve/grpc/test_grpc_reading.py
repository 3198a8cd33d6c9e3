"""gRPC's messages and HTTP/2's frames, cut anywhere: what is read does not depend on how it came."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovenbird_runtime.limits import SERVE_SPARE_FRAMES
from ovenbird_runtime.serve.grpc.frames import FrameWatch
from ovenbird_runtime.serve.grpc.framing import Inbox, framed
from ovenbird_runtime.serve.grpc.guard import weigh
from ovenbird_runtime.serve.http.errors import BadRequest, BodyTooLarge

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(ends)]


@given(st.lists(st.binary(max_size=50), max_size=5), st.lists(st.integers(0, 400), max_size=10))
def test_messages_are_taken_as_they_were_sent(messages: list[bytes], places: list[int]) -> None:
    inbox, found = Inbox(limit=50), []
    for part in cut(b"".join(map(framed, messages)), places):
        for byte in part:  # an inbox holds one message and what has begun of the next
            inbox.feed(bytes([byte]))
            while (taken := inbox.take()) is not None:
                found.append(bytes(taken[1]))
    assert found == messages
    assert len(inbox) == 0
    assert not inbox.unfinished


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"\0" + (51).to_bytes(4, "big"), BodyTooLarge),
        (b"\2", BadRequest),
        (framed(bytes(50)) + bytes(60), BodyTooLarge),
    ],
)
def test_messages_beyond_the_limit(data: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        Inbox(limit=50).feed(data)


def frame(length: int, kind: int = 0, flags: int = 0) -> bytes:
    return length.to_bytes(3, "big") + bytes([kind, flags]) + bytes(4) + bytes(length)


@given(st.lists(st.integers(64, 300), max_size=8), st.lists(st.integers(0, 3000), max_size=10), st.integers(0, 300))
def test_what_is_held_is_the_last_frame(lengths: list[int], places: list[int], rest: int) -> None:
    whole = PREFACE + b"".join(frame(length) for length in lengths)
    open_frame = frame(301)[:rest]
    watch, begun = FrameWatch(limit=400), 0
    for part in cut(whole + open_frame, places):
        begun += watch.take(memoryview(part))
    assert watch.held == len(open_frame)
    assert bool(watch.since) == bool(open_frame)
    assert begun == len(lengths) + (len(open_frame) >= 9)


def test_frames_beyond_the_limit_and_floods() -> None:
    watch = FrameWatch(limit=400)
    with pytest.raises(BadRequest, match="401"):
        watch.take(memoryview(PREFACE + frame(401)[:9]))
    watch = FrameWatch(limit=400)
    watch.take(memoryview(PREFACE + frame(0, kind=6) * SERVE_SPARE_FRAMES))
    with pytest.raises(BadRequest, match="carry nothing"):
        watch.take(memoryview(frame(0, kind=6)))


def test_headers_that_do_not_end_are_remembered() -> None:
    watch = FrameWatch(limit=400)
    watch.take(memoryview(PREFACE + frame(5, kind=1)))
    begun = watch.block_since
    assert begun
    watch.take(memoryview(frame(5, kind=9)))
    assert watch.block_since == begun
    watch.take(memoryview(frame(5, kind=9, flags=4)))
    assert not watch.block_since


@given(st.binary(max_size=300))
def test_any_bytes_are_weighed_or_refused(data: bytes) -> None:
    whole = data + b"\x3a\x88\x27" + bytes(5000)  # raw contents of 5,000 bytes behind them
    with contextlib.suppress(BadRequest, BodyTooLarge):
        assert 0 <= weigh(whole, 1 << 20) <= len(whole)
