"""Layers are rated against the limits, and those below 80 % get a reason."""

from typing import Any

import pytest

from ovenbird.benchmarking.layer_profile import direct_flops, explain

LIMITS = {"gflops": 500.0, "gbytes_per_s": 40.0}
CONV = {"kind": "conv2d", "shape": [1, 4, 56, 56, 16], "flops": 231_211_008, "source": "default"}


def row(ms: float, size: int = 1_000_000, name: str = "conv", calls: int = 1) -> dict[str, Any]:
    return {"name": name, "calls": calls, "ms": ms, "bytes": size, "output": [1, 4, 56, 56, 16]}


def only(found: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(found) == 1
    return found[0]


def test_layer_at_the_limit_needs_no_reason() -> None:
    found = only(explain([row(0.5)], {"conv": CONV}, LIMITS))
    assert found["gflops"] == pytest.approx(462.4, rel=1e-3)
    assert found["limit_share"] == pytest.approx(0.925, rel=1e-2)
    assert found["reason"] == ""


@pytest.mark.parametrize(
    ("ms", "size", "reason"),
    [
        (2.0, 70_000_000, "memory: moves its data at 35 of 40 GB/s"),
        (1.0, 14_000_000, "arithmetic 0.46 ms and memory 0.35 ms at their limits, one after the other"),
        (4.0, 1_000_000, "its schedule: 12 % of the limit, memory at 0 of 40 GB/s"),
    ],
)
def test_what_holds_a_layer_back_is_named(ms: float, size: int, reason: str) -> None:
    assert only(explain([row(ms, size)], {"conv": CONV}, LIMITS))["reason"] == reason


def test_short_layers_are_called_short() -> None:
    small = {**CONV, "flops": 1000}
    assert only(explain([row(0.02, 100)], {"conv": small}, LIMITS))["reason"].startswith("short: 20 µs a call")


def test_depthwise_says_so() -> None:
    found = only(explain([row(1.0)], {"conv": {**CONV, "kind": "depthwise_conv2d", "flops": 10**7}}, LIMITS))
    assert found["reason"].startswith("depthwise")


def test_winograd_is_rated_as_the_direct_convolution() -> None:
    # F(4x4): 56x56 outputs are 196 tiles of 36 products, in place of 9 x 3136.
    layer = {"kind": "winograd", "shape": [6, 6, 4, 196, 16], "flops": 2 * 36 * 196 * 64 * 64}
    assert direct_flops(layer, [1, 4, 56, 56, 16]) == pytest.approx(2 * 9 * 56 * 56 * 64 * 64)


def test_what_the_vm_does_itself_is_one_row() -> None:
    rows = [row(0.5), row(0.1, name="alloc", calls=3), row(0.2, name="reshape", calls=2)]
    found = explain(rows, {"conv": CONV}, LIMITS)
    assert [one["name"] for one in found] == ["conv", "the VM's own"]
    assert found[1]["calls"] == 5
    assert sum(one["time_share"] for one in found) == pytest.approx(1.0)


def test_rows_stay_where_layers_are_unknown() -> None:
    assert [one["name"] for one in explain([row(0.1, name="a"), row(0.2, name="b")], {}, LIMITS)] == ["b", "a"]
