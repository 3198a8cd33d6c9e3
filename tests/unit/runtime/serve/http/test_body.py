"""A body is what was sent, however it came, and takes as much memory as it says."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ovenbird_runtime.serve.http.body import Body


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 4095, 65536, 131072, 200_000]), st.integers(1, 5)), max_size=12))
def test_parts_of_any_size(plan: list[tuple[int, int]]) -> None:
    parts = [bytes([size % 251]) * size for size, count in plan for _ in range(count)]
    body = Body()
    for part in parts:
        body.add(part)
    whole = b"".join(parts)
    assert body.length == len(whole)
    assert body.length <= body.held <= 1.2 * len(whole) + 8192 or not whole
    taken = body.take()
    assert taken[:] == whole
    assert (len(taken), body.length, body.held) == (len(whole), 0, 0)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_small_parts_cost_their_bytes(size: int) -> None:
    body, part = Body(), b"a" * size
    tracemalloc.start()
    try:
        for _ in range(100_000 // size):
            body.add(part)
        assert tracemalloc.get_traced_memory()[0] <= body.held + 2000
    finally:
        tracemalloc.stop()
