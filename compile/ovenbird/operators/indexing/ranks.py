"""Ranks: whole numbers in the order of any elements, and their sorting by digits (radix sort), which compares nothing.

    rank = rank_of(data[at], "float32", descending=True)       # in a kernel: the least rank comes first
    sort_ranks(ranks, order, here, room, count)               # both in order, equal ranks as they were

NaN is greater than any number, as in torch; both zeros are equal.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from ovenbird.operators.writing.loops import held, hold

DIGIT = 8
"""Bits of a digit: its 256 counts stay in the first-level cache."""

FEW = 48
"""So many ranks and fewer are sorted by insertion, which needs no counts."""


def rank_dtype(dtype: str) -> str:
    """Return the dtype of the ranks of elements of a dtype."""
    return "int64" if dtype in ("float64", "int64", "uint32", "uint64") else "int32"


def rank_bits(ranks: str) -> int:
    """Return the bits of a rank."""
    return int(ranks.removeprefix("int"))


def least_rank(ranks: str) -> Any:
    """Return the rank that comes before all others."""
    return tirx.min_value(ranks)


def rank_of(value: Any, dtype: str, descending: bool) -> Any:
    """Return the rank of an element."""
    ranks = rank_dtype(dtype)
    if dtype in ("float16", "bfloat16"):
        value, dtype = tirx.Cast("float32", value), "float32"
    if dtype == "bool":
        value = tirx.Cast("int8", value)
    if dtype in ("float32", "float64"):
        rank = rank_of_float(tirx.reinterpret(ranks, value), ranks, dtype)
    elif dtype == "uint64":
        rank = tirx.bitwise_xor(tirx.reinterpret(ranks, value), least_rank(ranks))
    else:
        rank = tirx.Cast(ranks, value)
    return tirx.bitwise_not(rank) if descending else rank


def rank_of_float(bits: Any, ranks: str, dtype: str) -> Any:
    """Return the rank by the bits of a float (IEEE 754): its magnitude, counted backwards below zero."""
    most, none = tirx.max_value(ranks), tirx.const(0, ranks)
    infinity = tirx.const(0x7F800000 if dtype == "float32" else 0x7FF0000000000000, ranks)
    magnitude = tirx.bitwise_and(bits, most)
    number = tirx.Select(bits < none, none - magnitude, magnitude)
    return tirx.Select(magnitude > infinity, most, number)


def sort_ranks(ranks: Any, order: Any, here: Any, room: int, count: int) -> None:
    """Write the loops that sort `count` ranks, and the order along with them, from place `here` on; from `room` places
    behind it on there is room for as many.
    """
    if count <= FEW:
        insert_ranks(ranks, order, here, count)
        return
    digits, bits = 1 << DIGIT, rank_bits(str(ranks.dtype))
    dtype = str(ranks.dtype)
    swapped = hold(tirx.const(0, "int32"))

    def digit_of(rank: Any, turn: Any) -> Any:
        moved = tirx.shift_right(rank, tirx.Cast(dtype, turn * DIGIT))
        sign = tirx.Select(tirx.EQ(turn, bits // DIGIT - 1), digits // 2, 0)
        return tirx.bitwise_and(
            tirx.Cast("int32", tirx.bitwise_and(moved, tirx.const(digits - 1, dtype))) + sign, digits - 1
        )

    with T.serial(bits // DIGIT) as turn:
        counts = T.alloc_buffer((digits,), "int32", scope="local")
        source, target = here + held(swapped, 2) * room, here + held(1 - swapped, 2) * room
        with T.serial(digits) as digit:
            T.buffer_store(counts, 0, [digit])
        with T.serial(count) as step:
            at = held(hold(digit_of(ranks[source + step], turn)), digits)
            T.buffer_store(counts, counts[at] + 1, [at])
        with T.If(counts[digit_of(ranks[source], turn)] < count), T.Then():  # else all are equal in this digit
            start = hold(tirx.const(0, "int32"))
            with T.serial(digits) as digit:
                number = hold(counts[digit])
                T.buffer_store(counts, start, [digit])
                T.buffer_store(start.source, start + number, [0])
            with T.serial(count) as step:
                rank = hold(ranks[source + step])
                at = held(hold(digit_of(rank, turn)), digits)
                place = hold(counts[at])
                T.buffer_store(counts, place + 1, [at])
                T.buffer_store(ranks, rank, [target + held(place, count)])
                T.buffer_store(order, order[source + step], [target + held(place, count)])
            T.buffer_store(swapped.source, 1 - swapped, [0])
    with T.If(tirx.EQ(swapped, 1)), T.Then(), T.serial(count) as step:
        T.buffer_store(ranks, ranks[here + room + step], [here + step])
        T.buffer_store(order, order[here + room + step], [here + step])


def insert_ranks(ranks: Any, order: Any, here: Any, count: int) -> None:
    """Write the loops that sort a few ranks by insertion."""
    with T.serial(count) as step:
        rank, own = hold(ranks[here + step]), hold(order[here + step])
        hole = hold(step)
        at, before = here + held(hole, count), here + held(hole - 1, count)
        with T.While(tirx.all(hole > 0, rank < ranks[before])):
            T.buffer_store(ranks, ranks[before], [at])
            T.buffer_store(order, order[before], [at])
            T.buffer_store(hole.source, hole - 1, [0])
        T.buffer_store(ranks, rank, [at])
        T.buffer_store(order, own, [at])
