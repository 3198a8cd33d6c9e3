"""Layers that cost the most answers for their time become floats, and no more than are needed."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from ovenbird.console.layer_precisions import mixture_lines
from ovenbird.quantize.auto.mixing import aimed_share, choose_mixture, ordered, steps
from ovenbird.quantize.auto.sensitivity import NoiseShares
from ovenbird.quantize.auto.times import LayerTime
from ovenbird_runtime.errors import FileChanged

TIMES = tuple(LayerTime(time, time / 2) for time in (10.0, 40.0, 20.0, 30.0))
NOISES = (0.02, 0.01, 0.001, 0.0)
SHARES = NoiseShares(NOISES, 4.0, (0.05, 0.3, 0.6, 2.0, 5.0))


def test_the_most_noise_for_its_time_comes_first() -> None:
    assert ordered(NOISES, TIMES) == [0, 1, 2, 3]
    assert ordered((0.02, 0.09, 0.001, 0.0), TIMES) == [1, 0, 2, 3]
    slow = (*TIMES[:2], LayerTime(20.0, 30.0), TIMES[3])
    assert ordered(NOISES, slow) == [2, 0, 1, 3], "it saves nothing"


def test_noise_turns_answers_that_were_close() -> None:
    assert SHARES.disagreement(()) > SHARES.disagreement({0}) > SHARES.disagreement({0, 1, 2}) == 0
    assert NoiseShares((0.0,), 1.0, (0.0, 1.0)).disagreement(()) == 0
    assert NoiseShares((1e6,), 1.0, (1.0,)).disagreement(()) == pytest.approx(0.5, abs=1e-3)
    # a margin of one standard deviation of the difference of two scores: 15.87 %
    assert NoiseShares((0.5,), 1.0, (1.0,)).disagreement(()) == pytest.approx(0.1587, abs=1e-4)


def test_few_margins_are_smoothed() -> None:
    # Of margins that are spread evenly over [0, 4], noise with a deviation of 0.1 turns 0.1 / (4 sqrt(2 pi)).
    even = tuple(np.linspace(0.02, 3.98, 100).tolist())
    none_near = (*np.linspace(0.4, 3.98, 64).tolist(),)
    wanted = 0.1 / (4 * math.sqrt(2 * math.pi))
    assert NoiseShares((0.005,), 1.0, even).disagreement(()) == pytest.approx(wanted, rel=0.1)
    assert 0.3 * wanted < NoiseShares((0.005,), 1.0, none_near).disagreement(()) < wanted, "luck that will not last"
    assert NoiseShares((0.00125,), 1.0, even, factor=4.0).disagreement(()) == pytest.approx(wanted, rel=0.1)


def test_what_is_expected_leaves_room_for_a_count() -> None:
    assert aimed_share(0.01, 0) == 0.005
    for most, count, allowed in ((0.01, 36, 0), (0.01, 100, 1), (0.05, 40, 2), (0.5, 2, 1)):
        share = aimed_share(most, count)
        kept = sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(allowed + 1))
        assert kept >= 0.9 - 1e-9
        assert share == most / 2 or kept == pytest.approx(0.9)
    assert aimed_share(0.01, 36) == pytest.approx(1 - 0.9 ** (1 / 36))


def test_as_few_layers_as_are_needed_stay_float() -> None:
    times = (LayerTime(10.0, 2.0), *TIMES[1:])
    for most, floats in ((1.0, set()), (0.2, {0}), (0.1, {0, 1}), (0.0, {0, 1, 2})):
        mixture = choose_mixture(times, SHARES, most)
        assert mixture.floats == floats, (most, SHARES.disagreement(mixture.floats))
        assert mixture.saved_int8 == pytest.approx(0.53)
        assert mixture.saved == pytest.approx(0.53 - sum(times[place].saved for place in floats) / 100)


def test_layers_that_save_nothing_stay_float() -> None:
    times = (*TIMES[:3], LayerTime(30.0, 45.0))
    mixture = choose_mixture(times, SHARES, 1.0)
    assert 3 in mixture.floats
    assert mixture.saved > mixture.saved_int8
    assert mixture.rows()[3]["why"] == "whole numbers save no time"
    none = tuple(LayerTime(time.floats, 2 * time.floats) for time in TIMES)
    assert not choose_mixture(none, SHARES, 1.0).floats, "int8 was asked for"


def test_answers_that_cost_next_to_nothing_are_taken_back() -> None:
    times = (LayerTime(10.0, 9.0), *TIMES[1:])
    shares = NoiseShares((0.09, 0.01, 0.0, 0.0), 4.0, SHARES.margins)
    mixture = choose_mixture(times, shares, 1.0)
    assert mixture.floats == {0}, "any disagreement is allowed, but this is halved for 2 % of what is saved"
    assert shares.disagreement({0}) <= shares.disagreement(()) / 2
    assert not choose_mixture((LayerTime(20.0, 10.0), *TIMES[1:]), shares, 1.0).floats, "more than a tenth"


def test_the_choice_is_told_with_its_reasons() -> None:
    mixture = choose_mixture(TIMES, SHARES, 0.2)
    rows = [{"layer": f"conv2d {place}", **row} for place, row in enumerate(mixture.rows())]
    assert [row["precision"] for row in rows] == ["f32", "int8", "int8", "int8"]
    assert rows[0]["answers_db"] == 23.0
    assert "1 of 4" in rows[0]["why"]
    lines = list(mixture_lines({"layers": rows, "mixture": mixture.document()}))
    assert "1 of 4 layers f32; time saved 45%, all int8 50%; answers" in lines[0]
    assert len(lines) == 6
    assert not list(mixture_lines(None))
    assert not list(mixture_lines({"layers": []}))
    with pytest.raises(FileChanged, match="no table of layers"):
        list(mixture_lines({"layers": [{}], "mixture": {}}))


HALVES = tuple(LayerTime(time, time / 4, time / 2) for time in (10.0, 40.0, 20.0, 30.0))
ROUNDED = dataclasses.replace(SHARES, rounded=(0.002, 0.001, 0.0001, 0.0))


def test_bfloat16_stands_between_int8_and_float32() -> None:
    # noise for time: 0.018 / 2.5, 0.009 / 10; float32 of the first layer, 0.002 / 5; 0.0009 / 5 of the third
    assert steps(HALVES, ROUNDED)[:4] == [(0, False), (1, False), (0, True), (2, False)]
    for most in (0.2, 0.1, 0.05, 0.0):
        mixture = choose_mixture(HALVES, ROUNDED, most)
        assert ROUNDED.disagreement(mixture.floats, mixture.exact) <= most / 2
        assert mixture.exact <= mixture.floats
    assert mixture.exact == {0, 1, 2}, "nothing may change"
    rows = choose_mixture(HALVES, ROUNDED, 0.1).rows()
    assert [row["precision"] for row in rows] == ["f32", "bf16", "int8", "int8"]
    assert rows[0]["saved_bf16"] == 0.05
    (line, *_) = mixture_lines({"layers": [{"layer": "", **row} for row in rows], "mixture": mixture.document()})
    assert "1 of 4 layers f32, 1 bf16; time saved" in line


def test_bfloat16_costs_less_of_what_int8_saves() -> None:
    only = tuple(LayerTime(one.floats, one.whole) for one in HALVES)
    mixture, exact = choose_mixture(HALVES, ROUNDED, 0.1), choose_mixture(only, SHARES, 0.1)
    assert mixture.floats == exact.floats == {0, 1}
    assert mixture.saved == pytest.approx(0.75 - (0.75 * 0.1 + 0.25 * 0.4))
    assert exact.saved == pytest.approx(0.75 - 0.75 * (0.1 + 0.4))
    assert ROUNDED.disagreement({0, 1}) > SHARES.disagreement({0, 1}), "what it rounds is counted"
    assert ROUNDED.disagreement({0, 1}, exact={0, 1}) == SHARES.disagreement({0, 1})
