"""Figures over rounds and turns, against numbers worked out by hand or by another library."""

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from asking import Turn
from compare import order_of, write_results
from ratios import p99_ratio, percentile, rate_ratio
from servers import BATCHED, UNBATCHED
from summary import Round, best_batch, summarise

PEER = "peer"


def turn(rate: float, times: list[int] | None = None, failed: int = 0) -> Turn:
    return Turn(1.0, round(rate) + failed, failed, times or [round(1000 / rate)] * 10)


def two_rounds() -> list[Round]:
    rounds = []
    for factor in (1, 2):  # the second on a machine that is twice as fast
        asked = {
            (BATCHED, 16): [turn(60 * factor), turn(50 * factor)],
            (UNBATCHED, 16): [turn(50 * factor), turn(50 * factor, failed=3)],
            (PEER, 16): [turn(30 * factor), turn(20 * factor)],
        }
        in_process = {1: [turn(90 * factor), turn(20 * factor)], 8: [turn(60 * factor), turn(62 * factor)]}
        rounds.append(Round(asked, in_process))
    return rounds


def test_percentiles_of_whole_milliseconds_are_grouped() -> None:
    times = np.random.default_rng(0).gamma(9, 2, 400)
    whole = [round(time) for time in times]
    assert percentile(whole, 0.5) == pytest.approx(statistics.median_grouped(whole))
    for share in (0.5, 0.9, 0.99):
        assert percentile(whole, share) == pytest.approx(float(np.quantile(times, share)), abs=0.6)
    assert percentile([7], 0.99) == pytest.approx(7.49)


def test_interval_is_of_order_statistics() -> None:
    rates = [97, 99, 100, 101, 102, 103, 104, 105, 106, 107, 180, 185]  # two pairs in which the machine changed
    found = rate_ratio("x", 1, [[(turn(rate), turn(100)) for rate in rates]])["by_turn"]
    # Of 12 the third and the tenth: the median lies beyond either with P(Binomial(12, 1/2) <= 2) = 0.019.
    assert found == {"median": 1.035, "turns": 12, "ci": [1.0, 1.07]}


def test_a_turn_is_compared_with_its_own() -> None:
    # Of sorted turns, and of the medians, the ratios would be others.
    pairs = [[(turn(30), turn(10)), (turn(10), turn(20))], [(turn(60), turn(30))]]
    assert rate_ratio("x", 1, pairs)["by_turn"]["median"] == 2.0  # of 3, 0.5 and 2


def test_few_turns_have_no_interval() -> None:
    assert "ci" not in rate_ratio("x", 1, [[(turn(60), turn(50))] * 5])["by_turn"]
    assert "ci" in rate_ratio("x", 1, [[(turn(60), turn(50))] * 6])["by_turn"]


def test_rounds_and_turns_are_paired() -> None:
    found = {row["what"]: row for row in summarise(two_rounds())["ratios"]}
    peer = found["requests/s, ours over peer"]
    assert (peer["median"], peer["least"], peer["most"]) == (2.2, 2.2, 2.2)  # 110 over 50, 220 over 100
    assert peer["by_turn"] == {"median": 2.25, "turns": 4}  # 60 over 30, 50 over 20, twice
    assert found["requests/s, ours over unbatched"]["by_turn"]["median"] == 1.1
    assert found["requests/s, ours over unbatched"]["failed"] == 6
    assert "p99, ours over unbatched" in found


def test_p99_is_of_all_requests_together() -> None:
    # The machine is slow in one turn of ours and in another one of theirs: alike together, not turn by turn.
    fast, slow = [16] * 50, [29] * 50
    pairs = [[(Turn(1, 50, 0, slow), Turn(1, 50, 0, fast))], [(Turn(1, 50, 0, fast), Turn(1, 50, 0, slow))]]
    found = p99_ratio("p99", 1, pairs)
    assert found["pooled"] == 1.0
    assert found["least"] < 0.6 < 1.7 < found["most"]
    assert found["requests"] == [100, 100]


def test_servers_have_medians_and_pooled_percentiles() -> None:
    summary = summarise(two_rounds())
    row = summary["servers"][UNBATCHED][0]
    assert (row["per_second"], row["requests"], row["failed"]) == (75.0, 306, 6)
    assert row["p50_ms"] == pytest.approx(15, abs=5.1)
    assert [found["per_second"] for found in row["rounds"]] == [50.0, 100.0]
    assert row["rounds"][0]["turns"][1]["times_ms"] == [20] * 10
    assert summary["in_process"] == {"batch": 8, "per_second": pytest.approx(91.5, abs=0.5), "rounds": [61.0, 122.0]}


def test_best_batch_is_that_of_all_turns() -> None:
    assert best_batch(two_rounds()) == 8  # though batch 1 had the one fastest turn


def test_order_rotates_and_turns_round() -> None:
    names = ["a", "b", "c"]
    orders = [order_of(names, passes) for passes in range(6)]
    assert {order[0] for order in orders} == {order[-1] for order in orders} == set(names)
    assert orders[0] == orders[1][::-1]


def test_lists_of_numbers_take_a_line(tmp_path: Path) -> None:
    result = {"servers": [{"times_ms": [16, 29], "ci": [0.9, 1.1]}], "text": "[1,\n2]"}
    write_results(tmp_path / "r.json", result)
    text = (tmp_path / "r.json").read_text()
    assert json.loads(text) == result
    assert '"times_ms": [16, 29]' in text
