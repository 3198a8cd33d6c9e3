"""Layers are estimated from the machine's limits, and the order of estimates is held to that of measurements."""

import pytest

from ovenbird.benchmarking.estimates import estimate_ms, rank_correlation, ranks, with_estimates

LIMITS = {"gflops": 100.0, "gbytes_per_s": 10.0}


def layer(kind: str, flops: int) -> dict[str, object]:
    return {"kind": kind, "flops": flops}


def row(size: int = 0, calls: int = 1, name: str = "one", ms: float = 1.0) -> dict[str, object]:
    return {"name": name, "bytes": size, "calls": calls, "ms": ms}


def test_products_take_their_arithmetic_and_then_their_data() -> None:
    alone = estimate_ms(row(), layer("conv2d", 80_000_000), LIMITS)
    assert alone == pytest.approx(1.002)
    assert estimate_ms(row(20_000_000), layer("conv2d", 80_000_000), LIMITS) == pytest.approx(2.002)
    assert estimate_ms(row(calls=3), layer("conv2d", 80_000_000), LIMITS) == pytest.approx(3 * alone)


@pytest.mark.parametrize("kind", ["depthwise_conv2d", "elementwise"])
def test_others_take_the_longer_of_the_two(kind: str) -> None:
    assert estimate_ms(row(20_000_000), layer(kind, 8_000_000), LIMITS) == pytest.approx(1.002)


def test_what_is_no_layer_has_no_estimate() -> None:
    found = with_estimates([row(), row(name="the VM's own")], {"one": layer("conv2d", 1)}, LIMITS)
    assert [one["name"] for one in found] == ["one"]


def test_order_is_compared_by_call() -> None:
    rows = [{**row(ms=6.0, calls=3), "estimate_ms": 3.0}, {**row(ms=3.0), "estimate_ms": 2.0}]
    assert rank_correlation(rows) == pytest.approx(1.0)
    rows = [{**row(ms=1.0), "estimate_ms": 2.0}, {**row(ms=2.0), "estimate_ms": 1.0}]
    assert rank_correlation(rows) == pytest.approx(-1.0)
    assert rank_correlation([]) == 1.0


def test_equal_values_share_their_places() -> None:
    assert ranks([5.0, 1.0, 5.0, 9.0]) == [1.5, 0.0, 1.5, 3.0]
